/*
 * metrics.h - what a broker tells of itself, as Prometheus reads it
 *
 * From the answer to `stats` comes the text format 0.0.4: names that begin with
 * sheaf_, base units, a HELP and a TYPE for each. Every label is bounded: by the
 * upstreams of the broker's configuration, or by a table of the protocol. Pure.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_METRICS_H
#define SUBMIT_METRICS_H

#include <cjson/cJSON.h>

#include "base/buf.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Appends all metrics to out: `stats` is the object of that name in the broker's
 * answer. What an older broker does not tell is left out. E_PROTOCOL, with
 * nothing appended, if it is no object. */
int metrics_write(const cJSON *stats, struct buf *out);

#endif
