/*
 * bound.h - where a lease is bound to
 *
 * What has to be known of a lease to count it at its upstream, and to give back
 * what was counted. Upstreams are named by their index in the configuration.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_BOUND_H
#define QUEUE_BOUND_H

#include <stdint.h>

#define BOUND_LOCAL (-1) /* the built-in sampler, which has no limit */

struct bound {
    int where;       /* an index, or BOUND_LOCAL */
    uint32_t model;  /* stands for the model that the request names; 0: none */
    uint32_t tokens; /* that it is thought to take */
    int64_t leased_ms; /* 0: before the broker's start */
};

#endif
