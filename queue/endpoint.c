/* SPDX-License-Identifier: MIT */
#include "queue/endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "base/port.h"
#include "queue/socket_file.h"

#define IPC    "ipc://"
#define INPROC "inproc://"
#define TCP    "tcp://"

static bool
begins_with(const char *endpoint, const char *prefix)
{
    return strncmp(endpoint, prefix, strlen(prefix)) == 0;
}

/* Where the port of an address behind tcp:// is divided off; its end if it has
 * none. */
static const char *
port_mark(const char *address)
{
    const char *colon = strrchr(address, ':');

    return colon ? colon : address + strlen(address);
}

/* What begins as an address does may be a name; and libzmq goes on behind a
 * semicolon. So nothing else may stand there. */
static bool
is_loopback(const char *address)
{
    struct slice host = { address, (size_t)(port_mark(address) - address) };
    char text[INET_ADDRSTRLEN];
    struct in_addr v4;

    if (slice_is(host, "localhost") || slice_is(host, "[::1]"))
        return true;
    if (host.bytes >= sizeof(text))
        return false;
    memcpy(text, host.data, host.bytes);
    text[host.bytes] = '\0';
    return inet_pton(AF_INET, text, &v4) == 1 &&
           ntohl(v4.s_addr) >> IN_CLASSA_NSHIFT == IN_LOOPBACKNET;
}

static bool
is_local(const char *endpoint)
{
    if (begins_with(endpoint, TCP))
        return is_loopback(endpoint + strlen(TCP));
    return begins_with(endpoint, IPC) || begins_with(endpoint, INPROC);
}

/* True if it ends in a port: libzmq takes 70000 for 4464, and 80x for 80. */
static bool
has_port(const char *address)
{
    const char *mark = port_mark(address);

    return strcmp(mark, ":*") == 0 ||
           (*mark && port_read(slice_of(mark + 1)) >= 0);
}

int
endpoint_check(const char *endpoint, struct err *err)
{
    size_t path_max = SOCKET_FILE_PATH_BYTES - 1;

    if (!is_local(endpoint)) {
        return err_set(err, E_USAGE,
                       "%s: only ipc:// and tcp:// on loopback are served, as "
                       "there is no encryption and authentication yet",
                       endpoint);
    }
    if (begins_with(endpoint, TCP) && !has_port(endpoint + strlen(TCP))) {
        return err_set(err, E_USAGE,
                       "%s: a port of at most %d is to stand at its end",
                       endpoint, PORT_MAX);
    }
    if (begins_with(endpoint, IPC) &&
        strlen(endpoint + strlen(IPC)) > path_max) {
        return err_set(err, E_USAGE,
                       "%s: a socket's path has at most %zu bytes", endpoint,
                       path_max);
    }
    return 0;
}

const char *
endpoint_path(const char *endpoint)
{
    const char *path = endpoint + strlen(IPC);

    return begins_with(endpoint, IPC) && !strchr("@*", *path) ? path : NULL;
}
