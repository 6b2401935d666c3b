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

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/program.h"
#include "base/runtime.h"
#include "queue/alarm.h"
#include "queue/broker.h"
#include "queue/job.h"
#include "queue/keeper.h"
#include "queue/muster.h"
#include "queue/parcel.h"
#include "store/home.h"

#define EXIT_DAMAGED    9
#define LOOK_MS         200 /* between looks at the workers */
#define HOLD_MS         200 /* until what found no room is tried again */
#define HOME_CHECK_MS   5000
#define LINGER_MS       500  /* for the last answers */
#define QUEUE_MAX       1000 /* messages held for a peer, each way */
#define UUID_TEXT_BYTES 37
#define READ_MS_MAX     25 /* that a commit waits for what is being read */
#define US_A_MS         1000
#define US_A_S          1000000
#define NS_A_US         1000

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
    struct parcels parcels;
    struct reader *reader;
    struct muster muster;
    size_t items; /* applied in this transaction */
    char own[UUID_TEXT_BYTES];
    char host[UUID_TEXT_BYTES]; /* the id of its boot: workers tell theirs */
    struct buf endpoint, endpoint_workers;
    int signal_fd;
    int64_t look_ms, home_check_ms;
    bool is_short; /* there is no room for what is due */
    bool is_draining;
    int64_t drain_until_ms;
};

/* ---- one turn ---- */

/* The outcome of what was not committed is unknown: say nothing, and end. */
static void
fail_stop(const struct err *err)
{
    log_fatal("event=store_failed reason=\"%s\"", err->msg);
}

static void
send_letters(struct shell *shell)
{
    for (size_t i = 0; i < shell->outbox.count; i++) {
        struct letter *letter = &shell->outbox.letters[i];
        int rc = link_give(shell->links[letter->side], &letter->peer,
                           buf_slice(&letter->head), &letter->body);

        if (rc == E_UNREACHABLE)
            broker_lost(shell->broker, letter->side, &letter->peer);
        else if (rc < 0)
            log_warn("event=answer_dropped reason=\"%s\"", err_text(rc));
    }
    outbox_reset(&shell->outbox);
}

/* Reads the clocks, once a turn: the store keeps what they show, and the core is
 * told how far the wall clock is from its time. */
static int64_t
read_clocks(struct shell *shell)
{
    struct clock_mark mark = clock_look(&shell->clock);
    int64_t now_ms = clock_at_ms(&shell->clock, &mark);

    store_mark(shell->store, &mark);
    broker_note_wall(shell->broker, mark.wall_ms - now_ms);
    return now_ms;
}

/* Takes what has arrived, as far as there is room for it. */
static void
receive(struct shell *shell)
{
    size_t bad = parcels_receive(&shell->parcels, shell->links);

    for (; bad > 0; bad--)
        broker_note_bad(shell->broker);
}

/* Makes the state in memory match the store again. */
static void
recover(struct shell *shell, int64_t now_ms)
{
    struct err err = { 0 };

    outbox_reset(&shell->outbox);
    if (broker_recover(shell->broker, now_ms, false, &err) < 0)
        fail_stop(&err);
}

static void
settle_and_send(struct shell *shell, int64_t now_ms)
{
    struct err err = { 0 };

    shell->items = 0;
    if (store_begin(shell->store, now_ms, &err) < 0)
        fail_stop(&err);
    broker_settle(shell->broker, now_ms);
    store_abort(shell->store);
    send_letters(shell);
}

static void
look(struct shell *shell, int64_t now_ms)
{
    if (now_ms < shell->look_ms)
        return;
    shell->look_ms = now_ms + LOOK_MS;
    keeper_look(shell->keeper, shell->broker, shell->is_draining, now_ms);
}

/* Commits, and tells the core how long it took, if there was something to
 * write. */
static int
flush(struct shell *shell, struct err *err)
{
    bool is_dirty = store_is_dirty(shell->store);
    int64_t start_us = clock_mono_us();
    int rc = store_commit(shell->store, err);

    if (rc == 0 && is_dirty)
        broker_note_commit(shell->broker, clock_mono_us() - start_us,
                           shell->items);
    return rc;
}

static void
begin(struct shell *shell, int64_t now_ms)
{
    struct err err = { 0 };

    if (store_begin(shell->store, now_ms, &err) < 0)
        fail_stop(&err);
}

/* What was read of a chunk is used up: where its transaction fails, it is read
 * again. */
static void
apply(struct shell *shell, struct parcel *parcel, int64_t now_ms)
{
    struct message message = parcel_message(parcel);

    shell->items += parcel->items;
    broker_apply(shell->broker, &message, now_ms);
    parcel_close_order(parcel, shell->reader);
}

/* Ends a transaction with what is due, by `work`. 0, or why it failed; then
 * nothing of it has happened. */
