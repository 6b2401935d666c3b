/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "base/log.h"
#include "queue/core.h"

#define BATCHES_MAX 64 /* that are looked at for what stands still, at a time */
#define PLACES_MAX  64 /* of each */

/* ---- what stands still ---- */

/* True if a request of a batch could be leased now, as far as the batch, its
 * group and its upstreams go. Asked of the store, not of what the schedule
 * believes. */
static bool
could_go(struct broker *broker, uint64_t batch, int64_t now_ms)
{
    struct place place = { 0 };

    if (dispatch_batch_wait(broker, batch, now_ms).cause != WAIT_NOTHING)
        return false;
    for (int i = 0; i < PLACES_MAX; i++) {
        struct request request;
        struct choice choice;

        if (store_ready_next(broker->env.store, batch, &place) < 0)
            return false;
        if (dispatch_group_wait(broker, place.group, now_ms).cause ==
                WAIT_NOTHING &&
            store_ready_peek(broker->env.store, batch, place, &request) == 0 &&
            dispatch_alone_wait(&request).cause == WAIT_NOTHING &&
            choice_make(broker, &request, &choice, now_ms).cause ==
                WAIT_NOTHING) {
            return true;
        }
        place.group++;
    }
    return false;
}

/* A look at some of the live batches, which goes on behind those that were
 * looked at before. */
struct hunt {
    struct broker *broker;
    int64_t now_ms;
    size_t skip, seen;
    uint64_t found; /* 0: none yet */
};

static bool
look_at(void *context, uint64_t batch, bool is_sealed, int64_t since_ms)
{
    struct hunt *hunt = context;

    (void)is_sealed;
    (void)since_ms;
    if (hunt->seen++ < hunt->skip)
        return true;
    if (could_go(hunt->broker, batch, hunt->now_ms))
        hunt->found = batch;
    return hunt->found == 0 && hunt->seen < hunt->skip + BATCHES_MAX;
}

/* Nothing has moved: is there a batch that could, and that nothing keeps? One
 * that was found is asked first the next time. */
static bool
hunt(struct broker *broker, int64_t now_ms)
{
    struct watch *watch = &broker->watch;
    struct hunt hunt = { .broker = broker,
                         .now_ms = now_ms,
                         .skip = watch->skip };

    if (watch->stuck != 0 && could_go(broker, watch->stuck, now_ms))
        return true;
    schedule_visit(broker->schedule, look_at, &hunt);
    watch->stuck = hunt.found;
    watch->skip = hunt.seen < schedule_count(broker->schedule) ? hunt.seen : 0;
    return watch->stuck != 0;
}

static bool
is_stuck(struct broker *broker, uint64_t ready, int64_t now_ms)
{
    const struct counters *counters = &broker->counters;
    struct watch *watch = &broker->watch;
    uint64_t moves =
        counters->leases + counters->calls + counters->requests_done;
    bool has_moved = moves != watch->moves;
    enum wait_cause cause = dispatch_worker_wait(broker).cause;

    watch->moves = moves;
    if (has_moved || ready == 0) {
        watch->stuck = 0;
        return false;
    }
    /* That nobody works is for somebody to know; a slot that is not free, or a
     * store without room, explains it, and the second has its own alert. */
    if ((cause != WAIT_NOTHING && cause != WAIT_WORKER) ||
        !store_may_lease(broker->env.store)) {
        return false;
    }
    return hunt(broker, now_ms);
}

/* ---- facts ---- */

/* What counts as an error: a call of which nothing came, whoever is to blame. An
 * answer that is cut off, or that refuses, is one. */
static struct alert_calls
calls_of(const struct meter_row *row)
{
    const uint64_t *classes = row->classes;
    uint64_t errors = classes[CLASS_RETRYABLE] + classes[CLASS_UNCERTAIN] +
                      classes[CLASS_STOP] + classes[CLASS_PERMANENT] +
                      classes[CLASS_LOST];

    return (struct alert_calls){
        .calls = errors + classes[CLASS_OK] + classes[CLASS_TRUNCATED] +
                 classes[CLASS_REFUSED],
        .errors = errors,
        .timed = row->timed,
        .above_t2 = row->above_t2,
        .above_t3 = row->above_t3,
    };
}

static double
store_percent(const struct store_usage *usage)
{
    double used = (double)usage->bytes + (double)usage->bytes_promised;

    return usage->bytes_hard > 0 ? 100 * used / (double)usage->bytes_hard : 100;
}

static void
gather(struct broker *broker, struct alert_facts *facts, int64_t now_ms)
{
    const struct counters *counters = &broker->counters;
    struct store_usage usage = store_usage(broker->env.store);

    *facts = (struct alert_facts){
        .counts = { .lookups = counters->drafts_accepted,
                    .hits = counters->drafts_joined +
                            counters->cache_memory_hits +
                            counters->cache_store_hits,
                    .workers_lost = counters->workers_lost },
        .ready = usage.ready,
        .store_percent = store_percent(&usage),
        .is_stuck = is_stuck(broker, usage.ready, now_ms),
    };
    for (size_t i = 0; i < broker->upstreams->count; i++) {
        facts->counts.upstreams[i] = calls_of(&broker->meter.rows[i]);
        facts->is_suspended[i] =
            upstreams_is_closed(broker->upstreams, (int)i, now_ms);
    }
}

static void
log_news(const struct alert_news *news, const struct conf *conf)
{
    const struct alert *alert = &news->alert;
    const char *upstream = alert_upstream(alert, conf);
    struct buf text = { 0 };

    alert_tell(alert, conf, &text);
    if (news->is_fired) {
        log_warn("event=alert_fired alert=%s upstream=%s reason=\"%s\"",
                 alert_name(alert->kind), upstream, text.data);
    } else {
        log_info("event=alert_resolved alert=%s upstream=%s reason=\"%s\"",
                 alert_name(alert->kind), upstream, text.data);
    }
    buf_fini(&text);
}

void
watch_run(struct broker *broker, int64_t now_ms)
{
    struct alerts *alerts = broker->watch.alerts;
    uint64_t at = alerts->news_count;
    struct alert_facts facts;
    struct alert_news news;

    if (!alerts_are_due(alerts, now_ms))
        return;
    gather(broker, &facts, now_ms);
    alerts_look(alerts, &facts, now_ms);
    while (alerts_next(alerts, &at, &news))
        log_news(&news, broker->env.conf);
}

void
watch_post(struct broker *broker)
{
    struct watch *watch = &broker->watch;
    struct alert_news news;

    while (alerts_next(watch->alerts, &watch->posted, &news)) {
        cJSON *data = alert_json(&news.alert, broker->env.conf);

        deliveries_add(broker,
                       news.is_fired ? EVENT_ALERT_FIRED : EVENT_ALERT_RESOLVED,
                       NULL, NULL, data);
        cJSON_Delete(data);
    }
}

const struct alerts *
broker_alerts(const struct broker *broker)
{
    return broker->watch.alerts;
}

int
watch_answer(struct call *call)
{
    const struct broker *broker = call->broker;
    const struct alerts *alerts = broker->watch.alerts;
    cJSON *head = core_answer(call, "alerts"), *list;

    wire_add_int(head, "firing", (int64_t)alerts_firing(alerts));
    list = wire_add_array(head, "alerts");
    for (size_t i = 0; i < alerts->count; i++) {
        cJSON_AddItemToArray(list,
                             alert_json(&alerts->list[i], broker->env.conf));
    }
    core_send(call, head);
    return 0;
}
