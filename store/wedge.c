/* SPDX-License-Identifier: MIT */
#include "store/wedge.h"

#include <assert.h>
#include <string.h>

/* A wedge has three rows: an edge, and two that fill a page with it. One of the
 * two has no room behind what is there, so the page is split, and LMDB takes the
 * last row along to the new page: this is why the edge is there, and not the last
 * row of the batch before. That page begins with the edge, or with the first of
 * the two, if it was the second one that had no room. Then both lose their bulk:
 * that LMDB never puts a page together with another when a row gets shorter, as
 * it does when one is removed, keeps the place until the batch's rows are there. */
#define WEDGE_ROWS 3
#define EDGE_BYTES 24 /* what the edge takes of a page, and what is rounded */

/* The batch's number, and zeros. Keys of rows are longer: these are none of them,
 * and stand before the batch's first one. */
static struct key
wedge_key(uint64_t batch, int row)
{
    struct key key = key_id(batch);

    for (; row > 0; row--)
        key = key_u8(key, 0);
    return key;
}

static void
put(struct store *store, struct key key, size_t bytes)
{
    struct buf *out = table_fields(store);

    memset(buf_reserve(out, bytes), 0, bytes);
    buf_commit(out, bytes);
    table_put(store, TABLE_DRAFT, key);
}

void
wedge_drive(struct store *store, uint64_t batch)
{
    size_t most = store->engine->row_bytes_max;

    assert(!store->is_wedged);
    store->is_wedged = true;
    if (most == 0)
        return;
    most -= EDGE_BYTES / 2;
    for (int row = 0; row < WEDGE_ROWS; row++) {
        struct key key = wedge_key(batch, row);

        put(store, key, row == 0 ? 0 : most - key.count - RECORD_SEAL_BYTES);
    }
    for (int row = 1; row < WEDGE_ROWS; row++)
        put(store, wedge_key(batch, row), 0);
}

void
wedge_pull(struct store *store, uint64_t batch)
{
    assert(store->is_wedged);
    store->is_wedged = false;
    for (int row = 0; row < WEDGE_ROWS; row++)
        table_del(store, TABLE_DRAFT, wedge_key(batch, row));
}

bool
wedge_is_in(const struct store *store, enum table table)
{
    return store->is_wedged && table == TABLE_DRAFT;
}
