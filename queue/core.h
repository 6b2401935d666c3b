/*
 * core.h - what the rooms of the broker share
 *
 * Private to queue/: the broker's state, and the few functions by which its
 * files call each other. Each file handles one family of verbs or one duty:
 * intake.c, control.c, answers.c, answer_pages.c, answer_reply.c, answer_why.c,
 * stats.c and watch.c for clients, upload.c and files.c for their files (files.h),
 * filing.c and what stands with it for batches made from files (filing.h), hello.c
 * and workers.c for workers, dispatch.c leases, finish.c ends requests,
 * deliveries.c tells webhooks of events, due.c does what time brings.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_CORE_H
#define QUEUE_CORE_H

#include "base/digest.h"
#include "queue/alerts.h"
#include "queue/broker.h"
#include "queue/deliveries.h"
#include "queue/gather.h"
#include "queue/group.h"
#include "queue/line.h"
#include "queue/meter.h"
#include "queue/retry.h"
#include "queue/schedule.h"
#include "queue/session.h"
#include "queue/upkeep.h"
#include "queue/upstreams.h"
#include "queue/wait.h"
#include "store/cache.h"
#include "store/file.h"

#define CORE_UUID_TEXT_BYTES 37
#define CORE_WINDOW_CHUNKS   4 /* chunks that a client may send ahead */
#define CORE_PARKED_MAX      64
#define CORE_CLAIM_MAX       64 /* leases of one claim */

/* Replies that have the shape which their upstream's dialect promises, those
 * that have another one, and how often each came (extract.h has the names). */
#define REPLY_COUNTER_LIST(X)        \
    X(replies_priority_path)         \
    X(replies_fallback_path)         \
    X(replies_chat)                  \
    X(replies_completions)           \
    X(replies_responses)             \
    X(replies_anthropic)             \
    X(replies_gemini)                \
    X(replies_gemini_blocked)        \
    X(replies_ollama_chat)           \
    X(replies_ollama_generate)       \
    X(replies_llama)                 \
    X(replies_salesforce)            \
    X(replies_salesforce_chat)       \
    X(replies_generations_text)      \
    X(replies_generations_content)   \
    X(replies_generations_generated) \
    X(replies_other)

/* Counted since the start; `stats` prints them all. */
#define COUNTER_LIST(X)  \
    X(bad_messages)      \
    X(chunks)            \
    X(drafts_accepted)   \
    X(drafts_refused)    \
    X(drafts_joined)     \
    X(cache_memory_hits) \
    X(cache_store_hits)  \
    X(leases)            \
    X(leases_lost)       \
    X(workers_lost)      \
    X(suspects)          \
    X(poisoned)          \
    X(calls)             \
    X(calls_ok)          \
    X(calls_failed)      \
    X(calls_throttled)   \
    X(calls_uncertain)   \
    X(calls_above_t1)    \
    X(calls_above_t2)    \
    X(calls_above_t3)    \
    X(calls_above_t4)    \
    X(long_waits)        \
    X(token_hits)        \
    X(token_fetches)     \
    X(late_results)      \
    X(requests_done)     \
    X(fallbacks)         \
    X(batches_purged)    \
    X(batches_failed)    \
    X(file_parts)        \
    X(files_stored)      \
    X(files_made)        \
    X(files_deleted)     \
    X(events_added)      \
    X(events_delivered)  \
    X(events_failed)     \
    X(events_retried)    \
    X(events_lost)       \
    X(events_dropped)    \
    REPLY_COUNTER_LIST(X)

#define COUNTER_FIELD(name) uint64_t name;
struct counters {
    COUNTER_LIST(COUNTER_FIELD)
};
#undef COUNTER_FIELD

/* A client that waits for a batch. */
struct waiter {
    struct link_peer peer;
    int64_t re;
    uint64_t batch;
    int64_t after; /* a seq; -1: waits for the end only */
    int64_t until_ms;
    bool ends_stalled; /* also when the batch can go nowhere */
};

/* Where a request goes now. */
struct choice {
    struct bound bound;
    enum resort resort; /* not RESORT_WAIT: no upstream can be asked */
    bool is_single;     /* for one request, not for others of its place */
};

/* What is leased next, and where it goes. */
struct spot {
    uint64_t batch;
    struct place place;
    struct choice choice;
};

