/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "queue/core.h"

#define UUID  "00112233-4455-6677-8899-aabbccddeeff"
#define LINE  "{\"id\":\"d-1\",\"metadata\":{\"k\":[1,\"ü\"]},\"text\":\"x\"}"
#define REPLY "{\"content\":\"a \\\"b\\\" \\u00fc ü\"}plain \"ü\"\n\xff\x01"

static const char *const texts[] = {
    "",
    "stop",
    "gpt-4o-mini",
    "Grüße, 世界 🌍",
    "a \"quote\" \\ \n\t\x01",
    "no \xff UTF-8",
};

static struct slice
any_text(void)
{
    const char *text =
        texts[(size_t)rand() % (sizeof(texts) / sizeof(texts[0]))];

    return slice_of(text);
}

/* -1 to the greatest, of every length. */
static int64_t
any_int(void)
{
    uint64_t bits = ((uint64_t)rand() << 32) ^ ((uint64_t)rand() << 11);
    int length = rand() % 66;

    if (length < 3)
        return length - 1;
    return (int64_t)(bits >> (65 - length + (length == 65)));
}

static struct result_row
any_row(void)
{
    uint32_t text_at = (uint32_t)(rand() % 3) * 12;
    struct result_row row = {
        .draft = { .seq = (uint64_t)any_int() & INT64_MAX,
                   .index = (uint32_t)any_int(),
                   .revision = (uint32_t)any_int(),
                   .status = STATUS_OK + rand() % (STATUS_COUNT - STATUS_OK),
                   .tier = rand() % CACHE_TIER_COUNT,
                   .completed_ms = any_int() % INT64_C(400000000000000),
                   .cost_nano = any_int() % (int64_t)1e10 },
        .has_outcome = rand() % 4 != 0,
        .reply = { REPLY, sizeof(REPLY) - 1 },
        .essence = any_text(),
        .outcome = { .http_status = (uint32_t)(rand() % 2 * (rand() % 600)),
                     .attempts = (uint32_t)any_int(),
                     .latency_ms = any_int(),
                     .prompt_tokens = any_int(),
                     .completion_tokens = any_int(),
                     .total_tokens = any_int(),
                     .form = rand() % (OUTCOME_PLAIN_TEXT + 1),
                     .text_at = text_at,
                     .text_bytes = (uint32_t)rand() % 30,
                     .code = any_text(),
                     .message = any_text(),
                     .model = any_text(),
                     .upstream = any_text(),
                     .finish = any_text(),
                     .essence = any_text() },
    };

    if (rand() % 8 != 0)
        row.line = slice_of(LINE);
    if (rand() % 8 != 0) {
        row.draft.id_at = 6;
        row.draft.id_bytes = 5;
    }
    if (rand() % 2) {
        row.draft.meta_at = 23;
        row.draft.meta_bytes = 14;
    }
    return row;
}

/* ---- the same line, printed as plainly as can be ---- */

static void
print_string(struct buf *out, const char *name, struct slice text)
{
    buf_addf(out, ",\"%s\":", name);
    if (text.bytes == 0)
        buf_add_str(out, "null");
    else
        json_write_string(out, text.data, text.bytes);
}

static void
print_int(struct buf *out, const char *before, int64_t value)
{
    if (value < 0)
        buf_addf(out, "%snull", before);
    else
        buf_addf(out, "%s%lld", before, (long long)value);
}

static void
print_text(struct buf *out, const struct result_row *row)
{
    const struct outcome *outcome = &row->outcome;
    const char *text = row->reply.data + outcome->text_at;

    if (!row->has_outcome || outcome->form == OUTCOME_NO_TEXT ||
        outcome->text_at + outcome->text_bytes > row->reply.bytes) {
        buf_add_str(out, ",\"text\":null");
    } else if (outcome->form == OUTCOME_JSON_TEXT) {
        buf_addf(out, ",\"text\":\"%.*s\"", (int)outcome->text_bytes, text);
    } else {
        buf_add_str(out, ",\"text\":");
        json_write_string(out, text, outcome->text_bytes);
    }
}

static void
print_error(struct buf *out, const struct result_row *row)
{
    enum status status = row->draft.status;

    if (status == STATUS_EXPIRED) {
        buf_add_str(out, ",\"error\":{\"code\":\"expired\",\"message\":\"the "
                         "deadline passed first\",\"http_status\":null}");
    } else if (status == STATUS_CANCELLED ||
               (status == STATUS_OK && row->has_outcome)) {
        buf_add_str(out, ",\"error\":null");
    } else if (!row->has_outcome) {
        buf_add_str(out,
                    ",\"error\":{\"code\":\"storage_corrupt\",\"message\":"
                    "\"the stored outcome is damaged\",\"http_status\":null}");
    } else {
        buf_add_str(out, ",\"error\":{\"code\":");
        json_write_string(out, row->outcome.code.data, row->outcome.code.bytes);
        print_string(out, "message", row->outcome.message);
        print_int(out, ",\"http_status\":",
                  row->outcome.http_status ? (int64_t)row->outcome.http_status
                                           : -1);
        buf_add_str(out, "}");
    }
}

