/*
 * upstream.c - an OpenAI-compatible server for the end-to-end tests
 *
 *   upstream [--port N] [--port-file FILE] [--log FILE] [--script FILE]
 *            [--latency-ms N] [--requests-max N] [--parent]
 *
 * Listens on 127.0.0.1. Port 0, the default, is any free one; the port is
 * written to the port file, which appears (by a rename) when calls are taken.
 * Ends on SIGTERM or SIGINT; after --requests-max calls have ended and the
 * last reply was sent; with --parent, when its parent process dies. Exit codes:
 * 0, 2 usage or a bad script, 7 anything else.
 *
 * A POST to any path is a call. It is answered with a chat completion:
 *
 *   {"id":"chatcmpl-N","object":"chat.completion","created":0,"model":…,
 *    "choices":[{"index":0,"message":{"role":"assistant",
 *    "content":"echo 0123456789abcdef","refusal":null},
 *    "finish_reason":"stop"}],"usage":{"prompt_tokens":…,…}}
 *
 * The paths that end with /responses, /completions (without chat) and /embeddings
 * are answered in the form of those: the first two with the same text, the third
 * with two numbers, in several lines; `input` or `prompt` stands for the message.
 *
 * N numbers the calls from 1. The model is the request's, or "test". The digits
 * are the first 16 of the SHA-256 of the last user message's text: the decoded
 * string, or the texts of its parts, one behind the other; without a user
 * message, of no bytes. So `printf %s "$text" | sha256sum` tells which prompt
 * got which answer. prompt_tokens is a quarter of that text's bytes, rounded
 * up; completion_tokens is 5. A body that is not strict JSON is a 400.
 *
 * What goes wrong, and when, is said by a script: upstream_script.h.
 *
 * The log has two lines a call (upstream_ledger.h says when):
 *
 *   {"event":"start","n":17,"t_us":…,"in_flight":3,"conn":5,"sha":"…",
 *    "user":"…","goal":"…","auth":"…","path":"…","bytes":…,"rule":2}
 *   {"event":"end","n":17,"t_us":…,"status":200,"closed_by":"server"}
 *
 * t_us is the monotonic clock; in_flight counts this call; sha begins the
 * digest of the body, user that of the user message; goal is the start of the
 * system message, at most 80 bytes; rule is a line of the script, or 0. The
 * status is 0 if none was sent; closed_by is "client" if the client left first.
 *
 * GET /stats answers {"calls":…,"in_flight":…,"in_flight_max":…,"distinct":…},
 * the last one counting distinct bodies; GET /reset does the same and then
 * starts these and the script's counts anew.
 *
 * Each connection has a thread, so that a call that hangs holds up no other.
 */
/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* sockets and signals */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "tests/upstream_play.h"

#define BODY_BYTES_MAX       67108864 /* of a request; more is a 413 */
#define GOAL_BYTES_MAX       80
#define LATENCY_MS_MAX       3600000L
#define REQUESTS_MAX_MAX     1000000000L
#define CONNECTION_COUNT_MAX LEDGER_CALL_MAX
#define FD_COUNT_MAX         4096 /* two for each connection */
#define LISTEN_BACKLOG       1024
#define CONNECTION_BYTES     65536U /* the library's buffer for each */
#define THREAD_STACK_BYTES   262144U

struct options {
    long port;
    const char *port_file;
    const char *log_file;
    const char *script_file;
    long latency_ms;
    long requests_max; /* 0: no end */
    bool ends_with_parent;
};

struct upstream {
    const struct options *options;
    struct ledger *ledger;
    struct script *script;
};

/* A connection, used by its own thread. Its memory serves call after call. */
struct link {
    struct call call;
    struct exchange exchange;
    struct digest *digest;
    struct json_doc doc;
    struct buf body;
    struct buf text;
    bool is_too_big; /* the body of the present request */
};

/* Appends the text of a message's content: a string, or the texts of parts. */
static void
add_content(const struct json_doc *doc, size_t at, struct buf *out)
{
    if (doc->tokens[at].type == JSON_STRING) {
        json_decode(doc, at, out);
        return;
    }
    if (doc->tokens[at].type != JSON_ARRAY)
        return;
    for (size_t i = at + 1; i < doc->tokens[at].next; i = doc->tokens[i].next) {
        size_t text = json_member(doc, i, "text");

        if (text != JSON_NONE && doc->tokens[text].type == JSON_STRING)
            json_decode(doc, text, out);
    }
}

