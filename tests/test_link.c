/* SPDX-License-Identifier: MIT */
#include "queue/link.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"

#define PATIENCE_MS 20000
#define LARGE_BYTES (3 << 20)

/* A broker's link and a client's, of which the broker knows the peer. */
struct pair {
    struct link_context *context;
    struct link *bound, *connected;
    struct link_peer peer;
    struct buf head, body; /* of the last message */
};

static void
receive(struct pair *pair, struct link *link, struct link_peer *peer)
{
    int64_t end_ms = clock_mono_ms() + PATIENCE_MS;
    int rc;

    while ((rc = link_recv(link, peer, &pair->head, &pair->body)) == 1) {
        struct pollfd fd = { .fd = link_fd(link), .events = POLLIN };

        cr_assert_lt(clock_mono_ms(), end_ms, "nothing was received");
        (void)poll(&fd, 1, 10);
    }
    cr_assert_eq(rc, 0);
}

static void
open_pair(struct pair *pair)
{
    struct link_limits limits = { .frame_bytes_max = 2 * LARGE_BYTES,
                                  .queue_max = 10 };
    int64_t end_ms = clock_mono_ms() + PATIENCE_MS;
    struct buf endpoint = { 0 };
    struct slice none = { 0 };
    struct err err = { 0 };

    *pair = (struct pair){ .context = link_context_new() };
    pair->bound = link_bind(pair->context, "tcp://127.0.0.1:*", limits, &err);
    cr_assert_not_null(pair->bound, "%s", err.msg);
    link_endpoint(pair->bound, &endpoint);
    pair->connected = link_connect(pair->context, endpoint.data, limits, &err);
    cr_assert_not_null(pair->connected, "%s", err.msg);
    while (link_send(pair->connected, NULL, slice_of("hello"), none) < 0)
        cr_assert_lt(clock_mono_ms(), end_ms, "no connection was made");
    receive(pair, pair->bound, &pair->peer);
    buf_fini(&endpoint);
}

static void
close_pair(struct pair *pair)
{
    link_close(pair->connected, 0);
    link_close(pair->bound, 0);
    link_context_free(pair->context);
    buf_fini(&pair->head);
    buf_fini(&pair->body);
}

static void
fill(struct buf *body, size_t bytes)
{
    buf_reset(body);
    for (size_t i = 0; i < bytes; i++)
        buf_add_char(body, (char)('a' + i % 23));
}

/* Another one would be listened at, or asked for. */
Test(link, takes_no_port_that_is_none)
{
    static const char *const endpoints[] = {
        "tcp://127.0.0.1:65536",      "tcp://127.0.0.1:70000",
        "tcp://127.0.0.1:4294971760", "tcp://127.0.0.1:80x",
        "tcp://127.0.0.1: 80",        "tcp://127.0.0.1:-1",
        "tcp://127.0.0.1:",           "tcp://127.0.0.1",
        "tcp://[::1]:70000",          "tcp://localhost:**",
    };
    struct link_context *context = link_context_new();
    struct link_limits limits = { .frame_bytes_max = 1, .queue_max = 1 };

    for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++) {
        struct err err = { 0 };

        cr_expect_null(link_bind(context, endpoints[i], limits, &err), "%s",
                       endpoints[i]);
        cr_expect_eq(err.code, E_USAGE, "%s", endpoints[i]);
        cr_expect_null(link_connect(context, endpoints[i], limits, &err), "%s",
                       endpoints[i]);
        cr_expect_eq(err.code, E_USAGE, "%s", endpoints[i]);
    }
    link_context_free(context);
}

Test(link, gives_bodies_of_all_sizes_whole)
{
    static const size_t sizes[] = { 0,     1,       65535,      65536,
                                    65537, 1 << 20, LARGE_BYTES };
    struct buf body = { 0 }, want = { 0 };
    struct pair pair;

    open_pair(&pair);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        fill(&body, sizes[i]);
        fill(&want, sizes[i]);
        cr_assert_eq(link_give(pair.bound, &pair.peer, slice_of("head"), &body),
                     0);
        receive(&pair, pair.connected, NULL);
        cr_expect(slice_is(buf_slice(&pair.head), "head"));
        cr_expect(slice_equal(buf_slice(&pair.body), buf_slice(&want)),
                  "got %zu bytes, want %zu", pair.body.bytes, want.bytes);
    }
    cr_expect_eq(body.bytes, 0, "a large body was copied");
    cr_expect_null(body.data);
    close_pair(&pair);
    buf_fini(&body);
    buf_fini(&want);
}

