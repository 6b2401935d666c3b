/*
 * desk.h - the leases a worker holds, in the order they came
 *
 *   add          start          end        finish            confirm
 *   ───► WAITING ─────► RUNNING ───► ENDED ───────► FINISHED ─────────► (gone)
 *           │  ◄── again ──┤ ╰────── finish ──────────▲
 *           └──────────────┴──► (gone)    cancelled, dropped, released, ended
 *
 * A lease ends by the worker's own clock: the longer of lease_ms and its call's
 * time-out, after the last heartbeat that listed it was sent, provided that the
 * broker answered that heartbeat. The broker counts from when it heard the same
 * heartbeat, so the worker is never the later one to give up. A new lease ends so
 * long after the last answered heartbeat, too, as it was granted after that: one
 * that is read late, by a worker that was stopped meanwhile, is over already. And
 * from there counts how long it may last at most.
 *
 * A finished lease has a result that is sent again until it is confirmed; it
 * does not end, as a late success is still of use. When too many of them pile
 * up, no call is to be started.
 *
 * Time is passed in, in milliseconds. The desk owns its leases; a pointer to one
 * is good until the lease is gone. Nothing but bodies is allocated after
 * desk_new().
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_DESK_H
#define WORKER_DESK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "worker/reply.h"
#include "worker/result.h"

#define DESK_LEASES_MAX           1024 /* so that all fit into one heartbeat */
#define DESK_UNCONFIRMED_MAX      64
#define DESK_UNCONFIRMED_BYTES    ((size_t)64 << 20)
#define DESK_RESEND_MS            1000 /* after the first time */
#define DESK_HEARD_MS             15 /* a broker that is there confirms by then */
#define DESK_RESEND_MAX_MS        16000 /* doubling up to this */
#define DESK_UPSTREAM_BYTES_MAX   64
#define DESK_PATH_BYTES_MAX       1024
#define DESK_MODEL_BYTES_MAX      256
#define DESK_NEVER                INT64_MAX
#define DESK_BEATS_UNANSWERED_MAX 256

enum desk_state {
    DESK_WAITING,
    DESK_RUNNING,
    DESK_ENDED,
    DESK_FINISHED,
    DESK_STATE_COUNT
};

struct call; /* see call.h */

struct desk_lease {
    int64_t request;
    int64_t fence;
    enum desk_state state;
    int64_t deadline_ms; /* by our own clock; of no meaning when finished */
    int64_t end_ms;      /* it is never extended beyond */
    int64_t timeout_ms;  /* of its call */
    bool is_raw;
    char upstream[DESK_UPSTREAM_BYTES_MAX + 1];
    char path[DESK_PATH_BYTES_MAX + 1];
    char model[DESK_MODEL_BYTES_MAX + 1]; /* at the upstream; "": in the body */
    struct buf body;       /* as the broker sent it; empty when finished */
    struct buf translated; /* while running: what is sent instead, if it is */
    struct call *call;     /* while running; borrowed from the calls */
    struct reply *reply;   /* once ended, until finished: what came */
    int64_t ended_ms;      /* once ended or finished: when that was */
    bool is_told;          /* once running: the broker knows of its call */
    uint64_t token;        /* the one its call was sent with; 0: none */
    bool is_second;        /* its call is made again, with another token */
    struct result result;  /* once finished */
    int64_t resend_ms;     /* when the result is due; 0: at once */
    int times_sent;        /* how often it was sent */
    bool is_kept;          /* it is among the worker's last words */
    uint64_t first_beat;   /* private: the first heartbeat that lists it */
};

struct desk;

/* A desk for at most DESK_LEASES_MAX leases; freed with desk_free(), whatever
 * state they are in. NULL is fine there. */
struct desk *desk_new(void);
void desk_free(struct desk *desk);

/* How long a lease lasts, and how long one that is granted from now on may last
 * at most, however often it is extended; from the broker's welcome. */
void desk_set_lease_ms(struct desk *desk, int64_t lease_ms, int64_t run_max_ms);

/* Takes a lease on, to be filled in by the caller: waiting at the end of the
 * row. NULL if the desk is full. desk_find_live() must not find its request. */
struct desk_lease *desk_add(struct desk *desk, int64_t request, int64_t fence,
                            int64_t timeout_ms, int64_t now_ms);

/* The lease with this fence; NULL if there is none. */
struct desk_lease *desk_find(struct desk *desk, int64_t request, int64_t fence);

