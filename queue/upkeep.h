/*
 * upkeep.h - the job that the store is given beside its work
 *
 * The core's note of it: what a client asked for, how far it is, and how it
 * ended, until the next one. A client asks again and again with the same id, so
 * that a repeated message starts nothing twice; all of it is lost with the
 * broker.
 *
 *   none ──► wanted ──► running ──► done ──► wanted …
 *     a client asks   job.h has it
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_UPKEEP_H
#define QUEUE_UPKEEP_H

#include "queue/broker.h"

#define UPKEEP_ID_BYTES 37 /* a UUID and its NUL */

enum upkeep_state { UPKEEP_NONE, UPKEEP_WANTED, UPKEEP_RUNNING, UPKEEP_DONE };

struct upkeep {
    enum upkeep_state state;
    enum job_kind kind;
    char id[UPKEEP_ID_BYTES];
    char *target;
    struct job_progress progress;
    struct err err; /* of one that failed */
    struct buf report;
};

/* Frees what it holds. */
void upkeep_fini(struct upkeep *upkeep);

#endif
