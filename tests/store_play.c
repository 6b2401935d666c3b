/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tests/store_play.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/answer.h"
#include "store/chunk_rows.h"
#include "store/copy.h"
#include "store/part.h"
#include "store/rows.h"

#define START_MS    1000000
#define LIFETIME_MS 3600000
#define OPEN_TTL_MS 86400000
#define GROUP_SPAN  4 /* requests of a group */
#define KEYS_RECENT 4
#define CELL_KEYS   1 /* half of the cells have room for none */
#define RESULTS_GAP 2

static const unsigned char store_id[STORE_UUID_BYTES] = "a store of tests";

static void
open_store(struct play *play)
{
    struct err err = { 0 };

    play->store =
        play->kind == PLAY_MEMORY
            ? store_open_memory(PLAY_MAP_BYTES, store_id)
            : store_open(play->scratch.path, PLAY_MAP_BYTES, store_id, &err);
    cr_assert_not_null(play->store, "%s", err.msg);
    /* So few that both halves of the index have some. */
    store_keep_recent(play->store, KEYS_RECENT, CELL_KEYS);
    store_keep_apart(play->store, RESULTS_GAP);
}

void
play_start(struct play *play, enum play_kind kind)
{
    *play = (struct play){ .kind = kind, .now_ms = START_MS };
    if (kind == PLAY_LMDB)
        play->scratch = scratch_make();
    open_store(play);
}

void
play_end(struct play *play)
{
    play_check(play);
    store_close(play->store);
    if (play->kind == PLAY_LMDB)
        scratch_remove(&play->scratch);
}

void
play_reopen(struct play *play)
{
    if (play->kind == PLAY_MEMORY)
        return;
    store_close(play->store);
    open_store(play);
}

void
play_begin(struct play *play)
{
    struct err err = { 0 };

    cr_assert_eq(store_begin(play->store, play->now_ms, &err), 0, "%s",
                 err.msg);
}

void
play_commit(struct play *play)
{
    struct err err = { 0 };

    cr_assert_eq(store_commit(play->store, &err), 0, "%s", err.msg);
}

void
play_key(const char *word, unsigned char key[DIGEST_BYTES])
{
    digest_of(word, strlen(word), key);
}

/* ---- intake ---- */

static uint64_t
recall(void *context, const unsigned char *key)
{
    struct play *play = context;

    for (size_t i = 0; i < play->memory_count; i++) {
        if (memcmp(play->keys[i], key, DIGEST_BYTES) == 0)
            return play->requests[i];
    }
    return 0;
}

/* Groups of a few, each pair of them with one goal. */
static void
place(void *context, struct new_draft *draft)
{
    struct play *play = context;

    draft->place.group = draft->draft.index / GROUP_SPAN + 1;
    while (play->store->ids.group < draft->place.group)
        (void)store_group_next(play->store);
    draft->place.lead = (draft->place.group + 1) / 2;
}

struct intake
play_intake(struct play *play)
{
    return (struct intake){ .now_ms = play->now_ms,
                            .cached_after_ms = play->cached_after_ms,
                            .context = play,
                            .recall = recall,
                            .place = place };
}

struct timer
play_abandon_timer(const struct batch *batch)
{
    return (struct timer){ .due_ms = batch->created_ms + OPEN_TTL_MS,
                           .kind = TIMER_ABANDON,
                           .id = batch->id };
}

void
play_abandon_at(struct play *play, const struct batch *batch)
{
    struct timer timer = play_abandon_timer(batch);

    store_timer_set(play->store, &timer);
}

uint64_t
play_open(struct play *play, const char *key)
{
    struct batch batch = { .state = BATCH_OPEN,
                           .priority = 1,
                           .created_ms = play->now_ms,
                           .lifetime_ms = LIFETIME_MS,
                           .chunk_next = 1,
                           .cost_nano = BATCH_COST_UNKNOWN };
    struct spec spec = { .client = slice_of("alice"),
                         .key = slice_of(key),
                         .metadata = slice_of("{}"),
                         .options = slice_of("{}") };
    unsigned char digest[DIGEST_BYTES];

    digest_of(key, strlen(key), digest);
    memcpy(batch.uuid, digest, sizeof(batch.uuid));
    play_begin(play);
    store_batch_add(play->store, &batch, &spec);
    play_abandon_at(play, &batch);
    play_commit(play);
    return batch.id;
}

