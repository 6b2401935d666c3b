/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "submit/sheaf.h"
#include "tests/client_desk.h"

#define LINE_BYTES 1000
#define CHUNKS_MAX 64
#define BATCH      "00112233-4455-6677-8899-aabbccddeeff"

/* What came. Nothing of it is answered before all has come that the client has
 * sent. */
static struct {
    struct client_desk desk;
    int64_t window_bytes, chunk_bytes_max;
    struct link_peer peer;
    size_t count, answered;
    struct chunk {
        size_t bytes, lines;
        int64_t re;
    } chunks[CHUNKS_MAX];
    size_t waiting, most; /* bytes that wait, and the most that did */
    bool has_sealed;      /* the answer to that was lost, and it is empty */
} took;
static struct sheaf *sheaf;

static void
answer_head(struct client_desk *desk, const struct link_peer *peer,
            const char *verb, int64_t re, const char *more)
{
    struct buf head = { 0 };

    buf_addf(&head, "{\"verb\":\"%s\",\"re\":%lld%s}", verb, (long long)re,
             more);
    client_desk_send(desk, peer, &head, &(struct buf){ 0 });
    buf_fini(&head);
}

static size_t
lines_of(struct slice body)
{
    size_t count = 0;

    for (size_t i = 0; i < body.bytes; i++)
        count += body.data[i] == '\n';
    return count;
}

static void
note_chunk(const struct wire *wire, int64_t re)
{
    cr_assert_lt(took.count, CHUNKS_MAX);
    took.chunks[took.count++] = (struct chunk){ .bytes = wire->body.bytes,
                                                .lines = lines_of(wire->body),
                                                .re = re };
    took.waiting += wire->body.bytes;
    if (took.most < took.waiting)
        took.most = took.waiting;
}

static void
answer_chunks(struct client_desk *desk)
{
    while (took.answered < took.count) {
        const struct chunk *chunk = &took.chunks[took.answered++];
        struct buf more = { 0 };

        buf_addf(&more, ",\"accepted\":%zu,\"window_bytes\":%lld", chunk->lines,
                 (long long)took.window_bytes);
        answer_head(desk, &took.peer, "stored", chunk->re, more.data);
        took.waiting -= chunk->bytes;
        buf_fini(&more);
    }
}

static void
answer(struct client_desk *desk, const struct link_peer *peer,
       const struct wire *wire, int64_t re)
{
    struct buf more = { 0 };

    if (strcmp(wire_verb(wire), "hello") == 0) {
        buf_addf(&more,
                 ",\"limits\":{\"chunk_bytes_max\":%lld,"
                 "\"chunk_drafts_max\":1000,\"line_bytes_max\":100000}",
                 (long long)took.chunk_bytes_max);
        answer_head(desk, peer, "welcome", re, more.data);
    } else if (strcmp(wire_verb(wire), "open") == 0) {
        buf_addf(&more,
                 ",\"batch\":\"" BATCH "\",\"state\":\"open\",\"next_chunk\":1,"
                 "\"drafts\":0,\"window_bytes\":%lld",
                 (long long)took.window_bytes);
        answer_head(desk, peer, "opened", re, more.data);
    } else if (strcmp(wire_verb(wire), "chunk") == 0) {
        took.peer = *peer;
        note_chunk(wire, re);
    } else if (took.has_sealed) {
        answer_head(desk, peer, "error", re,
                    ",\"code\":\"not_found\",\"message\":\"none\"");
    } else {
        answer_head(desk, peer, "sealed", re, ",\"state\":\"queued\"");
    }
    buf_fini(&more);
}

static struct sheaf_upload *
open_upload(int64_t window_bytes, int64_t chunk_bytes_max)
{
    struct sheaf_submission submission = { .key = "k", .client = "c" };
    struct sheaf_error error = { 0 };
    struct sheaf_upload *upload;

    memset(&took, 0, sizeof(took));
    took.desk.answer = answer;
    took.desk.drained = answer_chunks;
    took.window_bytes = window_bytes;
    took.chunk_bytes_max = chunk_bytes_max;
    sheaf = client_desk_open(&took.desk);
    upload = sheaf_upload_open(sheaf, &submission, NULL, NULL, &error);
    cr_assert_not_null(upload, "%s", error.message);
    return upload;
}

static void
close_upload(struct sheaf_upload *upload)
{
    sheaf_upload_free(upload);
    sheaf_close(sheaf);
    client_desk_close(&took.desk);
}

/* Uploads as much as fills three windows, and closes everything. */
static void
upload_with(int64_t window_bytes, int64_t chunk_bytes_max)
{
    struct sheaf_upload *upload = open_upload(window_bytes, chunk_bytes_max);
    struct sheaf_error error = { 0 };
    char line[LINE_BYTES];
    int64_t count = 3 * window_bytes / LINE_BYTES;

    memset(line, 'x', sizeof(line));
    for (int64_t i = 0; i < count; i++) {
        cr_assert_eq(
            sheaf_upload_add(upload, line, sizeof(line), (uint64_t)i, &error),
            0, "%s", error.message);
    }
    cr_assert_eq(sheaf_upload_seal(upload, &error), 0, "%s", error.message);
    cr_expect_eq(sheaf_upload_tally(upload).accepted, count);
    close_upload(upload);
}

/* A chunk is as long as its limit permits, but for a line. */
static void
expect_chunks(size_t bytes_max)
{
    for (size_t i = 0; i < took.count; i++) {
        const struct chunk *chunk = &took.chunks[i];

        cr_expect_leq(chunk->bytes, bytes_max);
        if (i + 1 < took.count)
            cr_expect_gt(chunk->bytes, bytes_max - LINE_BYTES - 1);
    }
}

Test(upload, sends_a_fourth_of_its_window_in_a_chunk)
{
    upload_with(360000, 1 << 20);
    expect_chunks(90000);
    cr_expect_leq(took.most, 360000U);
    cr_expect_geq(took.count, 12U);
}

Test(upload, sends_no_chunk_beyond_128_kib_however_wide_the_window)
{
    upload_with(1 << 20, 1 << 20);
    expect_chunks(131072);
    cr_expect_leq(took.most, 1U << 20);
}

/* What is of less use than its answer costs is not sent by itself. */
Test(upload, sends_no_chunk_below_64_kib_while_there_are_lines)
{
    upload_with(100000, 1 << 20);
    expect_chunks(65536);
    cr_expect_leq(took.most, 100000U, "%zu bytes on their way", took.most);
}

Test(upload, keeps_to_the_brokers_limit_of_a_chunk)
{
    upload_with(100000, 10000);
    expect_chunks(10000);
    cr_expect_leq(took.most, 100000U);
}

/* The seal has removed it, and the answer to that was lost. */
Test(upload, takes_a_batch_without_drafts_that_is_gone_for_an_empty_one)
{
    struct sheaf_upload *upload = open_upload(100000, 100000);
    struct sheaf_error error = { 0 };

    took.has_sealed = true;
    cr_expect_eq(sheaf_upload_seal(upload, &error), 0, "%s", error.message);
    cr_expect_str_eq(sheaf_upload_state(upload), "empty");
    close_upload(upload);
}

Test(upload, tells_that_a_batch_with_drafts_is_gone)
{
    struct sheaf_upload *upload = open_upload(100000, 100000);
    struct sheaf_error error = { 0 };

    cr_assert_eq(sheaf_upload_add(upload, "{}", 2, 0, &error), 0);
    took.has_sealed = true;
    cr_expect_eq(sheaf_upload_seal(upload, &error), E_NOTFOUND);
    close_upload(upload);
}
