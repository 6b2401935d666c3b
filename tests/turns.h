/*
 * turns.h - a `turn` and the messages that its parts would be by themselves
 *
 * Who plays a worker, or judges a broker, looks at one lease, start, result or
 * confirmation at a time; a message that is no turn is itself.
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_TURNS_H
#define TESTS_TURNS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* A part of a message. Its body is borrowed from the message. */
struct turns_part {
    struct buf head;
    struct slice body;
};

struct turns {
    struct turns_part *parts;
    size_t count;
};

/* Takes a message apart. One that cannot be is its only part. */
struct turns turns_of(struct slice head, struct slice body);
void turns_fini(struct turns *turns);

/* What is folded into one `turn`; zero-initialised is empty. */
struct fold {
    struct packer
        *packer; /* borrowed; of bodies. NULL: they stay as they are */
    struct buf started, results, body;
    size_t count;
};

/* True if a message is one that can be folded: a `started`, or a `result`. */
bool fold_takes(struct slice head);

/* Adds one of them, whose verb must stand first. */
void fold_add(struct fold *fold, struct slice head, struct slice body);

/* Writes the header of the turn; its body is the fold's. */
void fold_print(const struct fold *fold, struct buf *head);
void fold_fini(struct fold *fold);

#endif
