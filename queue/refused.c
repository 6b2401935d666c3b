/* SPDX-License-Identifier: MIT */
#include "queue/refused.h"

#include "base/json.h"

void
refused_fini(struct refused *refused)
{
    buf_fini(&refused->id);
    *refused = (struct refused){ 0 };
}

/* The id of a draft that may be wrong in any way. */
static void
read_id(struct slice line, struct buf *id)
{
    static const char *const names[] = { "id", "custom_id" };
    struct json_doc doc = { 0 };

    if (line.bytes &&
        json_parse(&doc, line.data, line.bytes, JSON_INPUT, NULL) == 0 &&
        doc.tokens[0].type == JSON_OBJECT) {
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            size_t at = json_member(&doc, 0, names[i]);

            if (at != JSON_NONE && doc.tokens[at].type == JSON_STRING &&
                id->bytes == 0) {
                json_decode(&doc, at, id);
            }
        }
    }
    json_fini(&doc);
}

/* Reads the id of the refusal from its chunk, which is the nth or a later one. */
static void
read_line(struct store *store, const struct batch *batch, uint32_t *n,
          struct refused *refused)
{
    const struct refusal *refusal = &refused->refusal;
    struct chunk chunk;
    struct slice line;

    buf_reset(&refused->id);
    for (; *n < batch->chunk_next; ++*n) {
        if (store_chunk_get(store, batch->id, *n, &chunk) == 0 &&
            refusal->index - chunk.index_first < chunk.draft_count) {
            break;
        }
    }
    if (*n < batch->chunk_next &&
        store_chunk_line(store, batch->id, &chunk, refusal->line, &line) == 0) {
        read_id(line, &refused->id);
    }
}

int
refused_at(struct store *store, const struct batch *batch, uint32_t index,
           struct refused *refused)
{
    uint32_t n = 1;
    int rc = store_refusal_next(store, batch->id, index, &refused->refusal);

    if ((rc == 0 || rc == E_CORRUPT) && refused->refusal.index != index)
        rc = E_NOTFOUND;
    if (rc == 0)
        read_line(store, batch, &n, refused);
    return rc;
}

int
refused_find(struct store *store, const struct batch *batch, struct slice id,
             struct refused *refused)
{
    uint32_t index = 0, n = 1;

    for (int i = 0; i < REFUSED_SCAN_MAX; i++) {
        int rc = store_refusal_next(store, batch->id, index, &refused->refusal);

        if (rc < 0 && rc != E_CORRUPT)
            return rc;
        index = refused->refusal.index + 1;
        if (rc < 0)
            continue;
        read_line(store, batch, &n, refused);
        if (slice_equal(buf_slice(&refused->id), id))
            return 0;
    }
    return E_NOTFOUND;
}
