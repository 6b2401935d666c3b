/* SPDX-License-Identifier: MIT */
#include "queue/core.h"

#define GAP_SHARE     8   /* of the newest gap in the mean: one in so many */
#define GAP_MS_MAX    100 /* a longer silence tells nothing of the next */
#define GAPS_MAX      2   /* windows: with longer gaps a wait brings little */
#define US_A_MS       1000
#define AHEAD_USUAL   8     /* leases, where answers are slow */
#define AHEAD_LAST_US 50000 /* so long a worker's leases are to last */

void
patience_init(struct broker *broker)
{
    broker->answer_gap_us = (int64_t)GAP_MS_MAX * US_A_MS;
}

void
patience_note_answer(struct broker *broker, struct session *session,
                     int64_t now_ms)
{
    int64_t gap_ms = now_ms - broker->answered_ms;

    if (gap_ms > GAP_MS_MAX)
        gap_ms = GAP_MS_MAX;
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

size_t
patience_ahead(const struct broker *broker)
{
    int64_t most = broker->env.conf->lease_ahead_max;
    int64_t gap_us = broker->answer_gap_us > 0 ? broker->answer_gap_us : 1;
    int64_t ahead = AHEAD_LAST_US / gap_us / (int64_t)broker->sessions->count;

    if (ahead < AHEAD_USUAL)
        ahead = AHEAD_USUAL;
    return (size_t)(ahead < most ? ahead : most);
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
        broker->answer_gap_us >
            broker->env.conf->commit_window_ms * US_A_MS * GAPS_MAX) {
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
