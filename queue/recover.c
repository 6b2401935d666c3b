/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/log.h"
#include "queue/core.h"

/* The longest that any call may take. */
static int64_t
longest_call_ms(const struct conf *conf)
{
    int64_t longest_ms = conf->lease_ms;

    for (size_t i = 0; i < conf->upstream_count; i++) {
        if (conf->upstreams[i].request_timeout_ms > longest_ms)
            longest_ms = conf->upstreams[i].request_timeout_ms;
    }
    return longest_ms;
}

static void
copy_text(char out[SESSION_TEXT_BYTES], struct slice text)
{
    size_t bytes =
        text.bytes < SESSION_TEXT_BYTES ? text.bytes : SESSION_TEXT_BYTES - 1;

    memset(out, 0, SESSION_TEXT_BYTES);
    if (bytes)
        memcpy(out, text.data, bytes);
}

/* Workers that had slots when the broker stopped keep them until they are
 * heard, known to be dead, or cannot be calling any more. */
static int
load_sessions(struct broker *broker, int64_t now_ms)
{
    struct worker_row row;
    unsigned char *after = NULL, uuid[SESSION_UUID_BYTES];
    int rc;

    while ((rc = store_worker_after(broker->env.store, after, &row)) == 0) {
        struct session *session = sessions_add(broker->sessions, row.uuid);

        if (!session)
            return E_FULL;
        copy_text(session->host, row.host);
        copy_text(session->lock, row.lock);
        copy_text(session->own, row.own);
        session->pid = row.pid;
        session->lent = session->lent_sent = row.slots;
        session->heard_ms = row.seen_ms;
        session->until_ms = now_ms + longest_call_ms(broker->env.conf);
        memcpy(uuid, row.uuid, sizeof(uuid));
        after = uuid;
    }
    return rc == E_NOTFOUND ? 0 : rc;
}

/* Leases get a full new period: the time in which there was no broker is not
 * the workers' fault. */
static int
load_leases(struct broker *broker, int64_t now_ms)
{
    struct lease lease = { 0 };
    struct request request;
    int rc;

    while ((rc = store_lease_after(broker->env.store, lease.request, &lease)) ==
           0) {
        struct session *session = sessions_find(broker->sessions, lease.worker);

        rc = store_request_get(broker->env.store, lease.request, &request);
        if (rc == E_CORRUPT || rc == E_NOTFOUND) {
            /* Nobody can end it; `verify` names it. */
            log_error("event=request_damaged request=%llu",
                      (unsigned long long)lease.request);
            continue;
        }
        if (rc < 0)
            return rc;
        if (!session) {
            store_release(broker->env.store, &request);
            continue;
        }
        /* Whether its call was started, its worker will say; until then nothing
         * is held against it. */
        worker_hold(broker, session, &request, lease.granted_ms, now_ms);
        if (request.flags & REQUEST_SUSPECT) {
            broker->alone = (struct alone){ .session = session->id,
                                            .request = request.id,
                                            .fence = request.fence };
        }
    }
    return rc == E_NOTFOUND ? 0 : rc;
}

static int
load_batches(struct broker *broker)
{
    struct batch batch = { 0 };
    int rc;

    schedule_reset(broker->schedule);
    while ((rc = store_batch_after(broker->env.store, batch.id, &batch)) == 0 ||
           rc == E_CORRUPT) {
        if (rc == 0) {
            core_schedule(broker, &batch);
        } else {
            /* It stands still, and in nobody's way; `verify` names it. */
            log_error("event=batch_damaged batch=%llu",
                      (unsigned long long)batch.id);
        }
    }
    return rc == E_NOTFOUND ? 0 : rc;
}

/* After a failed transaction: what each session holds as the store has it. Who
 * said hello in it was not welcomed, and is not to be sent anything; who left, or
 * was found dead, is there as before. */
static int
reload_leases(struct broker *broker, int64_t now_ms)
{
    sessions_restore(broker->sessions);
    for (size_t i = 0; i < broker->sessions->count; i++) {
        struct session *session = broker->sessions->list[i];

        if (session->is_back)
            session->is_online = false;
        session->is_back = false;
        session->held_count = 0;
        /* What was said in the transaction was never sent. */
        session->told = session->told_sent;
        session->lent = session->lent_sent;
        session->word = session->word_sent;
        session->hellos = session->hellos_sent;
    }
    return load_leases(broker, now_ms);
}

int
broker_recover(struct broker *broker, int64_t now_ms, bool is_start,
               struct err *err)
{
    int rc = store_begin(broker->env.store, now_ms, err);

    if (rc < 0)
        return rc;
    groups_reset(broker->groups);
    cache_reset(broker->cache);
    broker->waiter_fresh = 0;
    /* A batch that was rolled back gives its number to another one. */
    broker->recipe = NULL;
    recipes_reset(broker->recipes);
    broker->sticky_batch = 0;
    broker->parked_count = 0;
    broker->look_ms = 0;
    broker->alone = (struct alone){ 0 };
    broker->wake_ms = now_ms;
    broker->retain_ms = 0;
    broker->retain_after = 0;
    broker->is_purging = false;
    broker->wants_room = false;
    broker->forgot = (struct timer){ 0 };
    broker->counters = broker->sent;
    meter_copy(&broker->meter, &broker->meter_sent);
    broker->watch.posted = broker->watch.posted_sent;
    patience_reset(broker);
    rc = upstreams_load(broker->upstreams, broker->env.store, err);
    if (rc == 0 && is_start) {
        broker->start_ms = now_ms;
        broker->batch_before = store_batch_newest(broker->env.store);
        rc = load_sessions(broker, now_ms);
        if (rc == E_FULL) {
            store_abort(broker->env.store);
            return err_set(err, E_INVALID,
                           "sessions_max: %lld is less than the workers that "
                           "were there when the broker ended; raise it",
                           (long long)broker->env.conf->sessions_max);
        }
        if (rc == 0)
            rc = store_count_delayed(broker->env.store);
    }
    if (rc == 0)
        rc = is_start ? load_leases(broker, now_ms)
                      : reload_leases(broker, now_ms);
    if (rc == 0)
        rc = load_batches(broker);
    if (rc == 0)
        rc = deliveries_recover(broker, now_ms);
    if (rc < 0) {
        store_abort(broker->env.store);
        return err_set(err, rc,
                       rc == E_CORRUPT
                           ? "read the store's state: %s; run: sheafd "
                             "--verify --repair"
                           : "read the store's state: %s",
                       err_text(rc));
    }
    return store_commit(broker->env.store, err);
}
