/* What requests came to: in which rows it stands, what of it is kept when they are
 * tried again, and how it goes. */
/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "store/answer.h"
#include "store/rows.h"
#include "store/verify.h"
#include "tests/rot.h"
#include "tests/store_expect.h"

/* The rows of what requests came to: answers, and those of older stores. */
static void
expect_rows(struct play *play, uint64_t answers, uint64_t attempts,
            uint64_t outcomes, uint64_t replies)
{
    cr_expect_eq(play_rows(play, TABLE_ANSWER), answers);
    cr_expect_eq(play_rows(play, TABLE_ATTEMPT), attempts);
    cr_expect_eq(play_rows(play, TABLE_OUTCOME), outcomes);
    cr_expect_eq(play_rows(play, TABLE_REPLY), replies);
}

/* The calls of a request that are remembered, the newest first, as numbers and
 * classes. */
static void
expect_calls(struct play *play, uint64_t id, const char *want)
{
    struct request request = play_get_request(play, id);
    struct attempt attempt = { .number = UINT32_MAX };
    struct buf got = { 0 };

    play_begin(play);
    while (store_attempt_before(play->store, &request, attempt.number,
                                &attempt) == 0) {
        buf_addf(&got, "%s%u %s", got.bytes ? ", " : "", attempt.number,
                 call_class_name(attempt.class));
        cr_expect(slice_is(attempt.worker, "w"));
    }
    store_abort(play->store);
    buf_add_char(&got, '\0');
    cr_expect_str_eq(got.data, want);
    buf_fini(&got);
}

static void
expect_text(struct play *play, uint64_t batch, const char *want)
{
    char text[RESULT_TEXT_BYTES];
    struct draft draft;

    cr_assert_neq(next_result(play, batch, 0, &draft, text), 0);
    cr_expect_str_eq(text, want);
}

/* Lets all be tried again that failed, and claims the one request. */
static uint64_t
retry_one(struct play *play, uint64_t batch)
{
    play_retry(play, batch, 1u << STATUS_SERVER_ERROR);
    play_due(play, 10);
    return claim_one(play, batch);
}

CLAIM(an_end_is_one_row)
{
    uint64_t batch = play_batch(play, "k", "ant"), id = claim_one(play, batch);
    struct request request;
    struct outcome outcome;
    struct attempt call;
    struct slice reply;

    play_finish(play, id, STATUS_OK, "yes");
    expect_rows(play, 1, 0, 0, 0);
    request = play_get_request(play, id);
    play_begin(play);
    cr_assert_eq(store_answer_get(play->store, &request, &outcome, &reply), 0);
    cr_expect_eq(outcome.status, STATUS_OK);
    cr_expect_eq(outcome.http_status, 200);
    cr_expect(slice_is(reply, "yes"));
    cr_assert_eq(store_attempt_before(play->store, &request, UINT32_MAX, &call),
                 0);
    cr_expect_eq(call.number, 1);
    cr_expect_eq(call.class, CLASS_OK);
    cr_expect_eq(call.ended_ms, play->now_ms);
    cr_expect_eq(store_attempt_before(play->store, &request, 1, &call),
                 E_NOTFOUND);
    store_abort(play->store);
}

CLAIM(an_end_without_a_call_has_none)
{
    uint64_t batch = play_batch(play, "k", "ant"), id = claim_one(play, batch);
    struct request request = play_get_request(play, id);
    struct outcome outcome = { .status = STATUS_ERROR };

    play_begin(play);
    store_finish(play->store, &request, &outcome, NULL, (struct reply){ 0 },
                 play->now_ms);
    play_commit(play);
    expect_rows(play, 1, 0, 0, 0);
    expect_calls(play, id, "");
}

CLAIM(calls_are_counted_over_both_tables)
{
    uint64_t batch = play_batch(play, "k", "ant"), id = claim_one(play, batch);

    play_delay(play, id, play->now_ms);
    play_due(play, 10);
    cr_assert_eq(claim_one(play, batch), id);
    play_finish(play, id, STATUS_SERVER_ERROR, "no");
    expect_rows(play, 1, 1, 0, 0);
    expect_calls(play, id, "2 permanent, 1 retryable");
    cr_assert_eq(retry_one(play, batch), id);
    play_delay(play, id, play->now_ms);
    expect_calls(play, id, "3 retryable, 2 permanent, 1 retryable");
}

CLAIM(a_try_that_ends_no_better_is_a_call_like_others)
{
    uint64_t batch = play_batch(play, "k", "ant"), id = claim_one(play, batch);
    uint64_t answer;

    play_finish(play, id, STATUS_SERVER_ERROR, "no");
    answer = play_get_request(play, id).answer;
    cr_assert_eq(retry_one(play, batch), id);
    play_finish(play, id, STATUS_SERVER_ERROR, "no again");
    cr_expect_eq(play_get_request(play, id).answer, answer);
    expect_text(play, batch, "no");
    expect_rows(play, 1, 1, 0, 0);
    expect_calls(play, id, "2 permanent, 1 permanent");
}

