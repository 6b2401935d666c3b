/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* POLLRDHUP, memmem */
#include "tests/upstream_play.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "tests/upstream_moment.h"

#define HUGE_KIB_DEFAULT    65536L
#define HEADERS_KIB_DEFAULT 1024L
#define PADDING_BYTES       1024  /* of one header, without its name */
#define PIECE_BYTES         65536 /* of a body that is made while it is sent */
#define COMPLETION_TOKENS   5     /* of an "echo …" answer, for the usage */
#define WAIT_FOREVER        (-1L)
#define LOOK_MS             10L /* between two looks for a file */

static const char type_json[] = "application/json";
static const char type_html[] = "text/html";

/* Waits for `ms` milliseconds. False as soon as the client has left. */
static bool
wait_ms(const struct exchange *exchange, long ms)
{
    struct pollfd poll_fd = { .fd = exchange->call->fd, .events = POLLRDHUP };
    int64_t end_ms = clock_mono_ms() + ms, left_ms = ms;

    while (ms == WAIT_FOREVER || left_ms > 0) {
        int rc = poll(&poll_fd, 1, ms == WAIT_FOREVER ? -1 : (int)left_ms);

        if (rc > 0 || (rc < 0 && errno != EINTR))
            return false;
        left_ms = end_ms - clock_mono_ms();
    }
    return true;
}

/* Waits until a file is there; NULL is no file. False as soon as the client has
 * left. */
static bool
wait_for_file(const struct exchange *exchange, const char *path)
{
    while (path && access(path, F_OK) != 0) {
        if (!wait_ms(exchange, LOOK_MS))
            return false;
    }
    return true;
}

/* Writes past the library. False if the client has left. */
static bool
send_all(const struct exchange *exchange, const char *data, size_t bytes)
{
    struct pollfd poll_fd = { .fd = exchange->call->fd,
                              .events = POLLOUT | POLLRDHUP };

    while (bytes > 0) {
        ssize_t sent = send(poll_fd.fd, data, bytes, MSG_NOSIGNAL);

        if (sent >= 0) {
            data += sent;
            bytes -= (size_t)sent;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK)
            return false;
        if (poll(&poll_fd, 1, -1) < 0 && errno != EINTR)
            return false;
        if (poll_fd.revents & (POLLRDHUP | POLLHUP | POLLERR))
            return false;
    }
    return true;
}

static enum MHD_Result
close_silently(struct exchange *exchange, unsigned status,
               enum call_closer closer)
{
    ledger_end(exchange->ledger, exchange->call, status, closer);
    return MHD_NO; /* the library closes the connection */
}

/* Sends all of wire, which holds at least one byte, and closes. The call ends
 * in the ledger before its last byte is sent. */
static enum MHD_Result
send_and_close(struct exchange *exchange, unsigned status)
{
    const struct buf *wire = &exchange->wire;

    assert(wire->bytes > 0);
    if (!send_all(exchange, wire->data, wire->bytes - 1))
        return close_silently(exchange, status, BY_CLIENT);
    ledger_end(exchange->ledger, exchange->call, status, BY_SERVER);
    send_all(exchange, wire->data + wire->bytes - 1, 1); /* it may be gone */
    return MHD_NO;
}

static const char *
content_type(const struct exchange *exchange, const char *type)
{
    const struct rule *rule = exchange->rule;

    for (size_t i = 0; i < rule->headers; i++) {
        if (strcasecmp(rule->header[i].name, "Content-Type") == 0)
            return NULL; /* the script's own is sent with the others */
    }
    return type;
}

/* The value of a header of the rule, as it is at this moment; until the next
 * call. */
static const char *
header_value(struct exchange *exchange, size_t at)
{
    buf_reset(&exchange->value);
    moment_fill(exchange->rule->header[at].value, clock_wall_ms(),
                &exchange->value);
    return exchange->value.data;
}

