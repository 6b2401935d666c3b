/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "queue/filing.h"
#include "queue/stow.h"

#define BOM "\xef\xbb\xbf"

/* A slice of the file that a batch is made from. */
struct reading {
    struct broker *broker;
    struct batch batch;
    struct filing filing;
    struct file file;
    struct buf bytes;         /* of the file, from where the last slice ended */
    struct buf body;          /* of the chunk that is made of them */
    uint32_t *file_lines;     /* of each of its drafts */
    struct line_fault *whole; /* what is wrong with the file as such; NULL */
    struct line_fault fault;
    bool is_end; /* the file ends with these bytes */
    int64_t now_ms;
};

/* ---- what is wrong, in OpenAI's words ---- */

static bool
is_any(const char *code, const char *const *codes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(code, codes[i]) == 0)
            return true;
    }
    return false;
}

static bool
is_field(const struct line_fault *fault, const char *name)
{
    return strcmp(fault->field, name) == 0;
}

static void
name_field(struct line_fault *fault, const char *name)
{
    (void)snprintf(fault->field, sizeof(fault->field), "%s", name);
}

static void
reword(struct line_fault *fault)
{
    static const char *const unreadable[] = { "not_json",     "not_object",
                                              "too_deep",     "invalid_utf8",
                                              "nul_escape",   "lone_surrogate",
                                              "duplicate_key" };
    static const char *const ours[] = { "too_many_tasks", "too_many_inputs",
                                        "empty_file",     "input_file_gone",
                                        "url_mismatch",   "missing_custom_id" };
    const char *code = fault->code;

    if (is_any(code, ours, sizeof(ours) / sizeof(ours[0])))
        return;
    fault->code = "invalid_line";
    if (is_any(code, unreadable, sizeof(unreadable) / sizeof(unreadable[0]))) {
        fault->code = "invalid_json_line";
    } else if (strcmp(code, "too_long") == 0 && !*fault->field) {
        fault->code = "line_too_long";
    } else if (strcmp(code, "duplicate_id") == 0) {
        fault->code = "duplicate_custom_id";
        name_field(fault, "custom_id");
    } else if (strcmp(code, "missing_field") == 0) {
        fault->code =
            is_field(fault, "id") ? "missing_custom_id" : "missing_field";
        if (is_field(fault, "id"))
            name_field(fault, "custom_id");
    } else if (strcmp(code, "bad_url") == 0) {
        fault->code =
            is_field(fault, "method") ? "invalid_method" : "url_mismatch";
    } else if (strcmp(code, "stream") == 0) {
        fault->code = "stream_not_supported";
    }
}

static struct line_fault
make_fault(const char *code, const char *field, const char *message)
{
    struct line_fault fault = { .code = code };

    name_field(&fault, field);
    (void)snprintf(fault.message, sizeof(fault.message), "%s", message);
    return fault;
}

static void
blame_file(struct reading *reading, const char *code, const char *message)
{
    reading->fault = make_fault(code, "", message);
    reading->whole = &reading->fault;
}

/* ---- lines ---- */

/* What a line of a file must be beyond what any draft must. */
static bool
fits_file(void *context, const struct line *line, struct line_fault *fault)
{
    const struct reading *reading = context;
    const char *endpoint = filing_endpoint_name(reading->filing.endpoint);

    if (line->fields[LINE_CUSTOM_ID] == JSON_NONE) {
        *fault = make_fault("missing_custom_id", "custom_id", "is missing");
        return false;
    }
    if (!line->is_batch_line) {
        *fault = make_fault("missing_field", "body",
                            "is missing; a line has custom_id, method, url "
                            "and body");
        return false;
    }
    if (!json_is(&line->doc, line->fields[LINE_URL], endpoint)) {
        *fault = make_fault("url_mismatch", "url", "");
        (void)snprintf(fault->message, sizeof(fault->message),
                       "must be %s, the endpoint of the batch", endpoint);
        return false;
    }
    return true;
}

