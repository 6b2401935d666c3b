/* SPDX-License-Identifier: MIT */
#include "base/log.h"
#include "queue/filing.h"

#define LOOK_MS     10000 /* between two looks at all batches, at least */
#define LOOK_MS_MAX 600000
#define AGAIN_MS    100  /* while there is too much */
#define BATCHES_MAX 1000 /* of one turn; the next one goes on */
#define ANSWERS_MAX 100  /* the same for answers that are forgotten early */
#define TIMERS_MAX  5000 /* and for timers that are looked at for them */

void
retain_purge(struct broker *broker, struct batch *batch, int64_t now_ms)
{
    struct store *store = broker->env.store;
    bool was_cancelled = batch->state == BATCH_CANCELLED;

    log_info("event=batch_purged batch=%llu drafts=%u",
             (unsigned long long)batch->id, batch->draft_count);
    filing_drop(broker, batch->id, now_ms);
    store_batch_move(store, batch, BATCH_PURGED);
    store_batch_put(store, batch, now_ms);
    store_key_free(store, batch->id);
    store_timer_set(
        store,
        &(struct timer){ .due_ms = now_ms,
                         .kind = TIMER_DROP,
                         .id = batch->id,
                         .argument =
                             DROP_WHOLE | (was_cancelled ? DROP_CANCELS : 0) });
    broker->counters.batches_purged++;
    broker->has_results = true;
}

/* True if the store holds more than results may take. */
static bool
is_too_much(struct broker *broker)
{
    int64_t most = broker->env.conf->results_bytes_max;

    return most > 0 && store_bytes(broker->env.store) > (uint64_t)most;
}

/* True if new batches were refused, and would be now. */
static bool
is_tight(struct broker *broker)
{
    return broker->wants_room && store_admit_batch(broker->env.store, NULL) < 0;
}

/* Forgets some answers that no draft refers to, the oldest first, before their
 * time has come, until there is room: their timers lead to them. False: there
 * are none. */
static bool
forget_some(struct broker *broker)
{
    struct store *store = broker->env.store;
    int forgotten = 0;

    for (int i = 0; i < TIMERS_MAX && forgotten < ANSWERS_MAX; i++) {
        int rc = store_timer_after(store, &broker->forgot);

        if (rc < 0 && rc != E_CORRUPT) {
            broker->forgot = (struct timer){ 0 };
            return forgotten > 0;
        }
        if (rc < 0 || broker->forgot.kind != TIMER_FORGET)
            continue;
        store_timer_drop(store, &broker->forgot);
        /* One that a draft refers to again gets a new timer in time. */
        if (!store_forget(store, broker->forgot.id, true))
            continue;
        forgotten++;
        if (!is_too_much(broker) && !is_tight(broker))
            break;
    }
    return true;
}

static bool
is_old(const struct broker *broker, const struct batch *batch, int64_t now_ms)
{
    int64_t ttl_ms = broker->env.conf->results_ttl_ms;

    return ttl_ms > 0 &&
           now_ms >= core_grace_ms(broker, batch->finished_ms + ttl_ms, ttl_ms);
}

/* Looks at one batch. Of those that go because there is too much, one at a time:
 * what it frees is known when it is gone. */
static void
look(struct broker *broker, struct batch *batch, bool too_much, int64_t now_ms)
{
    if (batch->state == BATCH_PURGED) {
        broker->is_purging = true;
    } else if (!batch_is_live(batch) && (is_old(broker, batch, now_ms) ||
                                         (too_much && !broker->is_purging))) {
        retain_purge(broker, batch, now_ms);
        broker->is_purging = true;
    }
}

/* How long it is until the next look: precise to a part of what is kept. */
static int64_t
pause_ms(const struct broker *broker)
{
    const struct conf *conf = broker->env.conf;
    int64_t part_ms = conf->results_ttl_ms / 16;

    if (conf->results_bytes_max > 0 || broker->wants_room)
        return LOOK_MS;
    if (conf->results_ttl_ms == 0)
        return INT64_MAX / 2; /* never: a changed configuration is a restart */
    if (part_ms < LOOK_MS)
        return LOOK_MS;
    return part_ms < LOOK_MS_MAX ? part_ms : LOOK_MS_MAX;
}

void
retain_want_room(struct broker *broker, int64_t now_ms)
{
    if (broker->wants_room)
        return;
    broker->wants_room = true;
    if (broker->retain_ms > now_ms + AGAIN_MS)
        broker->retain_ms = now_ms + AGAIN_MS;
}

/* Looks at some batches; the next turn goes on. */
static void
look_round(struct broker *broker, bool too_much, int64_t now_ms)
{
    struct batch batch = { .id = broker->retain_after };
    int rc = 0;

    for (int i = 0; i < BATCHES_MAX; i++) {
        rc = store_batch_after(broker->env.store, batch.id, &batch);
        if (rc < 0 && rc != E_CORRUPT)
            break;
        if (rc == 0)
            look(broker, &batch, too_much, now_ms);
    }
    if (rc == 0 || rc == E_CORRUPT) {
        broker->retain_after = batch.id;
        broker->retain_ms = now_ms;
        return;
    }
    if (broker->is_purging && too_much)
        broker->retain_ms = now_ms + AGAIN_MS;
    broker->retain_after = 0;
    broker->is_purging = false;
}

void
retain_run(struct broker *broker, int64_t now_ms)
{
    bool too_much;

    if (now_ms < broker->retain_ms)
        return;
    too_much = is_too_much(broker);
    broker->wants_room = is_tight(broker);
    broker->retain_ms = now_ms + pause_ms(broker);
    if ((too_much || broker->wants_room) && broker->retain_after == 0 &&
        forget_some(broker)) {
        broker->retain_ms = now_ms + AGAIN_MS;
        return;
    }
    /* Files are copies: they go before what they were made from, or of. */
    if (too_much && broker->retain_after == 0 &&
        files_make_room(broker, now_ms)) {
        broker->retain_ms = now_ms + AGAIN_MS;
        return;
    }
    if (broker->env.conf->results_ttl_ms > 0 || too_much)
        look_round(broker, too_much, now_ms);
}
