/*
 * rows.h - what hangs together among the rows of a store
 *
 * Private to store/: what its files do for each other, so that a row and the rows
 * by which it is found, or counted, are written together.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_ROWS_H
#define STORE_ROWS_H

#include "store/table.h"

/* ---- requests (requests.c) ---- */

/* Writes a request's record. */
void request_put(struct store *store, const struct request *request);

/* The number of a request's answer; 0: its outcome is one of before format 7, or
 * there is none. The seal is not looked at, as the answer says whose it is: where a
 * request is damaged, what it came to can mostly be read all the same. */
int request_answer(struct store *store, uint64_t id, uint64_t *answer);

/* Changes a request's state, which request_put() writes. */
void request_change(struct store *store, struct request *request,
                    enum request_state to);

/* Lets a request that has ended start anew, with all its attempts (slices.c).
 * Its rows in the ready index are the caller's. */
void request_revive(struct store *store, struct request *request);

/* Takes a request out of what its state put it into: ready index, timer, or
 * lease. */
void request_unplace(struct store *store, const struct request *request);

/* The newest request of a key, found in the index, or known to be `holder`, that
 * the index leads to (0: to none). E_NOTFOUND, E_CORRUPT. */
int key_lookup(struct store *store, const unsigned char key[DIGEST_BYTES],
               struct request *request);
int key_open(struct store *store, const unsigned char key[DIGEST_BYTES],
             uint64_t holder, struct request *request);

/* Lets the index lead to a request by its key, and no more to `holder`, that it led
 * to (0: to none). Both know (is_keyed); the caller writes the request. The second
 * finds the holder by itself, if the request is not known to be it: an answer mostly
 * need not look in the index, which took a twentieth of its time. */
void key_claim(struct store *store, struct request *request, uint64_t holder);
void key_point(struct store *store, struct request *request);

/* ---- batches (batches.c) ----
 *
 * Results of one batch come one after another, and each changes its counters: its
 * row is written when another batch's is, or all are looked through, or the
 * transaction ends. Until then it is late; store_batch_get() knows. Nothing is
 * borrowed from this table, so that no reader is in its way. */

/* Writes a batch's record as it is: one that is complete does not end by that. It
 * is late. */
void batch_put(struct store *store, const struct batch *batch);

/* Writes the row that is late, if there is one. */
void batch_catch_up(struct store *store);

/* Removes a batch's row. */
void batch_remove(struct store *store, uint64_t id);

/* ---- who wants a request (wants.c) ----
 *
 * A ref joins a draft to the request it waits for, and to the one that gave its
 * result. A request that has had one draft only is sole, and has no row for it: its
 * record says which. A batch wants a request if it is live and one of its drafts waits for
 * it; then, and only then, is a ready request in the ready index for it.
 */

/* Adds a further draft's; a request that was sole is so no more, and written. */
void ref_add(struct store *store, struct request *request, uint64_t batch,
             uint32_t index);

/* True if a draft has a ref to a request. */
bool ref_is_there(struct store *store, const struct request *request,
                  uint64_t batch, uint32_t index);

/* The first ref of a request at or after *cursor. */
int ref_next(struct store *store, const struct request *request,
             struct cursor *cursor);

/* True if a draft waits for a request, as far as it goes: its batch may have
 * ended. */
bool draft_waits(const struct draft *draft, uint64_t request);

/* True if a batch wants the request. */
bool request_is_wanted(struct store *store, const struct request *request);

/* Adds the request to the ready index (ready.h) for each batch that wants it;
 * removes it there for all batches; the same for one batch. */
void ready_put_all(struct store *store, const struct request *request);
void ready_del_all(struct store *store, const struct request *request);
void ready_put(struct store *store, const struct request *request,
               uint64_t batch);
void ready_del(struct store *store, const struct request *request,
               uint64_t batch);

/* Chooses another draft to render the request from, and to pay for it; none if
 * there is none. Writes it. */
void request_repoint(struct store *store, struct request *request);

/* Cancels a request that is not done if nobody wants it. True if it did. */
bool request_let_go(struct store *store, struct request *request);

/* Removes a request that no draft refers to. Worth keeping without one: what is
 * being called; and an answer, for the cache, as long as those are kept. True if
 * it is gone. */
bool request_forget(struct store *store, const struct request *request);

/* Takes a draft's ref away, and what follows: a request may lose its source, be
 * wanted by nobody, or be forgotten. The draft's record was changed before. */
void request_leave(struct store *store, uint64_t id, const struct draft *draft);

/* ---- attempts (attempts.c) ---- */

/* The number for a further call of a request: makes room for it. */
uint32_t attempt_next(struct store *store, const struct request *request);

/* Lets the call in the row of a request's outcome, which is about to go, be an
 * attempt like the others. */
void attempt_keep(struct store *store, const struct request *request);

/* Removes all attempts of a request, but for that one. */
void attempts_drop(struct store *store, uint64_t request);

/* ---- deliveries (deliveries.c) ---- */

#define DELIVERY_STEM_BYTES 8 /* of a webhook's digest, in the index */

/* The place of a delivery among those that wait; its timer. */
struct key key_pending(const struct delivery *delivery);
struct timer delivery_timer(const struct delivery *delivery);

/* Writes the rows by which a delivery is found when it is due. */
void delivery_place(struct store *store, const struct delivery *delivery);

/* ---- drafts and results ---- */

/* Writes a draft's record where it stands: in its span (span.h), or in a row of
 * its own. Removes it there. */
void draft_put(struct store *store, const struct draft *draft);
void draft_del(struct store *store, const struct draft *draft);

/* Claims an id within a batch for the draft at `index` (names.c), in the batch's
 * tail, which the caller writes with it. 1: it is taken. E_CORRUPT: it may be, by
 * a draft that is damaged, or what led to it is. */
int name_claim(struct store *store, struct batch *batch, uint32_t index,
               struct slice id);

/* Forgets the tail of a batch, and writes that: its names are rows, or gone. */
void name_drop_tail(struct store *store, struct batch *batch);

/* The run by which a draft is found by its id. E_NOTFOUND: there is none;
 * E_CORRUPT: the draft's line is damaged, or what may lead to it. */
int name_place(struct store *store, const struct batch *batch,
               const struct draft *draft, struct run *run);

/* Gives a draft its name again, in a row, if its id can be read and is not
 * taken. */
void name_restore(struct store *store, const struct draft *draft);

/* The first draft of a batch at or after an index. E_CORRUPT also sets its
 * index. */
int draft_next(struct store *store, uint64_t batch, uint32_t index,
               struct draft *draft);

/* Gives a draft the result of draft->request, or one of its own if it is
 * cancelled or expired (results.c): its record, its place in the order of
 * completion, and its batch's counters, which the caller writes. */
void result_give(struct store *store, struct batch *batch, struct draft *draft,
                 enum status status, int64_t now_ms);

/* Writes a result's row in the order of completion. */
void result_order(struct store *store, const struct draft *draft);

/* Removes a draft's result from the order of completion. */
void result_remove(struct store *store, const struct draft *draft);

/* Tells a draft that a request has ended (finish.c): gives it the result if it
 * is better than its own, and ends its waiting. The caller writes the batch. */
void hand_over(struct store *store, const struct request *request,
               const struct outcome *outcome, struct batch *batch,
               struct draft *draft, int64_t now_ms);

#endif