static int
commit(struct shell *shell, int64_t now_ms,
       void (*work)(struct broker *, int64_t), struct err *err)
{
    int rc;

    look(shell, now_ms);
    work(shell->broker, now_ms);
    rc = flush(shell, err);
    if (rc == E_IO)
        fail_stop(err);
    if (rc < 0)
        recover(shell, now_ms);
    else
        settle_and_send(shell, now_ms);
    return rc;
}

/* What failed together is tried one by one, so that only the message that is
 * at fault is refused; and what is due comes last, on its own, so that where
 * there is no room for it, clients can still make some. */
static void
transact_each(struct shell *shell, int64_t now_ms)
{
    struct err none = { 0 };

    broker_hold(shell->broker, now_ms + 1);
    for (size_t i = 0; i < shell->parcels.taken.count; i++) {
        struct parcel *parcel = shell->parcels.taken.list[i];
        struct message message = parcel_message(parcel);
        struct err err = { 0 };
        int rc;

        begin(shell, now_ms);
        apply(shell, parcel, now_ms);
        rc = commit(shell, now_ms, broker_turn, &err);
        if (rc == 0)
            continue;
        log_error("event=message_refused reason=\"%s\"", err.msg);
        broker_refuse(shell->broker, &message, rc, err.msg);
        send_letters(shell);
    }
    broker_hold(shell->broker, now_ms);
    begin(shell, now_ms);
    shell->is_short = commit(shell, now_ms, broker_turn, &none) < 0;
    if (!shell->is_short)
        return;
    broker_hold(shell->broker, now_ms + HOLD_MS);
    begin(shell, now_ms);
    (void)commit(shell, now_ms, broker_relieve, &none);
}

/* Lets time pass, unless a client has something to say, or a chunk has been read:
 * workers would wake us with each result, and each of them would be read by itself.
 * Where there is no room for what clients say, they would wake us all the time.
 * False if a signal has come. */
static bool
rest(struct shell *shell, int64_t wait_us)
{
    bool has_room = parcels_have_room(&shell->parcels);
    struct pollfd fds[] = {
        { has_room ? link_fd(shell->links[SIDE_CLIENTS]) : -1, POLLIN, 0 },
        { shell->signal_fd, POLLIN, 0 },
        { reader_fd(shell->reader), POLLIN, 0 },
    };
    struct timespec wait = { .tv_sec = wait_us / US_A_S,
                             .tv_nsec = wait_us % US_A_S * NS_A_US };

    (void)ppoll(fds, sizeof(fds) / sizeof(fds[0]), &wait, NULL);
    return fds[1].revents == 0;
}

/* Gives the reader what is worth it, and takes back what it has read. */
static void
tend_reader(struct shell *shell)
{
    parcels_offer(&shell->parcels, shell->reader, shell->broker);
    (void)reader_take(shell->reader);
}

/* Takes what waits and can be taken, and applies it; whoever has something written
 * has sent a body. True if more may have come meanwhile. */
static bool
take_some(struct shell *shell, int64_t now_ms)
{
    const struct parcel_row *taken = &shell->parcels.taken;
    size_t first = taken->count;
    bool was_any_read = false;

    parcels_take(&shell->parcels);
    for (size_t i = first; i < taken->count; i++) {
        struct parcel *parcel = taken->list[i];
        bool was_read = parcel->order != NULL;

        if (parcel->side == SIDE_CLIENTS && parcel->body.bytes > 0)
            muster_note(&shell->muster, &parcel->peer);
        apply(shell, parcel, now_ms);
        /* The reader is not to run out of work meanwhile, nor during the flush. */
        if (was_read) {
            receive(shell);
            tend_reader(shell);
            was_any_read = true;
        }
    }
    return was_any_read;
}

/* Applies what has arrived, and has been read where it is to be. */
static void
take(struct shell *shell, int64_t now_ms)
{
    tend_reader(shell);
    while (take_some(shell, now_ms) && !parcels_are_full(&shell->parcels))
        ;
}

/* Lets chunks that are being read come into the transaction, one by one, as they
 * have been read. Returns the time. */
static int64_t
await_reader(struct shell *shell, int64_t now_ms)
{
    int64_t until_ms = now_ms + READ_MS_MAX;

    while (shell->parcels.waiting.count > 0 &&
           !parcels_are_full(&shell->parcels) && now_ms < until_ms) {
        if (!rest(shell, (until_ms - now_ms) * US_A_MS))
            break;
        receive(shell);
        now_ms = read_clocks(shell);
        take(shell, now_ms);
    }
    return now_ms;
}

/* Lets the clients that are about to write again come into the transaction. */
static void
await_clients(struct shell *shell, int64_t now_ms)
{
    int64_t gather_us = shell->conf->commit_gather_us;
    size_t present = shell->muster.present;
    bool waits = gather_us > 0 && muster_missing(&shell->muster) > 0;
    int64_t left_us = gather_us, until_us = 0;

    if (waits)
        until_us = clock_mono_us() + gather_us;
    while (waits && left_us > 0 && muster_missing(&shell->muster) > 0 &&
           !parcels_are_full(&shell->parcels)) {
        if (!rest(shell, left_us))
            break;
        receive(shell);
        take(shell, now_ms);
        left_us = until_us - clock_mono_us();
    }
    muster_close(&shell->muster, waits, present);
}

