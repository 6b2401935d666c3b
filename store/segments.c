/* SPDX-License-Identifier: MIT */
#include "store/segment.h"

#include <assert.h>

#include "store/rows.h"

#define BATCH_BYTES 8 /* of a key, before the first number */

void
segment_encode(const struct segment *segment, struct buf *out)
{
    record_u64(out, segment->last);
}

int
segment_decode(struct record *record, struct segment *segment)
{
    bool is_old = record->left == sizeof(uint32_t);

    segment->last = is_old ? segment->first : record_get_u64(record);
    if (record_end(record) < 0 || segment->last < segment->first)
        return E_CORRUPT;
    return 0;
}

static struct key
segment_key(uint64_t batch, uint64_t first)
{
    return key_u64(key_id(batch), first);
}

void
segment_put(struct store *store, uint64_t batch, const struct segment *segment)
{
    assert(segment->first > 0 && segment->first <= segment->last);
    segment_encode(segment, table_fields(store));
    table_put(store, TABLE_DONE, segment_key(batch, segment->first));
}

static void
segment_del(struct store *store, uint64_t batch, const struct segment *segment)
{
    table_del(store, TABLE_DONE, segment_key(batch, segment->first));
}

/* The segment in a batch's record; if it has none, it ends before it begins. */
static struct segment
newest_of(const struct batch *batch)
{
    return (struct segment){
        .first =
            batch->segment_first ? batch->segment_first : batch->last_seq + 1,
        .last = batch->last_seq,
    };
}

/* The row that table_seek() or table_before() finds from a number on; its first
 * number is set also if it is damaged. */
static int
find_row(struct store *store, uint64_t batch, uint64_t from,
         int (*look)(struct store *, enum table, struct key, size_t,
                     struct slice *, struct record *),
         struct segment *segment)
{
    struct slice found = { 0 };
    struct record record;
    int rc = look(store, TABLE_DONE, segment_key(batch, from), BATCH_BYTES,
                  &found, &record);

    if (rc < 0 && rc != E_CORRUPT)
        return rc;
    *segment = (struct segment){ .first = key_get_u64(found, BATCH_BYTES) };
    return rc < 0 ? rc : segment_decode(&record, segment);
}

int
segment_row(struct store *store, uint64_t batch, uint64_t from,
            struct segment *segment)
{
    return find_row(store, batch, from, table_seek, segment);
}

/* The last row that begins before a number. */
static int
row_before(struct store *store, uint64_t batch, uint64_t from,
           struct segment *segment)
{
    return find_row(store, batch, from, table_before, segment);
}

/* Where one that is damaged ends at the latest: before the next row, or before
 * `end`, where no row is any more. */
static int
bound(struct store *store, uint64_t batch, uint64_t end,
      struct segment *segment)
{
    struct segment next;
    int rc = segment_row(store, batch, segment->first + 1, &next);

    if (rc == 0 || rc == E_CORRUPT)
        end = next.first;
    else if (rc != E_NOTFOUND)
        return rc;
    segment->last = end - 1;
    return 0;
}

/* The first row that has numbers behind `seq`. */
static int
row_after(struct store *store, uint64_t batch, uint64_t seq, uint64_t end,
          struct segment *segment)
{
    int rc = row_before(store, batch, seq + 1, segment);

    if (rc == E_CORRUPT)
        rc = bound(store, batch, end, segment);
    if (rc != E_NOTFOUND && (rc < 0 || segment->last > seq))
        return rc;
    rc = segment_row(store, batch, seq + 1, segment);
    return rc == E_CORRUPT ? bound(store, batch, end, segment) : rc;
}

int
segment_after(struct store *store, uint64_t id, uint64_t seq,
              struct segment *segment)
{
    struct segment newest = { .first = UINT64_MAX, .last = UINT64_MAX };
    struct batch batch;
    bool is_known;
    int rc = store_batch_get(store, id, &batch);

    if (rc < 0 && rc != E_CORRUPT)
        return rc;
    is_known = rc == 0;
    if (is_known)
        newest = newest_of(&batch);
    if (seq >= newest.last)
        return E_NOTFOUND;
    rc = seq + 1 < newest.first
             ? row_after(store, id, seq, newest.first, segment)
             : E_NOTFOUND;
    if (rc != E_NOTFOUND)
        return rc;
    *segment = newest;
    if (!is_known)
        segment->first = seq + 1;
    return segment->first <= segment->last ? 0 : E_NOTFOUND;
}

void
segment_grow(struct store *store, struct batch *batch, uint64_t seq)
{
    struct segment newest = newest_of(batch);
    bool is_there = batch->segment_first != 0;

    assert(seq > batch->last_seq);
    batch->last_seq = seq;
    if (is_there && seq - newest.last <= store->done_gap)
        return;
    if (is_there)
        segment_put(store, batch->id, &newest);
    batch->segment_first = seq;
}

void
segment_forget(struct store *store, struct batch *batch, uint64_t seq)
{
    struct segment segment = { .first = seq };
    struct record record;

    if (batch->segment_first == seq && batch->last_seq == seq) {
        batch->segment_first = 0;
    } else if (table_get(store, TABLE_DONE, segment_key(batch->id, seq),
                         &record) == 0 &&
               segment_decode(&record, &segment) == 0 && segment.last == seq) {
        segment_del(store, batch->id, &segment);
    }
}

void
segment_restore(struct store *store, uint64_t id, uint64_t seq)
{
    struct segment whole = { seq, seq }, near;
    struct batch batch;
    int rc;

    if (store_batch_get(store, id, &batch) < 0)
        return;
    if (seq > batch.last_seq) {
        segment_grow(store, &batch, seq);
        batch_put(store, &batch);
        return;
    }
    if (row_before(store, id, seq, &near) == 0 &&
        seq - near.last <= store->done_gap) {
        segment_del(store, id, &near);
        whole.first = near.first;
    }
    rc = segment_row(store, id, seq + 1, &near);
    if (rc == 0 && near.first - seq <= store->done_gap) {
        segment_del(store, id, &near);
        whole.last = near.last;
    } else if (rc == E_NOTFOUND && batch.segment_first != 0 &&
               batch.segment_first - seq <= store->done_gap) {
        batch.segment_first = whole.first;
        batch_put(store, &batch);
        return;
    }
    segment_put(store, id, &whole);
}
