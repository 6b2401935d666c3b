/* SPDX-License-Identifier: MIT */
#include "queue/core.h"

#define GAP_SHARE 8 /* of the newest gap in the mean: one in so many */
#define US_A_MS   1000

void
patience_note_answer(struct broker *broker, struct session *session,
                     int64_t now_ms)
{
    /* A long silence says nothing about what comes next. */
    int64_t most_ms = broker->env.conf->commit_window_ms * GAP_SHARE;
    int64_t gap_ms = now_ms - broker->answered_ms;

    if (gap_ms > most_ms)
        gap_ms = most_ms;
    broker->answer_gap_us +=
        (gap_ms * US_A_MS - broker->answer_gap_us) / GAP_SHARE;
    broker->answered_ms = now_ms;
    session->answers++;
}

void
patience_reset(struct broker *broker)
{
    broker->is_urgent = false;
    for (size_t i = 0; i < broker->sessions->count; i++)
        broker->sessions->list[i]->answers = 0;
}

/* True if a worker needs no word of ours to go on: less than a round of its
 * calls has ended, and it has a lease whose call is not started. */
static bool
is_busy(const struct session *session)
{
    size_t waiting = 0;

    for (size_t i = 0; i < session->held_count; i++)
        waiting += !session->held[i].is_started;
    return session->answers < session->told && waiting > 0;
}

bool
broker_is_patient(const struct broker *broker)
{
    const struct sessions *sessions = broker->sessions;
    uint32_t answers = 0;

    if (broker->is_urgent || broker->is_draining ||
        broker->env.conf->commit_window_ms == 0 ||
        broker->answer_gap_us > broker->env.conf->commit_window_ms * US_A_MS) {
        return false;
    }
    for (size_t i = 0; i < sessions->count; i++) {
        const struct session *session = sessions->list[i];

        answers += session->answers;
        if (session->answers > 0 && !is_busy(session))
            return false;
    }
    return answers > 0;
}