/* It is there for each message, also when its owner has let go of it. */
Test(link, shares_a_body_with_several_messages)
{
    static const size_t sizes[] = { 1, 65536, LARGE_BYTES };
    struct buf body = { 0 }, want = { 0 };
    struct pair pair;

    open_pair(&pair);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct link_body *shared;

        fill(&body, sizes[i]);
        fill(&want, sizes[i]);
        shared = link_body_new(&body);
        cr_expect_null(body.data, "it was copied");
        for (int j = 0; j < 2; j++)
            cr_assert_eq(
                link_share(pair.bound, &pair.peer, slice_of("head"), shared),
                0);
        cr_expect(slice_equal(link_body_text(shared), buf_slice(&want)));
        link_body_free(shared);
        for (int j = 0; j < 2; j++) {
            receive(&pair, pair.connected, NULL);
            cr_expect(slice_equal(buf_slice(&pair.body), buf_slice(&want)),
                      "got %zu bytes, want %zu", pair.body.bytes, want.bytes);
        }
    }
    close_pair(&pair);
    buf_fini(&body);
    buf_fini(&want);
}

/* What was given is freed by libzmq, also if nobody ever takes it. */
Test(link, keeps_what_an_unknown_peer_was_to_be_given)
{
    struct link_peer unknown = { .id = "\1????", .bytes = 5 };
    struct buf body = { 0 };
    struct pair pair;

    open_pair(&pair);
    fill(&body, LARGE_BYTES);
    cr_expect_eq(link_give(pair.bound, &unknown, slice_of("head"), &body),
                 E_UNREACHABLE);
    cr_expect_eq(body.bytes, LARGE_BYTES);
    cr_expect_eq(link_give(pair.bound, &pair.peer, slice_of("head"), &body), 0);
    cr_expect_eq(body.bytes, 0);
    close_pair(&pair);
    buf_fini(&body);
}

static void
take(struct pair *pair, struct link_body **large)
{
    int64_t end_ms = clock_mono_ms() + PATIENCE_MS;
    int rc;

    while ((rc = link_take(pair->bound, &pair->peer, &pair->head, &pair->body,
                           large)) == 1) {
        struct pollfd fd = { .fd = link_fd(pair->bound), .events = POLLIN };

        cr_assert_lt(clock_mono_ms(), end_ms, "nothing was received");
        (void)poll(&fd, 1, 10);
    }
    cr_assert_eq(rc, 0);
}

/* Up to there they may share libzmq's memory, and are copied. */
Test(link, takes_large_bodies_alone_as_they_are)
{
    static const struct {
        size_t bytes;
        bool is_large;
    } rows[] = { { 0, false },
                 { 100, false },
                 { 8192, false },
                 { 8193, true },
                 { LARGE_BYTES, true } };
    struct buf want = { 0 };
    struct pair pair;

    open_pair(&pair);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct link_body *large = NULL;
        struct slice got;

        fill(&want, rows[i].bytes);
        cr_assert_eq(
            link_send(pair.connected, NULL, slice_of("head"), buf_slice(&want)),
            0);
        take(&pair, &large);
        cr_expect(slice_is(buf_slice(&pair.head), "head"));
        cr_assert_eq(large != NULL, rows[i].is_large, "%zu bytes",
                     rows[i].bytes);
        got = large ? link_body_text(large) : buf_slice(&pair.body);
        cr_expect(slice_equal(got, buf_slice(&want)), "%zu bytes: got %zu",
                  rows[i].bytes, got.bytes);
        cr_expect(!large || pair.body.bytes == 0, "it was copied");
        link_body_free(large);
    }
    close_pair(&pair);
    buf_fini(&want);
}

/* It is there whatever comes after it, and also when the link is closed. */
Test(link, keeps_a_body_that_was_taken_until_it_is_freed)
{
    enum { BODIES = 8 };
    struct link_body *large[BODIES];
    struct buf want = { 0 };
    struct pair pair;

    open_pair(&pair);
    for (size_t i = 0; i < BODIES; i++) {
        fill(&want, 9000 + i);
        cr_assert_eq(
            link_send(pair.connected, NULL, slice_of("head"), buf_slice(&want)),
            0);
        take(&pair, &large[i]);
        cr_assert_not_null(large[i]);
        link_body_free(i == 0 ? large[i] : NULL);
    }
    close_pair(&pair);
    for (size_t i = 1; i < BODIES; i++) {
        fill(&want, 9000 + i);
        cr_expect(slice_equal(link_body_text(large[i]), buf_slice(&want)));
        link_body_free(large[i]);
    }
    buf_fini(&want);
}

