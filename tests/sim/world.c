/* SPDX-License-Identifier: MIT */
#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/mem.h"

#define CALM_STEPS_MAX 20000
#define CALM_MS_MAX    (INT64_C(9) * 86400000) /* a week's window, and a day */
#define CRASHES_MIN    3
#define CLIENTS        3 /* on most days; and what they want */
#define PLANS          5
#define PASS_TURNS_MAX 40
#define LATE_MS_MIN    500 /* as workers.c has it */
#define DAY_MS         INT64_C(86400000)
#define KEYS_RECENT    8 /* so few that the sweep goes on all the time */

static const unsigned char store_id[STORE_UUID_BYTES] = "a simulated one";

_Noreturn void
world_fail(struct world *world, const char *fmt, ...)
{
    va_list args;

    fflush(stdout);
    fprintf(stderr,
            "seed %llu, event %d, time %lld: ", (unsigned long long)world->seed,
            world->events, (long long)(world->now_ms - WORLD_START_MS));
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "\nreplay it with: make sim SEED=%llu\n",
            (unsigned long long)world->seed);
    _exit(1);
}

void
world_tell(struct world *world, const char *fmt, ...)
{
    va_list args;

    if (!world->is_verbose)
        return;
    printf("%10.3f  ", (double)(world->now_ms - WORLD_START_MS) / 1000);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
}

/* ---- links ---- */

void
mail_fini(struct mail *mail)
{
    buf_fini(&mail->head);
    buf_fini(&mail->body);
}

static void
pipe_push(struct pipe *pipe, const struct mail *mail)
{
    if (pipe->count == pipe->capacity) {
        pipe->capacity = pipe->capacity * 2 + 8;
        pipe->mails =
            mem_grow(pipe->mails, pipe->capacity, sizeof(pipe->mails[0]));
    }
    pipe->mails[pipe->count++] = *mail;
}

static bool
pipe_pull(struct pipe *pipe, struct mail *mail)
{
    if (pipe->count == 0)
        return false;
    *mail = pipe->mails[0];
    memmove(&pipe->mails[0], &pipe->mails[1],
            --pipe->count * sizeof(pipe->mails[0]));
    return true;
}

static void
pipe_clear(struct pipe *pipe)
{
    for (size_t i = 0; i < pipe->count; i++)
        mail_fini(&pipe->mails[i]);
    pipe->count = 0;
}

static void
pipe_free(struct pipe *pipe)
{
    pipe_clear(pipe);
    free(pipe->mails);
    *pipe = (struct pipe){ 0 };
}

void
wire_say(struct world *world, struct wire_link *link, struct slice body,
         const char *fmt, ...)
{
    struct mail mail = { .peer = link->peer, .side = link->side };
    char text[8192];
    va_list args;
    int bytes;

    va_start(args, fmt);
    bytes = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (bytes < 0 || bytes >= (int)sizeof(text))
        world_fail(world, "a message of the simulator's is too long");
    for (char *at = text; *at; at++) {
        if (*at == '\'')
            *at = '"';
    }
    if (!link->is_up)
        return;
    world_tell(world, "  > %.150s", text);
    buf_add(&mail.head, text, (size_t)bytes);
    buf_add_slice(&mail.body, body);
    pipe_push(&link->to_broker, &mail);
}

bool
wire_take(struct wire_link *link, struct mail *mail)
{
    return pipe_pull(&link->from_broker, mail);
}

void
wire_cut(struct world *world, struct wire_link *link)
{
    struct mail mail;

    while (pipe_pull(&link->to_broker, &mail)) {
        if (dice_once_in(&world->dice, 2))
            pipe_push(&world->stray, &mail);
        else
            mail_fini(&mail);
    }
    pipe_clear(&link->from_broker);
    link->is_up = false;
}

