/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* Puts a body without drafts into an open batch, as chunk n. */
static int
put_body(struct play *play, uint64_t batch, uint32_t n, struct err *err)
{
    struct chunk chunk = { .n = n };
    char *body = calloc(1, BODY_BYTES);
    struct batch record = play_get_batch(play, batch);

    record.chunk_next = n + 1;
    play_begin(play);
    store_body_put(play->store, batch, n, (struct slice){ body, BODY_BYTES });
    store_chunk_put(play->store, batch, &chunk);
    store_batch_put(play->store, &record, play->now_ms);
    free(body);
    return store_commit(play->store, err);
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
        rc = put_body(play, batch, ++n, &err);
    } while (rc == 0);
    cr_expect_eq(rc, E_FULL, "%s", err.msg);
    cr_expect(strstr(err.msg, "the store is full"), "%s", err.msg);
    play_digest(play, after);
    cr_expect(memcmp(before, after, DIGEST_BYTES) == 0,
              "what was refused left something");
    return n - 1;
}

static bool
is_full(struct play *play)
{
    bool is_full;

    play_begin(play);
    is_full = store_is_full(play->store);
    store_abort(play->store);
    return is_full;
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

    play_begin(play);
    store_finish(play->store, &request, &outcome,
                 (struct slice){ reply, REPLY_BYTES }, play->now_ms);
    free(reply);
    return store_commit(play->store, err);
}

CLAIM(full_store_refuses_drafts_and_ends_what_it_has)
{
    struct play_draft draft = { .id = "a", .word = "z" };
    struct err err = { 0 };
    uint64_t batch, open, ids[2];
    struct draft result;
    char text[RESULT_TEXT_BYTES];

    make_small(play);
    batch = play_batch(play, "k1", "x y");
    open = play_open(play, "k2");
    cr_assert_eq(play_claim(play, batch, ids, 2), 2);
    cr_expect_not(is_full(play));
    cr_expect_gt(fill(play, open), SMALL_BYTES / BODY_BYTES / 2);
    cr_expect(is_full(play));
    play_begin(play);
    store_batch_add(play->store, &(struct batch){ .chunk_next = 1 },
                    &(struct spec){ .key = slice_of("k3") });
    cr_expect_eq(store_commit(play->store, &err), E_FULL);
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
    cr_expect(is_full(play));
    /* When something goes, there is room again. */
    play_abort(play, open, true);
    play_due(play, 10);
    cr_expect_not(is_full(play));
    open = play_open(play, "k2");
    play_add(play, open, &draft, 1);
    cr_expect_eq(draft.disposition, DRAFT_NEW);
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
