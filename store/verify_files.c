/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "store/filing.h"
#include "store/verify_rows.h"

/* ---- files ---- */

/* Its pieces are there, of the right size, and have its digest. One that is
 * damaged is found by itself. */
static void
compare_pieces(struct check *check, const struct file *file)
{
    unsigned char chain[DIGEST_BYTES] = { 0 };
    uint32_t count = file_piece_count(file);
    bool is_whole = true;

    for (uint32_t i = 0; i < count; i++) {
        struct record piece;
        int rc = table_get(check->store, TABLE_PIECE, key_draft(file->id, i),
                           &piece);

        EXPECT(check, rc != E_NOTFOUND, "no piece %u", i);
        is_whole &= rc == 0;
        if (rc < 0)
            continue;
        EXPECT(check, piece.left == file_piece_bytes(file, i),
               "piece %u has %zu bytes", i, piece.left);
        if (file->state == FILE_STORED || piece.left == FILE_PIECE_BYTES) {
            file_chain(chain,
                       (struct slice){ (const char *)piece.at, piece.left });
        }
    }
    EXPECT(check, !is_whole || memcmp(chain, file->chain, sizeof(chain)) == 0,
           "its bytes have another digest");
    EXPECT(check, file->state == FILE_OPEN || file->received == file->bytes,
           "stored, with %llu of %llu bytes", (llu)file->received,
           (llu)file->bytes);
}

/* The file that an index leads to; 0: none. */
static uint64_t
led_to(struct check *check, enum table table, struct key key)
{
    struct record record;

    return table_get(check->store, table, key, &record) == 0
               ? record_get_u64(&record)
               : 0;
}

/* It is found by its UUID, and by its client and key, unless another is that has
 * the same. */
static void
compare_index(struct check *check, const struct file *file, enum table table,
              struct key row, const char *what)
{
    uint64_t id = led_to(check, table, row);
    struct file other;
    struct key its;

    if (id == file->id)
        return;
    if (id != 0 && store_file_get(check->store, id, &other) == 0) {
        its = table == TABLE_FILE_KEY
                  ? key_file_key(&other)
                  : key_bytes(key_start(), other.uuid, sizeof(other.uuid));
        if (its.count == row.count &&
            memcmp(its.bytes, row.bytes, row.count) == 0) {
            fault(check, "file %llu has its %s", (llu)id, what);
            return;
        }
    }
    if (stale(check, "not found by its %s", what)) {
        record_u64(table_fields(check->store), file->id);
        table_put(check->store, table, row);
    }
}

static void
compare_owned(struct check *check, const struct file *file)
{
    struct key row = key_owned(file->client, file->id);
    struct record record;

    if (MEND(check,
             table_get(check->store, TABLE_OWNED, row, &record) == 0 &&
                 record_get_u64(&record) == file->bytes,
             "not counted for its client")) {
        record_u64(table_fields(check->store), file->bytes);
        table_put(check->store, TABLE_OWNED, row);
    }
}

/* True if a batch that is making files makes this one. */
static bool
is_made(struct check *check, const struct file *file)
{
    struct filing filing;
    struct batch batch;
    int rc = store_batch_find(check->store, file->batch, &batch);

    if (rc == 0)
        rc = store_filing_get(check->store, batch.id, &filing);
    return rc == E_CORRUPT ||
           (rc == 0 && (filing.making[FILING_OUTPUT] == file->id ||
                        filing.making[FILING_ERROR] == file->id));
}

/* What ends a file some day. */
static void
compare_end(struct check *check, struct file *file)
{
    if (file->purpose == FILE_BATCH_OUTPUT && file->state == FILE_OPEN) {
        if (MEND(check, is_made(check, file), "open, and no batch makes it"))
            store_file_delete(check->store, file, check->store->now_ms);
        return;
    }
    if (MEND(check,
             file->end_ms == 0 ||
                 has_timer(check, file->end_ms, TIMER_FILE_END, file->id),
             "%s, and nothing ends it", file_state_name(file->state))) {
        store_timer_set(check->store, &(struct timer){ .due_ms = file->end_ms,
                                                       .kind = TIMER_FILE_END,
                                                       .id = file->id });
    }
}

void
verify_file(struct check *check, struct slice key, struct record *record)
{
    struct file file = { .id = key_get_u64(key, 0) };

    if (file_decode(record, &file) < 0) {
        fault(check, "damaged");
        return;
    }
    if (MEND(check, file.id <= check->store->ids.file,
             "above the last number given out")) {
        raise_number(check, &check->store->ids.file, file.id);
    }
    compare_index(check, &file, TABLE_FILE_UUID,
                  key_bytes(key_start(), file.uuid, sizeof(file.uuid)), "uuid");
    if (file.state == FILE_DELETED) {
        if (MEND(check, has_work(check, TIMER_FILE_DROP, file.id),
                 "deleted, and nothing removes what it has")) {
            set_work(check, TIMER_FILE_DROP, file.id);
        }
        return;
    }
    if (*file.key) {
        compare_index(check, &file, TABLE_FILE_KEY, key_file_key(&file),
                      "client and key");
    }
    compare_owned(check, &file);
    compare_pieces(check, &file);
    compare_end(check, &file);
}