static enum MHD_Result
reply(struct exchange *exchange, unsigned status, const char *type)
{
    const struct rule *rule = exchange->rule;
    struct MHD_Response *response = MHD_create_response_from_buffer(
        exchange->body.bytes, exchange->body.data, MHD_RESPMEM_MUST_COPY);
    const char *own_type = content_type(exchange, type);
    enum MHD_Result rc = response ? MHD_YES : MHD_NO;

    if (rc == MHD_YES && own_type)
        rc = MHD_add_response_header(response, "Content-Type", own_type);
    for (size_t i = 0; rc == MHD_YES && i < rule->headers; i++)
        rc = MHD_add_response_header(response, rule->header[i].name,
                                     header_value(exchange, i));
    if (rc == MHD_YES) {
        ledger_end(exchange->ledger, exchange->call, status, BY_SERVER);
        rc = MHD_queue_response(exchange->connection, status, response);
    } else {
        log_error("event=reply_refused rule=%ld", rule->line);
        ledger_end(exchange->ledger, exchange->call, 0, BY_SERVER);
    }
    if (response)
        MHD_destroy_response(response);
    return rc;
}

/* A chat completion. content and refusal are JSON without line ends. */
static void
add_completion(struct exchange *exchange, const char *content,
               const char *refusal, const char *finish_reason)
{
    size_t tokens = (exchange->prompt_bytes + 3) / 4;
    struct buf *body = &exchange->body;

    buf_addf(body,
             "{\"id\":\"chatcmpl-%" PRIu64
             "\",\"object\":\"chat.completion\",\"created\":0,\"model\":",
             exchange->call->n);
    buf_add_slice(body, exchange->model);
    buf_addf(body,
             ",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
             "\"content\":%s,\"refusal\":%s},\"finish_reason\":\"%s\"}]",
             content, refusal, finish_reason);
    buf_addf(body,
             ",\"usage\":{\"prompt_tokens\":%zu,\"completion_tokens\":%d,"
             "\"total_tokens\":%zu}}",
             tokens, COMPLETION_TOKENS, tokens + COMPLETION_TOKENS);
}

/* True if the call's path ends with this. */
static bool
is_for(const struct exchange *exchange, const char *endpoint)
{
    size_t path = strlen(exchange->call->path), end = strlen(endpoint);

    return path >= end &&
           strcmp(exchange->call->path + path - end, endpoint) == 0;
}

/* What the other endpoints answer, in a few lines: half of it is there to be
 * passed on. */
static bool
add_other(struct exchange *exchange)
{
    size_t tokens = (exchange->prompt_bytes + 3) / 4;
    struct buf *body = &exchange->body;

    if (is_for(exchange, "/embeddings")) {
        buf_add_str(body,
                    "{\n  \"object\": \"list\",\n  \"data\": [{\"object\":"
                    "\"embedding\",\"index\":0,\"embedding\":[0.25,-1e-3]"
                    "}],\n  \"model\": ");
        buf_add_slice(body, exchange->model);
        buf_addf(body,
                 ",\n  \"usage\": {\"prompt_tokens\":%zu,"
                 "\"total_tokens\":%zu}\n}\n",
                 tokens, tokens);
    } else if (is_for(exchange, "/responses")) {
        buf_addf(body,
                 "{\"id\":\"resp_%" PRIu64
                 "\",\"object\":\"response\",\"status\":\"completed\","
                 "\"error\":null,\"output\":[{\"type\":\"message\","
                 "\"role\":\"assistant\",\"content\":[{\"type\":"
                 "\"output_text\",\"text\":\"echo %s\"}]}],\"model\":",
                 exchange->call->n, exchange->call->user);
        buf_add_slice(body, exchange->model);
        buf_addf(body,
                 ",\"usage\":{\"input_tokens\":%zu,\"output_tokens\":%d,"
                 "\"total_tokens\":%zu}}",
                 tokens, COMPLETION_TOKENS, tokens + COMPLETION_TOKENS);
    } else if (is_for(exchange, "/completions") &&
               !is_for(exchange, "/chat/completions")) {
        buf_addf(body,
                 "{\"id\":\"cmpl-%" PRIu64
                 "\",\"object\":\"text_completion\",\"choices\":[{\"index\":0,"
                 "\"text\":\"echo %s\",\"finish_reason\":\"stop\"}],"
                 "\"model\":",
                 exchange->call->n, exchange->call->user);
        buf_add_slice(body, exchange->model);
        buf_addf(body,
                 ",\"usage\":{\"prompt_tokens\":%zu,\"completion_tokens\":%d,"
                 "\"total_tokens\":%zu}}",
                 tokens, COMPLETION_TOKENS, tokens + COMPLETION_TOKENS);
    } else {
        return false;
    }
    return true;
}

