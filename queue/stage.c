/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "base/log.h"
#include "queue/core.h"

static const char *const names[STAGE_COUNT] = { "in time", "trying",
                                                "still trying", "slow",
                                                "degraded" };

/* How long a call has been in flight when it enters a stage. */
static int64_t
enters_after_ms(const struct conf *conf, unsigned stage)
{
    const int64_t after_ms[STAGE_COUNT] = { 0, conf->t1_ms, conf->t2_ms,
                                            conf->t3_ms, conf->t4_ms };

    assert(stage < STAGE_COUNT);
    return after_ms[stage];
}

static void
enter(struct broker *broker, const struct session *session, struct held *held,
      int64_t now_ms)
{
    struct request request;
    const char *upstream = "";

    if (store_request_get(broker->env.store, held->request, &request) == 0)
        upstream = request.upstream;
    held->stage++;
    log_info("event=call_slow request=%llu worker=%s upstream=%s stage=\"%s\" "
             "elapsed_ms=%lld",
             (unsigned long long)held->request, session->name, upstream,
             names[held->stage], (long long)(now_ms - held->started_ms));
}

static bool
has_next(const struct held *held)
{
    return held->is_started && held->stage + 1 < STAGE_COUNT;
}

void
stage_run(struct broker *broker, int64_t now_ms)
{
    const struct conf *conf = broker->env.conf;

    for (size_t i = 0; i < broker->sessions->count; i++) {
        struct session *session = broker->sessions->list[i];

        for (size_t j = 0; j < session->held_count; j++) {
            struct held *held = &session->held[j];

            while (has_next(held) &&
                   now_ms - held->started_ms >
                       enters_after_ms(conf, held->stage + 1)) {
                enter(broker, session, held, now_ms);
            }
        }
    }
}

int64_t
stage_next_ms(const struct broker *broker)
{
    int64_t next_ms = INT64_MAX;

    for (size_t i = 0; i < broker->sessions->count; i++) {
        const struct session *session = broker->sessions->list[i];

        for (size_t j = 0; j < session->held_count; j++) {
            const struct held *held = &session->held[j];
            int64_t at_ms;

            if (!has_next(held))
                continue;
            at_ms = held->started_ms + 1 +
                    enters_after_ms(broker->env.conf, held->stage + 1);
            if (at_ms < next_ms)
                next_ms = at_ms;
        }
    }
    return next_ms;
}

unsigned
stage_count(struct broker *broker, uint64_t batch, uint32_t counts[STAGE_COUNT])
{
    unsigned highest = 0;

    for (unsigned stage = 0; stage < STAGE_COUNT; stage++)
        counts[stage] = 0;
    for (size_t i = 0; i < broker->sessions->count; i++) {
        const struct session *session = broker->sessions->list[i];

        for (size_t j = 0; j < session->held_count; j++) {
            const struct held *held = &session->held[j];

            if (!held->is_started ||
                !store_request_is_wanted_by(broker->env.store, held->request,
                                            batch))
                continue;
            counts[held->stage]++;
            if (held->stage > highest)
                highest = held->stage;
        }
    }
    return highest;
}
