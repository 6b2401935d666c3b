/* SPDX-License-Identifier: MIT */
#include "store/span.h"

#include <assert.h>

#include "store/rows.h"

#define BATCH_BYTES 8 /* of a key, before the index */

static uint32_t
first_of(uint32_t index)
{
    return index - index % SPAN_SLOTS;
}

uint32_t
span_slots(struct slice row)
{
    size_t slots = (row.bytes + SPAN_SLOT_BYTES - 1) / SPAN_SLOT_BYTES;

    return slots < SPAN_SLOTS ? (uint32_t)slots : SPAN_SLOTS;
}

/* ---- slots ---- */

/* Begins to read a slot, of a row or of what is held. No draft has request 0,
 * its first field: that is an index at which there is none. */
static int
open_slot(struct record *record, uint64_t batch, uint32_t index,
          struct slice row)
{
    struct key key = key_draft(batch, index);
    size_t at = (size_t)(index % SPAN_SLOTS) * SPAN_SLOT_BYTES;
    int rc;

    if (at >= row.bytes)
        return E_NOTFOUND;
    if (row.bytes - at < SPAN_SLOT_BYTES)
        return E_CORRUPT;
    rc = record_open(record, TABLE_SPAN, key_slice(&key),
                     (struct slice){ row.data + at, SPAN_SLOT_BYTES });
    return rc == 0 && number_get64(record->at) == 0 ? E_NOTFOUND : rc;
}

static struct slice
held(const struct span_hold *hold)
{
    return (struct slice){ (const char *)hold->slots,
                           (size_t)hold->count * SPAN_SLOT_BYTES };
}

/* True if there is a draft at an index of what is held, damaged or not: one
 * that has a request needs no further look. */
static bool
is_taken(const struct span_hold *hold, uint32_t index)
{
    const unsigned char *slot =
        hold->slots + (size_t)(index - hold->first) * SPAN_SLOT_BYTES;
    struct record record;

    if (index - hold->first >= hold->count)
        return false;
    return number_get64(slot) != 0 ||
           open_slot(&record, hold->batch, index, held(hold)) != E_NOTFOUND;
}

/* Seals what is in table_fields() into a slot of what is held. */
static void
fill(struct store *store, uint32_t index)
{
    struct span_hold *hold = &store->span;
    struct key key = key_draft(hold->batch, index);

    record_seal(&store->fields, TABLE_SPAN, key_slice(&key));
    assert(store->fields.bytes == SPAN_SLOT_BYTES);
    memcpy(hold->slots + (size_t)(index - hold->first) * SPAN_SLOT_BYTES,
           store->fields.data, SPAN_SLOT_BYTES);
    hold->is_changed = store->is_dirty = true;
}

/* The same for an index at which there is no draft. */
static void
fill_empty(struct store *store, uint32_t index)
{
    size_t bytes = SPAN_SLOT_BYTES - RECORD_SEAL_BYTES;
    struct buf *out = table_fields(store);

    memset(buf_reserve(out, bytes), 0, bytes);
    buf_commit(out, bytes);
    fill(store, index);
}

/* ---- the span that is held ---- */

void
span_catch_up(struct store *store)
{
    struct span_hold *hold = &store->span;
    struct key key = key_draft(hold->batch, hold->first);

    if (hold->batch != 0 && hold->is_changed) {
        if (hold->count > 0)
            table_put_raw(store, TABLE_SPAN, key, held(hold));
        else if (hold->is_stored)
            table_del(store, TABLE_SPAN, key);
    }
    hold->batch = 0;
    hold->is_changed = false;
}

static bool
is_held(const struct span_hold *hold, uint64_t batch, uint32_t first)
{
    return hold->batch == batch && hold->first == first;
}

/* Holds a row as it is stored. Of a damaged one that is too long, what is
 * behind the last slot is nobody's; what is cut short stays damaged. */
static void
take(struct span_hold *hold, uint64_t batch, uint32_t first, struct slice row)
{
    assert(!hold->is_changed);
    hold->batch = batch;
    hold->first = first;
    hold->is_stored = row.bytes > 0;
    if (row.bytes > sizeof(hold->slots))
        row.bytes = sizeof(hold->slots);
    hold->count = span_slots(row);
    memset(hold->slots + row.bytes, 0,
           (size_t)hold->count * SPAN_SLOT_BYTES - row.bytes);
    if (row.bytes > 0)
        memcpy(hold->slots, row.data, row.bytes);
}

/* Holds the span of an index, to be changed. */
static int
hold_of(struct store *store, uint64_t batch, uint32_t index)
{
    struct span_hold *hold = &store->span;
    uint32_t first = first_of(index);
    struct slice row = { NULL, 0 };
    int rc;

    if (is_held(hold, batch, first))
        return 0;
    span_catch_up(store);
    rc = table_get_raw(store, TABLE_SPAN, key_draft(batch, first), &row);
    if (rc < 0 && rc != E_NOTFOUND)
        return rc;
    take(hold, batch, first, row);
    return 0;
}

