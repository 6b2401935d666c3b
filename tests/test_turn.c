/* SPDX-License-Identifier: MIT */
#include "queue/turn.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/turns.h"

#define LONG_PATH 15000 /* as long as an item may be, nearly */

static struct outbox outbox;
static struct session worker = { .has_peer = true,
                                 .peer = { .id = { 1 }, .bytes = 5 } };
static struct session other = { .has_peer = true,
                                .peer = { .id = { 2 }, .bytes = 5 } };

static void
tear_down(void)
{
    outbox_fini(&outbox);
}

static void
lease(const struct session *session, int64_t request, const char *path,
      struct slice body)
{
    struct letter *letter =
        turn_begin_lease(&outbox, session, request, body.bytes);

    wire_put_str(&letter->head, "path", path);
    turn_end_lease(letter, body);
}

static void
expect(size_t nth, const char *head, const char *body)
{
    const struct letter *letter = &outbox.letters[nth];

    cr_assert_lt(nth, outbox.count);
    cr_expect_str_eq(letter->head.data, head);
    cr_expect(slice_is(buf_slice(&letter->body), body), "%s",
              letter->body.data);
}

/* Each letter can be read, with as many parts as were put into it. */
static size_t
count_parts(void)
{
    size_t count = 0;

    for (size_t i = 0; i < outbox.count; i++) {
        const struct letter *letter = &outbox.letters[i];
        struct turns turns =
            turns_of(buf_slice(&letter->head), buf_slice(&letter->body));
        struct wire wire;

        cr_assert_eq(wire_read(&wire, buf_slice(&letter->head),
                               (struct slice){ 0 }, NULL),
                     0);
        cr_expect_leq(turns.count, WIRE_TURN_ITEMS_MAX);
        count += turns.count;
        wire_fini(&wire);
        turns_fini(&turns);
    }
    return count;
}

Test(turn, has_all_that_is_said_to_a_worker, .fini = tear_down)
{
    turn_confirm(&outbox, &worker, 42, 3);
    expect(0, "{\"verb\":\"turn\",\"confirmed\":[[42,3]]}", "");
    turn_confirm(&outbox, &other, 1, 1);
    turn_confirm(&outbox, &worker, 43, 1);
    lease(&worker, 44, "/a", slice_of("body"));
    lease(&other, 2, "/o", slice_of("other"));
    lease(&worker, 45, "/b", slice_of("more"));
    cr_expect_eq(outbox.count, 2);
    expect(0,
           "{\"verb\":\"turn\",\"confirmed\":[[42,3],[43,1]],\"leases\":[{"
           "\"request\":44,\"path\":\"/a\",\"bytes\":4},{\"request\":45,"
           "\"path\":\"/b\",\"bytes\":4}]}",
           "bodymore");
    expect(1,
           "{\"verb\":\"turn\",\"confirmed\":[[1,1]],\"leases\":[{\"request\":"
           "2,\"path\":\"/o\",\"bytes\":5}]}",
           "other");
}

/* What is said of a lease that ends must not come behind the next one. */
Test(turn, keeps_the_order_of_what_is_said, .fini = tear_down)
{
    lease(&worker, 1, "/", slice_of("a"));
    (void)outbox_add(&outbox, SIDE_WORKERS, &worker.peer, wire_new("cancel"));
    lease(&worker, 2, "/", slice_of("b"));
    turn_confirm(&outbox, &worker, 1, 1);
    (void)outbox_add(&outbox, SIDE_CLIENTS, &worker.peer, wire_new("stored"));
    turn_confirm(&outbox, &worker, 2, 1);
    cr_expect_eq(outbox.count, 5);
    expect(0,
           "{\"verb\":\"turn\",\"leases\":[{\"request\":1,\"path\":\"/\","
           "\"bytes\":1}]}",
           "a");
    expect(1, "{\"verb\":\"cancel\"}", "");
    expect(2,
           "{\"verb\":\"turn\",\"leases\":[{\"request\":2,\"path\":\"/\","
           "\"bytes\":1}]}",
           "b");
    expect(3, "{\"verb\":\"turn\",\"confirmed\":[[1,1],[2,1]]}", "");
    expect(4, "{\"verb\":\"stored\"}", "");
}

Test(turn, begins_anew_when_it_was_sent, .fini = tear_down)
{
    turn_confirm(&outbox, &worker, 1, 1);
    outbox_reset(&outbox);
    turn_confirm(&outbox, &worker, 2, 1);
    cr_expect_eq(outbox.count, 1);
    expect(0, "{\"verb\":\"turn\",\"confirmed\":[[2,1]]}", "");
}

Test(turn, has_a_limit_of_items, .fini = tear_down)
{
    for (int64_t i = 0; i < 2 * WIRE_TURN_ITEMS_MAX + 1; i++)
        turn_confirm(&outbox, &worker, i, 1);
    cr_expect_eq(outbox.count, 3);
    cr_expect_eq(count_parts(), 2 * WIRE_TURN_ITEMS_MAX + 1);
}

Test(turn, has_a_limit_of_bytes, .fini = tear_down)
{
    struct buf large = { 0 };

    for (size_t i = 0; i < WIRE_TURN_BYTES_MAX + 1; i++)
        buf_add_char(&large, 'x');
    lease(&worker, 1, "/", buf_slice(&large));
    cr_expect_eq(outbox.count, 1, "one is never too large");
    large.bytes = WIRE_TURN_BYTES_MAX / 2;
    for (int64_t i = 2; i < 6; i++)
        lease(&worker, i, "/", buf_slice(&large));
    cr_expect_eq(outbox.count, 3);
    cr_expect_eq(outbox.letters[1].body.bytes, WIRE_TURN_BYTES_MAX);
    cr_expect_eq(count_parts(), 5);
    buf_fini(&large);
}

Test(turn, has_a_header_that_can_be_read, .fini = tear_down)
{
    char *path = mem_zalloc(LONG_PATH + 1, 1);

    memset(path, 'p', LONG_PATH);
    for (int64_t i = 0; i < 9; i++)
        lease(&worker, i, path, slice_of("b"));
    cr_expect_gt(outbox.count, 1);
    cr_expect_lt(outbox.count, 9);
    cr_expect_eq(count_parts(), 9);
    free(path);
}
