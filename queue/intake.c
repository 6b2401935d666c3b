/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <uuid/uuid.h>

#include "base/clock.h"
#include "queue/filing.h"

#define NAME_BYTES_MAX           256
#define WINDOW_BYTES_MAX         256
#define METADATA_COUNT_MAX       16
#define METADATA_KEY_BYTES_MAX   64
#define METADATA_VALUE_BYTES_MAX 512

/* ---- open ---- */

/* What an open message says. Strings are borrowed from the message. */
struct opening {
    const char *client, *key, *name, *window, *tz;
    struct buf metadata;
    bool is_early;
    bool adopts_terms; /* of a batch that has the key already */
    int64_t priority, not_before_ms, deadline_ms;
    struct filing_terms filing;
};

static int
read_metadata(struct call *call, struct buf *out)
{
    const cJSON *metadata = wire_get(call->wire, "metadata"), *item;
    int count = 0;

    if (metadata && !cJSON_IsObject(metadata))
        return err_set(call->err, E_INVALID, "metadata: not an object");
    buf_add_char(out, '{');
    cJSON_ArrayForEach(item, metadata)
    {
        if (!cJSON_IsString(item) ||
            strlen(item->valuestring) > METADATA_VALUE_BYTES_MAX ||
            strlen(item->string) > METADATA_KEY_BYTES_MAX ||
            count++ == METADATA_COUNT_MAX) {
            return err_set(call->err, E_INVALID,
                           "metadata: at most %d members, keys up to %d and "
                           "strings up to %d bytes",
                           METADATA_COUNT_MAX, METADATA_KEY_BYTES_MAX,
                           METADATA_VALUE_BYTES_MAX);
        }
        buf_add_str(out, count > 1 ? "," : "");
        json_write_string(out, item->string, strlen(item->string));
        buf_add_char(out, ':');
        json_write_string(out, item->valuestring, strlen(item->valuestring));
    }
    buf_add_char(out, '}');
    return 0;
}

static int
check_window(struct call *call, const struct opening *opening)
{
    struct window *window = NULL;
    int rc;

    if (!*opening->window)
        return 0;
    rc = window_parse(opening->window, opening->tz, &window, call->err);
    if (rc < 0)
        return err_wrap(call->err, "window");
    window_free(window);
    return 0;
}

/* A batch that is made from a file has its deadline from the start. */
static int
read_filing(struct call *call, struct opening *opening)
{
    const struct filing_terms *terms = &opening->filing;

    if (filing_read_terms(call, &opening->filing) < 0)
        return E_INVALID;
    if (!terms->has_file)
        return 0;
    if (opening->is_early) {
        return err_set(call->err, E_INVALID,
                       "early: nothing of a file runs before all of it was "
                       "checked");
    }
    if (terms->completion_ms > 0 && opening->deadline_ms > 0) {
        return err_set(call->err, E_INVALID,
                       "completion_ms: does not go beside deadline");
    }
    if (terms->completion_ms > 0)
        opening->deadline_ms = call->now_ms + terms->completion_ms;
    return 0;
}

static int
read_opening(struct call *call, struct opening *opening)
{
    struct wire *wire = call->wire;
    struct err *err = call->err;

    if (wire_str(wire, "client", WIRE_CLIENT_BYTES_MAX, NULL, &opening->client,
                 err) < 0 ||
        wire_str(wire, "key", WIRE_KEY_BYTES_MAX, NULL, &opening->key, err) <
            0 ||
        wire_str(wire, "name", NAME_BYTES_MAX, "", &opening->name, err) < 0 ||
        wire_str(wire, "window", WINDOW_BYTES_MAX, "", &opening->window, err) <
            0 ||
        wire_str(wire, "tz", WINDOW_BYTES_MAX, "", &opening->tz, err) < 0 ||
        wire_bool(wire, "early", false, &opening->is_early, err) < 0 ||
        wire_bool(wire, "adopt_terms", false, &opening->adopts_terms, err) <
            0 ||
        wire_int(wire, "priority", wire_range_or(0, BATCH_PRIORITY_MAX, 1),
                 &opening->priority, err) < 0 ||
        wire_int(wire, "not_before", wire_range_or(0, WIRE_INT_MAX, 0),
                 &opening->not_before_ms, err) < 0 ||
        wire_int(wire, "deadline", wire_range_or(0, WIRE_INT_MAX, 0),
                 &opening->deadline_ms, err) < 0) {
        return E_INVALID;
    }
    /* Named by a clock on the wall. */
    if (opening->not_before_ms > 0) {
        opening->not_before_ms =
            core_from_wall_ms(call->broker, opening->not_before_ms);
    }
    if (opening->deadline_ms > 0) {
        opening->deadline_ms =
            core_from_wall_ms(call->broker, opening->deadline_ms);
    }
    if (!*opening->client || !*opening->key) {
        return err_set(err, E_INVALID, "%s: must not be empty",
                       *opening->client ? "key" : "client");
    }
    if (read_metadata(call, &opening->metadata) < 0 ||
        read_filing(call, opening) < 0) {
        return E_INVALID;
    }
    return check_window(call, opening);
}