/* A request that runs alone, on a worker that gets nothing else. */
struct alone {
    uint64_t session; /* 0: there is none */
    uint64_t request;
    uint32_t fence; /* 0: the worker is not free for it yet */
    uint64_t batch; /* that gives it */
    struct place place;
};

/* The broker's look at itself. */
struct watch {
    struct alerts *alerts;
    uint64_t moves; /* leases, calls and ends as of the last look */
    uint64_t
        stuck;   /* a batch that could go on and does not; 0: none is known */
    size_t skip; /* batches that were looked at in this round */
    uint64_t posted; /* the number of the news that webhooks are told next */
    uint64_t posted_sent; /* as of the last commit */
};

struct broker {
    struct broker_env env;
    uint64_t random; /* state of the chance */
    struct groups *groups;
    struct schedule *schedule;
    struct sessions *sessions;
    struct cache *cache;
    struct recipes *recipes;
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
    /* The newest ones then. Later ones have keys of its configuration. */
    uint64_t batch_before, request_before;
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
    bool has_moved;  /* a lease ended: what is parked is looked at again */
    int64_t look_ms; /* when to look again for something to lease */
    struct alone alone;
    /* Scratch of the handlers. */
    struct line line;
    struct recipe *recipe; /* of core_options(), borrowed; NULL */
    struct gathering gathering;
    struct buf text, goal;
    struct packer *packer; /* of replies that come packed */
    bool is_at_once;       /* what is placed waits for no group */
    struct request
        claimed[CORE_CLAIM_MAX]; /* too large to be cleared each time */
};

/* A message that is being handled. */
struct call {
    struct broker *broker;
    const struct link_peer *peer;
    struct wire *wire;
    struct gathering *gathered; /* of a chunk, read ahead; NULL: it was not */
    int64_t re;
    int64_t now_ms;
    int64_t expected; /* told with E_GAP: the chunk that is to come next */
    struct err *err;
};

/* Handlers return 0 when they have answered, or a code with the reason in
 * call->err, which is then sent. */
typedef int handler_fn(struct call *call);

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

/* ---- handlers, by file ---- */

handler_fn intake_open, intake_chunk, intake_seal, intake_abort, intake_check;
handler_fn control_cancel, control_retry, control_pause, control_resume,
    control_purge;
handler_fn answer_hello, answer_status, answer_list, answer_wait,
    answer_results, answer_refusals, answer_chunks, answer_export, answer_why,
    answer_reply;
handler_fn stats_answer, watch_answer;
handler_fn upload_open, upload_part, upload_close;
handler_fn files_look, files_read, files_list, files_delete;
handler_fn upkeep_verify, upkeep_backup;
handler_fn upstream_list, upstream_resume;
handler_fn webhook_list, webhook_resend, webhook_test;
handler_fn worker_hello, worker_beat, worker_slots, worker_started,
    worker_result, worker_turn, worker_release, worker_posted, worker_bye;

/* ---- answers.c ---- */

/* Adds a batch's members as `status` has them. */
int answer_add_status(struct broker *broker, cJSON *head,
                      const struct batch *batch);

/* Answers waiters whose wait is over. */
void answer_waiters(struct broker *broker, int64_t now_ms);

/* ---- stats.c ---- */

/* The scales of the broker's own histograms. */
extern const struct histogram_scale stats_commit_us, stats_commit_items;

/* ---- watch.c ---- */

/* Looks for what somebody should know of, if it is time, by what is committed.
 * It takes no wake-up of its own: whoever runs the core comes by more often
 * than alerts are looked for. */
void watch_run(struct broker *broker, int64_t now_ms);

/* Stores events of what is new, for webhooks. */
void watch_post(struct broker *broker);

/* ---- upstream_verbs.c ---- */

/* Adds `stalled`, if a batch can go nowhere until somebody resumes an upstream.
 * True if it is so; head may be NULL. */
bool upstream_add_stalled(struct broker *broker, cJSON *head,
                          const struct batch *batch);

/* The word of the protocol for the state of an upstream. */
const char *upstream_state_name(const struct upstream *upstream,
                                int64_t now_ms);

/* Its latencies: of all its lanes together. */
struct latency upstream_latency(const struct upstreams *upstreams,
                                size_t where);

/* ---- patience.c ---- */

/* At first nothing is known of how often answers come. */
void patience_init(struct broker *broker);

/* A worker has brought an answer: how often they come is what patience rests
 * on. */
