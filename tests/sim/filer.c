/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "queue/wire.h"
#include "tests/sim/world.h"

#define HISTORIES   3 /* one in so many has a filer */
#define PART_MAX    20000
#define PAD_MAX     9000 /* in a line, so that files have several pieces */
#define ID_PAD      300  /* of an id, so that they are made in several slices */
#define TEXTS       8    /* as the others have them */
#define KEY         '8'  /* the plan of its batches: WORLD_PLANS */
#define ENDPOINT    "/v1/chat/completions"
#define NAME_BYTES  64
#define FILE_TTL_MS 600000 /* in half of them */

static struct filer_round *
current(struct world *world)
{
    return &world->filer.rounds[world->filer.round];
}

static void
say(struct world *world, const char *verb, const char *more)
{
    struct filer *filer = &world->filer;

    world_tell(world, "filer: %s %s", verb, more);
    wire_say(world, &filer->link, (struct slice){ 0 },
             "{'verb':'%s','re':%lld,'client':'filer'%s}", verb,
             (long long)++filer->re, more);
}

/* The same of its file, or its batch. */
static void
say_of(struct world *world, const char *verb, const char *what,
       const char *uuid)
{
    char more[NAME_BYTES];

    (void)snprintf(more, sizeof(more), ",'%s':'%s'", what, uuid);
    say(world, verb, more);
}

/* ---- what it has to send ---- */

static void
add_line(struct world *world, struct filer_round *round, struct buf *out)
{
    struct dice *dice = &world->filer.dice;
    int number = round->line_count++, text = (int)dice_roll(dice, TEXTS);
    int id = number, pad = (int)dice_roll(dice, PAD_MAX);

    round->texts[number] = text;
    if (dice_once_in(dice, 60)) {
        round->has_bad = true;
        buf_add_str(out, "no line\n");
        return;
    }
    if (number > 0 && dice_once_in(dice, 60)) {
        round->has_bad = true;
        id = 0; /* or it is another bad one */
    }
    /* So long that files are made in several slices. */
    buf_addf(out, "{\"custom_id\":\"%d", id);
    for (int i = 0; i < ID_PAD; i++)
        buf_add_char(out, 'x');
    buf_addf(out,
             "\",\"method\":\"POST\",\"url\":\"" ENDPOINT
             "\",\"body\":{\"messages\":[{\"role\":\"user\","
             "\"content\":\"text %d\"}]}}\n",
             text);
    /* A blank line in between says nothing. */
    for (int i = 0; i < pad; i++)
        buf_add_char(out, ' ');
    buf_add_char(out, '\n');
}

static void
begin_round(struct world *world, int number)
{
    struct filer *filer = &world->filer;
    struct filer_round *round = &filer->rounds[number];
    int lines = (int)dice_roll(&filer->dice, WORLD_DRAFTS + 1);
    struct buf content = { 0 };

    filer->round = number;
    filer->open_re = filer->forged_re = filer->look_re = filer->batch_re = 0;
    for (int i = 0; i < lines; i++)
        add_line(world, round, &content);
    round->has_bad |= lines == 0;
    round->bytes = content.bytes;
    round->content = buf_take(&content);
}

void
filer_begin(struct world *world)
{
    struct filer *filer = &world->filer;

    filer->is_on = world->seed % HISTORIES == 0 && !world->is_busy;
    if (!filer->is_on)
        return;
    filer->dice.state = digest_xxh(&world->seed, sizeof(world->seed), 1);
    filer->link.side = SIDE_CLIENTS;
    wire_connect(world, &filer->link);
    world->conf.chunk_drafts_max = WORLD_LINES; /* as the others send */
    world->conf.results_page_bytes_max = 4096;
    world->conf.file_ttl_ms = dice_once_in(&filer->dice, 2) ? 0 : FILE_TTL_MS;
    world->plans[WORLD_PLANS].number = WORLD_PLANS;
    begin_round(world, 0);
}

void
filer_free(struct world *world)
{
    for (int i = 0; i < WORLD_ROUNDS; i++)
        free(world->filer.rounds[i].content);
}

struct filer_round *
filer_round_of(struct world *world, uint64_t batch)
{
    struct spec spec;
    int number;

    if (store_spec_get(world->store, batch, &spec) < 0 || spec.key.bytes < 4 ||
        spec.key.data[0] != KEY) {
        return NULL;
    }
    number = (spec.key.data[2] - '0') * 10 + spec.key.data[3] - '0';
    return &world->filer.rounds[number];
}

bool
filer_may_expire(const struct world *world, int64_t since_ms)
{
    return world->conf.file_ttl_ms > 0 &&
           world->now_ms >= since_ms + world->conf.file_ttl_ms;
}

/* ---- acting ---- */

static void
open_file(struct world *world)
{
    struct filer *filer = &world->filer;
    char more[NAME_BYTES];

    world->tally.uploads++;
    (void)snprintf(more, sizeof(more), ",'key':'%d','bytes':%zu", filer->round,
                   current(world)->bytes);
    say(world, "file_open", more);
    filer->open_re = filer->re;
}

