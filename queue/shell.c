/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* signalfd_siginfo */
#include "queue/shell.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/program.h"
#include "base/runtime.h"
#include "queue/alarm.h"
#include "queue/job.h"
#include "queue/keeper.h"
#include "queue/transaction.h"
#include "store/home.h"

#define LOOK_MS         200 /* between looks at the workers */
#define HOME_CHECK_MS   5000
#define LINGER_MS       500  /* for the last answers */
#define QUEUE_MAX       1000 /* messages held for a peer, each way */
#define UUID_TEXT_BYTES 37

struct shell {
    const struct shell_options *options; /* borrowed */
    const struct conf *conf;             /* borrowed */
    struct home *home;
    struct store *store;
    struct text_rules *rules;
    struct link_context *context;
    struct link *links[2]; /* by side */
    struct outbox outbox;
    struct broker *broker;
    struct keeper *keeper;
    struct alarm *alarm;
    struct job *job; /* NULL: none is running */
    struct clock clock;
    struct reader *reader;
    struct transaction transaction;
    char own[UUID_TEXT_BYTES];
    char host[UUID_TEXT_BYTES]; /* the id of its boot: workers tell theirs */
    struct buf endpoint, endpoint_workers;
    int signal_fd;
    int64_t look_ms, home_check_ms;
    bool is_unfindable; /* a socket's file is gone, and that was told */
    bool is_draining;
    int64_t drain_until_ms;
};

/* ---- what a turn asks for ---- */

static void
look(void *context, int64_t now_ms)
{
    struct shell *shell = context;

    if (now_ms < shell->look_ms)
        return;
    shell->look_ms = now_ms + LOOK_MS;
    keeper_look(shell->keeper, shell->broker, shell->is_draining, now_ms);
}

static void
make_way(void *context)
{
    struct shell *shell = context;

    job_stop(shell->job, E_FULL, "a commit needed the pages that it kept");
}

/* ---- the end ---- */

static void
start_drain(struct shell *shell, const char *why, int64_t now_ms)
{
    if (shell->is_draining)
        return;
    log_info("event=draining reason=\"%s\"", why);
    shell->is_draining = true;
    job_stop(shell->job, E_DRAINING, "the broker shuts down");
    shell->drain_until_ms = now_ms + shell->conf->drain_ms;
    transaction_begin(&shell->transaction, now_ms);
    broker_drain(shell->broker, shell->own);
    transaction_send(&shell->transaction);
}

static bool
is_over(struct shell *shell, int64_t now_ms)
{
    if (!shell->is_draining)
        return false;
    return (!keeper_has_workers(shell->keeper) && !shell->job) ||
           now_ms >= shell->drain_until_ms;
}

/* ---- waiting ---- */

enum {
    POLL_SIGNALS,
    POLL_CLIENTS,
    POLL_WORKERS,
    POLL_PARENT,
    POLL_READER,
    POLL_COUNT
};

static int
timeout_ms(struct shell *shell, int64_t now_ms)
{
    int64_t next_ms = broker_next_ms(shell->broker);

    if (shell->look_ms < next_ms)
        next_ms = shell->look_ms;
    if (next_ms <= now_ms)
        return 0;
    return next_ms - now_ms < LOOK_MS ? (int)(next_ms - now_ms) : LOOK_MS;
}

/* Credentials are the workers' own: they are told, all of them, whoever started
 * them. One that is not connected now is not. */
static void
reload(struct shell *shell, int64_t now_ms)
{
    transaction_begin(&shell->transaction, now_ms);
    broker_reload(shell->broker);
    transaction_send(&shell->transaction);
}

/* False: end at once. */
static bool
take_signal(struct shell *shell, int number, int64_t now_ms)
{
    shell->look_ms = 0; /* a child may have ended */
    if (number == SIGCHLD)
        return true;
    if (number == SIGHUP) {
        reload(shell, now_ms);
        return true;
    }
    if (shell->is_draining)
        return false;
    start_drain(shell, "signal", now_ms);
    return true;
}

/* Waits until something is to be done, or only looks whether there is. False:
 * end at once. */
