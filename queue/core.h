/*
 * core.h - what the rooms of the broker share
 *
 * Private to queue/: the broker's state, and what all of its files need. What one
 * of them offers the others stands in the header of its name, and comes with this
 * one; small ones stand with a neighbour.
 *
 * Each file handles one family of verbs or one duty: intake.c, control.c,
 * answers.c, answer_pages.c, answer_reply.c, answer_why.c, stats.c and watch.c for
 * clients, upload.c and files.c for their files (files.h), filing.c and what
 * stands with it for batches made from files (filing.h), hello.c and workers.c for
 * workers, dispatch.c leases, finish.c ends requests, deliveries.c tells webhooks
 * of events, due.c does what time brings.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_CORE_H
#define QUEUE_CORE_H

#include "base/digest.h"
#include "queue/alerts.h"
#include "queue/answers.h"
#include "queue/broker.h"
#include "queue/choice.h"
#include "queue/counters.h"
#include "queue/deliveries.h"
#include "queue/dispatch.h"
#include "queue/due.h"
#include "queue/finish.h"
#include "queue/gather.h"
#include "queue/group.h"
#include "queue/line.h"
#include "queue/meter.h"
#include "queue/patience.h"
#include "queue/retain.h"
#include "queue/retry.h"
#include "queue/schedule.h"
#include "queue/senders.h"
#include "queue/session.h"
#include "queue/stage.h"
#include "queue/upkeep.h"
#include "queue/upstreams.h"
#include "queue/verbs.h"
#include "queue/wait.h"
#include "queue/watch.h"
#include "queue/windows.h"
#include "queue/workers.h"
#include "store/cache.h"
#include "store/file.h"

#define CORE_UUID_TEXT_BYTES 37
#define CORE_WINDOW_CHUNKS   4 /* chunks that a batch alone may send ahead */
#define CORE_PARKED_MAX      64
#define CORE_CLAIM_MAX       64 /* leases of one claim */
#define CORE_LOOKS           64 /* batches whose looks are remembered */

struct broker {
    struct broker_env env;
    uint64_t random; /* state of the chance */
    struct groups *groups;
    struct schedule *schedule;
    struct sessions *sessions;
    struct cache *cache;
    struct recipes *recipes;
    struct windows *windows;
    struct senders senders;
    struct waiter *waiters;
    size_t waiter_count; /* those that are committed to */
    size_t waiter_fresh; /* behind them: of the running transaction */
    struct upstreams *upstreams;
    struct counters counters;
    struct counters sent; /* as of the last commit */
    struct meter meter;
    struct meter meter_sent;       /* the same */
    struct histogram commit_us;    /* how long commits took */
    struct histogram commit_items; /* and what was written in them */
    int64_t start_ms;              /* when this broker was started */
    uint64_t batch_before; /* the newest then: those of later ones came with
                              this configuration */
    int64_t wall_ahead_ms; /* what the wall clock shows beyond our time */
    int64_t timer_next_ms; /* the store's first timer; INT64_MAX: none */
    int64_t hold_ms;       /* until then broker_turn() does nothing */
    int64_t turned_ms;     /* when broker_turn() was last called */
    int64_t wake_ms;       /* when it was to be called again at the latest */
    struct upkeep upkeep;
    struct posts posts; /* deliveries that are with workers */
    struct watch watch;
    bool is_draining;
    char *own;             /* while draining: whose workers end with it */
    bool has_results;      /* something ended since the last settle */
    bool is_urgent;        /* something was said since then that cannot wait */
    int64_t answered_ms;   /* when the last answer came */
    int64_t answered;      /* how many came with it */
    int64_t answer_gap_us; /* between two of them, of late */
    /* Both, as of the answers that came at an earlier time. */
    int64_t answered_before_ms, answer_gap_before_us;
    int64_t retain_ms;     /* when to look for what to purge */
    uint64_t retain_after; /* the batch where that goes on; 0: from the first */
    bool is_purging;       /* a batch on the way was purged, or is being */
    bool wants_room;       /* something was refused, or waits, for want of it */
    struct timer forgot;   /* where to look for answers to forget; 0: from the
                              first timer */
    uint64_t sticky_batch; /* the group that is being dispatched */
    struct place sticky_place;
    struct choice sticky_choice;
    uint64_t parked[CORE_PARKED_MAX]; /* batches that wait for a call to end */
    size_t parked_count;
    struct look looks[CORE_LOOKS]; /* by batch; one may lose its to another */
    bool has_moved;  /* a lease ended: what is parked is looked at again */
    int64_t look_ms; /* when to look again for something to lease */
    struct alone alone;
    /* Scratch of the handlers. */
    struct line line;
    struct recipe *recipe; /* of core_options(), borrowed; NULL */
    struct gathering gathering;
    struct buf text, goal;
    struct packer *packer; /* of replies that come packed, and of parts */
    bool is_at_once;       /* what is placed waits for no group */
    struct request
        claimed[CORE_CLAIM_MAX]; /* too large to be cleared each time */
};

/* ---- core.c ---- */

/* An answer to a client's message, with its `re`; the caller fills it in and
 * hands it to core_send(). */
cJSON *core_answer(const struct call *call, const char *verb);

/* Sends an answer; returns the body to be filled. */
struct buf *core_send(const struct call *call, cJSON *head);

/* Our time in what the wall clock shows then, and back. At least 1 and at most
 * WIRE_INT_MAX. */
int64_t core_to_wall_ms(const struct broker *broker, int64_t ms);
int64_t core_from_wall_ms(const struct broker *broker, int64_t wall_ms);

/* The first moment from from_ms on at which a window is open. */
int64_t core_opens_at(const struct broker *broker, const struct window *window,
                      int64_t from_ms);

/* When a batch ends that names no deadline, and may start at start_ms. */
int64_t core_deadline_ms(const struct broker *broker, int64_t start_ms);

/* Until when something lasts that ran out at due_ms, after length_ms: longer, if
 * there was no broker then. */
int64_t core_grace_ms(const struct broker *broker, int64_t due_ms,
                      int64_t length_ms);

/* A number from 0 up to but not 1. */
double core_chance(struct broker *broker);

/* The batch that a message names by its UUID, or by client and key. One that was
 * purged is not found, even while its drafts are being removed; the second finds
 * that too. */
int core_batch(struct call *call, struct batch *batch);
int core_batch_even_purged(struct call *call, struct batch *batch);

/* A UUID as text. */
void core_uuid_text(const unsigned char uuid[16],
                    char text[CORE_UUID_TEXT_BYTES]);

/* What to call a worker: its name, or its UUID, put into `text`, if it has not
 * told it since the start. */
const char *core_worker_name(const struct session *session,
                             char text[CORE_UUID_TEXT_BYTES]);

/* What a client may send ahead now, in bytes: senders.h. */
int64_t core_window(const struct broker *broker, int64_t now_ms);

/* Lets broker->recipe be that of a batch, which is read once for many drafts. */
int core_options(struct broker *broker, uint64_t batch);

/* Reads a stored draft into broker->line, and lets broker->recipe be its
 * batch's. */
int core_line(struct broker *broker, const struct draft *draft);

/* What store_drafts_add() and store_retry_drafts() ask back. */
struct intake core_intake(struct broker *broker, int64_t now_ms);

/* Puts a live batch on the schedule, also one that may not run yet, or takes
 * one that is not live off it. */
void core_schedule(struct broker *broker, const struct batch *batch);

#endif
