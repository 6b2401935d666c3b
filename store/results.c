/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "store/answer.h"
#include "store/rows.h"

static struct key
done_key(uint64_t batch, uint64_t seq)
{
    return key_u64(key_id(batch), seq);
}

void
result_remove(struct store *store, const struct draft *draft)
{
    if (draft->seq == 0)
        return;
    table_del(store, TABLE_RESULT, key_id(draft->seq));
    table_del(store, TABLE_DONE, done_key(draft->batch, draft->seq));
}

void
result_order(struct store *store, const struct draft *draft)
{
    record_u64(table_fields(store), draft->batch);
    record_u32(&store->fields, draft->index);
    table_put(store, TABLE_RESULT, key_id(draft->seq));
    record_u32(table_fields(store), draft->index);
    table_put(store, TABLE_DONE, done_key(draft->batch, draft->seq));
}

void
result_give(struct store *store, struct batch *batch, struct draft *draft,
            enum status status, int64_t now_ms)
{
    bool is_own = status == STATUS_CANCELLED || status == STATUS_EXPIRED;
    uint64_t former = draft->answered_by;

    assert(draft_improves(draft, status));
    assert(batch->id == draft->batch);
    result_remove(store, draft);
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
    batch->last_seq = draft->seq;
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

int
store_result_after(struct store *store, uint64_t batch, uint64_t seq,
                   struct result_row *row)
{
    enum table table = batch ? TABLE_DONE : TABLE_RESULT;
    struct key key = batch ? done_key(batch, seq + 1) : key_id(seq + 1);
    struct slice found;
    struct record record;
    uint32_t index;
    int rc = seq == UINT64_MAX ? E_NOTFOUND
                               : table_seek(store, table, key, batch ? 8 : 0,
                                            &found, &record);

    if (rc < 0 && rc != E_CORRUPT)
        return rc;
    *row =
        (struct result_row){ .draft.seq = key_get_u64(found, batch ? 8 : 0) };
    seq = row->draft.seq;
    if (rc < 0)
        return rc;
    if (!batch)
        batch = record_get_u64(&record);
    index = record_get_u32(&record);
    if (record_end(&record) < 0 ||
        store_draft_get(store, batch, index, &row->draft) < 0 ||
        row->draft.seq != seq) {
        row->draft.seq = seq;
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
