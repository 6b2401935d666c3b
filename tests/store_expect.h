/*
 * store_expect.h - claims about a store, made of both engines
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_STORE_EXPECT_H
#define TESTS_STORE_EXPECT_H

#include <criterion/criterion.h>

#include "tests/store_play.h"

/* Both engines must pass every claim; after each, all invariants hold. */
#define CLAIM(name)                      \
    static void name(struct play *play); \
    Test(store_lmdb, name)               \
    {                                    \
        struct play play;                \
        play_start(&play, PLAY_LMDB);    \
        name(&play);                     \
        play_end(&play);                 \
    }                                    \
    Test(store_memory, name)             \
    {                                    \
        struct play play;                \
        play_start(&play, PLAY_MEMORY);  \
        name(&play);                     \
        play_end(&play);                 \
    }                                    \
    static void name(struct play *play)

/* Claims the one request that a batch has ready. */
uint64_t claim_one(struct play *play, uint64_t batch);

/* Where a draft, a batch, a request must stand. */
void expect_status(struct play *play, uint64_t batch, uint32_t index,
                   enum status want);
void expect_state(struct play *play, uint64_t batch, enum batch_state want);
void expect_request(struct play *play, uint64_t id, enum request_state want);

/* What is wrong with the store is found, by these words among others, and all
 * of it is right after repair. */
void expect_mend(struct play *play, const char *finding);

/* The next result of a batch (0: of all) after seq; a copy of its reply, or
 * essence. Returns its seq, 0 for none. */
#define RESULT_TEXT_BYTES 64
uint64_t next_result(struct play *play, uint64_t batch, uint64_t seq,
                     struct draft *draft, char text[RESULT_TEXT_BYTES]);

#endif