void
wire_connect(struct world *world, struct wire_link *link)
{
    uint32_t number = ++world->peers;

    if (link->is_up)
        wire_cut(world, link);
    link->peer = (struct link_peer){ .bytes = 5 };
    link->peer.id[0] = link->side == SIDE_CLIENTS ? 1 : 2;
    link->peer.id[1] = (unsigned char)(number >> 16);
    link->peer.id[2] = (unsigned char)(number >> 8);
    link->peer.id[3] = (unsigned char)number;
    link->is_up = true;
}

/* The nth of all links, NULL behind the last. */
static struct wire_link *
link_at(struct world *world, size_t nth)
{
    if (nth < (size_t)world->client_count)
        return &world->clients[nth].link;
    nth -= (size_t)world->client_count;
    if (nth < WORLD_WORKERS)
        return &world->workers[nth].link;
    return nth == WORLD_WORKERS && world->filer.is_on ? &world->filer.link
                                                      : NULL;
}

static bool
is_at(const struct wire_link *link, const struct link_peer *peer)
{
    return link->is_up && link->peer.bytes == peer->bytes &&
           memcmp(link->peer.id, peer->id, peer->bytes) == 0;
}

bool
world_is_liar(const struct world *world, const struct link_peer *peer)
{
    for (int i = 0; i < WORLD_WORKERS; i++) {
        if (is_at(&world->workers[i].link, peer))
            return world->workers[i].is_liar;
    }
    return true; /* gone: nobody vouches for it */
}

static struct wire_link *
link_of(struct world *world, const struct letter *letter)
{
    struct wire_link *link;

    for (size_t i = 0; (link = link_at(world, i)); i++) {
        if (is_at(link, &letter->peer))
            return link;
    }
    return NULL;
}

/* ---- the broker's process ---- */

static void
on_batch_moved(void *context, uint64_t batch, enum batch_state from,
               enum batch_state to)
{
    struct world *world = context;

    world->tally.batch_moves[from][to]++;
    judge_moved(world, batch, from, to);
    hooks_moved(world, batch, to);
    world_tell(world, "  batch %llu: %s -> %s", (unsigned long long)batch,
               batch_state_name(from), batch_state_name(to));
}

static void
on_request_moved(void *context, uint64_t request, enum request_state from,
                 enum request_state to)
{
    struct world *world = context;

    world->tally.request_moves[from][to]++;
    if (to == REQUEST_READY &&
        (from == REQUEST_DONE || from == REQUEST_CANCELLED)) {
        judge_revive(world, request);
    }
    world_tell(world, "  request %llu: %s -> %s", (unsigned long long)request,
               request_state_name(from), request_state_name(to));
}

static void
open_store(struct world *world)
{
    struct err err = { 0 };

    if (world->is_lmdb)
        world->store = store_open(world->dir, 64u << 20, store_id, &err);
    else if (!world->store)
        world->store = store_open_memory(64u << 20, store_id);
    if (!world->store)
        world_fail(world, "the store cannot be opened: %s", err.msg);
    store_keep_recent(world->store, KEYS_RECENT);
    store_watch_moves(world->store, on_batch_moved, on_request_moved, world);
}

/* Leases were read from the store. */
static void
note_read(struct world *world)
{
    world->read_ms = world->wake_ms = world->now_ms;
    world->read_stood_ms = world->stood_ms;
    for (int i = 0; i < WORLD_WORKERS; i++)
        world->workers[i].gone_beats = 0; /* it counts anew */
    clocks_note_commit(world);
    judge_fair_forget(world);
}

static void
start_broker(struct world *world)
{
    struct broker_env env = { .conf = &world->conf,
                              .store = world->store,
                              .rules = world->rules,
                              .outbox = &world->outbox,
                              .version = "1",
                              .host = "sim",
                              .seed = ++world->broker_seed };
    struct err err = { 0 };

    world->broker = broker_new(&env);
    clocks_read(world);
    if (broker_recover(world->broker, world->now_ms, true, &err) < 0)
        world_fail(world, "the broker does not start: %s", err.msg);
    note_read(world);
    judge_started(world);
}

/* The broker's process ends, or the whole host: what was not committed is lost,
 * and all that was on its way. Its peers' sockets connect again by themselves. */
