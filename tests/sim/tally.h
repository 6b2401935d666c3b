/*
 * tally.h - what all histories together were made of
 *
 * Events and crashes by kind, and every move of a batch or a request. A table
 * of states has been simulated only if each of its rows was taken.
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SIM_TALLY_H
#define TESTS_SIM_TALLY_H

#include <stdint.h>

#include "store/batch.h"
#include "store/request.h"

/* clang-format off */
#define TALLY_LIST(X)                                                         \
    X(histories)       X(histories_lmdb)  X(events)          X(turns)         \
    X(opens)           X(chunks)          X(chunks_repeated) X(chunks_forged) \
    X(seals)           X(aborts)          X(cancels)         X(retries)       \
    X(pauses)          X(resumes)         X(purges)          X(readings)      \
    X(looks)           X(whys)            X(clients_lost)    X(beats)         \
    X(calls)                                                                  \
    X(answers)         X(failures)        X(workers_new)     X(workers_killed)\
    X(workers_unseen)  X(workers_frozen)  X(workers_cut)     X(workers_left)  \
    X(lies)            X(jumps)           X(commits_full)    X(drains)        \
    X(crashes_before)  X(crashes_in)      X(crashes_after)   X(restarts)      \
    X(reboots)         X(clock_jumps)     X(workers_drained) X(poisonings)    \
    X(poisoned)        X(hangs)           X(slips_lost)      X(alone)         \
    X(results)         X(checks)          X(storms)          X(probes)        \
    X(resumed)         X(turns_checked)   X(fair_pairs)      X(fair_shares)   \
    X(uploads)         X(parts)           X(parts_forged)    X(file_batches)  \
    X(files_deleted)   X(files_made)   X(events_told)     X(posts)           \
    X(posts_taken)     X(chunks_ahead)    X(blind)           \
    X(models_changed)  X(last_words)
/* clang-format on */

/* The largest part of its bound that was seen, in thousandths. */
#define TALLY_PEAKS(X) X(worst_pair) X(worst_share) X(worst_wait)

#define TALLY_FIELD(name) uint64_t name;
struct tally {
    TALLY_LIST(TALLY_FIELD)
    TALLY_PEAKS(TALLY_FIELD)
    uint64_t batch_moves[BATCH_STATE_COUNT][BATCH_STATE_COUNT];
    uint64_t request_moves[REQUEST_STATE_COUNT][REQUEST_STATE_COUNT];
};
#undef TALLY_FIELD

/* Adds one to another. */
void tally_add(struct tally *sum, const struct tally *part);

/* Prints it. Returns the number of moves that a table has and that were not
 * taken, and of kinds of events that did not happen; each is marked. */
int tally_print(const struct tally *tally);

#endif
