/* What the store can be asked without changing it, for people who ask why. */
/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "tests/put_body.h"
#include "tests/store_play.h"

TestSuite(store_looks, .timeout = 30);

static struct play play;

static void
set_up(void)
{
    play_start(&play, PLAY_MEMORY);
}

static void
tear_down(void)
{
    play_check(&play);
    play_end(&play);
}

static size_t
before(uint64_t batch, uint64_t id, size_t max)
{
    struct request request = play_get_request(&play, id);
    size_t count;

    play_begin(&play);
    count = store_ready_before(play.store, batch, &request, max);
    store_abort(play.store);
    return count;
}

Test(store_looks, those_that_stand_before_a_request_are_counted_up_to_a_limit,
     .init = set_up, .fini = tear_down)
{
    uint64_t batch = play_batch(&play, "k", "ant bee cat dog");
    uint64_t other = play_batch(&play, "l", "eel"), first, last, leased;

    first = play_find(&play, "ant");
    last = play_find(&play, "dog");
    cr_expect_eq(before(batch, first, 10), 0);
    cr_expect_eq(before(batch, last, 10), 3);
    cr_expect_eq(before(batch, last, 2), 2);
    cr_expect_eq(before(other, play_find(&play, "eel"), 10), 0);
    cr_assert_eq(play_claim(&play, batch, &leased, 1), 1);
    cr_expect_eq(before(batch, last, 10), 2,
                 "what is leased is out of the row");
}

Test(store_looks, the_drafts_of_a_request_are_counted_up_to_a_limit,
     .init = set_up, .fini = tear_down)
{
    uint64_t request;

    play_batch(&play, "k", "ant ant bee ant");
    play_batch(&play, "l", "ant");
    request = play_find(&play, "ant");
    play_begin(&play);
    cr_expect_eq(store_request_drafts(play.store, request, 10), 4);
    cr_expect_eq(store_request_drafts(play.store, request, 3), 3);
    cr_expect_eq(store_request_drafts(play.store, 99, 3), 0);
    store_abort(play.store);
}

Test(store_looks, the_batches_that_wait_for_a_request_come_one_by_one,
     .init = set_up, .fini = tear_down)
{
    uint64_t first = play_batch(&play, "k", "ant"), second, third, request;

    second = play_batch(&play, "l", "ant bee");
    third = play_batch(&play, "m", "ant");
    request = play_find(&play, "ant");
    play_cancel(&play, second);
    play_begin(&play);
    cr_expect_eq(store_request_wanted(play.store, request, 0), first);
    cr_expect_eq(store_request_wanted(play.store, request, first), third,
                 "one that was cancelled waits no more");
    cr_expect_eq(store_request_wanted(play.store, request, third), 0);
    store_abort(play.store);
    play_due(&play, 10);
}

Test(store_looks, a_lease_is_found_or_not, .init = set_up, .fini = tear_down)
{
    uint64_t batch = play_batch(&play, "k", "ant"), request;
    struct lease lease;

    cr_assert_eq(play_claim(&play, batch, &request, 1), 1);
    play_begin(&play);
    cr_assert_eq(store_lease_get(play.store, request, &lease), 0);
    cr_expect_eq(lease.request, request);
    cr_expect_eq(lease.fence, 1);
    cr_expect_eq(lease.granted_ms, play.now_ms);
    cr_expect_eq(store_lease_get(play.store, request + 1, &lease), E_NOTFOUND);
    store_abort(play.store);
}

/* Lines of 10000 bytes lie in several parts, and one of 50000 in its own. */
Test(store_looks, a_line_is_found_in_whichever_part_it_lies, .init = set_up,
     .fini = tear_down)
{
    enum { LINES = 12, LONG = 7 };
    struct chunk chunk = { .n = 9 };
    struct buf body = { 0 };
    struct slice line;

    for (int i = 1; i <= LINES; i++) {
        buf_addf(&body, "%d:", i);
        for (int j = 0; j < (i == LONG ? 50000 : 10000); j++)
            buf_add_char(&body, 'x');
        buf_add_str(&body, i < LINES ? "\n" : "");
        if (i == 3)
            buf_add_char(&body, '\n'); /* an empty one is one, too */
    }
    play_begin(&play);
    put_body(play.store, 99, &chunk, buf_slice(&body), NULL, 0);
    cr_assert_gt(chunk.part_count, 4);
    for (uint32_t n = 1; n <= LINES + 1; n++) {
        uint32_t number = n < 4 ? n : n - 1;

        cr_assert_eq(store_chunk_line(play.store, 99, &chunk, n, &line), 0);
        if (n == 4) {
            cr_expect_eq(line.bytes, 0);
            continue;
        }
        cr_expect_eq(strtoul(line.data, NULL, 10), number);
        cr_expect_geq(line.bytes, number == LONG ? 50002 : 10002);
        cr_expect_leq(line.bytes, number == LONG ? 50003 : 10003);
    }
    cr_expect_eq(store_chunk_line(play.store, 99, &chunk, LINES + 2, &line),
                 E_NOTFOUND);
    store_abort(play.store);
    buf_fini(&body);
}
