/* SPDX-License-Identifier: MIT */
#include "queue/endpoint.h"

#include <stdbool.h>
#include <string.h>

#include "base/port.h"
#include "queue/socket_file.h"

#define IPC "ipc://"
#define TCP "tcp://"

static bool
begins_with(const char *endpoint, const char *prefix)
{
    return strncmp(endpoint, prefix, strlen(prefix)) == 0;
}

static bool
is_local(const char *endpoint)
{
    static const char *const prefixes[] = { IPC, "inproc://", TCP "127.",
                                            TCP "localhost:", TCP "[::1]:" };

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        if (begins_with(endpoint, prefixes[i]))
            return true;
    }
    return false;
}

/* True if it ends in a port: libzmq takes 70000 for 4464, and 80x for 80. */
static bool
has_port(const char *endpoint)
{
    const char *text = strrchr(endpoint, ':') + 1;

    return strcmp(text, "*") == 0 || port_read(slice_of(text)) >= 0;
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
    if (begins_with(endpoint, TCP) && !has_port(endpoint)) {
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
