/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* POLLRDHUP */
#include "submit/http_server.h"

#include <assert.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "submit/http_linger.h"

#define BLOCK_BYTES 32768 /* of a pulled body, asked for at a time */
#define STOP_TURNS  100   /* until connections that were shut are closed */
/* So many times the connections from one address are taken, to be told that
 * they are too many; those beyond are closed. */
#define SURPLUS_FACTOR 4

struct connection {
    struct connection *next, *previous;
    struct http_server *server;
    struct MHD_Connection *mhd;
    int fd;
    struct http_address address;
    struct http_pace pace;
    struct exchange *exchange; /* NULL: between requests */
    bool is_surplus;           /* its address has too many */
    bool is_shut;              /* by us: it is about to go */
    bool is_refused;           /* before the end of a body */
};

struct http_server {
    struct gateway *gateway;
    struct http_terms terms;
    struct MHD_Daemon *daemon;
    struct connection *connections;
    size_t count;
    struct http_linger *linger;
    int64_t sweep_ms;
    bool is_draining;
    struct pollfd *polled; /* as many as connections; for the sweep */
    size_t polled_max;
};

static void
enter(struct connection *connection, enum http_phase phase)
{
    http_pace_enter(&connection->pace, phase,
                    connection->server->gateway->now_ms);
}

/* While it rests, the library does not look at it. */
static void
rest(struct connection *connection)
{
    http_pace_rest(&connection->pace, connection->server->gateway->now_ms);
    MHD_suspend_connection(connection->mhd);
}

static void
resume(struct connection *connection)
{
    if (!connection->pace.is_resting)
        return;
    http_pace_resume(&connection->pace, connection->server->gateway->now_ms);
    MHD_resume_connection(connection->mhd);
}

static void
wake(struct exchange *exchange)
{
    resume(exchange->connection);
}

/* Ends a connection: the library finds it closed. */
static void
shut(struct connection *connection)
{
    if (connection->is_shut)
        return;
    connection->is_shut = true;
    if (connection->exchange)
        http_exchange_lose(connection->exchange);
    resume(connection);
    (void)shutdown(connection->fd, SHUT_RDWR);
}

/* Says something where the library would say nothing: no byte of a reply was
 * sent yet. What does not fit into the socket's empty buffer is not needed. */
static void
send_whole(struct connection *connection, struct buf *text)
{
    (void)send(connection->fd, text->data, text->bytes,
               MSG_DONTWAIT | MSG_NOSIGNAL);
    buf_fini(text);
}

/* ---- replies ---- */

static void
add_field(struct MHD_Response *response, const char *name, const char *value)
{
    if (MHD_add_response_header(response, name, value) != MHD_YES)
        log_error("event=reply_field_refused name=%s", name);
}

/* The library wants more of a body. */
static ssize_t
on_read(void *cls, uint64_t at, char *to, size_t max)
{
    struct exchange *exchange = cls;
    size_t bytes;

    (void)at;
    if (exchange->is_over || !exchange->has_source)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    bytes = http_exchange_read(exchange, to, max);
    exchange->connection->pace.bytes += (int64_t)bytes;
    if (bytes > 0)
        return (ssize_t)bytes;
    if (exchange->is_failed)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (exchange->is_ended)
        return MHD_CONTENT_READER_END_OF_STREAM;
    rest(exchange->connection);
    return 0;
}

static struct MHD_Response *
make_response(struct exchange *exchange)
{
    size_t bytes = exchange->body.bytes;

    if (exchange->has_source) {
        int64_t length = exchange->source.bytes;

        return MHD_create_response_from_callback(
            length < 0 ? MHD_SIZE_UNKNOWN : (uint64_t)length, BLOCK_BYTES,
            on_read, exchange, NULL);
    }
    exchange->connection->pace.bytes = (int64_t)bytes;
    return MHD_create_response_from_buffer(bytes, buf_take(&exchange->body),
                                           MHD_RESPMEM_MUST_FREE);
}

