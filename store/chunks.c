/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "store/chunk_rows.h"
#include "store/part.h"
#include "store/rows.h"

/* A part that is packed has this bit of its batch set. */
#define PART_PACKED (UINT64_C(1) << 63)

void
store_body_put(struct store *store, uint64_t batch, struct chunk *chunk,
               const struct parts *parts, struct new_draft *drafts,
               size_t count)
{
    const char *lines = parts->body.data, *packed = parts->packed.data;
    size_t end = 0, i = 0;

    chunk->part_first = store->ids.part + 1;
    chunk->part_count = (uint32_t)parts->count;
    for (size_t n = 0; n < parts->count; n++) {
        const struct part_cut *cut = &parts->cuts[n];
        bool is_packed = cut->packed_bytes > 0;
        uint64_t number = ++store->ids.part;
        size_t from = end;
        struct buf *out = table_fields(store);

        record_u64(out, is_packed ? batch | PART_PACKED : batch);
        record_u32(out, chunk->n);
        record_bytes(out, is_packed ? packed : lines + from,
                     is_packed ? cut->packed_bytes : cut->bytes);
        table_append(store, TABLE_PART, key_id(number));
        packed += cut->packed_bytes;
        end += cut->bytes;
        for (; i < count && drafts[i].draft.at < end; i++) {
            assert(drafts[i].draft.at >= from);
            drafts[i].draft.part = number;
            drafts[i].draft.at -= (uint32_t)from;
        }
    }
    assert(end == parts->body.bytes);
    assert(i == count);
}

void
chunk_encode(const struct chunk *chunk, struct buf *out)
{
    record_bytes(out, chunk->digest, sizeof(chunk->digest));
    record_u32(out, chunk->index_first);
    record_u32(out, chunk->draft_count);
    record_u32(out, chunk->accepted);
    record_u32(out, chunk->joined);
    record_u32(out, chunk->cached);
    record_u32(out, chunk->refused);
    part_encode(chunk->part_first, chunk->part_count, out);
}

static int
decode(struct record *record, uint32_t n, struct chunk *chunk)
{
    *chunk = (struct chunk){ .n = n };
    record_get_bytes(record, chunk->digest, sizeof(chunk->digest));
    chunk->index_first = record_get_u32(record);
    chunk->draft_count = record_get_u32(record);
    chunk->accepted = record_get_u32(record);
    chunk->joined = record_get_u32(record);
    chunk->cached = record_get_u32(record);
    chunk->refused = record_get_u32(record);
    if (record->left) {
        chunk->part_first = part_decode(record, &chunk->part_count);
    } else {
        /* In formats 1 and 2 a chunk was one part, of its own number. */
        chunk->part_first = PART_OF_BATCH | n;
        chunk->part_count = 1;
    }
    return record_end(record);
}

int
newest_get(struct store *store, uint64_t batch, struct newest *newest)
{
    struct record record;
    uint32_t n, count;
    int rc = table_get(store, TABLE_NEWEST, key_id(batch), &record);

    newest->count = 0;
    if (rc < 0)
        return rc;
    n = record_get_u32(&record);
    count = record_get_u32(&record);
    if (count == 0 || count > NEWEST_MAX)
        return E_CORRUPT;
    for (; rc == 0 && newest->count < count; newest->count++)
        rc = decode(&record, n++, &newest->chunks[newest->count]);
    return rc;
}

static void
put_newest(struct store *store, uint64_t batch, const struct newest *newest)
{
    struct buf *out = table_fields(store);

    record_u32(out, newest->chunks[0].n);
    record_u32(out, (uint32_t)newest->count);
    for (size_t i = 0; i < newest->count; i++)
        chunk_encode(&newest->chunks[i], out);
    table_put(store, TABLE_NEWEST, key_id(batch));
}

static void
put_row(struct store *store, uint64_t batch, const struct chunk *chunk)
{
    chunk_encode(chunk, table_fields(store));
    table_put(store, TABLE_CHUNK, key_draft(batch, chunk->n));
}

void
store_chunk_put(struct store *store, uint64_t batch, const struct chunk *chunk)
{
    struct newest newest;
    int rc = newest_get(store, batch, &newest);

    /* One that is damaged stays, and is named. */
    if (rc == E_CORRUPT ||
        (newest.count > 0 && chunk->n != newest.chunks[0].n + newest.count)) {
        put_row(store, batch, chunk);
        return;
    }
    if (newest.count == NEWEST_MAX) {
        for (size_t i = 0; i < newest.count; i++)
            put_row(store, batch, &newest.chunks[i]);
        newest.count = 0;
    }
    newest.chunks[newest.count++] = *chunk;
    put_newest(store, batch, &newest);
}

