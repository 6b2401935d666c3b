/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "queue/stow.h"

#define LISTED_MAX 100 /* refused drafts in one header */

/* As many as fit into a header for certain; `refusals` has them all. */
static void
list_refused(struct store *store, uint64_t batch, const struct chunk *chunk,
             struct buf *out)
{
    struct refusal refusal = { .index = chunk->index_first };
    uint32_t end = chunk->index_first + chunk->draft_count;

    for (int count = 0; count < LISTED_MAX; count++) {
        if (store_refusal_next(store, batch, refusal.index, &refusal) < 0 ||
            refusal.index >= end) {
            return;
        }
        if (count > 0)
            buf_add_char(out, ',');
        wire_begin_item(out, "index", refusal.index);
        wire_put_int(out, "line", refusal.line);
        wire_put_slice(out, "field", refusal.field);
        wire_put_slice(out, "code", refusal.code);
        wire_put_slice(out, "message", refusal.message);
        wire_end(out);
        refusal.index++;
    }
}

/* Each chunk has one: a tree for it was a twentieth of what the loop does for a
 * draft. */
static void
answer_stored(struct call *call, const struct batch *batch,
              const struct chunk *chunk)
{
    struct broker *broker = call->broker;
    struct buf *out =
        &outbox_open(broker->env.outbox, SIDE_CLIENTS, call->peer)->head;
    char uuid[CORE_UUID_TEXT_BYTES];

    core_uuid_text(batch->uuid, uuid);
    wire_begin(out, "stored");
    wire_put_int(out, "re", call->re);
    wire_put_str(out, "batch", uuid);
    wire_put_int(out, "n", chunk->n);
    wire_put_int(out, "next_chunk", batch->chunk_next);
    wire_put_int(out, "drafts", batch->draft_count);
    wire_put_int(out, "accepted", chunk->accepted);
    wire_put_int(out, "joined", chunk->joined);
    wire_put_int(out, "cached", chunk->cached);
    wire_put_int(out, "window_bytes", core_window(broker, call->now_ms));
    wire_put_name(out, "refused");
    buf_add_char(out, '[');
    list_refused(broker->env.store, batch->id, chunk, out);
    buf_add_char(out, ']');
    wire_end(out);
}

/* Stores a chunk and its drafts. */
static int
store_chunk(struct call *call, struct batch *batch, struct chunk *chunk)
{
    struct broker *broker = call->broker;
    struct gathering *gathering = call->gathered;
    struct slice body = call->wire->body;
    struct stowing stowing = {
        .broker = broker, .batch = batch, .chunk = chunk, .kept_max = UINT32_MAX
    };
    int rc = store_admit_chunk(broker->env.store, body.bytes,
                               chunk->draft_count, call->err);

    if (rc < 0) {
        retain_want_room(broker, call->now_ms);
        return rc;
    }
    if (!gather_is_whole(gathering)) {
        rc = core_options(broker, batch->id);
        if (rc < 0)
            return rc;
        gathering->conf = broker->env.conf;
        gathering->recipe = broker->recipe;
        gathering->line = &broker->line;
        gathering->packer = broker->packer;
        gather_lines(gathering, body);
        gather_cut(gathering, body);
    }
    rc = stow_gathering(&stowing, gathering, call->now_ms);
    if (rc < 0)
        return rc;
    store_batch_put(broker->env.store, batch, call->now_ms);
    answer_stored(call, batch, chunk);
    return 0;
}

/* Refuses what is not the next chunk: answered again if it is an old one. */
static int
check_number(struct call *call, const struct batch *batch,
             const struct chunk *chunk)
{
    struct chunk stored;
    int rc;

    if (chunk->n > batch->chunk_next) {
        call->expected = batch->chunk_next;
        return err_set(call->err, E_GAP, "chunk %u: %u is expected", chunk->n,
                       batch->chunk_next);
    }
    rc = store_chunk_get(call->broker->env.store, batch->id, chunk->n, &stored);
    if (rc < 0)
        return rc;
    if (memcmp(stored.digest, chunk->digest, sizeof(stored.digest)) != 0) {
        return err_set(call->err, E_CONFLICT,
                       "chunk %u was stored with other content", chunk->n);
    }
    answer_stored(call, batch, &stored);
    return 0;
}

