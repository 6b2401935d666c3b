/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/put_body.h"
#include "tests/store_expect.h"

#define SMALL_BYTES (2u << 20)
#define BODY_BYTES  50000
#define REPLY_BYTES 60000
#define TRIES_MAX   1000

static const unsigned char store_id[STORE_UUID_BYTES] = "a store of tests";

/* Puts a store that is soon full in the place of the roomy one. */
static void
make_small(struct play *play)
{
    struct err err = { 0 };

    store_close(play->store);
    play->store =
        play->kind == PLAY_MEMORY
            ? store_open_memory(SMALL_BYTES, store_id)
            : store_open(play->scratch.path, SMALL_BYTES, store_id, &err);
    cr_assert_not_null(play->store, "%s", err.msg);
}

/* Puts a body without drafts into an open batch, as chunk n, if it is let in. */
static int
put_chunk(struct play *play, uint64_t batch, uint32_t n, struct err *err)
{
    struct chunk chunk = { .n = n };
    char *body = calloc(1, BODY_BYTES);
    struct batch record = play_get_batch(play, batch);
    int rc;

    record.chunk_next = n + 1;
    digest_of(body, BODY_BYTES, chunk.digest);
    play_begin(play);
    rc = store_admit_chunk(play->store, BODY_BYTES, 0, err);
    if (rc == 0) {
        put_body(play->store, batch, &chunk, (struct slice){ body, BODY_BYTES },
                 NULL, 0);
        store_chunk_put(play->store, batch, &chunk);
        store_batch_put(play->store, &record, play->now_ms);
        rc = store_commit(play->store, err);
    } else {
        store_abort(play->store);
    }
    free(body);
    return rc;
}

static struct store_usage
usage(struct play *play)
{
    struct store_usage usage;

    play_begin(play);
    usage = store_usage(play->store);
    store_abort(play->store);
    return usage;
}

static bool
admits_batch(struct play *play, struct err *err)
{
    int rc;

    play_begin(play);
    rc = store_admit_batch(play->store, err);
    store_abort(play->store);
    return rc == 0;
}

static bool
may_lease(struct play *play)
{
    bool may;

    play_begin(play);
    may = store_may_lease(play->store);
    store_abort(play->store);
    return may;
}

/* Fills an open batch until the store refuses more; how many chunks it took. */
static uint32_t
fill(struct play *play, uint64_t batch)
{
    unsigned char before[DIGEST_BYTES], after[DIGEST_BYTES];
    struct err err = { 0 };
    uint32_t n = 0;
    int rc;

    do {
        cr_assert_lt(n, TRIES_MAX, "never full");
        play_digest(play, before);
        rc = put_chunk(play, batch, ++n, &err);
    } while (rc == 0);
    cr_expect_eq(rc, E_FULL, "%s", err.msg);
    cr_expect(strstr(err.msg, "the hard limit, for more drafts, is 1.9 MiB "
                              "(95 % of store_bytes_max); purge batches, or "
                              "raise store_bytes_max"),
              "%s", err.msg);
    play_digest(play, after);
    cr_expect(memcmp(before, after, DIGEST_BYTES) == 0,
              "what was refused left something");
    return n - 1;
}

/* Ends a request with a long reply. */
static int
finish_long(struct play *play, uint64_t id, struct err *err)
{
    struct request request = play_get_request(play, id);
    struct outcome outcome = { .status = STATUS_OK,
                               .cost_nano = OUTCOME_UNKNOWN,
                               .reply_bytes = REPLY_BYTES };
    char *reply = calloc(1, REPLY_BYTES);

    /* A text that does not get shorter. */
    for (size_t i = 0; i < REPLY_BYTES; i++)
        reply[i] = (char)rand();
    play_begin(play);
    store_finish(play->store, &request, &outcome, NULL,
                 (struct reply){ .text = { reply, REPLY_BYTES } },
                 play->now_ms);
    free(reply);
    return store_commit(play->store, err);
}

CLAIM(full_store_refuses_drafts_and_ends_what_it_has)
{
    struct play_draft draft = { .id = "a", .word = "z" };
    uint64_t batch, open, ids[2];
    struct draft result;
    char text[RESULT_TEXT_BYTES];

    make_small(play);
    batch = play_batch(play, "k1", "x y");
    open = play_open(play, "k2");
    cr_assert_eq(play_claim(play, batch, ids, 2), 2);
    cr_expect_gt(fill(play, open), SMALL_BYTES / BODY_BYTES / 2);
    cr_expect_lt(usage(play).bytes, usage(play).bytes_hard);
    /* Answers, retries and cancels are no new drafts. */
    play_finish(play, ids[0], STATUS_OK, "answer");
    cr_expect_neq(next_result(play, batch, 0, &result, text), 0);
    cr_expect_str_eq(text, "answer");
    play_finish(play, ids[1], STATUS_SERVER_ERROR, "essence");
    expect_state(play, batch, BATCH_FINISHED);
    play_retry(play, batch, 1u << STATUS_SERVER_ERROR);
    play_due(play, 10);
    play_cancel(play, batch);
    play_due(play, 10);
    if (play->kind == PLAY_LMDB)
        make_small(play);
    cr_expect_not(admits_batch(play, NULL));
    /* When something goes, there is room again. */
    play_abort(play, open, true);
    play_due(play, 10);
    cr_expect(admits_batch(play, NULL));
    open = play_open(play, "k2");
    play_add(play, open, &draft, 1);
    cr_expect_eq(draft.disposition, DRAFT_NEW);
}