static void
send_part(struct world *world, size_t at, struct slice part)
{
    struct filer *filer = &world->filer;
    unsigned char digest[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];

    digest_of(part.data, part.bytes, digest);
    digest_hex(digest, hex);
    world_tell(world, "filer: %zu bytes from %zu on", part.bytes, at);
    wire_say(world, &filer->link, part,
             "{'verb':'file_part','re':%lld,'client':'filer','file':'%s',"
             "'at':%zu,'digest':'%s'}",
             (long long)++filer->re, current(world)->file, at, hex);
}

/* What comes next, or from before once more; or what never was there. */
static void
send_some(struct world *world)
{
    struct filer *filer = &world->filer;
    struct filer_round *round = current(world);
    size_t at = round->received, bytes;

    if (at > 0 && dice_once_in(&filer->dice, 8)) {
        world->tally.parts_forged++;
        send_part(world, at - 1, slice_of("\x01"));
        filer->forged_re = filer->re;
        return;
    }
    if (at > 0 && dice_once_in(&filer->dice, 3))
        at = dice_roll(&filer->dice, at);
    bytes = (size_t)dice_between(&filer->dice, 1, PART_MAX);
    if (bytes > round->bytes - at)
        bytes = round->bytes - at;
    if (bytes == 0)
        return;
    world->tally.parts++;
    send_part(world, at, (struct slice){ round->content + at, bytes });
}

static void
close_file(struct world *world)
{
    struct filer_round *round = current(world);
    unsigned char chain[DIGEST_BYTES] = { 0 };
    char hex[DIGEST_HEX_BYTES];
    char more[2 * NAME_BYTES + NAME_BYTES];

    for (size_t at = 0; at < round->bytes; at += FILE_PIECE_BYTES) {
        size_t left = round->bytes - at;

        if (left > FILE_PIECE_BYTES)
            left = FILE_PIECE_BYTES;
        file_chain(chain, (struct slice){ round->content + at, left });
    }
    digest_hex(chain, hex);
    (void)snprintf(more, sizeof(more), ",'file':'%s','digest':'%s'",
                   round->file, hex);
    say(world, "file_close", more);
}

static void
open_batch(struct world *world)
{
    struct filer *filer = &world->filer;
    char more[3 * NAME_BYTES];

    world->tally.file_batches++;
    (void)snprintf(more, sizeof(more),
                   ",'key':'%c-%02d','file':'%s','endpoint':'" ENDPOINT "'",
                   KEY, filer->round, current(world)->file);
    say(world, "open", more);
    filer->batch_re = filer->re;
}

static void
end_round(struct world *world)
{
    struct filer *filer = &world->filer;
    struct batch batch;

    if (filer->round + 1 < WORLD_ROUNDS &&
        (!world_find(world, current(world)->batch, &batch) ||
         !batch_is_live(&batch))) {
        begin_round(world, filer->round + 1);
    }
}

static void
delete_file(struct world *world)
{
    world->tally.files_deleted++;
    current(world)->was_deleted = true;
    say_of(world, "file_delete", "file", current(world)->file);
}

static void
control(struct world *world)
{
    static const char *const verbs[] = { "status", "pause",  "resume",
                                         "retry",  "resume", "refusals" };
    struct filer *filer = &world->filer;
    struct filer_round *round = current(world);
    struct plan *plan = &world->plans[WORLD_PLANS];
    uint64_t what = dice_roll(&filer->dice, 24);

    if (what < 12) {
        const char *verb = verbs[what % 6];

        if (strcmp(verb, "retry") == 0)
            judge_retry(world);
        say_of(world, verb, "batch", round->batch);
    } else if (what < 13) {
        plan->was_cancelled = true;
        say_of(world, "cancel", "batch", round->batch);
    } else if (what < 14) {
        plan->was_purged = plan->may_vanish = true;
        say_of(world, "purge", "batch", round->batch);
    } else if (what < 15) {
        delete_file(world);
    } else if (what < 17) {
        say_of(world, "seal", "batch", round->batch);
    } else if (what < 20) {
        end_round(world);
    } else {
        say_of(world, "results", "batch", round->batch);
    }
}

void
filer_act(struct world *world)
{
    struct filer *filer = &world->filer;
    struct filer_round *round = current(world);

    if (!filer->is_on || !dice_once_in(&filer->dice, 4))
        return;
    if (dice_once_in(&filer->dice, 40)) {
        world_tell(world, "the filer is lost and comes back");
        wire_connect(world, &filer->link);
    }
    if (!*round->file || dice_once_in(&filer->dice, 20)) {
        open_file(world);
    } else if (!round->is_stored) {
        if (round->received < round->bytes)
            send_some(world);
        else
            close_file(world);
    } else if (dice_once_in(&filer->dice, 6)) {
        say_of(world, "file", "file", round->file);
        filer->look_re = filer->re;
    } else if (!*round->batch || dice_once_in(&filer->dice, 20)) {
        open_batch(world);
    } else {
        control(world);
    }
}

/* ---- answers ---- */