static void
add_echo(struct exchange *exchange, const char *finish_reason)
{
    struct buf content = { 0 };

    if (add_other(exchange))
        return;
    buf_addf(&content, "\"echo %s\"", exchange->call->user);
    add_completion(exchange, content.data, "null", finish_reason);
    buf_fini(&content);
}

/* Puts together the body that the rule's status calls for, and returns the
 * status: a body that is not JSON is a 400, unless a rule says otherwise. */
static unsigned
make_body(struct exchange *exchange)
{
    const struct rule *rule = exchange->rule;
    unsigned status = (unsigned)rule->status;

    if (rule->body.data) {
        buf_add_slice(&exchange->body, buf_slice(&rule->body));
        return status;
    }
    if (status == 200 && exchange->is_json) {
        add_echo(exchange, "stop");
        return status;
    }
    status = status == 200 ? 400 : status;
    buf_addf(&exchange->body,
             "{\"error\":{\"message\":\"test upstream: %s\",\"type\":"
             "\"test_error\",\"param\":null,\"code\":\"status_%u\"}}",
             exchange->is_json ? "as the script says" : "body is not JSON",
             status);
    return status;
}

/* Starts a reply to be sent past the library, up to where Content-Length's line
 * would begin. */
static void
start_head(struct exchange *exchange, unsigned status)
{
    const struct rule *rule = exchange->rule;
    const char *type = content_type(exchange, type_json);
    struct buf *wire = &exchange->wire;

    buf_addf(wire, "HTTP/1.1 %u %s\r\nConnection: close\r\n", status,
             MHD_get_reason_phrase_for(status));
    if (type)
        buf_addf(wire, "Content-Type: %s\r\n", type);
    for (size_t i = 0; i < rule->headers; i++)
        buf_addf(wire, "%s: %s\r\n", rule->header[i].name,
                 header_value(exchange, i));
}

static void
finish_head(struct exchange *exchange, size_t body_bytes)
{
    buf_addf(&exchange->wire, "Content-Length: %zu\r\n\r\n", body_bytes);
}

static enum MHD_Result
play_reply(struct exchange *exchange)
{
    return reply(exchange, make_body(exchange), type_json);
}

static enum MHD_Result
play_refuse(struct exchange *exchange)
{
    add_completion(exchange, "null", "\"I cannot help with that.\"", "stop");
    return reply(exchange, 200, type_json);
}

static enum MHD_Result
play_length(struct exchange *exchange)
{
    add_echo(exchange, "length");
    return reply(exchange, 200, type_json);
}

static enum MHD_Result
play_html(struct exchange *exchange)
{
    const struct rule *rule = exchange->rule;

    if (rule->body.data)
        buf_add_slice(&exchange->body, buf_slice(&rule->body));
    else
        buf_add_str(&exchange->body, "<!DOCTYPE html><html><body>"
                                     "<h1>Gateway</h1></body></html>");
    return reply(exchange, (unsigned)rule->status, type_html);
}

static enum MHD_Result
play_empty(struct exchange *exchange)
{
    return reply(exchange, (unsigned)exchange->rule->status, type_json);
}

static enum MHD_Result
play_truncated_json(struct exchange *exchange)
{
    unsigned status = make_body(exchange);

    exchange->body.bytes /= 2;
    return reply(exchange, status, type_json);
}

static enum MHD_Result
play_hang(struct exchange *exchange)
{
    wait_ms(exchange, WAIT_FOREVER);
    return close_silently(exchange, 0, BY_CLIENT);
}

static enum MHD_Result
play_cut_before(struct exchange *exchange)
{
    return close_silently(exchange, 0, BY_SERVER);
}

