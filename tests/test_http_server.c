/* SPDX-License-Identifier: MIT */
#include "submit/http_server.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "submit/http_linger.h"

/* A server and one client in one process: the client's bytes are sent, and the
 * server is turned until what is expected has come. Its time is the test's. */

TestSuite(http_server, .timeout = 60);

#define DEADLINE_MS 10000

static struct gateway gateway;
static struct http_server *server;
static struct http_place place;
static struct http_request *held; /* a handler keeps it */
static struct buf got;            /* what the client has read */
static int client, gone_count, called_count, piece_count;
static bool is_closed; /* the client has read the end */

static void
gone(void *arg)
{
    (void)arg;
    gone_count++;
    held = NULL;
}

static void
hold(struct http_request *request)
{
    called_count++;
    held = request;
    http_on_gone(request, gone, NULL);
}

static void
echo(struct http_request *request)
{
    called_count++;
    http_reply(request, 200, HTTP_TEXT, slice_of("taken\n"));
}

/* Takes a body of ten bytes three at a time, and rests each time. */
static size_t
take_slowly(struct http_request *request, struct slice piece)
{
    piece_count++;
    held = request;
    if (piece.data[0] == 'X') {
        struct http_error error;

        http_error_set(&error, 400, "an_x", "this is an X");
        http_reply_error(request, &error);
        held = NULL;
    }
    return piece.bytes <= 3 ? piece.bytes : 3;
}

static void
pull(void *arg, struct http_request *request, int64_t at)
{
    (void)arg;
    cr_expect_eq(at % 4, 0);
    held = request;
}

static void
closed(void *arg)
{
    (void)arg;
    gone_count++;
    held = NULL;
}

static void
stream(struct http_request *request)
{
    struct http_source source = { .bytes = 8, .pull = pull, .close = closed };

    if (http_path_query(&request->path, "unknown", &request->body))
        source.bytes = -1;
    source.is_endless =
        http_path_query(&request->path, "endless", &request->body);
    if (request->kept[HTTP_KEPT_IF_NONE_MATCH])
        http_reply_field(request, "ETag",
                         request->kept[HTTP_KEPT_IF_NONE_MATCH]);
    if (source.is_endless)
        http_reply_field(request, "cache-control", "no-cache");
    buf_reset(&request->body);
    http_reply_source(request, 200, HTTP_TEXT, &source);
}

static const struct http_route rows[] = {
    { .method = "GET", .pattern = "/hold", .handler = hold },
    { .method = "POST",
      .pattern = "/echo",
      .body_bytes_max = 1000,
      .handler = echo },
    { .method = "POST",
      .pattern = "/slow",
      .body_bytes_max = 1000,
      .piece = take_slowly,
      .handler = echo },
    { .method = "GET", .pattern = "/stream", .handler = stream },
};
static const struct http_routes routes = { rows,
                                           sizeof(rows) / sizeof(rows[0]) };

static void
read_client(void)
{
    char data[4096];
    ssize_t bytes = recv(client, data, sizeof(data), MSG_DONTWAIT);

    if (bytes > 0)
        buf_add(&got, data, (size_t)bytes);
    else if (bytes == 0)
        is_closed = true;
}

static void
turn(void)
{
    struct pollfd fds[] = { { .fd = http_server_fd(server), .events = POLLIN },
                            { .fd = client, .events = POLLIN } };

    http_server_turn(server);
    if (client >= 0)
        read_client();
    (void)poll(fds, client >= 0 && !is_closed ? 2 : 1, 5);
}

