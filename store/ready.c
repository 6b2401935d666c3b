/* SPDX-License-Identifier: MIT */
#include "store/ready.h"

#include <assert.h>

#include "store/rows.h"

#define BATCH_BYTES 8 /* places in a key */
#define GROUP_AT    16
#define REQUEST_AT  24

/* In its place: handed on from call to call, it takes five times as long. */
struct key
ready_key(uint64_t batch, const struct spot *from)
{
    struct key key;

    number_put(key.bytes, batch, 8);
    number_put(key.bytes + BATCH_BYTES, from->place.lead, 8);
    number_put(key.bytes + GROUP_AT, from->place.group, 8);
    number_put(key.bytes + REQUEST_AT, from->request, 8);
    key.count = REQUEST_AT + 8;
    return key;
}

/* The next key there can be. */
static struct key
key_behind(uint64_t batch, const struct spot *spot)
{
    return key_u8(ready_key(batch, spot), 0);
}

uint64_t
ready_batch(struct slice key)
{
    return key_get_u64(key, 0);
}

struct spot
ready_from(struct slice key)
{
    return (struct spot){ .place = { key_get_u64(key, BATCH_BYTES),
                                     key_get_u64(key, GROUP_AT) },
                          .request = key_get_u64(key, REQUEST_AT) };
}

static int
decode(struct slice key, struct record *record, struct series_row *row)
{
    row->from = ready_from(key);
    return series_decode(record, row);
}

static void
write_row(struct store *store, uint64_t batch, const struct series_row *row)
{
    series_encode(row, table_fields(store));
    table_put(store, TABLE_READY, ready_key(batch, &row->from));
}

/* ---- the row that is held ---- */

void
ready_catch_up(struct store *store)
{
    struct ready_hold *hold = &store->hold;
    uint64_t batch = hold->batch;

    hold->batch = 0;
    if (batch == 0 || !hold->is_changed)
        return;
    if (hold->row.count > 0)
        write_row(store, batch, &hold->row);
    else if (hold->is_stored)
        table_del(store, TABLE_READY, ready_key(batch, &hold->row.from));
}

/* Holds a row that begins at a spot, and has nothing yet. */
static void
begin(struct store *store, uint64_t batch, const struct spot *from)
{
    struct ready_hold *hold = &store->hold;

    ready_catch_up(store);
    hold->batch = batch;
    hold->row.from = hold->since = *from;
    hold->row.count = 0;
    hold->knows_end = hold->has_end = false;
    hold->is_stored = hold->is_changed = hold->is_blind = false;
}

/* Looks for where the next row begins, once. */
static int
learn_end(struct store *store)
{
    struct ready_hold *hold = &store->hold;
    struct slice found;
    int rc;

    if (hold->knows_end)
        return 0;
    rc =
        table_seek(store, TABLE_READY, key_behind(hold->batch, &hold->row.from),
                   BATCH_BYTES, &found, NULL);
    if (rc < 0 && rc != E_NOTFOUND)
        return rc;
    hold->knows_end = true;
    hold->has_end = rc == 0;
    if (rc == 0)
        hold->end = ready_from(found);
    return 0;
}

/* 1 if a spot is in the row that is held, or would be. */
static int
covers(struct store *store, uint64_t batch, const struct spot *spot)
{
    struct ready_hold *hold = &store->hold;
    struct spot last;
    int rc;

    if (hold->batch != batch || spot_compare(&hold->row.from, spot) > 0)
        return 0;
    if (hold->row.count > 0) {
        last = series_last(&hold->row);
        if (spot_compare(spot, &last) <= 0)
            return 1;
    }
    rc = learn_end(store);
    if (rc < 0)
        return rc;
    return !hold->has_end || spot_compare(spot, &hold->end) < 0;
}

/* Holds the last row of the batch that does not begin behind a place in the
 * order. If there is none, or it is damaged, one begins at the spot. */
static int
hold_before(struct store *store, uint64_t batch, const struct spot *spot,
            const struct spot *most)
{
    struct ready_hold *hold = &store->hold;
    struct slice found;
    struct record record;
    int rc;

    begin(store, batch, spot);
    rc = table_before(store, TABLE_READY, key_behind(batch, most), BATCH_BYTES,
                      &found, &record);
    if (rc == 0)
        rc = decode(found, &record, &hold->row);
    if (rc == 0) {
        hold->since = hold->row.from;
        hold->is_stored = true;
        return 0;
    }
    begin(store, batch, spot);
    hold->is_blind = rc == E_CORRUPT;
    if (rc == E_NOTFOUND || rc == E_CORRUPT)
        return 0;
    hold->batch = 0;
    return rc;
}

