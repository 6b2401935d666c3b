/* SPDX-License-Identifier: MIT */
#include "submit/connection.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "submit/pages.h"
#include "submit/sheaf.h"

#define PATIENCE_MS 20000
#define PAGES       4 /* of one line each */
#define GAP         1
#define BATCH       "00112233-4455-6677-8899-aabbccddeeff"

/* A broker within the test: it answers when the client waits, by its idle
 * function, or when the test tells it to. */
struct desk {
    struct link_context *context;
    struct link *link;
    struct buf head, body;
    int64_t page_count, other_count; /* questions that came */
    int64_t after;                   /* of the last page's */
    bool has_gap;                    /* the page behind GAP is empty */
};

static struct desk desk;
static struct sheaf *sheaf;

static void
answer(const struct link_peer *peer)
{
    struct wire wire;
    struct err err = { 0 };
    struct buf head = { 0 }, lines = { 0 };
    int64_t re = 0;
    bool is_gap = false;

    cr_assert_eq(
        wire_parse(&wire, buf_slice(&desk.head), buf_slice(&desk.body), &err),
        0);
    cr_assert_eq(wire_int(&wire, "re", wire_range(0, 1000), &re, &err), 0);
    if (strcmp(wire_verb(&wire), "results") == 0) {
        desk.page_count++;
        cr_assert_eq(
            wire_int(&wire, "after", wire_range(0, PAGES), &desk.after, &err),
            0);
        is_gap = desk.has_gap && desk.after == GAP;
        buf_addf(
            &head,
            "{\"verb\":\"results\",\"re\":%lld,\"count\":%d,\"cursor\":%lld"
            ",\"more\":%s}",
            (long long)re, !is_gap, (long long)desk.after + 1,
            desk.after + 1 < PAGES ? "true" : "false");
        if (!is_gap)
            buf_addf(&lines, "line %lld\n", (long long)desk.after);
    } else {
        desk.other_count++;
        buf_addf(&head, "{\"verb\":\"status\",\"re\":%lld}", (long long)re);
    }
    cr_assert_eq(
        link_send(desk.link, peer, buf_slice(&head), buf_slice(&lines)), 0);
    wire_fini(&wire);
    buf_fini(&head);
    buf_fini(&lines);
}

static int
serve(void *arg)
{
    struct link_peer peer;

    (void)arg;
    while (link_recv(desk.link, &peer, &desk.head, &desk.body) == 0)
        answer(&peer);
    return 0;
}

/* Answers until so many pages were asked for. */
static void
serve_pages(int64_t count)
{
    int64_t end_ms = clock_mono_ms() + PATIENCE_MS;

    while (desk.page_count < count) {
        struct pollfd fd = { .fd = link_fd(desk.link), .events = POLLIN };

        cr_assert_lt(clock_mono_ms(), end_ms, "page %lld was not asked for",
                     (long long)count);
        serve(NULL);
        (void)poll(&fd, 1, 10);
    }
}

static void
set_up(void)
{
    struct link_limits limits = { .frame_bytes_max = 1 << 20,
                                  .queue_max = 100 };
    struct buf endpoint = { 0 };
    struct sheaf_settings settings = { .idle = serve,
                                       .connect_ms = PATIENCE_MS };
    struct err err = { 0 };

    desk.context = link_context_new();
    desk.link = link_bind(desk.context, "tcp://127.0.0.1:*", limits, &err);
    cr_assert_not_null(desk.link, "%s", err.msg);
    link_endpoint(desk.link, &endpoint);
    settings.endpoint = endpoint.data;
    sheaf = sheaf_connect(&settings, NULL);
    cr_assert_not_null(sheaf);
    buf_fini(&endpoint);
}

static void
tear_down(void)
{
    sheaf_close(sheaf);
    link_close(desk.link, 0);
    link_context_free(desk.context);
    buf_fini(&desk.head);
    buf_fini(&desk.body);
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
            cr_expect_eq(desk.after, number + 1);
        }
    }
    serve(NULL);
    cr_expect_eq(desk.page_count, PAGES, "got %lld questions",
                 (long long)desk.page_count);
}

Test(connection, asks_for_no_page_that_is_not_wanted, .init = set_up,
     .fini = tear_down)
{
    struct sheaf_query query = { .verb = "results", .batch = BATCH };

    for (int64_t number = 0; number < PAGES; number++) {
        expect_page(&query, number);
        serve(NULL);
        cr_expect_eq(desk.page_count, number + 1);
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

        desk.has_gap = true;
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

    desk.has_gap = true;
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
    cr_expect_eq(desk.other_count, 1);
    expect_page(&query, 1);
    /* Nor is it taken for the answer to another place. */
    expect_page(&elsewhere, 2);
    expect_page(&query, 2);
    cr_expect_lt(clock_mono_ms() - start_ms, PATIENCE_MS);
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
    cr_assert_eq(connection_wait(sheaf, PATIENCE_MS, 0, &wire, &err), 0);
    wire_fini(&wire);
    expect_page(&query, 1);
    cr_expect_lt(clock_mono_ms() - start_ms, PATIENCE_MS);
}
