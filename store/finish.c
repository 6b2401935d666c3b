/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "store/answer.h"
#include "store/rows.h"

static uint64_t
told(int64_t tokens)
{
    return tokens > 0 ? (uint64_t)tokens : 0;
}

/* Adds what a call used and cost to the batch that paid for it; as far as it is
 * known. */
static void
account(struct batch *batch, const struct outcome *outcome)
{
    uint64_t prompt = told(outcome->prompt_tokens);
    uint64_t completion = told(outcome->completion_tokens);

    batch->prompt_tokens += prompt;
    batch->completion_tokens += completion;
    batch->total_tokens += outcome->total_tokens == OUTCOME_UNKNOWN
                               ? prompt + completion
                               : told(outcome->total_tokens);
    if (outcome->cost_nano < 0)
        return;
    if (batch->cost_nano == BATCH_COST_UNKNOWN)
        batch->cost_nano = 0;
    batch->cost_nano += outcome->cost_nano;
}

/* The draft pays for a call, as it has for those before. */
static void
charge(struct batch *batch, struct draft *draft, const struct outcome *outcome)
{
    account(batch, outcome);
    if (draft->cost_nano <= 0)
        draft->cost_nano = outcome->cost_nano;
    else if (outcome->cost_nano > 0)
        draft->cost_nano += outcome->cost_nano;
}

void
store_charge(struct store *store, const struct request *request,
             const struct outcome *spent)
{
    struct batch batch;
    struct draft draft;

    if (request->batch == 0 ||
        store_batch_get(store, request->batch, &batch) < 0 ||
        store_draft_get(store, request->batch, request->index, &draft) < 0) {
        return;
    }
    if (draft.status == STATUS_NONE && draft.tier == CACHE_NONE) {
        charge(&batch, &draft, spent);
        draft_put(store, &draft);
    } else { /* the result that it has stays as it is */
        account(&batch, spent);
    }
    batch_put(store, &batch);
}

/* Ends the waiting of a draft that was put back. */
static void
end_retry(struct batch *batch, struct draft *draft)
{
    assert(batch->retry_count > 0);
    batch->retry_count--;
    draft->is_retrying = false;
}

/* A result in the place of another has a tier of its own: whose draft the request
 * stands for has paid. One that stands there already is of an answer from before. */
static void
find_tier(struct draft *draft, const struct request *request)
{
    bool pays =
        request->batch == draft->batch && request->index == draft->index;

    if (draft->status == STATUS_NONE)
        return;
    if (pays)
        draft->tier = CACHE_NONE;
    else if (draft->tier == CACHE_NONE)
        draft->tier = CACHE_JOINED;
}

void
hand_over(struct store *store, const struct request *request,
          const struct outcome *outcome, struct batch *batch,
          struct draft *draft, int64_t now_ms)
{
    uint64_t other = draft->request != request->id ? draft->request : 0;
    bool is_better = draft_improves(draft, request->status);

    /* It waits for a newer request, and this one is no answer. */
    if (other && !is_better)
        return;
    if (!draft->is_retrying && !is_better)
        return;
    if (draft->is_retrying)
        end_retry(batch, draft);
    draft->request = request->id;
    if (is_better) {
        find_tier(draft, request);
        if (draft->tier == CACHE_NONE)
            charge(batch, draft, outcome);
        else
            draft->cost_nano = 0;
        result_give(store, batch, draft, request->status, now_ms);
    } else {
        draft_put(store, draft);
    }
    if (other)
        request_leave(store, other, draft);
}

/* What goes from draft to draft of a fan-out. */
struct fan {
    const struct request *request;
    const struct outcome *outcome;
    struct batch batch; /* of the last draft; id 0: none, or a damaged one */
    uint64_t batch_id;
    int64_t now_ms;
};

static void
close_batch(struct store *store, struct fan *fan)
{
    if (fan->batch.id)
        store_batch_put(store, &fan->batch, fan->now_ms);
    fan->batch = (struct batch){ 0 };
}

/* A draft or batch whose record is damaged is passed over, so that it does not
 * stand in the way of the others; `verify` names it. */
static void
visit_ref(struct store *store, struct fan *fan, struct cursor at)
{
    struct draft draft;

    if (fan->batch_id != at.batch) {
        close_batch(store, fan);
        fan->batch_id = at.batch;
        if (store_batch_get(store, at.batch, &fan->batch) < 0)
            fan->batch = (struct batch){ 0 };
    }
    if (fan->batch.id &&
        store_draft_get(store, at.batch, at.index, &draft) == 0) {
        hand_over(store, fan->request, fan->outcome, &fan->batch, &draft,
                  fan->now_ms);
    }
}

/* Numbers only: what drafts need of the outcome survives the writing. A damaged
 * one tells nothing. */
static void
outcome_of_drafts(struct store *store, const struct request *request,
                  struct outcome *outcome)
{
    if (store_outcome_get(store, request, outcome) < 0) {
        *outcome = (struct outcome){ .prompt_tokens = OUTCOME_UNKNOWN,
                                     .completion_tokens = OUTCOME_UNKNOWN,
                                     .total_tokens = OUTCOME_UNKNOWN,
                                     .cost_nano = OUTCOME_UNKNOWN };
    }
}

static bool
fan_out(struct store *store, const struct request *request,
        const struct outcome *outcome, struct cursor *cursor, int64_t now_ms)
{
    struct fan fan = { .request = request,
                       .outcome = outcome,
                       .now_ms = now_ms };
    size_t most = SIZE_MAX;
    bool is_more = false;

    for (size_t i = 0; store->rc == 0; i++) {
        if (ref_next(store, request, cursor) < 0)
            break;
        if (i == 1) /* mostly there is one draft, and nothing to measure */
            most = store_slice(store);
        is_more = i == most;
        if (is_more)
            break;
        visit_ref(store, &fan, *cursor);
        cursor->index++;
    }
    close_batch(store, &fan);
    return is_more;
}

bool
store_fan_out(struct store *store, struct request *request,
              struct cursor *cursor, int64_t now_ms)
{
    struct outcome outcome;

    outcome_of_drafts(store, request, &outcome);
    return fan_out(store, request, &outcome, cursor, now_ms);
}

void
store_finish(struct store *store, struct request *request,
             const struct outcome *outcome, const struct attempt *attempt,
             struct reply reply, int64_t now_ms)
{
    struct cursor cursor = { 0 };
    struct outcome former;

    assert(outcome->status != STATUS_NONE);
    request_unplace(store, request);
    request_change(store, request, REQUEST_DONE);
    /* A further try that ended no better leaves what was kept, and an answer
     * that was given out stays the answer. */
    if (request->status == STATUS_NONE ||
        (request->status != STATUS_OK && outcome->status == STATUS_OK)) {
        answer_put(store, request, outcome, attempt, reply);
        request->status = outcome->status;
        request->done_ms = now_ms;
        if (outcome->status == STATUS_OK)
            key_point(store, request);
    } else {
        if (attempt)
            store_attempt_add(store, request, attempt);
        outcome_of_drafts(store, request, &former);
        outcome = &former;
    }
    request_put(store, request);
    if (fan_out(store, request, outcome, &cursor, now_ms)) {
        store_timer_set(store, &(struct timer){ .due_ms = now_ms,
                                                .kind = TIMER_FAN_OUT,
                                                .id = request->id,
                                                .cursor = cursor });
    } else if (request->batch == 0) {
        (void)request_forget(store, request);
    }
}
