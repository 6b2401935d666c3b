/* SPDX-License-Identifier: MIT */
#include "tests/put_body.h"

void
put_body(struct store *store, uint64_t batch, struct chunk *chunk,
         struct slice body, struct new_draft *drafts, size_t count)
{
    struct parts parts = { 0 };

    parts_cut(&parts, body, NULL, NULL);
    store_body_put(store, batch, chunk, &parts, drafts, count);
    parts_fini(&parts);
}