static int
too_big(struct call *call, size_t count)
{
    const struct conf *conf = call->broker->env.conf;

    return err_set(call->err, E_TOOBIG,
                   "chunk of %zu bytes and %zu drafts, at most %lld and %lld",
                   call->wire->body.bytes, count,
                   (long long)conf->chunk_bytes_max,
                   (long long)conf->chunk_drafts_max);
}

/* Reads what the header says, and holds it against the body. */
static int
read_chunk(struct call *call, struct chunk *chunk)
{
    const struct conf *conf = call->broker->env.conf;
    struct gathering *gathering = call->gathered;
    struct slice body = call->wire->body;
    const char *hex;
    int64_t n;

    if (wire_int(call->wire, "n", wire_range(1, UINT32_MAX - 1), &n,
                 call->err) < 0 ||
        wire_str(call->wire, "digest", DIGEST_HEX_BYTES - 1, NULL, &hex,
                 call->err) < 0) {
        return E_INVALID;
    }
    if (digest_from_hex(hex, strlen(hex), chunk->digest) < 0)
        return err_set(call->err, E_INVALID, "digest: not 64 hex digits");
    if (body.bytes > (size_t)conf->chunk_bytes_max)
        return too_big(call, gather_count_lines(body));
    if (gathering->line_count == 0)
        gather_measure(gathering, body);
    if (gathering->line_count > (uint32_t)conf->chunk_drafts_max)
        return too_big(call, gathering->line_count);
    if (gathering->line_count == 0)
        return err_set(call->err, E_INVALID, "chunk: has no lines");
    if (memcmp(gathering->digest, chunk->digest, sizeof(chunk->digest)) != 0) {
        return err_set(call->err, E_INVALID, "digest: is not that of the body");
    }
    chunk->n = (uint32_t)n;
    chunk->draft_count = gathering->line_count;
    return 0;
}

static int
take_chunk(struct call *call)
{
    struct chunk chunk = { 0 };
    struct batch batch;
    bool is_at_once = false;
    int rc = core_batch(call, &batch);

    if (rc == 0)
        rc = intake_check_by_hand(call, &batch);
    /* What was read for another batch is of no use. */
    if (rc == 0 && (!call->gathered || call->gathered->batch != batch.id))
        call->gathered = &call->broker->gathering;
    if (rc == 0)
        rc = read_chunk(call, &chunk);
    if (rc == 0)
        rc = wire_bool(call->wire, "at_once", false, &is_at_once, call->err);
    if (rc < 0)
        return rc;
    if (chunk.n != batch.chunk_next)
        return check_number(call, &batch, &chunk);
    if (batch.state != BATCH_OPEN) {
        return err_set(call->err, E_CONFLICT, "the batch is %s, not open",
                       batch_state_name(batch.state));
    }
    if (call->broker->is_draining)
        return err_set(call->err, E_DRAINING, "the broker is shutting down");
    if ((uint64_t)batch.draft_count + chunk.draft_count > UINT32_MAX)
        return err_set(call->err, E_FULL, "a batch has at most 2^32 drafts");
    chunk.index_first = batch.draft_count;
    senders_note(&call->broker->senders, batch.id, call->now_ms);
    call->broker->is_at_once = is_at_once;
    rc = store_chunk(call, &batch, &chunk);
    call->broker->is_at_once = false;
    return rc;
}