/* Looks for a chunk that has no row of its own. */
static int
find_newest(struct store *store, uint64_t batch, uint32_t n,
            struct chunk *chunk)
{
    struct newest newest;
    int rc = newest_get(store, batch, &newest);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < newest.count; i++) {
        if (newest.chunks[i].n == n) {
            *chunk = newest.chunks[i];
            return 0;
        }
    }
    return E_NOTFOUND;
}

int
store_chunk_get(struct store *store, uint64_t batch, uint32_t n,
                struct chunk *chunk)
{
    struct record record;
    int rc = table_get(store, TABLE_CHUNK, key_draft(batch, n), &record);

    if (rc == E_NOTFOUND)
        return find_newest(store, batch, n, chunk);
    return rc < 0 ? rc : decode(&record, n, chunk);
}

int
chunk_first(struct store *store, uint64_t batch, struct chunk *chunk)
{
    struct slice found;
    struct record record;
    int rc =
        table_seek(store, TABLE_CHUNK, key_draft(batch, 0), 8, &found, &record);

    if (rc == 0 || rc == E_CORRUPT)
        *chunk = (struct chunk){ .n = key_get_u32(found, 8) };
    return rc < 0 ? rc : decode(&record, chunk->n, chunk);
}

/* The table that a part is in, and its key there. */
static enum table
part_row(uint64_t batch, uint64_t part, struct key *key)
{
    if (part & PART_OF_BATCH) {
        *key = key_draft(batch, (uint32_t)part);
        return TABLE_BODY;
    }
    *key = key_id(part);
    return TABLE_PART;
}

void
part_decode_head(struct record *record, struct part_head *head)
{
    uint64_t batch = record_get_u64(record);

    head->batch = batch & ~PART_PACKED;
    head->is_packed = (batch & PART_PACKED) != 0;
    head->n = record_get_u32(record);
}

/* The lines of a part that is packed, from its row. */
static int
open_part(struct store *store, uint64_t part, const struct record *row,
          struct slice *lines)
{
    struct slice packed = { (const char *)row->at, row->left };
    const struct buf *opened = opened_find(store->opened, part);
    int rc = opened ? 0
                    : opened_add(store->opened, part, packed, store->packer,
                                 &opened);

    if (rc < 0)
        return rc;
    *lines = buf_slice(opened);
    return 0;
}

int
part_get(struct store *store, uint64_t batch, uint32_t n, uint64_t part,
         struct slice *lines)
{
    struct key key;
    enum table table = part_row(batch, part, &key);
    struct part_head head = { .batch = batch, .n = n };
    struct record row;
    int rc = table_get(store, table, key, &row);

    if (rc < 0)
        return rc;
    if (table == TABLE_PART)
        part_decode_head(&row, &head);
    rc = record_end(&row);
    if (rc == 0 && (head.batch != batch || head.n != n))
        rc = E_NOTFOUND;
    if (rc == 0 && head.is_packed)
        return open_part(store, part, &row, lines);
    *lines = (struct slice){ (const char *)row.at, row.left };
    return rc;
}

int
part_peek(struct store *store, uint64_t batch, uint64_t part,
          struct slice *lines)
{
    struct key key;
    enum table table = part_row(batch, part, &key);
    struct part_head head = { 0 };
    const struct buf *opened;
    struct slice value;
    struct record row;
    int rc = table_get_raw(store, table, key, &value);

    if (rc < 0)
        return rc;
    if (value.bytes < RECORD_SEAL_BYTES)
        return E_CORRUPT;
    row = (struct record){ .at = (const unsigned char *)value.data,
                           .left = value.bytes - RECORD_SEAL_BYTES };
    if (table == TABLE_PART)
        part_decode_head(&row, &head);
    if (record_end(&row) < 0)
        return E_CORRUPT;
    if (!head.is_packed) {
        *lines = (struct slice){ (const char *)row.at, row.left };
        return 0;
    }
    opened = opened_find(store->opened, part);
    if (!opened)
        return part_get(store, head.batch, head.n, part, lines);
    *lines = buf_slice(opened);
    return 0;
}

int
store_chunk_line(struct store *store, uint64_t batch, const struct chunk *chunk,
                 uint32_t n, struct slice *line)
{
    for (uint32_t i = 0; i < chunk->part_count; i++) {
        struct slice rest;
        int rc = part_get(store, batch, chunk->n, chunk->part_first + i, &rest);

        if (rc < 0)
            return rc;
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
