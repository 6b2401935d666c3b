/*
 * judge.h - what must hold, always
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SIM_JUDGE_H
#define TESTS_SIM_JUDGE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "queue/wire.h"
#include "store/file.h"
#include "store/store.h"
#include "tests/sim/clients.h"
#include "tests/sim/hooks.h"
#include "tests/sim/weather.h"

#define JUDGE_LEASES_MAX 256 /* at a time */

struct world;

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
    uint64_t nth_lent;  /* of all leases that were chosen; 0: none was */
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
    uint64_t lent;   /* leases that were chosen */
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
    /* Scratch: too large to be cleared each time. */
    struct lease leases[JUDGE_LEASES_MAX];
};

/* ---- judge.c ---- */

/* The transaction is on disk. */
void judge_commit(struct world *world);

/* The whole store, and all that clients know. */
void judge_all(struct world *world);

void judge_free(struct world *world);

/* What is known of a batch. */
struct seen_batch *judge_batch(struct world *world, uint64_t id);

/* ---- judge_calls.c: calls and reports of requests ---- */

/* A message that is about to be applied, within the transaction: a report may
 * have to be minded, unless an earlier message has made it late. */
void judge_expect(struct world *world, const struct mail *mail);

/* The transaction is lost, with what was expected of it; or it is on disk, and
 * what failed in it waits. */
void judge_abort(struct world *world);
void judge_waits(struct world *world);

/* A worker is told something; a call reached the upstream; one more may be
 * needed. */
void judge_told(struct world *world, const struct mail *mail);
void judge_call(struct world *world, int64_t request);
void judge_cause(struct world *world, int64_t request);

/* A worker reads of a lease; one that was lost meanwhile it cannot know. */
void judge_taken(struct world *world, int64_t request, int64_t fence);

/* Somebody tells of calls of a request that were not made. */
void judge_lied(struct world *world, int64_t request);

/* A request was chosen to be leased. */
void judge_lent(struct world *world, uint64_t request);

/* A request that had ended starts anew. */
void judge_revive(struct world *world, uint64_t request);

/* A draft was explained, of which the client knows whether it is good. */
void judge_why(struct world *world, const cJSON *head, bool is_good);

/* Drafts are tried again: what they wait for starts anew. */
void judge_retry(struct world *world);

/* What is known of a request. */
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

/* ---- judge_files.c: files, within a transaction ---- */

void judge_files(struct world *world);

/* A batch that is made from a file has moved. */
void judge_filed(struct world *world, uint64_t batch, enum batch_state to);

/* ---- judge_lease.c: leases, and what is counted ---- */

/* A lease is lost while its call runs, or may be; a call has ended by itself and
 * is reported. */
void judge_loss(struct world *world, int64_t request);
void judge_report(struct world *world, int64_t request);

/* A worker with which nothing is on its way is lent what it keeps. */
void judge_slots(struct world *world, const char *uuid, int64_t kept);

/* Of a lease that its worker did not list for so long, nothing is left. */
void judge_gone(struct world *world, int64_t request, int64_t fence);

/* Within a transaction. */
void judge_leases(struct world *world);
void judge_counts(struct world *world);
void judge_poison(struct world *world, const struct result_row *row);

#endif
