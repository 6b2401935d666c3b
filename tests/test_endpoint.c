/* SPDX-License-Identifier: MIT */
#include "queue/endpoint.h"

#include <criterion/criterion.h>

static void
expect(const char *endpoint, int want)
{
    struct err err = { 0 };

    cr_expect_eq(endpoint_check(endpoint, &err), want, "%s: %s", endpoint,
                 err.msg);
}

Test(endpoint, is_on_this_host)
{
    static const char *const endpoints[] = {
        "ipc:///run/sheaf/clients", "ipc://@sheaf",        "inproc://a",
        "tcp://127.0.0.1:8000",     "tcp://127.1.2.3:*",   "tcp://[::1]:0",
        "tcp://localhost:65535",    "tcp://127.0.0.1:000",
    };

    for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++)
        expect(endpoints[i], 0);
}

/* A name may begin as an address does; and libzmq goes on behind a semicolon, to
 * where it connects from what stands before that. */
Test(endpoint, is_nowhere_else)
{
    static const char *const endpoints[] = {
        "tcp://192.0.2.7:80",
        "tcp://*:80",
        "tcp://example.org:80",
        "tcp://127.example.org:80",
        "tcp://127.0.0.1.example.org:80",
        "tcp://localhost.example.org:80",
        "tcp://127.0.0.1:0;192.0.2.7:80",
        "tcp://localhost:0;192.0.2.7:80",
        "tcp://[::1]:0;192.0.2.7:80",
        "tcp://127.0.0.1",
        "tcp://",
        "udp://127.0.0.1:80",
    };

    for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++)
        expect(endpoints[i], E_USAGE);
}
