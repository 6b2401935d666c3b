/*
 * sheaf_http.c - the program sheaf-http
 *
 * HTTP in front of a broker, to which it is one more client. Here: options, and
 * the order in which things are set up and taken down. The work is in
 * http_gateway.c.
 */
/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* getopt_long */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/program.h"
#include "base/runtime.h"
#include "base/text.h"
#include "submit/http_events.h"
#include "submit/http_gateway.h"
#include "submit/http_server.h"

#define PROGRAM         "sheaf-http"
#define EXIT_INUSE      10
#define LISTEN_DEFAULT  "127.0.0.1:8017"
#define METRICS_DEFAULT "127.0.0.1:9017"
#define CLIENT_DEFAULT  "http"
#define ANSWER_S        570 /* less than the SDKs' 600 s */
#define ANSWER_S_MAX    86400
#define FDS_EACH        (HTTP_SERVERS_MAX + 1) /* one may have an upload */
#define FDS_EXTRA       256                    /* beside the connections */
#define SPOOL_BYTES_MAX 1099511627776L         /* that can be asked for */

static const char usage[] =
    "Usage: sheaf-http [OPTION]...\n"
    "       sheaf-http --new-token CLIENT\n"
    "Serve a Sheaf broker over HTTP, with the API of OpenAI.\n"
    "\n"
    "  --broker ENDPOINT        the broker's endpoint for clients\n"
    "                           (SHEAF_BROKER; ipc://RUNTIME/clients)\n"
    "  --listen ADDR:PORT       where the API is served (" LISTEN_DEFAULT ")\n"
    "  --metrics-listen ADDR:PORT\n"
    "                           health and metrics (" METRICS_DEFAULT ")\n"
    "  --tokens FILE            who may ask; without it, only this host, and\n"
    "                           all of it\n"
    "  --new-token CLIENT       make a token: print it, and its row for FILE\n"
    "  --connections N          at one time, for each address listened at "
    "(256)\n"
    "  --connections-each N     of these, from one client's address (32)\n"
    "  --answer-timeout S       how long a completion may take (570)\n"
    "  --spool DIR              where uploads are kept until they are whole\n"
    "                           (" HTTP_SPOOL_DIR ")\n"
    "  --spool-bytes N          of all of them together (2147483648)\n"
    "  --log-format text|json\n"
    "  --log-level debug|info|warn|error\n"
    "  --help, --version\n"
    "\n"
    "Port 0 is any free one. Where it listens is printed.\n"
    "See sheaf-http(8).\n";

struct options {
    const char *broker;
    const char *listen;
    const char *metrics_listen;
    const char *tokens;
    const char *new_token;
    const char *spool;
    int64_t connections, connections_each, answer_s, spool_bytes;
    struct program_log log;
};

enum option_key {
    OPTION_BROKER = 256,
    OPTION_LISTEN,
    OPTION_METRICS_LISTEN,
    OPTION_TOKENS,
    OPTION_NEW_TOKEN,
    OPTION_CONNECTIONS,
    OPTION_CONNECTIONS_EACH,
    OPTION_ANSWER_TIMEOUT,
    OPTION_SPOOL,
    OPTION_SPOOL_BYTES,
};

static const struct option long_options[] = {
    { "broker", required_argument, NULL, OPTION_BROKER },
    { "listen", required_argument, NULL, OPTION_LISTEN },
    { "metrics-listen", required_argument, NULL, OPTION_METRICS_LISTEN },
    { "tokens", required_argument, NULL, OPTION_TOKENS },
    { "new-token", required_argument, NULL, OPTION_NEW_TOKEN },
    { "connections", required_argument, NULL, OPTION_CONNECTIONS },
    { "connections-each", required_argument, NULL, OPTION_CONNECTIONS_EACH },
    { "answer-timeout", required_argument, NULL, OPTION_ANSWER_TIMEOUT },
    { "spool", required_argument, NULL, OPTION_SPOOL },
    { "spool-bytes", required_argument, NULL, OPTION_SPOOL_BYTES },
    PROGRAM_OPTIONS,
    { NULL, 0, NULL, 0 },
};

