/* SPDX-License-Identifier: MIT */
#include "tests/rot.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/delivery.h"
#include "store/filing.h"
#include "store/rows.h"
#include "tests/store_expect.h"

#define LATER_MS 86400000 /* nothing comes to that */
#define KEY_BYTE 5        /* of a key, in which one that dangles is another */

/* A stored file of two pieces, one that is half there, and a batch that was made
 * from the first. */
static void
furnish_files(struct play *play, uint64_t batch)
{
    size_t bytes = FILE_PIECE_BYTES + 100;
    char *content = mem_zalloc(bytes, 1);
    int64_t end_ms = play->now_ms + LATER_MS;
    struct file file = { .uuid = "first", .bytes = bytes, .end_ms = end_ms };
    struct file half = { .uuid = "half", .bytes = bytes, .end_ms = end_ms };
    struct filing filing = { .batch = batch, .phase = FILING_RUNNING };
    unsigned char digest[DIGEST_BYTES];

    snprintf(file.client, sizeof(file.client), "c");
    snprintf(file.key, sizeof(file.key), "up");
    snprintf(half.client, sizeof(half.client), "c");
    file.ttl_ms = LATER_MS;
    file.created_ms = play->now_ms;
    play_begin(play);
    store_file_add(play->store, &file);
    store_file_append(play->store, &file, (struct slice){ content, 10 });
    store_file_append(play->store, &file,
                      (struct slice){ content + 10, bytes - 10 });
    cr_assert_eq(store_file_digest(play->store, &file, digest), 0);
    store_file_close(play->store, &file, digest, play->now_ms);
    store_file_add(play->store, &half);
    store_file_append(play->store, &half,
                      (struct slice){ content, FILE_PIECE_BYTES + 1 });
    filing.input = file.id;
    store_filing_put(play->store, &filing);
    play_commit(play);
    free(content);
}

/* One that waits, one that was given, one that has ended. */
static void
add_deliveries(struct play *play)
{
    struct delivery delivery = { .webhook = "hook",
                                 .type = "batch.completed",
                                 .next_ms = play->now_ms,
                                 .due_ms = play->now_ms + 1000000,
                                 .body = slice_of("{}") };

    for (int i = 0; i < 3; i++)
        store_delivery_add(play->store, &delivery);
    delivery_move(&delivery, DELIVERY_GIVEN);
    store_delivery_put(play->store, &delivery);
    delivery.id--;
    delivery_move(&delivery, DELIVERY_DELIVERED);
    store_delivery_put(play->store, &delivery);
}

/* Lets a word's key be found as in an older store. */
static void
move_to_old(struct play *play, const char *word)
{
    uint64_t request = play_find(play, word);
    unsigned char key[DIGEST_BYTES];

    play_key(word, key);
    play_begin(play);
    keybook_set(play->store, key, 0);
    record_u64(table_fields(play->store), request);
    table_put(play->store, TABLE_KEY,
              key_bytes(key_start(), key, DIGEST_BYTES));
    play_commit(play);
}

void
rot_furnish(struct play *play)
{
    struct play_draft drafts[] = {
        { .id = "a", .word = "x" }, { .id = NULL },
        { .id = "b", .word = "y" }, { .id = "7", .word = "z" },
        { .id = "8", .word = "u" }, { .id = "c", .word = "v" }
    };
    uint64_t batch, open, ids[4], last;

    play_start(play, PLAY_MEMORY);
    batch = play_batch(play, "k1", "a b c d e f g");
    cr_assert_eq(play_claim(play, batch, ids, 4), 4);
    play_finish(play, ids[0], STATUS_OK, "the answer");
    play_answer_older(play, ids[0], 3);
    play_finish(play, ids[1], STATUS_SERVER_ERROR, "the essence");
    play_finish(play, ids[3], STATUS_OK, "another answer");
    play_answer_older(play, ids[3], 6);
    last = ids[2];
    batch = play_batch(play, "k2", "a b b c h i");
    cr_assert_eq(play_claim(play, batch, ids, 3), 3);
    play_delay(play, ids[0], play->now_ms + 1000);
    furnish_files(play, batch);
    play_make_older(play, batch);
    batch = play_batch(play, "k3", "p q");
    play_expire(play, batch);
    play_due(play, 10);
    /* So late that the results of two batches before it become segments. */
    play_finish(play, last, STATUS_SERVER_ERROR, "late");
    open = play_open(play, "k4");
    play_add(play, open, drafts, 6);
    play_begin(play);
    store_worker_put(play->store,
                     &(struct worker_row){ .host = slice_of("host") });
    store_upstream_put(play->store, &(struct upstream_row){ .name = "b" });
    add_deliveries(play);
    play_commit(play);
    move_to_old(play, "h");
    play_check(play);
}

/* Copies the nth row. False: there are fewer. */
static bool
copy_row(struct store *store, enum table table, uint64_t nth, struct buf *key,
         struct buf *value)
{
    struct engine *engine = store->engine;
    struct slice found, raw;

    buf_reset(key);
    do {
        if (engine->ops->seek(engine, table, buf_slice(key), &found, &raw) < 0)
            return false;
        buf_reset(key);
        buf_add_slice(key, found);
        buf_reset(value);
        buf_add_slice(value, raw);
        buf_add_char(key, '\0');
    } while (nth-- > 0);
    key->bytes--;
    return true;
}

