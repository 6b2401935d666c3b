/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "tests/sim/world.h"

#define NAME_BYTES 64
#define TEXTS      8 /* so few that drafts meet */
#define LINES      5 /* of a chunk, on most days */
#define HURRIED    3 /* steps at once, on a busy day */
#define BACK_EVERY 4 /* plans: one of them has ids that come again */
#define BACK_STEP  2 /* numbers between where its chunks begin */

#define LATER_MS_MAX INT64_C(172800000) /* so far may a deadline be */

static struct client *
client_of(struct world *world, const struct plan *plan)
{
    return &world->clients[plan->client];
}

static struct plan *
any_plan(struct world *world)
{
    return &world->plans[dice_roll(&world->dice, (uint64_t)world->plan_count)];
}

static void
say(struct world *world, const struct plan *plan, const char *verb)
{
    struct client *client = client_of(world, plan);

    world_tell(world, "client %d: %s batch of key %d", plan->client, verb,
               plan->number);
    wire_say(world, &client->link, (struct slice){ 0 },
             "{'verb':'%s','re':%lld,'batch':'%s'}", verb,
             (long long)++client->re, plan->uuid);
}

void
plan_forget(struct plan *plan)
{
    for (int n = 0; n < plan->chunk_count; n++) {
        free(plan->chunks[n].lines);
        plan->chunks[n] = (struct sent_chunk){ 0 };
    }
    plan->chunk_count = 0;
    *plan->uuid = '\0';
    plan->batch = 0;
    plan->cursor = plan->read_re = plan->why_re = 0;
    memset(plan->read, 0, sizeof(plan->read));
    plan->may_vanish = plan->was_cancelled = plan->was_purged = false;
}

/* ---- submitting ---- */

static void
open_batch(struct world *world, struct plan *plan)
{
    static const char *const terms[] = {
        "",
        ",'priority':3",
        ",'window':'sat,sun 00:00-24:00','tz':'UTC'",
        ",'not_before':1800000020000",
        ",'deadline':1800000060000",
        "",
        "",
        "",
    };
    struct client *client = client_of(world, plan);
    char priority[NAME_BYTES] = "";

    if (plan->priority >= 0) {
        (void)snprintf(priority, sizeof(priority), ",'priority':%d",
                       plan->priority);
    }
    world->tally.opens++;
    world_tell(world, "client %d: open key %d", plan->client, plan->number);
    plan->open_re = ++client->re;
    wire_say(world, &client->link,
             slice_of(plan->number % 2 ? "{\"goal\":\"G\"}" : NULL),
             "{'verb':'open','re':%lld,'client':'c%d','key':'%d','early':%s%s}",
             (long long)plan->open_re, plan->client, plan->number,
             plan->is_early ? "true" : "false",
             plan->has_terms ? terms[plan->number] : priority);
}

static void
add_line(struct world *world, const struct plan *plan, struct buf *lines)
{
    struct dice *dice = &world->dice;

    if (world->is_busy) {
        crowd_line(world, plan, lines);
        return;
    }
    buf_addf(lines, ",\"text\":\"text %d\"", (int)dice_roll(dice, TEXTS));
    if (dice_once_in(dice, 3))
        buf_addf(lines, ",\"goal\":\"goal %d\"", (int)dice_roll(dice, 2));
    if (dice_once_in(dice, 4))
        buf_add_str(lines, ",\"upstream\":\"two\"");
    else if (dice_once_in(dice, 4))
        buf_add_str(lines, ",\"upstream\":\"one,two\"");
    if (dice_once_in(dice, 6))
        buf_add_str(lines, ",\"max_tokens\":100");
    models_add(world, lines);
}

/* The number in the id of a chunk's line. Of some plans each chunk begins below the
 * one before it, and comes to what is there. */
static long
number_of(const struct world *world, const struct plan *plan, long n, int line)
{
    if (world->is_busy || plan->number % BACK_EVERY != BACK_EVERY - 1)
        return n * WORLD_LINES + line;
    return (WORLD_CHUNKS - 1 - n) * BACK_STEP + line;
}