static void
take_option(struct options *options, int key, const char *value)
{
    switch (key) {
    case OPTION_BROKER:
        options->broker = value;
        break;
    case OPTION_LISTEN:
        options->listen = value;
        break;
    case OPTION_METRICS_LISTEN:
        options->metrics_listen = value;
        break;
    case OPTION_TOKENS:
        options->tokens = value;
        break;
    case OPTION_NEW_TOKEN:
        options->new_token = value;
        break;
    case OPTION_CONNECTIONS:
        options->connections = program_number(PROGRAM, "--connections", value,
                                              1, HTTP_CONNECTIONS_MAX);
        break;
    case OPTION_CONNECTIONS_EACH:
        options->connections_each = program_number(
            PROGRAM, "--connections-each", value, 1, HTTP_CONNECTIONS_MAX);
        break;
    case OPTION_ANSWER_TIMEOUT:
        options->answer_s =
            program_number(PROGRAM, "--answer-timeout", value, 1, ANSWER_S_MAX);
        break;
    case OPTION_SPOOL:
        options->spool = value;
        break;
    case OPTION_SPOOL_BYTES:
        options->spool_bytes =
            program_number(PROGRAM, "--spool-bytes", value, 1, SPOOL_BYTES_MAX);
        break;
    default:
        program_take(PROGRAM, usage, key, value, &options->log);
    }
}

