/*
 * crash.h - a signal by which a damaged store ends its broker
 *
 * The pages of a store are looked at before it is opened, but of a large one not
 * all, and a disk may lose one later. A page that is not there ends the process by
 * SIGBUS, one that leads astray by SIGSEGV, both at an address where the store's
 * file is mapped. Then it is said what happened, and the exit code is that of a
 * damaged store. Any other SIGSEGV is a fault of the program, and ends it as such.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_CRASH_H
#define QUEUE_CRASH_H

/* From now on, for all threads. */
void crash_catch(void);

#endif
