/*
 * clocks.h - the clocks of the host
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SIM_CLOCKS_H
#define TESTS_SIM_CLOCKS_H

struct world;

/* What they show; the broker's shell reads them each turn. */
void clocks_read(struct world *world);

/* The wall clock is set. */
void clocks_jump(struct world *world);

/* The host is started anew, and nobody knows what its wall clock shows. */
void clocks_boot(struct world *world);

/* The broker starts: its time is what it has to be. */
void clocks_resume(struct world *world);

/* A commit may have kept what they show. */
void clocks_note_commit(struct world *world);

#endif