/* Finds the contents of the last user message and of the first system one;
 * JSON_NONE where there is none. */
static void
find_messages(const struct json_doc *doc, size_t *user, size_t *system)
{
    size_t messages = json_member(doc, 0, "messages");

    *user = *system = JSON_NONE;
    if (messages == JSON_NONE || doc->tokens[messages].type != JSON_ARRAY)
        return;
    for (size_t i = messages + 1; i < doc->tokens[messages].next;
         i = doc->tokens[i].next) {
        size_t role = json_member(doc, i, "role");
        size_t content = json_member(doc, i, "content");

        if (role == JSON_NONE || content == JSON_NONE)
            continue;
        if (json_is(doc, role, "user"))
            *user = content;
        else if (*system == JSON_NONE && (json_is(doc, role, "system") ||
                                          json_is(doc, role, "developer")))
            *system = content;
    }
}

/* Keeps the start of the system message, whole characters only. */
static void
cut_goal(struct buf *goal)
{
    size_t bytes = GOAL_BYTES_MAX;

    if (goal->bytes <= bytes)
        return;
    while (bytes > 0 && (goal->data[bytes] & 0xc0) == 0x80)
        bytes--;
    goal->bytes = bytes;
}

/* Fills in what the body says about the call. */
static void
read_body(struct link *link)
{
    struct exchange *exchange = &link->exchange;
    unsigned char digest[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    size_t user = JSON_NONE, system = JSON_NONE, model;
    struct call *call = &link->call;

    buf_reset(&link->text);
    buf_reset(&call->goal);
    exchange->model = slice_of("\"test\"");
    exchange->is_json = json_parse(&link->doc, link->body.data,
                                   link->body.bytes, JSON_INPUT, NULL) == 0;
    if (exchange->is_json) {
        find_messages(&link->doc, &user, &system);
        if (user == JSON_NONE)
            user = json_member(&link->doc, 0, "input");
        if (user == JSON_NONE)
            user = json_member(&link->doc, 0, "prompt");
        model = json_member(&link->doc, 0, "model");
        if (model != JSON_NONE && link->doc.tokens[model].type == JSON_STRING)
            exchange->model = json_raw(&link->doc, model);
    }
    if (user != JSON_NONE)
        add_content(&link->doc, user, &link->text);
    if (system != JSON_NONE)
        add_content(&link->doc, system, &call->goal);
    cut_goal(&call->goal);
    exchange->prompt_bytes = link->text.bytes;
    digest_add(link->digest, link->text.data, link->text.bytes);
    digest_final(link->digest, digest);
    digest_hex(digest, hex);
    memcpy(call->user, hex, sizeof(call->user) - 1);
    digest_add(link->digest, link->body.data, link->body.bytes);
    digest_final(link->digest, call->digest);
    call->bytes = link->body.bytes;
}

static enum MHD_Result
serve_call(struct upstream *upstream, struct link *link,
           struct MHD_Connection *connection, const char *path)
{
    struct exchange *exchange = &link->exchange;
    struct call *call = &link->call;
    const char *auth = MHD_lookup_connection_value(
        connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);

    if (link->is_too_big)
        return play_json(connection, MHD_HTTP_CONTENT_TOO_LARGE,
                         slice_of("{\"error\":{\"message\":\"too large\"}}"));
    read_body(link);
    call->auth = auth ? auth : "";
    call->path = path;
    exchange->rule =
        script_pick(upstream->script, buf_slice(&link->body), call->digest);
    call->rule = exchange->rule->line;
    exchange->connection = connection;
    exchange->ledger = upstream->ledger;
    exchange->call = call;
    if (ledger_start(upstream->ledger, call) < 0) {
        log_error("event=call_refused in_flight_max=%d", LEDGER_CALL_MAX);
        return MHD_NO;
    }
    return exchange_play(exchange, upstream->options->latency_ms);
}

static enum MHD_Result
serve_control(struct upstream *upstream, struct MHD_Connection *connection,
              const char *method, const char *path)
{
    bool is_reset = strcmp(path, "/reset") == 0;
    struct buf json = { 0 };
    enum MHD_Result rc;

    if (strcmp(method, "GET") != 0 ||
        (!is_reset && strcmp(path, "/stats") != 0)) {
        return play_json(connection, MHD_HTTP_NOT_FOUND,
                         slice_of("{\"error\":{\"message\":\"not found\"}}"));
    }
    ledger_stats(upstream->ledger, &json);
    if (is_reset) {
        ledger_reset(upstream->ledger);
        script_reset(upstream->script);
    }
    rc = play_json(connection, MHD_HTTP_OK, buf_slice(&json));
    buf_fini(&json);
    return rc;
}

static struct link *
link_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection,
                                   MHD_CONNECTION_INFO_SOCKET_CONTEXT)
        ->socket_context;
}

