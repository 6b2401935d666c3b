/* SPDX-License-Identifier: MIT */
#include "queue/core.h"

#define GAP_SHARE     8   /* of the newest gap in the mean: one in so many */
#define GAP_MS_MAX    100 /* a longer silence tells nothing of the next */
#define US_A_MS       1000
#define AHEAD_USUAL   8     /* leases, where answers are slow */
#define AHEAD_LAST_US 50000 /* so long a worker's leases are to last */
#define NAP_MS_MAX    10    /* answers may come faster than it is believed */

/* So long that no answer waits, and a worker gets the usual number. */
#define GAP_UNKNOWN_US ((int64_t)GAP_MS_MAX * US_A_MS)

void
patience_init(struct broker *broker)
{
    broker->answer_gap_us = GAP_UNKNOWN_US;
    broker->answer_gap_before_us = broker->answer_gap_us;
}

/* Answers that were read at one time have come one after another since the last
 * one before. */
void
patience_note_answer(struct broker *broker, struct session *session,
                     int64_t now_ms)
{
    int64_t gap_ms, gap_us, share;

    if (now_ms != broker->answered_ms) {
        broker->answered_before_ms = broker->answered_ms;
        broker->answered_ms = now_ms;
        broker->answer_gap_before_us = broker->answer_gap_us;
        broker->answered = 0;
    }
    broker->answered++;
    session->answers++;
    gap_ms = now_ms - broker->answered_before_ms;
    if (gap_ms >= GAP_MS_MAX) {
        broker->answer_gap_us = GAP_UNKNOWN_US;
        return;
    }
    gap_us = gap_ms * US_A_MS / broker->answered;
    share = broker->answered < GAP_SHARE ? broker->answered : GAP_SHARE;
    if (broker->answer_gap_before_us == GAP_UNKNOWN_US)
        share = GAP_SHARE;
    broker->answer_gap_us =
        broker->answer_gap_before_us +
        (gap_us - broker->answer_gap_before_us) * share / GAP_SHARE;
}

void
patience_reset(struct broker *broker)
{
    broker->is_urgent = false;
    for (size_t i = 0; i < broker->sessions->count; i++)
        broker->sessions->list[i]->answers = 0;
}

/* How far apart the answers of one worker are, of many that share the slots. */
static int64_t
gap_of_each(const struct broker *broker)
{
    int64_t gap_us = broker->answer_gap_us > 0 ? broker->answer_gap_us : 1;

    return gap_us * (int64_t)broker->sessions->count;
}

size_t
patience_ahead(const struct broker *broker)
{
    int64_t most = broker->env.conf->lease_ahead_max;
    int64_t ahead = AHEAD_LAST_US / gap_of_each(broker);

    if (ahead < AHEAD_USUAL)
        ahead = AHEAD_USUAL;
    return (size_t)(ahead < most ? ahead : most);
}

/* How many answers of a worker may still wait: what it has answered and the store
 * has not is paid for again if all of us die at once, so that it is no more than
 * a round of its calls; and it must have a lease left whose call is not started,
 * as until then it needs no word of ours. */
static int64_t
room_for_answers(const struct session *session)
{
    int64_t room = (int64_t)session->told - session->answers;
    int64_t waiting = 0;

    for (size_t i = 0; i < session->held_count; i++)
        waiting += !session->held[i].is_started;
    return room < waiting ? room : waiting;
}

int64_t
broker_patience_ms(const struct broker *broker)
{
    const struct sessions *sessions = broker->sessions;
    int64_t window_ms = broker->env.conf->commit_window_ms;
    int64_t nap_ms = 0;

    if (broker->is_urgent || broker->is_draining ||
        broker->answer_gap_us > window_ms * US_A_MS) {
        return 0;
    }
    for (size_t i = 0; i < sessions->count; i++) {
        int64_t room = room_for_answers(sessions->list[i]);
        int64_t full_ms = room * gap_of_each(broker) / US_A_MS;

        if (sessions->list[i]->answers == 0)
            continue;
        if (room <= 0)
            return 0;
        if (nap_ms == 0 || full_ms < nap_ms)
            nap_ms = full_ms > 0 ? full_ms : 1;
    }
    return nap_ms < NAP_MS_MAX ? nap_ms : NAP_MS_MAX;
}