static void
answer_opened(struct call *call, const struct batch *batch, bool is_new)
{
    char uuid[CORE_UUID_TEXT_BYTES];
    cJSON *head = core_answer(call, "opened");

    /* Its first chunks are on their way as soon as it knows. */
    if (batch->state == BATCH_OPEN)
        senders_note(&call->broker->senders, batch->id, call->now_ms);

    core_uuid_text(batch->uuid, uuid);
    wire_add_str(head, "batch", uuid);
    wire_add_str(head, "state", batch_state_name(batch->state));
    wire_add_bool(head, "created", is_new);
    wire_add_int(head, "next_chunk", batch->chunk_next);
    wire_add_int(head, "drafts", batch->draft_count);
    wire_add_int(head, "window_bytes", core_window(call->broker, call->now_ms));
    core_send(call, head);
}

/* True if two options say the same. */
static bool
same_options(struct slice a, struct slice b)
{
    struct buf first = { 0 }, second = { 0 };
    struct json_doc doc = { 0 };
    bool is_same = false;

    if (a.bytes == 0)
        a = slice_of("{}");
    if (b.bytes == 0)
        b = slice_of("{}");
    if (json_parse(&doc, a.data, a.bytes, JSON_INPUT, NULL) == 0) {
        json_canonical(&doc, 0, &first);
        if (json_parse(&doc, b.data, b.bytes, JSON_INPUT, NULL) == 0) {
            json_canonical(&doc, 0, &second);
            is_same = slice_equal(buf_slice(&first), buf_slice(&second));
        }
    }
    json_fini(&doc);
    buf_fini(&first);
    buf_fini(&second);
    return is_same;
}

/* The first term that a batch has otherwise, or NULL. Of times there is only what
 * they came to: who repeats `+2h` says the same, and means a later moment. */
static const char *
other_term(const struct opening *opening, const struct batch *batch,
           const struct spec *spec)
{
    if (!slice_equal(spec->name, slice_of(opening->name)))
        return "name";
    if (!same_options(spec->metadata, buf_slice(&opening->metadata)))
        return "metadata";
    if (batch->priority != (unsigned)opening->priority)
        return "priority";
    if (!slice_equal(spec->window, slice_of(opening->window)))
        return "window";
    if (!slice_equal(spec->tz, slice_of(opening->tz)))
        return "time zone";
    return NULL;
}

/* The batch is there already: the same submission goes on. */
static int
reopen(struct call *call, const struct opening *opening,
       const struct batch *batch)
{
    const char *other;
    struct spec spec;
    int rc = store_spec_get(call->broker->env.store, batch->id, &spec);

    if (rc < 0)
        return rc;
    other = opening->adopts_terms ? NULL : other_term(opening, batch, &spec);
    if (!same_options(spec.options, call->wire->body)) {
        return err_set(call->err, E_CONFLICT,
                       "key %s was used with other options; use another key",
                       opening->key);
    }
    if (other) {
        return err_set(call->err, E_CONFLICT,
                       "key %s was used with another %s; use another key",
                       opening->key, other);
    }
    if (!filing_is_same(call->broker, batch->id, &opening->filing)) {
        return err_set(call->err, E_CONFLICT,
                       "key %s was used for another file or endpoint, or for "
                       "none; use another key",
                       opening->key);
    }
    answer_opened(call, batch, false);
    return 0;
}

/* What would expire at once is a mistake. Only a new batch is held to it: one
 * that is there already may be asked for by the same words at any time. */
static int
check_deadline(const struct call *call, const struct opening *opening)
{
    char deadline[CLOCK_TEXT_BYTES];

    if (opening->deadline_ms == 0 || opening->deadline_ms > call->now_ms)
        return 0;
    clock_text(core_to_wall_ms(call->broker, opening->deadline_ms), deadline);
    return err_set(call->err, E_INVALID, "deadline: %s is past", deadline);
}

