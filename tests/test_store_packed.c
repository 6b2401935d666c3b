/* Parts that are packed: their lines are there, wherever they are read. */
/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "store/chunk_rows.h"
#include "store/rows.h"
#include "store/verify.h"
#include "tests/rot.h"
#include "tests/store_expect.h"

#define LINES 400

/* A draft's word: long enough for a chunk of a few parts. */
#define WORD                                                          \
    "%c says little about draft %d, and that little in many words, "  \
    "as it is there to be packed, which it is worth, as it is long, " \
    "and of one kind with all the others, of which there are some"
#define WORD_BYTES 256

/* Adds a chunk of so many lines; `kind` tells it from others. */
static void
add_lines(struct play *play, uint64_t batch, char kind)
{
    static struct play_draft drafts[LINES];
    static char ids[LINES][16], words[LINES][WORD_BYTES];

    for (int i = 0; i < LINES; i++) {
        snprintf(ids[i], sizeof(ids[i]), "%c%d", kind, i);
        snprintf(words[i], sizeof(words[i]), WORD, kind, i);
        drafts[i] = (struct play_draft){ .id = ids[i], .word = words[i] };
    }
    play_add(play, batch, drafts, LINES);
}

static void
write_line(char *line, size_t size, char kind, int i)
{
    char word[WORD_BYTES];

    snprintf(word, sizeof(word), WORD, kind, i);
    snprintf(line, size, "{\"id\":\"%c%d\",\"word\":\"%s\"}\n", kind, i, word);
}

/* The line of draft i of a chunk that begins at `first`. */
static int
read_line(struct play *play, uint64_t batch, char kind, uint32_t first, int i)
{
    char want[2 * WORD_BYTES];
    struct draft draft;
    struct slice line;
    int rc;

    cr_assert_eq(
        store_draft_get(play->store, batch, first + (uint32_t)i, &draft), 0);
    rc = store_draft_line(play->store, &draft, &line);
    write_line(want, sizeof(want), kind, i);
    cr_expect(rc < 0 || slice_is(line, want), "draft %c%d", kind, i);
    return rc;
}

static void
expect_lines(struct play *play, uint64_t batch, char kind, uint32_t first)
{
    play_begin(play);
    for (int i = 0; i < LINES; i++)
        cr_expect_eq(read_line(play, batch, kind, first, i), 0);
    store_abort(play->store);
}

/* How many rows of `part` are packed; their bytes, all together. */
static uint64_t
count_packed(struct play *play, size_t *bytes)
{
    struct key key = key_id(0);
    struct record record;
    struct slice found;
    uint64_t count = 0;

    *bytes = 0;
    play_begin(play);
    while (table_seek(play->store, TABLE_PART, key, 0, &found, &record) == 0) {
        struct part_head head;

        part_decode_head(&record, &head);
        count += head.is_packed;
        *bytes += record.left;
        key = key_id(key_get_u64(found, 0) + 1);
    }
    store_abort(play->store);
    return count;
}

CLAIM(packed_lines_are_read_as_they_came)
{
    uint64_t batch = play_open(play, "k"), other = play_open(play, "l");
    struct chunk chunk;
    size_t bytes;

    add_lines(play, batch, 'a');
    add_lines(play, other, 'b');
    add_lines(play, batch, 'c');
    play_reopen(play);
    cr_expect_eq(count_packed(play, &bytes), play_rows(play, TABLE_PART));
    cr_expect_lt(bytes, 3 * LINES * WORD_BYTES / 3);
    expect_lines(play, batch, 'a', 0);
    expect_lines(play, other, 'b', 0);
    expect_lines(play, batch, 'c', LINES);
    play_begin(play);
    cr_assert_eq(store_chunk_get(play->store, batch, 2, &chunk), 0);
    cr_assert_gt(chunk.part_count, 1);
    for (uint32_t n = 1; n <= LINES; n++) {
        char want[2 * WORD_BYTES];
        struct slice line;

        write_line(want, sizeof(want), 'c', (int)n - 1);
        want[strlen(want) - 1] = '\0'; /* its newline */
        cr_assert_eq(store_chunk_line(play->store, batch, &chunk, n, &line), 0);
        cr_expect(slice_is(line, want), "line %u", n);
    }
    store_abort(play->store);
}

/* With more batches in turns than there are parts kept open. */
CLAIM(packed_lines_are_read_in_turns)
{
    enum { BATCHES = OPENED_MAX + 4 };
    uint64_t ids[BATCHES];

    for (int i = 0; i < BATCHES; i++) {
        char key[8];

        snprintf(key, sizeof(key), "%d", i);
        ids[i] = play_open(play, key);
        add_lines(play, ids[i], (char)('a' + i));
    }
    play_begin(play);
    for (int n = 0; n < LINES; n += 7) {
        for (int i = 0; i < BATCHES; i++)
            cr_expect_eq(read_line(play, ids[i], (char)('a' + i), 0, n), 0);
    }
    store_abort(play->store);
}

