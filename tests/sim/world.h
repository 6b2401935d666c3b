/*
 * world.h - a simulated world around the real core of the broker
 *
 * One history: a broker over a store (in memory, or LMDB), clients, workers and
 * an upstream, links between them, and a time that only the history moves. The
 * broker's shell is played as sheafd has it: what arrived is applied in one
 * transaction, committed, and only then answered; the process may end before,
 * in and after each commit.
 *
 *   clients.c ──┐                      ┌── workers.c ── the upstream, and
 *   filer.c     │                      │                hooks.c: receivers
 *               ├── links ── world.c ──┤   fortune.c: what befalls them
 *   reader      ┘     (shell, crashes) └── judge*.c: what must hold, always
 *
 * Links keep the order of each peer's messages and nothing else, as ZeroMQ does.
 * What is on its way when a link breaks is lost, or arrives late. All chance
 * comes from the dice: a seed is a history.
 *
 * One history in four is of a busy day (crowd.c): several clients of different
 * weights ask for more than there are slots, most of the time, so that it
 * matters who is served next.
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/text.h"
#include "queue/breaker.h"
#include "queue/broker.h"
#include "queue/wire.h"
#include "store/delivery.h"
#include "store/filing.h"
#include "tests/sim/dice.h"
#include "tests/sim/tally.h"

struct wire;

#define WORLD_START_MS   INT64_C(1800000000000)
#define WORLD_CLIENTS    4
#define WORLD_WORKERS    5
#define WORLD_PLANS      8
#define WORLD_CHUNKS     4
#define WORLD_UPSTREAMS  2
#define WORLD_LINES      9 /* of a chunk, at most */
#define WORLD_DRAFTS     (WORLD_CHUNKS * WORLD_LINES)
#define WORLD_UUID_BYTES 37
#define WORLD_ROUNDS     32 /* of the filer, at most */
#define WORLD_EVENTS_MIN 300
#define WORLD_PATH_BYTES 128
#define WORLD_LEFT       64 /* calls of one worker */
#define WORLD_HOOKS      2
#define WORLD_PARCELS    (WORLD_HOOKS * CONF_POSTS_MAX * 4) /* of one worker */
#define WORLD_ENDS       64 /* of batches, in one transaction */

/* ---- links ---- */

struct mail {
    struct link_peer peer;
    enum side side;
    struct buf head, body;
};

/* A row of mails in order; zero-initialised is empty. */
struct pipe {
    struct mail *mails;
    size_t count, capacity;
};

/* What a client or a worker has to the broker. */
struct wire_link {
    enum side side;
    struct link_peer peer; /* as the broker sees it */
    bool is_up;
    struct pipe to_broker, from_broker;
};

/* ---- clients ---- */

/* What a client knows of a chunk that it has sent. */
struct sent_chunk {
    char *lines;
    int line_count;
    bool is_good[WORLD_LINES]; /* else it must be refused */
    int64_t re;                /* of the newest time it was sent */
    bool is_stored;            /* as was acknowledged */
};

/* What a client wants, and knows, of one key. */
struct plan {
    int number;
    int client;
    bool is_early;
    bool has_terms;    /* those that its number stands for: clients.c */
    int priority;      /* -1: it names none */
    int max_tokens;    /* of its drafts, at least; 0: they name none */
    int usage_percent; /* of those, in the answers; 0: answers do not tell */
    char uuid[WORLD_UUID_BYTES]; /* empty until it was told */
    uint64_t batch;              /* its number in the store; 0: not known */
    int64_t open_re;
    int chunk_count;
    struct sent_chunk chunks[WORLD_CHUNKS];
    bool may_vanish; /* an abort, a purge, or a seal of nothing was sent */
    bool was_cancelled;
    bool was_purged; /* a purge was sent */
    /* Its reader: the cursor, and the revision it has of each draft. */
    int64_t cursor, read_re;
    int64_t why_re; /* it has asked why about this draft; 0: it has not */
    int why_index;
    uint32_t read[WORLD_DRAFTS];
};