static void
restart_broker(struct world *world, bool is_boot)
{
    struct wire_link *link;

    world_tell(world, "the broker ends, and is started again");
    if (is_boot)
        workers_die(world);
    broker_free(world->broker);
    world->broker = NULL;
    outbox_reset(&world->outbox);
    if (world->is_lmdb) {
        store_close(world->store);
        world->store = NULL;
    }
    for (size_t i = 0; (link = link_at(world, i)); i++) {
        if (link->is_up)
            wire_connect(world, link);
    }
    workers_reconnect(world);
    pipe_clear(&world->stray);
    world->is_draining = false;
    if (is_boot)
        clocks_boot(world);
    else
        world->now_ms += dice_between(&world->dice, 0, 3000);
    open_store(world);
    clocks_resume(world);
    start_broker(world);
}

static void
crash(struct world *world)
{
    uint64_t *const counters[] = { [CRASH_BEFORE] =
                                       &world->tally.crashes_before,
                                   [CRASH_IN] = &world->tally.crashes_in,
                                   [CRASH_AFTER] =
                                       &world->tally.crashes_after };

    ++*counters[world->crash];
    world->crash = CRASH_NONE;
    world->crashes++;
    restart_broker(world, dice_once_in(&world->dice, 12));
}

static void
deliver(struct world *world, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct letter *letter = &world->outbox.letters[i];
        struct wire_link *link = link_of(world, letter);
        struct mail mail = { .side = letter->side };

        judge_letter(world, letter);
        if (!link) {
            broker_lost(world->broker, letter->side, &letter->peer);
            continue;
        }
        buf_add_slice(&mail.head, buf_slice(&letter->head));
        buf_add_slice(&mail.body, buf_slice(&letter->body));
        pipe_push(&link->from_broker, &mail);
    }
    outbox_reset(&world->outbox);
}

static void
settle(struct world *world)
{
    struct err err = { 0 };

    if (store_begin(world->store, world->now_ms, &err) < 0)
        world_fail(world, "begin: %s", err.msg);
    broker_settle(world->broker, world->now_ms);
    store_abort(world->store);
}

/* Commits, or does not. 0, E_FULL, or 1 when the broker was ended. */
static int
commit(struct world *world)
{
    struct err err = { 0 };
    bool is_lost = world->crash == CRASH_BEFORE ||
                   (world->crash == CRASH_IN && dice_once_in(&world->dice, 2));
    int rc;

    if (is_lost || world->fails) {
        store_abort(world->store);
        world->is_turning = false;
        judge_abort(world);
        if (is_lost) {
            crash(world);
            return 1;
        }
        world->fails = false;
        world->tally.commits_full++;
        rc = E_FULL;
    } else {
        rc = store_commit(world->store, &err);
    }
    if (rc == E_FULL) {
        judge_abort(world);
        outbox_reset(&world->outbox);
        if (broker_recover(world->broker, world->now_ms, false, &err) < 0)
            world_fail(world, "recover: %s", err.msg);
        note_read(world);
        return rc;
    }
    if (rc < 0)
        world_fail(world, "commit: %s", err.msg);
    clocks_note_commit(world);
    judge_commit(world);
    if (world->crash != CRASH_NONE) {
        /* On disk; of the answers, the first few may have been sent. */
        size_t sent = world->crash == CRASH_AFTER
                          ? dice_roll(&world->dice, world->outbox.count + 1)
                          : 0;

        deliver(world, sent);
        crash(world);
        return 1;
    }
    return 0;
}