/* The lease of a request that waits or runs, with any fence; NULL if none. */
struct desk_lease *desk_find_live(struct desk *desk, int64_t request);

/* The broker granted a live lease again: what waits or runs goes on under the
 * new fence, so that nothing is called twice for it. */
void desk_adopt(struct desk *desk, struct desk_lease *lease, int64_t fence,
                int64_t now_ms);

/* The nth lease in order, from 0; NULL behind the last. */
struct desk_lease *desk_at(struct desk *desk, size_t nth);

/* How many leases are in a state, and on the desk. */
size_t desk_count(const struct desk *desk, enum desk_state state);
size_t desk_size(const struct desk *desk);

/* The next lease whose call may start, or NULL: the first that waits, and not
 * for the confirmation of a result of the same request; none at all if too many
 * results are unconfirmed. Looks from *at on, 0 at first, and moves it behind
 * what it returns; whoever removes that moves it back. */
struct desk_lease *desk_next_waiting(struct desk *desk, size_t *at);

/* True if the call of a lease has time to end before the lease has to. */
bool desk_has_time(const struct desk_lease *lease, int64_t now_ms);

/* The call of a waiting lease has started. */
void desk_start(struct desk *desk, struct desk_lease *lease);

/* The broker was told of all calls that run. */
void desk_told(struct desk *desk);

/* The call of a running lease is to be made again: it waits once more, in its
 * place. */
void desk_again(struct desk *desk, struct desk_lease *lease);

/* The call of a running lease has ended with this reply, which is the desk's from
 * now on: its slot is free, and what came is yet to be judged. */
void desk_end(struct desk *desk, struct desk_lease *lease, struct reply *reply,
              int64_t now_ms);

/* The first lease that has ended and is not finished; NULL if there is none. */
struct desk_lease *desk_next_unjudged(struct desk *desk);

/* A lease's call has ended, or will never start: its result is filled in, and
 * is due at once. */
void desk_finish(struct desk *desk, struct desk_lease *lease, int64_t now_ms);

/* Packs the results that came since the last time; `room` is used on the way. */
void desk_pack(struct desk *desk, struct packer *packer, struct buf *room);

/* The result of a finished lease outlives the worker now (last_words.h). */
void desk_keep(struct desk *desk, struct desk_lease *lease);

/* How many do. */
size_t desk_kept(const struct desk *desk);

/* Forgets a lease: confirmed, or not ours any more. */
void desk_remove(struct desk *desk, struct desk_lease *lease);

/* The number that the next heartbeat is to have, by which its answer is told from
 * others'; 0: none, as too many are unanswered. */
uint64_t desk_beat_number(const struct desk *desk);

/* A heartbeat (or a hello) that lists all leases was sent. */
void desk_beat_sent(struct desk *desk, int64_t now_ms);

/* The broker answered the heartbeat of a number; 0: the oldest one that is
 * unanswered, as it did not say which. Extends the leases it listed. Those before
 * it will have no answer. */
void desk_beat_answered(struct desk *desk, uint64_t number);

/* Answers that are missing will not come: the connection was lost. */
void desk_beats_forget(struct desk *desk);

/* A lease that is not finished and whose deadline has come, or NULL. */
struct desk_lease *desk_next_ended(struct desk *desk, int64_t now_ms);

/* The running lease whose call this is; NULL if there is none. */
struct desk_lease *desk_find_call(struct desk *desk, const struct call *call);

/* The next finished lease whose result is due, or NULL. Looks from *at on, 0 at
 * first, and moves it behind what it returns. */
struct desk_lease *desk_next_due(struct desk *desk, size_t *at, int64_t now_ms);

/* The lease's result was sent; it is due again after DESK_RESEND_MS, doubled
 * with each time. */
void desk_sent(struct desk_lease *lease, int64_t now_ms);

/* The lease's result cannot be sent now; it is due after DESK_RESEND_MS. */
void desk_put_off(struct desk_lease *lease, int64_t now_ms);

/* True if all calls whose results are neither confirmed nor kept have ended no
 * longer than DESK_HEARD_MS ago. */
bool desk_is_fresh(const struct desk *desk, int64_t now_ms);

/* All results are due at once: there is a broker that has not seen them. */
void desk_resend_all(struct desk *desk);

/* When the next lease ends or result is due; DESK_NEVER if none. */
int64_t desk_next_ms(const struct desk *desk);

#endif
