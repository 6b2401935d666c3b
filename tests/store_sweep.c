/* SPDX-License-Identifier: MIT */
#include "tests/store_play.h"

#include <criterion/criterion.h>

static void
essence(void *context, const struct draft *draft, struct slice line,
        struct buf *out)
{
    (void)context;
    buf_addf(out, "essence of %u: ", draft->index);
    buf_add_slice(out, line);
}

static void
cancelled(void *context, const struct request *request)
{
    struct play *play = context;

    cr_expect_eq(request->state, REQUEST_CANCELLED);
    play->told_off++;
}

static void
move(struct play *play, uint64_t id, enum batch_state to, struct timer timer)
{
    struct batch batch = play_get_batch(play, id);
    struct timer abandon = play_abandon_timer(&batch);

    timer.due_ms = play->now_ms;
    timer.id = id;
    play_begin(play);
    store_timer_drop(play->store, &abandon);
    if (batch.deadline_ms)
        store_timer_drop(play->store,
                         &(struct timer){ .due_ms = batch.deadline_ms,
                                          .kind = TIMER_DEADLINE,
                                          .id = id });
    store_batch_move(play->store, &batch, to);
    batch.finished_ms = play->now_ms;
    store_batch_put(play->store, &batch, play->now_ms);
    store_timer_set(play->store, &timer);
    play_commit(play);
}

void
play_abort(struct play *play, uint64_t id, bool is_whole)
{
    move(play, id, BATCH_ABANDONED,
         (struct timer){ .kind = TIMER_DROP, .argument = is_whole });
}

void
play_purge(struct play *play, uint64_t id)
{
    move(play, id, BATCH_PURGED,
         (struct timer){ .kind = TIMER_DROP, .argument = DROP_WHOLE });
}

void
play_cancel(struct play *play, uint64_t id)
{
    move(play, id, BATCH_CANCELLED, (struct timer){ .kind = TIMER_CANCEL });
}

void
play_expire(struct play *play, uint64_t id)
{
    move(play, id, BATCH_EXPIRED, (struct timer){ .kind = TIMER_EXPIRE });
}

void
play_retry(struct play *play, uint64_t id, uint32_t mask)
{
    struct batch batch = play_get_batch(play, id);

    play_begin(play);
    if (batch.state != BATCH_SEALED) {
        store_batch_move(play->store, &batch, BATCH_SEALED);
        batch.finished_ms = 0;
        batch.deadline_ms = play->now_ms + batch.lifetime_ms;
        store_timer_set(play->store,
                        &(struct timer){ .due_ms = batch.deadline_ms,
                                         .kind = TIMER_DEADLINE,
                                         .id = id });
    }
    batch.retry_mask |= mask;
    batch.retry_index = 0;
    store_batch_put(play->store, &batch, play->now_ms);
    store_timer_set(play->store, &(struct timer){ .due_ms = play->now_ms,
                                                  .kind = TIMER_RETRY,
                                                  .id = id });
    play_commit(play);
}

static bool
end_slice(struct play *play, struct timer *timer, enum status status)
{
    struct ending ending = { .status = status,
                             .now_ms = play->now_ms,
                             .context = play,
                             .essence =
                                 status == STATUS_EXPIRED ? essence : NULL,
                             .cancelled = cancelled };
    struct batch batch;
    bool is_more;

    if (store_batch_get(play->store, timer->id, &batch) < 0 ||
        batch_is_live(&batch)) {
        return false;
    }
    is_more =
        store_end_drafts(play->store, &batch, &timer->cursor.index, &ending);
    store_batch_put(play->store, &batch, play->now_ms);
    return is_more;
}

static bool
retry_slice(struct play *play, const struct timer *timer)
{
    struct intake intake = play_intake(play);
    struct batch batch;
    bool is_more;

    if (store_batch_get(play->store, timer->id, &batch) < 0 ||
        batch.state != BATCH_SEALED) {
        return false;
    }
    is_more = batch.retry_mask != 0 &&
              store_retry_drafts(play->store, &batch, &batch.retry_index,
                                 batch.retry_mask, &intake);
    if (!is_more)
        batch.retry_mask = 0;
    store_batch_put(play->store, &batch, play->now_ms);
    return is_more;
}

static bool
drop_slice(struct play *play, struct timer *timer)
{
    struct batch batch;

    return store_batch_get(play->store, timer->id, &batch) == 0 &&
           store_drop_drafts(play->store, &batch, &timer->cursor,
                             timer->argument & DROP_WHOLE, NULL);
}

static bool
run_timer(struct play *play, struct timer *timer)
{
    struct request request;
    struct batch batch;

    switch (timer->kind) {
    case TIMER_REQUEST:
        cr_assert_eq(store_request_get(play->store, timer->id, &request), 0);
        store_release(play->store, &request);
        return false;
    case TIMER_DEADLINE:
        if (store_batch_get(play->store, timer->id, &batch) < 0 ||
            batch.state != BATCH_SEALED) {
            return false;
        }
        store_batch_move(play->store, &batch, BATCH_EXPIRED);
        store_batch_put(play->store, &batch, play->now_ms);
        timer->kind = TIMER_EXPIRE;
        return true;
    case TIMER_FAN_OUT:
        return store_request_get(play->store, timer->id, &request) == 0 &&
               request.status != STATUS_NONE &&
               store_fan_out(play->store, &request, &timer->cursor,
                             play->now_ms);
    case TIMER_CANCEL:
        return end_slice(play, timer, STATUS_CANCELLED);
    case TIMER_EXPIRE:
        return end_slice(play, timer, STATUS_EXPIRED);
    case TIMER_RETRY:
        return retry_slice(play, timer);
    case TIMER_DROP:
        return drop_slice(play, timer);
    default:
        cr_assert_fail("a timer of kind %d", timer->kind);
        return false;
    }
}

size_t
play_due(struct play *play, size_t max)
{
    size_t count = 0;
    struct timer timer;

    for (; count < max; count++) {
        int rc;

        play_begin(play);
        rc = store_timer_first(play->store, &timer);
        if (rc == E_NOTFOUND || timer.due_ms > play->now_ms) {
            store_abort(play->store);
            break;
        }
        cr_assert_eq(rc, 0);
        store_timer_drop(play->store, &timer);
        if (run_timer(play, &timer)) {
            timer.due_ms = play->now_ms;
            store_timer_set(play->store, &timer);
        }
        play_commit(play);
    }
    return count;
}