/* The embeddings that a line asks for: one for a text, or an array of tokens; as
 * many as there are in an array of either. */
static int64_t
count_inputs(const struct line *line)
{
    const struct json_token *tokens = line->doc.tokens;
    size_t input = json_member(&line->doc, line->fields[LINE_BODY], "input");
    int64_t count = 0;

    if (input == JSON_NONE || tokens[input].type != JSON_ARRAY ||
        tokens[input].next == input + 1 ||
        tokens[input + 1].type == JSON_NUMBER) {
        return 1;
    }
    for (size_t i = input + 1; i < tokens[input].next; i = tokens[i].next)
        count++;
    return count;
}

static void
add_inputs(struct reading *reading)
{
    const struct conf *conf = reading->broker->env.conf;
    int64_t inputs =
        reading->filing.inputs + count_inputs(&reading->broker->line);

    if (inputs <= conf->file_inputs_max) {
        reading->filing.inputs = (uint32_t)inputs;
        return;
    }
    blame_file(reading, "too_many_inputs", "");
    (void)snprintf(reading->fault.message, sizeof(reading->fault.message),
                   "its lines ask for more than %lld embeddings "
                   "(file_inputs_max)",
                   (long long)conf->file_inputs_max);
}

/* Takes the line into the chunk; an empty one stands for a refused one. */
static void
take_line(struct reading *reading, struct gathering *gathering,
          struct slice text)
{
    const struct conf *conf = reading->broker->env.conf;
    struct buf *body = &reading->body;
    size_t start = body->bytes;
    struct line_fault fault;
    struct slice copy;

    if (reading->batch.draft_count + gathering->next >=
        (uint32_t)conf->file_lines_max) {
        blame_file(reading, "too_many_tasks", "");
        (void)snprintf(reading->fault.message, sizeof(reading->fault.message),
                       "the file has more than %lld lines (file_lines_max)",
                       (long long)conf->file_lines_max);
        return;
    }
    reading->file_lines[gathering->next] = reading->filing.lines;
    buf_add_slice(body, text);
    copy = (struct slice){ body->data + start, text.bytes };
    if (!gather_line(gathering, buf_slice(body), copy, &fault))
        body->bytes = start;
    else if (reading->filing.endpoint == ENDPOINT_EMBEDDINGS)
        add_inputs(reading);
    buf_add_char(body, '\n');
}

static bool
is_blank(struct slice text)
{
    for (size_t i = 0; i < text.bytes; i++) {
        if (text.data[i] != ' ' && text.data[i] != '\t')
            return false;
    }
    return true;
}

/* Takes the rest of a line that is too long off the bytes. */
static void
skip(struct reading *reading, struct slice *rest)
{
    const char *end = memchr(rest->data, '\n', rest->bytes);
    size_t bytes = end ? (size_t)(end + 1 - rest->data) : rest->bytes;

    rest->data += bytes;
    rest->bytes -= bytes;
    reading->filing.is_skipping = !end;
}

/* The next line, if it is whole, or too long to ever be. */
static bool
next_line(struct reading *reading, struct slice *rest, struct slice *text)
{
    size_t most = (size_t)reading->broker->env.conf->line_bytes_max;
    const char *end =
        rest->bytes ? memchr(rest->data, '\n', rest->bytes) : NULL;

    if (!end && !reading->is_end && rest->bytes <= most + 1)
        return false; /* with one for the \r that may end it */
    *text = slice_take_line(rest);
    if (!end && !reading->is_end)
        reading->filing.is_skipping = true;
    if (text->bytes > 0 && text->data[text->bytes - 1] == '\r')
        text->bytes--;
    return true;
}