bool
intake_foresee(struct call *call, uint64_t *batch, struct slice *options)
{
    struct broker *broker = call->broker;
    struct batch found;
    struct spec spec;
    int64_t n;

    if (call->wire->body.bytes > (size_t)broker->env.conf->chunk_bytes_max ||
        core_batch(call, &found) < 0 || found.state != BATCH_OPEN ||
        wire_int(call->wire, "n", wire_range(found.chunk_next, UINT32_MAX - 1),
                 &n, call->err) < 0 ||
        store_spec_get(broker->env.store, found.id, &spec) < 0) {
        return false;
    }
    *batch = found.id;
    *options = spec.options;
    return true;
}

int
intake_chunk(struct call *call)
{
    int rc = take_chunk(call);

    gather_reset(&call->broker->gathering);
    return rc;
}

/* ---- check ---- */

/* A dry run. */
struct trial {
    struct call *call;
    struct recipe recipe;
    struct buf out;
    cJSON *refused;
    uint32_t count;
};

/* Adds what a draft would meet. */
static void
check_line(struct trial *trial, struct slice text)
{
    static const char *const names[] = { [DRAFT_NEW] = "none",
                                         [DRAFT_JOINED] = "joined",
                                         [DRAFT_CACHED] = "store" };
    struct broker *broker = trial->call->broker;
    const struct conf *conf = broker->env.conf;
    struct prompt *prompt = &trial->recipe.prompt;
    char hex[DIGEST_HEX_BYTES];
    struct line_fault fault = { .code = "refused_by_client" };
    int64_t after_ms = trial->call->now_ms - conf->cache_ttl_ms;
    uint32_t n = ++trial->count;

    if (text.bytes == 0 || line_read(&broker->line, conf, text, &fault) < 0 ||
        prompt_make(prompt, &broker->line, &trial->recipe.options, conf,
                    &fault) < 0) {
        cJSON *item = cJSON_CreateObject();

        wire_add_int(item, "index", n - 1);
        wire_add_int(item, "line", n);
        wire_add_str(item, "field", fault.field);
        wire_add_str(item, "code", fault.code);
        wire_add_str(item, "message", fault.message);
        cJSON_AddItemToArray(trial->refused, item);
        buf_add_str(&trial->out, "-\n");
        return;
    }
    digest_hex(prompt->key, hex);
    buf_addf(&trial->out, "%.16s %016llx %s %zu %zu\n", hex,
             (unsigned long long)prompt->tag,
             names[store_key_peek(broker->env.store, prompt->key, after_ms)],
             prompt->chars, prompt->body_bytes / PROMPT_TOKEN_BYTES + 1);
}

int
intake_check(struct call *call)
{
    const struct conf *conf = call->broker->env.conf;
    struct slice rest = call->wire->body, options;
    struct trial trial = { .call = call };
    struct line_fault fault;
    int64_t options_bytes;
    cJSON *head;

    if (wire_int(call->wire, "options_bytes",
                 wire_range_or(0, (int64_t)rest.bytes, 0), &options_bytes,
                 call->err) < 0) {
        return E_INVALID;
    }
    options = (struct slice){ rest.data, (size_t)options_bytes };
    rest.data += options_bytes;
    rest.bytes -= (size_t)options_bytes;
    if (rest.bytes > (size_t)conf->chunk_bytes_max ||
        gather_count_lines(rest) > LISTED_MAX) {
        return err_set(call->err, E_TOOBIG, "check: at most %d drafts",
                       LISTED_MAX);
    }
    if (recipe_read(&trial.recipe, conf, options, &fault) < 0) {
        recipe_fini(&trial.recipe);
        return err_set(call->err, E_INVALID, "options: %s%s%s", fault.field,
                       *fault.field ? ": " : "", fault.message);
    }
    head = core_answer(call, "checked");
    trial.refused = wire_add_array(head, "refused");
    while (rest.bytes)
        check_line(&trial, slice_take_line(&rest));
    wire_add_int(head, "accepted",
                 (int64_t)trial.count - cJSON_GetArraySize(trial.refused));
    buf_add_slice(core_send(call, head), buf_slice(&trial.out));
    buf_fini(&trial.out);
    recipe_fini(&trial.recipe);
    return 0;
}
