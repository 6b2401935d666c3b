/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "queue/window.h"
#include "store/verify.h"
#include "tests/sim/fair.h"
#include "tests/sim/world.h"

#define EVERY_TURNS     16 /* the whole store is looked at */
#define EVERY_BUSY      32 /* on a busy day, when there is more in it */
#define EVERY_HISTORIES 50 /* after each turn of one in so many */

/* ---- results ---- */

struct seen_batch *
judge_batch(struct world *world, uint64_t id)
{
    struct judge *judge = &world->judge;

    for (size_t i = 0; i < judge->batch_count; i++) {
        if (judge->batches[i].id == id)
            return &judge->batches[i];
    }
    if (judge->batch_count == judge->batch_capacity) {
        judge->batch_capacity = judge->batch_capacity * 2 + 8;
        judge->batches = mem_grow(judge->batches, judge->batch_capacity,
                                  sizeof(judge->batches[0]));
    }
    judge->batches[judge->batch_count] = (struct seen_batch){ .id = id };
    return &judge->batches[judge->batch_count++];
}

/* A result is better than the one before it, and one revision newer. */
static void
check_result(struct world *world, const struct draft *draft)
{
    struct seen *seen;
    bool is_better, is_next;

    if (draft->index >= WORLD_DRAFTS)
        world_fail(world, "a result of draft %u", draft->index);
    seen = &judge_batch(world, draft->batch)->drafts[draft->index];
    is_better = seen->revision == 0 ||
                (draft->status == STATUS_OK && seen->status != STATUS_OK &&
                 seen->status != STATUS_CANCELLED);
    /* A fallback may become an answer within the transaction that stored it. */
    is_next = draft->revision == seen->revision + 1 ||
              (seen->revision == 0 && draft->revision == 2 &&
               draft->status == STATUS_OK);
    if (!is_better || !is_next || draft->seq <= seen->seq) {
        world_fail(world,
                   "draft %llu/%u: %s, revision %u, behind %s, revision "
                   "%u",
                   (unsigned long long)draft->batch, draft->index,
                   status_name(draft->status), draft->revision,
                   status_name((enum status)seen->status), seen->revision);
    }
    *seen = (struct seen){ .revision = draft->revision,
                           .status = draft->status,
                           .seq = draft->seq };
    world->tally.results++;
}

static void
check_results(struct world *world)
{
    struct result_row row;

    while (store_result_after(world->store, 0, world->judge.seq, &row) == 0) {
        check_result(world, &row.draft);
        judge_poison(world, &row);
        models_check(world, &row);
        world->judge.seq = row.draft.seq;
    }
}

/* ---- the whole store ---- */

/* The drafts of a chunk are there as they were sent, and the others refused. */
static void
check_chunk(struct world *world, const struct plan *plan,
            const struct sent_chunk *chunk, uint32_t base)
{
    const char *line = chunk->lines;

    for (int i = 0; i < chunk->line_count; i++) {
        const char *end = strchr(line, '\n');
        uint32_t index = base + (uint32_t)i;
        struct draft draft;
        struct slice stored = { 0 };
        int rc = store_draft_get(world->store, plan->batch, index, &draft);

        if (rc == 0)
            rc = store_draft_line(world->store, &draft, &stored);
        if ((rc == 0) != chunk->is_good[i] ||
            (rc == 0 && (stored.bytes != (size_t)(end - line) ||
                         memcmp(stored.data, line, stored.bytes) != 0))) {
            world_fail(world,
                       "key %d: draft %u was acknowledged, and is not "
                       "as it was sent",
                       plan->number, index);
        }
        line = end + 1;
    }
}

