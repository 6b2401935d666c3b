/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "base/log.h"
#include "queue/filing.h"

#define STEPS_MAX 64   /* of one turn; the rest is due in the next */
#define SCAN_MAX  1000 /* timers looked at for one that removes */

static void
on_cancelled(void *context, const struct request *request)
{
    worker_cancel(context, request->id, request->fence);
}

/* ---- one function a kind ---- */

static void
due_request(struct broker *broker, const struct timer *timer, int64_t now_ms)
{
    struct request request;

    (void)now_ms;
    if (store_request_get(broker->env.store, timer->id, &request) < 0 ||
        request.state != REQUEST_DELAYED) {
        return;
    }
    store_release(broker->env.store, &request);
}

/* Sets the timer of the next slice, from an index on. */
static void
go_on(struct broker *broker, const struct timer *timer, uint32_t index,
      int64_t now_ms)
{
    struct timer next = *timer;

    next.due_ms = now_ms;
    next.cursor.index = index;
    store_timer_set(broker->env.store, &next);
}

static void
end_slice(struct broker *broker, const struct timer *timer, enum status status,
          int64_t now_ms)
{
    uint32_t index = timer->cursor.index;
    struct ending ending = {
        .status = status,
        .now_ms = now_ms,
        .context = broker,
        .essence = status == STATUS_EXPIRED ? finish_essence : NULL,
        .cancelled = on_cancelled,
    };
    struct batch batch;
    bool has_more;

    /* Purged in the meantime: its drafts go without another result, and what
     * removes them tells workers of a cancel. */
    if (store_batch_get(broker->env.store, timer->id, &batch) < 0 ||
        batch.state == BATCH_PURGED) {
        return;
    }
    has_more = store_end_drafts(broker->env.store, &batch, &index, &ending);
    store_batch_put(broker->env.store, &batch, now_ms);
    broker->has_results = true;
    if (has_more)
        go_on(broker, timer, index, now_ms);
    else if (!batch_is_live(&batch))
        filing_end(broker, batch.id, now_ms);
}

static void
due_cancel(struct broker *broker, const struct timer *timer, int64_t now_ms)
{
    end_slice(broker, timer, STATUS_CANCELLED, now_ms);
}

static void
due_expire(struct broker *broker, const struct timer *timer, int64_t now_ms)
{
    end_slice(broker, timer, STATUS_EXPIRED, now_ms);
}

/* It came due while there was no broker, or a wrong clock says so. */
static void
put_off(struct broker *broker, const struct timer *timer, int64_t due_ms)
{
    struct timer later = *timer;

    log_info("event=grace batch=%llu ms=%lld", (unsigned long long)timer->id,
             (long long)(due_ms - broker->start_ms));
    later.due_ms = due_ms;
    store_timer_set(broker->env.store, &later);
}

static void
due_deadline(struct broker *broker, const struct timer *timer, int64_t now_ms)
{
    struct batch batch;
    int64_t end_ms;

    if (store_batch_get(broker->env.store, timer->id, &batch) < 0 ||
        !batch_is_under_way(&batch)) {
        return;
    }
    end_ms = core_grace_ms(broker, batch.deadline_ms, batch.lifetime_ms);
    if (end_ms > now_ms) {
        batch.deadline_ms = end_ms;
        store_batch_put(broker->env.store, &batch, now_ms);
        put_off(broker, timer, end_ms);
        return;
    }
    log_warn("event=batch_expired batch=%llu done=%u drafts=%u",
             (unsigned long long)batch.id, batch_done_count(&batch),
             batch.draft_count);
    store_batch_move(broker->env.store, &batch, BATCH_EXPIRED);
    batch.finished_ms = now_ms;
    store_batch_put(broker->env.store, &batch, now_ms);
    core_schedule(broker, &batch);
    store_timer_set(broker->env.store, &(struct timer){ .due_ms = now_ms,
                                                        .kind = TIMER_EXPIRE,
                                                        .id = batch.id });
}

static void
due_abandon(struct broker *broker, const struct timer *timer, int64_t now_ms)
{
    struct batch batch;
    int64_t end_ms;

    if (store_batch_get(broker->env.store, timer->id, &batch) < 0 ||
        batch.state != BATCH_OPEN) {
        return;
    }
    end_ms =
        core_grace_ms(broker, timer->due_ms, broker->env.conf->open_ttl_ms);
    if (end_ms > now_ms) {
        put_off(broker, timer, end_ms);
        return;
    }
    log_warn("event=batch_abandoned batch=%llu drafts=%u",
             (unsigned long long)batch.id, batch.draft_count);
    store_batch_move(broker->env.store, &batch, BATCH_ABANDONED);
    batch.finished_ms = now_ms;
    store_batch_put(broker->env.store, &batch, now_ms);
    store_key_free(broker->env.store, batch.id);
    core_schedule(broker, &batch);
    store_timer_set(broker->env.store, &(struct timer){ .due_ms = now_ms,
                                                        .kind = TIMER_DROP,
                                                        .id = batch.id });
}

