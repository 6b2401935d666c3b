/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "tests/sim/fair.h"
#include "tests/sim/world.h"
#include "tests/turns.h"

#define KEYS_RECENT 8 /* so few that the sweep goes on all the time */
#define CELL_KEYS   1 /* of which half of the cells have room for none */
#define RESULTS_GAP 3 /* so few that batches have several segments of them */
#define ROOM_ROWS   40 /* that a transaction may write before it finds no space */
#define AGAIN_FULL  3 /* one in so many does not, either, when tried by itself */

static const unsigned char store_id[STORE_UUID_BYTES] = "a simulated one";

/* The transaction at hand has found no space: nothing of it happens. */
static bool
is_lost(const struct world *world)
{
    return world->room.own && world->room.is_over;
}

static void
on_batch_moved(void *context, uint64_t batch, enum batch_state from,
               enum batch_state to)
{
    struct world *world = context;

    if (is_lost(world))
        return;
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

    if (is_lost(world))
        return;
    world->tally.request_moves[from][to]++;
    if (to == REQUEST_READY &&
        (from == REQUEST_DONE || from == REQUEST_CANCELLED)) {
        judge_revive(world, request);
    }
    if (to == REQUEST_LEASED)
        judge_lent(world, request);
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
    store_keep_recent(world->store, KEYS_RECENT, CELL_KEYS);
    store_keep_apart(world->store, RESULTS_GAP);
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

    models_change(world);
    world->broker = broker_new(&env);
    clocks_read(world);
    if (broker_recover(world->broker, world->now_ms, true, &err) < 0)
        world_fail(world, "the broker does not start: %s", err.msg);
    note_read(world);
    judge_started(world);
}

void
shell_start(struct world *world)
{
    open_store(world);
    clocks_resume(world);
    start_broker(world);
}

/* The broker's process ends, or the whole host: what was not committed is lost,
 * and all that was on its way. Its peers' sockets connect again by themselves. */
static void
restart(struct world *world, bool is_boot)
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
    for (size_t i = 0; (link = wire_link_at(world, i)); i++) {
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
    shell_start(world);
}

void
shell_restart(struct world *world)
{
    restart(world, false);
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
    restart(world, dice_once_in(&world->dice, 12));
}

/* A worker reads the parts of a turn one by one, as they come. */
static void
deliver_one(struct world *world, const struct letter *letter)
{
    struct wire_link *link = wire_link_of(world, letter);
    struct turns turns =
        turns_of(buf_slice(&letter->head), buf_slice(&letter->body));

    for (size_t i = 0; i < turns.count; i++) {
        struct mail mail = { .side = letter->side };

        buf_add_slice(&mail.head, buf_slice(&turns.parts[i].head));
        buf_add_slice(&mail.body, turns.parts[i].body);
        judge_told(world, &mail);
        if (link)
            pipe_push(&link->from_broker, &mail);
        else
            mail_fini(&mail);
    }
    if (!link)
        broker_lost(world->broker, letter->side, &letter->peer);
    turns_fini(&turns);
}

static void
deliver(struct world *world, size_t count)
{
    for (size_t i = 0; i < count; i++)
        deliver_one(world, &world->outbox.letters[i]);
    outbox_reset(&world->outbox);
}

void
shell_settle(struct world *world)
{
    struct err err = { 0 };

    if (store_begin(world->store, world->now_ms, &err) < 0)
        world_fail(world, "begin: %s", err.msg);
    broker_settle(world->broker, world->now_ms);
    store_abort(world->store);
    deliver(world, world->outbox.count);
}

/* Commits in the space that there is, which may be enough. */
static int
commit_in_room(struct world *world, struct err *err)
{
    int rc = store_commit(world->store, err);

    if (room_restore(&world->room, world->store)) {
        if (rc == 0)
            world_fail(world, "a row found no space, and nobody says so");
        world->fails = false;
        world->tally.commits_full++;
        for (int i = 0; i < WORLD_WORKERS; i++)
            world->workers[i].lost_turn = world->tally.turns;
    }
    return rc;
}