struct client {
    struct wire_link link;
    int64_t re;
};

/* ---- the filer: a client that makes batches from files ---- */

/* One of its files, and the batch that is made from it. Its plan is the one behind
 * those of the others, for all rounds. */
struct filer_round {
    char *content;
    size_t bytes;
    int line_count;
    int texts[WORLD_DRAFTS]; /* of each line */
    bool has_bad;            /* a line is: it must fail */
    bool was_deleted;        /* the file's deletion was asked for */
    char file[WORLD_UUID_BYTES], batch[WORLD_UUID_BYTES]; /* once known */
    size_t received;    /* bytes, as was acknowledged */
    bool is_stored;     /* this too */
    int64_t created_ms; /* of the file, as it was told */
    /* the files that webhooks were told of last */
    unsigned char told[FILING_SIDES][FILE_UUID_BYTES];
};

struct filer {
    bool is_on; /* in some histories */
    struct wire_link link;
    struct dice dice; /* its own: the others' fate does not hang on it */
    int64_t re, open_re, forged_re, look_re, batch_re;
    int round; /* at which it is */
    struct filer_round rounds[WORLD_ROUNDS];
};

/* ---- workers ---- */

enum slip_state { SLIP_WAITING, SLIP_RUNNING, SLIP_REPORTED };

/* How an upstream is, for a while. */
enum weather_kind { WEATHER_BUSY, WEATHER_DOWN, WEATHER_STOP };

struct weather {
    enum weather_kind kind;
    int64_t until_ms; /* then it is well again */
};

/* How the upstream answers a call. */
struct call_fate {
    const char *class_name;
    int http_status;
    int64_t wait_ms;
    int64_t end_ms; /* when it answers */
};

/* A lease that a worker holds. */
struct slip {
    int64_t request, fence;
    int64_t timeout_ms, length_ms;
    int64_t since_ms; /* when it came */
    int64_t end_ms;   /* it cannot last longer, unless it hangs */
    bool is_hung;     /* and nobody looks at the time */
    enum slip_state state;
    bool is_at_upstream; /* the upstream works on it */
    struct call_fate fate;
    int where; /* its upstream; -1: the sampler */
    char *body;
    struct buf head, reply; /* of the report */
};

/* An event that a worker posts. */
struct parcel {
    int64_t delivery, attempt;
    bool is_over; /* the receiver has answered; that is told */
    int64_t end_ms;
    const char *class_name;
    int http_status;
    int64_t wait_ms;
};

struct worker {
    struct wire_link link;
    bool is_alive, is_liar, is_welcome, is_draining;
    bool is_own;     /* the broker's: it goes with it */
    bool is_unlucky; /* it is cut off during a call */
    char uuid[WORLD_UUID_BYTES];
    uint32_t capacity;
    int hellos; /* that it has said */
    int64_t slots, slots_told, word;
    bool must_tell;
    int64_t beat_ms, sent_ms, trusted_ms; /* see broker_hand.h */
    int64_t frozen_ms;                    /* it does nothing before */
    int64_t back_ms;                      /* cut off: it connects again then */
    int64_t start_ms;                     /* slow: starts no call before */
    int64_t drain_ms;                     /* what runs is aborted then */
    int64_t doom_ms;                      /* it dies then; 0: it need not */
    /* A lease that it knows nothing of any more, and beats since. */
    int64_t gone_request, gone_fence;
    int gone_beats;
    /* What it had started when it left, as it said. */
    int64_t left[WORLD_LEFT];
    size_t left_count;
    struct slip *slips;
    size_t slip_count, slip_capacity;
    struct parcel parcels[WORLD_PARCELS];
    size_t parcel_count;
};

/* ---- what the judge keeps ---- */

/* A batch that has ended, in the transaction at hand. */
struct seen_end {
    unsigned char batch[BATCH_UUID_BYTES];
    const char *type;
    bool is_told[WORLD_HOOKS]; /* a delivery of it was seen */
};