void patience_note_answer(struct broker *broker, struct session *session,
                          int64_t now_ms);

/* The transaction has ended, one way or another. */
void patience_reset(struct broker *broker);

/* How many leases a worker is given beyond its slots: as many calls as may end
 * while it waits for more. */
size_t patience_ahead(const struct broker *broker);

/* ---- result_line.c ---- */

/* Appends a result line as the README has it, with its newline. */
void result_line(struct buf *out, const struct result_row *row,
                 const char *batch_uuid);

/* ---- workers.c ---- */

/* A message to a worker, to be written by the caller; and one without a body,
 * whose header is taken. */
struct letter *worker_open(struct broker *broker,
                           const struct session *session);
void worker_send(struct broker *broker, const struct session *session,
                 cJSON *head);

/* Lends what slots are free and asks for what is too much. */
void worker_balance(struct broker *broker);

/* Ends a session: its leases are given back, its slots are free. */
void worker_end(struct broker *broker, struct session *session, int64_t now_ms);

/* The session that speaks; NULL: a worker that is not known, which was told to say
 * hello. */
struct session *worker_speaker(struct call *call);

/* Counts and logs a message of a worker, or a part of it, that is no good: call->err
 * says why. */
void worker_note_bad(const struct call *call);

/* Takes note of the calls that have started, as a list of the message says. */
int worker_note_started(struct call *call, struct session *session,
                        const char *name);

/* Notes that a session holds a lease on a request since granted_ms. */
struct held *worker_hold(struct broker *broker, struct session *session,
                         const struct request *request, int64_t granted_ms,
                         int64_t now_ms);

/* Takes a lease back. If its call had started, that counts against its request,
 * which has to run alone when it happens too often, and ends when it happens
 * then. */
void worker_lose_lease(struct broker *broker, struct session *session,
                       const struct held *held);

/* The loop comes later than it was to: the time in which it stood still is not
 * charged to leases and sessions, which could not make themselves heard. */
void worker_forgive(struct broker *broker, int64_t now_ms);

/* Ends leases and sessions whose time is over. */
void worker_expire(struct broker *broker, int64_t now_ms);

/* Tells a worker that a lease is not needed any more. */
void worker_cancel(struct broker *broker, uint64_t request, uint32_t fence);

/* Asks workers to give back what they have not started and no batch that may run
 * wants any more. */
void worker_recall(struct broker *broker);

/* Asks one worker to give back all that it has not started. */
void worker_recall_all(struct broker *broker, const struct session *session);

/* Remembers a session in the store. */
void worker_save(struct broker *broker, const struct session *session);

/* ---- dispatch.c ---- */

/* Leases ready requests to workers with room. */
void dispatch_run(struct broker *broker, int64_t now_ms);

/* Why nothing of a batch may start now, by its state and its terms: WAIT_SWEEP
 * (it has ended), WAIT_SEAL, WAIT_PAUSE, WAIT_SCHEDULE or WAIT_WINDOW. Here and
 * below, WAIT_NOTHING: it may. */
struct wait dispatch_batch_wait(struct broker *broker, uint64_t batch,
                                int64_t now_ms);

/* Why nothing of a group, or to an upstream, is leased now: WAIT_GROUP,
 * WAIT_COOLDOWN; and why a ready request is not given in turn: WAIT_ALONE. */
struct wait dispatch_group_wait(const struct broker *broker, uint64_t group,
                                int64_t now_ms);
struct wait dispatch_upstream_wait(struct broker *broker,
                                   const struct request *request,
                                   int64_t now_ms);
struct wait dispatch_alone_wait(const struct request *request);

/* Why nobody is leased anything now: WAIT_DRAIN, WAIT_WORKER or WAIT_SLOT. The
 * store may have no room besides, see store_may_lease(). */
struct wait dispatch_worker_wait(const struct broker *broker);

/* How long a lease on a request lasts. */
int64_t dispatch_lease_ms(const struct broker *broker,
                          const struct request *request);

/* ---- grant.c ---- */

/* Leases up to `max` requests of a spot to a session: renders and counts them. */
void grant_leases(struct broker *broker, struct session *session,
                  const struct spot *spot, size_t max, int64_t now_ms);

/* ---- choice.c ---- */

/* Chooses where a request of a batch goes now: an upstream of its route; or, if
 * none can be asked in time, its last resort. Else why not. */
