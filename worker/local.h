/*
 * local.h - the upstream `local`, answering as a chat completion would
 *
 * Takes the body of a chat completion, runs the sampler over the last user
 * message with the system messages as its instruction, and gives the reply that
 * an HTTP upstream would have given: everything behind it is the same. What
 * cannot be answered gives an error's status and body.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_LOCAL_H
#define WORKER_LOCAL_H

#include "base/buf.h"
#include "base/text.h"
#include "worker/reply.h"

#define LOCAL_MODEL "local-extractive-1"

/* Answers the body of one request. Always an HTTP reply: 200, 400 (no chat
 * completion's body) or 422 (nothing in the text can be quoted). The caller
 * owns the reply's body, and sets its latency. */
void local_answer(struct text_rules *rules, struct slice request,
                  struct reply *reply);

#endif
