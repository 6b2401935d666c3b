/* SPDX-License-Identifier: MIT */
#include "tests/client_desk.h"

#include <criterion/criterion.h>
#include <poll.h>

#include "submit/connection.h"

#define FRAME_BYTES_MAX (1 << 20)
#define QUEUE_MAX       100
#define MOMENT_MS       10

/* Until the client knows that it is connected: what it has sent before that, it
 * sends once more. */
static void
settle(struct sheaf *sheaf)
{
    struct wire wire;
    struct err err = { 0 };

    while (sheaf->made_count == 0)
        cr_assert_eq(connection_wait(sheaf, MOMENT_MS, 0, &wire, &err), 1, "%s",
                     err.msg);
}

struct sheaf *
client_desk_open(struct client_desk *desk)
{
    struct link_limits limits = { .frame_bytes_max = FRAME_BYTES_MAX,
                                  .queue_max = QUEUE_MAX };
    struct sheaf_settings settings = { .connect_ms = CLIENT_DESK_PATIENCE_MS,
                                       .idle = client_desk_serve,
                                       .idle_arg = desk };
    struct buf endpoint = { 0 };
    struct err err = { 0 };
    struct sheaf *sheaf;

    desk->context = link_context_new();
    desk->link = link_bind(desk->context, "tcp://127.0.0.1:*", limits, &err);
    cr_assert_not_null(desk->link, "%s", err.msg);
    link_endpoint(desk->link, &endpoint);
    settings.endpoint = endpoint.data;
    sheaf = sheaf_connect(&settings, NULL);
    cr_assert_not_null(sheaf);
    buf_fini(&endpoint);
    settle(sheaf);
    return sheaf;
}

void
client_desk_close(struct client_desk *desk)
{
    link_close(desk->link, 0);
    link_context_free(desk->context);
    buf_fini(&desk->head);
    buf_fini(&desk->body);
}

int
client_desk_serve(void *arg)
{
    struct client_desk *desk = arg;
    struct link_peer peer;

    while (link_recv(desk->link, &peer, &desk->head, &desk->body) == 0) {
        struct wire wire;
        struct err err = { 0 };
        int64_t re = 0;

        cr_assert_eq(wire_parse(&wire, buf_slice(&desk->head),
                                buf_slice(&desk->body), &err),
                     0, "%s", err.msg);
        cr_assert_eq(
            wire_int(&wire, "re", wire_range(0, WIRE_INT_MAX), &re, &err), 0);
        desk->answer(desk, &peer, &wire, re);
        wire_fini(&wire);
    }
    if (desk->drained)
        desk->drained(desk);
    return 0;
}

void
client_desk_await(struct client_desk *desk)
{
    struct pollfd fd = { .fd = link_fd(desk->link), .events = POLLIN };

    client_desk_serve(desk);
    (void)poll(&fd, 1, MOMENT_MS);
}

void
client_desk_send(struct client_desk *desk, const struct link_peer *peer,
                 const struct buf *head, const struct buf *body)
{
    cr_assert_eq(link_send(desk->link, peer, buf_slice(head), buf_slice(body)),
                 0);
}
