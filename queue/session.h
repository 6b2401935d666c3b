/*
 * session.h - the workers: who is there, what each holds, which slots it has
 *
 * A session is one life of a worker process, named by a UUID that it makes anew
 * at every start. It goes offline when its link breaks or the broker restarts,
 * and comes back with hello; it ends with bye, when its death is known, or when
 * its calls must have ended.
 *
 * Slots are a counting semaphore over all workers. `lent` is what the worker may
 * have in flight, and is only lowered when the worker says so or is dead; the
 * sum over all sessions never exceeds slots_max.
 *
 * Held leases are kept in memory beside the store's lease rows, with deadlines
 * that heartbeats extend.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_SESSION_H
#define QUEUE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queue/bound.h"
#include "queue/link.h"
#include "queue/schedule.h"

#define SESSION_UUID_BYTES   16
#define SESSION_TEXT_BYTES   257 /* of names and paths, with their NUL */
#define SESSION_CAPACITY_MAX 1024
#define STAGE_COUNT          5 /* in time, and behind each of t1 to t4 */
#define SESSION_MISSED_MAX   2 /* beats that may leave a lease out */

struct held {
    uint64_t request;
    uint32_t fence;
    bool is_started;    /* its call was, as the worker has said */
    int64_t started_ms; /* when that was heard first */
    unsigned stage;     /* of its call's latency, below STAGE_COUNT */
    unsigned missed;    /* beats in a row that did not list it */
    int64_t length_ms;  /* a beat extends it by this */
    int64_t end_ms;     /* and never beyond */
    int64_t deadline_ms;
    struct charge charge; /* what it has been charged to */
    struct bound bound;   /* where it is counted */
};

struct session {
    uint64_t id;
    unsigned char uuid[SESSION_UUID_BYTES];
    bool is_online;
    bool is_leaving;       /* drains: gets nothing new */
    bool is_new;           /* it came in the transaction at hand */
    bool is_back;          /* it said hello in it */
    bool has_peer;         /* it has spoken since the broker's start */
    struct link_peer peer; /* from there; what it sent last may come after it
                              has gone offline */
    char name[SESSION_TEXT_BYTES];
    char host[SESSION_TEXT_BYTES];
    char lock[SESSION_TEXT_BYTES];
    char own[SESSION_TEXT_BYTES]; /* token of the broker that started it */
    uint32_t webhooks; /* whose secrets it has: bits, as in the configuration */
    uint32_t pid;
    uint32_t capacity; /* calls it can make */
    uint32_t told;     /* slots it was told to use */
    uint32_t lent;     /* slots it may still be using */
    uint32_t word;     /* counts what it was told of slots */
    uint32_t unheard;  /* the word at which its answer found no room; 0: none */
    uint32_t hellos;   /* that it had said when it said the newest one */
    uint32_t told_sent, lent_sent, word_sent, hellos_sent; /* as of the last
                                                              commit */
    uint32_t answers; /* that came in the transaction at hand */
    int64_t heard_ms;
    int64_t until_ms; /* when all its calls have ended at the latest */
    struct held *held;
    size_t held_count;
    size_t held_capacity; /* private */
};

struct sessions {
    struct session **list; /* in the order of their ids */
    size_t count;
    size_t max;
    uint64_t last_id;
    struct session **gone; /* private: removed in the transaction at hand */
    size_t gone_count;
};

/* An empty table of at most `max` sessions. */
struct sessions *sessions_new(size_t max);
void sessions_free(struct sessions *sessions);

/* Finds a session; NULL if there is none. */
struct session *sessions_find(const struct sessions *sessions,
                              const unsigned char uuid[SESSION_UUID_BYTES]);

/* Finds the session that spoke from there last; it may be offline now. */
struct session *sessions_find_peer(const struct sessions *sessions,
                                   const struct link_peer *peer);

/* The session that holds a lease. */
struct session *sessions_find_holder(const struct sessions *sessions,
                                     uint64_t request, uint32_t fence);

/* Adds a session, offline and with nothing. NULL if there are too many. */
struct session *sessions_add(struct sessions *sessions,
                             const unsigned char uuid[SESSION_UUID_BYTES]);

/* Removes a session. It may come back until the transaction has ended; one that is
 * new cannot, and is freed. */
void sessions_remove(struct sessions *sessions, struct session *session);

/* The transaction is stored: what was removed is freed. */
void sessions_settle(struct sessions *sessions);

/* It failed: what was removed is there again, and what was new is not. */
void sessions_restore(struct sessions *sessions);

/* Slots lent to all of them. */
uint32_t sessions_lent(const struct sessions *sessions);

/* The share of `slots` that each online session should have, spread evenly
 * up to its capacity; the result is for `session`. */
uint32_t sessions_share(const struct sessions *sessions,
                        const struct session *session, uint32_t slots);

/* Adds a lease to what a session holds: it ends after length_ms, or at end_ms.
 */
struct held *session_hold(struct session *session, uint64_t request,
                          uint32_t fence, int64_t length_ms, int64_t end_ms,
                          int64_t now_ms);

/* A lease was listed: it lasts its length from now, but not beyond its end. */
void session_extend(struct session *session, struct held *held, int64_t now_ms);

/* Takes note of whether the call of a lease has started, as its worker says. */
void session_note_call(struct held *held, bool is_started, int64_t now_ms);

/* The lease, or NULL. */
struct held *session_find(const struct session *session, uint64_t request,
                          uint32_t fence);

/* Takes a lease out; one that is not there is fine. */
void session_drop(struct session *session, uint64_t request, uint32_t fence);

/* When a session that holds nothing is over: none of its calls can run any
 * more, and it was silent for longer than silence_ms. INT64_MAX while it holds
 * anything. */
int64_t session_over_ms(const struct session *session, int64_t silence_ms);

/* When the first lease or session of all ends; INT64_MAX if none does. */
int64_t sessions_next_ms(const struct sessions *sessions, int64_t silence_ms);

#endif
