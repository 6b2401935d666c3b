/*
 * verbs.h - messages, and who handles them
 *
 * broker.c has the table of verbs.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_VERBS_H
#define QUEUE_VERBS_H

#include <stdint.h>

#include "base/err.h"
#include "queue/link.h"
#include "queue/wire.h"
#include "store/batch.h"

struct broker;

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

/* ---- by file ---- */

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

/* ---- intake.c ---- */

/* Seals a batch that has all its drafts. Writes it. */
void intake_close(struct broker *broker, struct batch *batch, int64_t now_ms);

/* True if a chunk may be taken when its turn comes, as far as that can be told:
 * what its lines are to be read with. */
bool intake_foresee(struct call *call, uint64_t *batch, struct slice *options);

/* E_CONFLICT if the batch is made by the broker, from a file. */
int intake_check_by_hand(struct call *call, const struct batch *batch);

#endif