/* The soft limit is for new batches; what is open goes on to the hard one. */
CLAIM(soft_limit_refuses_batches_before_the_hard_one_refuses_chunks)
{
    struct err err = { 0 };
    uint64_t open;
    uint32_t n = 0, soft = 0;

    make_small(play);
    open = play_open(play, "k");
    while (put_chunk(play, open, ++n, &err) == 0) {
        struct store_usage now = usage(play);

        cr_assert_lt(n, TRIES_MAX, "never full");
        cr_expect_eq(admits_batch(play, &err),
                     now.bytes + now.bytes_promised <= now.bytes_soft);
        if (soft == 0 && !admits_batch(play, &err))
            soft = n;
    }
    cr_assert_neq(soft, 0);
    cr_expect_gt(n - 1, soft, "no chunk between the limits");
    admits_batch(play, &err);
    cr_expect(strstr(err.msg, "the soft limit, for new batches, is 1.7 MiB "
                              "(85 % of store_bytes_max)"),
              "%s", err.msg);
    /* Both can be chosen. */
    store_set_marks(play->store, 100, 100);
    cr_expect(admits_batch(play, &err));
    cr_expect_eq(put_chunk(play, open, n, &err), 0, "%s", err.msg);
    store_set_marks(play->store, 10, 20);
    cr_expect_not(admits_batch(play, &err));
    cr_expect_eq(put_chunk(play, open, n + 1, &err), E_FULL);
}

/* Room for a result is kept from the moment a draft is accepted. */
CLAIM(what_a_full_store_accepted_can_all_be_answered)
{
    enum { DRAFTS = 3000 };
    struct play_draft *drafts = calloc(DRAFTS, sizeof(*drafts));
    struct outcome outcome = { .status = STATUS_OK,
                               .cost_nano = OUTCOME_UNKNOWN,
                               .reply_bytes = STORE_RESULT_BYTES / 2 };
    char reply[STORE_RESULT_BYTES / 2] = { 0 }, names[DRAFTS][8];
    struct err err = { 0 };
    uint64_t batch, id;
    int count = 0, done = 0;

    make_small(play);
    batch = play_open(play, "k");
    for (int i = 0; i < DRAFTS; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "d%d", i);
        drafts[i] = (struct play_draft){ .id = names[i], .word = names[i] };
    }
    for (; count < DRAFTS; count += 10) {
        int rc;

        play_begin(play);
        rc = store_admit_chunk(play->store, 500, 10, &err);
        store_abort(play->store);
        if (rc < 0)
            break;
        play_add(play, batch, drafts + count, 10);
    }
    cr_assert_gt(count, 500);
    cr_assert_lt(count, DRAFTS, "never full");
    cr_expect_eq(usage(play).bytes_promised,
                 (uint64_t)count * STORE_RESULT_BYTES);
    play_seal(play, batch);
    while (play_claim(play, batch, &id, 1) == 1) {
        struct request request = play_get_request(play, id);

        cr_assert(may_lease(play), "after %d results", done);
        play_begin(play);
        store_finish(play->store, &request, &outcome, NULL,
                     (struct reply){ .text = { reply, sizeof(reply) } },
                     play->now_ms);
        cr_assert_eq(store_commit(play->store, &err), 0, "%s", err.msg);
        done++;
    }
    cr_expect_eq(done, count);
    expect_state(play, batch, BATCH_FINISHED);
    cr_expect_eq(usage(play).bytes_promised, 0);
    free(drafts);
}

CLAIM(reserve_that_is_used_up_can_still_be_freed)
{
    enum { WORDS = 60 };
    struct buf words = { 0 };
    uint64_t batch, open, ids[WORDS];
    unsigned char before[DIGEST_BYTES], after[DIGEST_BYTES];
    struct err err = { 0 };
    int rc = 0, at;

    make_small(play);
    for (int i = 0; i < WORDS; i++)
        buf_addf(&words, "w%d ", i);
    batch = play_batch(play, "k1", words.data);
    open = play_open(play, "k2");
    cr_assert_eq(play_claim(play, batch, ids, WORDS), WORDS);
    fill(play, open);
    for (at = 0; rc == 0; at++) {
        cr_assert_lt(at, WORDS, "never full");
        play_digest(play, before);
        rc = finish_long(play, ids[at], &err);
    }
    at--;
    cr_expect_gt(at, 10, "no reserve");
    cr_expect_eq(rc, E_FULL, "%s", err.msg);
    cr_expect_not(may_lease(play), "no room, and yet it goes on");
    play_digest(play, after);
    cr_expect(memcmp(before, after, DIGEST_BYTES) == 0);
    /* Reading goes on; the batch can be cancelled, the open one dropped. */
    expect_status(play, batch, (uint32_t)at - 1, STATUS_OK);
    play_check(play);
    play_cancel(play, batch);
    play_due(play, 10);
    expect_status(play, batch, (uint32_t)at, STATUS_CANCELLED);
    play_abort(play, open, true);
    play_due(play, 10);
    /* LMDB uses what a transaction freed in the next but one. */
    play_open(play, "k3");
    cr_expect_eq(finish_long(play, ids[at], &err), 0, "%s", err.msg);
    cr_expect_eq(store_reserve(play->store, 1000, &err), 0, "%s", err.msg);
    buf_fini(&words);
}

CLAIM(full_store_opens_and_reserves_memory)
{
    struct err err = { 0 };
    uint64_t open;

    make_small(play);
    open = play_open(play, "k");
    fill(play, open);
    if (play->kind == PLAY_LMDB)
        make_small(play);
    cr_expect_eq(store_reserve(play->store, 100000, &err), 0, "%s", err.msg);
    play_check(play);
}
