/*
 * engine_fixture.h - an engine of the store, for claims about both of them
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_ENGINE_FIXTURE_H
#define TESTS_ENGINE_FIXTURE_H

#include <criterion/criterion.h>

#include "store/engine.h"
#include "tests/scratch.h"

#define FIXTURE_MAP_BYTES (64u << 20)

enum kind { LMDB, MEMORY };

/* An engine, and the directory it may have. */
struct fixture {
    struct engine *engine;
    const struct engine_ops *ops;
    struct scratch scratch;
    enum kind kind;
};

/* Opens an engine of a kind; closes it, and removes its directory. */
struct fixture fixture_open(enum kind kind);
void fixture_close(struct fixture *fixture);

/* A transaction, which must not fail. */
void fixture_begin(struct fixture *fixture);
void fixture_commit(struct fixture *fixture);

/* Both engines must pass every claim. */
#define CLAIM(name)                                    \
    static void name(struct fixture *fixture);         \
    Test(engine_lmdb, name)                            \
    {                                                  \
        struct fixture fixture = fixture_open(LMDB);   \
        name(&fixture);                                \
        fixture_close(&fixture);                       \
    }                                                  \
    Test(engine_memory, name)                          \
    {                                                  \
        struct fixture fixture = fixture_open(MEMORY); \
        name(&fixture);                                \
        fixture_close(&fixture);                       \
    }                                                  \
    static void name(struct fixture *fixture)

#endif
