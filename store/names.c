/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/json.h"
#include "store/rows.h"

#define DIGITS_MAX 18 /* of a number that surely fits into 64 bits */
#define FORM_BYTES 3

/* An id in two parts: the last number in it, and what is around it. */
struct name {
    uint64_t stem; /* a hash */
    uint64_t number;
};

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The hash of what is around a number, of which form tells where it was. It is
 * mostly that of the id before. */
static uint64_t
stem_of(struct store *store, struct slice before, struct slice after,
        const unsigned char form[FORM_BYTES])
{
    struct buf *text = &store->stem_text;
    unsigned char digest[DIGEST_BYTES];
    struct slice last = buf_slice(text);

    if (last.bytes == before.bytes + after.bytes + FORM_BYTES &&
        memcmp(last.data, before.data, before.bytes) == 0 &&
        memcmp(last.data + before.bytes, after.data, after.bytes) == 0 &&
        memcmp(last.data + last.bytes - FORM_BYTES, form, FORM_BYTES) == 0) {
        return store->stem;
    }
    buf_reset(text);
    buf_add_slice(text, before);
    buf_add_slice(text, after);
    buf_add(text, form, FORM_BYTES);
    digest_add(store->digest, text->data, text->bytes);
    digest_final(store->digest, digest);
    store->stem = key_get_u64((struct slice){ (const char *)digest, 8 }, 0);
    return store->stem;
}

/* Ids are mostly counted, and counted ids lie beside each other in the table if
 * the number is taken out of the hash: a chunk then changes a few pages of it
 * instead of a thousand. The hash is SHA-256's, as whoever chooses the ids
 * could make faster ones collide, and each id be compared with each other. */
static struct name
name_of(struct store *store, struct slice id)
{
    unsigned char form[FORM_BYTES];
    struct name name = { 0 };
    size_t end = id.bytes, start;

    while (end > 0 && !is_digit(id.data[end - 1]))
        end--;
    if (end == 0)
        end = id.bytes; /* no number */
    for (start = end;
         start > 0 && end - start < DIGITS_MAX && is_digit(id.data[start - 1]);
         start--) {
        continue;
    }
    for (size_t i = start; i < end; i++)
        name.number = name.number * 10 + (uint64_t)(id.data[i] - '0');
    form[0] = (unsigned char)(start >> 8);
    form[1] = (unsigned char)start;
    form[2] = (unsigned char)(end - start);
    name.stem = stem_of(store, (struct slice){ id.data, start },
                        (struct slice){ id.data + end, id.bytes - end }, form);
    return name;
}

static struct key
name_key(uint64_t batch, struct name name)
{
    return key_u64(key_u64(key_id(batch), name.stem), name.number);
}

/* Decodes the id that a stored draft has. E_CORRUPT. */
static int
read_id(struct store *store, const struct draft *draft, struct buf *id)
{
    struct slice line = { 0 };

    if (draft->id_bytes < 2 || store_draft_line(store, draft, &line) != 0)
        return E_CORRUPT;
    json_decode_inner(
        (struct slice){ line.data + draft->id_at + 1, draft->id_bytes - 2 },
        id);
    return 0;
}

/* Reads the draft at `index` and compares: 1 if it has this id, 0 if not. */
static int
has_id(struct store *store, uint64_t batch, uint32_t index, struct slice id,
       struct draft *draft)
{
    struct buf decoded = { 0 };
    int rc;

    /* A name without its draft is damage too. */
    if (store_draft_get(store, batch, index, draft) != 0 ||
        read_id(store, draft, &decoded) != 0) {
        return E_CORRUPT;
    }
    rc = slice_equal(buf_slice(&decoded), id);
    buf_fini(&decoded);
    return rc;
}

/* Compares an id with the one that a name leads to: 1 if it is the same, 0 if
 * not. E_NOTFOUND: there is no such name. */
static int
name_is(struct store *store, uint64_t batch, struct name name, struct slice id,
        struct draft *draft)
{
    struct record record;
    int rc = table_get(store, TABLE_NAME, name_key(batch, name), &record);

    return rc < 0 ? rc
                  : has_id(store, batch, record_get_u32(&record), id, draft);
}

/* Looks for an id. *name is where it is: with the same hash as others, in the
 * next place that is not theirs. */
static int
name_find(struct store *store, uint64_t batch, struct slice id,
          struct name *name, struct draft *draft)
{
    int rc;

    *name = name_of(store, id);
    while ((rc = name_is(store, batch, *name, id, draft)) == 0)
        name->stem++;
    return rc < 0 ? rc : 0;
}

/* Mostly the first place is free, so that nothing is looked up before. */
int
name_claim(struct store *store, uint64_t batch, uint32_t index, struct slice id)
{
    struct name name = name_of(store, id);
    struct draft draft;
    int rc;

    for (;; name.stem++) {
        record_u32(table_fields(store), index);
        if (table_add(store, TABLE_NAME, name_key(batch, name)))
            return 0;
        rc = name_is(store, batch, name, id, &draft);
        if (rc != 0)
            return rc;
    }
}

int
store_draft_find(struct store *store, uint64_t batch, struct slice id,
                 struct draft *draft)
{
    struct name name;

    return name_find(store, batch, id, &name, draft);
}

void
name_restore(struct store *store, const struct draft *draft)
{
    struct buf id = { 0 };

    if (read_id(store, draft, &id) == 0)
        (void)name_claim(store, draft->batch, draft->index, buf_slice(&id));
    buf_fini(&id);
}

int
name_place(struct store *store, const struct draft *draft, struct key *key)
{
    struct buf id = { 0 };
    struct draft holder = { 0 };
    struct name name;
    int rc = read_id(store, draft, &id);

    if (rc == 0)
        rc = name_find(store, draft->batch, buf_slice(&id), &name, &holder);
    if (rc == 0 && holder.index != draft->index)
        rc = E_NOTFOUND;
    if (rc == 0)
        *key = name_key(draft->batch, name);
    buf_fini(&id);
    return rc;
}