static void
parse_options(struct options *options, int argc, char **argv)
{
    int key;

    *options = (struct options){
        .broker = getenv("SHEAF_BROKER"),
        .listen = LISTEN_DEFAULT,
        .metrics_listen = METRICS_DEFAULT,
        .connections = HTTP_CONNECTIONS_DEFAULT,
        .connections_each = HTTP_CONNECTIONS_EACH_DEFAULT,
        .answer_s = ANSWER_S,
        .spool = HTTP_SPOOL_DIR,
        .spool_bytes = HTTP_SPOOL_BYTES_MAX,
        .log = { .level = LOG_INFO },
    };
    while ((key = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        take_option(options, key, optarg);
    if (optind < argc)
        program_refuse(PROGRAM, "no such argument", argv[optind]);
}

/* The token is shown once, and kept nowhere: the row is for the file. */
static int
make_token(const char *client)
{
    char token[HTTP_TOKEN_TEXT_BYTES];
    struct buf row = { 0 };
    struct err err = { 0 };
    bool is_printed;

    if (http_tokens_make(client, token, &row, &err) < 0) {
        (void)fprintf(stderr, "sheaf-http: --new-token: %s\n", err.msg);
        return err.code == E_INVALID ? PROGRAM_EXIT_USAGE : PROGRAM_EXIT_IO;
    }
    is_printed = printf("%s\n%s", token, row.data) > 0;
    buf_fini(&row);
    program_end_printed("sheaf-http", is_printed);
}

/* A descriptor for each connection, as far as the system allows. */
static int
raise_fd_limit(const struct options *options, struct err *err)
{
    rlim_t wanted = (rlim_t)(options->connections * FDS_EACH + FDS_EXTRA);
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return err_set(err, E_IO, "getrlimit: %s", strerror(errno));
    if (limit.rlim_cur >= wanted)
        return 0;
    limit.rlim_cur = wanted;
    if (limit.rlim_max < wanted || setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return err_set(err, E_USAGE,
                       "--connections %lld: this process may have %llu open "
                       "files, and needs %llu",
                       (long long)options->connections,
                       (unsigned long long)limit.rlim_max,
                       (unsigned long long)wanted);
    return 0;
}

static struct http_broker *
connect_broker(const struct options *options, struct err *err)
{
    struct http_broker *broker = NULL;
    struct buf endpoint = { 0 };

    if (options->broker)
        buf_add_str(&endpoint, options->broker);
    else if (runtime_endpoint("clients", &endpoint, err) < 0)
        return NULL;
    broker = http_broker_new(endpoint.data, err);
    buf_fini(&endpoint);
    return broker;
}

/* Beyond this host, nobody is let in who does not say who he is. */
static int
listen_at(struct gateway *gateway, const struct options *options,
          const char *name, const char *text, struct err *err)
{
    bool is_api = strcmp(name, "listen") == 0;
    struct http_place place;
    struct http_server_terms terms = {
        .place = &place,
        .http = { .routes = is_api ? &http_api_routes : &http_watch_routes,
                  .connections_each_max = (unsigned)options->connections_each },
        .connections_max = (unsigned)options->connections,
    };
    struct buf url = { 0 };

    if (http_place_parse(text, &place, err) < 0)
        return err_wrap(err, "--%s", name);
    if (!http_place_is_local(&place) && !gateway->tokens)
        return err_set(err, E_USAGE,
                       "--%s %s: beyond this host, requests are served with "
                       "tokens only; give --tokens FILE",
                       name, text);
    terms.http.asks_tokens =
        gateway->tokens && (is_api || !http_place_is_local(&place));
    gateway->servers[gateway->server_count] =
        http_server_new(gateway, &terms, err);
    if (!gateway->servers[gateway->server_count])
        return err_wrap(err, "--%s", name);
    gateway->server_count++;
    http_place_text(&place, &url);
    log_info("event=listening what=%s address=%s tokens=%d", name, url.data,
             terms.http.asks_tokens);
    /* For whoever asked for any port. */
    (void)printf("%s http://%s\n", name, url.data);
    (void)fflush(stdout);
    buf_fini(&url);
    return 0;
}

/* Better now than with the first upload. */
static int
try_spool(struct gateway *gateway, struct err *err)
{
    struct http_spool *spool = http_spool_new(&gateway->spool, err);

    if (!spool) {
        (void)err_wrap(err, "--spool");
        err->code = E_USAGE;
    }
    http_spool_free(spool);
    return err->code;
}

/* Opens what the gateway needs, serves, and closes it in the other order. */
static int
serve(struct gateway *gateway, const struct options *options, int signal_fd,
      struct err *err)
{
    int code = PROGRAM_EXIT_USAGE;

    if (options->tokens) {
        gateway->tokens = http_tokens_load(options->tokens, err);
        if (!gateway->tokens)
            return PROGRAM_EXIT_USAGE;
    }
    gateway->guard = http_guard_new();
    gateway->text_rules = text_rules_new(err);
    gateway->events = http_events_new(gateway);
    if (gateway->text_rules)
        gateway->broker = connect_broker(options, err);
    if (gateway->broker && raise_fd_limit(options, err) == 0 &&
        try_spool(gateway, err) == 0 &&
        listen_at(gateway, options, "listen", options->listen, err) == 0 &&
        listen_at(gateway, options, "metrics-listen", options->metrics_listen,
                  err) == 0) {
        code = http_gateway_run(gateway, signal_fd);
        log_info("event=gateway_stopped code=%d", code);
    } else if (err->code == E_INUSE || err->code == E_IO) {
        code = err->code == E_INUSE ? EXIT_INUSE : PROGRAM_EXIT_IO;
    }
    for (size_t i = 0; i < gateway->server_count; i++)
        http_server_free(gateway->servers[i]);
    http_events_free(gateway->events);
    text_rules_free(gateway->text_rules);
    http_broker_free(gateway->broker);
    http_guard_free(gateway->guard);
    http_tokens_free(gateway->tokens);
    return code;
}

int
main(int argc, char **argv)
{
    struct options options;
    struct gateway gateway = { .client = CLIENT_DEFAULT };
    struct rlimit none = { 0, 0 };
    struct err err = { 0 };
    int signal_fd, code;

    program_open_standard("sheaf-http");
    parse_options(&options, argc, argv);
    if (options.new_token)
        return make_token(options.new_token);
    log_setup(options.log.level, options.log.is_json);
    umask(S_IRWXG | S_IRWXO);
    (void)setrlimit(RLIMIT_CORE, &none); /* requests hold tokens */
    signal_fd = program_open_signals(0, &err);
    if (signal_fd < 0)
        log_fatal("event=signals_failed reason=\"%s\"", err.msg);
    gateway.tokens_path = options.tokens;
    gateway.answer_ms = options.answer_s * 1000;
    gateway.spool.dir = options.spool;
    gateway.spool.bytes_max = options.spool_bytes;
    code = serve(&gateway, &options, signal_fd, &err);
    if (err.code != 0)
        log_error("event=gateway_failed reason=\"%s\"", err.msg);
    close(signal_fd);
    return code;
}
