/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/json.h"
#include "store/rows.h"

#define DIGITS_MAX 18 /* of a number that surely fits into 64 bits */
#define FORM_BYTES 3

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

/* The run in which a name is: the batch's tail, or a row. */
static int
find_run(struct store *store, const struct batch *batch, struct name name,
         struct run *run)
{
    if (!run_has(&batch->tail, name))
        return run_find(store, batch->id, name, run);
    *run = batch->tail;
    return 0;
}

/* Looks for an id, from a name on. *name is where it is: with the same hash as
 * others, in the next place that is not theirs. E_NOTFOUND: it is nowhere, and
 * *name is the first place that is free. */
static int
name_find(struct store *store, const struct batch *batch, struct slice id,
          struct name *name, struct run *run, struct draft *draft)
{
    int rc;

    for (;; name->stem++) {
        rc = find_run(store, batch, *name, run);
        if (rc == 0) {
            rc = has_id(store, batch->id, run_index(run, *name), id, draft);
        }
        if (rc != 0)
            return rc < 0 ? rc : 0;
    }
}

/* Lets the tail of a batch have the next name, if that is free: 1 then. Where
 * the tail ends at the latest was looked for when it got its second name, and
 * no other run has been written since. */
static int
go_on(struct store *store, struct batch *batch, struct name name,
      uint32_t index)
{
    int rc;

    if (!run_goes_on(&batch->tail, name, index))
        return 0;
    if (batch->tail_limit == 0) {
        rc = run_limit(store, batch->id, name, &batch->tail_limit);
        if (rc < 0)
            return rc;
    }
    if (name.number >= batch->tail_limit)
        return 0;
    batch->tail.count++;
    return 1;
}

static void
begin(struct store *store, struct batch *batch, struct name name,
      uint32_t index)
{
    if (batch->tail.count > 0)
        run_put(store, batch->id, &batch->tail);
    batch->tail = (struct run){ .first = name, .index = index, .count = 1 };
    batch->tail_limit = 0;
}

/* A counted id is mostly the next one of the tail: nothing is looked up. */
int
name_claim(struct store *store, struct batch *batch, uint32_t index,
           struct slice id)
{
    struct name name = name_of(store, id);
    struct draft draft;
    struct run run;
    int rc = go_on(store, batch, name, index);

    if (rc != 0)
        return rc < 0 ? rc : 0;
    rc = name_find(store, batch, id, &name, &run, &draft);
    if (rc == E_NOTFOUND) {
        begin(store, batch, name, index);
        return 0;
    }
    return rc < 0 ? rc : 1;
}

void
name_drop_tail(struct store *store, struct batch *batch)
{
    batch->tail = (struct run){ 0 };
    batch->tail_limit = 0;
    batch_put(store, batch);
}

int
store_draft_find(struct store *store, uint64_t id, struct slice draft_id,
                 struct draft *draft)
{
    struct name name = name_of(store, draft_id);
    struct batch batch;
    struct run run;
    int rc = store_batch_get(store, id, &batch);

    return rc < 0 ? rc : name_find(store, &batch, draft_id, &name, &run, draft);
}

/* Looks for an id that a draft has, as name_find() does; of another draft that may
 * have it, it is read, of itself it is known. E_NOTFOUND: another one has it. */
static int
place_of(struct store *store, const struct batch *batch,
         const struct draft *draft, struct slice id, struct run *run)
{
    struct name name = name_of(store, id);
    struct draft other;
    uint32_t index;
    int rc;

    for (;; name.stem++) {
        rc = find_run(store, batch, name, run);
        if (rc < 0)
            return rc;
        index = run_index(run, name);
        if (index == draft->index)
            return 0;
        rc = has_id(store, batch->id, index, id, &other);
        if (rc != 0)
            return rc < 0 ? rc : E_NOTFOUND;
    }
}

int
name_place(struct store *store, const struct batch *batch,
           const struct draft *draft, struct run *run)
{
    struct buf id = { 0 };
    int rc = read_id(store, draft, &id);

    if (rc == 0)
        rc = place_of(store, batch, draft, buf_slice(&id), run);
    buf_fini(&id);
    return rc;
}

/* Gives a name that is free a row: its own, or that of the run which ends before
 * it, so that what was lost of a run becomes one again. */
static void
add_row(struct store *store, struct batch *batch, struct name name,
        uint32_t index)
{
    struct name last = { name.stem, name.number - 1 };
    struct run run;

    if (name.number > 0 && run_find(store, batch->id, last, &run) == 0 &&
        run_goes_on(&run, name, index)) {
        run.count++;
    } else {
        run = (struct run){ .first = name, .index = index, .count = 1 };
    }
    run_put(store, batch->id, &run);
    if (batch->tail_limit != 0 && batch->tail.first.stem == name.stem) {
        batch->tail_limit = 0;
        batch_put(store, batch);
    }
}

void
name_restore(struct store *store, const struct draft *draft)
{
    struct buf id = { 0 };
    struct draft holder;
    struct batch batch;
    struct name name;
    struct run run;

    if (read_id(store, draft, &id) == 0 &&
        store_batch_get(store, draft->batch, &batch) == 0) {
        name = name_of(store, buf_slice(&id));
        if (name_find(store, &batch, buf_slice(&id), &name, &run, &holder) ==
            E_NOTFOUND) {
            add_row(store, &batch, name, draft->index);
        }
    }
    buf_fini(&id);
}
