/* SPDX-License-Identifier: MIT */
#include "submit/connection.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/clock.h"
#include "submit/command.h"
#include "submit/pages.h"
#include "submit/sheaf.h"
#include "tests/client_desk.h"

#define PAGES 4 /* of one line each */
#define GAP   1
#define BATCH "00112233-4455-6677-8899-aabbccddeeff"

static struct {
    struct client_desk desk;
    int64_t page_count, other_count; /* questions that came */
    int64_t after;                   /* of the last page's */
    bool has_gap;                    /* the page behind GAP is empty */
} asked;
static struct sheaf *sheaf;

static void
answer(struct client_desk *desk, const struct link_peer *peer,
       const struct wire *wire, int64_t re)
{
    struct err err = { 0 };
    struct buf head = { 0 }, lines = { 0 };
    bool is_gap = false;

    if (strcmp(wire_verb(wire), "results") == 0) {
        asked.page_count++;
        cr_assert_eq(
            wire_int(wire, "after", wire_range(0, PAGES), &asked.after, &err),
            0);
        is_gap = asked.has_gap && asked.after == GAP;
        buf_addf(
            &head,
            "{\"verb\":\"results\",\"re\":%lld,\"count\":%d,\"cursor\":%lld"
            ",\"more\":%s}",
            (long long)re, !is_gap, (long long)asked.after + 1,
            asked.after + 1 < PAGES ? "true" : "false");
        if (!is_gap)
            buf_addf(&lines, "line %lld\n", (long long)asked.after);
    } else {
        asked.other_count++;
        buf_addf(&head, "{\"verb\":\"status\",\"re\":%lld}", (long long)re);
    }
    client_desk_send(desk, peer, &head, &lines);
    buf_fini(&head);
    buf_fini(&lines);
}

/* Answers until so many pages were asked for. */
static void
serve_pages(int64_t count)
{
    int64_t end_ms = clock_mono_ms() + CLIENT_DESK_PATIENCE_MS;

    while (asked.page_count < count) {
        cr_assert_lt(clock_mono_ms(), end_ms, "page %lld was not asked for",
                     (long long)count);
        client_desk_await(&asked.desk);
    }
}

static void
set_up(void)
{
    asked.desk.answer = answer;
    sheaf = client_desk_open(&asked.desk);
}

static void
tear_down(void)
{
    sheaf_close(sheaf);
    client_desk_close(&asked.desk);
}

static void
expect_page(struct sheaf_query *query, int64_t number)
{
    struct sheaf_page page = { 0 };
    struct sheaf_error error = { 0 };
    struct buf want = { 0 };

    cr_assert_eq(sheaf_page(sheaf, query, &page, &error), 0, "%s",
                 error.message);
    buf_addf(&want, "line %lld\n", (long long)number);
    cr_expect(
        slice_equal((struct slice){ page.lines, page.bytes }, buf_slice(&want)),
        "got %.*s want %s", (int)page.bytes, page.lines, want.data);
    cr_expect_eq(query->cursor, number + 1);
    cr_expect_eq(page.has_more, number + 1 < PAGES);
    buf_fini(&want);
}

Test(connection, asks_for_the_next_page_while_one_is_used, .init = set_up,
     .fini = tear_down)
{
    struct sheaf_query query = { .verb = "results",
                                 .batch = BATCH,
                                 .asks_ahead = true };

    for (int64_t number = 0; number < PAGES; number++) {
        expect_page(&query, number);
        if (number + 1 < PAGES) {
            serve_pages(number + 2);
            cr_expect_eq(asked.after, number + 1);
        }
    }
    client_desk_serve(&asked.desk);
    cr_expect_eq(asked.page_count, PAGES, "got %lld questions",
                 (long long)asked.page_count);
}

Test(connection, asks_for_no_page_that_is_not_wanted, .init = set_up,
     .fini = tear_down)
{
    struct sheaf_query query = { .verb = "results", .batch = BATCH };

    for (int64_t number = 0; number < PAGES; number++) {
        expect_page(&query, number);
        client_desk_serve(&asked.desk);
        cr_expect_eq(asked.page_count, number + 1);
    }
}