/* Writes the draft's line behind the others and says where it is. */
static void
write_line(struct new_draft *draft, const struct play_draft *from,
           struct buf *body)
{
    struct draft *to = &draft->draft;
    size_t at = body->bytes;

    buf_addf(body, "{\"id\":\"%s\",\"word\":\"%s\"}\n", from->id, from->word);
    to->at = (uint32_t)at;
    to->bytes = (uint32_t)(body->bytes - at);
    to->id_at = 6;
    to->id_bytes = (uint32_t)strlen(from->id) + 2;
    to->line_check =
        draft_line_check((struct slice){ body->data + at, body->bytes - at });
    draft->id = slice_of(from->id);
    draft->route = "local";
    play_key(from->word, draft->key);
}

static void
refuse(struct play *play, struct batch *batch, struct chunk *chunk,
       uint32_t index, const char *code)
{
    store_refusal_add(play->store, batch->id,
                      &(struct refusal){ .index = index,
                                         .line = index - chunk->index_first + 1,
                                         .field = slice_of("id"),
                                         .code = slice_of(code) });
    batch->refused_count++;
    chunk->refused++;
}

uint32_t
play_add(struct play *play, uint64_t id, struct play_draft *drafts,
         size_t count)
{
    struct new_draft *fresh = mem_zalloc(count, sizeof(*fresh));
    struct batch batch = play_get_batch(play, id);
    struct chunk chunk = { .n = batch.chunk_next,
                           .index_first = batch.draft_count,
                           .draft_count = (uint32_t)count };
    struct intake intake = play_intake(play);
    struct packer *packer = packer_new();
    struct parts parts = { 0 };
    struct parts_trial trial = { 0 };
    struct buf body = { 0 };
    size_t fresh_count = 0;

    play_begin(play);
    for (size_t i = 0; i < count; i++) {
        uint32_t index = batch.draft_count + (uint32_t)i;

        if (!drafts[i].id) {
            refuse(play, &batch, &chunk, index, "missing_field");
            continue;
        }
        write_line(&fresh[fresh_count], &drafts[i], &body);
        fresh[fresh_count].draft.index = index;
        fresh[fresh_count++].tag = i;
    }
    digest_of(body.data, body.bytes, chunk.digest);
    parts_cut(&parts, buf_slice(&body), packer, &trial);
    store_body_put(play->store, id, &chunk, &parts, fresh, fresh_count);
    parts_fini(&parts);
    packer_free(packer);
    cr_assert_eq(store_drafts_add(play->store, &batch, &chunk, fresh,
                                  fresh_count, &intake),
                 0);
    for (size_t i = 0; i < fresh_count; i++) {
        drafts[fresh[i].tag].disposition = fresh[i].disposition;
        if (fresh[i].disposition == DRAFT_DUPLICATE_ID)
            refuse(play, &batch, &chunk, fresh[i].draft.index, "duplicate_id");
    }
    batch.draft_count += (uint32_t)count;
    batch.chunk_next++;
    store_chunk_put(play->store, id, &chunk);
    store_batch_put(play->store, &batch, play->now_ms);
    play_commit(play);
    buf_fini(&body);
    free(fresh);
    return chunk.n;
}

/* Moves a part to where it is counted over its batch. */
static void
move_part(struct play *play, uint64_t batch, uint32_t n, uint64_t part,
          uint64_t to)
{
    struct slice found;
    struct buf lines = { 0 };

    cr_assert_eq(part_get(play->store, batch, n, part, &found), 0);
    buf_add_slice(&lines, found);
    buf_add_slice(table_fields(play->store), buf_slice(&lines));
    table_put(play->store, TABLE_BODY, key_draft(batch, (uint32_t)to));
    table_del(play->store, TABLE_PART, key_id(part));
    buf_fini(&lines);
}

void
play_part_drafts(struct play *play, uint64_t batch)
{
    struct draft draft = { 0 };
    uint32_t index = 0;

    play_begin(play);
    for (; draft_next(play->store, batch, index, &draft) == 0;
         index = draft.index + 1) {
        draft_del(play->store, &draft);
        draft.is_apart = true;
        draft_put(play->store, &draft);
    }
    play_commit(play);
}

