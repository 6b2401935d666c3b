/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/world.h"

static const unsigned char no_uuid[FILE_UUID_BYTES] = { 0 };

void
judge_filed(struct world *world, uint64_t batch, enum batch_state to)
{
    const struct filer_round *round = filer_round_of(world, batch);

    if (!round)
        return;
    if (to == BATCH_SEALED && round->has_bad)
        world_fail(world, "a batch was sealed, and a line of its file is bad");
    if (to == BATCH_FAILED && !round->has_bad && !round->was_deleted)
        world_fail(world, "a batch has failed, and its file is good");
}

/* All bytes of a file. */
static char *
read_file(struct world *world, const struct file *file)
{
    struct buf out = { 0 };
    struct slice piece;

    while (store_file_read(world->store, file, out.bytes, &piece) == 0)
        buf_add_slice(&out, piece);
    if (out.bytes != file->bytes)
        world_fail(world, "a file of %llu bytes has %zu",
                   (unsigned long long)file->bytes, out.bytes);
    return buf_take(&out);
}

static const cJSON *
member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* One line: of a draft that had none, with the answer to its text or none. */
static void
check_line(struct world *world, const struct filer_round *round,
           enum filing_side side, const char *text, bool seen[WORLD_DRAFTS])
{
    cJSON *line = cJSON_Parse(text);
    const cJSON *response = member(line, "response");
    const char *id = cJSON_GetStringValue(member(line, "custom_id"));
    const char *got =
        cJSON_GetStringValue(member(member(response, "body"), "content"));
    char want[32];
    long index = id ? strtol(id, NULL, 10) : -1;

    if (index < 0 || index >= round->line_count || seen[index])
        world_fail(world, "a line that no draft has, or twice: %.200s", text);
    seen[index] = true;
    (void)snprintf(want, sizeof(want), "re: text %d", round->texts[index]);
    if (side == FILING_OUTPUT && (!got || strcmp(got, want) != 0))
        world_fail(world, "%s is not in: %.200s", want, text);
    if (side == FILING_ERROR && !cJSON_IsObject(member(line, "error")) &&
        !cJSON_IsObject(member(member(response, "body"), "error"))) {
        world_fail(world, "no error in: %.200s", text);
    }
    cJSON_Delete(line);
}

static int
check_lines(struct world *world, const struct filer_round *round,
            enum filing_side side, char *content, bool seen[WORLD_DRAFTS])
{
    int count = 0;

    for (char *at = content, *end; (end = strchr(at, '\n')); at = end + 1) {
        *end = '\0';
        check_line(world, round, side, at, seen);
        count++;
    }
    return count;
}

/* True if it was seen before; then it is what it was. */
static bool
is_known(struct world *world, const struct file *file)
{
    struct judge *judge = &world->judge;

    for (size_t i = 0; i < judge->file_count; i++) {
        struct seen_file *seen = &judge->files[i];

        if (memcmp(seen->uuid, file->uuid, sizeof(seen->uuid)) != 0)
            continue;
        if (memcmp(seen->digest, file->chain, sizeof(seen->digest)) != 0)
            world_fail(world, "a file that a batch ended in has changed");
        return true;
    }
    return false;
}

static void
note_file(struct world *world, const struct file *file)
{
    struct judge *judge = &world->judge;
    struct seen_file *seen;

    judge->files =
        mem_grow(judge->files, judge->file_count + 1, sizeof(judge->files[0]));
    seen = &judge->files[judge->file_count++];
    memcpy(seen->uuid, file->uuid, sizeof(seen->uuid));
    memcpy(seen->digest, file->chain, sizeof(seen->digest));
    seen->stored_ms = file->stored_ms;
    world->tally.files_made++;
}

/* The files of a batch that has ended have a line for each draft. */
static void
check_filing(struct world *world, const struct batch *batch,
             const struct filing *filing)
{
    const struct filer_round *round = filer_round_of(world, batch->id);
    bool seen[WORLD_DRAFTS] = { 0 };
    uint32_t lines = 0;

    for (int side = 0; side < FILING_SIDES; side++) {
        struct file file;
        char *content;

        if (memcmp(filing->made[side], no_uuid, sizeof(no_uuid)) == 0)
            continue;
        if (store_file_find(world->store, filing->made[side], &file) < 0 ||
            file.state != FILE_STORED) {
            if (!filer_may_expire(world, filing->filed_ms))
                world_fail(world, "a file that a batch ended in is gone");
            return;
        }
        content = read_file(world, &file);
        lines += (uint32_t)check_lines(world, round, (enum filing_side)side,
                                       content, seen);
        if (!is_known(world, &file))
            note_file(world, &file);
        free(content);
    }
    if (lines != batch->draft_count) {
        world_fail(world, "batch %llu has %u drafts, and %u lines in its files",
                   (unsigned long long)batch->id, batch->draft_count, lines);
    }
}

/* Files that were made stay what they were, whatever became of their batch. */
static void
check_known(struct world *world)
{
    for (size_t i = 0; i < world->judge.file_count; i++) {
        const struct seen_file *seen = &world->judge.files[i];
        struct file file;

        if (store_file_find(world->store, seen->uuid, &file) == 0)
            (void)is_known(world, &file);
        else if (!filer_may_expire(world, seen->stored_ms))
            world_fail(world, "a file that a batch ended in is gone");
    }
}

void
judge_files(struct world *world)
{
    struct batch batch = { 0 };

    if (!world->filer.is_on)
        return;
    check_known(world);
    while (store_batch_after(world->store, batch.id, &batch) == 0) {
        struct filing filing;

        if (batch.state != BATCH_PURGED &&
            store_filing_get(world->store, batch.id, &filing) == 0 &&
            filing.phase == FILING_FILED) {
            check_filing(world, &batch, &filing);
        }
    }
}