/* Lets a batch that names no deadline end so long after it may start. */
static void
give_deadline(struct broker *broker, struct batch *batch, int64_t now_ms)
{
    if (batch->deadline_ms == 0) {
        batch->deadline_ms =
            core_deadline_ms(broker, dispatch_start_ms(broker, batch, now_ms));
    }
}

static int
create(struct call *call, const struct opening *opening)
{
    struct broker *broker = call->broker;
    const struct conf *conf = broker->env.conf;
    struct spec spec = { .client = slice_of(opening->client),
                         .key = slice_of(opening->key),
                         .name = slice_of(opening->name),
                         .metadata = buf_slice(&opening->metadata),
                         .window = slice_of(opening->window),
                         .tz = slice_of(opening->tz),
                         .options = call->wire->body };
    struct batch batch = { .state = BATCH_OPEN,
                           .priority = (unsigned)opening->priority,
                           .is_early = opening->is_early,
                           .created_ms = call->now_ms,
                           .deadline_ms = opening->deadline_ms,
                           .not_before_ms = opening->not_before_ms,
                           .chunk_next = 1,
                           .cost_nano = BATCH_COST_UNKNOWN };
    struct filing filing = { 0 };
    int rc = check_deadline(call, opening);

    if (rc < 0)
        return rc;
    if (broker->is_draining)
        return err_set(call->err, E_DRAINING, "the broker is shutting down");
    if (opening->filing.has_file)
        rc = filing_find_input(call, &opening->filing, &filing);
    if (rc < 0)
        return rc;
    if (schedule_is_full(broker->schedule)) {
        return err_set(call->err, E_FULL, "batches_live_max (%lld) is reached",
                       (long long)conf->batches_live_max);
    }
    rc = store_admit_batch(broker->env.store, call->err);
    if (rc < 0) {
        retain_want_room(broker, call->now_ms);
        return rc;
    }
    uuid_generate_random(batch.uuid);
    store_batch_add(broker->env.store, &batch, &spec);
    if (opening->filing.has_file) {
        filing.batch = batch.id;
        store_filing_put(broker->env.store, &filing);
        /* Such a batch has its time from now on. */
        give_deadline(broker, &batch, call->now_ms);
        store_batch_put(broker->env.store, &batch, call->now_ms);
    }
    store_timer_set(
        broker->env.store,
        &(struct timer){
            .due_ms = call->now_ms +
                      (opening->filing.has_file ? 0 : conf->open_ttl_ms),
            .kind = opening->filing.has_file ? TIMER_FILE_READ : TIMER_ABANDON,
            .id = batch.id });
    core_schedule(broker, &batch);
    answer_opened(call, &batch, true);
    return 0;
}

int
intake_open(struct call *call)
{
    struct broker *broker = call->broker;
    struct opening opening = { 0 };
    unsigned char digest[DIGEST_BYTES];
    struct line options = { 0 };
    struct line_fault fault;
    struct batch batch;
    int rc = read_opening(call, &opening);

    if (rc < 0)
        goto out;
    if (line_read_options(&options, broker->env.conf, call->wire->body,
                          &fault) < 0) {
        rc = err_set(call->err, E_INVALID, "options: %s%s%s", fault.field,
                     *fault.field ? ": " : "", fault.message);
        goto out;
    }
    store_client_key(slice_of(opening.client), slice_of(opening.key), digest);
    rc = store_batch_find_key(broker->env.store, digest, &batch);
    if (rc == 0)
        rc = reopen(call, &opening, &batch);
    else if (rc == E_NOTFOUND)
        rc = create(call, &opening);
out:
    line_fini(&options);
    buf_fini(&opening.metadata);
    return rc;
}

/* ---- seal, abort ---- */

static int
answer_sealed(struct call *call, const struct batch *batch, const char *state)
{
    char uuid[CORE_UUID_TEXT_BYTES];
    cJSON *head = core_answer(call, "sealed");
    int rc;

    core_uuid_text(batch->uuid, uuid);
    wire_add_str(head, "batch", uuid);
    if (state) {
        wire_add_str(head, "state", state);
    } else {
        rc = answer_add_status(call->broker, head, batch);
        if (rc < 0) {
            cJSON_Delete(head);
            return rc;
        }
    }
    core_send(call, head);
    return 0;
}