Test(link, leaves_nothing_of_a_message_without_a_header)
{
    int64_t end_ms = clock_mono_ms() + PATIENCE_MS;
    struct link_body *large = NULL;
    struct buf body = { 0 };
    struct pair pair;
    int rc;

    open_pair(&pair);
    fill(&body, LARGE_BYTES);
    cr_assert_eq(
        link_send(pair.connected, NULL, (struct slice){ 0 }, buf_slice(&body)),
        0);
    do {
        cr_assert_lt(clock_mono_ms(), end_ms, "nothing was received");
        rc = link_take(pair.bound, &pair.peer, &pair.head, &pair.body, &large);
    } while (rc == 1);
    cr_expect_eq(rc, E_PROTOCOL);
    cr_expect_null(large);
    close_pair(&pair);
    buf_fini(&body);
}

/* Whoever has nothing to receive yet waits for the sign alone, and is not left to
 * look again and again. */
Test(link, shows_that_its_connection_was_made)
{
    struct link_limits limits = { .frame_bytes_max = LARGE_BYTES,
                                  .queue_max = 10 };
    struct link_context *context = link_context_new();
    struct buf endpoint = { 0 };
    struct slice none = { 0 };
    struct err err = { 0 };
    struct link *bound, *connected;
    struct pollfd sign = { .events = POLLIN };

    bound = link_bind(context, "tcp://127.0.0.1:*", limits, &err);
    cr_assert_not_null(bound, "%s", err.msg);
    link_endpoint(bound, &endpoint);
    connected = link_connect(context, endpoint.data, limits, &err);
    cr_assert_not_null(connected, "%s", err.msg);
    sign.fd = link_sign_fd(connected);
    cr_expect_neq(sign.fd, link_fd(connected));
    while (!link_was_connected(connected))
        cr_assert_eq(poll(&sign, 1, PATIENCE_MS), 1, "no sign was given");
    cr_expect_eq(link_send(connected, NULL, slice_of("hello"), none), 0,
                 "it was given before there was a connection");
    link_close(connected, 0);
    link_close(bound, 0);
    link_context_free(context);
    buf_fini(&endpoint);
}

static void
wait_readable(const struct link *link)
{
    struct pollfd fd = { .fd = link_fd(link), .events = POLLIN };

    cr_assert_eq(poll(&fd, 1, PATIENCE_MS), 1, "nothing has come");
}

/* Whoever polls need not have libzmq look as well. */
Test(link, believes_a_poll_that_shows_nothing_until_the_next)
{
    struct pair pair;

    open_pair(&pair);
    cr_assert_eq(link_recv(pair.connected, NULL, &pair.head, &pair.body), 1);
    link_polled(pair.connected, false, false);
    cr_assert_eq(link_send(pair.bound, &pair.peer, slice_of("news"),
                           (struct slice){ 0 }),
                 0);
    wait_readable(pair.connected);
    for (int i = 0; i < 2; i++) {
        cr_expect_eq(link_recv(pair.connected, NULL, &pair.head, &pair.body), 1,
                     "it was looked for in spite of the poll");
    }
    link_polled(pair.connected, true, false);
    receive(&pair, pair.connected, NULL);
    cr_expect(slice_is(buf_slice(&pair.head), "news"));
    close_pair(&pair);
}

/* A send takes what the descriptor shows. */
Test(link, believes_no_poll_after_a_send)
{
    struct slice none = { 0 };
    struct pair pair;

    open_pair(&pair);
    cr_assert_eq(link_recv(pair.connected, NULL, &pair.head, &pair.body), 1);
    cr_assert_eq(link_send(pair.bound, &pair.peer, slice_of("news"), none), 0);
    wait_readable(pair.connected);
    cr_assert_eq(link_send(pair.connected, NULL, slice_of("word"), none), 0);
    link_polled(pair.connected, false, false);
    cr_expect_eq(link_recv(pair.connected, NULL, &pair.head, &pair.body), 0,
                 "it is hidden");
    close_pair(&pair);
}

/* Behind the first of them, the descriptor shows nothing of the others. */
Test(link, believes_no_poll_before_all_messages_are_taken)
{
    int64_t end_ms = clock_mono_ms() + PATIENCE_MS;
    int taken = 0;
    struct pair pair;

    open_pair(&pair);
    cr_assert_eq(link_recv(pair.connected, NULL, &pair.head, &pair.body), 1);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(link_send(pair.bound, &pair.peer, slice_of("news"),
                               (struct slice){ 0 }),
                     0);
    }
    while (taken < 3) {
        struct pollfd fd = { .fd = link_fd(pair.connected), .events = POLLIN };
        int count = poll(&fd, 1, 1);

        cr_assert_lt(clock_mono_ms(), end_ms, "%d of 3 have come", taken);
        link_polled(pair.connected, count > 0, false);
        if (link_recv(pair.connected, NULL, &pair.head, &pair.body) == 0)
            taken++;
    }
    close_pair(&pair);
}
