/*
 * room.h - a store that has no room left, from some row on
 *
 * LMDB's map may be full at any row that a transaction writes: then all fails that
 * is asked of it until that ends. Here this happens where the test wants it to, in
 * an engine of either kind.
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_ROOM_H
#define TESTS_ROOM_H

#include "store/table.h"

struct room {
    struct engine_ops ops;        /* private: what the engine has meanwhile */
    const struct engine_ops *own; /* private: its own; NULL: it has these */
    uint64_t rows;                /* that may still be written */
    bool is_over;                 /* one was not */
};

/* Gives a store room for so many rows that are written or removed, from now on.
 * Both are to stay where they are until room_restore(). */
void room_limit(struct room *room, struct store *store, uint64_t rows);

/* Gives it all the room there is. True if some row had found none. */
bool room_restore(struct room *room, struct store *store);

#endif
