/* SPDX-License-Identifier: MIT */
#include "store/table.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/store_expect.h"

TestSuite(store_files, .timeout = 60);

static struct file
new_file(struct play *play, const char *client, const char *key, uint64_t bytes)
{
    struct file file = { .bytes = bytes,
                         .created_ms = play->now_ms,
                         .end_ms = play->now_ms + 1000000 };

    (void)snprintf((char *)file.uuid, sizeof(file.uuid), "%s %s", client, key);
    (void)snprintf(file.client, sizeof(file.client), "%s", client);
    (void)snprintf(file.key, sizeof(file.key), "%s", key);
    store_file_add(play->store, &file);
    return file;
}

static char *
make_content(size_t bytes)
{
    char *content = mem_zalloc(bytes + 1, 1);

    for (size_t i = 0; i < bytes; i++)
        content[i] = (char)('a' + i * 7 % 23);
    return content;
}

/* Stores content in parts of a size; the digest. */
static void
store_in_parts(struct play *play, struct file *file, struct slice content,
               size_t part, unsigned char digest[DIGEST_BYTES])
{
    while (content.bytes > 0) {
        size_t bytes = content.bytes < part ? content.bytes : part;

        store_file_append(play->store, file,
                          (struct slice){ content.data, bytes });
        content.data += bytes;
        content.bytes -= bytes;
    }
    cr_assert_eq(store_file_digest(play->store, file, digest), 0);
    store_file_close(play->store, file, digest, play->now_ms);
}

Test(store_files, are_the_same_however_their_bytes_come)
{
    static const size_t parts[] = { 777, FILE_PIECE_BYTES, 100000, 1 << 20 };
    size_t bytes = FILE_PIECE_BYTES * 3 + 5;
    char *content = make_content(bytes);
    unsigned char digests[4][DIGEST_BYTES];
    struct play play;

    play_start(&play, PLAY_MEMORY);
    for (size_t i = 0; i < 4; i++) {
        char key[8];
        struct file file;
        struct buf got = { 0 };
        struct slice piece;

        (void)snprintf(key, sizeof(key), "%zu", i);
        play_begin(&play);
        file = new_file(&play, "c", key, bytes);
        store_in_parts(&play, &file, (struct slice){ content, bytes }, parts[i],
                       digests[i]);
        play_commit(&play);
        play_begin(&play);
        cr_assert_eq(store_file_get(play.store, file.id, &file), 0);
        cr_expect_eq(file.state, FILE_STORED);
        while (store_file_read(play.store, &file, got.bytes, &piece) == 0)
            buf_add_slice(&got, piece);
        cr_expect_eq(got.bytes, bytes);
        cr_expect_eq(memcmp(got.data, content, bytes), 0);
        cr_expect_eq(memcmp(digests[i], digests[0], DIGEST_BYTES), 0);
        store_abort(play.store);
        buf_fini(&got);
    }
    play_check(&play);
    free(content);
    play_end(&play);
}

Test(store_files, are_listed_for_their_client_alone_in_the_order_they_came)
{
    struct file file = { 0 }, others;
    uint64_t ids[4], count, bytes;
    struct play play;

    play_start(&play, PLAY_MEMORY);
    play_begin(&play);
    ids[0] = new_file(&play, "a", "1", 10).id;
    ids[1] = new_file(&play, "b", "1", 20).id;
    ids[2] = new_file(&play, "a", "2", 30).id;
    ids[3] = new_file(&play, "a", "3", 40).id;
    play_commit(&play);
    play_begin(&play);
    cr_expect_eq(store_file_owned(play.store, "a", 0, false, &file), 0);
    cr_expect_eq(file.id, ids[0]);
    cr_expect_eq(store_file_owned(play.store, "a", ids[0], false, &file), 0);
    cr_expect_eq(file.id, ids[2]);
    cr_expect_eq(store_file_owned(play.store, "a", UINT64_MAX, true, &file), 0);
    cr_expect_eq(file.id, ids[3]);
    cr_expect_eq(store_file_owned(play.store, "a", ids[0], true, &file),
                 E_NOTFOUND);
    store_file_usage(play.store, "a", &count, &bytes);
    cr_expect_eq(count, 3);
    cr_expect_eq(bytes, 80);
    cr_assert_eq(store_file_get(play.store, ids[1], &others), 0);
    store_file_delete(play.store, &others, play.now_ms);
    store_file_usage(play.store, "b", &count, &bytes);
    cr_expect_eq(count, 0);
    store_abort(play.store);
    play_end(&play);
}

Test(store_files, leave_nothing_behind_when_they_are_deleted)
{
    unsigned char before[DIGEST_BYTES];
    uint64_t rows = 0;
    size_t bytes = FILE_PIECE_BYTES * 300;
    char *content = make_content(bytes);
    unsigned char digest[DIGEST_BYTES];
    struct file file, found;
    struct play play;
    int slices = 1;

    play_start(&play, PLAY_MEMORY);
    play_begin(&play);
    file = new_file(&play, "c", "k", bytes);
    store_in_parts(&play, &file, (struct slice){ content, bytes }, 1 << 20,
                   digest);
    play_commit(&play);
    play_begin(&play);
    store_file_delete(play.store, &file, play.now_ms);
    store_client_key(slice_of("c"), slice_of("k"), before);
    cr_expect_eq(store_file_find_key(play.store, before, &found), E_NOTFOUND);
    play_commit(&play);
    play_check(&play);
    play_begin(&play);
    while (store_file_drop(play.store, &file)) {
        play_commit(&play);
        play_check(&play);
        play_begin(&play);
        slices++;
    }
    store_timer_drop(play.store, &(struct timer){ .due_ms = play.now_ms,
                                                  .kind = TIMER_FILE_DROP,
                                                  .id = file.id });
    play_commit(&play);
    cr_expect_gt(slices, 1, "300 pieces went in one slice");
    play_check(&play);
    play_begin(&play);
    for (enum table table = TABLE_FILE; table < TABLE_COUNT; table++)
        rows += play.store->engine->ops->rows(play.store->engine, table);
    cr_expect_eq(rows, 0);
    store_abort(play.store);
    free(content);
    play_end(&play);
}