/* Others' results may be all that a page has looked at. */
Test(connection, goes_on_behind_an_empty_page, .init = set_up,
     .fini = tear_down)
{
    for (int asks_ahead = 0; asks_ahead <= 1; asks_ahead++) {
        struct sheaf_query query = { .verb = "results",
                                     .batch = BATCH,
                                     .asks_ahead = asks_ahead };
        struct sheaf_page page = { 0 };
        struct sheaf_error error = { 0 };

        asked.has_gap = true;
        expect_page(&query, GAP - 1);
        cr_assert_eq(sheaf_page(sheaf, &query, &page, &error), 0, "%s",
                     error.message);
        cr_expect_eq(page.count, 0);
        cr_expect(page.has_more);
        cr_expect_eq(query.cursor, GAP + 1);
        expect_page(&query, GAP + 1);
    }
}

Test(connection, lines_of_pages_go_on_behind_an_empty_one, .init = set_up,
     .fini = tear_down)
{
    struct sheaf_query query = { .verb = "results", .batch = BATCH };
    struct pages pages;
    struct slice line;
    struct err err = { 0 };
    int count = 0;

    asked.has_gap = true;
    pages_init(&pages, sheaf, &query);
    while (pages_next(&pages, &line, &err) == 0)
        count++;
    cr_expect_eq(count, PAGES - 1);
    pages_fini(&pages);
}

/* The answer to what was asked ahead is lost then, and nobody waits for it. */
Test(connection, asks_again_for_a_page_after_another_question, .init = set_up,
     .fini = tear_down)
{
    struct sheaf_query query = { .verb = "results",
                                 .batch = BATCH,
                                 .asks_ahead = true },
                       elsewhere = { .verb = "results",
                                     .batch = BATCH,
                                     .cursor = 2 };
    int64_t start_ms = clock_mono_ms();

    expect_page(&query, 0);
    cr_assert_eq(
        sheaf_call(sheaf, "{\"verb\":\"status\"}", NULL, 0, NULL, NULL), 0);
    cr_expect_eq(asked.other_count, 1);
    expect_page(&query, 1);
    /* Nor is it taken for the answer to another place. */
    expect_page(&elsewhere, 2);
    expect_page(&query, 2);
    cr_expect_lt(clock_mono_ms() - start_ms, CLIENT_DESK_PATIENCE_MS);
}

/* A message that somebody else receives is not waited for either. */
Test(connection, notices_when_a_page_went_to_another, .init = set_up,
     .fini = tear_down)
{
    struct sheaf_query query = { .verb = "results",
                                 .batch = BATCH,
                                 .asks_ahead = true };
    int64_t start_ms = clock_mono_ms();
    struct wire wire;
    struct err err = { 0 };

    expect_page(&query, 0);
    serve_pages(2);
    cr_assert_eq(
        connection_wait(sheaf, CLIENT_DESK_PATIENCE_MS, 0, &wire, &err), 0);
    wire_fini(&wire);
    expect_page(&query, 1);
    cr_expect_lt(clock_mono_ms() - start_ms, CLIENT_DESK_PATIENCE_MS);
}

/* A header that is too long to be sent. */
static cJSON *
long_head(void)
{
    struct buf text = { 0 };
    cJSON *head = wire_new("status");

    for (int i = 0; i <= WIRE_HEADER_BYTES_MAX; i++)
        buf_add_char(&text, 'x');
    wire_add_str(head, "batch", text.data);
    buf_fini(&text);
    return head;
}

/* Whoever asked ends the answer, whether one came or not. */
Test(connection, an_answer_that_did_not_come_can_be_ended, .init = set_up,
     .fini = tear_down)
{
    const struct slice nothing = { NULL, 0 };
    struct command command = { .sheaf = sheaf, .has_broker = true };
    struct wire wires[3];
    struct err err = { 0 };

    memset(wires, 0xff, sizeof(wires));
    cr_expect_eq(
        connection_call(sheaf, long_head(), nothing, 0, &wires[0], &err),
        E_TOOBIG);
    cr_expect_neq(connection_wait(sheaf, 0, 0, &wires[1], &err), 0);
    cr_expect_lt(command_ask(&command, long_head(), nothing, &wires[2], &err),
                 0);
    for (size_t i = 0; i < 3; i++) {
        cr_expect_null(wires[i].text);
        wire_fini(&wires[i]);
    }
}
