/* SPDX-License-Identifier: MIT */
#include "store/parts.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/record.h"

/* With whose it is, its seal and what LMDB adds, a part fills eight pages. In one
 * piece, a chunk of 1 MiB would need as much unbroken space in the file, which
 * smaller rows have long taken pages out of: the file grew with every chunk. */
#define PART_BYTES (8 * 4096 - 16 - HEAD_BYTES - RECORD_SEAL_BYTES)
#define HEAD_BYTES 12 /* whose it is */

#define CUTS_FIRST 32 /* as a chunk of a megabyte has */

/* Takes the next part off a body. */
static struct slice
next_part(struct slice *rest)
{
    struct slice part = { rest->data, 0 };

    while (part.bytes < rest->bytes) {
        const char *from = part.data + part.bytes;
        size_t left = rest->bytes - part.bytes;
        const char *end = memchr(from, '\n', left);
        size_t line = end ? (size_t)(end - from) + 1 : left;

        if (part.bytes > 0 && part.bytes + line > PART_BYTES)
            break;
        part.bytes += line;
    }
    rest->data += part.bytes;
    rest->bytes -= part.bytes;
    return part;
}

static void
add(struct parts *parts, struct part_cut cut)
{
    if (parts->count == parts->capacity) {
        parts->capacity = parts->capacity ? parts->capacity * 2 : CUTS_FIRST;
        parts->cuts =
            mem_grow(parts->cuts, parts->capacity, sizeof(parts->cuts[0]));
    }
    parts->cuts[parts->count++] = cut;
}

/* Packs a part, if it gets short enough by that; the length it has then, or 0. */
static size_t
pack(struct parts *parts, struct slice part, struct packer *packer)
{
    struct buf *out = &parts->packed;
    size_t from = out->bytes, bytes;

    pack_add(packer, part, out);
    bytes = out->bytes - from;
    if (bytes <= PART_PACKED_MAX(part.bytes))
        return bytes;
    buf_cut(out, bytes);
    return 0;
}

/* True if a chunk is to be tried. */
static bool
begin_trial(struct parts_trial *trial)
{
    if (trial->left == 0)
        return true;
    trial->left--;
    return false;
}

static void
end_trial(struct parts_trial *trial, bool gets_shorter)
{
    if (gets_shorter)
        trial->pause = 0;
    else if (trial->pause == 0)
        trial->pause = PARTS_PAUSE_MIN;
    else if (trial->pause < PARTS_PAUSE_MAX)
        trial->pause *= 2;
    trial->left = trial->pause;
}

void
parts_cut(struct parts *parts, struct slice body, struct packer *packer,
          struct parts_trial *trial)
{
    struct slice rest = body;
    /* Some part of such a body is as long, and none of a shorter one. */
    bool is_tried =
        packer && body.bytes >= PART_PACK_BYTES_MIN && begin_trial(trial);
    bool gets_shorter = is_tried;

    parts_reset(parts);
    parts->body = body;
    do {
        struct slice part = next_part(&rest);
        struct part_cut cut = { .bytes = part.bytes };

        if (gets_shorter && part.bytes >= PART_PACK_BYTES_MIN) {
            cut.packed_bytes = pack(parts, part, packer);
            gets_shorter = cut.packed_bytes > 0;
        }
        add(parts, cut);
    } while (rest.bytes > 0);
    if (is_tried)
        end_trial(trial, gets_shorter);
}

void
parts_reset(struct parts *parts)
{
    parts->body = (struct slice){ 0 };
    parts->count = 0;
    buf_reset(&parts->packed);
}

void
parts_fini(struct parts *parts)
{
    free(parts->cuts);
    buf_fini(&parts->packed);
    *parts = (struct parts){ 0 };
}