/* The library calls this with the headers, with each piece of the body, and at
 * the end; *request tells the first call from the others. */
static enum MHD_Result
/* NOLINTNEXTLINE(readability-function-size): the library's signature */
on_request(void *cls, struct MHD_Connection *connection, const char *url,
           const char *method, const char *version, const char *data,
           size_t *bytes, void **request)
{
    struct link *link = link_of(connection);

    (void)version;
    if (!*request) {
        *request = link;
        buf_reset(&link->body);
        buf_reserve(&link->body, 0); /* never NULL, even if no byte comes */
        link->is_too_big = false;
        return MHD_YES;
    }
    if (*bytes > 0) {
        if (*bytes > BODY_BYTES_MAX - link->body.bytes)
            link->is_too_big = true;
        else
            buf_add(&link->body, data, *bytes);
        *bytes = 0;
        return MHD_YES;
    }
    if (strcmp(method, "POST") == 0)
        return serve_call(cls, link, connection, url);
    return serve_control(cls, connection, method, url);
}

static void
on_connection(void *cls, struct MHD_Connection *connection, void **context,
              enum MHD_ConnectionNotificationCode code)
{
    struct upstream *upstream = cls;
    struct link *link = *context;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        link = mem_zalloc(1, sizeof(*link));
        link->digest = digest_new();
        link->call.conn = ledger_connection(upstream->ledger);
        link->call.fd = MHD_get_connection_info(
                            connection, MHD_CONNECTION_INFO_CONNECTION_FD)
                            ->connect_fd;
        *context = link;
        return;
    }
    digest_free(link->digest);
    json_fini(&link->doc);
    buf_fini(&link->body);
    buf_fini(&link->text);
    buf_fini(&link->call.goal);
    buf_fini(&link->exchange.body);
    buf_fini(&link->exchange.wire);
    buf_fini(&link->exchange.value);
    free(link);
}

/* A request is done, and its reply sent: ends the program after the last. */
static void
on_completed(void *cls, struct MHD_Connection *connection, void **request,
             enum MHD_RequestTerminationCode code)
{
    struct upstream *upstream = cls;
    long requests_max = upstream->options->requests_max;

    (void)connection;
    (void)request;
    (void)code;
    if (requests_max > 0 &&
        ledger_ended(upstream->ledger) >= (uint64_t)requests_max) {
        kill(getpid(), SIGTERM);
    }
}

/* Binds and listens. 0, *fd and the port that was bound. */
static int
listen_on(long *port, int *fd, struct err *err)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)*port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t bytes = sizeof(address);
    int on = 1;

    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0)
        return err_set(err, E_IO, "socket: %s", strerror(errno));
    if (setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(*fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(*fd, LISTEN_BACKLOG) < 0 ||
        getsockname(*fd, (struct sockaddr *)&address, &bytes) < 0) {
        int rc = err_set(err, E_IO, "listen on 127.0.0.1:%ld: %s", *port,
                         strerror(errno));

        close(*fd);
        return rc;
    }
    *port = ntohs(address.sin_port);
    return 0;
}

static int
write_port(const char *path, long port, struct err *err)
{
    struct buf name = { 0 };
    FILE *file;
    bool is_written;
    int rc = 0;

    if (!path)
        return 0;
    buf_addf(&name, "%s.new", path);
    file = fopen(name.data, "we");
    if (!file) {
        rc = err_set(err, E_IO, "open %s: %s", name.data, strerror(errno));
        goto out;
    }
    is_written = fprintf(file, "%ld\n", port) > 0;
    if (fclose(file) == EOF || !is_written)
        rc = err_set(err, E_IO, "write %s: %s", name.data, strerror(errno));
    else if (rename(name.data, path) < 0)
        rc = err_set(err, E_IO, "rename to %s: %s", path, strerror(errno));
out:
    buf_fini(&name);
    return rc;
}