CLAIM(a_better_end_keeps_the_calls_of_the_former)
{
    uint64_t batch = play_batch(play, "k", "ant"), id = claim_one(play, batch);

    play_finish(play, id, STATUS_SERVER_ERROR, "no");
    cr_assert_eq(retry_one(play, batch), id);
    play_finish(play, id, STATUS_OK, "yes");
    expect_text(play, batch, "yes");
    expect_rows(play, 1, 1, 0, 0);
    expect_calls(play, id, "2 ok, 1 permanent");
    play_purge(play, batch);
    play_due(play, 10);
    cr_expect_eq(play_rows(play, TABLE_REQUEST), 1, "it is kept for the cache");
    play_begin(play);
    cr_expect(store_forget(play->store, id, true));
    play_commit(play);
    expect_rows(play, 0, 0, 0, 0);
}

/* How many calls are remembered; they must be the newest, without a gap. */
static uint32_t
count_calls(struct play *play, uint64_t id, uint32_t newest)
{
    struct request request = play_get_request(play, id);
    struct attempt attempt = { .number = UINT32_MAX };
    uint32_t count = 0;

    play_begin(play);
    while (store_attempt_before(play->store, &request, attempt.number,
                                &attempt) == 0) {
        cr_assert_eq(attempt.number, newest - count);
        count++;
    }
    store_abort(play->store);
    return count;
}

CLAIM(no_more_calls_are_remembered_than_may_be)
{
    uint64_t batch = play_batch(play, "k", "ant"), id = claim_one(play, batch);
    uint32_t n = 1;

    play_finish(play, id, STATUS_SERVER_ERROR, "no");
    while (n < STORE_ATTEMPTS_MAX + 2) {
        cr_assert_eq(retry_one(play, batch), id);
        play_finish(play, id, STATUS_SERVER_ERROR, "no");
        n++;
        cr_expect_eq(count_calls(play, id, n),
                     n < STORE_ATTEMPTS_MAX ? n : STORE_ATTEMPTS_MAX);
        play_check(play);
    }
    cr_assert_eq(retry_one(play, batch), id);
    play_finish(play, id, STATUS_OK, "yes");
    cr_expect_eq(count_calls(play, id, n + 1), STORE_ATTEMPTS_MAX);
    expect_rows(play, 1, STORE_ATTEMPTS_MAX - 1, 0, 0);
}

/* ---- stores of before format 7 ---- */

/* Both of their forms. */
static const int formats[] = { 3, 6 };

/* A request of an older store that ended so. */
static uint64_t
end_older(struct play *play, uint64_t batch, enum status status,
          const char *text, int format)
{
    uint64_t id = claim_one(play, batch);

    play_finish(play, id, status, text);
    play_answer_older(play, id, format);
    play_check(play);
    return id;
}

CLAIM(an_older_answer_is_read_and_goes_with_its_request)
{
    char key[2] = "k";

    for (size_t i = 0; i < 2; i++, key[0]++) {
        uint64_t batch = play_batch(play, key, i ? "bee" : "ant");
        uint64_t id = end_older(play, batch, STATUS_OK, "yes", formats[i]);

        expect_text(play, batch, "yes");
        expect_calls(play, id, "1 ok");
        expect_rows(play, i, 1, 1, !i);
        play_purge(play, batch);
        play_due(play, 10);
        play_begin(play);
        cr_expect(store_forget(play->store, id, true));
        play_commit(play);
        expect_rows(play, 0, 0, 0, 0);
    }
}

CLAIM(an_older_end_gives_way_to_a_better_one)
{
    char key[2] = "k";

    for (size_t i = 0; i < 2; i++, key[0]++) {
        uint64_t batch = play_batch(play, key, i ? "bee" : "ant");
        uint64_t id =
            end_older(play, batch, STATUS_SERVER_ERROR, "no", formats[i]);

        cr_assert_eq(retry_one(play, batch), id);
        play_finish(play, id, STATUS_SERVER_ERROR, "no again");
        expect_text(play, batch, "no");
        expect_calls(play, id, "2 permanent, 1 permanent");
        cr_expect_eq(play_rows(play, TABLE_OUTCOME), 1);
        cr_assert_eq(retry_one(play, batch), id);
        play_finish(play, id, STATUS_OK, "yes");
        expect_text(play, batch, "yes");
        expect_calls(play, id, "3 ok, 2 permanent, 1 permanent");
        expect_rows(play, i + 1, 2 * (i + 1), 0, 0);
    }
}

CLAIM(drafts_join_an_older_answer)
{
    uint64_t batch = play_batch(play, "k", "ant"), other;

    end_older(play, batch, STATUS_OK, "yes", 6);
    other = play_batch(play, "l", "ant");
    expect_state(play, other, BATCH_FINISHED);
    expect_text(play, other, "yes");
}

/* ---- damage ---- */