void
play_make_older(struct play *play, uint64_t batch)
{
    uint64_t next = PART_OF_BATCH | 1;
    struct draft draft;
    struct chunk chunk;

    play_part_drafts(play, batch);
    play_begin(play);
    for (uint32_t n = 1;
         store_chunk_get(play->store, batch, n, &chunk) != E_NOTFOUND; n++) {
        uint64_t first = chunk.part_first;

        for (uint32_t i = 0; i < chunk.part_count; i++)
            move_part(play, batch, n, first + i, next + i);
        for (uint32_t i = 0; i < chunk.draft_count; i++) {
            uint32_t index = chunk.index_first + i;

            if (store_draft_get(play->store, batch, index, &draft) < 0)
                continue;
            draft.part = next + (draft.part - first);
            draft_put(play->store, &draft);
        }
        chunk.part_first = next;
        chunk_encode(&chunk, table_fields(play->store));
        table_put(play->store, TABLE_CHUNK, key_draft(batch, n));
        next += chunk.part_count;
    }
    table_del(play->store, TABLE_NEWEST, key_id(batch));
    play_commit(play);
}

void
play_seal(struct play *play, uint64_t id)
{
    struct batch batch = play_get_batch(play, id);
    struct timer abandon = play_abandon_timer(&batch);

    store_batch_move(play->store, &batch, BATCH_SEALED);
    batch.sealed_ms = play->now_ms;
    batch.deadline_ms = play->now_ms + batch.lifetime_ms;
    play_begin(play);
    store_timer_drop(play->store, &abandon);
    store_timer_set(play->store, &(struct timer){ .due_ms = batch.deadline_ms,
                                                  .kind = TIMER_DEADLINE,
                                                  .id = id });
    store_batch_put(play->store, &batch, play->now_ms);
    play_commit(play);
}

uint64_t
play_batch(struct play *play, const char *key, const char *words)
{
    enum { WORDS_MAX = 64, ID_BYTES = 8 };
    struct play_draft drafts[WORDS_MAX] = { 0 };
    char ids[WORDS_MAX][ID_BYTES], *copy = mem_dup_str(words), *rest = copy;
    uint64_t batch = play_open(play, key);
    size_t count = 0;

    for (char *word = strtok_r(copy, " ", &rest); word;
         word = strtok_r(NULL, " ", &rest)) {
        cr_assert_lt(count, WORDS_MAX);
        snprintf(ids[count], ID_BYTES, "%zu", count);
        drafts[count] = (struct play_draft){ .id = ids[count], .word = word };
        count++;
    }
    play_add(play, batch, drafts, count);
    play_seal(play, batch);
    free(copy);
    return batch;
}

/* ---- requests ---- */

size_t
play_claim(struct play *play, uint64_t batch, uint64_t *ids, size_t max)
{
    struct request *requests = mem_zalloc(max, sizeof(*requests));
    struct lease terms = { .granted_ms = play->now_ms,
                           .deadline_ms = play->now_ms + 60000 };
    struct place at = { 0 };
    size_t count = 0;

    play_begin(play);
    while (count < max && store_ready_next(play->store, batch, &at) == 0) {
        size_t more = store_claim(play->store, batch, at, &terms,
                                  requests + count, max - count);

        cr_assert_gt(more, 0, "a place without requests");
        count += more;
    }
    play_commit(play);
    for (size_t i = 0; i < count; i++)
        ids[i] = requests[i].id;
    free(requests);
    return count;
}

/* A call that has ended, as the broker writes it down. */
static struct attempt
call_of(const struct play *play, enum call_class class, enum status status)
{
    return (struct attempt){ .ended_ms = play->now_ms,
                             .class = class,
                             .status = status,
                             .was_sent = true,
                             .worker = slice_of("w") };
}

void
play_finish(struct play *play, uint64_t id, enum status status,
            const char *text)
{
    bool is_ok = status == STATUS_OK;
    struct request request = play_get_request(play, id);
    struct attempt attempt =
        call_of(play, is_ok ? CLASS_OK : CLASS_PERMANENT, status);
    struct outcome outcome = {
        .status = status,
        .http_status = is_ok ? 200 : 500,
        .attempts = ++request.attempts,
        .prompt_tokens = is_ok ? 1 : OUTCOME_UNKNOWN,
        .completion_tokens = is_ok ? 1 : OUTCOME_UNKNOWN,
        .total_tokens = is_ok ? 2 : OUTCOME_UNKNOWN,
        .completed_ms = play->now_ms,
        .cost_nano = PLAY_COST,
        .reply_bytes = (uint32_t)strlen(text),
        .form = OUTCOME_JSON_TEXT,
        .text_bytes = (uint32_t)strlen(text),
        .essence = slice_of(is_ok ? "" : text),
    };

    play_begin(play);
    store_finish(play->store, &request, &outcome, &attempt,
                 (struct reply){ .text = slice_of(text) }, play->now_ms);
    play_commit(play);
    play->spent_nano += PLAY_COST;
}

