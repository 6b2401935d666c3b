/*
 * fair.h - who was served, as it is seen from outside
 *
 * The judge of fairness keeps its own account of what each batch and each client
 * was leased and what that really took, from letters to workers, from their
 * reports and from the store, and never asks the schedule. stands.c looks at who
 * has something to give, ledger.c keeps the account, judge_fair.c holds it against
 * the bounds of queue/SCHEDULER.md, turn by turn.
 *
 * Not everything can be seen. A lease may have been paid by the share of the
 * oldest; a request that several batches want is charged to one of them; of a
 * lease that was lost nobody knows whether its call had started. Whoever that
 * concerns is `shaken`: what it got is compared anew from then on. What that may
 * have put it ahead or behind enters the bounds.
 *
 * And a lease may come late: what is called at once is chosen when it is its turn
 * and then waits for a slot, or for a worker that is kept free, and others may have
 * come before it since.
 *
 * After a restart, and after a transaction that failed, nobody owes anything: so
 * it is here.
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SIM_FAIR_H
#define TESTS_SIM_FAIR_H

#include "queue/schedule.h"
#include "tests/sim/world.h"

#define FAIR_SCALE      12 /* every weight divides it */
#define FAIR_LEASES_MAX 256
#define FAIR_USAGE_MAX  2 /* what a call really takes, in times its estimate */

/* Who takes turns in a ring: a client in a class, or a batch at its client. */
struct member {
    int64_t weight;
    int64_t paid;           /* that it was charged in turn, and settled */
    int64_t run, largest;   /* one group's, at a go */
    int64_t held, held_max; /* leased, and not settled */
    int64_t back, more;     /* settled with less, and with more than reserved */
    int64_t odd;            /* that it may have been charged out of turn */
    bool is_late;    /* it was served what may have been chosen long before */
    bool is_steady;  /* it had something to give, ever since the turn before */
    bool is_waiting; /* it has something to give now */
    bool is_shaken;  /* what it was charged in this turn is not known */
    bool is_rising;  /* it takes turns in its class with the next choice only */
    bool has_risen;  /* that was made in this turn */
    int64_t before;  /* and this is what it had paid then */
};

/* Two members, while both have something to give: between which limits the
 * difference of what they got was, by weight. */
struct pair {
    bool is_on;
    int64_t low, high; /* times FAIR_SCALE */
    uint64_t leases;   /* of all, when it began */
};

/* The newest batch of a plan. */
struct stand {
    uint64_t batch; /* 0: there is none */
    int client;
    bool is_live, is_sealed;
    unsigned class;
    int64_t since_ms; /* its age counts from here */
    bool may_give;    /* something of it is ready, and may start */
    bool is_ready;    /* and certainly finds an upstream */
    bool was_ready;   /* at the turn before; of the same class */
    struct member member;
    int64_t waited; /* tokens leased in its class since it was served */
    uint64_t news;  /* batches opened until then */
};

struct fair_lease {
    uint64_t request, batch;
    uint32_t fence;
    int plan; /* -1: several batches, or out of turn */
    unsigned class;
    int64_t tokens;
    bool is_new;       /* of this turn */
    bool is_odd;       /* whether it was charged in turn is not known */
    bool is_told;      /* its end was reported */
    bool is_confirmed; /* and heard */
    bool is_doubtful;  /* not by whom it was lent to */
    int64_t usage;     /* as reported; 0: nothing was; -1: there was no call */
};

struct fair {
    struct stand stands[WORLD_PLANS + 1]; /* the last one is the filer's */
    struct member seats[SCHEDULE_CLASSES][WORLD_CLIENTS];
    struct pair seat_pairs[SCHEDULE_CLASSES][WORLD_CLIENTS][WORLD_CLIENTS];
    struct pair stand_pairs[WORLD_PLANS][WORLD_PLANS];
    struct fair_lease leases[FAIR_LEASES_MAX];
    size_t lease_count;
    uint64_t granted; /* leases, all */
    uint64_t opened;  /* batches, all */
    /* The group that is being served. */
    uint64_t run_group;
    int run_plan; /* -1: several batches are in it */
    unsigned run_class;
    bool is_run_by_share; /* or may be */
    bool is_kept_free;    /* a worker may be, and be what it waits for */
    bool has_suspect;     /* in this turn, something ready has to run alone */
    bool has_chosen;      /* in this turn, a group was begun */
    int64_t run, largest; /* of a group, whoever has it */
    int64_t held, held_max, more; /* of all, as of a member */
    /* The oldest batch. */
    uint64_t oldest; /* 0: it is not known */
    bool is_oldest_shaken;
    int64_t oldest_got, oldest_total; /* since it is */
    int64_t oldest_low;               /* of what it is owed, in hundredths */
    uint64_t oldest_leases;
    /* What makes it doubtful whether something may be leased: an upstream has not
     * been well ever since the broker's start. */
    bool is_troubled[WORLD_UPSTREAMS];
    int64_t placed_ms; /* when requests may last have been put into groups */
};

/* ---- ledger.c, and judge_fair.c: what happens ---- */

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

/* ---- stands.c: the batches ---- */

/* Looks at all batches, and at what it makes of their clients. Within a
 * transaction. */
void stands_look(struct world *world, struct fair *fair);

/* ---- ledger.c: the account ---- */

/* The account of a world. */
struct fair *ledger_of(struct world *world);

/* Looks at all batches; ends leases that are over; enters those of this turn,
 * each with a look at whether it was its turn. Within a transaction. */
void ledger_turn(struct world *world, struct fair *fair);

/* The seat of a batch's client in its class. */
struct member *ledger_seat(struct fair *fair, const struct stand *stand);

/* True if one batch is older than another. */
bool ledger_is_older(const struct stand *one, const struct stand *other);

/* By how much a member's place may be off, beside what one group costs. */
int64_t ledger_slack(const struct member *member);

#endif
