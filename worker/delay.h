/*
 * delay.h - one wait as an upstream writes it, in any notation
 *
 *   1s  6m0s  12ms  1h2m3.5s          a Go duration
 *   17  0.5                           seconds
 *   1800000000  1800000000000         the end, Unix seconds or milliseconds
 *   2026-08-21T10:00:00Z              the end, RFC 3339
 *   Wed, 21 Oct 2026 07:28:00 GMT     the end, an HTTP date
 *
 * Rounded up to the next millisecond: too early is wrong, too late is not.
 * Anything else, and what is past, zero or beyond DELAY_MAX_MS, is DELAY_NONE.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_DELAY_H
#define WORKER_DELAY_H

#include <stdint.h>

#define DELAY_NONE   (-1)
#define DELAY_MAX_MS (INT64_C(366) * 86400000) /* more is nonsense */

/* The wait from now that a header's value means, in any of the notations. */
int64_t delay_parse(const char *value, int64_t now_ms);

/* A Go duration only; protobuf's ("45.8s") are such ones. */
int64_t delay_parse_duration(const char *text);

/* A decimal number of milliseconds. */
int64_t delay_parse_ms(const char *value);

/* The wait in a sentence such as "Please try again in 8.71s." */
int64_t delay_find(const char *message);

#endif
