/*
 * alerts.h - what somebody should know of: conditions that last
 *
 * The broker looks at itself now and then, and for each alert, and each upstream
 * that it may be about, asks whether its condition holds: of what came within
 * alert_window_ms, or of how things are. One that has held for its time fires;
 * one that has not held for alert_resolve_ms is over.
 *
 *             it holds              it has held for its time
 *    QUIET ────────────► PENDING ────────────────────────────► FIRING
 *     ▲ ▲                   │                                  ▲   │
 *     │ └───────────────────┘                         it holds │   │ it does
 *     │     it does not                                        │   │ not
 *     │                                                        │   ▼
 *     └──────────────────────────────────────────────────────EASING
 *               it has not held for alert_resolve_ms
 *
 * While it fires, a figure has to come back behind its limit by a tenth of that
 * before the condition no longer holds: one that stays near its limit does not
 * fire again and again. Rates of fewer than alert_samples_min samples say nothing:
 * their condition does not hold.
 *
 * What changes is news, which have numbers: the newest are kept, and whoever
 * reads them knows how far it has come. Functional: facts and time are passed in.
 * All is lost with the process, and found again.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_ALERTS_H
#define QUEUE_ALERTS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/conf.h"

#define ALERT_LOOK_MS        1000 /* between looks, or less in a short window */
#define ALERT_MARKS          11   /* a window has ten steps */
#define ALERT_MARGIN_PERCENT 10   /* of its limit a figure has to come back */
#define ALERT_NEWS_MAX       256  /* that are kept */
#define ALERT_SLOW_P50       50   /* percent of calls above t2_ms; and t3_ms */
#define ALERT_SLOW_P95       5

/* clang-format off */
/*    name                 text                  of each upstream */
#define ALERT_LIST(X)                                              \
    X(LATENCY_P50,        "latency_p50",         true)             \
    X(LATENCY_P95,        "latency_p95",         true)             \
    X(ERROR_RATE,         "error_rate",          true)             \
    X(UPSTREAM_SUSPENDED, "upstream_suspended",  true)             \
    X(HIT_RATE,           "hit_rate",            false)            \
    X(QUEUE_STUCK,        "queue_stuck",         false)            \
    X(STORE_NEARLY_FULL,  "store_nearly_full",   false)            \
    X(WORKER_LOST,        "worker_lost",         false)

#define ALERT_TO(state) (1u << ALERT_##state)
/*    name     text       the states it may move to */
#define ALERT_STATES(X)                                            \
    X(QUIET,   "quiet",   ALERT_TO(PENDING))                       \
    X(PENDING, "pending", ALERT_TO(QUIET) | ALERT_TO(FIRING))      \
    X(FIRING,  "firing",  ALERT_TO(EASING))                        \
    X(EASING,  "easing",  ALERT_TO(FIRING) | ALERT_TO(QUIET))
/* clang-format on */

#define ALERT_KIND_ENUM(name, text, is_of_each) ALERT_##name,
enum alert_kind { ALERT_LIST(ALERT_KIND_ENUM) ALERT_KIND_COUNT };
#undef ALERT_KIND_ENUM

#define ALERT_STATE_ENUM(name, text, to) ALERT_##name,
enum alert_state { ALERT_STATES(ALERT_STATE_ENUM) ALERT_STATE_COUNT };
#undef ALERT_STATE_ENUM

/* What was counted since the start. */
struct alert_calls {
    uint64_t calls, errors;
    uint64_t timed, above_t2, above_t3; /* those whose duration is known */
};
struct alert_counts {
    struct alert_calls upstreams[CONF_UPSTREAMS_MAX];
    uint64_t lookups, hits; /* drafts; those that needed no call of their own */
    uint64_t workers_lost;
};

/* How things are. */
struct alert_facts {
    struct alert_counts counts;
    bool is_suspended[CONF_UPSTREAMS_MAX]; /* or broken */
    bool is_stuck; /* work is ready, slots are free, nothing moves or explains
                      it */
    uint64_t ready;
    double store_percent; /* used, of the size at which drafts are refused */
};

struct alert {
    enum alert_kind kind;
    int where; /* the upstream's index; -1: it is about none */
    enum alert_state state;
    int64_t since_ms; /* when it came into that state; 0: never changed */
    bool is_known;    /* there were enough samples */
    uint64_t samples;
    double value, limit;
};

/* An alert that has begun to fire, or is over, as it was then. */
struct alert_news {
    struct alert alert;
    bool is_fired;
    int64_t at_ms;
};

struct alert_mark {
    int64_t at_ms;
    struct alert_counts counts;
};

struct alerts {
    const struct conf *conf; /* borrowed */
    size_t count;
    struct alert list[ALERT_KIND_COUNT * CONF_UPSTREAMS_MAX];
    struct alert_mark marks[ALERT_MARKS]; /* a ring; the newest at `mark` */
    size_t mark, mark_count;
    int64_t look_ms;                        /* when to look next */
    struct alert_news news[ALERT_NEWS_MAX]; /* by their numbers */
    uint64_t news_count; /* that there ever were: numbers begin with 0 */
};

/* The alerts of a configuration, all of them quiet. */
struct alerts *alerts_new(const struct conf *conf);

/* Frees them; NULL is fine. */
void alerts_free(struct alerts *alerts);

/* True if it is time to look. */
bool alerts_are_due(const struct alerts *alerts, int64_t now_ms);

/* Looks: moves each alert by the facts. */
void alerts_look(struct alerts *alerts, const struct alert_facts *facts,
                 int64_t now_ms);

/* Reads the news of the number *at, or the oldest behind it that is still kept,
 * and sets *at behind that. False if there is none. */
bool alerts_next(const struct alerts *alerts, uint64_t *at,
                 struct alert_news *news);

/* How many fire, those that ease included. */
size_t alerts_firing(const struct alerts *alerts);

/* True if it fires, or eases. */
bool alert_fires(const struct alert *alert);

/* Names, and whether the table has a move. */
const char *alert_name(enum alert_kind kind);
const char *alert_state_name(enum alert_state state);
bool alert_may_move(enum alert_state from, enum alert_state to);

/* The upstream that it is about; "" if it is about none. */
const char *alert_upstream(const struct alert *alert, const struct conf *conf);

/* Appends a sentence for people: the figure and its limit. */
void alert_tell(const struct alert *alert, const struct conf *conf,
                struct buf *out);

/* An alert as in PROTOCOL.md, for the caller to add or delete: what is sent to
 * somebody who is told of it has this form, whichever way it goes. */
cJSON *alert_json(const struct alert *alert, const struct conf *conf);

#endif