/* Holds the row in which a spot is, or would be. */
static int
hold_at(struct store *store, uint64_t batch, const struct spot *spot)
{
    int rc = covers(store, batch, spot);

    if (rc != 0)
        return rc < 0 ? rc : 0;
    return hold_before(store, batch, spot, spot);
}

/* The same for what comes. That is mostly behind all that is there: one look at
 * the last row tells where it belongs, and that no row is behind it. */
static int
hold_to_add(struct store *store, uint64_t batch, const struct spot *spot)
{
    static const struct spot last = { { UINT64_MAX, UINT64_MAX }, UINT64_MAX };
    struct ready_hold *hold = &store->hold;
    int rc = covers(store, batch, spot);

    if (rc != 0)
        return rc < 0 ? rc : 0;
    rc = hold_before(store, batch, spot, &last);
    if (rc < 0)
        return rc;
    if (hold->is_blind || spot_compare(&hold->row.from, spot) > 0)
        return hold_before(store, batch, spot, spot);
    hold->knows_end = true;
    return 0;
}

/* Holds the next row that is not damaged. E_NOTFOUND: the one that is held is
 * the last, and stays. */
static int
hold_next(struct store *store, const struct spot *since)
{
    struct ready_hold *hold = &store->hold;
    uint64_t batch = hold->batch;
    struct series_row row;
    struct record record;
    struct slice found;
    int rc;

    if (hold->knows_end && !hold->has_end)
        return E_NOTFOUND;
    row.from = hold->row.from;
    do {
        rc = table_seek(store, TABLE_READY, key_behind(batch, &row.from),
                        BATCH_BYTES, &found, &record);
        if (rc == 0)
            rc = decode(found, &record, &row);
        else if (rc == E_CORRUPT)
            row.from = ready_from(found);
        else if (rc == E_NOTFOUND)
            hold->knows_end |= spot_compare(&row.from, &hold->row.from) == 0;
    } while (rc == E_CORRUPT);
    if (rc < 0)
        return rc;
    begin(store, batch, &row.from);
    hold->row = row;
    hold->since = *since;
    hold->is_stored = true;
    return 0;
}

/* Holds the first row of a batch: what is leased is mostly there. */
static int
hold_first(struct store *store, uint64_t batch)
{
    static const struct spot first;

    begin(store, batch, &first);
    return hold_next(store, &first);
}

/* Halves a row that is full: the half in which a spot belongs is held. */
static void
halve(struct store *store, const struct spot *spot)
{
    struct ready_hold *hold = &store->hold;
    struct series_row behind;
    uint64_t batch = hold->batch;

    series_split(&hold->row, &behind);
    hold->is_changed = true;
    if (spot_compare(spot, &behind.from) < 0) {
        write_row(store, batch, &behind);
        hold->end = behind.from;
        hold->has_end = hold->knows_end = true;
        return;
    }
    begin(store, batch, &behind.from);
    hold->row = behind;
    hold->is_changed = true;
}

/* A row that is full, and grows at its end, stays full: another one begins. */
static void
make_room(struct store *store, const struct spot *spot)
{
    struct ready_hold *hold = &store->hold;
    struct spot last = series_last(&hold->row);

    if (spot_compare(spot, &last) <= 0)
        halve(store, spot);
    else
        begin(store, hold->batch, spot);
}

/* ---- what is done with it ---- */

void
ready_add(struct store *store, uint64_t batch, const struct spot *spot)
{
    struct ready_hold *hold = &store->hold;
    int rc;

    if (hold_to_add(store, batch, spot) < 0)
        return; /* the store has failed, and says so at the end */
    if (hold->row.count == 0 && !hold->is_stored)
        hold->row.from = *spot;
    rc = series_add(&hold->row, spot);
    if (rc == E_FULL) {
        make_room(store, spot);
        rc = series_add(&hold->row, spot);
    }
    assert(rc >= 0);
    if (rc == 0) {
        hold->is_changed = store->is_dirty = true;
        store->ready_count++;
    }
    if (store->ready)
        store->ready(store->ready_context, batch);
}

