/* SPDX-License-Identifier: MIT */
#include "submit/http_exchange.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/mem.h"
#include "submit/http_gateway.h"

static struct gateway gateway;
static struct exchange *exchange;
static int gone_count, closed_count, woken_count;

static void
set_up(void)
{
    exchange = http_exchange_new(&gateway);
}

static void
tear_down(void)
{
    http_exchange_free(exchange);
}

static void
gone(void *arg)
{
    cr_expect_eq(arg, &gone_count);
    gone_count++;
}

static void
wake(struct exchange *woken)
{
    cr_expect_eq(woken, exchange);
    woken_count++;
}

static const char *
field(const char *name)
{
    for (size_t i = 0; i < exchange->field_count; i++) {
        if (strcmp(exchange->fields[i].name, name) == 0)
            return exchange->fields[i].value;
    }
    return NULL;
}

Test(http_exchange, tells_a_handler_once_that_the_client_is_gone,
     .init = set_up)
{
    http_on_gone(&exchange->request, gone, &gone_count);
    http_exchange_lose(exchange);
    http_exchange_lose(exchange);
    cr_expect_eq(gone_count, 1);
    http_exchange_free(exchange);
    cr_expect_eq(gone_count, 1);
}

Test(http_exchange, a_reply_is_the_last_word, .init = set_up)
{
    http_on_gone(&exchange->request, gone, &gone_count);
    http_reply(&exchange->request, 200, HTTP_TEXT, slice_of("x"));
    http_exchange_free(exchange);
    cr_expect_eq(gone_count, 0);
    cr_expect_eq(gateway.replies[2], 1);
}

Test(http_exchange, an_error_says_whether_a_repeat_helps, .init = set_up,
     .fini = tear_down)
{
    struct http_error error;

    http_error_set(&error, 503, "busy", "not now: \"%s\"", "x");
    http_error_param(&error, slice_of("model"));
    http_reply_error(&exchange->request, &error);
    cr_expect_str_eq(field("x-should-retry"), "true");
    cr_expect_str_eq(field("Retry-After"), "2");
    cr_expect_null(field("WWW-Authenticate"));
    cr_expect_str_eq(exchange->body.data,
                     "{\"error\":{\"message\":\"not now: \\\"x\\\"\",\"type\":"
                     "\"server_error\",\"param\":\"model\",\"code\":\"busy\"}}"
                     "\n");
}

Test(http_exchange, every_error_of_the_broker_has_a_status)
{
    static const struct {
        int code, status;
        bool is_worth_retry;
    } rows[] = {
        { E_INVALID, 400, false },    { E_NOTFOUND, 404, false },
        { E_CONFLICT, 409, false },   { E_TOOBIG, 413, false },
        { E_FULL, 503, true },        { E_DRAINING, 503, true },
        { E_UNREACHABLE, 503, true }, { E_TIMEOUT, 503, true },
        { E_IO, 503, true },          { E_CORRUPT, 500, false },
        { E_PROTOCOL, 500, false },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err err = { .code = rows[i].code };
        struct http_error error;

        cr_expect_eq(http_error_of(&error, &err), rows[i].status);
        cr_expect_eq(error.is_worth_retry, rows[i].is_worth_retry, "%s",
                     err_name(rows[i].code));
        cr_expect_str_eq(error.message, err_text(rows[i].code));
    }
}