/* Commits, or does not. 0, E_FULL, or 1 when the broker was ended. */
static int
commit(struct world *world)
{
    struct err err = { 0 };
    bool is_dead = world->crash == CRASH_BEFORE ||
                   (world->crash == CRASH_IN && dice_once_in(&world->dice, 2));
    int rc;

    if (is_dead) {
        (void)room_restore(&world->room, world->store);
        store_abort(world->store);
        world->is_turning = false;
        judge_abort(world);
        crash(world);
        return 1;
    }
    rc = commit_in_room(world, &err);
    if (rc == E_FULL) {
        world->is_turning = false;
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

/* How many messages a worker has sent as one `turn`: what it said in a row of
 * starts and results, or only the first. */
static size_t
count_folded(struct world *world, const struct mail *mails, size_t count)
{
    size_t folded = 1;

    if (mails[0].side != SIDE_WORKERS || !fold_takes(buf_slice(&mails[0].head)))
        return 1;
    while (folded < count && dice_once_in(&world->dice, 2) &&
           memcmp(&mails[folded].peer, &mails[0].peer, sizeof(mails[0].peer)) ==
               0 &&
           mails[folded].side == SIDE_WORKERS &&
           fold_takes(buf_slice(&mails[folded].head))) {
        folded++;
    }
    return folded;
}

/* Applies the next message, which may be some of those that were said. Returns
 * how many. */
static size_t
apply(struct world *world, struct mail *mails, size_t count)
{
    size_t folded = count_folded(world, mails, count);
    struct message message = mail_message(&mails[0]);
    struct buf head = { 0 };
    struct fold fold = { 0 };

    for (size_t i = 0; i < folded; i++)
        judge_expect(world, &mails[i]);
    for (size_t i = 0; folded > 1 && i < folded; i++)
        fold_add(&fold, buf_slice(&mails[i].head), buf_slice(&mails[i].body));
    if (folded > 1) {
        fold_print(&fold, &head);
        message.head = buf_slice(&head);
        message.body = buf_slice(&fold.body);
    }
    broker_apply(world->broker, &message, world->now_ms);
    ahead_drop(&mails[0]);
    fold_fini(&fold);
    buf_fini(&head);
    return folded;
}

static int
transact(struct world *world, struct mail *mails, size_t count)
{
    struct wire_link *link;
    struct err err = { 0 };
    int rc;

    clocks_read(world);
    if (world->now_ms - world->wake_ms >= WORLD_LATE_MS)
        world->stood_ms += world->now_ms - world->wake_ms;
    if (store_begin(world->store, world->now_ms, &err) < 0)
        world_fail(world, "begin: %s", err.msg);
    if (world->fails) {
        room_limit(&world->room, world->store,
                   dice_roll(&world->room_dice, ROOM_ROWS));
    }
    ahead_read(world, mails, count);
    for (size_t i = 0; (link = wire_link_at(world, i)); i++)
        ahead_read(world, link->to_broker.mails, link->to_broker.count);
    for (size_t i = 0; i < count;)
        i += apply(world, mails + i, count - i);
    broker_turn(world->broker, world->now_ms);
    world->wake_ms = broker_next_ms(world->broker);
    if (world->wake_ms < world->now_ms)
        world->wake_ms = world->now_ms;
    world->is_turning = true;
    rc = commit(world);
    if (rc == 0)
        shell_settle(world);
    return rc;
}

/* Takes messages that have arrived: of each peer the first few. None, where the
 * loop has come to itself before the thread that hands them to it. */
static void
collect(struct world *world, struct pipe *taken)
{
    struct wire_link *link;
    struct mail mail;

    if (world->is_deaf) {
        world->is_deaf = false;
        return;
    }
    while (world->stray.count > 0 && dice_once_in(&world->dice, 2)) {
        if (pipe_pull(&world->stray, &mail))
            pipe_push(taken, &mail);
    }
    for (size_t i = 0; (link = wire_link_at(world, i)); i++) {
        uint64_t most =
            world->is_calm ? link->to_broker.count : dice_roll(&world->dice, 6);

        while (most-- > 0 && pipe_pull(&link->to_broker, &mail))
            pipe_push(taken, &mail);
    }
}

/* What a message said is as if it was not said. */
static void
refuse(struct world *world, const struct mail *mail, int code)
{
    struct message message = mail_message(mail);

    broker_refuse(world->broker, &message, code, "no space");
    deliver(world, world->outbox.count);
    for (int i = 0; i < WORLD_WORKERS && mail->side == SIDE_WORKERS; i++) {
        struct worker *worker = &world->workers[i];

        if (memcmp(&worker->link.peer, &mail->peer, sizeof(mail->peer)) == 0)
            worker_note_refused(worker);
    }
}

/* One transaction, as sheafd's loop has it: when a group finds no space, its
 * messages are applied one by one. */
void
shell_turn(struct world *world)
{
    struct pipe taken = { 0 };
    int rc;

    world->tally.turns++;
    collect(world, &taken);
    rc = transact(world, taken.mails, taken.count);
    for (size_t i = 0; rc == E_FULL && i < taken.count; i++) {
        int one;

        world->fails =
            !world->is_calm && dice_once_in(&world->room_dice, AGAIN_FULL);
        one = transact(world, &taken.mails[i], 1);
        if (one == 1)
            break;
        if (one < 0)
            refuse(world, &taken.mails[i], one);
    }
    pipe_free(&taken);
}

/* ---- its end ---- */

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

void
shell_end_drain(struct world *world)
{
    bool is_over = true;

    if (!world->is_draining)
        return;
    for (int i = 0; i < WORLD_WORKERS; i++)
        is_over &= !world->workers[i].is_alive || !world->workers[i].is_own;
    if (is_over || world->now_ms >= world->drain_until_ms)
        shell_restart(world);
}

void
shell_trouble(struct world *world)
{
    switch (dice_roll(&world->dice, 7)) {
    case 0:
        world->fails = true;
        break;
    case 1:
        world->tally.restarts++;
        shell_restart(world);
        break;
    case 2:
        start_drain(world);
        break;
    default:
        world->crash =
            (int)dice_between(&world->dice, CRASH_BEFORE, CRASH_AFTER);
    }
}
