/* SPDX-License-Identifier: MIT */
#include "queue/filing.h"

#include <string.h>
#include <uuid/uuid.h>

#include "base/log.h"

#define COMPLETION_MS_MIN 1000
#define COMPLETION_MS_MAX INT64_C(31536000000)
#define ERROR_BYTES_MAX   32768 /* of those that are listed in a header */
#define ROOM_BYTES        2048  /* of a header, for what comes behind them */
#define READS_SCAN_MAX    1000  /* timers looked at for a batch that is read */

static const unsigned char no_uuid[FILE_UUID_BYTES] = { 0 };

/* ---- opening ---- */

int
filing_read_terms(struct call *call, struct filing_terms *terms)
{
    const char *file, *endpoint;
    int found;

    *terms = (struct filing_terms){ 0 };
    if (!wire_get(call->wire, "file"))
        return 0;
    terms->has_file = true;
    if (wire_str(call->wire, "client", FILE_CLIENT_BYTES - 1, NULL,
                 &terms->client, call->err) < 0 ||
        wire_str(call->wire, "file", CORE_UUID_TEXT_BYTES - 1, NULL, &file,
                 call->err) < 0 ||
        wire_str(call->wire, "endpoint", 64, NULL, &endpoint, call->err) < 0 ||
        wire_int(call->wire, "completion_ms",
                 wire_range_or(0, COMPLETION_MS_MAX, 0), &terms->completion_ms,
                 call->err) < 0 ||
        files_read_expiry(call, "output_expires_after", &terms->ttl_ms) < 0) {
        return E_INVALID;
    }
    if (uuid_parse(file, terms->file) != 0)
        return err_set(call->err, E_INVALID, "file: not a UUID");
    found = filing_endpoint_parse(endpoint);
    if (found < 0) {
        return err_set(call->err, E_INVALID,
                       "endpoint: must be one of /v1/chat/completions, "
                       "/v1/responses, /v1/completions, /v1/embeddings");
    }
    terms->endpoint = (enum filing_endpoint)found;
    if (terms->completion_ms > 0 && terms->completion_ms < COMPLETION_MS_MIN) {
        return err_set(call->err, E_INVALID, "completion_ms: below %d",
                       COMPLETION_MS_MIN);
    }
    return 0;
}

int
filing_find_input(struct call *call, const struct filing_terms *terms,
                  struct filing *filing)
{
    struct file file = { 0 };
    int rc = files_find(call, terms->client, &file);

    if (rc < 0)
        return rc;
    if (file.purpose != FILE_BATCH) {
        return err_set(call->err, E_INVALID,
                       "file: its purpose is %s, not batch",
                       file_purpose_name(file.purpose));
    }
    if (file.state != FILE_STORED)
        return err_set(call->err, E_CONFLICT, "the file is open, not stored");
    *filing = (struct filing){ .phase = FILING_READING,
                               .endpoint = terms->endpoint,
                               .input = file.id,
                               .ttl_ms = terms->ttl_ms };
    memcpy(filing->input_uuid, file.uuid, sizeof(file.uuid));
    return 0;
}

bool
filing_is_same(struct broker *broker, uint64_t batch,
               const struct filing_terms *terms)
{
    struct filing filing;
    int rc = store_filing_get(broker->env.store, batch, &filing);

    if (rc < 0 || !terms->has_file)
        return rc == E_NOTFOUND && !terms->has_file;
    return filing.endpoint == terms->endpoint &&
           memcmp(filing.input_uuid, terms->file, sizeof(terms->file)) == 0;
}

/* ---- phases ---- */

bool
filing_exists(struct broker *broker, uint64_t batch)
{
    struct filing filing;

    return store_filing_get(broker->env.store, batch, &filing) != E_NOTFOUND;
}

bool
filing_is_pending(struct broker *broker, const struct batch *batch)
{
    struct filing filing;

    return store_filing_get(broker->env.store, batch->id, &filing) == 0 &&
           (filing.phase == FILING_RUNNING || filing.phase == FILING_MAKING);
}

