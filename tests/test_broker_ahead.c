/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "store/chunk_rows.h"
#include "store/table.h"
#include "tests/broker_file.h"
#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

TestSuite(broker_ahead, .timeout = 30);

#define LINES_MAX 6

static struct bench bench;
static char uuid[BENCH_UUID_BYTES];

static void
set_up(void)
{
    bench_init(&bench, BENCH_STORE_MAX);
    bench.conf.chunk_drafts_max = LINES_MAX;
    bench.reads_ahead = true;
    bench_start(&bench);
}

static void
tear_down(void)
{
    bench_fini(&bench);
}

/* Adds what an answer says, but for what is another one each time. */
static void
add_answer(struct buf *out, const cJSON *head)
{
    cJSON *copy = cJSON_Duplicate(head, true);
    char *text;

    cJSON_DeleteItemFromObject(copy, "re");
    cJSON_DeleteItemFromObject(copy, "batch");
    text = cJSON_PrintUnformatted(copy);
    buf_addf(out, "%s\n", text);
    cJSON_free(text);
    cJSON_Delete(copy);
}

/* Posts chunks of all kinds before one turn; what was answered. */
static void
submit(bool reads_ahead, struct buf *out)
{
    static const struct {
        int n;
        const char *lines;
    } chunks[] = {
        { 1, "{'id':'a','text':'x'}\n\n{'id':'b','text':'x'}\n{'id':'c'}\n" },
        { 2,
          "nonsense\n{'id':'a','text':'y'}\n{'id':'d','text':'z'}\n"
          "{'id':'d','text':'w'}\n{'id':'e','text':'v','upstream':'two'}\n" },
        { 3, "1\n2\n3\n4\n5\n6\n7\n" },
        { 4, "{'id':'f','text':'x'}\n" },
        { 1, "{'id':'a','text':'x'}\n\n{'id':'b','text':'x'}\n{'id':'c'}\n" },
        { 2, "{'id':'g','text':'x'}\n" },
        { 3, "\n\n\n" },
        { 4, "{'id':'f','text':'x','metadata':{'n':1}}\n" },
    };
    int64_t re[sizeof(chunks) / sizeof(chunks[0])];
    size_t count = sizeof(chunks) / sizeof(chunks[0]);

    set_up();
    bench.reads_ahead = reads_ahead;
    bench_open(&bench, "k", "{'goal':'Summarize'}", "", uuid);
    for (size_t i = 0; i < count; i++)
        re[i] = bench_chunk_later(&bench, uuid, chunks[i].n, chunks[i].lines);
    bench_run(&bench);
    cr_assert_eq(bench.gathered_count, reads_ahead ? count : 0);
    for (size_t i = 0; i < count; i++)
        add_answer(out, bench_answer(&bench, re[i])->head);
    add_answer(out,
               bench_ask(&bench, NULL, "'verb':'refusals','batch':'%s'", uuid));
    buf_add_slice(out, bench_body(&bench));
    add_answer(out, bench_seal(&bench, uuid, 4, 13));
    add_answer(out, bench_ask(&bench, NULL, "'verb':'stats'"));
    tear_down();
}

Test(broker_ahead, makes_no_difference_to_what_is_answered)
{
    struct buf with = { 0 }, without = { 0 };

    submit(true, &with);
    submit(false, &without);
    cr_expect_str_eq(with.data, without.data);
    cr_expect_not_null(strstr(with.data, "\"accepted\":2"));
    cr_expect_not_null(strstr(with.data, "duplicate_id"));
    cr_expect_not_null(strstr(with.data, "\"code\":\"too_big\""));
    cr_expect_not_null(strstr(with.data, "\"code\":\"gap\""));
    cr_expect_not_null(strstr(with.data, "\"code\":\"conflict\""));
    buf_fini(&with);
    buf_fini(&without);
}

Test(broker_ahead, what_a_batch_came_to_meanwhile_counts, .init = set_up,
     .fini = tear_down)
{
    int64_t abort, chunk;

    bench_open(&bench, "k", NULL, "", uuid);
    abort = bench_ask_later(&bench, NULL, "'verb':'abort','batch':'%s'", uuid);
    chunk = bench_chunk_later(&bench, uuid, 1, "{'id':'a','text':'x'}\n");
    cr_assert_eq(bench.gathered_count, 1);
    bench_run(&bench);
    cr_expect_str_eq(at_str(bench_answer(&bench, abort)->head, "verb"),
                     "aborted");
    cr_expect_str_eq(at_str(bench_answer(&bench, chunk)->head, "code"),
                     "conflict");
}

/* The first try has used up what was read. */
Test(broker_ahead, a_transaction_that_fails_reads_its_chunks_again,
     .init = set_up, .fini = tear_down)
{
    int64_t first, second;
    cJSON *results;

    hand_new(&bench, 6);
    bench_open(&bench, "k", NULL, "", uuid);
    first = bench_chunk_later(&bench, uuid, 1, "{'id':'a','text':'x'}\n7\n");
    second = bench_chunk_later(&bench, uuid, 2, "{'id':'b','text':'y'}\n");
    cr_assert_eq(bench.gathered_count, 2);
    bench.fails = true;
    bench_run(&bench);
    cr_expect_eq(at_int(bench_answer(&bench, first)->head, "accepted"), 1);
    cr_expect_eq(at_int(bench_answer(&bench, first)->head, "refused.0.line"),
                 2);
    cr_expect_eq(at_int(bench_answer(&bench, second)->head, "accepted"), 1);
    bench_seal(&bench, uuid, 2, 3);
    bench_advance(&bench, bench.conf.group_window_ms);
    bench_work(&bench);
    results = bench_results(&bench, uuid, 0);
    cr_expect_eq(at_int(result_of(results, "a"), "index"), 0);
    cr_expect_eq(at_int(result_of(results, "b"), "index"), 2);
    cJSON_Delete(results);
}

