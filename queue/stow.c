/* SPDX-License-Identifier: MIT */
#include "queue/stow.h"

#include <assert.h>

/* Refuses line n of the chunk, from 0. */
static void
refuse(const struct stowing *stowing, uint32_t n, struct line_fault fault)
{
    struct broker *broker = stowing->broker;
    struct refusal refusal = { .index = stowing->chunk->index_first + n,
                               .line = n + 1 };

    stowing->chunk->refused++;
    broker->counters.drafts_refused++;
    if (stowing->batch->refused_count++ >= stowing->kept_max)
        return;
    if (stowing->reword)
        stowing->reword(&fault);
    refusal.field = slice_of(fault.field);
    refusal.code = slice_of(fault.code);
    refusal.message = slice_of(fault.message);
    if (stowing->file_lines)
        refusal.file_line = stowing->file_lines[n];
    store_refusal_add(broker->env.store, stowing->batch->id, &refusal);
}

static void
add_duplicates(const struct stowing *stowing, const struct gathering *gathering)
{
    static const struct line_fault duplicate = {
        .code = "duplicate_id",
        .field = "id",
        .message = "an earlier draft of the batch has the same id"
    };

    for (size_t i = 0; i < gathering->count; i++) {
        const struct new_draft *draft = &gathering->drafts[i];

        if (draft->disposition == DRAFT_DUPLICATE_ID) {
            refuse(stowing, draft->draft.index - stowing->chunk->index_first,
                   duplicate);
        }
    }
}

static void
count_dispositions(const struct stowing *stowing,
                   const struct gathering *gathering)
{
    struct counters *counters = &stowing->broker->counters;

    counters->chunks++;
    counters->drafts_accepted += stowing->chunk->accepted;
    counters->drafts_joined += stowing->chunk->joined;
    for (size_t i = 0; i < gathering->count; i++) {
        if (gathering->drafts[i].disposition != DRAFT_CACHED)
            continue;
        if (gathering->drafts[i].draft.tier == CACHE_MEMORY)
            counters->cache_memory_hits++;
        else
            counters->cache_store_hits++;
    }
}

/* Gives the drafts their batch, their indexes and their ids. */
static void
place(const struct stowing *stowing, struct gathering *gathering)
{
    const char *id = gathering->ids.data;

    for (size_t i = 0; i < gathering->count; i++) {
        struct new_draft *draft = &gathering->drafts[i];

        draft->draft.batch = stowing->batch->id;
        draft->draft.index += stowing->chunk->index_first;
        draft->id.data = id;
        id += draft->id.bytes;
    }
}

int
stow_gathering(const struct stowing *stowing, struct gathering *gathering,
               int64_t now_ms)
{
    struct broker *broker = stowing->broker;
    struct store *store = broker->env.store;
    struct batch *batch = stowing->batch;
    struct chunk *chunk = stowing->chunk;
    struct intake intake = core_intake(broker, now_ms);
    int rc;

    assert(gathering->parts.count > 0);
    assert(gathering->next == chunk->draft_count);
    assert(gathering->count + gathering->fault_count == gathering->next);
    for (size_t i = 0; i < gathering->fault_count; i++) {
        refuse(stowing, gathering->faults[i].n, gathering->faults[i].fault);
    }
    place(stowing, gathering);
    store_body_put(store, batch->id, chunk, &gathering->parts,
                   gathering->drafts, gathering->count);
    rc = store_drafts_add(store, batch, chunk, gathering->drafts,
                          gathering->count, &intake);
    if (rc < 0)
        return rc;
    add_duplicates(stowing, gathering);
    count_dispositions(stowing, gathering);
    batch->chunk_next++;
    batch->draft_count += chunk->draft_count;
    store_chunk_put(store, batch->id, chunk);
    if (chunk->cached)
        broker->has_results = true;
    return 0;
}