static int
transact(struct world *world, struct mail *mails, size_t count)
{
    struct err err = { 0 };
    int rc;

    for (size_t i = 0; i < count; i++)
        judge_expect(world, &mails[i]);
    clocks_read(world);
    if (world->now_ms - world->wake_ms >= LATE_MS_MIN)
        world->stood_ms += world->now_ms - world->wake_ms;
    if (store_begin(world->store, world->now_ms, &err) < 0)
        world_fail(world, "begin: %s", err.msg);
    for (size_t i = 0; i < count; i++) {
        broker_apply(world->broker, mails[i].side, &mails[i].peer,
                     buf_slice(&mails[i].head), buf_slice(&mails[i].body),
                     world->now_ms);
    }
    broker_turn(world->broker, world->now_ms);
    world->wake_ms = broker_next_ms(world->broker);
    if (world->wake_ms < world->now_ms)
        world->wake_ms = world->now_ms;
    world->is_turning = true;
    rc = commit(world);
    if (rc == 0) {
        settle(world);
        deliver(world, world->outbox.count);
    }
    return rc;
}

/* Takes messages that have arrived: of each peer the first few. */
static void
collect(struct world *world, struct pipe *taken)
{
    struct wire_link *link;
    struct mail mail;

    while (world->stray.count > 0 && dice_once_in(&world->dice, 2)) {
        if (pipe_pull(&world->stray, &mail))
            pipe_push(taken, &mail);
    }
    for (size_t i = 0; (link = link_at(world, i)); i++) {
        uint64_t most =
            world->is_calm ? link->to_broker.count : dice_roll(&world->dice, 6);

        while (most-- > 0 && pipe_pull(&link->to_broker, &mail))
            pipe_push(taken, &mail);
    }
}

/* One transaction, as sheafd's loop has it: when a group finds no space, its
 * messages are applied one by one. */
static void
turn(struct world *world)
{
    struct pipe taken = { 0 };
    int rc;

    world->tally.turns++;
    collect(world, &taken);
    rc = transact(world, taken.mails, taken.count);
    for (size_t i = 0; rc == E_FULL && i < taken.count; i++) {
        int one = transact(world, &taken.mails[i], 1);

        if (one == 1)
            break;
        if (one < 0) {
            broker_refuse(world->broker, taken.mails[i].side,
                          &taken.mails[i].peer, buf_slice(&taken.mails[i].head),
                          one, "no space");
            deliver(world, world->outbox.count);
        }
    }
    pipe_free(&taken);
}

/* ---- a history ---- */

/* The broker's loop turns when it is to, and workers do what they have to. */
static void
pass_in_time(struct world *world, int64_t until_ms)
{
    for (int i = 0; i < PASS_TURNS_MAX && world->now_ms < until_ms; i++) {
        int64_t next_ms = broker_next_ms(world->broker);

        if (workers_next_ms(world) < next_ms)
            next_ms = workers_next_ms(world);
        if (next_ms <= world->now_ms)
            next_ms = world->now_ms + 1;
        world->now_ms = next_ms < until_ms ? next_ms : until_ms;
        workers_tick(world);
        turn(world);
        clients_read(world);
    }
}

static void
pass_time(struct world *world)
{
    static const int64_t most_ms[] = { 100, 1000, 1000, 3000, 3000, 12000 };
    int64_t until_ms =
        world->now_ms +
        dice_between(&world->dice, 0, most_ms[dice_roll(&world->dice, 6)]);

    if (dice_once_in(&world->dice, 150)) {
        world->tally.jumps++;
        until_ms = world->now_ms + dice_between(&world->dice, 0, 40 * 60000);
        if (dice_once_in(&world->dice, 6))
            until_ms += DAY_MS;
        world_tell(world, "time jumps");
        world->now_ms = until_ms;
    }
    if (dice_once_in(&world->dice, 80))
        clocks_jump(world);
    /* Or it stands still for so long, as on a disk that is slow. */
    if (dice_once_in(&world->dice, 4))
        world->now_ms = until_ms;
    pass_in_time(world, until_ms);
    workers_tick(world);
}

/* Told to end: workers of its own give back what they have not started, finish
 * their calls and go; then the next broker comes. */