static void
due_fan_out(struct broker *broker, const struct timer *timer, int64_t now_ms)
{
    struct timer next = *timer;
    struct request request;

    if (store_request_get(broker->env.store, timer->id, &request) < 0 ||
        request.status == STATUS_NONE) {
        return;
    }
    broker->has_results = true;
    if (store_fan_out(broker->env.store, &request, &next.cursor, now_ms)) {
        next.due_ms = now_ms;
        store_timer_set(broker->env.store, &next);
    }
}

static void
due_retry(struct broker *broker, const struct timer *timer, int64_t now_ms)
{
    struct intake intake = core_intake(broker, now_ms);
    struct batch batch;

    /* Cancelled in the meantime: nothing is tried again. */
    if (store_batch_get(broker->env.store, timer->id, &batch) < 0 ||
        !batch_is_under_way(&batch)) {
        return;
    }
    if (batch.retry_mask == 0) {
        /* It is through; or repair found the batch complete, which ends it. */
        store_batch_put(broker->env.store, &batch, now_ms);
        return;
    }
    if (store_retry_drafts(broker->env.store, &batch, &batch.retry_index,
                           batch.retry_mask, &intake)) {
        go_on(broker, timer, 0, now_ms);
    } else {
        batch.retry_mask = 0;
    }
    store_batch_put(broker->env.store, &batch, now_ms);
    core_schedule(broker, &batch);
    broker->has_results = true;
}

static void
due_drop(struct broker *broker, const struct timer *timer, int64_t now_ms)
{
    struct timer next = *timer;
    struct ending ending = { .status = STATUS_CANCELLED,
                             .now_ms = now_ms,
                             .context = broker,
                             .cancelled = on_cancelled };
    struct batch batch;

    if (store_batch_get(broker->env.store, timer->id, &batch) < 0)
        return;
    if (store_drop_drafts(broker->env.store, &batch, &next.cursor,
                          timer->argument & DROP_WHOLE,
                          timer->argument & DROP_CANCELS ? &ending : NULL)) {
        go_on(broker, &next, next.cursor.index, now_ms);
    }
}

static void
due_forget(struct broker *broker, const struct timer *timer, int64_t now_ms)
{
    (void)now_ms;
    (void)store_forget(broker->env.store, timer->id, false);
}

static void
due_delivery(struct broker *broker, const struct timer *timer, int64_t now_ms)
{
    deliveries_due(broker, timer->id, timer->due_ms, now_ms);
}

typedef void due_fn(struct broker *broker, const struct timer *timer,
                    int64_t now_ms);

/* A slice touches many drafts: one of them is enough for a transaction. */
static const struct {
    due_fn *handle;
    bool is_slice;
} handlers[] = {
    [TIMER_REQUEST] = { due_request, false },
    [TIMER_DEADLINE] = { due_deadline, false },
    [TIMER_ABANDON] = { due_abandon, false },
    [TIMER_FAN_OUT] = { due_fan_out, true },
    [TIMER_CANCEL] = { due_cancel, true },
    [TIMER_EXPIRE] = { due_expire, true },
    [TIMER_RETRY] = { due_retry, true },
    [TIMER_DROP] = { due_drop, true },
    [TIMER_FORGET] = { due_forget, false },
    [TIMER_FILE_END] = { files_end, false },
    [TIMER_FILE_READ] = { reading_run, true },
    [TIMER_FILE_MAKE] = { making_run, true },
    [TIMER_FILE_DROP] = { files_remove, true },
    [TIMER_DELIVERY] = { due_delivery, false },
};

void
due_run(struct broker *broker, int64_t now_ms)
{
    struct store *store = broker->env.store;
    struct timer timer;
    bool had_slice = false;
    int rc;

    for (int step = 0; step < STEPS_MAX && !had_slice; step++) {
        rc = store_timer_first(store, &timer);
        if ((rc < 0 && rc != E_CORRUPT) || timer.due_ms > now_ms)
            break;
        store_timer_drop(store, &timer);
        if (rc < 0) {
            log_error("event=timer_damaged id=%llu",
                      (unsigned long long)timer.id);
        } else if (timer.kind >= sizeof(handlers) / sizeof(handlers[0]) ||
                   !handlers[timer.kind].handle) {
            log_error("event=timer_unknown kind=%d", (int)timer.kind);
        } else {
            handlers[timer.kind].handle(broker, &timer, now_ms);
            had_slice = handlers[timer.kind].is_slice;
        }
    }
    rc = store_timer_first(store, &timer);
    broker->timer_next_ms =
        rc == 0 || rc == E_CORRUPT ? timer.due_ms : INT64_MAX;
}

static bool
removes(enum timer_kind kind)
{
    return kind == TIMER_DROP || kind == TIMER_FORGET ||
           kind == TIMER_FILE_DROP;
}

void
due_relieve(struct broker *broker, int64_t now_ms)
{
    struct store *store = broker->env.store;
    struct timer timer;
    int rc = store_timer_first(store, &timer);

    for (int i = 0; i < SCAN_MAX; i++) {
        if ((rc < 0 && rc != E_CORRUPT) || timer.due_ms > now_ms)
            return;
        if (rc == 0 && removes(timer.kind))
            break;
        rc = store_timer_after(store, &timer);
    }
    if (rc < 0 || !removes(timer.kind))
        return;
    store_timer_drop(store, &timer);
    handlers[timer.kind].handle(broker, &timer, now_ms);
}
