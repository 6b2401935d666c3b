/*
 * upstreams.h - what the broker knows of each upstream, and whether to ask it
 *
 * Of each: whether it is suspended (by a wait that it named, or because it said
 * to stop), its breaker, the pace that it was seen to permit, its budgets; and of
 * each upstream and model a lane with its window. From these comes one answer: a
 * request may be leased there now, or why not, and until when. Reports of calls
 * come in the other way.
 *
 *   route ──► upstreams_choose ──► leased ──► call_news.h   what came of the call
 *                                    └──────► returned      there was none
 *
 * Suspension, breaker and "has it ever answered" are rows of the store; the rest
 * is memory, and learnt anew after a restart. How many leases there are is not
 * counted here but told by whoever holds them: upstreams_forget_held() and
 * upstreams_hold() before each round.
 *
 * Time is passed in. Nothing but names is allocated after upstreams_new().
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_UPSTREAMS_H
#define QUEUE_UPSTREAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/route.h"
#include "queue/bound.h"
#include "queue/breaker.h"
#include "queue/budget.h"
#include "queue/lane.h"
#include "queue/pace.h"
#include "queue/wait.h"
#include "store/store.h"

#define UPSTREAMS_LANES_MAX 64 /* of all upstreams; the oldest one goes */

/* The last call that failed, for people; since the start of the broker. */
struct upstream_failure {
    uint32_t http_status;
    char code[UPSTREAM_CODE_BYTES];
    char message[UPSTREAM_MESSAGE_BYTES];
};

struct upstream {
    const struct conf_upstream *conf; /* borrowed */
    struct upstream_row row;          /* without the breaker's part */
    struct breaker breaker;
    struct pace pace;
    struct budget requests, tokens;
    uint32_t held; /* leases now */
    double turn;   /* where it stands among those of its priority */
    uint64_t calls, failures, refusals;
    struct upstream_failure last;
    bool is_changed; /* since its row was written */
};

struct upstreams {
    const struct conf *conf; /* borrowed */
    size_t count;
    struct upstream list[CONF_UPSTREAMS_MAX]; /* as in the configuration */
    size_t lane_count;
    struct lane lanes[UPSTREAMS_LANES_MAX];
    double turn; /* of the one that was chosen last */
};

/* One of each upstream of the configuration, of which nothing is known. */
struct upstreams *upstreams_new(const struct conf *conf);

/* Frees them; NULL is fine. */
void upstreams_free(struct upstreams *upstreams);

/* Reads what the store remembers, in place of what is known of that; writes what
 * has changed since. Within a transaction. Damaged rows are told and forgotten;
 * other failures are returned. */
int upstreams_load(struct upstreams *upstreams, struct store *store,
                   struct err *err);
void upstreams_save(struct upstreams *upstreams, struct store *store);

/* The index of a name; BOUND_LOCAL if it is none of the configuration's. */
int upstreams_find(const struct upstreams *upstreams, const char *name);

/* Counts the leases anew: there are none; there is one. */
void upstreams_forget_held(struct upstreams *upstreams);
void upstreams_hold(struct upstreams *upstreams, const struct bound *bound);

/* Why nothing may be leased there now; WAIT_NOTHING: it may. `is_short` waits
 * (a place, a turn) end by themselves and soon, the others mean that the upstream
 * is not to be asked. */
struct wait upstreams_wait(struct upstreams *upstreams,
                           const struct bound *bound, int64_t now_ms);
bool upstreams_is_short(enum wait_cause cause);

/* Chooses the member of a route that is asked now and sets bound->where: of the
 * highest priority that has one, by weight. The one at `last` comes after all
 * others (BOUND_LOCAL: there is none). If none may be asked: the wait that
 * ends first. */
struct wait upstreams_choose(struct upstreams *upstreams,
                             const struct route *route, int last,
                             struct bound *bound, int64_t now_ms);

/* When the first member of a route may be asked again, as far as suspensions and
 * breakers go: now_ms or less, now; UPSTREAM_STOPPED: not before somebody
 * resumes one. `but` does not count (BOUND_LOCAL: all do). */
int64_t upstreams_open_ms(const struct upstreams *upstreams,
                          const struct route *route, int but, int64_t now_ms);

/* True if an upstream is suspended, or broken and not being probed: what was
 * leased there and not called is to come back. */
bool upstreams_is_closed(const struct upstreams *upstreams, int where,
                         int64_t now_ms);

/* True if a lease there is to be called at once: what goes there is counted out,
 * and is not to wait for a slot. */
bool upstreams_is_exact(struct upstreams *upstreams, const struct bound *bound,
                        int64_t now_ms);

/* A lease was given there, for a model of that name; it ended without a call.
 * What came of a call is call_news.h's matter. */
void upstreams_leased(struct upstreams *upstreams, const struct bound *bound,
                      const char *model, int64_t now_ms);
void upstreams_returned(struct upstreams *upstreams, const struct bound *bound,
                        int64_t now_ms);

/* Lifts a suspension, closes a breaker, and forgets what was learnt of the pace:
 * somebody says that it is as new. */
void upstreams_resume(struct upstreams *upstreams, int where);

/* An upstream by its index; the most calls that it may have at a time. */
struct upstream *upstreams_at(struct upstreams *upstreams, int where);
int64_t upstreams_calls_max(const struct upstreams *upstreams,
                            const struct upstream *upstream);

/* The lane of a bound: NULL if there is none yet; or made, in place of the one
 * that was not used for the longest time. */
struct lane *upstreams_lane(struct upstreams *upstreams,
                            const struct bound *bound);
struct lane *upstreams_need_lane(struct upstreams *upstreams,
                                 const struct bound *bound);

/* Copies a text, cut to fit. */
void upstreams_set_text(char *out, size_t size, const char *text);

/* True if one of them is suspended until somebody resumes it. */
bool upstreams_has_stopped(const struct upstreams *upstreams);

#endif
