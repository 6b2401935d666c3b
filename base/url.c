/* SPDX-License-Identifier: MIT */
#include "base/url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/port.h"

#define HOST_BYTES_MAX 253 /* the longest name that DNS can hold */

static const char plain_scheme[] = "http://";
static const char secure_scheme[] = "https://";

/* Where the host begins; NULL if the scheme is neither of the two. */
static const char *
skip_scheme(const char *url)
{
    if (strncmp(url, plain_scheme, strlen(plain_scheme)) == 0)
        return url + strlen(plain_scheme);
    if (strncmp(url, secure_scheme, strlen(secure_scheme)) == 0)
        return url + strlen(secure_scheme);
    return NULL;
}

static int
check_bytes(const char *url, struct err *err)
{
    if (strlen(url) > URL_BYTES_MAX)
        return err_set(err, E_INVALID, "longer than %d bytes", URL_BYTES_MAX);
    for (const char *at = url; *at; at++) {
        if (*at <= ' ' || *at >= 0x7f)
            return err_set(err, E_INVALID,
                           "holds a blank, a control character or a byte "
                           "beyond ASCII");
        if (strchr("\\\"<>^`{|}", *at))
            return err_set(err, E_INVALID, "holds the character %c", *at);
        if (*at == '?')
            return err_set(err, E_INVALID, "holds a query");
        if (*at == '#')
            return err_set(err, E_INVALID, "holds a fragment");
    }
    return 0;
}

/* Copies the host, without the brackets of an IPv6 address, and returns what
 * follows it; NULL if it does not fit or is not well formed. */
static const char *
read_host(const char *at, char host[HOST_BYTES_MAX + 1])
{
    bool is_bracketed = *at == '[';
    size_t bytes;

    if (is_bracketed)
        at++;
    bytes = strcspn(at, is_bracketed ? "]/" : ":/");
    if (bytes == 0 || bytes > HOST_BYTES_MAX)
        return NULL;
    memcpy(host, at, bytes);
    host[bytes] = '\0';
    at += bytes;
    if (is_bracketed) {
        struct in6_addr address;

        if (*at != ']' || inet_pton(AF_INET6, host, &address) != 1)
            return NULL;
        return at + 1;
    }
    for (const char *c = host; *c; c++) {
        if (!isalnum((unsigned char)*c) && !strchr(".-_", *c))
            return NULL;
    }
    return at;
}

int
url_check(const char *url, struct err *err)
{
    const char *at = skip_scheme(url);
    char host[HOST_BYTES_MAX + 1];

    if (!at)
        return err_set(err, E_INVALID,
                       "does not begin with http:// or https://");
    if (check_bytes(url, err) < 0)
        return E_INVALID;
    if (memchr(at, '@', strcspn(at, "/")))
        return err_set(err, E_INVALID,
                       "holds a user or a password; name a key_file or a "
                       "key_env instead");
    at = read_host(at, host);
    if (!at)
        return err_set(err, E_INVALID, "has no well-formed host");
    if (*at == ':') {
        size_t bytes = strcspn(++at, "/");

        if (port_read((struct slice){ at, bytes }) < 1)
            return err_set(err, E_INVALID, "has no well-formed port");
        at += bytes;
    }
    if (*at && *at != '/')
        return err_set(err, E_INVALID, "has no well-formed host");
    return 0;
}

/* Only spellings that nobody can read in another way: "127.1" or "localhost."
 * may be the same host, but that is for a resolver to say. */
static bool
is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (strcasecmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

bool
url_is_exposed(const char *url)
{
    char host[HOST_BYTES_MAX + 1];

    if (strncmp(url, plain_scheme, strlen(plain_scheme)) != 0)
        return false;
    return !read_host(url + strlen(plain_scheme), host) || !is_loopback(host);
}
