/*
 * windows.h - the windows of batches, read once
 *
 * In the store a batch's window is text, and it is needed each time that the batch is
 * looked at. To read it, a calendar of its zone is opened, which takes several times
 * as long as to ask it. So those that were needed last are kept; batches whose windows
 * are written alike share one. What a text says never changes: none is ever stale.
 *
 * Threads: none; they belong to one event loop.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_WINDOWS_H
#define QUEUE_WINDOWS_H

#include "base/buf.h"
#include "queue/window.h"

#define WINDOWS_MAX 32 /* of some 12 KiB each */

struct windows;

/* Room for WINDOWS_MAX windows; freed with windows_free(), NULL is fine. */
struct windows *windows_new(void);
void windows_free(struct windows *windows);

/* The window that a spec and a zone are, as window_parse() takes them; NULL if it
 * does not take them. Borrowed until the next one is asked for. */
const struct window *windows_find(struct windows *windows, struct slice spec,
                                  struct slice zone);

#endif