Test(broker_ahead, drafts_of_batches_that_take_turns_have_their_own_options,
     .init = set_up, .fini = tear_down)
{
    char other[BENCH_UUID_BYTES], lines[64];
    size_t first = 0;

    bench_open(&bench, "k", "{'goal':'First'}", "", uuid);
    bench_open(&bench, "l", "{'goal':'Second'}", "", other);
    for (int n = 1; n <= 3; n++) {
        (void)snprintf(lines, sizeof(lines), "{'id':'%d','text':'x%d'}\n", n,
                       n);
        bench_chunk_later(&bench, uuid, n, lines);
        bench_chunk_later(&bench, other, n, lines);
    }
    bench_run(&bench);
    cr_assert_eq(bench.gathered_count, 6);
    bench_seal(&bench, uuid, 3, 3);
    bench_seal(&bench, other, 3, 3);
    hand_new(&bench, 6);
    bench_advance(&bench, bench.conf.group_window_ms);
    bench_work(&bench);
    cr_assert_eq(bench.call_count, 6);
    for (size_t i = 0; i < bench.call_count; i++)
        first += strstr(bench.calls[i], "Goal: First") != NULL;
    cr_expect_eq(first, 3);
}

/* How many rows of `part` there are, and how many of them are packed. */
static uint64_t
count_parts(uint64_t *packed)
{
    struct record record;
    struct slice found;
    uint64_t count = 0;

    *packed = 0;
    cr_assert_eq(store_begin(bench.store, bench.now_ms, NULL), 0);
    while (table_seek(bench.store, TABLE_PART, key_id(count + 1), 0, &found,
                      &record) == 0) {
        struct part_head head;

        part_decode_head(&record, &head);
        *packed += head.is_packed;
        count++;
    }
    store_abort(bench.store);
    return count;
}

/* Drafts of text, with what each is to be recognised by at its end. */
static void
submit_text(bool reads_ahead)
{
    enum { CHUNKS = 3, LINES = 60 };
    struct buf lines = { 0 };
    uint64_t packed;

    bench_init(&bench, BENCH_STORE_MAX);
    bench.reads_ahead = reads_ahead;
    bench.conf.group_chars_max = 1000000;
    bench_start(&bench);
    bench_open(&bench, "k", "{'goal':'Summarize'}", "", uuid);
    for (int n = 0; n < CHUNKS; n++) {
        buf_reset(&lines);
        for (int i = 0; i < LINES; i++) {
            buf_addf(&lines,
                     "{'id':'%d','text':'what is said in one of them is said "
                     "in most of the others, and at much the same length: "
                     "<%d>'}\n",
                     n * LINES + i, n * LINES + i);
        }
        bench_chunk_later(&bench, uuid, n + 1, lines.data);
    }
    bench_run(&bench);
    cr_assert_eq(bench.gathered_count, reads_ahead ? CHUNKS : 0);
    cr_expect_eq(count_parts(&packed), CHUNKS);
    cr_expect_eq(packed, CHUNKS);
    bench_verify(&bench);
    bench_seal(&bench, uuid, CHUNKS, (int)CHUNKS * LINES);
    hand_new(&bench, 8);
    bench_advance(&bench, bench.conf.group_window_ms);
    bench_work(&bench);
    cr_assert_eq(bench.call_count, CHUNKS * LINES);
    for (int i = 0; i < CHUNKS * LINES; i++) {
        char want[16];
        int count = 0;

        snprintf(want, sizeof(want), "<%d>", i);
        for (size_t k = 0; k < bench.call_count; k++)
            count += strstr(bench.calls[k], want) != NULL;
        cr_expect_eq(count, 1, "%s", want);
    }
    bench_verify(&bench);
    buf_fini(&lines);
    tear_down();
}

Test(broker_ahead, lines_of_text_are_packed_and_calls_made_of_them)
{
    submit_text(true);
}

Test(broker_ahead, lines_that_are_read_in_their_turn_are_packed_too)
{
    submit_text(false);
}

Test(broker_ahead, only_chunks_that_may_be_taken_are_read, .init = set_up,
     .fini = tear_down)
{
    char large[200];

    bench.conf.chunk_bytes_max = 100;
    memset(large, 'x', sizeof(large));
    large[sizeof(large) - 1] = '\0';
    bench_open(&bench, "k", NULL, "", uuid);
    bench_chunk_later(&bench, uuid, 1, large);
    bench_chunk_later(&bench, "00000000-0000-4000-8000-000000000000", 1, "\n");
    bench_chunk_later(&bench, uuid, 1, "\n");
    cr_expect_eq(bench.gathered_count, 1);
    bench_run(&bench);
    bench_chunk_later(&bench, uuid, 1, "\n");
    cr_expect_eq(bench.gathered_count, 1, "it is stored already");
    bench_chunk(&bench, uuid, 2, "{'id':'a','text':'x'}\n");
    cr_expect_eq(bench.gathered_count, 2);
    bench_seal(&bench, uuid, 2, 2);
    bench_chunk(&bench, uuid, 3, "{'id':'b','text':'x'}\n");
    cr_expect_eq(bench.gathered_count, 2, "the batch is sealed");
}
