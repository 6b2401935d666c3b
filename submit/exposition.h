/*
 * exposition.h - the text in which Prometheus reads metrics
 *
 *   # HELP sheaf_workers Workers that are connected.
 *   # TYPE sheaf_workers gauge
 *   sheaf_workers{state="online"} 1
 *
 * Version 0.0.4 of the format: all samples of a name stand together, behind
 * their head. Pure.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_EXPOSITION_H
#define SUBMIT_EXPOSITION_H

#include <cjson/cJSON.h>

#include "base/buf.h"

#define EXPOSITION_NUMBER_BYTES 40

/* Appends HELP and TYPE; help has no line ends and no backslashes. */
void exposition_head(struct buf *out, const char *name, const char *type,
                     const char *help);

/* A number: integers as such, others with what a double has for certain. */
void exposition_number(double value, char text[EXPOSITION_NUMBER_BYTES]);

/* Appends a sample; labels may be "". */
void exposition_sample(struct buf *out, const char *name, const char *labels,
                       double value);

/* Appends a label to others; its value is quoted as the format wants it. */
void exposition_label(struct buf *labels, const char *name, const char *value);

/* Appends buckets, sum and count. `list` has the counts between the bounds, which
 * become cumulative, one for all above, and the sum; bounds and sum are divided
 * to the base unit. Nothing if the list does not fit its bounds. */
void exposition_histogram(struct buf *out, const char *name, const char *labels,
                          const cJSON *bounds, const cJSON *list,
                          double divisor);

#endif
