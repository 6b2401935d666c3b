/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* SOCK_CLOEXEC */
#include "submit/http_listen.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/port.h"

#define BACKLOG          512
#define V6_NETWORK_BYTES 8

int
http_place_parse(const char *text, struct http_place *place, struct err *err)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&place->address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&place->address;
    char host[INET6_ADDRSTRLEN + 2] = "";
    const char *colon = strrchr(text, ':');
    in_port_t port;
    int number;
    size_t bytes = colon ? (size_t)(colon - text) : 0;

    *place = (struct http_place){ .bytes = 0 };
    if (bytes == 0 || bytes >= sizeof(host))
        return err_set(err, E_USAGE,
                       "%s: not an address and a port, such as 127.0.0.1:8017",
                       text);
    memcpy(host, text, bytes);
    number = port_read(slice_of(colon + 1));
    if (number < 0)
        return err_set(err, E_USAGE, "%s: %s: not a port", text, colon + 1);
    port = htons((uint16_t)number);
    if (host[0] == '[' && host[bytes - 1] == ']') {
        host[bytes - 1] = '\0';
        if (inet_pton(AF_INET6, host + 1, &v6->sin6_addr) == 1) {
            v6->sin6_family = AF_INET6;
            v6->sin6_port = port;
            place->bytes = sizeof(*v6);
            return 0;
        }
    } else if (inet_pton(AF_INET,
                         strcmp(host, "localhost") == 0 ? "127.0.0.1" : host,
                         &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = port;
        place->bytes = sizeof(*v4);
        return 0;
    }
    return err_set(err, E_USAGE,
                   "%s: not an address; give a number such as 127.0.0.1 or "
                   "[::1]",
                   text);
}

bool
http_place_is_local(const struct http_place *place)
{
    const struct sockaddr_in *v4 = (const void *)&place->address;
    const struct sockaddr_in6 *v6 = (const void *)&place->address;

    if (place->address.ss_family == AF_INET)
        return ntohl(v4->sin_addr.s_addr) >> IN_CLASSA_NSHIFT == IN_LOOPBACKNET;
    return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

int
http_place_listen(struct http_place *place, struct err *err)
{
    struct buf text = { 0 };
    int on = 1, unsent = HTTP_UNSENT_BYTES_MAX, rc;
    int fd = socket(place->address.ss_family,
                    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return err_set(err, E_IO, "socket: %s", strerror(errno));
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent,
                   sizeof(unsent)) == 0 && /* connections have it, too */
        bind(fd, (struct sockaddr *)&place->address, place->bytes) == 0 &&
        listen(fd, BACKLOG) == 0 &&
        getsockname(fd, (struct sockaddr *)&place->address, &place->bytes) ==
            0) {
        return fd;
    }
    rc = errno == EADDRINUSE ? E_INUSE : E_IO;
    http_place_text(place, &text);
    rc = err_set(err, rc, "listen on %s: %s", text.data, strerror(errno));
    buf_fini(&text);
    (void)close(fd);
    return rc;
}

void
http_place_text(const struct http_place *place, struct buf *out)
{
    const struct sockaddr_in *v4 = (const void *)&place->address;
    const struct sockaddr_in6 *v6 = (const void *)&place->address;
    bool is_v4 = place->address.ss_family == AF_INET;
    char host[INET6_ADDRSTRLEN];
    const char *text =
        inet_ntop(place->address.ss_family,
                  is_v4 ? (const void *)&v4->sin_addr : &v6->sin6_addr, host,
                  sizeof(host));

    assert(text);
    buf_addf(out, is_v4 ? "%s:%u" : "[%s]:%u", text,
             ntohs(is_v4 ? v4->sin_port : v6->sin6_port));
}

struct http_address
http_place_of(const struct sockaddr *address)
{
    const struct sockaddr_in *v4 = (const void *)address;
    const struct sockaddr_in6 *v6 = (const void *)address;
    struct http_address who = { { 0 } };

    if (address->sa_family == AF_INET6 &&
        !IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        memcpy(who.bytes, &v6->sin6_addr, V6_NETWORK_BYTES);
    } else if (address->sa_family == AF_INET6) {
        memcpy(who.bytes, &v6->sin6_addr, sizeof(who.bytes));
    } else if (address->sa_family == AF_INET) {
        who.bytes[10] = who.bytes[11] = 0xff;
        memcpy(who.bytes + 12, &v4->sin_addr, sizeof(v4->sin_addr));
    }
    return who;
}