/* One descriptor a connection, for as many as the library is told to take. */
static int
raise_fd_limit(struct err *err)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return err_set(err, E_IO, "getrlimit: %s", strerror(errno));
    if (limit.rlim_cur >= FD_COUNT_MAX)
        return 0;
    limit.rlim_cur =
        limit.rlim_max < FD_COUNT_MAX ? limit.rlim_max : FD_COUNT_MAX;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return err_set(err, E_IO, "setrlimit: %s", strerror(errno));
    return 0;
}

/* Serves until one of the signals comes, which are blocked in all threads. */
static int
serve(struct upstream *upstream, const sigset_t *signals, struct err *err)
{
    long port = upstream->options->port;
    struct MHD_Daemon *daemon;
    int fd, signal_number, rc;

    rc = listen_on(&port, &fd, err);
    if (rc < 0)
        return rc;
    daemon = MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
            MHD_USE_POLL | MHD_USE_ITC,
        0, NULL, NULL, on_request, upstream, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, upstream,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, upstream,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTION_COUNT_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
        MHD_OPTION_THREAD_STACK_SIZE, (size_t)THREAD_STACK_BYTES,
        MHD_OPTION_END);
    if (!daemon) {
        close(fd);
        return err_set(err, E_IO, "start the HTTP server on port %ld", port);
    }
    rc = write_port(upstream->options->port_file, port, err);
    if (rc == 0) {
        log_info("event=listening port=%ld", port);
        sigwait(signals, &signal_number);
    }
    MHD_stop_daemon(daemon); /* closes fd, and wakes the calls that wait */
    return rc;
}

static int
run(const struct options *options, struct err *err)
{
    struct upstream upstream = { .options = options };
    pid_t parent = getppid();
    sigset_t signals;
    int rc;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    if (options->ends_with_parent) {
        if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
            return err_set(err, E_IO, "prctl: %s", strerror(errno));
        if (getppid() != parent) /* it died before */
            return 0;
    }
    rc = raise_fd_limit(err);
    if (rc == 0)
        rc = script_open(options->script_file, &upstream.script, err);
    if (rc == 0)
        rc = ledger_open(options->log_file, &upstream.ledger, err);
    if (rc == 0)
        rc = serve(&upstream, &signals, err);
    ledger_close(upstream.ledger);
    script_close(upstream.script);
    return rc;
}

static int
read_number(const char *name, long max, long *value, struct err *err)
{
    if (script_number(optarg, 0, max, value) < 0)
        return err_set(err, E_USAGE, "--%s: want a number from 0 to %ld", name,
                       max);
    return 0;
}

static int
read_options(int argc, char **argv, struct options *options, struct err *err)
{
    static const struct option longs[] = {
        { "port", required_argument, NULL, 'p' },
        { "port-file", required_argument, NULL, 'f' },
        { "log", required_argument, NULL, 'l' },
        { "script", required_argument, NULL, 's' },
        { "latency-ms", required_argument, NULL, 'm' },
        { "requests-max", required_argument, NULL, 'r' },
        { "parent", no_argument, NULL, 'd' },
        { NULL, 0, NULL, 0 },
    };
    int option, at = 0, rc = 0;

    while (rc == 0 &&
           (option = getopt_long(argc, argv, "", longs, &at)) != -1) {
        if (option == 'p')
            rc = read_number(longs[at].name, 65535, &options->port, err);
        else if (option == 'f')
            options->port_file = optarg;
        else if (option == 'l')
            options->log_file = optarg;
        else if (option == 's')
            options->script_file = optarg;
        else if (option == 'm')
            rc = read_number(longs[at].name, LATENCY_MS_MAX,
                             &options->latency_ms, err);
        else if (option == 'r')
            rc = read_number(longs[at].name, REQUESTS_MAX_MAX,
                             &options->requests_max, err);
        else if (option == 'd')
            options->ends_with_parent = true;
        else
            return err_set(err, E_USAGE, "see the head of tests/upstream.c");
    }
    if (rc == 0 && optind < argc)
        return err_set(err, E_USAGE, "no arguments wanted: %s", argv[optind]);
    return rc;
}

int
main(int argc, char **argv)
{
    struct options options = { 0 };
    struct err err = { 0 };
    int rc = read_options(argc, argv, &options, &err);

    if (rc == 0)
        rc = run(&options, &err);
    if (rc == 0)
        return 0;
    log_error("event=upstream_failed reason=\"%s\"", err.msg);
    return rc == E_IO ? LOG_FATAL_EXIT : 2;
}
