/*
 * broker_drafts.h - batches of drafts that are numbered
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BROKER_DRAFTS_H
#define TESTS_BROKER_DRAFTS_H

#include "tests/broker_fixture.h"

/* Submits the drafts from number `from` on, each of the id N and the text "draft
 * N.", and lets their group go. */
void bench_submit_drafts(struct bench *bench, const char *key, int from,
                         int count, char batch[BENCH_UUID_BYTES]);

#endif