/* What is known of a delivery; nothing is known of numbers not given out. */
struct known_delivery {
    struct delivery row; /* at the latest commit; its body is not kept */
    bool is_gone;
    uint32_t posts, taken; /* that receivers saw, and took */
};

/* What is to be known of the times of a batch. */
struct seen_times {
    int64_t ahead_ms;   /* of the wall clock, when it was opened */
    int64_t created_ms; /* as the broker's time was then */
    int64_t sealed_ms;  /* for the last time */
    int64_t life_ms;    /* until it expires; 0: not sealed */
    int64_t ended_ms;
};

/* The newest result of a draft that was seen. */
struct seen {
    uint32_t revision;
    unsigned status;
    uint64_t seq;
};

struct seen_batch {
    uint64_t id;
    struct seen_times times;
    struct seen drafts[WORLD_DRAFTS];
};

/* What is known of a request from outside. */
struct known_request {
    int64_t fence;      /* of the newest lease that was sent */
    int64_t ready_ms;   /* it may not be called earlier */
    uint32_t calls;     /* that the upstream saw */
    uint32_t causes;    /* for one more of them */
    uint32_t reports;   /* of calls that ended by themselves */
    uint32_t losses;    /* of leases, while its call ran */
    int64_t stood_ms;   /* what the broker's loop had missed at its lease */
    uint32_t failures;  /* reported under a good fence since the last retry */
    uint32_t reported;  /* of them, ever */
    int64_t wait_ms;    /* of a report in the transaction at hand */
    int64_t backoff_ms; /* that follows on it */
    bool is_failure;    /* it is one that counts */
    bool is_lied;       /* somebody told of calls that were not made */
    const char *class_name; /* of that report; NULL: none */
    int where, http_status;
    bool is_confirmed; /* the broker took it */
};

/* What is known of an upstream from outside. */
struct known_upstream {
    int64_t closed_ms; /* it may not be asked earlier */
    bool is_stopped;   /* nor before it is resumed */
    bool is_open;      /* its breaker, at the last commit */
    bool is_probing;
    bool is_resumed; /* in the transaction at hand */
};

/* A file that a batch has ended in: it does not change. */
struct seen_file {
    unsigned char uuid[FILE_UUID_BYTES];
    unsigned char digest[DIGEST_BYTES];
    int64_t stored_ms;
};

struct judge {
    struct seen_file *files;
    size_t file_count;
    struct known_upstream upstreams[WORLD_UPSTREAMS];
    uint64_t seq;    /* of the newest result that was seen */
    uint64_t opened; /* the newest batch that was seen */
    struct seen_batch *batches;
    size_t batch_count, batch_capacity;
    struct known_request *requests;
    size_t request_count;
    int64_t *starts; /* of the broker, all */
    size_t start_count;
    struct seen_end ends[WORLD_ENDS];
    size_t end_count;
    struct known_delivery *deliveries; /* number n at n - 1 */
    size_t delivery_count;
    uint64_t turn;
    uint64_t every;        /* the whole store is looked at so often */
    bool is_alone;         /* a request runs alone */
    struct window *window; /* of the plan that has one, once it was needed */
    struct fair *fair;
};