struct wait choice_make(struct broker *broker, const struct request *request,
                        struct choice *choice, int64_t now_ms);

/* The wait of a batch that can go nowhere: all that is ready is for upstreams
 * that are suspended until somebody resumes one, and nothing is in flight. */
bool choice_is_stalled(struct broker *broker, const struct batch *batch,
                       const struct upstream **upstream, int64_t now_ms);

/* ---- finish.c ---- */

/* What a worker reports of a call. Strings and slices are borrowed. */
struct report {
    struct call_end end;
    uint32_t fence;        /* of the lease under which it was made */
    const char *worker;    /* its name */
    const char *upstream;  /* that was asked; "": as its lease said */
    const char *wait_from; /* where end.wait_ms stood; "": it does not say */
    const char *code, *message, *model, *finish;
    const char *shape; /* of the reply, "" if it had none */
    int64_t prompt_tokens, completion_tokens, total_tokens; /* -1: unknown */
    int64_t latency_ms;
    struct slice reply; /* as it came; put-together text behind it */
    bool is_packed;     /* both of them, by the worker */
    uint32_t reply_bytes;
    enum outcome_form form;
    uint32_t text_at, text_bytes;
    int64_t request_limits[3], token_limits[3]; /* that the reply told */
};

/* Stores how a call ended, or sends the request back to the queue. The lease
 * was this worker's, or the answer comes late but is better than nothing. */
void finish_report(struct broker *broker, struct request *request,
                   const struct report *report, int64_t now_ms);

/* Ends a request without a call: it cannot be sent. */
void finish_unsendable(struct broker *broker, struct request *request,
                       const char *code, const char *message, int64_t now_ms);

/* Ends a leased request with its essence: no upstream can be asked in time. */
void finish_resort(struct broker *broker, struct request *request,
                   int64_t now_ms);

/* Ends a request that took its workers with it, the last time while it ran
 * alone. */
void finish_poison(struct broker *broker, struct request *request,
                   int64_t now_ms);

/* The essence of a draft whose batch expired (struct ending). */
void finish_essence(void *context, const struct draft *draft, struct slice line,
                    struct buf *out);

/* ---- attempts.c ---- */

/* Remembers a call that a worker has reported, and what was decided. Before the
 * request goes on, as it may go with all that belongs to it. */
void attempt_note_report(struct broker *broker, const struct request *request,
                         const struct report *report,
                         const struct retry_verdict *verdict, int64_t now_ms);

/* Remembers a call of which nobody will tell: its lease was lost. */
void attempt_note_lost(struct broker *broker, const struct request *request,
                       const struct session *session);

/* ---- retain.c ---- */

/* Removes a batch that has ended: one write now, its drafts in slices. */
void retain_purge(struct broker *broker, struct batch *batch, int64_t now_ms);

/* Something was refused, or waits, as the store is full: answers that no draft
 * refers to go soon, until new batches find room. */
void retain_want_room(struct broker *broker, int64_t now_ms);

/* Looks for what was kept long enough, or is too much, if it is time; a bounded
 * number of batches. What is too much loses answers that no draft refers to
 * first. */
void retain_run(struct broker *broker, int64_t now_ms);

/* ---- intake.c ---- */

/* Seals a batch that has all its drafts. Writes it. */
void intake_close(struct broker *broker, struct batch *batch, int64_t now_ms);

/* True if a chunk may be taken when its turn comes, as far as that can be told:
 * what its lines are to be read with. */
bool intake_foresee(struct call *call, uint64_t *batch, struct slice *options);

/* E_CONFLICT if the batch is made by the broker, from a file. */
int intake_check_by_hand(struct call *call, const struct batch *batch);

/* ---- stage.c ---- */

/* Takes note of calls that have come to their next stage of latency. */
void stage_run(struct broker *broker, int64_t now_ms);

/* When the next call comes to its next stage; INT64_MAX if none will. */
int64_t stage_next_ms(const struct broker *broker);

/* Counts the calls that are in flight for a batch, by their stage. Returns the
 * highest stage of them. */
unsigned stage_count(struct broker *broker, uint64_t batch,
                     uint32_t counts[STAGE_COUNT]);

/* ---- due.c ---- */

/* Does what is due, at most a bounded number of steps. */
void due_run(struct broker *broker, int64_t now_ms);

/* Does what removes, and is due, wherever it stands in the row. */
void due_relieve(struct broker *broker, int64_t now_ms);

#endif