/* Turns until the expression is true. */
#define UNTIL(is_true)                                                  \
    for (int64_t end_ms = clock_mono_ms() + DEADLINE_MS; !(is_true);) { \
        turn();                                                         \
        cr_assert_lt(clock_mono_ms(), end_ms, "never: " #is_true);      \
    }

static bool
has(const char *text)
{
    return got.bytes && strstr(got.data, text);
}

/* The client's next connection; there are `count` then. */
static void
connect_one_more(size_t count)
{
    client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(
        connect(client, (struct sockaddr *)&place.address, place.bytes), 0);
    UNTIL(http_server_count(server) == count);
}

static void
say(const char *text)
{
    cr_assert_eq(send(client, text, strlen(text), MSG_NOSIGNAL),
                 (ssize_t)strlen(text));
}

static void
set_up(void)
{
    struct http_server_terms terms = { .place = &place,
                                       .http = { .routes = &routes,
                                                 .connections_each_max = 2 },
                                       .connections_max = 16 };
    struct err err = { 0 };

    gateway.now_ms = 1000000;
    cr_assert_eq(http_place_parse("127.0.0.1:0", &place, &err), 0);
    server = http_server_new(&gateway, &terms, &err);
    cr_assert_not_null(server, "%s", err.msg);
    connect_one_more(1);
}

static void
tear_down(void)
{
    http_server_free(server);
    if (client >= 0)
        close(client);
    buf_fini(&got);
}

/* Lets time pass at once, and the server look at its deadlines. */
static void
pass_ms(int64_t ms)
{
    turn();
    gateway.now_ms += ms;
    turn();
}

Test(http_server, lets_a_connection_rest_until_the_reply, .init = set_up,
     .fini = tear_down)
{
    say("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    UNTIL(held);
    pass_ms(3600000); /* it is we who let wait */
    pass_ms(1000);
    cr_expect_not(is_closed);
    http_reply(held, 200, HTTP_TEXT, slice_of("late\n"));
    UNTIL(has("\r\n\r\nlate\n"));
    say("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    UNTIL(called_count == 2);
    http_reply(held, 200, HTTP_TEXT, slice_of("again\n"));
    UNTIL(has("\r\n\r\nagain\n"));
    cr_expect_eq(gone_count, 0);
}

Test(http_server, tells_a_handler_whose_client_has_vanished, .init = set_up,
     .fini = tear_down)
{
    say("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    UNTIL(held);
    close(client);
    client = -1;
    gateway.now_ms += HTTP_SWEEP_MS;
    UNTIL(gone_count == 1);
    UNTIL(http_server_count(server) == 0);
}

Test(http_server, hears_who_hangs_up_within_a_body, .init = set_up,
     .fini = tear_down)
{
    say("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
    close(client);
    client = -1;
    for (int i = 0; i < 3; i++)
        pass_ms(HTTP_SWEEP_MS);
    UNTIL(http_server_count(server) == 0);
    cr_expect_eq(called_count, 0);
}

Test(http_server, ends_with_its_handlers_told, .init = set_up)
{
    say("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    UNTIL(held);
    cr_expect_not(http_server_is_idle(server));
    http_server_drain(server);
    tear_down();
    cr_expect_eq(gone_count, 1);
}

Test(http_server, hands_on_a_body_that_is_taken_slowly, .init = set_up,
     .fini = tear_down)
{
    say("POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
        "0123456789");
    for (int pieces = 1; pieces <= 3; pieces++) {
        UNTIL(piece_count == pieces);
        cr_expect_eq(called_count, 0);
        pass_ms(60000); /* nor does this count against the client */
        http_take_more(held);
    }
    UNTIL(has("\r\n\r\ntaken\n"));
    cr_expect_eq(called_count, 1);
}

Test(http_server, refuses_within_a_body_and_runs_nothing_behind_it,
     .init = set_up, .fini = tear_down)
{
    say("POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
        "012X456789GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    UNTIL(piece_count == 1);
    http_take_more(held);
    UNTIL(is_closed);
    cr_expect(has("HTTP/1.1 400 "));
    cr_expect(has("\"code\":\"an_x\""));
    cr_expect_eq(called_count, 0);
}

Test(http_server, refuses_a_body_in_chunks_that_is_too_long, .init = set_up,
     .fini = tear_down)
{
    char chunk[1100] = "POST /echo HTTP/1.1\r\nHost: x\r\n"
                       "Transfer-Encoding: chunked\r\n\r\n3E9\r\n";
    size_t bytes = strlen(chunk);

    memset(chunk + bytes, 'a', 1001);
    say(chunk);
    UNTIL(is_closed);
    cr_expect(has("HTTP/1.1 413 "));
    cr_expect_eq(called_count, 0);
}

/* A client that sends on is not to be met by a reset before it has read. */
Test(http_server, keeps_a_refused_client_until_it_has_read, .init = set_up,
     .fini = tear_down)
{
    say("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n");
    UNTIL(http_server_count(server) == 0);
    for (int i = 0; i < 5; i++) {
        say("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab");
        pass_ms(HTTP_LINGER_TURN_MS);
    }
    UNTIL(is_closed);
    cr_expect(has("HTTP/1.1 413 "));
    cr_expect_eq(called_count, 0);
    pass_ms(HTTP_LINGER_MS);
    UNTIL(send(client, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0);
}

/* Feeds the pieces of a stream, each when it is asked for. */
static void
feed(const char *first, const char *second)
{
    const char *pieces[] = { first, second };

    for (int i = 0; i < 2; i++) {
        struct http_request *request;

        UNTIL(held);
        pass_ms(60000);
        request = held;
        held = NULL;
        http_feed(request, slice_of(pieces[i]));
    }
}

Test(http_server, sends_a_body_as_its_pieces_come, .init = set_up,
     .fini = tear_down)
{
    say("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    feed("0123", "4567");
    UNTIL(has("\r\n\r\n01234567"));
    cr_expect(has("Content-Length: 8\r\n"));
    UNTIL(gone_count == 1);
    cr_expect_not(is_closed);
}

Test(http_server, sends_a_body_of_unknown_length_in_chunks, .init = set_up,
     .fini = tear_down)
{
    say("GET /stream?unknown HTTP/1.1\r\nHost: x\r\n\r\n");
    feed("0123", "4567");
    UNTIL(held);
    http_feed_end(held);
    UNTIL(has("\r\n0\r\n\r\n"));
    cr_expect(has("Transfer-Encoding: chunked\r\n"));
    UNTIL(gone_count == 1);
}

/* The client must not take a part for the whole. */
Test(http_server, breaks_off_a_body_that_fails, .init = set_up,
     .fini = tear_down)
{
    say("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    UNTIL(held);
    http_feed(held, slice_of("0123"));
    held = NULL;
    UNTIL(held);
    http_feed_fail(held);
    UNTIL(is_closed);
    cr_expect(has("Content-Length: 8\r\n"));
    cr_expect_not(has("01234567"));
    cr_expect_eq(gone_count, 1);
}

Test(http_server, gives_a_header_so_much_time, .init = set_up,
     .fini = tear_down)
{
    say("GET /hold HTTP/1.1\r\nHost: x\r\n");
    pass_ms(HTTP_HEADER_MS - HTTP_SWEEP_MS);
    say("A: b\r\n");
    turn();
    cr_expect_not(is_closed);
    pass_ms(HTTP_SWEEP_MS);
    UNTIL(is_closed);
    cr_expect(has("HTTP/1.1 408 "));
    cr_expect_eq(called_count, 0);
}

Test(http_server, gives_a_body_time_for_its_bytes, .init = set_up,
     .fini = tear_down)
{
    say("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc");
    pass_ms(HTTP_BODY_GRACE_MS - HTTP_SWEEP_MS);
    say("d");
    turn();
    cr_expect_not(is_closed);
    pass_ms(2 * HTTP_SWEEP_MS);
    UNTIL(is_closed);
    cr_expect(has("HTTP/1.1 408 "));
}

Test(http_server, closes_what_is_idle_and_nothing_else_when_drained,
     .init = set_up, .fini = tear_down)
{
    int idle = client, busy;

    client = -1;
    busy = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(busy, (struct sockaddr *)&place.address, place.bytes),
                 0);
    client = busy;
    say("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    UNTIL(held);
    http_server_drain(server);
    UNTIL(http_server_count(server) == 1);
    cr_expect_not(http_server_is_idle(server));
    http_reply(held, 200, HTTP_TEXT, slice_of("last\n"));
    UNTIL(is_closed);
    cr_expect(has("Connection: close\r\n"));
    cr_expect(has("\r\n\r\nlast\n"));
    UNTIL(http_server_is_idle(server));
    close(idle);
}

/* Nobody waits for what has no end. */
Test(http_server, ends_a_stream_without_end_when_drained, .init = set_up,
     .fini = tear_down)
{
    say("GET /stream?unknown&endless HTTP/1.1\r\nHost: x\r\n"
        "If-None-Match: \"x\"\r\n\r\n");
    UNTIL(held);
    UNTIL(has("\r\n\r\n"));
    cr_expect(has("\r\nETag: \"x\"\r\n"));
    cr_expect(has("\r\ncache-control: no-cache\r\n"));
    cr_expect_not(has("no-store"));
    http_server_drain(server);
    cr_expect(http_server_is_idle(server));
    UNTIL(is_closed);
    cr_expect_eq(gone_count, 1);
}

/* A program that asks for much at a time is told so, and waits by itself. */
Test(http_server, tells_a_client_that_has_too_many_connections, .init = set_up,
     .fini = tear_down)
{
    int first = client, second, rest[8];

    client = -1;
    connect_one_more(2);
    second = client;
    connect_one_more(3);
    say("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    UNTIL(is_closed);
    cr_expect(has("HTTP/1.1 429 "));
    cr_expect(has("too_many_connections"));
    cr_expect(has("\r\nx-should-retry: true\r\n"));
    cr_expect(has("\r\nRetry-After: "));
    close(client);
    client = -1;
    close(second);
    UNTIL(http_server_count(server) == 1);
    is_closed = false;
    connect_one_more(2);
    say("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    UNTIL(held);
    /* Of far too many, most are not even taken. */
    for (size_t i = 0; i < sizeof(rest) / sizeof(rest[0]); i++) {
        rest[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        cr_assert_eq(
            connect(rest[i], (struct sockaddr *)&place.address, place.bytes),
            0);
    }
    for (int i = 0; i < 20; i++)
        turn();
    cr_expect_eq(http_server_count(server), 8);
    for (size_t i = 0; i < sizeof(rest) / sizeof(rest[0]); i++)
        close(rest[i]);
    close(first);
}