/* Its number stands for another part, when it is given out again. */
CLAIM(part_of_a_transaction_that_failed_is_forgotten)
{
    static char lines[2][8192];
    uint64_t batch = play_open(play, "k");
    struct packer *packer = packer_new();
    struct parts parts = { 0 };
    struct parts_trial trial = { 0 };
    struct slice found;

    memset(lines[0], 'a', sizeof(lines[0]));
    memset(lines[1], 'b', sizeof(lines[1]));
    for (int i = 0; i < 2; i++) {
        struct slice body = { lines[i], sizeof(lines[i]) };
        struct chunk chunk = { .n = 1 };

        play_begin(play);
        parts_cut(&parts, body, packer, &trial);
        store_body_put(play->store, batch, &chunk, &parts, NULL, 0);
        cr_expect_eq(chunk.part_first, 1);
        cr_assert_eq(part_get(play->store, batch, 1, 1, &found), 0);
        cr_expect(slice_equal(found, body));
        store_abort(play->store);
    }
    parts_fini(&parts);
    packer_free(packer);
}

/* What is damaged in it is told, and its lines are gone; those of the other parts
 * are there, and all of it can be removed. */
Test(store_packed, damage_takes_the_lines_of_one_part, .timeout = 60)
{
    struct buf report = { 0 };
    struct verify verify = { .report = &report };
    struct play play;
    uint64_t batch;
    int lost = 0;

    play_start(&play, PLAY_MEMORY);
    batch = play_open(&play, "k");
    add_lines(&play, batch, 'a');
    cr_assert(rot_row(play.store, TABLE_PART, 1, ROT_FLIP, 999));
    play_begin(&play);
    for (int i = 0; i < LINES; i++) {
        int rc = read_line(&play, batch, 'a', 0, i);

        cr_expect(rc == 0 || rc == E_CORRUPT);
        lost += rc == E_CORRUPT;
    }
    cr_expect_gt(lost, LINES / 10);
    cr_expect_lt(lost, LINES / 2);
    cr_assert_eq(store_verify(play.store, &verify, NULL), 0);
    cr_expect_not_null(strstr(report.data, "part 2: its checksum fails"), "%s",
                       report.data);
    cr_expect_eq(verify.findings, (uint64_t)lost + 1, "%s", report.data);
    store_abort(play.store);
    play_abort(&play, batch, true);
    play_due(&play, 10);
    cr_expect_eq(play_rows(&play, TABLE_PART), 0);
    buf_fini(&report);
    play_end(&play);
}

/* The seal is right, and what is sealed is no frame: a fault of a program. */
Test(store_packed, part_that_cannot_be_unpacked_is_damaged, .timeout = 60)
{
    struct buf report = { 0 };
    struct verify verify = { .report = &report };
    struct key key = key_id(1);
    struct record record;
    struct play play;
    struct buf cut = { 0 };
    uint64_t batch;

    play_start(&play, PLAY_MEMORY);
    batch = play_open(&play, "k");
    add_lines(&play, batch, 'a');
    play_begin(&play);
    cr_assert_eq(table_get(play.store, TABLE_PART, key, &record), 0);
    record_bytes(&cut, record.at, record.left - 100);
    buf_add_slice(table_fields(play.store), buf_slice(&cut));
    table_put(play.store, TABLE_PART, key);
    play_commit(&play);
    play_begin(&play);
    cr_expect_eq(read_line(&play, batch, 'a', 0, 0), E_CORRUPT);
    cr_expect_eq(read_line(&play, batch, 'a', 0, LINES - 1), 0);
    cr_assert_eq(store_verify(play.store, &verify, NULL), 0);
    cr_expect_not_null(strstr(report.data, "part 1: damaged"), "%s",
                       report.data);
    store_abort(play.store);
    play_abort(&play, batch, true);
    play_due(&play, 10);
    buf_fini(&cut);
    buf_fini(&report);
    play_end(&play);
}

/* Where its chunk does not say which parts it has, these do, packed or not. */
CLAIM(removal_finds_packed_parts_of_a_damaged_chunk)
{
    uint64_t batch = play_open(play, "k"), other = play_open(play, "l");
    uint64_t parts;

    add_lines(play, other, 'b');
    parts = play_rows(play, TABLE_PART);
    add_lines(play, batch, 'a');
    cr_expect_eq(play_rows(play, TABLE_PART), 2 * parts);
    cr_assert(rot_row(play->store, TABLE_NEWEST, 0, ROT_FLIP, 99));
    play_abort(play, batch, true);
    play_due(play, 10);
    cr_expect_eq(play_rows(play, TABLE_PART), parts);
    expect_lines(play, other, 'b', 0);
}