static enum MHD_Result
reset_connection(struct exchange *exchange, unsigned status)
{
    const struct sockaddr none = { .sa_family = AF_UNSPEC };

    ledger_end(exchange->ledger, exchange->call, status, BY_SERVER);
    /* Dissolving the association of a TCP socket resets the connection. */
    if (connect(exchange->call->fd, &none, sizeof(none)) < 0)
        log_error("event=reset_failed reason=\"%s\"", strerror(errno));
    return MHD_NO;
}

static enum MHD_Result
play_reset(struct exchange *exchange)
{
    return reset_connection(exchange, 0);
}

static enum MHD_Result
play_cut_headers(struct exchange *exchange)
{
    unsigned status = make_body(exchange);

    start_head(exchange, status);
    buf_add_str(&exchange->wire, "Content-Le");
    return send_and_close(exchange, status);
}

static enum MHD_Result
play_cut_body(struct exchange *exchange)
{
    unsigned status = make_body(exchange);

    start_head(exchange, status);
    finish_head(exchange, exchange->body.bytes);
    buf_add(&exchange->wire, exchange->body.data, exchange->body.bytes / 2);
    return send_and_close(exchange, status);
}

static enum MHD_Result
play_reset_body(struct exchange *exchange)
{
    unsigned status = make_body(exchange);

    start_head(exchange, status);
    finish_head(exchange, exchange->body.bytes);
    buf_add(&exchange->wire, exchange->body.data, exchange->body.bytes / 2);
    if (!send_all(exchange, exchange->wire.data, exchange->wire.bytes))
        return close_silently(exchange, status, BY_CLIENT);
    return reset_connection(exchange, status);
}

static enum MHD_Result
play_wrong_length(struct exchange *exchange)
{
    unsigned status = make_body(exchange);

    start_head(exchange, status);
    finish_head(exchange, exchange->body.bytes / 2);
    buf_add_slice(&exchange->wire, buf_slice(&exchange->body));
    return send_and_close(exchange, status);
}

static enum MHD_Result
play_garbage(struct exchange *exchange)
{
    static const char garbage[] = "\x16\x03\x01\x00\xff\xfe not HTTP\r\n\r\n";

    buf_add(&exchange->wire, garbage, sizeof(garbage) - 1);
    return send_and_close(exchange, 0);
}

static enum MHD_Result
play_drip(struct exchange *exchange)
{
    unsigned status = make_body(exchange);
    const struct buf *body = &exchange->body;

    start_head(exchange, status);
    finish_head(exchange, body->bytes);
    if (body->bytes == 0)
        return send_and_close(exchange, status);
    if (!send_all(exchange, exchange->wire.data, exchange->wire.bytes))
        return close_silently(exchange, status, BY_CLIENT);
    for (size_t i = 0; i + 1 < body->bytes; i++) {
        if (!send_all(exchange, body->data + i, 1) ||
            !wait_ms(exchange, exchange->rule->every)) {
            return close_silently(exchange, status, BY_CLIENT);
        }
    }
    buf_reset(&exchange->wire);
    buf_add_char(&exchange->wire, body->data[body->bytes - 1]);
    return send_and_close(exchange, status);
}

static size_t
size_of(const struct rule *rule, long default_kib)
{
    return (size_t)(rule->size ? rule->size : default_kib) * 1024;
}

/* Makes an answer whose content is empty, and returns where the content's bytes
 * would be. */
static size_t
make_hollow(struct exchange *exchange)
{
    static const char before[] = "\"content\":\"";
    const struct buf *body = &exchange->body;
    const char *at;

    add_completion(exchange, "\"\"", "null", "stop");
    at = memmem(body->data, body->bytes, before, strlen(before));
    assert(at);
    return (size_t)(at - body->data) + strlen(before);
}

/* A well-formed answer that is only too long: nothing but a limit stops it. It
 * is made while it is sent, so that its size costs no memory here. */
