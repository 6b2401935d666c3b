/*
 * draft_play.h - drafts and options of every kind, by chance
 *
 * All fields, escapes, scripts, blanks where JSON allows them, objects in
 * objects, OpenAI's batch lines. They are good ones: each is read. Routes are
 * of the upstreams "one" to "four", and of the sampler.
 *
 * The same seed gives the same drafts, on every machine.
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_DRAFT_PLAY_H
#define TESTS_DRAFT_PLAY_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct draft_play {
    uint64_t chance; /* the seed at first */
    struct buf own;  /* private: what a draft has said */
};

/* Frees it. */
void draft_play_fini(struct draft_play *play);

/* Puts a batch's options into `out`, in place of its content. */
void draft_play_options(struct draft_play *play, struct buf *out);

/* The same for a draft; its id is d-NUMBER. */
void draft_play_draft(struct draft_play *play, size_t number, struct buf *out);

#endif