/* True if a draft of an earlier chunk has a number. */
static bool
is_taken(const struct world *world, const struct plan *plan, long n,
         long number)
{
    for (long k = 0; k < n; k++) {
        for (int i = 0; i < plan->chunks[k].line_count; i++) {
            if (plan->chunks[k].is_good[i] &&
                number_of(world, plan, k, i) == number) {
                return true;
            }
        }
    }
    return false;
}

static void
make_chunk(struct world *world, struct plan *plan, struct sent_chunk *chunk)
{
    long n = chunk - plan->chunks;
    int64_t most = world->is_busy ? WORLD_LINES : LINES;
    struct dice *dice = &world->dice;
    struct buf lines = { 0 };

    *chunk =
        (struct sent_chunk){ .line_count = (int)dice_between(dice, 1, most) };
    for (int i = 0; i < chunk->line_count; i++) {
        long number = number_of(world, plan, n, i);
        bool is_draft = !dice_once_in(dice, 15);

        chunk->is_good[i] = is_draft && !is_taken(world, plan, n, number);
        if (!is_draft) {
            buf_add_str(&lines, "no draft\n");
            continue;
        }
        buf_addf(&lines, "{\"id\":\"%ld\"", number);
        add_line(world, plan, &lines);
        buf_add_str(&lines, "}\n");
    }
    chunk->lines = buf_take(&lines);
}

static void
send_lines(struct world *world, struct plan *plan, int n, const char *lines)
{
    struct client *client = client_of(world, plan);
    unsigned char digest[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];

    digest_of(lines, strlen(lines), digest);
    digest_hex(digest, hex);
    plan->chunks[n].re = ++client->re;
    world_tell(world, "client %d: chunk %d of key %d", plan->client, n + 1,
               plan->number);
    wire_say(world, &client->link, slice_of(lines),
             "{'verb':'chunk','re':%lld,'batch':'%s','n':%d,'digest':'%s'}",
             (long long)client->re, plan->uuid, n + 1, hex);
}

/* A new chunk, or one of those before once more. */
static void
send_chunk(struct world *world, struct plan *plan)
{
    struct dice *dice = &world->dice;
    int n;

    if (plan->chunk_count < WORLD_CHUNKS && !dice_once_in(dice, 3)) {
        n = plan->chunk_count++;
        make_chunk(world, plan, &plan->chunks[n]);
        world->tally.chunks++;
    } else if (plan->chunk_count > 0) {
        n = (int)dice_roll(dice, (uint64_t)plan->chunk_count);
        world->tally.chunks_repeated++;
    } else {
        return;
    }
    send_lines(world, plan, n, plan->chunks[n].lines);
}

/* What is stored under a number cannot become something else. */
static void
forge_chunk(struct world *world, struct plan *plan)
{
    int64_t re;

    if (plan->chunk_count == 0 || !plan->chunks[0].is_stored)
        return;
    world->tally.chunks_forged++;
    re = plan->chunks[0].re;
    send_lines(world, plan, 0, "{\"id\":\"forged\",\"text\":\"forged\"}\n");
    plan->chunks[0].re = re;
}

/* The chunks that are known to be stored, and their drafts. */
static void
seal(struct world *world, struct plan *plan)
{
    struct client *client = client_of(world, plan);
    bool is_empty = true;
    int drafts = 0;

    for (int n = 0; n < plan->chunk_count; n++) {
        if (!plan->chunks[n].is_stored)
            return;
        drafts += plan->chunks[n].line_count;
        for (int i = 0; i < plan->chunks[n].line_count; i++)
            is_empty &= !plan->chunks[n].is_good[i];
    }
    world->tally.seals++;
    plan->may_vanish |= is_empty;
    world_tell(world, "client %d: seal key %d", plan->client, plan->number);
    wire_say(world, &client->link, (struct slice){ 0 },
             "{'verb':'seal','re':%lld,'batch':'%s','chunks':%d,'drafts':%d}",
             (long long)++client->re, plan->uuid, plan->chunk_count, drafts);
}

