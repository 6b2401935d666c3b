/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "store/rows.h"

/* A part of a chunk, with its seal and what LMDB adds, fills eight pages. In one
 * piece, a chunk of 1 MiB would need as much unbroken space in the file, which
 * smaller rows have long taken pages out of: the file grew with every chunk. */
#define PART_BYTES (8 * 4096 - 16 - RECORD_SEAL_BYTES)

/* Takes the next part off a body: whole lines, as many as fit, one at least. An
 * empty body has an empty part. */
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

/* The number behind that of the batch's last part. */
static uint32_t
new_part(struct store *store, uint64_t batch)
{
    struct slice found;

    if (table_before(store, TABLE_BODY, key_draft(batch, UINT32_MAX), 8, &found,
                     NULL) < 0) {
        return 1;
    }
    return key_get_u32(found, 8) + 1;
}

void
store_body_put(struct store *store, uint64_t batch, struct chunk *chunk,
               struct slice body, struct new_draft *drafts, size_t count)
{
    struct slice rest = body;
    size_t i = 0;

    chunk->part_first = new_part(store, batch);
    chunk->part_count = 0;
    do {
        uint32_t number = chunk->part_first + chunk->part_count++;
        struct slice part = next_part(&rest);
        size_t from = (size_t)(part.data - body.data);

        record_bytes(table_fields(store), part.data, part.bytes);
        table_put(store, TABLE_BODY, key_draft(batch, number));
        for (; i < count && drafts[i].draft.at < from + part.bytes; i++) {
            assert(drafts[i].draft.at >= from);
            drafts[i].draft.part = number;
            drafts[i].draft.at -= (uint32_t)from;
        }
    } while (rest.bytes > 0);
    assert(i == count);
}

void
store_chunk_put(struct store *store, uint64_t batch, const struct chunk *chunk)
{
    struct buf *out = table_fields(store);

    record_bytes(out, chunk->digest, sizeof(chunk->digest));
    record_u32(out, chunk->index_first);
    record_u32(out, chunk->draft_count);
    record_u32(out, chunk->accepted);
    record_u32(out, chunk->joined);
    record_u32(out, chunk->cached);
    record_u32(out, chunk->refused);
    record_u32(out, chunk->part_first);
    record_u32(out, chunk->part_count);
    table_put(store, TABLE_CHUNK, key_draft(batch, chunk->n));
}

int
store_chunk_get(struct store *store, uint64_t batch, uint32_t n,
                struct chunk *chunk)
{
    struct record record;
    int rc = table_get(store, TABLE_CHUNK, key_draft(batch, n), &record);

    if (rc < 0)
        return rc;
    *chunk = (struct chunk){ .n = n };
    record_get_bytes(&record, chunk->digest, sizeof(chunk->digest));
    chunk->index_first = record_get_u32(&record);
    chunk->draft_count = record_get_u32(&record);
    chunk->accepted = record_get_u32(&record);
    chunk->joined = record_get_u32(&record);
    chunk->cached = record_get_u32(&record);
    chunk->refused = record_get_u32(&record);
    /* In formats 1 and 2 a chunk was one part, of its own number. */
    chunk->part_first = record.left ? record_get_u32(&record) : n;
    chunk->part_count = record.left ? record_get_u32(&record) : 1;
    return record_end(&record);
}

int
store_chunk_line(struct store *store, uint64_t batch, const struct chunk *chunk,
                 uint32_t n, struct slice *line)
{
    for (uint32_t i = 0; i < chunk->part_count; i++) {
        struct record record;
        struct slice rest;
        int rc = table_get(store, TABLE_BODY,
                           key_draft(batch, chunk->part_first + i), &record);

        if (rc < 0)
            return rc;
        rest = (struct slice){ (const char *)record.at, record.left };
        while (rest.bytes > 0) {
            *line = slice_take_line(&rest);
            if (--n == 0)
                return 0;
        }
    }
    return E_NOTFOUND;
}

void
store_refusal_add(struct store *store, uint64_t batch,
                  const struct refusal *refusal)
{
    struct buf *out = table_fields(store);

    record_u32(out, refusal->line);
    record_str(out, refusal->field);
    record_str(out, refusal->code);
    record_str(out, refusal->message);
    record_u32(out, refusal->file_line);
    table_put(store, TABLE_REFUSAL, key_draft(batch, refusal->index));
}

int
store_refusal_next(struct store *store, uint64_t batch, uint32_t index,
                   struct refusal *refusal)
{
    struct slice found;
    struct record record;
    int rc = table_seek(store, TABLE_REFUSAL, key_draft(batch, index), 8,
                        &found, &record);

    if (rc == 0 || rc == E_CORRUPT)
        *refusal = (struct refusal){ .index = key_get_u32(found, 8) };
    if (rc < 0)
        return rc;
    refusal->line = record_get_u32(&record);
    refusal->field = record_get_str(&record);
    refusal->code = record_get_str(&record);
    refusal->message = record_get_str(&record);
    if (record.left)
        refusal->file_line = record_get_u32(&record);
    return record_end(&record);
}