/* ---- what is done with it ---- */

int
span_get(struct store *store, uint64_t batch, uint32_t index,
         struct record *record)
{
    struct span_hold *hold = &store->span;
    uint32_t first = first_of(index);
    struct slice row;
    int rc;

    if (!is_held(hold, batch, first)) {
        rc = table_get_raw(store, TABLE_SPAN, key_draft(batch, first), &row);
        if (rc < 0)
            return rc;
        if (hold->is_changed)
            return open_slot(record, batch, index, row);
        take(hold, batch, first, row);
    }
    return open_slot(record, batch, index, held(hold));
}

/* The first row of a batch at or behind a key. Where there is none, it begins
 * behind all that there can be. */
static int
seek_stored(struct store *store, struct key key, uint32_t *first,
            struct slice *row)
{
    struct slice found;
    int rc = table_seek_raw(store, TABLE_SPAN, key, BATCH_BYTES, &found, row);

    *first = rc == 0 ? key_get_u32(found, BATCH_BYTES) : UINT32_MAX;
    return rc;
}

/* The first span of a batch at or behind an index, and its row: as it is
 * stored, or as it is held. */
static int
seek(struct store *store, uint64_t batch, uint32_t index, uint32_t *first,
     struct slice *row)
{
    const struct span_hold *hold = &store->span;
    struct key key = key_draft(batch, index);
    int rc = seek_stored(store, key, first, row);

    if ((rc < 0 && rc != E_NOTFOUND) || !hold->is_changed ||
        hold->batch != batch || hold->first < index || *first < hold->first) {
        return rc;
    }
    if (hold->count > 0) {
        *first = hold->first;
        *row = held(hold);
        return 0;
    }
    if (*first > hold->first)
        return rc;
    /* It has no draft any more: what is behind it. */
    key = key_u8(key_draft(batch, hold->first), 0);
    return seek_stored(store, key, first, row);
}

int
span_next(struct store *store, uint64_t batch, uint32_t *index,
          struct record *record)
{
    uint64_t at = *index;
    uint32_t first;
    struct slice row;
    int rc;

    while (at <= UINT32_MAX) {
        rc = seek(store, batch, first_of((uint32_t)at), &first, &row);
        if (rc < 0)
            return rc;
        if (at < first)
            at = first;
        for (; at - first < span_slots(row) && at <= UINT32_MAX; at++) {
            rc = open_slot(record, batch, (uint32_t)at, row);
            if (rc == E_NOTFOUND)
                continue;
            *index = (uint32_t)at;
            return rc;
        }
        at = (uint64_t)first + SPAN_SLOTS;
    }
    return E_NOTFOUND;
}

void
span_put(struct store *store, const struct draft *draft)
{
    struct span_hold *hold = &store->span;
    uint32_t slot = draft->index % SPAN_SLOTS;

    assert(draft->batch > 0);
    assert(draft->request > 0);
    if (hold_of(store, draft->batch, draft->index) < 0)
        return; /* the store has failed, and says so at the end */
    if (!is_taken(hold, draft->index))
        store->ids.drafts++;
    for (; hold->count < slot; hold->count++)
        fill_empty(store, hold->first + hold->count);
    draft_encode(draft, table_fields(store));
    fill(store, draft->index);
    if (hold->count == slot)
        hold->count++;
}

/* Of what was counted, some may have been lost with its row. */
static void
uncount(struct store *store)
{
    if (store->ids.drafts > 0)
        store->ids.drafts--;
}

void
span_del(struct store *store, uint64_t batch, uint32_t index)
{
    struct span_hold *hold = &store->span;

    if (hold_of(store, batch, index) < 0 || !is_taken(hold, index))
        return;
    uncount(store);
    fill_empty(store, index);
    while (hold->count > 0 && !is_taken(hold, hold->first + hold->count - 1))
        hold->count--;
}

bool
span_drop(struct store *store, uint64_t batch)
{
    size_t most = store_slice(store);
    struct record record;
    struct slice row;
    uint32_t first;

    span_catch_up(store);
    for (size_t i = 0; store->rc == 0; i++) {
        if (seek_stored(store, key_draft(batch, 0), &first, &row) < 0)
            return false;
        if (i == most)
            return true;
        for (uint32_t slot = 0; slot < span_slots(row); slot++) {
            if (open_slot(&record, batch, first + slot, row) != E_NOTFOUND)
                uncount(store);
        }
        table_del(store, TABLE_SPAN, key_draft(batch, first));
    }
    return false;
}