bool
filing_reads(struct broker *broker, uint64_t file, int64_t now_ms)
{
    struct timer timer = { 0 };

    /* A batch that is read has a timer that is due, or will be soon. */
    for (int i = 0; i < READS_SCAN_MAX; i++) {
        struct filing filing;
        int rc = store_timer_after(broker->env.store, &timer);

        if ((rc < 0 && rc != E_CORRUPT) ||
            timer.due_ms > now_ms + FILING_WAIT_MS) {
            return false;
        }
        if (rc == 0 && timer.kind == TIMER_FILE_READ &&
            store_filing_get(broker->env.store, timer.id, &filing) == 0 &&
            filing.phase == FILING_READING && filing.input == file) {
            return true;
        }
    }
    return false;
}

void
filing_end(struct broker *broker, uint64_t batch, int64_t now_ms)
{
    struct store *store = broker->env.store;
    struct filing filing;

    if (store_filing_get(store, batch, &filing) < 0 ||
        filing.phase != FILING_RUNNING) {
        return;
    }
    filing_move(&filing, FILING_MAKING);
    filing.made_ms = now_ms;
    filing.make_at = 0;
    store_filing_put(store, &filing);
    store_timer_set(store, &(struct timer){ .due_ms = now_ms,
                                            .kind = TIMER_FILE_MAKE,
                                            .id = batch });
}

void
filing_cancel(struct broker *broker, uint64_t batch)
{
    struct filing filing;

    if (store_filing_get(broker->env.store, batch, &filing) < 0 ||
        filing.phase != FILING_READING) {
        return;
    }
    filing_move(&filing, FILING_OVER);
    store_filing_put(broker->env.store, &filing);
}

/* What was made so far is nobody's. */
static void
drop_made(struct broker *broker, struct filing *filing, int64_t now_ms)
{
    for (int side = 0; side < FILING_SIDES; side++) {
        struct file file;

        if (filing->making[side] != 0 &&
            store_file_get(broker->env.store, filing->making[side], &file) ==
                0 &&
            file.state == FILE_OPEN) {
            store_file_delete(broker->env.store, &file, now_ms);
        }
        filing->making[side] = 0;
    }
}

void
filing_resume(struct broker *broker, uint64_t batch, int64_t now_ms)
{
    struct filing filing;

    if (store_filing_get(broker->env.store, batch, &filing) < 0 ||
        filing.phase == FILING_RUNNING) {
        return;
    }
    drop_made(broker, &filing, now_ms);
    filing_move(&filing, FILING_RUNNING);
    filing.made_ms = filing.filed_ms = 0;
    store_filing_put(broker->env.store, &filing);
}

void
filing_drop(struct broker *broker, uint64_t batch, int64_t now_ms)
{
    struct filing filing;

    if (store_filing_get(broker->env.store, batch, &filing) < 0 ||
        filing.phase != FILING_MAKING) {
        return;
    }
    drop_made(broker, &filing, now_ms);
    store_filing_put(broker->env.store, &filing);
}

/* ---- telling ---- */

/* The word of OpenAI's for where it stands. */
static const char *
status_of(const struct batch *batch, const struct filing *filing)
{
    bool is_over =
        filing->phase == FILING_FILED || filing->phase == FILING_OVER;

    switch (batch->state) {
    case BATCH_OPEN:
        return "validating";
    case BATCH_FAILED:
        return "failed";
    case BATCH_FINISHED:
        return is_over ? "completed" : "finalizing";
    case BATCH_EXPIRED:
        return is_over ? "expired" : "finalizing";
    case BATCH_CANCELLED:
        return is_over ? "cancelled" : "cancelling";
    default:
        return "in_progress";
    }
}

static void
add_uuid(cJSON *object, const char *name, const unsigned char uuid[16])
{
    char text[CORE_UUID_TEXT_BYTES];

    if (memcmp(uuid, no_uuid, sizeof(no_uuid)) == 0) {
        wire_add_null(object, name);
        return;
    }
    core_uuid_text(uuid, text);
    wire_add_str(object, name, text);
}

