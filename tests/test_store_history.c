/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "store/verify.h"
#include "tests/rot.h"

/* Seeded histories of all that the broker does with a store, on both engines:
 * after each step all invariants hold, and at the end both engines hold the
 * same rows, and every draft has ended. */
#define SEEDS       12
#define STEPS       250
#define BATCHES_MAX 40
#define WORDS       10
#define CHUNK_MAX   8
#define CLAIM_MAX   6
#define DRAIN_MAX   1000
#define MINUTE_MS   60000
#define ROTS_MAX    12
#define ROWS_MAX    40 /* of a table, of which one is damaged */

struct history {
    struct play play;
    uint64_t random; /* state of the generator */
    uint64_t batches[BATCHES_MAX];
    uint32_t batch_count;
    uint32_t id; /* the next new draft's */
    uint64_t mended;
};

/* xorshift: the same numbers everywhere. */
static uint32_t
pick(struct history *history, uint32_t below)
{
    history->random ^= history->random << 13;
    history->random ^= history->random >> 7;
    history->random ^= history->random << 17;
    return (uint32_t)(history->random >> 33) % below;
}

static bool
one_in(struct history *history, uint32_t count)
{
    return pick(history, count) == 0;
}

static enum batch_state
state_of(struct history *history, uint64_t id, bool *is_there)
{
    struct batch batch = { .state = BATCH_ABANDONED };

    play_begin(&history->play);
    *is_there = store_batch_get(history->play.store, id, &batch) == 0;
    store_abort(history->play.store);
    return batch.state;
}

/* A batch in one of some states (1u << state); 0 if the dice find none. */
static uint64_t
pick_batch(struct history *history, uint32_t states)
{
    for (int i = 0; i < 10 && history->batch_count > 0; i++) {
        uint64_t id = history->batches[pick(history, history->batch_count)];
        bool is_there;
        enum batch_state state = state_of(history, id, &is_there);

        if (is_there && (states & 1u << state))
            return id;
    }
    return 0;
}

#define ALL_STATES UINT32_MAX
#define LIVE       (1u << BATCH_OPEN | 1u << BATCH_SEALED)

/* A request in one of some states; 0 if the dice find none. */
static uint64_t
pick_request(struct history *history, uint32_t states)
{
    for (int i = 0; i < 10; i++) {
        uint64_t batch = pick_batch(history, ALL_STATES), found = 0;
        struct request request;
        struct draft draft;
        uint32_t count;

        if (batch == 0)
            return 0;
        count = play_get_batch(&history->play, batch).draft_count;
        if (count == 0)
            continue;
        play_begin(&history->play);
        if (store_draft_get(history->play.store, batch, pick(history, count),
                            &draft) == 0 &&
            store_request_get(history->play.store, draft.request, &request) ==
                0 &&
            (states & 1u << request.state)) {
            found = request.id;
        }
        store_abort(history->play.store);
        if (found)
            return found;
    }
    return 0;
}

static const char *
pick_word(struct history *history)
{
    static const char *const words[WORDS] = { "ant",  "bee", "cat", "dog",
                                              "eel",  "fox", "gnu", "hen",
                                              "ibis", "jay" };

    return words[pick(history, WORDS)];
}

/* ---- steps ---- */

static void
step_open(struct history *history)
{
    char key[16];

    if (history->batch_count == BATCHES_MAX)
        return;
    snprintf(key, sizeof(key), "key %u", history->batch_count);
    history->batches[history->batch_count++] = play_open(&history->play, key);
}

static void
step_add(struct history *history)
{
    uint64_t batch = pick_batch(history, 1u << BATCH_OPEN);
    uint32_t count = 1 + pick(history, CHUNK_MAX);
    struct play_draft drafts[CHUNK_MAX] = { 0 };
    char ids[CHUNK_MAX][16];

    if (batch == 0)
        return;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t id = history->id;

        if (one_in(history, 10)) {
            drafts[i].id = NULL; /* refused */
            continue;
        }
        /* Now and then one that may be there already. */
        if (one_in(history, 6) && id > 0)
            id = pick(history, id);
        else
            history->id++;
        snprintf(ids[i], sizeof(ids[i]), "%u", id);
        drafts[i] =
            (struct play_draft){ .id = ids[i], .word = pick_word(history) };
    }
    play_add(&history->play, batch, drafts, count);
}

static void
step_seal(struct history *history)
{
    uint64_t id = pick_batch(history, 1u << BATCH_OPEN);
    struct batch batch;

    if (id == 0)
        return;
    batch = play_get_batch(&history->play, id);
    if (batch.refused_count < batch.draft_count)
        play_seal(&history->play, id);
    else if (one_in(history, 2))
        play_abort(&history->play, id, true);
}

