/*
 * upstream_moment.h - moments to come, as the headers of replies name them
 *
 * A script is written long before its replies are sent, so it names a moment by
 * the time from the reply on, in milliseconds:
 *
 *   {date+MS}      Wed, 21 Oct 2026 07:28:00 GMT   (in whole seconds)
 *   {rfc3339+MS}   2026-10-21T07:28:00.250Z
 *   {unix+MS}      1792567680                      (in whole seconds)
 *   {unix_ms+MS}   1792567680250
 *
 * What has whole seconds is rounded up: a moment is never early.
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UPSTREAM_MOMENT_H
#define TESTS_UPSTREAM_MOMENT_H

#include <stdint.h>

#include "base/buf.h"

#define MOMENT_MS_MAX INT64_C(86400000)

/* Appends a text whose moments are filled in, by the wall clock. A brace that
 * begins none stays as it is. */
void moment_fill(const char *text, int64_t wall_ms, struct buf *out);

#endif