static enum MHD_Result
deliver(struct exchange *exchange)
{
    struct connection *connection = exchange->connection;
    struct MHD_Response *response;
    enum MHD_Result rc;

    enter(connection, HTTP_PHASE_REPLY);
    response = make_response(exchange);
    assert(response);
    add_field(response, "Content-Type", exchange->type);
    add_field(response, "X-Content-Type-Options", "nosniff");
    if (!http_exchange_has(exchange, "Cache-Control"))
        add_field(response, "Cache-Control", "no-store");
    add_field(response, "x-request-id", exchange->request.id);
    for (size_t i = 0; i < exchange->field_count; i++)
        add_field(response, exchange->fields[i].name,
                  exchange->fields[i].value);
    if (exchange->must_close || connection->server->is_draining)
        add_field(response, "Connection", "close");
    rc = MHD_queue_response(connection->mhd, (unsigned)exchange->status,
                            response);
    MHD_destroy_response(response);
    return rc;
}

/* ---- requests ---- */

static enum MHD_Result
on_field(void *cls, enum MHD_ValueKind kind, const char *name,
         /* NOLINTNEXTLINE(readability-function-size): the library's */
         size_t name_bytes, const char *value, size_t value_bytes)
{
    struct http_head *head = cls;

    (void)kind;
    if (head->count < HTTP_HEADER_FIELDS_MAX) {
        head->fields[head->count] =
            (struct http_field){ { name, name_bytes },
                                 { value ? value : name + name_bytes,
                                   value_bytes } };
    }
    head->count++;
    return MHD_YES;
}

/* The header is there. */
static enum MHD_Result
begin(struct exchange *exchange, const char *method, const char *version)
{
    struct connection *connection = exchange->connection;
    struct http_head head = { .method = slice_of(method),
                              .version = slice_of(version),
                              .uri = buf_slice(&exchange->uri) };

    head.bytes = MHD_get_connection_info(
                     connection->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)
                     ->header_size;
    (void)MHD_get_connection_values_n(connection->mhd, MHD_HEADER_KIND,
                                      on_field, &head);
    exchange->is_surplus = connection->is_surplus;
    http_admit(exchange, &head, &connection->server->terms,
               &connection->address);
    enter(connection,
          http_gate_has_body(&head) ? HTTP_PHASE_BODY : HTTP_PHASE_ANSWER);
    /* What may follow is cut off by a reply at once; else, a reply in turn keeps
     * the connection. */
    connection->is_refused = exchange->must_close;
    return exchange->must_close ? deliver(exchange) : MHD_YES;
}

static enum MHD_Result
take_body(struct exchange *exchange, const char *data, size_t *bytes)
{
    struct connection *connection = exchange->connection;
    struct buf text = { 0 };
    size_t taken = 0;

    if (!exchange->is_replied)
        taken = http_exchange_take(exchange, (struct slice){ data, *bytes });
    if (exchange->is_replied) {
        /* The library replies before a body and behind it, but not within. */
        http_exchange_frame(exchange, &text);
        send_whole(connection, &text);
        connection->is_refused = true;
        return MHD_NO;
    }
    connection->pace.bytes += (int64_t)taken;
    *bytes -= taken;
    if (*bytes > 0)
        rest(connection);
    return MHD_YES;
}

static enum MHD_Result
answer(struct exchange *exchange)
{
    struct connection *connection = exchange->connection;

    if (!exchange->is_called && !exchange->is_replied) {
        exchange->is_called = true;
        enter(connection, HTTP_PHASE_ANSWER);
        exchange->request.route->handler(&exchange->request);
    }
    if (exchange->is_replied)
        return deliver(exchange);
    rest(connection);
    return MHD_YES;
}

/* The library calls this with the header, with each piece of the body, behind
 * it, and when a connection has rested. */
static enum MHD_Result
/* NOLINTNEXTLINE(readability-function-size): the library's signature */
on_request(void *cls, struct MHD_Connection *mhd, const char *url,
           const char *method, const char *version, const char *data,
           size_t *bytes, void **context)
{
    struct exchange *exchange = *context;

    (void)cls, (void)mhd, (void)url;
    if (exchange->connection->is_shut)
        return MHD_NO;
    if (exchange->connection->pace.phase == HTTP_PHASE_HEADER)
        return begin(exchange, method, version);
    if (*bytes > 0)
        return take_body(exchange, data, bytes);
    return answer(exchange);
}

