/*
 * ahead.h - chunks that are read before their turn
 *
 * As sheafd's reader does it with those that wait. It has dice of its own, as
 * what is read ahead changes nothing; and it lives on when the broker ends, so
 * that what it knows of a batch may be of one that was rolled back.
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SIM_AHEAD_H
#define TESTS_SIM_AHEAD_H

#include <stddef.h>
#include <stdint.h>

struct ahead;
struct mail;
struct world;

struct ahead *ahead_new(uint64_t seed);
void ahead_free(struct ahead *ahead);

/* Forgets what it knows of batches: the configuration is another one. */
void ahead_forget(struct ahead *ahead);

/* Reads about half of the chunks in a row of mails, within a transaction; it
 * may be many turns before they are applied. */
void ahead_read(struct world *world, struct mail *mails, size_t count);

/* What was read of one is used up, or lost with the broker. */
void ahead_drop(struct mail *mail);

#endif
