/*
 * sheaf_worker.c - the program sheaf-worker
 *
 * Takes leases from a broker, calls the upstreams, and reports what came back.
 * Here: options, configuration, and the order in which things are set up and
 * taken down. The work is in loop.c.
 */
/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* getopt_long */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/program.h"
#include "base/runtime.h"
#include "worker/environment.h"
#include "worker/loop.h"
#include "worker/worker.h"

#define PROGRAM          "sheaf-worker"
#define CAPACITY_DEFAULT 5
#define CAPACITY_MAX     1024
#define LINGER_MS        1000 /* for the last messages */
/* Of a message from the broker: a draft, the options of its batch, and what is
 * put around them, each escaped at worst. */
#define FRAME_BYTES_EXTRA INT64_C(4194304)

static const char usage[] =
    "Usage: sheaf-worker [OPTION]...\n"
    "Take requests from a Sheaf broker, call the upstreams, report the "
    "answers.\n"
    "\n"
    "  --broker ENDPOINT   the broker's endpoint for workers\n"
    "                      (SHEAF_WORKER_BROKER; ipc://RUNTIME/workers)\n"
    "  --config FILE       configuration (SHEAF_CONFIG; " CONF_PATH_DEFAULT
    ")\n"
    "  --name NAME         this worker's name in logs and statistics\n"
    "  --capacity N        calls in flight at most (5)\n"
    "  --own TOKEN         says which broker started this worker\n"
    "  --parent-fd N       end when this descriptor comes to its end\n"
    "  --log-format text|json\n"
    "  --log-level debug|info|warn|error\n"
    "  --help, --version\n"
    "\n"
    "See sheaf-worker(8).\n";

struct options {
    const char *broker;
    const char *config;
    const char *name;
    const char *own;
    int64_t capacity;
    int parent_fd;
    struct program_log log;
};

enum option_key {
    OPTION_BROKER = 256,
    OPTION_CONFIG,
    OPTION_NAME,
    OPTION_CAPACITY,
    OPTION_OWN,
    OPTION_PARENT_FD,
};

static const struct option long_options[] = {
    { "broker", required_argument, NULL, OPTION_BROKER },
    { "config", required_argument, NULL, OPTION_CONFIG },
    { "name", required_argument, NULL, OPTION_NAME },
    { "capacity", required_argument, NULL, OPTION_CAPACITY },
    { "own", required_argument, NULL, OPTION_OWN },
    { "parent-fd", required_argument, NULL, OPTION_PARENT_FD },
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
    case OPTION_CONFIG:
        options->config = value;
        break;
    case OPTION_NAME:
        options->name = value;
        break;
    case OPTION_CAPACITY:
        options->capacity =
            program_number(PROGRAM, "--capacity", value, 1, CAPACITY_MAX);
        break;
    case OPTION_OWN:
        options->own = value;
        break;
    case OPTION_PARENT_FD:
        options->parent_fd =
            (int)program_number(PROGRAM, "--parent-fd", value, 0, 65535);
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
        .broker = getenv("SHEAF_WORKER_BROKER"),
        .capacity = CAPACITY_DEFAULT,
        .parent_fd = LOOP_NO_FD,
        .log = { .level = LOG_INFO },
    };
    while ((key = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        take_option(options, key, optarg);
    if (optind < argc)
        program_refuse(PROGRAM, "no such argument", argv[optind]);
}

static int
load_conf(struct conf *conf, const char *given, struct err *err)
{
    const char *path;
    int rc;

    conf_init(conf);
    rc = conf_find_file(given, getenv, &path, err);
    if (rc == 0 && path)
        rc = conf_load(conf, path, err);
    if (rc == 0)
        rc = conf_use_environment(conf, getenv, err);
    return rc < 0 ? rc : conf_check(conf, err);
}

/* Whoever started us holds the other end: reads must not wait for it. */
static int
open_parent(int fd, struct err *err)
{
    int flags;

    if (fd == LOOP_NO_FD)
        return 0;
    flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        return err_set(err, E_USAGE, "--parent-fd %d: %s", fd, strerror(errno));
    }
    return 0;
}

/* Keys shall not end up in a core file. Undone when they are wiped. */
static void
allow_cores(bool is_allowed)
{
    struct rlimit none = { 0, 0 };

    if (!is_allowed)
        (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, is_allowed ? 1 : 0);
}