static struct connection *
connection_of(struct MHD_Connection *mhd)
{
    return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
        ->socket_context;
}

/* The request's line is there. The library decodes the URI later, and would
 * cut it at a NUL. */
static void *
on_uri(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    struct connection *connection = connection_of(mhd);
    struct http_server *server = cls;

    connection->exchange = http_exchange_new(server->gateway);
    connection->exchange->connection = connection;
    connection->exchange->wake = wake;
    buf_add_str(&connection->exchange->uri, uri);
    connection->pace.phase = HTTP_PHASE_HEADER; /* since it was idle */
    return connection->exchange;
}

static void
on_completed(void *cls, struct MHD_Connection *mhd, void **context,
             enum MHD_RequestTerminationCode code)
{
    struct exchange *exchange = *context;

    (void)cls, (void)mhd, (void)code;
    if (!exchange)
        return;
    enter(exchange->connection, HTTP_PHASE_IDLE);
    exchange->connection->exchange = NULL;
    http_exchange_log(exchange);
    http_exchange_free(exchange);
    *context = NULL;
}

static size_t
count_of(const struct http_server *server, const struct http_address *address)
{
    const struct connection *connection = server->connections;
    size_t count = 0;

    for (; connection; connection = connection->next) {
        if (memcmp(&connection->address, address, sizeof(*address)) == 0 &&
            !connection->is_surplus) {
            count++;
        }
    }
    return count;
}

static void
open_connection(struct http_server *server, struct MHD_Connection *mhd,
                void **context)
{
    struct connection *connection = mem_zalloc(1, sizeof(*connection));
    const union MHD_ConnectionInfo *info;

    connection->server = server;
    connection->mhd = mhd;
    info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    connection->fd = info->connect_fd;
    info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    connection->address = http_place_of(info->client_addr);
    connection->is_surplus = count_of(server, &connection->address) >=
                             server->terms.connections_each_max;
    connection->next = server->connections;
    if (server->connections)
        server->connections->previous = connection;
    server->connections = connection;
    server->count++;
    enter(connection, HTTP_PHASE_HEADER);
    *context = connection;
}

static void
on_connection(void *cls, struct MHD_Connection *mhd, void **context,
              enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = cls;
    struct connection *connection = *context;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        open_connection(server, mhd, context);
        return;
    }
    if (connection->next)
        connection->next->previous = connection->previous;
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        server->connections = connection->next;
    server->count--;
    if (connection->is_refused && !connection->is_shut)
        http_linger_add(server->linger, connection->fd,
                        server->gateway->now_ms);
    free(connection);
}

/* ---- deadlines ---- */

static void
end_overdue(struct connection *connection, int64_t now_ms)
{
    const struct http_pace *pace = &connection->pace;
    struct buf text = { 0 };
    struct http_error error;

    if (connection->is_shut || now_ms < http_pace_end_ms(pace))
        return;
    log_warn("event=http_too_slow phase=%s bytes=%lld",
             http_phase_name(pace->phase), (long long)pace->bytes);
    if (pace->phase == HTTP_PHASE_HEADER || pace->phase == HTTP_PHASE_BODY) {
        http_error_set(&error, 408, "request_timeout",
                       "the request did not come in time");
        http_error_frame(&error, &text);
        send_whole(connection, &text);
    }
    shut(connection);
}

