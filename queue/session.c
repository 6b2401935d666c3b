/* SPDX-License-Identifier: MIT */
#include "queue/session.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct sessions *
sessions_new(size_t max)
{
    struct sessions *sessions = mem_zalloc(1, sizeof(*sessions));

    sessions->max = max;
    sessions->list = mem_zalloc(max, sizeof(sessions->list[0]));
    sessions->gone = mem_zalloc(max, sizeof(sessions->gone[0]));
    return sessions;
}

static void
session_free(struct session *session)
{
    free(session->held);
    free(session);
}

void
sessions_free(struct sessions *sessions)
{
    if (!sessions)
        return;
    for (size_t i = 0; i < sessions->count; i++)
        session_free(sessions->list[i]);
    sessions_settle(sessions);
    free(sessions->list);
    free(sessions->gone);
    free(sessions);
}

struct session *
sessions_find(const struct sessions *sessions,
              const unsigned char uuid[SESSION_UUID_BYTES])
{
    for (size_t i = 0; i < sessions->count; i++) {
        if (memcmp(sessions->list[i]->uuid, uuid, SESSION_UUID_BYTES) == 0)
            return sessions->list[i];
    }
    return NULL;
}

struct session *
sessions_find_peer(const struct sessions *sessions,
                   const struct link_peer *peer)
{
    for (size_t i = 0; i < sessions->count; i++) {
        struct session *session = sessions->list[i];

        if (session->has_peer &&
            memcmp(&session->peer, peer, sizeof(*peer)) == 0) {
            return session;
        }
    }
    return NULL;
}

struct session *
sessions_find_holder(const struct sessions *sessions, uint64_t request,
                     uint32_t fence)
{
    for (size_t i = 0; i < sessions->count; i++) {
        if (session_find(sessions->list[i], request, fence))
            return sessions->list[i];
    }
    return NULL;
}

struct session *
sessions_add(struct sessions *sessions,
             const unsigned char uuid[SESSION_UUID_BYTES])
{
    struct session *session;

    assert(!sessions_find(sessions, uuid));
    if (sessions->count == sessions->max)
        return NULL;
    session = mem_zalloc(1, sizeof(*session));
    session->id = ++sessions->last_id;
    memcpy(session->uuid, uuid, SESSION_UUID_BYTES);
    sessions->list[sessions->count++] = session;
    return session;
}

void
sessions_remove(struct sessions *sessions, struct session *session)
{
    size_t at = 0;

    while (at < sessions->count && sessions->list[at] != session)
        at++;
    assert(at < sessions->count);
    sessions->count--;
    memmove(&sessions->list[at], &sessions->list[at + 1],
            (sessions->count - at) * sizeof(sessions->list[0]));
    if (session->is_new) {
        session_free(session);
        return;
    }
    assert(sessions->gone_count < sessions->max);
    sessions->gone[sessions->gone_count++] = session;
}

void
sessions_settle(struct sessions *sessions)
{
    while (sessions->gone_count > 0)
        session_free(sessions->gone[--sessions->gone_count]);
}

/* Puts a session back to where its id belongs. */
static void
put_back(struct sessions *sessions, struct session *session)
{
    size_t at = sessions->count++;

    assert(sessions->count <= sessions->max);
    for (; at > 0 && sessions->list[at - 1]->id > session->id; at--)
        sessions->list[at] = sessions->list[at - 1];
    sessions->list[at] = session;
}

void
sessions_restore(struct sessions *sessions)
{
    for (size_t i = sessions->count; i > 0; i--) {
        if (sessions->list[i - 1]->is_new)
            sessions_remove(sessions, sessions->list[i - 1]);
    }
    while (sessions->gone_count > 0)
        put_back(sessions, sessions->gone[--sessions->gone_count]);
}

uint32_t
sessions_lent(const struct sessions *sessions)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < sessions->count; i++)
        sum += sessions->list[i]->lent;
    return sum;
}

/* Deals the slots out one at a time, round after round, as cards are. */
uint32_t
sessions_share(const struct sessions *sessions, const struct session *session,
               uint32_t slots)
{
    uint32_t share = 0, dealt = 1;

    for (uint32_t round = 1; slots > 0 && dealt > 0; round++) {
        dealt = 0;
        for (size_t i = 0; i < sessions->count && slots > 0; i++) {
            const struct session *other = sessions->list[i];

            if (!other->is_online || other->is_leaving ||
                other->capacity < round)
                continue;
            if (other == session)
                share++;
            slots--;
            dealt++;
        }
    }
    return share;
}

struct held *
session_find(const struct session *session, uint64_t request, uint32_t fence)
{
    for (size_t i = 0; i < session->held_count; i++) {
        struct held *held = &session->held[i];

        if (held->request == request && held->fence == fence)
            return held;
    }
    return NULL;
}

void
session_extend(struct session *session, struct held *held, int64_t now_ms)
{
    held->deadline_ms = now_ms + held->length_ms;
    if (held->deadline_ms > held->end_ms)
        held->deadline_ms = held->end_ms;
    if (held->deadline_ms > session->until_ms)
        session->until_ms = held->deadline_ms;
}

struct held *
session_hold(struct session *session, uint64_t request, uint32_t fence,
             int64_t length_ms, int64_t end_ms, int64_t now_ms)
{
    struct held *held;

    assert(!session_find(session, request, fence));
    if (session->held_count == session->held_capacity) {
        session->held_capacity = session->held_capacity * 2 + 8;
        session->held = mem_grow(session->held, session->held_capacity,
                                 sizeof(session->held[0]));
    }
    held = &session->held[session->held_count++];
    *held = (struct held){ .request = request,
                           .fence = fence,
                           .length_ms = length_ms,
                           .end_ms = end_ms };
    session_extend(session, held, now_ms);
    return held;
}

void
session_note_call(struct held *held, bool is_started, int64_t now_ms)
{
    if (is_started && !held->is_started) {
        held->started_ms = now_ms;
        held->stage = 0;
    }
    held->is_started = is_started;
}

void
session_drop(struct session *session, uint64_t request, uint32_t fence)
{
    struct held *held = session_find(session, request, fence);

    if (held)
        *held = session->held[--session->held_count];
}

int64_t
session_over_ms(const struct session *session, int64_t silence_ms)
{
    int64_t silent_ms = session->heard_ms + silence_ms + 1;

    if (session->held_count > 0)
        return INT64_MAX;
    return session->until_ms > silent_ms ? session->until_ms : silent_ms;
}

int64_t
sessions_next_ms(const struct sessions *sessions, int64_t silence_ms)
{
    int64_t next_ms = INT64_MAX;

    for (size_t i = 0; i < sessions->count; i++) {
        const struct session *session = sessions->list[i];

        int64_t over_ms = session_over_ms(session, silence_ms);

        if (over_ms < next_ms)
            next_ms = over_ms;
        for (size_t j = 0; j < session->held_count; j++) {
            if (session->held[j].deadline_ms < next_ms)
                next_ms = session->held[j].deadline_ms;
        }
    }
    return next_ms;
}