static struct link *
connect_broker(struct link_context *context, const struct options *options,
               const struct conf *conf, struct err *err)
{
    struct link_limits limits = {
        .frame_bytes_max = 4 * conf->line_bytes_max + FRAME_BYTES_EXTRA,
        .queue_max = DESK_LEASES_MAX,
    };
    struct buf endpoint = { 0 };
    struct link *link = NULL;

    if (options->broker)
        buf_add_str(&endpoint, options->broker);
    else if (runtime_endpoint("workers", &endpoint, err) < 0)
        return NULL;
    link = link_connect(context, endpoint.data, limits, err);
    buf_fini(&endpoint);
    return link;
}

static int
work(struct worker *worker, const struct options *options, int signal_fd)
{
    int code;

    worker->desk = desk_new();
    worker->digest = digest_new();
    worker->packer = packer_new();
    worker->slots.capacity = options->capacity;
    worker->clock = clock_start(NULL, 0);
    worker->heartbeat_ms = worker->conf->heartbeat_ms;
    worker->drain_ms = worker->conf->drain_ms;
    worker->orphan_ttl_ms = worker->conf->orphan_ttl_ms;
    desk_set_lease_ms(worker->desk, worker->conf->lease_ms,
                      worker->conf->lease_run_max_ms);
    log_info("event=worker_started worker=%s name=\"%s\" pid=%ld capacity=%lld",
             worker->identity.uuid, worker->identity.name, (long)getpid(),
             (long long)options->capacity);
    code = loop_run(worker, signal_fd, options->parent_fd);
    desk_free(worker->desk);
    digest_free(worker->digest);
    text_rules_free(worker->rules);
    extract_fini(&worker->extract);
    buf_fini(&worker->head);
    buf_fini(&worker->body);
    buf_fini(&worker->out);
    buf_fini(&worker->bodies);
    packer_free(worker->packer);
    buf_fini(&worker->starts);
    buf_fini(&worker->words);
    return code;
}

/* Opens what the worker needs, works, and closes it in the other order. */
static int
run(const struct options *options, const struct conf *conf, int signal_fd,
    struct err *err)
{
    struct worker worker = { .conf = conf };
    struct link_context *context = NULL;
    struct keys *keys;
    int code = PROGRAM_EXIT_USAGE;

    allow_cores(false);
    keys = keys_new(conf, err);
    worker.keys = keys;
    if (!keys || open_parent(options->parent_fd, err) < 0)
        goto out;
    worker.hooks = hooks_new(conf);
    code = PROGRAM_EXIT_IO;
    if (identity_init(&worker.identity, options->name, options->own, err) < 0) {
        code = err->code == E_INVALID ? PROGRAM_EXIT_USAGE : PROGRAM_EXIT_IO;
        goto out;
    }
    context = link_context_new();
    worker.link = connect_broker(context, options, conf, err);
    if (worker.link) {
        worker.calls =
            calls_new((size_t)options->capacity + conf->upstream_count +
                          conf->webhook_count * CONF_POSTS_MAX,
                      getenv("SHEAF_PROXY"));
        worker.tokens = tokens_new(conf, keys, worker.calls);
        worker.courier = courier_new(conf, worker.hooks, worker.calls);
        code = work(&worker, options, signal_fd);
        calls_free(worker.calls);
        tokens_free(worker.tokens);
        courier_free(worker.courier);
    } else if (err->code == E_USAGE) {
        code = PROGRAM_EXIT_USAGE;
    }
    link_close(worker.link, LINGER_MS);
    link_context_free(context);
    identity_fini(&worker.identity);
out:
    hooks_free(worker.hooks);
    keys_free(keys);
    allow_cores(true);
    return code;
}

int
main(int argc, char **argv)
{
    struct options options;
    struct conf conf;
    struct err err = { 0 };
    int signal_fd, code = PROGRAM_EXIT_USAGE;

    program_open_standard("sheaf-worker");
    environment_clean();
    parse_options(&options, argc, argv);
    log_setup(options.log.level, options.log.is_json);
    umask(S_IRWXG | S_IRWXO);
    signal_fd = program_open_signals(0, &err);
    if (signal_fd < 0)
        log_fatal("event=signals_failed reason=\"%s\"", err.msg);
    if (load_conf(&conf, options.config, &err) == 0)
        code = run(&options, &conf, signal_fd, &err);
    if (err.code != 0)
        log_error("event=worker_failed reason=\"%s\"", err.msg);
    conf_fini(&conf);
    close(signal_fd);
    return code;
}