static void
start_drain(struct world *world)
{
    struct err err = { 0 };

    if (world->is_draining)
        return;
    world->tally.drains++;
    world_tell(world, "the broker drains");
    world->is_draining = true;
    world->drain_until_ms = world->now_ms + world->conf.drain_ms;
    if (store_begin(world->store, world->now_ms, &err) < 0)
        world_fail(world, "begin: %s", err.msg);
    broker_drain(world->broker, "sim");
    store_abort(world->store);
    deliver(world, world->outbox.count);
}

static void
end_drain(struct world *world)
{
    bool is_over = true;

    if (!world->is_draining)
        return;
    for (int i = 0; i < WORLD_WORKERS; i++)
        is_over &= !world->workers[i].is_alive || !world->workers[i].is_own;
    if (is_over || world->now_ms >= world->drain_until_ms)
        restart_broker(world, false);
}

static void
trouble(struct world *world)
{
    switch (dice_roll(&world->dice, 7)) {
    case 0:
        world->fails = true;
        break;
    case 1:
        world->tally.restarts++;
        restart_broker(world, false);
        break;
    case 2:
        start_drain(world);
        break;
    default:
        world->crash =
            (int)dice_between(&world->dice, CRASH_BEFORE, CRASH_AFTER);
    }
}

static void
act(struct world *world)
{
    uint64_t what = dice_roll(&world->dice, 100);

    world->events++;
    world->tally.events++;
    if (what < 28)
        client_act(world);
    else if (what < 42)
        worker_act(world);
    else if (what < 60)
        pass_time(world);
    else if (what < 61) /* more would leave no time for leases to be lost */
        trouble(world);
    else if (what == 62)
        weather_change(world);
    else
        turn(world);
    filer_act(world);
    clients_read(world);
    filer_read(world);
    workers_read(world);
    workers_tick(world);
    end_drain(world);
}

static bool
has_mail(struct world *world)
{
    struct wire_link *link;

    for (size_t i = 0; (link = link_at(world, i)); i++) {
        if (link->to_broker.count > 0)
            return true;
    }
    return false;
}

/* Faults are over; clients finish what they began. */
static void
calm(struct world *world)
{
    int64_t end_ms;
    int steps = 0;

    world_tell(world, "calm");
    world->is_calm = true;
    world->fails = false;
    world->crash = CRASH_NONE;
    if (world->is_draining)
        restart_broker(world, false);
    workers_calm(world);
    end_ms = world->now_ms + CALM_MS_MAX;
    for (;;) {
        int64_t next_ms;

        clients_finish(world);
        filer_finish(world);
        turn(world);
        clients_read(world);
        filer_read(world);
        workers_tick(world);
        if (clients_are_done(world) && filer_is_done(world) &&
            hooks_are_done(world))
            return;
        if (steps++ > CALM_STEPS_MAX || world->now_ms > end_ms)
            world_fail(world, "it does not come to an end");
        if (has_mail(world))
            continue; /* messages take no time now */
        next_ms = broker_next_ms(world->broker);
        if (workers_next_ms(world) < next_ms)
            next_ms = workers_next_ms(world);
        if (next_ms > world->now_ms + 3600000)
            next_ms = world->now_ms + 3600000;
        if (next_ms > world->now_ms)
            world->now_ms = next_ms;
    }
}

void
world_play(struct world *world, int events)
{
    int least = events > 0 ? events : WORLD_EVENTS_MIN;

    while (world->events < least) {
        /* A history has its crashes, whatever the dice say. */
        if (events == 0 && world->crashes < CRASHES_MIN &&
            least - world->events < (CRASHES_MIN - world->crashes) * 40 &&
            world->crash == CRASH_NONE) {
            world->crash =
                (int)dice_between(&world->dice, CRASH_BEFORE, CRASH_AFTER);
        }
        act(world);
    }
    while (events == 0 && world->crash != CRASH_NONE)
        turn(world);
    if (events == 0 && world->crashes < CRASHES_MIN)
        world_fail(world, "only %d crashes", world->crashes);
    calm(world);
    judge_all(world);
    world->tally.histories++;
    world->tally.histories_lmdb += world->is_lmdb;
}

