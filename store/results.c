/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "store/answer.h"
#include "store/rows.h"
#include "store/segment.h"

void
result_remove(struct store *store, const struct draft *draft)
{
    if (draft->seq != 0)
        table_del(store, TABLE_RESULT, key_id(draft->seq));
}

void
result_order(struct store *store, const struct draft *draft)
{
    record_u64(table_fields(store), draft->batch);
    record_u32(&store->fields, draft->index);
    table_put(store, TABLE_RESULT, key_id(draft->seq));
}

void
result_give(struct store *store, struct batch *batch, struct draft *draft,
            enum status status, int64_t now_ms)
{
    bool is_own = status == STATUS_CANCELLED || status == STATUS_EXPIRED;
    uint64_t former = draft->answered_by;

    assert(draft_improves(draft, status));
    assert(batch->id == draft->batch);
    if (draft->seq != 0) {
        result_remove(store, draft);
        segment_forget(store, batch, draft->seq);
    }
    if (draft->status != STATUS_NONE)
        batch->status_count[draft->status]--;
    if (draft->status == STATUS_EXPIRED)
        table_del(store, TABLE_ESSENCE, key_draft(draft->batch, draft->index));
    batch->status_count[status]++;
    draft->answered_by = is_own ? 0 : draft->request;
    draft->seq = ++store->ids.seq;
    draft->revision++;
    draft->status = status;
    draft->completed_ms = now_ms;
    segment_grow(store, batch, draft->seq);
    draft_put(store, draft);
    result_order(store, draft);
    if (store->given)
        store->given(store->given_context, draft);
    if (former != 0 && former != draft->request)
        request_leave(store, former, draft);
}

/* Fills in what is beside the draft. What is damaged is left out: the result
 * itself, its status and its identity stay readable. */
static void
fill(struct store *store, struct result_row *row)
{
    struct record record;
    uint64_t request = row->draft.answered_by, answer;
    struct outcome *outcome = &row->outcome;

    if (store_draft_line(store, &row->draft, &row->line) < 0)
        row->line = (struct slice){ 0 };
    if (request == 0) {
        if (table_get(store, TABLE_ESSENCE,
                      key_draft(row->draft.batch, row->draft.index),
                      &record) == 0) {
            row->essence = record_get_str(&record);
        }
        return;
    }
    row->has_outcome =
        request_answer(store, request, &answer) == 0 &&
        answer_get(store, request, answer, outcome, &row->reply) == 0 &&
        outcome->reply_bytes <= row->reply.bytes &&
        (uint64_t)outcome->text_at + outcome->text_bytes <= row->reply.bytes;
}

/* A row of the order of completion. */
struct completion {
    uint64_t seq, batch;
    uint32_t index;
};

/* The next one behind a number; E_CORRUPT also sets its own. */
static int
next_of_all(struct store *store, struct completion *at)
{
    struct slice found = { 0 };
    struct record record;
    int rc = at->seq == UINT64_MAX
                 ? E_NOTFOUND
                 : table_seek(store, TABLE_RESULT, key_id(at->seq + 1), 0,
                              &found, &record);

    if (rc == 0 || rc == E_CORRUPT)
        at->seq = key_get_u64(found, 0);
    if (rc < 0)
        return rc;
    at->batch = record_get_u64(&record);
    at->index = record_get_u32(&record);
    return record_end(&record);
}

/* The next one of a batch. Mostly that is the next one of all, and nothing is asked
 * where its segments are. 1: RESULT_PASSED_MAX are others'. */
static int
next_of_batch(struct store *store, uint64_t batch, struct completion *at,
              uint32_t *passed)
{
    struct segment segment = { 0 };
    int rc;

    for (;;) {
        rc = next_of_all(store, at);
        if (rc < 0 || at->batch == batch)
            return rc;
        if (++*passed == RESULT_PASSED_MAX)
            return 1;
        if (at->seq < segment.last)
            continue;
        rc = segment_after(store, batch, at->seq, &segment);
        if (rc < 0)
            return rc;
        if (at->seq < segment.first)
            at->seq = segment.first - 1;
    }
}

uint64_t
store_last_seq(const struct store *store)
{
    return store->ids.seq;
}

int
store_result_after(struct store *store, uint64_t batch, uint64_t seq,
                   struct result_row *row)
{
    struct completion at = { .seq = seq };
    int rc;

    *row = (struct result_row){ 0 };
    rc = batch ? next_of_batch(store, batch, &at, &row->passed)
               : next_of_all(store, &at);
    row->draft.seq = at.seq;
    if (rc != 0)
        return rc;
    if (store_draft_get(store, at.batch, at.index, &row->draft) < 0 ||
        row->draft.seq != at.seq) {
        row->draft.seq = at.seq;
        return E_CORRUPT;
    }
    fill(store, row);
    return 0;
}

int
store_result_at(struct store *store, uint64_t batch, uint32_t index,
                struct result_row *row)
{
    int rc;

    *row = (struct result_row){ 0 };
    do {
        rc = draft_next(store, batch, index, &row->draft);
        index = row->draft.index + 1;
    } while (rc == 0 && row->draft.seq == 0 && index != 0);
    if (rc == 0 && row->draft.seq == 0)
        rc = E_NOTFOUND;
    if (rc == 0)
        fill(store, row);
    return rc;
}
