/* SPDX-License-Identifier: MIT */
#include "base/log.h"
#include "queue/filing.h"

static int
answer_batch(struct call *call, cJSON *head, const struct batch *batch)
{
    int rc = answer_add_status(call->broker, head, batch);

    if (rc < 0) {
        cJSON_Delete(head);
        return rc;
    }
    core_send(call, head);
    return 0;
}

int
control_cancel(struct call *call)
{
    struct broker *broker = call->broker;
    struct batch batch;
    int rc = core_batch(call, &batch);

    if (rc < 0)
        return rc;
    if (batch.state == BATCH_CANCELLED)
        return answer_batch(call, core_answer(call, "cancelled"), &batch);
    if (!batch_is_live(&batch)) {
        return err_set(call->err, E_CONFLICT,
                       "the batch is %s; only one that is open, sealed or "
                       "paused can be cancelled",
                       batch_state_name(batch.state));
    }
    store_timer_drop(broker->env.store,
                     &(struct timer){ .due_ms = batch.created_ms +
                                                broker->env.conf->open_ttl_ms,
                                      .kind = TIMER_ABANDON,
                                      .id = batch.id });
    store_timer_drop(broker->env.store,
                     &(struct timer){ .due_ms = batch.deadline_ms,
                                      .kind = TIMER_DEADLINE,
                                      .id = batch.id });
    filing_cancel(broker, batch.id);
    store_batch_move(broker->env.store, &batch, BATCH_CANCELLED);
    batch.finished_ms = call->now_ms;
    store_batch_put(broker->env.store, &batch, call->now_ms);
    core_schedule(broker, &batch);
    /* One write stops it; its drafts are ended in slices. */
    store_timer_set(broker->env.store, &(struct timer){ .due_ms = call->now_ms,
                                                        .kind = TIMER_CANCEL,
                                                        .id = batch.id });
    broker->has_results = true;
    return answer_batch(call, core_answer(call, "cancelled"), &batch);
}

/* Moves between sealed and paused are one write, however large the batch is: its
 * requests stay in the ready index, and are passed over. */
static int
change(struct call *call, enum batch_state to, const char *verb,
       struct batch *batch)
{
    enum batch_state from = to == BATCH_PAUSED ? BATCH_SEALED : BATCH_PAUSED;
    int rc = core_batch(call, batch);

    if (rc < 0)
        return rc;
    if (batch->state == from) {
        store_batch_move(call->broker->env.store, batch, to);
        store_batch_put(call->broker->env.store, batch, call->now_ms);
        core_schedule(call->broker, batch);
        call->broker->has_results = true;
    } else if (batch->state != to) {
        return err_set(call->err, E_CONFLICT,
                       "the batch is %s; only one that is %s can be %s",
                       batch_state_name(batch->state), batch_state_name(from),
                       verb);
    }
    return answer_batch(call, core_answer(call, verb), batch);
}

int
control_pause(struct call *call)
{
    struct batch batch;
    int rc = change(call, BATCH_PAUSED, "paused", &batch);

    if (rc == 0)
        worker_recall(call->broker);
    return rc;
}

int
control_resume(struct call *call)
{
    struct batch batch;

    return change(call, BATCH_SEALED, "resumed", &batch);
}

int
control_purge(struct call *call)
{
    char uuid[CORE_UUID_TEXT_BYTES];
    struct batch batch;
    cJSON *head;
    int rc = core_batch_even_purged(call, &batch);

    if (rc < 0)
        return rc;
    if (batch_is_live(&batch)) {
        return err_set(call->err, E_CONFLICT,
                       "the batch is %s; cancel it first",
                       batch_state_name(batch.state));
    }
    if (batch.state != BATCH_PURGED)
        retain_purge(call->broker, &batch, call->now_ms);
    core_uuid_text(batch.uuid, uuid);
    head = core_answer(call, "purged");
    wire_add_str(head, "batch", uuid);
    wire_add_int(head, "drafts", batch.draft_count);
    core_send(call, head);
    return 0;
}

/* The statuses to be tried again, as a mask. */
static int
read_statuses(struct call *call, uint32_t *mask)
{
    const cJSON *list = wire_get(call->wire, "statuses"), *item;

    *mask = 0;
    for (enum status status = STATUS_OK; status < STATUS_COUNT; status++) {
        if (status != STATUS_OK && status != STATUS_CANCELLED)
            *mask |= 1u << status;
    }
    if (!list)
        return 0;
    if (!cJSON_IsArray(list))
        return err_set(call->err, E_INVALID, "statuses: not an array");
    *mask = 0;
    cJSON_ArrayForEach(item, list)
    {
        enum status status = cJSON_IsString(item)
                                 ? status_parse(item->valuestring)
                                 : STATUS_NONE;

        if (status == STATUS_NONE || status == STATUS_OK ||
            status == STATUS_CANCELLED) {
            return err_set(call->err, E_INVALID,
                           "statuses: \"%.32s\" is no status that can be "
                           "tried again",
                           cJSON_IsString(item) ? item->valuestring : "");
        }
        *mask |= 1u << status;
    }
    return 0;
}

int
control_retry(struct call *call)
{
    struct broker *broker = call->broker;
    struct batch batch;
    uint32_t mask = 0, count = 0;
    cJSON *head;
    int rc = core_batch(call, &batch);

    if (rc == 0)
        rc = read_statuses(call, &mask);
    if (rc < 0)
        return rc;
    if (!batch_is_under_way(&batch) && batch.state != BATCH_FINISHED &&
        batch.state != BATCH_EXPIRED) {
        return err_set(call->err, E_CONFLICT,
                       "the batch is %s; only one that is sealed, paused, "
                       "finished or expired can be tried again",
                       batch_state_name(batch.state));
    }
    for (enum status status = STATUS_OK; status < STATUS_COUNT; status++) {
        if (mask & 1u << status)
            count += batch.status_count[status];
    }
    head = core_answer(call, "retried");
    wire_add_int(head, "count", count);
    if (count == 0)
        return answer_batch(call, head, &batch);
    if (!batch_is_under_way(&batch)) {
        if (schedule_is_full(broker->schedule)) {
            cJSON_Delete(head);
            return err_set(call->err, E_FULL, "batches_live_max is reached");
        }
        filing_resume(broker, batch.id, call->now_ms);
        store_batch_move(broker->env.store, &batch, BATCH_SEALED);
        batch.finished_ms = 0;
        batch.deadline_ms = call->now_ms + batch.lifetime_ms;
        if (batch.deadline_ms > WIRE_INT_MAX)
            batch.deadline_ms = WIRE_INT_MAX;
        store_timer_set(broker->env.store,
                        &(struct timer){ .due_ms = batch.deadline_ms,
                                         .kind = TIMER_DEADLINE,
                                         .id = batch.id });
    }
    /* A sweep that is under way starts over with what is added. */
    batch.retry_mask |= mask;
    batch.retry_index = 0;
    store_batch_put(broker->env.store, &batch, call->now_ms);
    core_schedule(broker, &batch);
    store_timer_set(broker->env.store, &(struct timer){ .due_ms = call->now_ms,
                                                        .kind = TIMER_RETRY,
                                                        .id = batch.id });
    return answer_batch(call, head, &batch);
}