static void
read_lines(struct reading *reading, struct gathering *gathering)
{
    const struct conf *conf = reading->broker->env.conf;
    struct slice rest = buf_slice(&reading->bytes);
    size_t bom = strlen(BOM);

    if (reading->filing.read_at == 0 && rest.bytes >= bom &&
        memcmp(rest.data, BOM, bom) == 0) {
        rest.data += bom;
        rest.bytes -= bom;
    }
    if (reading->filing.is_skipping && rest.bytes > 0)
        skip(reading, &rest);
    while (rest.bytes > 0 && !reading->whole) {
        struct slice before = rest, text;

        if (!next_line(reading, &rest, &text))
            break;
        if (gathering->next == (uint32_t)conf->chunk_drafts_max ||
            (gathering->next > 0 && reading->body.bytes + text.bytes + 1 >
                                        (size_t)conf->chunk_bytes_max)) {
            reading->filing.is_skipping = false;
            rest = before;
            break;
        }
        reading->filing.lines++;
        if (!is_blank(text))
            take_line(reading, gathering, text);
    }
    reading->filing.read_at += reading->bytes.bytes - rest.bytes;
    reading->is_end = reading->is_end && rest.bytes == 0;
}

/* ---- the slice ---- */

/* Reads as many bytes as a chunk may have, and so the longest line. */
static void
load(struct reading *reading)
{
    size_t most = (size_t)reading->broker->env.conf->chunk_bytes_max + 2;
    uint64_t at = reading->filing.read_at;

    while (reading->bytes.bytes < most) {
        struct slice piece;
        int rc = store_file_read(reading->broker->env.store, &reading->file,
                                 at + reading->bytes.bytes, &piece);

        if (rc == E_NOTFOUND)
            break;
        if (rc < 0) {
            blame_file(reading, "input_file_gone", "the file is damaged");
            return;
        }
        buf_add_slice(&reading->bytes, piece);
    }
    reading->is_end = at + reading->bytes.bytes == reading->file.bytes;
}

static void
find_file(struct reading *reading)
{
    if (store_file_get(reading->broker->env.store, reading->filing.input,
                       &reading->file) < 0 ||
        reading->file.state != FILE_STORED) {
        blame_file(reading, "input_file_gone", "the file was deleted");
    } else if (core_options(reading->broker, reading->batch.id) < 0) {
        blame_file(reading, "invalid_line",
                   "the batch's options cannot be used any more");
    }
}

/* Makes a chunk of the lines of the slice. */
static int
store_lines(struct reading *reading)
{
    const struct conf *conf = reading->broker->env.conf;
    struct chunk chunk = { .n = reading->batch.chunk_next,
                           .index_first = reading->batch.draft_count };
    struct gathering gathering = { .conf = conf,
                                   .recipe = reading->broker->recipe,
                                   .line = &reading->broker->line,
                                   .packer = reading->broker->packer,
                                   .fits = fits_file,
                                   .context = reading };
    struct stowing stowing = { .broker = reading->broker,
                               .batch = &reading->batch,
                               .chunk = &chunk,
                               .reword = reword,
                               .kept_max = FILING_FAULTS_MAX };
    int rc = 0;

    reading->file_lines = mem_zalloc((size_t)conf->chunk_drafts_max + 1,
                                     sizeof(reading->file_lines[0]));
    stowing.file_lines = reading->file_lines;
    read_lines(reading, &gathering);
    chunk.draft_count = gathering.next;
    if (chunk.draft_count > 0) {
        digest_of(reading->body.data, reading->body.bytes, chunk.digest);
        gather_cut(&gathering, buf_slice(&reading->body));
        rc = stow_gathering(&stowing, &gathering, reading->now_ms);
    }
    if (rc < 0) /* what was refused of them has its place, and is counted */
        reading->batch.draft_count += chunk.draft_count;
    gather_fini(&gathering);
    free(reading->file_lines);
    return rc;
}

