/*
 * watch.h - who is called back for what happens in a store
 *
 * Whatever brought it about: nobody need look, behind each call, for what has ended,
 * got ready or been answered.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_WATCH_H
#define STORE_WATCH_H

#include <stdint.h>

#include "store/batch.h"
#include "store/draft.h"
#include "store/request.h"

struct store;

/* Calls back for each batch that moves to finished, cancelled, expired or failed,
 * whatever brought it there, within the transaction; its record is written
 * after that. */
void store_watch(struct store *store,
                 void (*ended)(void *context, const struct batch *batch),
                 void *context);

/* Calls back for each batch that gets a ready request, within the transaction. */
void store_watch_ready(struct store *store,
                       void (*ready)(void *context, uint64_t batch),
                       void *context);

/* Calls back for each result that a draft gets, also in place of a former one,
 * within the transaction. */
void store_watch_results(struct store *store,
                         void (*given)(void *context,
                                       const struct draft *draft),
                         void *context);

/* Calls back for each move of a batch or a request, within the transaction; for
 * tests that count them. */
void store_watch_moves(struct store *store,
                       void (*batch_moved)(void *context, uint64_t batch,
                                           enum batch_state from,
                                           enum batch_state to),
                       void (*request_moved)(void *context, uint64_t request,
                                             enum request_state from,
                                             enum request_state to),
                       void *context);

#endif