/* The file that an index row names. */
static int
indexed(struct check *check, struct record *record, struct file *file)
{
    uint64_t id = record_get_u64(record);
    int rc = record_end(record);

    return rc < 0 ? E_NOTFOUND : store_file_get(check->store, id, file);
}

void
verify_file_uuid(struct check *check, struct slice key, struct record *record)
{
    struct file file = { 0 };
    int rc = indexed(check, record, &file);

    if (MEND(check,
             rc == E_CORRUPT ||
                 (rc == 0 && memcmp(file.uuid, key.data, FILE_UUID_BYTES) == 0),
             "file %llu has another, or is not there", (llu)file.id)) {
        drop_row(check);
    }
}

void
verify_file_key(struct check *check, struct slice key, struct record *record)
{
    struct file file = { 0 };
    int rc = indexed(check, record, &file);
    struct key want = rc == 0 ? key_file_key(&file) : key_start();

    if (MEND(check,
             rc == E_CORRUPT || (rc == 0 && file.state != FILE_DELETED &&
                                 slice_equal(key, key_slice(&want))),
             "file %llu has another, or is not there", (llu)file.id)) {
        drop_row(check);
    }
}

void
verify_owned(struct check *check, struct slice key, struct record *record)
{
    uint64_t id = key_get_u64(key, DIGEST_BYTES);
    struct file file;
    int rc = store_file_get(check->store, id, &file);
    struct key want = rc == 0 ? key_owned(file.client, id) : key_start();

    (void)record; /* what it counts is looked at with its file */
    if (MEND(check,
             rc == E_CORRUPT || (rc == 0 && file.state != FILE_DELETED &&
                                 slice_equal(key, key_slice(&want))),
             "file %llu is another's, or is not there", (llu)id)) {
        drop_row(check);
    }
}

void
verify_piece(struct check *check, struct slice key, struct record *record)
{
    struct file file;
    int rc = store_file_get(check->store, key_get_u64(key, 0), &file);

    (void)record; /* its bytes are looked at with its file */
    EXPECT(check, rc != E_NOTFOUND, "no file");
    EXPECT(check,
           rc < 0 || file.state == FILE_DELETED ||
               key_get_u32(key, 8) < file_piece_count(&file),
           "behind the end of its file");
}

/* ---- filings ---- */

/* What a batch's filing still has to do goes on. */
static void
compare_phase(struct check *check, const struct batch *batch,
              struct filing *filing)
{
    bool is_ended = batch->state == BATCH_FINISHED ||
                    batch->state == BATCH_CANCELLED ||
                    batch->state == BATCH_EXPIRED;

    EXPECT(check,
           (filing->phase == FILING_READING) == (batch->state == BATCH_OPEN),
           "%s, and its file is %s", batch_state_name(batch->state),
           filing->phase == FILING_READING ? "being read" : "read");
    if (MEND(check,
             filing->phase != FILING_READING ||
                 has_work(check, TIMER_FILE_READ, batch->id),
             "its file is to be read, and nothing goes on with that")) {
        set_work(check, TIMER_FILE_READ, batch->id);
    }
    if (MEND(check,
             !is_ended || filing->phase != FILING_RUNNING ||
                 has_work(check, TIMER_CANCEL, batch->id) ||
                 has_work(check, TIMER_EXPIRE, batch->id),
             "%s, and its files are not being made",
             batch_state_name(batch->state))) {
        filing_move(filing, FILING_MAKING);
        filing->made_ms = check->store->now_ms;
        filing->make_at = 0;
        store_filing_put(check->store, filing);
    }
    if (MEND(check,
             filing->phase != FILING_MAKING ||
                 has_work(check, TIMER_FILE_MAKE, batch->id),
             "its files are to be made, and nothing goes on with that")) {
        set_work(check, TIMER_FILE_MAKE, batch->id);
    }
}

void
verify_filing(struct check *check, struct slice key, struct record *record)
{
    struct filing filing = { .batch = key_get_u64(key, 0) };
    struct batch batch;
    int rc;

    if (filing_decode(record, &filing) < 0) {
        fault(check, "damaged");
        return;
    }
    rc = store_batch_get(check->store, filing.batch, &batch);
    EXPECT(check, rc != E_NOTFOUND, "no batch");
    if (rc == 0 && batch.state != BATCH_PURGED)
        compare_phase(check, &batch, &filing);
}