static void
step_abort(struct history *history)
{
    uint64_t id = pick_batch(history, 1u << BATCH_OPEN);

    if (id != 0 && one_in(history, 3))
        play_abort(&history->play, id, one_in(history, 2));
}

static void
step_claim(struct history *history)
{
    uint64_t id = pick_batch(history, LIVE), requests[CLAIM_MAX];

    if (id != 0)
        play_claim(&history->play, id, requests, 1 + pick(history, CLAIM_MAX));
}

static void
step_finish(struct history *history)
{
    static const enum status failures[] = { STATUS_RATE_LIMITED,
                                            STATUS_BAD_REQUEST,
                                            STATUS_SERVER_ERROR, STATUS_ERROR };
    bool is_late = one_in(history, 4);
    uint64_t id =
        pick_request(history, is_late ? ALL_STATES : 1u << REQUEST_LEASED);

    if (id == 0)
        return;
    if (one_in(history, 2))
        play_finish(&history->play, id, STATUS_OK, "an answer");
    else
        play_finish(&history->play, id, failures[pick(history, 4)],
                    "an essence");
}

static void
step_put_back(struct history *history)
{
    uint64_t id = pick_request(history, 1u << REQUEST_LEASED);

    if (id == 0)
        return;
    if (one_in(history, 2))
        play_release(&history->play, id);
    else
        play_delay(&history->play, id,
                   history->play.now_ms + pick(history, 2 * MINUTE_MS));
}

static void
step_end(struct history *history)
{
    uint64_t id = pick_batch(history, 1u << BATCH_SEALED);

    if (id == 0 || !one_in(history, 3))
        return;
    if (one_in(history, 2))
        play_cancel(&history->play, id);
    else
        play_expire(&history->play, id);
}

static void
step_retry(struct history *history)
{
    uint64_t id =
        pick_batch(history, 1u << BATCH_SEALED | 1u << BATCH_FINISHED |
                                1u << BATCH_EXPIRED);

    if (id != 0)
        play_retry(&history->play, id, pick(history, 1u << STATUS_COUNT));
}

static void
step_due(struct history *history)
{
    history->play.now_ms += pick(history, MINUTE_MS);
    play_due(&history->play, 1 + pick(history, 8));
}

/* The memory tier says something, true or not; answers grow old. */
static void
step_cache(struct history *history)
{
    struct play *play = &history->play;
    uint32_t slot = pick(history, PLAY_MEMORY_MAX);

    play_key(pick_word(history), play->keys[slot]);
    play->requests[slot] = pick(history, 60);
    play->memory_count = pick(history, PLAY_MEMORY_MAX);
    play->cached_after_ms = play->now_ms - pick(history, 10 * MINUTE_MS);
}

/* A transaction that is forgotten, or a restart. */
static void
step_forget(struct history *history)
{
    struct play *play = &history->play;
    uint64_t id = pick_request(history, 1u << REQUEST_LEASED);
    struct request request;

    if (id == 0) {
        play_reopen(play);
        return;
    }
    request = play_get_request(play, id);
    play_begin(play);
    store_release(play->store, &request);
    (void)store_group_next(play->store);
    store_abort(play->store);
}

static void
step(struct history *history)
{
    typedef void step_fn(struct history * history);
    static const struct {
        step_fn *take;
        uint32_t weight;
    } steps[] = {
        { step_open, 4 },     { step_add, 14 },   { step_seal, 6 },
        { step_abort, 2 },    { step_claim, 14 }, { step_finish, 18 },
        { step_put_back, 8 }, { step_end, 5 },    { step_retry, 8 },
        { step_due, 16 },     { step_cache, 3 },  { step_forget, 2 },
    };
    uint32_t at = pick(history, 100);

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (at < steps[i].weight) {
            steps[i].take(history);
            return;
        }
        at -= steps[i].weight;
    }
}

/* ---- the end of a history ---- */

static bool
finish_leases(struct play *play)
{
    struct lease lease = { 0 };
    int rc;

    play_begin(play);
    rc = store_lease_after(play->store, 0, &lease);
    store_abort(play->store);
    if (rc == 0)
        play_finish(play, lease.request, STATUS_OK, "the last answer");
    return rc == 0;
}

static bool
drain_once(struct history *history)
{
    struct play *play = &history->play;
    bool is_busy = play_due(play, DRAIN_MAX) > 0;

    is_busy |= finish_leases(play);
    for (uint32_t i = 0; i < history->batch_count; i++) {
        uint64_t id = history->batches[i], requests[CLAIM_MAX];
        bool is_there;
        enum batch_state state = state_of(history, id, &is_there);

        if (!is_there)
            continue;
        if (state == BATCH_OPEN)
            play_abort(play, id, false);
        is_busy |= state == BATCH_OPEN;
        if (state == BATCH_SEALED)
            is_busy |= play_claim(play, id, requests, CLAIM_MAX) > 0;
    }
    return is_busy;
}