static bool
wait_for_work(struct shell *shell, bool waits, int64_t now_ms)
{
    struct pollfd fds[POLL_COUNT] = {
        [POLL_SIGNALS] = { shell->signal_fd, POLLIN, 0 },
        [POLL_CLIENTS] = { link_fd(shell->links[SIDE_CLIENTS]), POLLIN, 0 },
        [POLL_WORKERS] = { link_fd(shell->links[SIDE_WORKERS]), POLLIN, 0 },
        [POLL_PARENT] = { shell->is_draining ? -1 : shell->options->parent_fd,
                          POLLIN, 0 },
        [POLL_READER] = { reader_fd(shell->reader), POLLIN, 0 },
    };
    int rc = poll(fds, POLL_COUNT, waits ? timeout_ms(shell, now_ms) : 0);
    bool asks;

    if (rc < 0) {
        if (errno != EINTR)
            log_fatal("event=poll_failed reason=\"%s\"", strerror(errno));
        return true;
    }
    /* After a wait for nothing, libzmq is asked all the same. */
    asks = waits && rc == 0;
    link_polled(shell->links[SIDE_CLIENTS], asks || fds[POLL_CLIENTS].revents,
                false);
    link_polled(shell->links[SIDE_WORKERS], asks || fds[POLL_WORKERS].revents,
                false);
    if (fds[POLL_SIGNALS].revents) {
        struct signalfd_siginfo info;

        if (read(shell->signal_fd, &info, sizeof(info)) == sizeof(info) &&
            !take_signal(shell, (int)info.ssi_signo, now_ms)) {
            return false;
        }
    }
    if (fds[POLL_PARENT].revents) {
        char bytes[64];

        if (read(shell->options->parent_fd, bytes, sizeof(bytes)) <= 0)
            start_drain(shell, "the parent has ended", now_ms);
    }
    return true;
}

/* ---- set-up ---- */

static int
open_store(struct shell *shell, struct err *err)
{
    uuid_t uuid;

    shell->home = home_open(shell->options->store_dir, err);
    if (!shell->home)
        return err->code;
    uuid_generate_random(uuid);
    shell->store =
        store_open(shell->options->store_dir,
                   (uint64_t)shell->conf->store_bytes_max, uuid, err);
    if (!shell->store)
        return err->code;
    uuid_unparse_lower(store_uuid(shell->store), shell->own);
    return store_reserve(shell->store, (size_t)shell->conf->commit_items_max,
                         err);
}

static int
open_side(struct shell *shell, enum side side, const char *leaf,
          const char *const *endpoints, int count, struct err *err)
{
    struct link_limits limits = { .queue_max = QUEUE_MAX };
    struct buf endpoint = { 0 };
    const char *first;
    int rc = 0;

    /* A result carries a reply and the text that was put together from it. */
    limits.frame_bytes_max = shell->conf->reply_bytes_max * 2 +
                             shell->conf->chunk_bytes_max +
                             shell->conf->line_bytes_max + WIRE_TURN_BYTES_MAX;
    if (count == 0) {
        rc = runtime_endpoint(leaf, &endpoint, err);
        first = endpoint.data;
        endpoints = &first;
        count = 1;
    }
    for (int i = 0; i < count && rc == 0; i++) {
        if (i > 0)
            rc = link_bind_also(shell->links[side], endpoints[i], err);
        else
            shell->links[side] =
                link_bind(shell->context, endpoints[i], limits, err);
        if (!shell->links[side])
            rc = err->code;
    }
    if (rc == 0 && side == SIDE_CLIENTS)
        link_endpoint(shell->links[side], &shell->endpoint);
    if (rc == 0 && side == SIDE_WORKERS)
        link_endpoint(shell->links[side], &shell->endpoint_workers);
    buf_fini(&endpoint);
    return rc;
}

static int
open_links(struct shell *shell, struct err *err)
{
    const struct shell_options *options = shell->options;
    int rc;

    shell->context = link_context_new();
    rc = open_side(shell, SIDE_CLIENTS, "clients", options->listen,
                   options->listen_count, err);
    if (rc == 0) {
        rc = open_side(shell, SIDE_WORKERS, "workers", options->listen_workers,
                       options->listen_workers_count, err);
    }
    return rc;
}

static int
open_broker(struct shell *shell, struct err *err)
{
    struct broker_env env = { .conf = shell->conf,
                              .store = shell->store,
                              .outbox = &shell->outbox,
                              .version = SHEAF_VERSION,
                              .host = shell->host };

    shell->rules = text_rules_new(err);
    if (!shell->rules)
        return err->code;
    env.rules = shell->rules;
    if (getrandom(&env.seed, sizeof(env.seed), 0) != sizeof(env.seed))
        env.seed = (uint64_t)clock_mono_us();
    shell->clock = clock_start(store_latest_mark(shell->store),
                               store_latest_ms(shell->store));
    uuid_unparse_lower(shell->clock.boot, shell->host);
    shell->broker = broker_new(&env);
    shell->alarm = alarm_new(shell->conf);
    shell->reader = reader_new(shell->conf, err);
    if (!shell->reader)
        return err->code;
    shell->transaction = (struct transaction){ .conf = shell->conf,
                                               .store = shell->store,
                                               .broker = shell->broker,
                                               .reader = shell->reader,
                                               .outbox = &shell->outbox,
                                               .links = shell->links,
                                               .clock = &shell->clock,
                                               .signal_fd = shell->signal_fd,
                                               .context = shell,
                                               .look = look,
                                               .make_way = make_way };
    transaction_init(&shell->transaction);
    return broker_recover(shell->broker, transaction_clock(&shell->transaction),
                          true, err);
}

