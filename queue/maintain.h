/*
 * maintain.h - work on a store that no broker serves: verify, repair, compact
 *
 * sheafd in another mode: it takes the store's lock as a broker would, does the
 * one thing, and says how it went. What it found goes to standard output, how
 * far it is to standard error if that is a terminal.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_MAINTAIN_H
#define QUEUE_MAINTAIN_H

#include <stdbool.h>

#include "base/conf.h"
#include "base/err.h"

struct maintain_terms {
    const char *store_dir;
    bool compacts, verifies, repairs, is_json;
};

/* Does it. 0; E_CORRUPT: damaged, or damage is left, or there is no store;
 * E_INUSE, E_FULL, E_IO, with the reason. */
int maintain_run(const struct maintain_terms *terms, const struct conf *conf,
                 struct err *err);

#endif