/* True if the client has hung up and nothing of it is left to be read. */
static bool
is_vanished(const struct connection *connection)
{
    char ignored;

    return connection->pace.is_resting ||
           recv(connection->fd, &ignored, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* At a connection at rest the library does not look; and of one whose client
 * hangs up right behind some bytes, it does not hear. */
static void
end_vanished(struct http_server *server)
{
    struct connection *connection;
    nfds_t count = 0;

    if (server->polled_max < server->count) {
        server->polled_max = server->count;
        server->polled = mem_grow(server->polled, server->polled_max,
                                  sizeof(server->polled[0]));
    }
    for (connection = server->connections; connection;
         connection = connection->next) {
        server->polled[count++] =
            (struct pollfd){ .fd = connection->fd, .events = POLLRDHUP };
    }
    if (count == 0 || poll(server->polled, count, 0) <= 0)
        return;
    count = 0;
    for (connection = server->connections; connection;
         connection = connection->next) {
        if (server->polled[count++].revents &&
            (connection->pace.is_resting ||
             connection->pace.phase != HTTP_PHASE_REPLY) &&
            is_vanished(connection)) {
            shut(connection);
        }
    }
}

static void
sweep(struct http_server *server)
{
    int64_t now_ms = server->gateway->now_ms;

    if (now_ms < server->sweep_ms)
        return;
    server->sweep_ms = now_ms + HTTP_SWEEP_MS;
    end_vanished(server);
    for (struct connection *connection = server->connections; connection;
         connection = connection->next) {
        end_overdue(connection, now_ms);
    }
}

/* ---- the listener ---- */

static struct MHD_Daemon *
start_daemon(struct http_server *server, const struct http_server_terms *terms,
             int fd)
{
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL,
        NULL, on_request, server, MHD_OPTION_EXTERNAL_LOGGER, http_library_log,
        NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_URI_LOG_CALLBACK, on_uri,
        server, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_POOL_BYTES,
        MHD_OPTION_CONNECTION_LIMIT, terms->connections_max,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        SURPLUS_FACTOR * terms->http.connections_each_max,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_STALL_S,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
}

struct http_server *
http_server_new(struct gateway *gateway, const struct http_server_terms *terms,
                struct err *err)
{
    struct http_server *server;
    int fd = http_place_listen(terms->place, err);

    if (fd < 0)
        return NULL;
    server = mem_zalloc(1, sizeof(*server));
    server->gateway = gateway;
    server->terms = terms->http;
    server->linger = http_linger_new();
    server->daemon = start_daemon(server, terms, fd);
    if (server->daemon)
        return server;
    err_set(err, E_IO, "start the HTTP server: the library refuses");
    (void)close(fd);
    http_linger_free(server->linger);
    free(server);
    return NULL;
}

void
http_server_free(struct http_server *server)
{
    if (!server)
        return;
    for (int turn = 0; server->connections && turn < STOP_TURNS; turn++) {
        for (struct connection *connection = server->connections; connection;
             connection = connection->next) {
            shut(connection);
        }
        (void)MHD_run(server->daemon);
    }
    MHD_stop_daemon(server->daemon);
    http_linger_free(server->linger);
    free(server->polled);
    free(server);
}

void
http_server_drain(struct http_server *server)
{
    MHD_socket fd = MHD_quiesce_daemon(server->daemon);

    server->is_draining = true;
    if (fd != MHD_INVALID_SOCKET)
        (void)close(fd);
    for (struct connection *connection = server->connections; connection;
         connection = connection->next) {
        if (!connection->exchange || (connection->exchange->has_source &&
                                      connection->exchange->source.is_endless))
            shut(connection);
    }
}

bool
http_server_is_idle(const struct http_server *server)
{
    for (const struct connection *connection = server->connections; connection;
         connection = connection->next) {
        if (connection->exchange && !connection->is_shut)
            return false;
    }
    return true;
}

size_t
http_server_count(const struct http_server *server)
{
    return server->count;
}

void
http_server_turn(struct http_server *server)
{
    if (MHD_run(server->daemon) != MHD_YES)
        log_error("event=http_run_failed");
    sweep(server);
    http_linger_turn(server->linger, server->gateway->now_ms);
}

int
http_server_fd(const struct http_server *server)
{
    return MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)
        ->epoll_fd;
}

int64_t
http_server_next_ms(const struct http_server *server)
{
    int64_t next_ms = http_linger_next_ms(server->linger);
    int64_t now_ms = server->gateway->now_ms;
    MHD_UNSIGNED_LONG_LONG timeout_ms;

    if (MHD_get_timeout(server->daemon, &timeout_ms) == MHD_YES &&
        timeout_ms < INT32_MAX && now_ms + (int64_t)timeout_ms < next_ms) {
        next_ms = now_ms + (int64_t)timeout_ms;
    }
    if (server->count > 0 && server->sweep_ms < next_ms)
        next_ms = server->sweep_ms;
    return next_ms;
}
