/* SPDX-License-Identifier: MIT */
#include "store/opened.h"

#include <assert.h>

#include "base/err.h"

const struct buf *
opened_find(struct opened *opened, uint64_t part)
{
    assert(part != 0);
    for (int i = 0; i < OPENED_MAX; i++) {
        if (opened->parts[i].part == part) {
            opened->parts[i].used = ++opened->now;
            return &opened->parts[i].lines;
        }
    }
    return NULL;
}

int
opened_add(struct opened *opened, uint64_t part, struct slice packed,
           struct packer *packer, const struct buf **lines)
{
    struct opened_part *oldest = &opened->parts[0];
    struct slice text;
    int rc;

    for (int i = 1; i < OPENED_MAX; i++) {
        if (opened->parts[i].used < oldest->used)
            oldest = &opened->parts[i];
    }
    oldest->part = 0;
    oldest->used = 0;
    if (oldest->lines.capacity > OPENED_KEEP_BYTES)
        buf_fini(&oldest->lines);
    if (pack_bytes(packed) < 0)
        return E_CORRUPT;
    rc = pack_open(packer, packed, &oldest->lines, &text);
    if (rc < 0)
        return rc;
    oldest->part = part;
    oldest->used = ++opened->now;
    *lines = &oldest->lines;
    return 0;
}

void
opened_reset(struct opened *opened)
{
    for (int i = 0; i < OPENED_MAX; i++) {
        opened->parts[i].part = 0;
        opened->parts[i].used = 0;
    }
}

void
opened_fini(struct opened *opened)
{
    for (int i = 0; i < OPENED_MAX; i++)
        buf_fini(&opened->parts[i].lines);
}