static void
open_keeper(struct shell *shell)
{
    struct keeper_terms terms = {
        .count = shell->options->workers,
        .capacity = (int)shell->conf->slots_max,
        .own = shell->own,
        .endpoint = shell->endpoint_workers.data,
        .config = shell->options->config,
        .log_level = shell->options->log_level,
        .log_format = shell->options->log_format,
        .parent_fd = shell->options->parent_fd,
    };

    shell->keeper = keeper_new(&terms);
}

static int
set_signals(struct shell *shell, struct err *err)
{
    int fd = program_open_signals(SIGCHLD, err);

    if (fd < 0)
        return fd;
    shell->signal_fd = fd;
    return 0;
}

static int
set_up(struct shell *shell, struct err *err)
{
    int rc = set_signals(shell, err);

    if (rc == 0)
        rc = open_store(shell, err);
    if (rc == 0)
        rc = open_links(shell, err);
    if (rc == 0)
        rc = open_broker(shell, err);
    if (rc < 0)
        return rc;
    open_keeper(shell);
    rc = home_publish(shell->home, shell->endpoint.data, err);
    if (rc < 0)
        return rc;
    log_info("event=started version=" SHEAF_VERSION " store=%s endpoint=%s",
             shell->options->store_dir, shell->endpoint.data);
    if (shell->conf->upstream_count == 0)
        log_info("event=upstream_local reason=\"no upstream is configured\"");
    return 0;
}

void
shell_close(struct shell *shell)
{
    if (!shell)
        return;
    reader_free(shell->reader);
    transaction_fini(&shell->transaction);
    job_free(shell->job);
    keeper_free(shell->keeper);
    alarm_free(shell->alarm);
    link_close(shell->links[SIDE_CLIENTS], LINGER_MS);
    link_close(shell->links[SIDE_WORKERS], LINGER_MS);
    link_context_free(shell->context);
    broker_free(shell->broker);
    text_rules_free(shell->rules);
    store_close(shell->store);
    home_close(shell->home);
    outbox_fini(&shell->outbox);
    buf_fini(&shell->endpoint);
    buf_fini(&shell->endpoint_workers);
    if (shell->signal_fd >= 0)
        (void)close(shell->signal_fd);
    free(shell);
}

/* Listens anew where the files of sockets were removed, as those below /run/user are
 * when their user logs out. What cannot be done now may be later: it is told once. */
static void
renew_sockets(struct shell *shell)
{
    struct err err = { 0 };
    struct buf dir = { 0 };
    int count = 0;

    if (runtime_dir(&dir, &err) == 0) /* made, if it went with them */
        buf_fini(&dir);
    for (enum side side = SIDE_CLIENTS; side <= SIDE_WORKERS && count >= 0;
         side++) {
        count = link_renew(shell->links[side], &err);
        if (count > 0) {
            log_warn(
                "event=socket_renewed endpoint=%s reason=\"the file of the "
                "socket was removed\"",
                side == SIDE_CLIENTS ? shell->endpoint.data
                                     : shell->endpoint_workers.data);
        }
    }
    if (count < 0 && !shell->is_unfindable)
        log_error("event=socket_lost reason=\"%s; nobody finds the broker\"",
                  err.msg);
    shell->is_unfindable = count < 0;
}

struct shell *
shell_open(const struct shell_options *options, const struct conf *conf,
           struct err *err)
{
    struct shell *shell = mem_zalloc(1, sizeof(*shell));

    shell->options = options;
    shell->conf = conf;
    shell->signal_fd = -1;
    if (set_up(shell, err) < 0) {
        shell_close(shell);
        return NULL;
    }
    return shell;
}

int
shell_run(struct shell *shell, struct err *err)
{
    for (;;) {
        int64_t now_ms = transaction_receive(&shell->transaction);
        bool is_busy = false;

        if (transaction_has_mail(&shell->transaction) ||
            broker_next_ms(shell->broker) <= now_ms ||
            shell->look_ms <= now_ms) {
            is_busy = transaction_run(&shell->transaction, now_ms);
        }
        keeper_remove_locks(shell->keeper, shell->broker);
        if (keeper_is_hopeless(shell->keeper)) {
            return err_set(err, E_USAGE,
                           "the worker cannot work with this configuration, "
                           "for the reason that it gave above");
        }
        job_tend(&shell->job, shell->broker, shell->store, shell->conf);
        alarm_tend(shell->alarm, broker_alerts(shell->broker), now_ms);
        if (is_over(shell, now_ms))
            return 0;
        if (now_ms >= shell->home_check_ms) {
            shell->home_check_ms = now_ms + HOME_CHECK_MS;
            if (home_check(shell->home, err) < 0)
                transaction_fail(err);
            renew_sockets(shell);
        }
        /* What came during the turn is taken before any waiting; but a signal
         * is heard also where that never ends. */
        if (!wait_for_work(shell, !is_busy, now_ms))
            return 0;
    }
}