void
play_answer_older(struct play *play, uint64_t id, int format)
{
    struct request request = play_get_request(play, id);
    uint64_t number = request.answer;
    struct buf row = { 0 }, text = { 0 };
    struct outcome outcome;
    struct slice reply;

    play_begin(play);
    attempt_keep(play->store, &request);
    cr_assert_eq(store_answer_get(play->store, &request, &outcome, &reply), 0);
    outcome_encode(&outcome, &row);
    buf_add_slice(&text, reply);
    answer_drop(play->store, &request);
    request.answer = 0;
    store_request_put(play->store, &request);
    if (format > 3)
        record_u64(&row, number);
    buf_add_slice(table_fields(play->store), buf_slice(&row));
    table_put(play->store, TABLE_OUTCOME, key_id(id));
    buf_reset(&row);
    if (format > 3)
        record_u64(&row, id);
    buf_add_slice(&row, buf_slice(&text));
    buf_add_slice(table_fields(play->store), buf_slice(&row));
    table_put(play->store, format > 3 ? TABLE_ANSWER : TABLE_REPLY,
              key_id(format > 3 ? number : id));
    play_commit(play);
    buf_fini(&row);
    buf_fini(&text);
}

void
play_release(struct play *play, uint64_t id)
{
    struct request request = play_get_request(play, id);

    play_begin(play);
    store_release(play->store, &request);
    play_commit(play);
}

void
play_delay(struct play *play, uint64_t id, int64_t due_ms)
{
    struct request request = play_get_request(play, id);
    struct attempt attempt =
        call_of(play, CLASS_RETRYABLE, STATUS_SERVER_ERROR);

    play_begin(play);
    store_attempt_add(play->store, &request, &attempt);
    store_delay(play->store, &request, due_ms);
    play_commit(play);
}

/* ---- looking ---- */

struct batch
play_get_batch(struct play *play, uint64_t id)
{
    struct batch batch;

    play_begin(play);
    cr_assert_eq(store_batch_get(play->store, id, &batch), 0);
    store_abort(play->store);
    return batch;
}

struct draft
play_get_draft(struct play *play, uint64_t batch, uint32_t index)
{
    struct draft draft;

    play_begin(play);
    cr_assert_eq(store_draft_get(play->store, batch, index, &draft), 0);
    store_abort(play->store);
    return draft;
}

struct request
play_get_request(struct play *play, uint64_t id)
{
    struct request request;

    play_begin(play);
    cr_assert_eq(store_request_get(play->store, id, &request), 0,
                 "no request %llu", (unsigned long long)id);
    store_abort(play->store);
    return request;
}

uint64_t
play_find(struct play *play, const char *word)
{
    unsigned char key[DIGEST_BYTES];
    struct request request;
    uint64_t id = 0;

    play_key(word, key);
    play_begin(play);
    if (key_lookup(play->store, key, &request) == 0)
        id = request.id;
    store_abort(play->store);
    return id;
}

uint64_t
play_rows(struct play *play, enum table table)
{
    struct engine *engine = play->store->engine;
    uint64_t rows;

    play_begin(play);
    rows = engine->ops->rows(engine, table);
    store_abort(play->store);
    return rows;
}

struct verify
play_verify(struct play *play, struct buf *report)
{
    struct verify verify = { .report = report };
    struct err err = { 0 };

    play_begin(play);
    cr_assert_eq(store_verify(play->store, &verify, &err), 0, "%s", err.msg);
    store_abort(play->store);
    return verify;
}

void
play_check(struct play *play)
{
    struct buf report = { 0 };
    struct verify verify = play_verify(play, &report);

    cr_assert_eq(verify.findings, 0, "%s", report.data);
    cr_assert_eq(verify.rows, verify.rows_all);
    buf_fini(&report);
}

void
play_digest(struct play *play, unsigned char digest[DIGEST_BYTES])
{
    play_begin(play);
    store_digest(play->store, digest);
    store_abort(play->store);
}