/* ---- acting ---- */

static void
ask_results(struct world *world, struct plan *plan)
{
    struct client *client = client_of(world, plan);

    world->tally.readings++;
    plan->read_re = ++client->re;
    wire_say(
        world, &client->link, (struct slice){ 0 },
        "{'verb':'results','re':%lld,'batch':'%s','after':%lld,'limit':%d}",
        (long long)plan->read_re, plan->uuid, (long long)plan->cursor,
        (int)dice_between(&world->dice, 1, 8));
}

/* Verbs that end or change a batch. */
static void
control(struct world *world, struct plan *plan)
{
    switch (dice_roll(&world->dice, 12)) {
    case 0:
        if (dice_once_in(&world->dice, 8)) {
            world->tally.aborts++;
            plan->may_vanish = true;
            say(world, plan, "abort");
        }
        break;
    case 1:
        if (dice_once_in(&world->dice, 4)) {
            world->tally.cancels++;
            plan->was_cancelled = true;
            say(world, plan, "cancel");
        }
        break;
    case 2:
    case 3:
        world->tally.pauses++;
        say(world, plan, "pause");
        break;
    case 4:
    case 5:
        world->tally.resumes++;
        say(world, plan, "resume");
        break;
    case 6:
        world->tally.purges++;
        plan->was_purged = true;
        plan->may_vanish = true;
        say(world, plan, "purge");
        break;
    default:
        world->tally.retries++;
        judge_retry(world);
        say(world, plan, "retry");
    }
}

/* Asks about one of the first drafts, all of which were acknowledged. */
static void
ask_why(struct world *world, struct plan *plan)
{
    struct client *client = client_of(world, plan);
    int drafts = 0;

    for (int n = 0; n < plan->chunk_count && plan->chunks[n].is_stored; n++)
        drafts += plan->chunks[n].line_count;
    if (drafts == 0)
        return;
    world->tally.whys++;
    plan->why_re = ++client->re;
    plan->why_index = (int)dice_roll(&world->dice, (uint64_t)drafts);
    wire_say(world, &client->link, (struct slice){ 0 },
             "{'verb':'why','re':%lld,'batch':'%s','index':%d}",
             (long long)plan->why_re, plan->uuid, plan->why_index);
}

static void
look(struct world *world, struct plan *plan)
{
    static const char *const verbs[] = { "status", "refusals", "chunks",
                                         "wait" };

    world->tally.looks++;
    say(world, plan, verbs[dice_roll(&world->dice, 4)]);
}

/* Somebody has mended it, or thinks so. */
static void
resume(struct world *world, int where)
{
    struct client *client = &world->clients[0];

    world->tally.resumed++;
    world_tell(world, "client 0: upstream %s is to be asked again",
               weather_names[where]);
    wire_say(world, &client->link, (struct slice){ 0 },
             "{'verb':'upstream_resume','re':%lld,'upstream':'%s'}",
             (long long)++client->re, weather_names[where]);
}

/* A step on the way to a sealed batch; false if it is that far. */
static bool
hurry(struct world *world, struct plan *plan)
{
    struct batch batch;
    int n = 0;

    if (!world_find_of(world, plan, &batch)) {
        open_batch(world, plan);
        return true;
    }
    if (batch.state != BATCH_OPEN)
        return false;
    while (n < plan->chunk_count && plan->chunks[n].is_stored)
        n++;
    if (n < plan->chunk_count) {
        send_lines(world, plan, n, plan->chunks[n].lines);
    } else if (n < WORLD_CHUNKS && !dice_once_in(&world->dice, 5)) {
        n = plan->chunk_count++;
        make_chunk(world, plan, &plan->chunks[n]);
        send_lines(world, plan, n, plan->chunks[n].lines);
        world->tally.chunks++;
    } else {
        seal(world, plan);
    }
    return true;
}

