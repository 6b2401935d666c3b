/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "store/table.h"
#include "store/verify.h"
#include "tests/store_play.h"

TestSuite(store_attempts, .timeout = 30);

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

/* A call of a request that took so long. */
static void
add(uint64_t id, int64_t latency_ms)
{
    struct request request = play_get_request(&play, id);

    play_begin(&play);
    store_attempt_add(play.store, &request,
                      &(struct attempt){ .ended_ms = play.now_ms,
                                         .class = CLASS_THROTTLED,
                                         .status = STATUS_RATE_LIMITED,
                                         .http_status = 429,
                                         .fence = 7,
                                         .was_sent = true,
                                         .latency_ms = latency_ms,
                                         .wait_ms = 1000,
                                         .wait_from = slice_of("retry-after"),
                                         .code = slice_of("http_429"),
                                         .worker = slice_of("w1"),
                                         .upstream = slice_of("one") });
    play_commit(&play);
}

/* Counts what is kept; *newest is how many there have been. */
static uint32_t
count(uint64_t id, uint32_t *newest)
{
    struct attempt attempt = { .number = UINT32_MAX };
    struct request request;
    uint32_t kept = 0;

    *newest = 0;
    play_begin(&play);
    if (store_request_get(play.store, id, &request) < 0)
        request = (struct request){ .id = id }; /* it is gone */
    while (store_attempt_before(play.store, &request, attempt.number,
                                &attempt) == 0) {
        if (kept++ == 0)
            *newest = attempt.number;
        cr_assert_eq(attempt.number, *newest - kept + 1);
    }
    store_abort(play.store);
    return kept;
}

static uint64_t
lease_one(const char *key, const char *word)
{
    uint64_t batch = play_batch(&play, key, word), request;

    cr_assert_eq(play_claim(&play, batch, &request, 1), 1);
    return request;
}

Test(store_attempts, come_back_as_they_were, .init = set_up, .fini = tear_down)
{
    uint64_t id = lease_one("k", "ant");
    struct request request = play_get_request(&play, id);
    struct attempt attempt;

    add(id, 120);
    play_begin(&play);
    cr_assert_eq(
        store_attempt_before(play.store, &request, UINT32_MAX, &attempt), 0);
    cr_expect_eq(attempt.number, 1);
    cr_expect_eq(attempt.ended_ms, play.now_ms);
    cr_expect_eq(attempt.class, CLASS_THROTTLED);
    cr_expect_eq(attempt.status, STATUS_RATE_LIMITED);
    cr_expect_eq(attempt.http_status, 429);
    cr_expect_eq(attempt.fence, 7);
    cr_expect(attempt.was_sent);
    cr_expect_eq(attempt.latency_ms, 120);
    cr_expect_eq(attempt.wait_ms, 1000);
    cr_expect(slice_is(attempt.wait_from, "retry-after"));
    cr_expect(slice_is(attempt.code, "http_429"));
    cr_expect(slice_is(attempt.worker, "w1"));
    cr_expect(slice_is(attempt.upstream, "one"));
    cr_expect_eq(store_attempt_before(play.store, &request, 1, &attempt),
                 E_NOTFOUND);
    store_abort(play.store);
}

Test(store_attempts, the_newest_are_kept_and_all_are_counted, .init = set_up,
     .fini = tear_down)
{
    uint64_t request = lease_one("k", "ant"), other = lease_one("l", "bee");
    uint32_t newest;

    add(other, 1);
    for (uint32_t n = 1; n <= STORE_ATTEMPTS_MAX + 3; n++) {
        add(request, n);
        cr_expect_eq(count(request, &newest),
                     n < STORE_ATTEMPTS_MAX ? n : STORE_ATTEMPTS_MAX);
        cr_expect_eq(newest, n);
    }
    cr_expect_eq(count(other, &newest), 1, "another one's are its own");
}

Test(store_attempts, stay_when_a_request_is_tried_again_and_go_with_it,
     .init = set_up, .fini = tear_down)
{
    uint64_t batch = play_batch(&play, "k", "ant"), request;
    uint32_t newest;

    cr_assert_eq(play_claim(&play, batch, &request, 1), 1);
    play_finish(&play, request, STATUS_SERVER_ERROR, "no");
    play_retry(&play, batch, 1u << STATUS_SERVER_ERROR);
    play_due(&play, 10);
    cr_assert_eq(play_claim(&play, batch, &request, 1), 1);
    cr_expect_eq(count(request, &newest), 1);
    play_finish(&play, request, STATUS_SERVER_ERROR, "no");
    cr_expect_eq(count(request, &newest), 2);
    cr_expect_eq(newest, 2);
    play_purge(&play, batch);
    play_due(&play, 10);
    cr_expect_eq(count(request, &newest), 0);
}

/* A row that is written by hand. */
static void
put_row(uint64_t request, uint32_t number, const char *fields)
{
    record_bytes(table_fields(play.store), fields, strlen(fields));
    table_put(play.store, TABLE_ATTEMPT, key_u32(key_id(request), number));
}

Test(store_attempts, what_is_damaged_or_nobodys_is_found_and_removed,
     .init = set_up, .fini = tear_down)
{
    uint64_t request = lease_one("k", "ant");
    struct buf report = { 0 };
    struct verify verify = { .report = &report };
    struct err err = { 0 };

    for (int i = 0; i < STORE_ATTEMPTS_MAX; i++)
        add(request, i);
    play_begin(&play);
    put_row(request, 7, "short");
    put_row(99, 1, "");
    store_attempt_add(play.store, &(struct request){ .id = 99 },
                      &(struct attempt){ .fence = 1 });
    put_row(request, STORE_ATTEMPTS_MAX + 1, "short");
    cr_assert_eq(store_verify(play.store, &verify, &err), 0);
    cr_expect_str_eq(report.data,
                     "attempt 1/1: more of its request are kept than may be\n"
                     "attempt 1/7: damaged\n"
                     "attempt 1/33: damaged\n"
                     "attempt 99/1: damaged\n"
                     "attempt 99/2: no request\n");
    cr_expect_eq(verify.mendable, 5);
    play_commit(&play);
    verify = (struct verify){ .report = NULL };
    cr_assert_eq(store_repair(play.store, &verify, &err), 0, "%s", err.msg);
    cr_expect_eq(verify.findings, 0);
    buf_fini(&report);
}