static void
check_plan(struct world *world, struct plan *plan)
{
    struct batch batch;
    uint32_t base = 0, stored = 0;

    if (!*plan->uuid)
        return;
    if (store_batch_find(world->store, plan->uuid_bytes, &batch) < 0) {
        /* It was removed, or kept long enough. */
        plan->may_vanish |= world->conf.results_ttl_ms > 0;
        if (!plan->may_vanish)
            world_fail(world, "the batch of key %d is gone", plan->number);
        return;
    }
    if (batch.state == BATCH_PURGED || batch.state == BATCH_ABANDONED) {
        plan->may_vanish = true;
        return;
    }
    plan->batch = batch.id;
    for (int n = 0; n < plan->chunk_count; n++) {
        const struct sent_chunk *chunk = &plan->chunks[n];

        if (n + 1 < (int)batch.chunk_next)
            stored += (uint32_t)chunk->line_count;
        else if (chunk->is_stored)
            world_fail(world, "key %d: chunk %d is lost", plan->number, n + 1);
        if (chunk->is_stored)
            check_chunk(world, plan, chunk, base);
        base += (uint32_t)chunk->line_count;
    }
    if (stored != batch.draft_count) {
        world_fail(world, "key %d has %u drafts, %u were sent", plan->number,
                   batch.draft_count, stored);
    }
}

/* What a reader has read to its end is what there is. */
static void
check_reader(struct world *world, const struct plan *plan)
{
    struct seen_batch *seen;
    struct batch batch;

    if (plan->batch == 0 ||
        store_batch_get(world->store, plan->batch, &batch) < 0 ||
        batch.state == BATCH_PURGED || batch.state == BATCH_ABANDONED) {
        return;
    }
    seen = judge_batch(world, plan->batch);
    for (uint32_t i = 0; i < WORLD_DRAFTS; i++) {
        if (seen->drafts[i].seq <= (uint64_t)plan->cursor &&
            seen->drafts[i].revision != plan->read[i]) {
            world_fail(world,
                       "the reader of key %d has revision %u of draft "
                       "%u, which has %u",
                       plan->number, plan->read[i], i,
                       seen->drafts[i].revision);
        }
    }
}

static void
check_store(struct world *world)
{
    struct buf report = { 0 };
    struct verify verify = { .report = &report };
    struct err err = { 0 };

    world->tally.checks++;
    if (store_verify(world->store, &verify, &err) < 0)
        world_fail(world, "the store cannot be read: %s", err.msg);
    if (verify.findings > 0)
        world_fail(world, "the store is not whole:\n%s", report.data);
    buf_fini(&report);
    judge_counts(world);
    judge_files(world);
    for (int i = 0; i < world->plan_count; i++)
        check_plan(world, &world->plans[i]);
}

void
judge_commit(struct world *world)
{
    struct judge *judge = &world->judge;
    struct err err = { 0 };

    if (judge->every == 0)
        judge->every = world->seed % EVERY_HISTORIES == 0 ? 1
                       : world->is_busy                   ? EVERY_BUSY
                                                          : EVERY_TURNS;
    if (store_begin(world->store, world->now_ms, &err) < 0)
        world_fail(world, "begin: %s", err.msg);
    judge_waits(world);
    check_results(world);
    judge_opened(world);
    judge_leases(world);
    if (world->is_turning)
        judge_fair(world);
    world->is_turning = false;
    hooks_commit(world);
    if (++judge->turn % judge->every == 0)
        check_store(world);
    store_abort(world->store);
}

void
judge_all(struct world *world)
{
    struct err err = { 0 };

    if (store_begin(world->store, world->now_ms, &err) < 0)
        world_fail(world, "begin: %s", err.msg);
    check_results(world);
    check_store(world);
    for (int i = 0; i < world->plan_count; i++)
        check_reader(world, &world->plans[i]);
    store_abort(world->store);
}

void
judge_free(struct world *world)
{
    window_free(world->judge.window);
    free(world->judge.fair);
    free(world->judge.batches);
    free(world->judge.files);
    free(world->judge.starts);
    free(world->judge.requests);
    hooks_free(world);
}