/* A client of this API has given no options, but members beside the others. */
Test(http_exchange, what_the_broker_says_of_a_member_names_it)
{
    static const struct {
        const char *told, *message, *param;
    } rows[] = {
        { "endpoint: must be x", "endpoint: must be x", "endpoint" },
        { "options: goal: must be a string", "goal: must be a string", "goal" },
        { "options: byte 3: expected a value", "byte 3: expected a value", "" },
        { "no word: of a member", "no word: of a member", "" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err err = { 0 };
        struct http_error error;

        (void)err_set(&err, E_INVALID, "%s", rows[i].told);
        cr_expect_eq(http_error_of(&error, &err), 400);
        cr_expect_str_eq(error.message, rows[i].message);
        cr_expect_str_eq(error.param, rows[i].param);
        (void)err_set(&err, E_IO, "%s", rows[i].told);
        (void)http_error_of(&error, &err);
        cr_expect_str_eq(error.message, rows[i].told);
        cr_expect_str_eq(error.param, "");
    }
}

Test(http_exchange, gathers_a_body_up_to_its_limit, .init = set_up,
     .fini = tear_down)
{
    static const struct http_route route = { .body_bytes_max = 5 };

    exchange->request.route = &route;
    cr_expect_eq(http_exchange_take(exchange, slice_of("abc")), 3);
    cr_expect_eq(http_exchange_take(exchange, slice_of("de")), 2);
    cr_expect_eq(gateway.body_bytes, 5);
    cr_expect_not(exchange->is_replied);
    cr_expect_eq(http_exchange_take(exchange, slice_of("f")), 0);
    cr_expect(exchange->is_replied);
    cr_expect_eq(exchange->status, 413);
}

Test(http_exchange, holds_no_more_than_fits_into_memory, .init = set_up,
     .fini = tear_down)
{
    static const struct http_route route = { .body_bytes_max = 5 };

    exchange->request.route = &route;
    gateway.body_bytes = HTTP_BODIES_BYTES_MAX - 1;
    cr_expect_eq(http_exchange_take(exchange, slice_of("a")), 1);
    cr_expect_eq(http_exchange_take(exchange, slice_of("b")), 0);
    cr_expect_eq(exchange->status, 503);
}

/* Takes three bytes at a time, and no X. */
static size_t
take_three(struct http_request *request, struct slice piece)
{
    struct http_error error;

    if (piece.data[0] == 'X') {
        http_error_set(&error, 400, "an_x", "this is an X");
        http_reply_error(request, &error);
        return 0;
    }
    return piece.bytes < 3 ? piece.bytes : 3;
}

Test(http_exchange, hands_on_a_body_piece_by_piece, .init = set_up,
     .fini = tear_down)
{
    static const struct http_route route = { .body_bytes_max = 7,
                                             .piece = take_three };
    struct buf text = { 0 };

    exchange->request.route = &route;
    exchange->wake = wake;
    cr_expect_eq(http_exchange_take(exchange, slice_of("abcd")), 3);
    http_take_more(&exchange->request);
    cr_expect_eq(woken_count, 1);
    cr_expect_eq(http_exchange_take(exchange, slice_of("d")), 1);
    cr_expect_eq(gateway.body_bytes, 0);
    cr_expect_eq(http_exchange_take(exchange, slice_of("Xyz")), 0);
    cr_assert(exchange->is_replied);
    http_exchange_frame(exchange, &text);
    cr_expect_eq(strncmp(text.data, "HTTP/1.1 400 ", 13), 0);
    cr_expect(strstr(text.data, "\r\nx-should-retry: false\r\n") != NULL);
    cr_expect(strstr(text.data, "\r\nConnection: close\r\n") != NULL);
    cr_expect(strstr(text.data, "\r\n\r\n{\"error\":{") != NULL);
    buf_fini(&text);
}

/* A source of "0123456789" that gives three bytes at a time, at once or when it
 * is told to. */
static bool is_later;
static int64_t asked_at;

static void
give(struct http_request *request)
{
    static const char digits[] = "0123456789";

    if (asked_at == 10)
        http_feed_end(request);
    else
        http_feed(request,
                  (struct slice){ digits + asked_at, asked_at == 9 ? 1 : 3 });
}

static void
pull(void *arg, struct http_request *request, int64_t at)
{
    (void)arg;
    asked_at = at;
    if (!is_later)
        give(request);
}

static void
close_it(void *arg)
{
    (void)arg;
    closed_count++;
}

static const struct http_source source = { .bytes = 10,
                                           .pull = pull,
                                           .close = close_it };

Test(http_exchange, pulls_a_body_as_the_client_takes_it, .init = set_up)
{
    struct buf got = { 0 };
    char piece[2];
    size_t bytes;

    http_reply_source(&exchange->request, 200, HTTP_TEXT, &source);
    while ((bytes = http_exchange_read(exchange, piece, sizeof(piece))) > 0)
        buf_add(&got, piece, bytes);
    cr_expect(exchange->is_ended);
    cr_expect_str_eq(got.data, "0123456789");
    cr_expect_eq(closed_count, 0);
    http_exchange_free(exchange);
    cr_expect_eq(closed_count, 1);
    buf_fini(&got);
}

Test(http_exchange, waits_for_a_piece_that_is_late, .init = set_up,
     .fini = tear_down)
{
    char piece[8];

    is_later = true;
    exchange->wake = wake;
    http_reply_source(&exchange->request, 200, HTTP_TEXT, &source);
    cr_expect_eq(woken_count, 1);
    cr_expect_eq(http_exchange_read(exchange, piece, sizeof(piece)), 0);
    cr_expect_eq(http_exchange_read(exchange, piece, sizeof(piece)), 0);
    cr_expect_not(exchange->is_ended);
    give(&exchange->request);
    cr_expect_eq(woken_count, 2);
    cr_expect_eq(http_exchange_read(exchange, piece, sizeof(piece)), 3);
    cr_expect_eq(http_exchange_read(exchange, piece, sizeof(piece)), 0);
    http_feed_fail(&exchange->request);
    cr_expect_eq(http_exchange_read(exchange, piece, sizeof(piece)), 0);
    cr_expect(exchange->is_failed);
}

Test(http_range, understands_one_range_and_passes_over_the_rest)
{
    static const struct {
        const char *range;
        int status;
        int64_t from, count;
        const char *field; /* Content-Range */
    } rows[] = {
        { "", 200, 0, 10, NULL },
        { "bytes=0-4", 206, 0, 5, "bytes 0-4/10" },
        { "bytes=5-", 206, 5, 5, "bytes 5-9/10" },
        { "bytes=-3", 206, 7, 3, "bytes 7-9/10" },
        { "bytes=-30", 206, 0, 10, "bytes 0-9/10" },
        { "bytes=9-100", 206, 9, 1, "bytes 9-9/10" },
        { "bytes=10-", 416, 0, 0, "bytes */10" },
        { "bytes=-0", 416, 0, 0, "bytes */10" },
        { "bytes=4-2", 200, 0, 10, NULL },
        { "bytes=0-1,3-4", 200, 0, 10, NULL },
        { "bytes=-", 200, 0, 10, NULL },
        { "bytes=", 200, 0, 10, NULL },
        { "bytes=a-b", 200, 0, 10, NULL },
        { "lines=0-4", 200, 0, 10, NULL },
        { "bytes=99999999999999999999-", 200, 0, 10, NULL },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t from = -1, count = -1;

        set_up();
        exchange->request.kept[HTTP_KEPT_RANGE] = mem_dup_str(rows[i].range);
        cr_expect_eq(http_range(&exchange->request, 10, &from, &count),
                     rows[i].status, "%s", rows[i].range);
        cr_expect_eq(from, rows[i].from, "%s", rows[i].range);
        cr_expect_eq(count, rows[i].count, "%s", rows[i].range);
        if (rows[i].field)
            cr_expect_str_eq(field("Content-Range"), rows[i].field);
        else
            cr_expect_null(field("Content-Range"));
        tear_down();
    }
}

static size_t
take_all(struct http_request *request, struct slice piece)
{
    http_on_gone(request, gone, &gone_count);
    return piece.bytes;
}

static size_t
ten_bytes(const struct gateway *it)
{
    cr_expect_eq(it, &gateway);
    return 10;
}

/* Whoever has taken pieces must be able to let go of them. */
Test(http_exchange, tells_who_took_pieces_that_the_body_is_refused,
     .init = set_up, .fini = tear_down)
{
    static const struct http_route route = { .method = "POST",
                                             .pattern = "/",
                                             .body_max = ten_bytes,
                                             .piece = take_all };

    exchange->request.route = &route;
    cr_expect_eq(http_exchange_take(exchange, slice_of("0123456789")), 10);
    cr_expect_eq(gone_count, 0);
    cr_expect_eq(http_exchange_take(exchange, slice_of("0")), 0);
    cr_expect_eq(gone_count, 1);
    cr_expect_eq(exchange->status, 413);
}