/* On a busy day, clients have no time for anything else before all is there. */
static bool
hurry_all(struct world *world)
{
    bool has_hurried = false;

    for (int i = 0; i < HURRIED; i++)
        has_hurried |= hurry(world, any_plan(world));
    return has_hurried;
}

void
client_act(struct world *world)
{
    struct plan *plan = any_plan(world);
    uint64_t what = dice_roll(&world->dice, 42);

    if (world->is_busy && what > 5 && hurry_all(world))
        return;
    if (what > 40) {
        resume(world, (int)dice_roll(&world->dice, WORLD_UPSTREAMS));
        return;
    }
    if (what == 40)
        what = 39;

    if (!*plan->uuid || what == 0) {
        open_batch(world, plan);
    } else if (what < 16) {
        send_chunk(world, plan);
    } else if (what < 22) {
        seal(world, plan);
    } else if (what < 31) {
        control(world, plan);
    } else if (what < 35) {
        ask_results(world, plan);
    } else if (what < 38) {
        look(world, plan);
        ask_why(world, plan);
    } else if (what == 38) {
        forge_chunk(world, plan);
    } else {
        /* It gives up waiting, or dies, and starts anew from what it knows. */
        world->tally.clients_lost++;
        world_tell(world, "client %d is lost and comes back", plan->client);
        wire_connect(world, &client_of(world, plan)->link);
    }
}

/* ---- calm ---- */

/* What was stopped is mended, and that is said. */
static void
finish_upstreams(struct world *world)
{
    for (int i = 0; i < WORLD_UPSTREAMS; i++) {
        struct err err = { 0 };
        struct upstream_row row;
        bool is_stopped;

        if (store_begin(world->store, world->now_ms, &err) < 0)
            world_fail(world, "begin: %s", err.msg);
        is_stopped =
            store_upstream_get(world->store, weather_names[i], &row) == 0 &&
            row.until_ms == UPSTREAM_STOPPED;
        store_abort(world->store);
        if (is_stopped && !world->clients[0].link.to_broker.count)
            resume(world, i);
    }
}

void
clients_finish(struct world *world)
{
    finish_upstreams(world);
    for (int i = 0; i < world->plan_count; i++) {
        struct plan *plan = &world->plans[i];
        struct client *client = client_of(world, plan);
        struct batch batch;

        /* One thing at a time, and not before the last one was answered. */
        if (client->link.to_broker.count || !world_find_of(world, plan, &batch))
            continue;
        if (batch.state == BATCH_OPEN) {
            for (int n = 0; n < plan->chunk_count; n++) {
                if (!plan->chunks[n].is_stored)
                    send_lines(world, plan, n, plan->chunks[n].lines);
            }
            seal(world, plan);
        } else if (batch.state == BATCH_PAUSED) {
            say(world, plan, "resume");
        } else if (batch.state == BATCH_SEALED &&
                   batch.deadline_ms > world->now_ms + LATER_MS_MAX) {
            /* It starts in days, or was opened by a clock that was behind. */
            plan->was_cancelled = true;
            say(world, plan, "cancel");
        } else if (batch.state != BATCH_ABANDONED &&
                   batch.state != BATCH_PURGED &&
                   (uint64_t)plan->cursor < batch.last_seq) {
            ask_results(world, plan);
        }
    }
}

bool
clients_are_done(struct world *world)
{
    for (int i = 0; i < world->plan_count; i++) {
        struct plan *plan = &world->plans[i];
        struct batch batch;

        if (!world_find_of(world, plan, &batch))
            continue;
        if (batch_is_live(&batch))
            return false;
        if (batch.state != BATCH_PURGED && batch.state != BATCH_ABANDONED &&
            (uint64_t)plan->cursor < batch.last_seq) {
            world_tell(world, "key %d: read to %lld of %llu", plan->number,
                       (long long)plan->cursor,
                       (unsigned long long)batch.last_seq);
            return false;
        }
    }
    return true;
}

void
clients_free(struct world *world)
{
    for (int i = 0; i < world->plan_count; i++)
        plan_forget(&world->plans[i]);
}