/* What was acknowledged stays, as long as the file may stay open. */
static void
take_file(struct world *world, const cJSON *file)
{
    struct filer_round *round = current(world);
    const cJSON *received = cJSON_GetObjectItemCaseSensitive(file, "received");

    if (*round->file && strcmp(round->file, answer_text(file, "file")) != 0) {
        if (round->is_stored && !round->was_deleted &&
            !filer_may_expire(world, round->created_ms))
            world_fail(world, "the key of a stored file has another one");
        round->received = 0; /* it was left open for too long, or deleted */
        round->is_stored = false;
    }
    (void)snprintf(round->file, sizeof(round->file), "%s",
                   answer_text(file, "file"));
    if ((size_t)cJSON_GetNumberValue(received) < round->received)
        world_fail(world, "%zu bytes of a file were acknowledged, %zu are left",
                   round->received, (size_t)cJSON_GetNumberValue(received));
    round->received = (size_t)cJSON_GetNumberValue(received);
    round->created_ms = (int64_t)cJSON_GetNumberValue(
        cJSON_GetObjectItemCaseSensitive(file, "created_at"));
    round->is_stored |= strcmp(answer_text(file, "state"), "stored") == 0;
}

static void
take_error(struct world *world, int64_t re, const cJSON *head)
{
    struct filer *filer = &world->filer;
    struct filer_round *round = current(world);
    bool is_gone = strcmp(answer_text(head, "code"), "not_found") == 0;

    if (re == filer->look_re && is_gone && round->is_stored &&
        !round->was_deleted && !filer_may_expire(world, round->created_ms)) {
        world_fail(world, "a stored file is not found");
    }
}

static void
take_batch(struct world *world, const cJSON *head)
{
    struct filer_round *round = current(world);
    const struct plan *plan = &world->plans[WORLD_PLANS];

    if (*round->batch &&
        strcmp(round->batch, answer_text(head, "batch")) != 0 &&
        !plan->may_vanish && world->conf.results_ttl_ms == 0) {
        world_fail(world, "a key of the filer's has two batches");
    }
    (void)snprintf(round->batch, sizeof(round->batch), "%s",
                   answer_text(head, "batch"));
}

static void
take_answer(struct world *world, const struct mail *mail)
{
    struct filer *filer = &world->filer;
    const char *verb;
    struct wire wire;
    int64_t re;

    if (wire_parse(&wire, buf_slice(&mail->head), buf_slice(&mail->body),
                   NULL) < 0 ||
        wire_int(&wire, "re", wire_range(0, WIRE_INT_MAX), &re, NULL) < 0) {
        world_fail(world, "an answer to the filer cannot be read");
    }
    verb = wire_verb(&wire);
    world_tell(world, "filer is told: %.300s", mail->head.data);
    if (strcmp(verb, "file_opened") == 0 && re == filer->open_re)
        take_file(world, wire_get(&wire, "file"));
    else if (strcmp(verb, "file_part") == 0 && re == filer->forged_re)
        world_fail(world, "other bytes took the place of what was stored");
    else if (strcmp(verb, "error") == 0)
        take_error(world, re, wire.head);
    else if (strcmp(verb, "opened") == 0 && re == filer->batch_re)
        take_batch(world, wire.head);
    if (strcmp(verb, "file_part") == 0 &&
        strcmp(answer_text(wire.head, "file"), current(world)->file) == 0) {
        const cJSON *received = wire_get(&wire, "received");

        if ((size_t)cJSON_GetNumberValue(received) > current(world)->received)
            current(world)->received = (size_t)cJSON_GetNumberValue(received);
    } else if (strcmp(verb, "file") == 0) {
        const cJSON *file = wire_get(&wire, "file");

        if (strcmp(answer_text(file, "file"), current(world)->file) == 0)
            take_file(world, file);
    }
    wire_fini(&wire);
}

void
filer_read(struct world *world)
{
    struct mail mail;

    while (world->filer.is_on && wire_take(&world->filer.link, &mail)) {
        take_answer(world, &mail);
        mail_fini(&mail);
    }
}

/* ---- calm ---- */

void
filer_finish(struct world *world)
{
    struct batch batch;

    if (!world->filer.is_on || world->filer.link.to_broker.count)
        return;
    if (world_find(world, current(world)->batch, &batch) &&
        batch.state == BATCH_PAUSED) {
        say_of(world, "resume", "batch", current(world)->batch);
    }
}

/* What is behind a batch's end is made, too. */
static bool
is_over(struct world *world, const struct filer_round *round)
{
    struct err err = { 0 };
    struct filing filing;
    struct batch batch;
    bool is_made = true;

    if (!world_find(world, round->batch, &batch))
        return true;
    if (batch_is_live(&batch))
        return false;
    if (store_begin(world->store, world->now_ms, &err) < 0)
        world_fail(world, "begin: %s", err.msg);
    if (batch.state != BATCH_PURGED &&
        store_filing_get(world->store, batch.id, &filing) == 0) {
        is_made = filing.phase == FILING_FILED || filing.phase == FILING_OVER;
    }
    store_abort(world->store);
    return is_made;
}

bool
filer_is_done(struct world *world)
{
    for (int i = 0; i <= world->filer.round; i++) {
        if (!is_over(world, &world->filer.rounds[i]))
            return false;
    }
    return true;
}