/* What nobody did not pay for, nobody else did. */
static void
check_costs(struct history *history)
{
    int64_t sum = 0;

    for (uint32_t i = 0; i < history->batch_count; i++) {
        bool is_there;

        (void)state_of(history, history->batches[i], &is_there);
        if (is_there) {
            struct batch batch =
                play_get_batch(&history->play, history->batches[i]);

            sum += batch.cost_nano > 0 ? batch.cost_nano : 0;
        }
    }
    cr_assert_leq(sum, history->play.spent_nano);
}

static void
drain(struct history *history)
{
    struct play *play = &history->play;
    int count = 0;

    /* Two minutes are enough for what is delayed, and no deadline. */
    for (play->now_ms += 2 * MINUTE_MS; drain_once(history); count++)
        cr_assert_lt(count, DRAIN_MAX, "it never ends");
    play_check(play);
    for (uint32_t i = 0; i < history->batch_count; i++) {
        bool is_there;
        enum batch_state state =
            state_of(history, history->batches[i], &is_there);

        cr_assert(!is_there || !(LIVE & 1u << state), "batch %llu is %s",
                  (unsigned long long)history->batches[i],
                  batch_state_name(state));
    }
    check_costs(history);
}

/* Rows of indexes are lost, changed and invented. */
static void
ravage(struct history *history)
{
    static const enum table tables[] = {
        TABLE_UUID,    TABLE_CLIENT_KEY, TABLE_NAME,  TABLE_KEY_LOG,
        TABLE_KEY_SET, TABLE_REF,        TABLE_READY, TABLE_TIMER,
        TABLE_RESULT,  TABLE_DONE,       TABLE_LEASE, TABLE_KEY_CELL,
    };
    uint32_t count = 1 + pick(history, ROTS_MAX);

    for (uint32_t i = 0; i < count; i++) {
        enum table table =
            tables[pick(history, sizeof(tables) / sizeof(tables[0]))];
        enum rot how = (enum rot)pick(history, ROT_COUNT);

        (void)rot_row(history->play.store, table, pick(history, ROWS_MAX), how,
                      pick(history, UINT16_MAX));
    }
}

static void
repair(struct history *history)
{
    struct buf report = { 0 };
    struct verify verify = { .report = &report,
                             .open_ttl_ms = 1440 * (int64_t)MINUTE_MS };
    struct err err = { 0 };

    cr_assert_eq(store_repair(history->play.store, &verify, &err), 0, "%s",
                 err.msg);
    cr_assert_eq(verify.findings, 0, "%s", report.data);
    history->mended += verify.mended;
    buf_fini(&report);
}

/* A history in which the indexes are damaged now and then, and repaired: the
 * store is whole after that, and all goes on to its end. */
static void
suffer(uint64_t seed, enum play_kind kind, unsigned char digest[DIGEST_BYTES])
{
    struct history history = { .random = seed * 0x9e3779b97f4a7c15u };

    play_start(&history.play, kind);
    for (int i = 0; i < STEPS; i++) {
        step(&history);
        if (!one_in(&history, 10))
            continue;
        ravage(&history);
        repair(&history);
    }
    drain(&history);
    cr_assert_gt(history.mended, 0);
    play_digest(&history.play, digest);
    play_end(&history.play);
}

static void
live(uint64_t seed, enum play_kind kind, unsigned char digest[DIGEST_BYTES])
{
    struct history history = { .random = seed * 0x9e3779b97f4a7c15u };

    play_start(&history.play, kind);
    for (int i = 0; i < STEPS; i++) {
        step(&history);
        play_check(&history.play);
    }
    drain(&history);
    play_digest(&history.play, digest);
    play_end(&history.play);
}

Test(store_history, both_engines_live_through_the_same, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        unsigned char lmdb[DIGEST_BYTES], memory[DIGEST_BYTES];

        live(seed, PLAY_MEMORY, memory);
        live(seed, PLAY_LMDB, lmdb);
        cr_expect(memcmp(lmdb, memory, sizeof(lmdb)) == 0,
                  "seed %llu: the engines differ", (unsigned long long)seed);
    }
}

Test(store_history, it_goes_on_after_its_indexes_were_damaged_and_repaired,
     .timeout = 120)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        unsigned char lmdb[DIGEST_BYTES], memory[DIGEST_BYTES];

        suffer(seed, PLAY_MEMORY, memory);
        suffer(seed, PLAY_LMDB, lmdb);
        cr_expect(memcmp(lmdb, memory, sizeof(lmdb)) == 0,
                  "seed %llu: the engines differ", (unsigned long long)seed);
    }
}