struct world {
    uint64_t seed;
    bool is_verbose, is_lmdb, is_calm;
    bool is_bad_day;       /* the upstream mostly fails */
    bool is_busy, is_kind; /* see crowd.c */
    int client_count, plan_count;
    int poison; /* workers die of the text of this number; -1: of none */
    struct dice dice;
    struct dice hook_dice; /* apart: those without webhooks stay as they are */
    struct tally tally;
    struct conf conf;
    struct text_rules *rules; /* borrowed */
    struct store *store;
    char dir[WORLD_PATH_BYTES]; /* of LMDB */
    struct outbox outbox;
    struct broker *broker;
    uint64_t broker_seed;
    int64_t now_ms;   /* the broker's time, and everybody's length */
    int64_t wake_ms;  /* when its loop is to turn again */
    int64_t stood_ms; /* how much it was late, in all */
    int64_t read_ms, read_stood_ms; /* when it last read its leases anew */
    bool is_draining;
    int64_t drain_until_ms;
    /* The host's clocks. */
    uint32_t boot;                 /* the number of boots */
    int64_t booted_ms;             /* in the broker's time */
    int64_t wall_ahead_ms;         /* of the wall clock */
    int64_t settled_ms;            /* as the broker may take it */
    int64_t kept_ms, kept_wall_ms; /* at the latest commit; 0: there is none */
    uint32_t kept_boot;
    int crashes;
    int events;
    bool is_turning;   /* the commit at hand is of a turn of its loop */
    bool fails;        /* the next commit finds no space */
    int crash;         /* the next commit ends the broker: CRASH_… */
    struct pipe stray; /* of links that broke: may still arrive */
    uint32_t peers;
    struct client clients[WORLD_CLIENTS];
    struct plan plans[WORLD_PLANS + 1]; /* the last one is the filer's */
    struct filer filer;
    struct worker workers[WORLD_WORKERS];
    struct weather weather[WORLD_UPSTREAMS];
    uint32_t in_flight; /* calls, as the upstream sees them */
    struct judge judge;
};

enum { CRASH_NONE, CRASH_BEFORE, CRASH_IN, CRASH_AFTER };

/* ---- world.c ---- */

/* A world of this seed; a directory for LMDB, or NULL for memory. rules are
 * borrowed. */
struct world *world_new(uint64_t seed, const char *dir,
                        struct text_rules *rules, bool is_verbose);
void world_free(struct world *world);

/* Plays the history: at least `events` events (WORLD_EVENTS_MIN if 0), then
 * calm, until all has ended. What must not happen ends the process. */
void world_play(struct world *world, int events);