static void
print_usage(struct buf *out, const struct outcome *outcome)
{
    if (outcome->prompt_tokens < 0 && outcome->completion_tokens < 0 &&
        outcome->total_tokens < 0) {
        buf_add_str(out, ",\"usage\":null");
        return;
    }
    print_int(out, ",\"usage\":{\"prompt_tokens\":", outcome->prompt_tokens);
    print_int(out, ",\"completion_tokens\":", outcome->completion_tokens);
    print_int(out, ",\"total_tokens\":", outcome->total_tokens);
    buf_add_str(out, "}");
}

static void
print_tail(struct buf *out, const struct result_row *row,
           const struct outcome *outcome)
{
    char time[CLOCK_TEXT_BYTES];

    print_error(out, row);
    print_string(out, "model", outcome->model);
    print_string(out, "upstream", outcome->upstream);
    buf_addf(out, ",\"cache\":\"%s\",\"attempts\":%u",
             cache_tier_name(row->draft.tier), outcome->attempts);
    print_int(out, ",\"latency_ms\":", outcome->latency_ms);
    print_usage(out, outcome);
    if (row->draft.cost_nano < 0)
        buf_add_str(out, ",\"cost_usd\":null");
    else
        buf_addf(out, ",\"cost_usd\":%.9g", (double)row->draft.cost_nano / 1e9);
    print_string(out, "finish_reason", outcome->finish);
    buf_addf(out, ",\"metadata\":%.*s",
             row->line.bytes && row->draft.meta_bytes ? 14 : 4,
             row->line.bytes && row->draft.meta_bytes ? row->line.data + 23
                                                      : "null");
    clock_text(row->draft.completed_ms, time);
    buf_addf(out, ",\"completed_at\":\"%s\"}\n", time);
}

static void
print(struct buf *out, const struct result_row *row)
{
    static const struct outcome none = { .latency_ms = -1,
                                         .prompt_tokens = -1,
                                         .completion_tokens = -1,
                                         .total_tokens = -1 };
    const struct draft *draft = &row->draft;

    buf_addf(out, "{\"seq\":%llu,\"batch\":\"" UUID "\",\"custom_id\":%s",
             (unsigned long long)draft->seq,
             row->line.bytes && draft->id_bytes ? "\"d-1\"" : "null");
    buf_addf(out, ",\"index\":%u,\"revision\":%u,\"status\":\"%s\"",
             draft->index, draft->revision, status_name(draft->status));
    print_text(out, row);
    print_string(out, "essence",
                 row->has_outcome ? row->outcome.essence : row->essence);
    print_tail(out, row, row->has_outcome ? &row->outcome : &none);
}

Test(result_line, agrees_with_a_plain_printer)
{
    struct buf got = { 0 }, want = { 0 };

    srand(1);
    for (int i = 0; i < 20000; i++) {
        struct result_row row = any_row();

        buf_reset(&got);
        buf_reset(&want);
        result_line(&got, &row, UUID);
        print(&want, &row);
        cr_assert_str_eq(got.data, want.data, "row %d\ngot  %swant %s", i,
                         got.data, want.data);
        cr_assert_eq(got.bytes, want.bytes);
    }
    buf_fini(&got);
    buf_fini(&want);
}

/* A program that reads amounts as decimals sees those of %.9g. */
Test(result_line, writes_costs_with_nine_digits)
{
    static const struct {
        int64_t nano;
        const char *want;
    } cases[] = {
        { -1, "null" },
        { 0, "0" },
        { 1, "1e-09" },
        { 10, "1e-08" },
        { 120, "1.2e-07" },
        { 90000, "9e-05" },
        { 99999, "9.9999e-05" },
        { 100000, "0.0001" },
        { 123456, "0.000123456" },
        { 120000000, "0.12" },
        { 999999999, "0.999999999" },
        { 1000000000, "1" },
        { 1234567891, "1.23456789" },
        { 20500000000, "20.5" },
    };
    struct buf got = { 0 }, want = { 0 };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct result_row row = { .draft = { .status = STATUS_CANCELLED,
                                             .cost_nano = cases[i].nano } };

        buf_reset(&got);
        buf_reset(&want);
        result_line(&got, &row, UUID);
        buf_addf(&want, "\"cost_usd\":%s,", cases[i].want);
        cr_expect(strstr(got.data, want.data), "got %swant %s", got.data,
                  want.data);
    }
    buf_fini(&got);
    buf_fini(&want);
}