/* Lets more reports come into a transaction while the broker thinks that they
 * will: a flush costs more than all that is written with it. Returns the time. */
static int64_t
await_more(struct shell *shell, int64_t now_ms)
{
    int64_t until_ms = now_ms + shell->conf->commit_window_ms;

    /* Without room, what comes would wake it up all the time, for nothing. */
    while (!parcels_are_full(&shell->parcels)) {
        int64_t wait_ms = broker_patience_ms(shell->broker);

        if (broker_next_ms(shell->broker) < until_ms)
            until_ms = broker_next_ms(shell->broker);
        if (wait_ms > until_ms - now_ms)
            wait_ms = until_ms - now_ms;
        if (wait_ms <= 0 || !rest(shell, wait_ms * US_A_MS))
            break;
        receive(shell);
        now_ms = read_clocks(shell);
        take(shell, now_ms);
    }
    return now_ms;
}

static void
turn(struct shell *shell, int64_t now_ms)
{
    struct err err = { 0 };

    begin(shell, now_ms);
    take(shell, now_ms);
    now_ms = await_reader(shell, now_ms);
    await_clients(shell, now_ms);
    now_ms = await_more(shell, now_ms);
    if (commit(shell, now_ms, broker_turn, &err) == 0)
        return;
    job_stop(shell->job, E_FULL, "a commit needed the pages that it kept");
    if (!shell->is_short)
        log_warn("event=commit_failed reason=\"%s\"", err.msg);
    transact_each(shell, now_ms);
}

/* ---- the end ---- */

static void
start_drain(struct shell *shell, const char *why, int64_t now_ms)
{
    struct err err = { 0 };

    if (shell->is_draining)
        return;
    log_info("event=draining reason=\"%s\"", why);
    shell->is_draining = true;
    job_stop(shell->job, E_DRAINING, "the broker shuts down");
    shell->drain_until_ms = now_ms + shell->conf->drain_ms;
    if (store_begin(shell->store, now_ms, &err) < 0)
        fail_stop(&err);
    broker_drain(shell->broker, shell->own);
    store_abort(shell->store);
    send_letters(shell);
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
    struct err err = { 0 };

    if (store_begin(shell->store, now_ms, &err) < 0)
        fail_stop(&err);
    broker_reload(shell->broker);
    store_abort(shell->store);
    send_letters(shell);
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

/* Waits until something is to be done, or only looks whether there is. False: end
 * at once. */
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

    if (rc < 0) {
        if (errno != EINTR)
            log_fatal("event=poll_failed reason=\"%s\"", strerror(errno));
        return true;
    }
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
    return broker_recover(shell->broker, read_clocks(shell), true, err);
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

/* The last page of a file that was cut short under us. */
static void
on_bus_error(int signal)
{
    static const char text[] =
        "sheafd: the store's file was cut short or cannot be read\n";

    (void)signal;
    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    _exit(EXIT_DAMAGED);
}

static int
set_signals(struct shell *shell, struct err *err)
{
    struct sigaction bus = { .sa_handler = on_bus_error };
    int fd;

    if (sigaction(SIGBUS, &bus, NULL) < 0)
        return err_set(err, E_IO, "set up signals: %s", strerror(errno));
    fd = program_open_signals(SIGCHLD, err);
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
    shell->reader = reader_new(shell->conf, err);
    if (!shell->reader)
        return err->code;
    parcels_init(&shell->parcels, (size_t)shell->conf->commit_items_max,
                 (size_t)shell->conf->commit_bytes_max);
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
    parcels_fini(&shell->parcels);
    buf_fini(&shell->endpoint);
    buf_fini(&shell->endpoint_workers);
    if (shell->signal_fd >= 0)
        (void)close(shell->signal_fd);
    free(shell);
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

void
shell_run(struct shell *shell)
{
    struct err err = { 0 };

    for (;;) {
        int64_t now_ms;

        parcels_reset(&shell->parcels);
        receive(shell);
        now_ms = read_clocks(shell);
        if (shell->parcels.waiting.count > 0 ||
            broker_next_ms(shell->broker) <= now_ms ||
            shell->look_ms <= now_ms) {
            turn(shell, now_ms);
        }
        job_tend(&shell->job, shell->broker, shell->store, shell->conf);
        alarm_tend(shell->alarm, broker_alerts(shell->broker), now_ms);
        if (is_over(shell, now_ms))
            return;
        if (now_ms >= shell->home_check_ms) {
            shell->home_check_ms = now_ms + HOME_CHECK_MS;
            if (home_check(shell->home, &err) < 0)
                fail_stop(&err);
        }
        /* What came during the turn is taken before any waiting; but a signal is
         * heard also where that never ends. */
        if (!wait_for_work(shell, shell->parcels.taken.count == 0, now_ms))
            return;
    }
}