static void
load_conf(struct world *world)
{
    static const char *const names[] = { "one", "two" };
    struct conf *conf = &world->conf;

    conf_init(conf);
    for (size_t i = 0; i < 2; i++) {
        conf->upstreams[i] = (struct conf_upstream){
            .name = mem_dup_str(names[i]),
            .base_url = mem_dup_str("https://api.example/v1"),
            .path = mem_dup_str("/chat/completions"),
            .model = mem_dup_str("m"),
            .request_timeout_ms = 5000,
            .connect_timeout_ms = 1000,
        };
    }
    conf->upstream_count = 2;
    conf->slots_max = dice_between(&world->dice, 1, 6);
    conf->lease_ms = 10000;
    conf->lease_run_max_ms = 60000;
    conf->lost_max = dice_between(&world->dice, 1, 3);
    conf->drain_ms = 8000;
    conf->start_grace_ms = dice_once_in(&world->dice, 2) ? 300000 : 30000;
    conf->heartbeat_ms = 2000;
    conf->lease_ahead_max = dice_between(&world->dice, 0, 3);
    conf->cache_ttl_ms = dice_once_in(&world->dice, 2) ? 7200000 : 5000;
    conf->throttle_max = 4;
    conf->breaker_failures = 4;
    conf->attempts_max = 3;
    if (dice_once_in(&world->dice, 3)) /* so late answers find it delayed */
        conf->backoff_base_ms = 15000;
    conf->open_ttl_ms = 3600000;
    conf->group_window_ms = dice_once_in(&world->dice, 3) ? 0 : 2000;
    conf->group_chars_max = 40;
    if (dice_once_in(&world->dice, 3))
        conf->results_ttl_ms = 3 * 3600000;
    hooks_configure(world);
}

struct world *
world_new(uint64_t seed, const char *dir, struct text_rules *rules,
          bool is_verbose)
{
    struct world *world = mem_zalloc(1, sizeof(*world));

    world->seed = seed;
    /* Mixed: neighbours would go through the same rolls, one behind the other. */
    world->dice.state = digest_xxh(&seed, sizeof(seed), 0);
    world->client_count = CLIENTS;
    world->plan_count = PLANS;
    world->rules = rules;
    world->is_verbose = is_verbose;
    world->now_ms = WORLD_START_MS;
    world->booted_ms = WORLD_START_MS - 1000000;
    world->broker_seed = seed;
    if (dir) {
        world->is_lmdb = true;
        (void)snprintf(world->dir, sizeof(world->dir), "%s", dir);
    }
    load_conf(world);
    world->is_bad_day = dice_once_in(&world->dice, 4);
    world->poison = (int)dice_roll(&world->dice, 24) - 16;
    if (crowd_is_due(seed))
        crowd_set(world);
    for (int i = 0; i < world->client_count; i++) {
        world->clients[i].link.side = SIDE_CLIENTS;
        wire_connect(world, &world->clients[i].link);
    }
    for (int i = 0; i < WORLD_WORKERS; i++)
        world->workers[i].link.side = SIDE_WORKERS;
    for (int i = 0; i < world->plan_count; i++) {
        world->plans[i] = (struct plan){
            .number = i,
            .client = i % world->client_count,
            .is_early = dice_once_in(&world->dice, 3),
            .has_terms = true,
            .priority = -1,
        };
        if (world->is_busy)
            crowd_plan(world, &world->plans[i]);
    }
    filer_begin(world);
    open_store(world);
    clocks_resume(world);
    start_broker(world);
    workers_begin(world);
    return world;
}

void
world_free(struct world *world)
{
    struct wire_link *link;

    clients_free(world);
    filer_free(world);
    workers_free(world);
    judge_free(world);
    for (size_t i = 0; (link = link_at(world, i)); i++) {
        pipe_free(&link->to_broker);
        pipe_free(&link->from_broker);
    }
    pipe_free(&world->stray);
    broker_free(world->broker);
    outbox_fini(&world->outbox);
    store_close(world->store);
    conf_fini(&world->conf);
    free(world);
}
