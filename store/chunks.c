/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "store/chunk_rows.h"
#include "store/part.h"
#include "store/rows.h"

/* A part of a chunk, with whose it is, its seal and what LMDB adds, fills eight pages.
 * In one piece, a chunk of 1 MiB would need as much unbroken space in the file, which
 * smaller rows have long taken pages out of: the file grew with every chunk. */
#define PART_BYTES (8 * 4096 - 16 - HEAD_BYTES - RECORD_SEAL_BYTES)
#define HEAD_BYTES 12 /* of a part: whose it is */

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

void
store_body_put(struct store *store, uint64_t batch, struct chunk *chunk,
               struct slice body, struct new_draft *drafts, size_t count)
{
    struct slice rest = body;
    size_t i = 0;

    chunk->part_first = store->ids.part + 1;
    chunk->part_count = 0;
    do {
        uint64_t number = ++store->ids.part;
        struct slice part = next_part(&rest);
        size_t from = (size_t)(part.data - body.data);
        struct buf *out = table_fields(store);

        record_u64(out, batch);
        record_u32(out, chunk->n);
        record_bytes(out, part.data, part.bytes);
        table_append(store, TABLE_PART, key_id(number));
        chunk->part_count++;
        for (; i < count && drafts[i].draft.at < from + part.bytes; i++) {
            assert(drafts[i].draft.at >= from);
            drafts[i].draft.part = number;
            drafts[i].draft.at -= (uint32_t)from;
        }
    } while (rest.bytes > 0);
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

int
part_get(struct store *store, uint64_t batch, uint32_t n, uint64_t part,
         struct record *lines)
{
    struct key key;
    enum table table = part_row(batch, part, &key);
    int rc = table_get(store, table, key, lines);
    uint64_t its_batch;
    uint32_t its_n;

    if (rc < 0 || table == TABLE_BODY)
        return rc;
    its_batch = record_get_u64(lines);
    its_n = record_get_u32(lines);
    rc = record_end(lines);
    return rc == 0 && (its_batch != batch || its_n != n) ? E_NOTFOUND : rc;
}

int
part_peek(struct store *store, uint64_t batch, uint64_t part,
          struct slice *lines)
{
    struct key key;
    enum table table = part_row(batch, part, &key);
    size_t head = table == TABLE_PART ? HEAD_BYTES : 0;
    int rc = table_get_raw(store, table, key, lines);

    if (rc < 0)
        return rc;
    if (lines->bytes < head + RECORD_SEAL_BYTES)
        return E_CORRUPT;
    lines->data += head;
    lines->bytes -= head + RECORD_SEAL_BYTES;
    return 0;
}

int
store_chunk_line(struct store *store, uint64_t batch, const struct chunk *chunk,
                 uint32_t n, struct slice *line)
{
    for (uint32_t i = 0; i < chunk->part_count; i++) {
        struct record record;
        struct slice rest;
        int rc =
            part_get(store, batch, chunk->n, chunk->part_first + i, &record);

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