/* Seals each slot of a span for the key that it has. */
static void
seal_slots(struct slice key, struct buf *row)
{
    for (uint32_t slot = 0; slot < span_slots(buf_slice(row)); slot++) {
        struct key at =
            key_draft(key_get_u64(key, 0), key_get_u32(key, 8) + slot);
        struct buf sealed = { 0 };

        buf_add(&sealed, row->data + slot * SPAN_SLOT_BYTES,
                SPAN_SLOT_BYTES - RECORD_SEAL_BYTES);
        record_seal(&sealed, TABLE_SPAN, key_slice(&at));
        memcpy(row->data + slot * SPAN_SLOT_BYTES, sealed.data, sealed.bytes);
        buf_fini(&sealed);
    }
}

/* Puts a row as it is under another key, with a seal that is right. */
static bool
dangle(struct store *store, enum table table, struct buf *key,
       struct buf *value)
{
    struct engine *engine = store->engine;

    if (key->bytes <= KEY_BYTE)
        return false;
    key->data[KEY_BYTE] ^= 0x40;
    if (engine->ops->get(engine, table, buf_slice(key), NULL) == 0)
        return false;
    if (table == TABLE_SPAN) {
        seal_slots(buf_slice(key), value);
    } else {
        value->bytes -= RECORD_SEAL_BYTES;
        record_seal(value, table, buf_slice(key));
    }
    return engine->ops->put(engine, table, buf_slice(key), buf_slice(value)) ==
           0;
}

static bool
damage(struct store *store, enum table table, struct buf *key,
       struct buf *value, enum rot how, size_t bit)
{
    struct engine *engine = store->engine;

    switch (how) {
    case ROT_DROP:
        return engine->ops->del(engine, table, buf_slice(key)) == 0;
    case ROT_FLIP:
        bit %= value->bytes * 8;
        value->data[bit / 8] ^= (char)(1 << bit % 8);
        return engine->ops->put(engine, table, buf_slice(key),
                                buf_slice(value)) == 0;
    default:
        return dangle(store, table, key, value);
    }
}

bool
rot_row(struct store *store, enum table table, uint64_t nth, enum rot how,
        size_t bit)
{
    struct buf key = { 0 }, value = { 0 };
    bool is_done = false;

    cr_assert_eq(store_begin(store, store_latest_ms(store), NULL), 0);
    if (copy_row(store, table, nth, &key, &value) &&
        damage(store, table, &key, &value, how, bit)) {
        is_done = true;
        store->is_dirty = true;
    }
    cr_assert_eq(store_commit(store, NULL), 0);
    buf_fini(&key);
    buf_fini(&value);
    return is_done;
}

size_t
rot_drafts(struct store *store)
{
    struct buf key = { 0 }, value = { 0 };
    size_t count = 0;

    while (rot_row(store, TABLE_DRAFT, count, ROT_FLIP, 9))
        count++;
    cr_assert_eq(store_begin(store, store_latest_ms(store), NULL), 0);
    for (uint64_t nth = 0; copy_row(store, TABLE_SPAN, nth, &key, &value);
         nth++) {
        for (size_t at = 0; at < value.bytes; at += SPAN_SLOT_BYTES) {
            if (number_get64((unsigned char *)value.data + at) == 0)
                continue; /* there is none */
            value.data[at + 9] ^= 1;
            count++;
        }
        cr_assert_eq(store->engine->ops->put(store->engine, TABLE_SPAN,
                                             buf_slice(&key),
                                             buf_slice(&value)),
                     0);
        store->is_dirty = true;
    }
    cr_assert_eq(store_commit(store, NULL), 0);
    buf_fini(&key);
    buf_fini(&value);
    return count;
}

/* What a row of the ready index says: where it begins is how it came to be.
 * False: it is damaged. */
static bool
digest_ready(struct digest *digest, struct slice key, struct slice value)
{
    struct series_row row = { .from = ready_from(key) };
    struct record record;

    if (record_open(&record, TABLE_READY, key, value) < 0 ||
        series_decode(&record, &row) < 0) {
        return false;
    }
    for (size_t i = 0; i < row.count; i++) {
        struct spot spot = row.list[i].first;

        for (uint32_t left = row.list[i].count; left > 0; left--) {
            struct key at = ready_key(ready_batch(key), &spot);

            digest_add(digest, at.bytes, at.count);
            spot.request++;
        }
    }
    return true;
}

void
rot_digest(struct store *store, enum table table,
           unsigned char out[DIGEST_BYTES])
{
    struct digest *digest = digest_new();
    struct buf key = { 0 }, value = { 0 };

    cr_assert_eq(store_begin(store, store_latest_ms(store), NULL), 0);
    for (uint64_t nth = 0; copy_row(store, table, nth, &key, &value); nth++) {
        if (table == TABLE_READY &&
            digest_ready(digest, buf_slice(&key), buf_slice(&value))) {
            continue;
        }
        digest_add(digest, key.data, key.bytes);
        digest_add(digest, value.data, value.bytes);
    }
    store_abort(store);
    digest_final(digest, out);
    digest_free(digest);
    buf_fini(&key);
    buf_fini(&value);
}