static struct verify
repair(struct play *play, struct buf *report)
{
    struct verify verify = { .report = report };
    struct err err = { 0 };

    cr_assert_eq(store_repair(play->store, &verify, &err), 0, "%s", err.msg);
    return verify;
}

/* Damages the only answer, of a failure, in one bit. */
static void
try_damage(size_t bit)
{
    struct result_row row;
    struct buf report = { 0 };
    struct verify verify;
    struct play play;
    uint64_t batch, id;

    play_start(&play, PLAY_MEMORY);
    batch = play_batch(&play, "k", "ant");
    id = claim_one(&play, batch);
    play_finish(&play, id, STATUS_SERVER_ERROR, "no");
    cr_assert(rot_row(play.store, TABLE_ANSWER, 0, ROT_FLIP, bit));
    play_begin(&play);
    cr_assert_eq(store_result_after(play.store, batch, 0, &row), 0);
    cr_expect_eq(row.draft.status, STATUS_SERVER_ERROR);
    cr_expect_not(row.has_outcome);
    store_abort(play.store);
    verify = repair(&play, &report);
    cr_expect_eq(verify.mended, 0);
    cr_expect_str_eq(report.data, "answer 1: its checksum fails\n");
    /* A better one takes its place, and what it told of its call is lost. */
    cr_assert_eq(retry_one(&play, batch), id);
    play_finish(&play, id, STATUS_OK, "yes");
    expect_text(&play, batch, "yes");
    expect_calls(&play, id, "1 ok");
    expect_rows(&play, 1, 0, 0, 0);
    play_end(&play);
    buf_fini(&report);
}

/* Also where it is no longer told whose it is. */
Test(store_answers, a_damaged_one_keeps_the_status)
{
    static const size_t bits[] = { 5, 300 };

    for (size_t i = 0; i < 2; i++)
        try_damage(bits[i]);
}

/* An outcome had a row of its own, and is no less safe since. */
Test(store_answers, one_is_read_though_its_request_is_damaged)
{
    struct buf report = { 0 };
    struct play play;
    uint64_t batch;

    play_start(&play, PLAY_MEMORY);
    batch = play_batch(&play, "k", "ant");
    play_finish(&play, claim_one(&play, batch), STATUS_OK, "yes");
    cr_assert(rot_row(play.store, TABLE_REQUEST, 0, ROT_FLIP, 300));
    expect_text(&play, batch, "yes");
    cr_expect_eq(repair(&play, &report).mended, 0);
    cr_expect_str_eq(report.data, "request 1: its checksum fails\n");
    expect_text(&play, batch, "yes");
    cr_assert(rot_row(play.store, TABLE_REQUEST, 0, ROT_FLIP, 300));
    play_end(&play);
    buf_fini(&report);
}

Test(store_answers, one_of_another_request_is_left_to_it)
{
    struct request request;
    struct buf report = { 0 };
    struct play play;
    uint64_t batch, other, id;

    play_start(&play, PLAY_MEMORY);
    batch = play_batch(&play, "k", "ant");
    play_finish(&play, claim_one(&play, batch), STATUS_OK, "yes");
    other = play_batch(&play, "l", "bee");
    id = claim_one(&play, other);
    play_finish(&play, id, STATUS_SERVER_ERROR, "no");
    request = play_get_request(&play, id);
    play_begin(&play);
    table_del(play.store, TABLE_ANSWER, key_id(request.answer));
    request.answer = 1;
    store_request_put(play.store, &request);
    play_commit(&play);
    cr_expect_eq(repair(&play, &report).findings, 2);
    cr_expect_str_eq(report.data, "draft 2/0: no outcome 2, which answered it\n"
                                  "request 2: server_error, its outcome \n");
    cr_assert_eq(retry_one(&play, other), id);
    play_finish(&play, id, STATUS_OK, "yes, too");
    expect_text(&play, other, "yes, too");
    expect_text(&play, batch, "yes");
    play_end(&play);
    buf_fini(&report);
}

Test(store_answers, a_call_that_is_told_twice_is_told_once_after_repair)
{
    struct buf report = { 0 };
    struct play play;
    uint64_t batch, id;

    play_start(&play, PLAY_MEMORY);
    batch = play_batch(&play, "k", "ant");
    id = claim_one(&play, batch);
    play_finish(&play, id, STATUS_OK, "yes");
    play_begin(&play);
    attempt_encode(&(struct attempt){ .worker = slice_of("w") },
                   table_fields(play.store));
    table_put(play.store, TABLE_ATTEMPT, key_u32(key_id(id), 1));
    play_commit(&play);
    cr_expect_eq(repair(&play, &report).findings, 0);
    cr_expect_str_eq(report.data, "attempt 1/1: the answer of its request "
                                  "tells of it (repaired)\n");
    expect_calls(&play, id, "1 ok");
    expect_rows(&play, 1, 0, 0, 0);
    play_end(&play);
    buf_fini(&report);
}
