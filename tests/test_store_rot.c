/* Bits that rot within a store: found, and survived. */
/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "tests/rot.h"
#include "tests/store_expect.h"

#define FLIPS    3 /* of each row */
#define ROWS_MAX 100

/* What a result showed before anything rotted. */
struct shown {
    uint64_t seq;
    char line[64], shown[64]; /* its reply, or essence */
};

/* All results, and how many rows were named as damaged. */
struct reading {
    struct shown shown[ROWS_MAX];
    size_t count, damaged;
};

static void
copy_text(char out[64], struct slice text)
{
    cr_assert_lt(text.bytes, 64);
    snprintf(out, 64, "%.*s", (int)text.bytes, text.data ? text.data : "");
}

static void
read_results(struct play *play, struct reading *reading, uint64_t batch)
{
    struct result_row row = { 0 };
    uint64_t seq = 0;
    int rc;

    while ((rc = store_result_after(play->store, batch, seq, &row)) !=
           E_NOTFOUND) {
        struct shown *shown = &reading->shown[reading->count];

        cr_assert_gt(row.draft.seq, seq, "no way to go on");
        seq = row.draft.seq;
        reading->damaged += rc == E_CORRUPT;
        if (rc < 0)
            continue;
        cr_assert_lt(reading->count++, ROWS_MAX);
        shown->seq = seq;
        copy_text(shown->line, row.line);
        copy_text(shown->shown, row.has_outcome ? row.reply : row.essence);
    }
}

/* All that is given out of the store, by whatever way. */
static struct reading
read_all(struct play *play)
{
    struct reading reading = { 0 };
    struct batch batch = { 0 };
    int rc;

    while ((rc = store_batch_after(play->store, batch.id, &batch)) !=
           E_NOTFOUND) {
        struct refusal refusal = { 0 };
        struct spec spec;

        reading.damaged += rc == E_CORRUPT;
        reading.damaged +=
            store_spec_get(play->store, batch.id, &spec) == E_CORRUPT;
        for (; (rc = store_refusal_next(play->store, batch.id, refusal.index,
                                        &refusal)) != E_NOTFOUND;
             refusal.index++) {
            reading.damaged += rc == E_CORRUPT;
        }
        read_results(play, &reading, batch.id);
    }
    read_results(play, &reading, 0);
    return reading;
}

/* What is given out is what was there before, or is left out. */
static void
compare(const struct reading *now, const struct reading *before)
{
    for (size_t i = 0; i < now->count; i++) {
        const struct shown *got = &now->shown[i], *want = before->shown;

        while (want->seq != got->seq)
            cr_assert_lt(++want - before->shown, (int)before->count,
                         "a result %llu out of nothing",
                         (unsigned long long)got->seq);
        cr_expect(!*got->line || strcmp(got->line, want->line) == 0,
                  "got %s, want %s", got->line, want->line);
        cr_expect(!*got->shown || strcmp(got->shown, want->shown) == 0,
                  "got %s, want %s", got->shown, want->shown);
    }
}

/* The broker's work on a store that may be damaged: it must not end here. */
static void
exercise(struct play *play)
{
    struct lease terms = { .granted_ms = play->now_ms }, lease = { 0 };
    struct outcome outcome = { .status = STATUS_SERVER_ERROR,
                               .cost_nano = OUTCOME_UNKNOWN };
    struct request requests[8];
    struct batch batch = { 0 };
    struct timer timer;
    struct worker_row worker;

    while (store_batch_after(play->store, batch.id, &batch) != E_NOTFOUND) {
        struct place at = { 0 };
        size_t count = 0;

        if (store_ready_next(play->store, batch.id, &at) == 0)
            count = store_claim(play->store, batch.id, at, &terms, requests, 8);
        for (size_t i = 0; i < count; i++) {
            if (i % 3 == 0)
                store_release(play->store, &requests[i]);
            else if (i % 3 == 1)
                store_delay(play->store, &requests[i], play->now_ms + 1);
        }
    }
    for (int i = 0; i < 100; i++) {
        int rc = store_lease_after(play->store, lease.request, &lease);

        if (rc == E_NOTFOUND)
            break;
        if (store_request_get(play->store, lease.request, &requests[0]) == 0 &&
            requests[0].state == REQUEST_LEASED) {
            store_finish(play->store, &requests[0], &outcome, NULL,
                         (struct reply){ 0 }, play->now_ms);
        }
    }
    (void)store_timer_first(play->store, &timer);
    (void)store_worker_after(play->store, NULL, &worker);
}

