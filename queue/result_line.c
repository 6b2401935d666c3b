/* SPDX-License-Identifier: MIT */
#include "base/clock.h"
#include "base/json.h"
#include "queue/core.h"

/* A line is printed for each result that is read. printf would be half of that
 * work: it is here for rare amounts only, and names come with what stands around
 * them. */

#define NANO      1000000000 /* of a dollar */
#define ZEROS_MAX 4 /* behind the point; beyond, there is an exponent */

static void
add_text(struct buf *out, const char *name, struct slice text)
{
    buf_add_str(out, name);
    if (text.bytes)
        json_write_string(out, text.data, text.bytes);
    else
        buf_add_str(out, "null");
}

static void
add_count(struct buf *out, const char *name, uint64_t count)
{
    buf_add_str(out, name);
    buf_add_u64(out, count);
}

/* A number that is not known below 0. */
static void
add_int(struct buf *out, const char *name, int64_t value)
{
    buf_add_str(out, name);
    if (value < 0)
        buf_add_str(out, "null");
    else
        buf_add_u64(out, (uint64_t)value);
}

/* A token of the draft's line, as it came. */
static void
add_token(struct buf *out, const char *name, struct slice line, uint32_t at,
          uint32_t bytes)
{
    buf_add_str(out, name);
    if (line.bytes && bytes)
        buf_add(out, line.data + at, bytes);
    else
        buf_add_str(out, "null");
}

/* The answer: a string of the reply, spliced in as it stands there, or text
 * that was put together. */
static void
add_answer(struct buf *out, const struct result_row *row)
{
    const struct outcome *outcome = &row->outcome;

    buf_add_str(out, ",\"text\":");
    if (!row->has_outcome || outcome->form == OUTCOME_NO_TEXT ||
        (uint64_t)outcome->text_at + outcome->text_bytes > row->reply.bytes) {
        buf_add_str(out, "null");
    } else if (outcome->form == OUTCOME_JSON_TEXT) {
        buf_add_char(out, '"');
        buf_add(out, row->reply.data + outcome->text_at, outcome->text_bytes);
        buf_add_char(out, '"');
    } else {
        json_write_string(out, row->reply.data + outcome->text_at,
                          outcome->text_bytes);
    }
}

static void
add_error_members(struct buf *out, struct slice code, struct slice message,
                  uint32_t http_status)
{
    buf_add_str(out, ",\"error\":{\"code\":");
    json_write_string(out, code.data, code.bytes);
    add_text(out, ",\"message\":", message);
    add_int(out, ",\"http_status\":", http_status ? (int64_t)http_status : -1);
    buf_add_char(out, '}');
}

static void
add_error(struct buf *out, const struct result_row *row)
{
    if (row->draft.status == STATUS_EXPIRED) {
        add_error_members(out, slice_of("expired"),
                          slice_of("the deadline passed first"), 0);
    } else if (row->draft.status == STATUS_CANCELLED ||
               (row->draft.status == STATUS_OK && row->has_outcome)) {
        buf_add_str(out, ",\"error\":null");
    } else if (!row->has_outcome) {
        add_error_members(out, slice_of("storage_corrupt"),
                          slice_of("the stored outcome is damaged"), 0);
    } else {
        add_error_members(out, row->outcome.code, row->outcome.message,
                          row->outcome.http_status);
    }
}

static void
add_usage(struct buf *out, const struct result_row *row)
{
    const struct outcome *outcome = &row->outcome;

    if (!row->has_outcome ||
        (outcome->prompt_tokens < 0 && outcome->completion_tokens < 0 &&
         outcome->total_tokens < 0)) {
        buf_add_str(out, ",\"usage\":null");
        return;
    }
    add_int(out, ",\"usage\":{\"prompt_tokens\":", outcome->prompt_tokens);
    add_int(out, ",\"completion_tokens\":", outcome->completion_tokens);
    add_int(out, ",\"total_tokens\":", outcome->total_tokens);
    buf_add_char(out, '}');
}

/* Dollars with nine significant digits, as %.9g writes them: with an exponent if
 * there are more than four zeros behind the point. */
static void
add_cost(struct buf *out, int64_t nano)
{
    char text[] = "0.000000000";
    char *first = text + 2, *end = text + sizeof(text) - 1;

    if (nano <= 0) {
        buf_add_str(out, nano == 0 ? "0" : "null");
        return;
    }
    if (nano >= NANO) { /* may have more digits than that */
        buf_addf(out, "%.9g", (double)nano / NANO);
        return;
    }
    for (char *digit = end; nano > 0; nano /= 10)
        *--digit = (char)('0' + nano % 10);
    while (end[-1] == '0')
        end--;
    while (*first == '0')
        first++;
    if (first - text - 2 < ZEROS_MAX) {
        buf_add(out, text, (size_t)(end - text));
        return;
    }
    buf_add(out, first, 1);
    if (end - first > 1) {
        buf_add_char(out, '.');
        buf_add(out, first + 1, (size_t)(end - first - 1));
    }
    buf_add_str(out, "e-0");
    buf_add_u64(out, (uint64_t)(first - text - 1));
}

void
result_line(struct buf *out, const struct result_row *row,
            const char *batch_uuid)
{
    static const struct outcome none = { .latency_ms = -1 };
    const struct outcome *outcome = row->has_outcome ? &row->outcome : &none;
    const struct draft *draft = &row->draft;
    char time[CLOCK_TEXT_BYTES];

    add_count(out, "{\"seq\":", draft->seq);
    buf_add_str(out, ",\"batch\":\"");
    buf_add_str(out, batch_uuid);
    add_token(out, "\",\"custom_id\":", row->line, draft->id_at,
              draft->id_bytes);
    add_count(out, ",\"index\":", draft->index);
    add_count(out, ",\"revision\":", draft->revision);
    buf_add_str(out, ",\"status\":\"");
    buf_add_str(out, status_name(draft->status));
    buf_add_char(out, '"');
    add_answer(out, row);
    add_text(out, ",\"essence\":",
             row->has_outcome ? outcome->essence : row->essence);
    add_error(out, row);
    add_text(out, ",\"model\":", outcome->model);
    add_text(out, ",\"upstream\":", outcome->upstream);
    buf_add_str(out, ",\"cache\":\"");
    buf_add_str(out, cache_tier_name(draft->tier));
    add_count(out, "\",\"attempts\":", outcome->attempts);
    add_int(out, ",\"latency_ms\":", outcome->latency_ms);
    add_usage(out, row);
    buf_add_str(out, ",\"cost_usd\":");
    add_cost(out, draft->cost_nano);
    add_text(out, ",\"finish_reason\":", outcome->finish);
    add_token(out, ",\"metadata\":", row->line, draft->meta_at,
              draft->meta_bytes);
    clock_text(draft->completed_ms, time);
    buf_add_str(out, ",\"completed_at\":\"");
    buf_add_str(out, time);
    buf_add_str(out, "\"}\n");
}