static void
drop(struct broker *broker, struct batch *batch, bool is_whole, int64_t now_ms)
{
    senders_drop(&broker->senders, batch->id);
    store_batch_move(broker->env.store, batch, BATCH_ABANDONED);
    batch->finished_ms = now_ms;
    store_batch_put(broker->env.store, batch, now_ms);
    if (is_whole)
        store_key_free(broker->env.store, batch->id);
    store_timer_drop(broker->env.store,
                     &(struct timer){ .due_ms = batch->created_ms +
                                                broker->env.conf->open_ttl_ms,
                                      .kind = TIMER_ABANDON,
                                      .id = batch->id });
    store_timer_set(broker->env.store,
                    &(struct timer){ .due_ms = now_ms,
                                     .kind = TIMER_DROP,
                                     .id = batch->id,
                                     .argument = is_whole ? DROP_WHOLE : 0 });
    core_schedule(broker, batch);
}

void
intake_close(struct broker *broker, struct batch *batch, int64_t now_ms)
{
    const struct conf *conf = broker->env.conf;

    senders_drop(&broker->senders, batch->id);
    store_timer_drop(
        broker->env.store,
        &(struct timer){ .due_ms = batch->created_ms + conf->open_ttl_ms,
                         .kind = TIMER_ABANDON,
                         .id = batch->id });
    store_batch_move(broker->env.store, batch, BATCH_SEALED);
    batch->sealed_ms = now_ms;
    give_deadline(broker, batch, now_ms);
    batch->lifetime_ms =
        batch->deadline_ms > now_ms ? batch->deadline_ms - now_ms : 1;
    store_timer_set(broker->env.store,
                    &(struct timer){ .due_ms = batch->deadline_ms,
                                     .kind = TIMER_DEADLINE,
                                     .id = batch->id });
    store_batch_put(broker->env.store, batch, now_ms);
    core_schedule(broker, batch);
    broker->has_results = true;
}

int
intake_check_by_hand(struct call *call, const struct batch *batch)
{
    if (!filing_exists(call->broker, batch->id))
        return 0;
    return err_set(call->err, E_CONFLICT,
                   "the batch is made from a file, not from chunks");
}

int
intake_seal(struct call *call)
{
    struct broker *broker = call->broker;
    int64_t chunks, drafts;
    struct batch batch;
    int rc = core_batch(call, &batch);

    if (rc == 0)
        rc = intake_check_by_hand(call, &batch);
    if (rc < 0)
        return rc;
    if (wire_int(call->wire, "chunks", wire_range(0, UINT32_MAX), &chunks,
                 call->err) < 0 ||
        wire_int(call->wire, "drafts", wire_range(0, UINT32_MAX), &drafts,
                 call->err) < 0) {
        return E_INVALID;
    }
    if (chunks >= batch.chunk_next) {
        call->expected = batch.chunk_next;
        return err_set(call->err, E_GAP, "%lld chunks: chunk %u is missing",
                       (long long)chunks, batch.chunk_next);
    }
    if (chunks + 1 != batch.chunk_next || drafts != batch.draft_count) {
        return err_set(call->err, E_CONFLICT,
                       "the batch has %u chunks with %u drafts",
                       batch.chunk_next - 1, batch.draft_count);
    }
    if (batch.state != BATCH_OPEN)
        return answer_sealed(call, &batch, NULL);
    if (batch.refused_count == batch.draft_count) {
        drop(broker, &batch, true, call->now_ms);
        return answer_sealed(call, &batch, "empty");
    }
    intake_close(broker, &batch, call->now_ms);
    return answer_sealed(call, &batch, NULL);
}

int
intake_abort(struct call *call)
{
    struct batch batch;
    const char *uuid;
    cJSON *head;
    int rc = core_batch(call, &batch);

    if (rc == 0)
        rc = intake_check_by_hand(call, &batch);
    if (rc < 0 && rc != E_NOTFOUND)
        return rc;
    if (rc == 0 && batch.state != BATCH_OPEN &&
        batch.state != BATCH_ABANDONED) {
        return err_set(call->err, E_CONFLICT, "the batch is %s, not open",
                       batch_state_name(batch.state));
    }
    if (rc == 0 && batch.state == BATCH_OPEN)
        drop(call->broker, &batch, true, call->now_ms);
    rc = wire_str(call->wire, "batch", CORE_UUID_TEXT_BYTES - 1, "", &uuid,
                  call->err);
    if (rc < 0)
        return rc;
    head = core_answer(call, "aborted");
    wire_add_str(head, "batch", uuid);
    core_send(call, head);
    return 0;
}