static void
essence(void *context, const struct draft *draft, struct slice line,
        struct buf *out)
{
    (void)context;
    (void)draft;
    buf_add_slice(out, line);
}

static void
cancelled(void *context, const struct request *request)
{
    (void)context;
    (void)request;
}

static uint64_t
recall(void *context, const unsigned char *key)
{
    (void)context;
    (void)key;
    return 0;
}

/* Retries, ends and drops each batch. */
static void
sweep_all(struct play *play)
{
    struct intake intake = { .now_ms = play->now_ms, .recall = recall };
    struct ending ending = { .status = STATUS_EXPIRED,
                             .now_ms = play->now_ms,
                             .essence = essence,
                             .cancelled = cancelled };
    struct batch batch = { 0 };

    for (int rc; (rc = store_batch_after(play->store, batch.id, &batch)) !=
                 E_NOTFOUND;) {
        struct cursor cursor = { 0 };
        uint32_t index = 0;

        if (rc < 0)
            continue;
        (void)store_retry_drafts(play->store, &batch, &index, UINT32_MAX,
                                 &intake);
        batch.state = BATCH_EXPIRED;
        index = 0;
        (void)store_end_drafts(play->store, &batch, &index, &ending);
        store_batch_put(play->store, &batch, play->now_ms);
        batch.state = BATCH_ABANDONED;
        (void)store_drop_drafts(play->store, &batch, &cursor, true, NULL);
    }
}

/* The next row of a table behind a key; its value is copied. */
static bool
next_row(struct play *play, enum table table, struct key *key,
         struct buf *value)
{
    struct slice found, raw;

    if (play->store->engine->ops->seek(play->store->engine, table,
                                       key_slice(key), &found, &raw) < 0) {
        return false;
    }
    *key = key_bytes(key_start(), found.data, found.bytes);
    buf_reset(value);
    buf_add_slice(value, raw);
    return true;
}

/* Flips a bit of a row; true if reading the row as a record finds it. */
static bool
flip(struct play *play, enum table table, struct key key, struct buf *value,
     size_t bit)
{
    struct record record;

    value->data[bit / 8] ^= (char)(1 << bit % 8);
    cr_assert_eq(play->store->engine->ops->put(play->store->engine, table,
                                               key_slice(&key),
                                               buf_slice(value)),
                 0);
    if (table == TABLE_SPAN) {
        struct slice at = key_slice(&key);
        uint32_t slot = (uint32_t)(bit / 8 / SPAN_SLOT_BYTES);

        return span_get(play->store, key_get_u64(at, 0),
                        key_get_u32(at, 8) + slot, &record) == E_CORRUPT;
    }
    return table_get(play->store, table, key, &record) == E_CORRUPT;
}

/* Flips bits of one row after the other, each in a transaction that is
 * forgotten. How many rows, and how often something was named or missing. */
static size_t
flip_table(struct play *play, enum table table, const struct reading *before,
           size_t *noticed)
{
    struct key key = key_start();
    struct buf value = { 0 };
    size_t count = 0;

    for (;; count++) {
        struct reading now;

        play_begin(play);
        if (count % FLIPS == 0 && key.count)
            key = key_u8(key, 0); /* the next key there can be */
        if (!next_row(play, table, &key, &value))
            break;
        cr_expect(flip(play, table, key, &value,
                       (count * 7919 + key.bytes[key.count - 1] * 31) %
                           (value.bytes * 8)),
                  "a flip in %s was not found", table_name(table));
        now = read_all(play);
        compare(&now, before);
        *noticed += now.damaged > 0 || now.count < before->count;
        exercise(play);
        sweep_all(play);
        store_abort(play->store);
    }
    store_abort(play->store);
    buf_fini(&value);
    return count / FLIPS;
}

Test(store_rot, flipped_bits_are_found_and_survived, .timeout = 120)
{
    struct reading before;
    struct play play;
    size_t noticed = 0;

    rot_furnish(&play);
    play_begin(&play);
    before = read_all(&play);
    store_abort(play.store);
    cr_assert_eq(before.damaged, 0);
    cr_assert_geq(before.count, 8);
    for (enum table table = TABLE_BATCH; table < TABLE_COUNT; table++) {
        cr_expect_gt(flip_table(&play, table, &before, &noticed), 0,
                     "no rows in %s", table_name(table));
    }
    cr_expect_gt(noticed, 50);
    play_end(&play);
}
