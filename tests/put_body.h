/*
 * put_body.h - a chunk's lines go into a store, as they are
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_PUT_BODY_H
#define TESTS_PUT_BODY_H

#include "store/intake.h"

/* store_body_put() of parts of which none is packed. */
void put_body(struct store *store, uint64_t batch, struct chunk *chunk,
              struct slice body, struct new_draft *drafts, size_t count);

#endif