/* Says that something must not be: prints seed and reason, ends the process. */
_Noreturn void world_fail(struct world *world, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Tells of an event, if somebody listens. */
void world_tell(struct world *world, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Sends a message to the broker. ' stands for " in the head. */
void wire_say(struct world *world, struct wire_link *link, struct slice body,
              const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Connects as a new peer; what was on its way is lost, or strays. */
void wire_connect(struct world *world, struct wire_link *link);
void wire_cut(struct world *world, struct wire_link *link);

/* Takes the next message from the broker; false if there is none. The caller
 * ends *mail with mail_fini(). */
bool wire_take(struct wire_link *link, struct mail *mail);
void mail_fini(struct mail *mail);

/* True if the worker at this peer lies. */
bool world_is_liar(const struct world *world, const struct link_peer *peer);

/* ---- clients.c ---- */

void client_act(struct world *world);
void clients_read(struct world *world);
void clients_finish(struct world *world); /* calm: seals, resumes, reads on */
void clients_free(struct world *world);

/* True if all that a client has opened has ended, and was read to its end. */
bool clients_are_done(struct world *world);

/* ---- crowd.c: busy days ---- */

/* Whether a history is of one; how it differs: what the operator set, and what
 * each client wants. */
bool crowd_is_due(uint64_t seed);
void crowd_set(struct world *world);
void crowd_plan(struct world *world, struct plan *plan);

/* What a line of a chunk says besides its id. */
void crowd_line(struct world *world, const struct plan *plan,
                struct buf *lines);

/* The tokens that an answer to this body tells; 0: it does not. */
int64_t crowd_usage(const struct world *world, const char *body);

/* ---- filer.c ---- */

void filer_begin(struct world *world);
void filer_act(struct world *world);
void filer_read(struct world *world);
void filer_finish(struct world *world); /* calm */
bool filer_is_done(struct world *world);
void filer_free(struct world *world);

/* True if a file of that time may have expired. */
bool filer_may_expire(const struct world *world, int64_t since_ms);

/* The round whose key a batch has; NULL: it is none of the filer's. */
struct filer_round *filer_round_of(struct world *world, uint64_t batch);

/* ---- workers.c: what a worker does ---- */

void workers_read(struct world *world);      /* some of what they were told */
void workers_tick(struct world *world);      /* what time brings */
void workers_reconnect(struct world *world); /* and say hello, some late */
int64_t workers_next_ms(const struct world *world);
void workers_free(struct world *world);

/* True if a worker has reported of a request what has not arrived yet. */
bool workers_have_told(const struct world *world, int64_t request);

/* Says hello over a new link. */
void worker_hello_again(struct world *world, struct worker *worker);

/* True if it lives and is not frozen. */
bool worker_is_awake(const struct world *world, const struct worker *worker);

/* Gives all up at once; the same with a word of farewell, and it is gone. */
void worker_give_up_all(struct world *world, struct worker *worker);
void worker_leave(struct world *world, struct worker *worker);

/* Nothing is heard of it for a while: its leases may be lost before it knows. */
void worker_be_unheard(struct world *world, const struct worker *worker);

/* It is to go: gives back what it has not started, finishes its calls. Told so by
 * the broker, however long they take. */
void worker_drain(struct world *world, struct worker *worker, bool is_told);

/* It knows nothing of a lease any more, and says nothing. */
void worker_lose_slip(struct world *world, struct worker *worker, size_t nth);

/* ---- fortune.c: what befalls workers ---- */

void workers_begin(struct world *world); /* two are there at first */
void worker_act(struct world *world);
void workers_calm(struct world *world); /* one good one is left */
void workers_die(struct world *world);  /* with their host */

/* Its link breaks; it connects again, perhaps when its leases are lost. */
void worker_cut_off(struct world *world, struct worker *worker);

/* Its process ends; the broker may come to know, through its lock. */
void worker_die(struct world *world, struct worker *worker, bool is_seen);

/* ---- clocks.c: the clocks of the host ---- */

/* What they show; the broker's shell reads them each turn. */
void clocks_read(struct world *world);

/* The wall clock is set. */
void clocks_jump(struct world *world);

/* The host is started anew, and nobody knows what its wall clock shows. */
void clocks_boot(struct world *world);

/* The broker starts: its time is what it has to be. */
void clocks_resume(struct world *world);

/* A commit may have kept what they show. */
void clocks_note_commit(struct world *world);

/* ---- hooks.c: events for webhooks, and what must hold of them ---- */

/* Configures webhooks, in some histories. */
void hooks_configure(struct world *world);

/* A batch has moved, within a transaction. */
void hooks_moved(struct world *world, uint64_t batch, enum batch_state to);

/* A letter to a worker; a commit; a transaction that is lost. */
void hooks_letter(struct world *world, const struct wire *wire);
void hooks_commit(struct world *world);
void hooks_abort(struct world *world);

/* Members of a hello: what a worker can sign for, and has. */
void hooks_add_hello(const struct world *world, const struct worker *worker,
                     struct buf *out);

/* A worker is to post; its report was noted; what time brings; it was welcomed.
 */
void hooks_take(struct world *world, struct worker *worker,
                const struct wire *wire);
void hooks_noted(struct worker *worker, int64_t delivery, int64_t attempt);
void hooks_tick(struct world *world, struct worker *worker);
void hooks_tell(struct world *world, struct worker *worker);
int64_t hooks_next_ms(const struct worker *worker);

/* True if all events have ended. */
bool hooks_are_done(const struct world *world);
void hooks_free(struct world *world);

/* ---- weather.c ---- */

extern const char *const weather_names[WORLD_UPSTREAMS];

/* The index of an upstream's name; -1: it is none of them. */
int weather_find(const char *name);

/* One of them is unwell from now on, for a while. */
void weather_change(struct world *world);

/* True if a call meets an upstream that is: then that is its fate. */
bool weather_strikes(struct world *world, int where, struct call_fate *fate);

/* A lease was sent; a report was taken; it is to be asked again; a commit. */
void weather_lease(struct world *world, const char *name, int64_t request);
void weather_report(struct world *world, int where, const char *class_name,
                    int http_status, int64_t wait_ms);
void weather_resume(struct world *world, int where);
void weather_check(struct world *world);

/* ---- judge.c ---- */

/* A message that is about to be applied: a report may have to be minded. */
void judge_expect(struct world *world, const struct mail *mail);

/* The transaction is on disk, or is lost with what was expected of it. */
void judge_commit(struct world *world);
void judge_abort(struct world *world);

/* A letter to a worker; a call reached the upstream; one more may be needed. */
void judge_letter(struct world *world, const struct letter *letter);
void judge_call(struct world *world, int64_t request);
void judge_cause(struct world *world, int64_t request);

/* A lease is lost while its call runs, or may be; a call has ended by itself and
 * is reported. */
void judge_loss(struct world *world, int64_t request);
void judge_report(struct world *world, int64_t request);

/* A worker reads of a lease; one that was lost meanwhile it cannot know. */
void judge_taken(struct world *world, int64_t request, int64_t fence);

/* Somebody tells of calls of a request that were not made. */
void judge_lied(struct world *world, int64_t request);

/* A request that had ended starts anew. */
void judge_revive(struct world *world, uint64_t request);

/* A draft was explained, of which the client knows whether it is good. */
void judge_why(struct world *world, const cJSON *head, bool is_good);

/* Drafts are tried again: what they wait for starts anew. */
void judge_retry(struct world *world);

/* The whole store, and all that clients know. */
void judge_all(struct world *world);

/* A worker with which nothing is on its way is lent what it keeps. */
void judge_slots(struct world *world, const char *uuid, int64_t kept);

/* Of a lease that its worker did not list for so long, nothing is left. */
void judge_gone(struct world *world, int64_t request, int64_t fence);

void judge_free(struct world *world);

/* What is known of a batch, and of a request. */
struct seen_batch *judge_batch(struct world *world, uint64_t id);
struct known_request *judge_request(struct world *world, int64_t request);

/* ---- judge_time.c: nothing ends, or begins, before its time ---- */

/* The broker has started. */
void judge_started(struct world *world);

/* A batch was opened, within a transaction; one has moved. */
void judge_opened(struct world *world);
void judge_moved(struct world *world, uint64_t batch, enum batch_state from,
                 enum batch_state to);

/* The plan that a batch is of. */
const struct plan *judge_plan(struct world *world, uint64_t batch);

/* True if a batch may start requests now, by its state and its own terms. */
bool judge_may_start(struct world *world, const struct batch *batch);

/* A lease is sent: a batch that may start wants it. */
void judge_start(struct world *world, uint64_t request);

/* ---- judge_fair.c, and ledger.c: who is served ---- */

/* The broker has started; what was charged is forgotten. */
void judge_fair_started(struct world *world);
void judge_fair_forget(struct world *world);

/* An upstream is not well, and is asked with care from now on. */
void judge_fair_trouble(struct world *world, int where);

/* A batch was opened; requests may have been put into groups. */
void judge_fair_opened(struct world *world, uint64_t batch);
void judge_fair_placed(struct world *world);

/* A report is about to be applied; a lease, or a confirmation, will be sent. */
void judge_fair_report(struct world *world, const struct wire *wire,
                       bool is_lie);
void judge_fair_letter(struct world *world, const struct wire *wire);

/* A turn of the broker's loop, within a transaction. */
void judge_fair(struct world *world);

/* ---- judge_files.c: files, within a transaction ---- */

void judge_files(struct world *world);

/* A batch that is made from a file has moved. */
void judge_filed(struct world *world, uint64_t batch, enum batch_state to);

/* ---- judge_lease.c: leases, and what is counted, within a transaction ---- */

void judge_leases(struct world *world);
void judge_counts(struct world *world);
void judge_poison(struct world *world, const struct result_row *row);

#endif