/* Times that have not come are 0. */
static void
add_times(const struct broker *broker, cJSON *object, const struct batch *batch,
          const struct filing *filing)
{
    bool is_filed = filing->phase == FILING_FILED;
    int64_t filed_ms = is_filed ? filing->filed_ms : 0, cancelled_ms = 0;
    bool is_cancelled = batch->state == BATCH_CANCELLED;

    if (is_cancelled)
        cancelled_ms =
            filing->phase == FILING_OVER ? batch->finished_ms : filed_ms;
    wire_add_int(object, "created_at", batch->created_ms);
    wire_add_int(object, "in_progress_at", batch->sealed_ms);
    wire_add_int(object, "finalizing_at", filing->made_ms);
    wire_add_int(object, "completed_at",
                 batch->state == BATCH_FINISHED ? filed_ms : 0);
    wire_add_int(object, "failed_at",
                 batch->state == BATCH_FAILED ? batch->finished_ms : 0);
    wire_add_int(object, "expired_at",
                 batch->state == BATCH_EXPIRED ? filed_ms : 0);
    wire_add_int(object, "cancelling_at",
                 is_cancelled ? batch->finished_ms : 0);
    wire_add_int(object, "cancelled_at", cancelled_ms);
    wire_add_int(object, "expires_at",
                 core_to_wall_ms(broker, batch->deadline_ms));
}

/* Adds one of the errors. Returns how long its texts are. */
static size_t
add_error(cJSON *errors, const struct refusal *refusal)
{
    cJSON *item = cJSON_CreateObject();

    wire_add_slice(item, "code", refusal->code);
    wire_add_slice(item, "message", refusal->message);
    if (refusal->field.bytes)
        wire_add_slice(item, "param", refusal->field);
    else
        wire_add_null(item, "param");
    if (refusal->file_line)
        wire_add_int(item, "line", refusal->file_line);
    else
        wire_add_null(item, "line");
    cJSON_AddItemToArray(errors, item);
    return wire_bytes(item) + 1;
}

/* Adds those that fit into the header beside what is there: names and metadata
 * may take most of it. */
static void
add_errors(struct broker *broker, const cJSON *head, cJSON *object,
           const struct batch *batch)
{
    cJSON *errors = wire_add_array(object, "errors");
    struct refusal refusal = { 0 };
    size_t used, bytes = 0, bytes_max = 0;
    int rc = 0;

    if (batch->refused_count == 0)
        return;
    used = wire_bytes(head) + ROOM_BYTES;
    if (used < WIRE_HEADER_BYTES_MAX)
        bytes_max = WIRE_HEADER_BYTES_MAX - used;
    if (bytes_max > ERROR_BYTES_MAX)
        bytes_max = ERROR_BYTES_MAX;
    while (rc == 0 || rc == E_CORRUPT) {
        rc = store_refusal_next(broker->env.store, batch->id, refusal.index,
                                &refusal);
        if (rc == 0)
            bytes += add_error(errors, &refusal);
        if (bytes > bytes_max) {
            cJSON_DeleteItemFromArray(errors, cJSON_GetArraySize(errors) - 1);
            return;
        }
        refusal.index++;
    }
}

static void
add_request_counts(cJSON *object, const struct batch *batch)
{
    cJSON *counts = wire_add_object(object, "request_counts");
    uint32_t completed = batch->status_count[STATUS_OK];
    bool was_sealed = batch->sealed_ms > 0;

    wire_add_int(counts, "total", was_sealed ? batch->draft_count : 0);
    wire_add_int(counts, "completed", was_sealed ? completed : 0);
    wire_add_int(counts, "failed",
                 was_sealed ? batch_done_count(batch) - completed : 0);
}

void
filing_add_status(struct broker *broker, cJSON *head, const struct batch *batch)
{
    struct filing filing;
    cJSON *object;
    int rc = store_filing_get(broker->env.store, batch->id, &filing);

    if (rc == E_CORRUPT)
        log_error("event=filing_damaged batch=%llu",
                  (unsigned long long)batch->id);
    if (rc < 0)
        return;
    object = wire_add_object(head, "from_file");
    wire_add_str(object, "status", status_of(batch, &filing));
    wire_add_str(object, "endpoint", filing_endpoint_name(filing.endpoint));
    add_uuid(object, "input_file", filing.input_uuid);
    add_uuid(object, "output_file", filing.made[FILING_OUTPUT]);
    add_uuid(object, "error_file", filing.made[FILING_ERROR]);
    add_times(broker, object, batch, &filing);
    add_request_counts(object, batch);
    wire_add_int(object, "bytes_read", (int64_t)filing.read_at);
    wire_add_int(object, "lines_read", filing.lines);
    wire_add_int(object, "error_count", batch->refused_count);
    add_errors(broker, head, object, batch);
}