static void
fail(struct reading *reading)
{
    struct broker *broker = reading->broker;
    struct batch *batch = &reading->batch;

    if (reading->whole) {
        struct refusal refusal = { .index = batch->draft_count };

        reword(reading->whole);
        refusal.code = slice_of(reading->whole->code);
        refusal.field = slice_of(reading->whole->field);
        refusal.message = slice_of(reading->whole->message);
        store_refusal_add(broker->env.store, batch->id, &refusal);
        /* As a line would be that is refused: those who take the one count from
         * the other must not find fewer than none. */
        batch->draft_count++;
        batch->refused_count++;
    }
    log_warn("event=batch_failed batch=%llu lines=%u errors=%u",
             (unsigned long long)batch->id, reading->filing.lines,
             batch->refused_count);
    filing_move(&reading->filing, FILING_OVER);
    store_batch_move(broker->env.store, batch, BATCH_FAILED);
    batch->finished_ms = reading->now_ms;
    /* Its drafts go in slices. */
    store_timer_set(broker->env.store,
                    &(struct timer){ .due_ms = reading->now_ms,
                                     .kind = TIMER_DROP,
                                     .id = batch->id });
    broker->counters.batches_failed++;
    broker->has_results = true;
}

/* Behind the last line. */
static void
finish(struct reading *reading)
{
    if (!reading->whole && reading->batch.draft_count == 0)
        blame_file(reading, "empty_file", "the file has no lines");
    if (reading->whole || reading->batch.refused_count > 0) {
        fail(reading);
        store_batch_put(reading->broker->env.store, &reading->batch,
                        reading->now_ms);
        core_schedule(reading->broker, &reading->batch);
        store_filing_put(reading->broker->env.store, &reading->filing);
    } else {
        /* First, as the batch may be finished as soon as it is sealed. */
        filing_move(&reading->filing, FILING_RUNNING);
        store_filing_put(reading->broker->env.store, &reading->filing);
        intake_close(reading->broker, &reading->batch, reading->now_ms);
    }
}

/* Goes on with the next slice, now or when there may be room. */
static void
go_on(struct reading *reading, int64_t due_ms)
{
    store_timer_set(reading->broker->env.store,
                    &(struct timer){ .due_ms = due_ms,
                                     .kind = TIMER_FILE_READ,
                                     .id = reading->batch.id });
}

/* Drafts that the slice may have, at most. */
static size_t
count_lines(const struct reading *reading)
{
    size_t most = (size_t)reading->broker->env.conf->chunk_drafts_max;
    struct slice rest = buf_slice(&reading->bytes);
    size_t count = 0;

    while (rest.bytes > 0 && count < most) {
        (void)slice_take_line(&rest);
        count++;
    }
    return count;
}

static bool
has_room(struct reading *reading)
{
    struct broker *broker = reading->broker;
    struct err err = { 0 };

    if (store_admit_chunk(broker->env.store, reading->bytes.bytes,
                          count_lines(reading), &err) == 0) {
        return true;
    }
    log_warn("event=file_waits batch=%llu reason=\"%s\"",
             (unsigned long long)reading->batch.id, err.msg);
    retain_want_room(broker, reading->now_ms);
    return false;
}

static void
run(struct reading *reading)
{
    struct store *store = reading->broker->env.store;
    int rc = 0;

    find_file(reading);
    if (!reading->whole)
        load(reading);
    if (!reading->whole && !has_room(reading)) {
        go_on(reading, reading->now_ms + FILING_WAIT_MS);
        return;
    }
    if (!reading->whole)
        rc = store_lines(reading);
    if (rc < 0) {
        blame_file(reading, "invalid_line",
                   "a draft that may have the same custom_id is damaged");
    }
    if (reading->whole || reading->is_end) {
        finish(reading);
        return;
    }
    store_batch_put(store, &reading->batch, reading->now_ms);
    store_filing_put(store, &reading->filing);
    go_on(reading, reading->now_ms);
}

void
reading_run(struct broker *broker, const struct timer *timer, int64_t now_ms)
{
    struct reading reading = { .broker = broker, .now_ms = now_ms };

    if (store_batch_get(broker->env.store, timer->id, &reading.batch) < 0 ||
        reading.batch.state != BATCH_OPEN ||
        store_filing_get(broker->env.store, timer->id, &reading.filing) < 0 ||
        reading.filing.phase != FILING_READING) {
        return;
    }
    run(&reading);
    buf_fini(&reading.bytes);
    buf_fini(&reading.body);
}