static enum MHD_Result
play_huge(struct exchange *exchange)
{
    unsigned status = (unsigned)exchange->rule->status;
    size_t left = size_of(exchange->rule, HUGE_KIB_DEFAULT);
    size_t split = make_hollow(exchange);
    const struct buf *body = &exchange->body;
    char piece[PIECE_BYTES];

    memset(piece, 'x', sizeof(piece));
    start_head(exchange, status);
    finish_head(exchange, body->bytes + left);
    buf_add(&exchange->wire, body->data, split);
    if (!send_all(exchange, exchange->wire.data, exchange->wire.bytes))
        return close_silently(exchange, status, BY_CLIENT);
    while (left > 0) {
        size_t bytes = left < sizeof(piece) ? left : sizeof(piece);

        if (!send_all(exchange, piece, bytes))
            return close_silently(exchange, status, BY_CLIENT);
        left -= bytes;
    }
    buf_reset(&exchange->wire);
    buf_add(&exchange->wire, body->data + split, body->bytes - split);
    return send_and_close(exchange, status);
}

/* The same without a length, in chunks, and without an end. */
static enum MHD_Result
play_endless(struct exchange *exchange)
{
    unsigned status = (unsigned)exchange->rule->status;
    size_t split = make_hollow(exchange);
    struct buf *wire = &exchange->wire;

    start_head(exchange, status);
    buf_addf(wire, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", split);
    buf_add(wire, exchange->body.data, split);
    buf_add_str(wire, "\r\n");
    while (send_all(exchange, wire->data, wire->bytes)) {
        buf_reset(wire);
        buf_addf(wire, "%x\r\n", (unsigned)PIECE_BYTES);
        memset(buf_reserve(wire, PIECE_BYTES), 'x', PIECE_BYTES);
        buf_commit(wire, PIECE_BYTES);
        buf_add_str(wire, "\r\n");
    }
    return close_silently(exchange, status, BY_CLIENT);
}

static enum MHD_Result
play_huge_headers(struct exchange *exchange)
{
    size_t bytes = size_of(exchange->rule, HEADERS_KIB_DEFAULT);
    unsigned status = make_body(exchange);
    char padding[PADDING_BYTES];

    memset(padding, 'x', sizeof(padding));
    start_head(exchange, status);
    for (size_t i = 0; i < bytes / sizeof(padding); i++) {
        buf_addf(&exchange->wire, "X-Padding-%zu: ", i);
        buf_add(&exchange->wire, padding, sizeof(padding));
        buf_add_str(&exchange->wire, "\r\n");
    }
    finish_head(exchange, exchange->body.bytes);
    buf_add_slice(&exchange->wire, buf_slice(&exchange->body));
    return send_and_close(exchange, status);
}

static enum MHD_Result (*const plays[ACTION_COUNT])(struct exchange *) = {
    [ACTION_REPLY] = play_reply,
    [ACTION_REFUSE] = play_refuse,
    [ACTION_LENGTH] = play_length,
    [ACTION_HTML] = play_html,
    [ACTION_EMPTY] = play_empty,
    [ACTION_TRUNCATED_JSON] = play_truncated_json,
    [ACTION_HANG] = play_hang,
    [ACTION_CUT_BEFORE] = play_cut_before,
    [ACTION_RESET] = play_reset,
    [ACTION_CUT_HEADERS] = play_cut_headers,
    [ACTION_CUT_BODY] = play_cut_body,
    [ACTION_RESET_BODY] = play_reset_body,
    [ACTION_WRONG_LENGTH] = play_wrong_length,
    [ACTION_GARBAGE] = play_garbage,
    [ACTION_DRIP] = play_drip,
    [ACTION_HUGE] = play_huge,
    [ACTION_ENDLESS] = play_endless,
    [ACTION_HUGE_HEADERS] = play_huge_headers,
};

enum MHD_Result
exchange_play(struct exchange *exchange, long latency_ms)
{
    const struct rule *rule = exchange->rule;

    if (rule->latency != RULE_ALL)
        latency_ms = rule->latency;
    if (!wait_ms(exchange, latency_ms) ||
        !wait_for_file(exchange, rule->until)) {
        return close_silently(exchange, 0, BY_CLIENT);
    }
    buf_reset(&exchange->body);
    buf_reset(&exchange->wire);
    return plays[rule->action](exchange);
}

enum MHD_Result
play_json(struct MHD_Connection *connection, unsigned status, struct slice json)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        json.bytes, (void *)json.data, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result rc;

    if (!response)
        return MHD_NO;
    rc = MHD_add_response_header(response, "Content-Type", type_json);
    if (rc == MHD_YES)
        rc = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return rc;
}