void
ready_cut(struct store *store, uint64_t batch, const struct spot *spot,
          uint32_t count)
{
    struct ready_hold *hold = &store->hold;
    int rc;

    /* Where it was found, it is removed, in whichever row it ought to be. */
    if ((hold->batch != batch || !series_has(&hold->row, spot)) &&
        hold_at(store, batch, spot) < 0) {
        return;
    }
    rc = series_cut(&hold->row, spot, count);
    if (rc == E_FULL) {
        halve(store, spot);
        rc = series_cut(&hold->row, spot, count);
    }
    assert(rc >= 0);
    if (rc == 0) {
        hold->is_changed = store->is_dirty = true;
        store->ready_count -= count;
    }
}

int
ready_seek(struct store *store, uint64_t batch, const struct spot *spot,
           struct spot *found)
{
    struct ready_hold *hold = &store->hold;
    bool is_near;
    int rc = 0;

    if (hold->batch != batch)
        rc = hold_first(store, batch);
    if (rc < 0)
        return rc;
    is_near = spot_compare(&hold->since, spot) <= 0;
    if (is_near && series_seek(&hold->row, spot, found))
        return 0;
    if (!is_near || spot_compare(&hold->row.from, spot) <= 0)
        rc = hold_at(store, batch, spot);
    while (rc == 0 && !series_seek(&hold->row, spot, found))
        rc = hold_next(store, spot);
    return rc;
}

int
ready_find(struct store *store, uint64_t batch, const struct spot *spot)
{
    int rc = hold_at(store, batch, spot);

    if (rc < 0 || series_has(&store->hold.row, spot))
        return rc;
    return store->hold.is_blind ? E_CORRUPT : E_NOTFOUND;
}

/* How many requests a row is taken to have: one that is damaged has none. */
static uint64_t
total_of(struct slice key, struct record *record)
{
    struct series_row row;

    return decode(key, record, &row) < 0 ? 0 : series_total(&row);
}

int
ready_count(struct store *store)
{
    struct key key = key_start();
    struct record record;
    struct slice found;
    uint64_t total = 0;
    int rc;

    ready_catch_up(store);
    for (;;) {
        rc = table_seek(store, TABLE_READY, key, 0, &found, &record);
        if (rc < 0 && rc != E_CORRUPT)
            break;
        if (rc == 0)
            total += total_of(found, &record);
        key = key_u8(key_bytes(key_start(), found.data, found.bytes), 0);
    }
    store->ready_count = store->ready_committed = total;
    return rc == E_NOTFOUND ? 0 : rc;
}

bool
ready_drop(struct store *store, uint64_t batch)
{
    size_t most = store_slice(store);
    struct record record;
    struct slice found;
    int rc;

    ready_catch_up(store);
    for (size_t i = 0; store->rc == 0; i++) {
        struct key key = key_start();

        rc = table_seek(store, TABLE_READY, key_id(batch), BATCH_BYTES, &found,
                        &record);
        if (rc < 0 && rc != E_CORRUPT)
            return false;
        if (i == most)
            return true;
        if (rc == 0)
            store->ready_count -= total_of(found, &record);
        key = key_bytes(key, found.data, found.bytes);
        table_del(store, TABLE_READY, key);
    }
    return false;
}

/* ---- by batch and place ---- */

int
store_ready_next(struct store *store, uint64_t batch, struct place *place)
{
    struct spot spot = { .place = *place }, found;
    int rc = ready_seek(store, batch, &spot, &found);

    if (rc == 0)
        *place = found.place;
    return rc;
}

int
store_ready_peek(struct store *store, uint64_t batch, struct place place,
                 struct request *request)
{
    struct spot spot = { .place = place };
    int rc = ready_seek(store, batch, &spot, &spot);

    if (rc < 0)
        return rc;
    if (spot.place.lead != place.lead || spot.place.group != place.group)
        return E_NOTFOUND;
    return store_request_get(store, spot.request, request);
}

size_t
store_ready_before(struct store *store, uint64_t batch,
                   const struct request *request, size_t max)
{
    struct spot end = { request->place, request->id };
    struct spot spot = { 0 }, found;
    size_t count = 0;

    for (; count < max; count++) {
        if (ready_seek(store, batch, &spot, &found) < 0 ||
            spot_compare(&found, &end) >= 0) {
            break;
        }
        spot = found;
        spot.request++;
    }
    return count;
}
