/* What clients are told, and hold against what they know. */
/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "tests/sim/world.h"

#define NAME_BYTES 64

int64_t
answer_int(struct world *world, const cJSON *head, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(head, name);

    if (!cJSON_IsNumber(item))
        world_fail(world, "an answer has no number %s", name);
    return (int64_t)item->valuedouble;
}

const char *
answer_text(const cJSON *head, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(head, name);

    return cJSON_IsString(item) ? item->valuestring : "";
}

/* ---- results ---- */

/* The text that a draft of the plan has, as its client wrote it. */
static void
text_of(const struct plan *plan, int64_t index, char text[NAME_BYTES])
{
    int64_t base = 0;

    *text = '\0';
    for (int n = 0; n < plan->chunk_count; n++) {
        const char *line = plan->chunks[n].lines, *at;

        if (index - base < plan->chunks[n].line_count) {
            for (int64_t i = base; i < index; i++)
                line = strchr(line, '\n') + 1;
            at = strstr(line, "\"text\":\"");
            if (at)
                (void)sscanf(at, "\"text\":\"%63[^\"]", text);
            return;
        }
        base += plan->chunks[n].line_count;
    }
}

/* One result: newer than what the reader has, and the answer to its draft. */
static void
take_row(struct world *world, struct plan *plan, const cJSON *row)
{
    int64_t index = answer_int(world, row, "index");
    uint32_t revision = (uint32_t)answer_int(world, row, "revision");
    char text[NAME_BYTES], wanted[NAME_BYTES + 4];

    if (index < 0 || index >= WORLD_DRAFTS)
        world_fail(world, "a result of draft %lld", (long long)index);
    if (revision <= plan->read[index]) {
        world_fail(world,
                   "the reader of key %d got revision %u of draft %lld "
                   "behind revision %u",
                   plan->number, revision, (long long)index, plan->read[index]);
    }
    plan->read[index] = revision;
    if (strcmp(answer_text(row, "status"), "ok") != 0)
        return;
    text_of(plan, index, text);
    (void)snprintf(wanted, sizeof(wanted), "re: %s", text);
    if (strcmp(answer_text(row, "text"), wanted) != 0) {
        world_fail(world, "draft %lld of key %d, \"%s\", has the answer \"%s\"",
                   (long long)index, plan->number, text,
                   answer_text(row, "text"));
    }
}

static void
take_results(struct world *world, struct plan *plan, const struct mail *mail)
{
    const char *at = mail->body.data;
    size_t left = mail->body.bytes;

    while (left > 0) {
        const char *end = memchr(at, '\n', left);
        cJSON *row = end ? cJSON_ParseWithLength(at, (size_t)(end - at)) : NULL;

        if (!row)
            world_fail(world, "a result line is no JSON");
        take_row(world, plan, row);
        cJSON_Delete(row);
        left -= (size_t)(end + 1 - at);
        at = end + 1;
    }
}

/* ---- batches ---- */

/* True if the batch of a plan was left open for too long, or is removed. */
static bool
has_gone(struct world *world, const struct plan *plan)
{
    struct batch batch;

    return !world_find_of(world, plan, &batch) ||
           batch.state == BATCH_ABANDONED || batch.state == BATCH_PURGED;
}

/* The key has a batch; the one it has always had, unless that went. */
static void
take_opened(struct world *world, struct plan *plan, const cJSON *head)
{
    const char *uuid = answer_text(head, "batch");

    if (*plan->uuid && strcmp(plan->uuid, uuid) != 0) {
        if (!plan->may_vanish && !has_gone(world, plan))
            world_fail(world, "key %d has two batches", plan->number);
        plan_forget(plan);
    }
    if (uuid_parse(uuid, plan->uuid_bytes) != 0)
        world_fail(world, "a UUID %s", uuid);
    (void)snprintf(plan->uuid, sizeof(plan->uuid), "%s", uuid);
}

static void
take_stored(struct world *world, struct plan *plan, struct sent_chunk *chunk,
            const cJSON *head)
{
    int64_t accepted = answer_int(world, head, "accepted"), good = 0;

    for (int i = 0; i < chunk->line_count; i++)
        good += chunk->is_good[i];
    if (accepted != good) {
        world_fail(world,
                   "key %d: a chunk with %lld drafts was answered with "
                   "%lld",
                   plan->number, (long long)good, (long long)accepted);
    }
    chunk->is_stored = true;
}

/* True if a draft is good, and not one that must be refused. */
static bool
is_good(const struct plan *plan, int index)
{
    int n = 0;

    for (; index >= plan->chunks[n].line_count; n++)
        index -= plan->chunks[n].line_count;
    return plan->chunks[n].is_good[index];
}

/* What was acknowledged can be asked about as long as the batch is there. */
static void
take_why(struct world *world, struct plan *plan, const cJSON *head)
{
    plan->why_re = 0;
    if (strcmp(answer_text(head, "verb"), "why") == 0) {
        if (answer_int(world, head, "index") != plan->why_index)
            world_fail(world, "why: another draft than was asked about");
        judge_why(world, head, is_good(plan, plan->why_index));
    } else if (strcmp(answer_text(head, "code"), "not_found") == 0 &&
               !plan->may_vanish && !has_gone(world, plan)) {
        world_fail(world, "why: draft %d of key %d is not found",
                   plan->why_index, plan->number);
    }
}

static void
take_for_plan(struct world *world, struct plan *plan, int64_t re,
              const cJSON *head, const struct mail *mail)
{
    const char *verb = answer_text(head, "verb");
    bool is_ours = strcmp(answer_text(head, "batch"), plan->uuid) == 0;

    if (strcmp(verb, "opened") == 0 && re == plan->open_re)
        take_opened(world, plan, head);
    if (plan->why_re != 0 && re == plan->why_re)
        take_why(world, plan, head);
    if (!is_ours)
        return;
    if (strcmp(verb, "results") == 0 && re == plan->read_re) {
        take_results(world, plan, mail);
        plan->cursor = answer_int(world, head, "cursor");
        plan->read_re = 0;
    }
    if (strcmp(verb, "sealed") == 0 &&
        strcmp(answer_text(head, "state"), "empty") == 0) {
        plan->may_vanish = true;
    }
    for (int n = 0; n < plan->chunk_count; n++) {
        if (strcmp(verb, "stored") == 0 && re == plan->chunks[n].re)
            take_stored(world, plan, &plan->chunks[n], head);
    }
}

static void
take_answer(struct world *world, int number, const struct mail *mail)
{
    struct wire wire;
    struct err err = { 0 };
    int64_t re;

    if (wire_parse(&wire, buf_slice(&mail->head), buf_slice(&mail->body),
                   &err) < 0 ||
        wire_int(&wire, "re", wire_range(0, WIRE_INT_MAX), &re, &err) < 0) {
        world_fail(world, "an answer cannot be read: %s", err.msg);
    }
    world_tell(world, "client %d: %s %s %s %.300s", number, wire_verb(&wire),
               answer_text(wire.head, "code"),
               answer_text(wire.head, "message"), mail->head.data);
    for (int i = 0; i < world->plan_count; i++) {
        if (world->plans[i].client == number)
            take_for_plan(world, &world->plans[i], re, wire.head, mail);
    }
    wire_fini(&wire);
}

void
clients_read(struct world *world)
{
    for (int i = 0; i < world->client_count; i++) {
        struct mail mail;

        while (wire_take(&world->clients[i].link, &mail)) {
            take_answer(world, i, &mail);
            mail_fini(&mail);
        }
    }
}
