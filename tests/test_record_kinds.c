/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "store/answer.h"
#include "store/attempt.h"
#include "store/batch.h"
#include "store/draft.h"
#include "store/outcome.h"
#include "store/part.h"
#include "store/record.h"
#include "store/request.h"
#include "store/upstream.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct slice
text(const char *str)
{
    return slice_of(str);
}

struct kind {
    const char *name;
    /* Makes an arbitrary record of that kind; decodes and encodes again. */
    void (*write)(struct buf *out);
    int (*again)(struct record *record, struct buf *out);
    size_t later[3]; /* bytes that records of older formats do not have */
};

static void
write_batch(struct buf *out)
{
    struct batch batch = { .uuid = "0123456789abcde",
                           .state = BATCH_EXPIRED,
                           .priority = 3,
                           .is_early = true,
                           .created_ms = 1,
                           .sealed_ms = 2,
                           .finished_ms = 3,
                           .deadline_ms = 4,
                           .lifetime_ms = 5,
                           .not_before_ms = 6,
                           .chunk_next = 7,
                           .draft_count = 8,
                           .refused_count = 9,
                           .joined_count = 10,
                           .cached_count = 11,
                           .retry_count = 12,
                           .retry_mask = 13,
                           .retry_index = 14,
                           .last_seq = 15,
                           .prompt_tokens = 16,
                           .completion_tokens = 17,
                           .total_tokens = 18,
                           .cost_nano = -1,
                           .tail = { { 19, 20 }, 21, 22 },
                           .tail_limit = 23,
                           .segment_first = 24 };

    for (enum status status = STATUS_OK; status < STATUS_COUNT; status++)
        batch.status_count[status] = 100 + status;
    batch_encode(&batch, out);
}

static int
batch_again(struct record *record, struct buf *out)
{
    struct batch batch = { 0 };
    int rc = batch_decode(record, &batch);

    if (rc == 0)
        batch_encode(&batch, out);
    return rc;
}

static void
write_spec(struct buf *out)
{
    spec_encode(&(struct spec){ .client = text("alice"),
                                .key = text("nightly"),
                                .name = text("a name"),
                                .metadata = text("{\"a\":1}"),
                                .window = text("mon-fri 22:00-06:00"),
                                .tz = text("Europe/Berlin"),
                                .options = text("{}") },
                out);
}

static int
spec_again(struct record *record, struct buf *out)
{
    struct spec spec;
    int rc = spec_decode(record, &spec);

    if (rc == 0)
        spec_encode(&spec, out);
    return rc;
}

static void
write_draft(struct buf *out)
{
    draft_encode(&(struct draft){ .request = 1,
                                  .answered_by = 2,
                                  .part = 3,
                                  .at = 4,
                                  .bytes = 5,
                                  .line_check = 6,
                                  .id_at = 7,
                                  .id_bytes = 8,
                                  .meta_at = 9,
                                  .meta_bytes = 10,
                                  .seq = 11,
                                  .revision = 12,
                                  .is_retrying = true,
                                  .status = STATUS_ERROR,
                                  .tier = CACHE_JOINED,
                                  .completed_ms = 13,
                                  .cost_nano = -1 },
                 out);
}

static int
draft_again(struct record *record, struct buf *out)
{
    struct draft draft = { 0 };
    int rc = draft_decode(record, &draft);

    if (rc == 0)
        draft_encode(&draft, out);
    return rc;
}

static void
write_request(struct buf *out)
{
    request_encode(&(struct request){ .state = REQUEST_LEASED,
                                      .kind = REQUEST_RAW,
                                      .flags = REQUEST_ENLARGED,
                                      .status = STATUS_RATE_LIMITED,
                                      .fence = 1,
                                      .place = { 2, 3 },
                                      .key = "a key of thirty-two bytes, all.",
                                      .batch = 4,
                                      .index = 5,
                                      .is_sole = true,
                                      .is_keyed = true,
                                      .attempts = 6,
                                      .failures = 7,
                                      .lost = 8,
                                      .throttled = 9,
                                      .uncertain = 10,
                                      .due_ms = 11,
                                      .done_ms = 12,
                                      .route = "azure,openai",
                                      .tokens = 13,
                                      .upstream = "openai",
                                      .model = 14,
                                      .answer = 15 },
                   out);
}

static int
request_again(struct record *record, struct buf *out)
{
    struct record peek = *record;
    struct request request = { 0 };
    uint64_t answer;
    int rc = request_decode(record, &request);

    /* Both ways of reading it say the same. */
    cr_expect(rc < 0 || (request_decode_answer(&peek, &answer) == 0 &&
                         answer == request.answer));
    if (rc == 0)
        request_encode(&request, out);
    return rc;
}

static struct outcome
an_outcome(void)
{
    return (struct outcome){ .status = STATUS_OK,
                             .http_status = 200,
                             .attempts = 1,
                             .latency_ms = 2,
                             .prompt_tokens = 3,
                             .completion_tokens = 4,
                             .total_tokens = -1,
                             .completed_ms = 5,
                             .cost_nano = 6,
                             .reply_bytes = 7,
                             .form = OUTCOME_PLAIN_TEXT,
                             .text_at = 8,
                             .text_bytes = 9,
                             .code = text("code"),
                             .message = text("message"),
                             .model = text("model"),
                             .upstream = text("upstream"),
                             .finish = text("stop"),
                             .essence = text("essence") };
}

static void
write_outcome(struct buf *out)
{
    struct outcome outcome = an_outcome();

    outcome_encode(&outcome, out);
}

static int
outcome_again(struct record *record, struct buf *out)
{
    struct outcome outcome;
    int rc = outcome_decode(record, &outcome);

    if (rc == 0)
        outcome_encode(&outcome, out);
    return rc;
}

static struct attempt
an_attempt(void)
{
    return (struct attempt){ .ended_ms = 1,
                             .class = CLASS_LOST,
                             .status = STATUS_SERVER_ERROR,
                             .http_status = 503,
                             .fence = 2,
                             .was_sent = true,
                             .latency_ms = -1,
                             .wait_ms = 3,
                             .wait_from = text("retry-after"),
                             .code = text("code"),
                             .worker = text("w1"),
                             .upstream = text("upstream") };
}

static void
write_attempt(struct buf *out)
{
    struct attempt attempt = an_attempt();

    attempt_encode(&attempt, out);
}

static int
attempt_again(struct record *record, struct buf *out)
{
    struct attempt attempt;
    int rc = attempt_decode(record, &attempt);

    if (rc == 0)
        attempt_encode(&attempt, out);
    return rc;
}

/* Of a call that tells of itself all that its outcome does. */
static void
write_answer(struct buf *out)
{
    struct outcome outcome = an_outcome();
    struct attempt call = { .number = 2,
                            .ended_ms = outcome.completed_ms,
                            .class = CLASS_OK,
                            .status = outcome.status,
                            .http_status = outcome.http_status,
                            .fence = 3,
                            .was_sent = true,
                            .latency_ms = outcome.latency_ms,
                            .code = outcome.code,
                            .worker = text("w1"),
                            .upstream = outcome.upstream };

    answer_encode(&outcome, &call, out);
}

static void
write_answer_of_another_call(struct buf *out)
{
    struct outcome outcome = an_outcome();
    struct attempt call = an_attempt();

    call.number = 2;
    answer_encode(&outcome, &call, out);
}

static void
write_answer_without_a_call(struct buf *out)
{
    struct outcome outcome = an_outcome();

    answer_encode(&outcome, &(struct attempt){ 0 }, out);
}

static int
answer_again(struct record *record, struct buf *out)
{
    struct outcome outcome;
    struct attempt call;
    int rc = answer_decode(record, &outcome, &call);

    if (rc == 0)
        answer_encode(&outcome, &call, out);
    return rc;
}

static void
write_upstream(struct buf *out)
{
    upstream_encode(&(struct upstream_row){ .name = "openai",
                                            .until_ms = UPSTREAM_STOPPED,
                                            .since_ms = 1,
                                            .http_status = 429,
                                            .code = "insufficient_quota",
                                            .message = "pay",
                                            .source = "retry-after",
                                            .breaker = 1,
                                            .breaker_until_ms = 2,
                                            .breaker_pause_ms = 3,
                                            .failures = 4,
                                            .request_count = 3,
                                            .requests = { 5, 6, 7 },
                                            .answered_ms = 8 },
                    out);
}

static int
upstream_again(struct record *record, struct buf *out)
{
    struct upstream_row row;
    int rc = upstream_decode(record, &row);

    if (rc == 0)
        upstream_encode(&row, out);
    return rc;
}

static const struct kind kinds[] = {
    { "batch", write_batch, batch_again, { 8, 40 } },
    { "spec", write_spec, spec_again, { 0 } },
    { "draft", write_draft, draft_again, { 0 } },
    { "request", write_request, request_again, { 26, 22, 8 } },
    { "outcome", write_outcome, outcome_again, { 0 } },
    { "attempt", write_attempt, attempt_again, { 0 } },
    { "upstream", write_upstream, upstream_again, { 0 } },
    { "answer", write_answer, answer_again, { 0 } },
    { "answer of another call",
      write_answer_of_another_call,
      answer_again,
      { 0 } },
    { "answer without a call",
      write_answer_without_a_call,
      answer_again,
      { 0 } },
};

static struct record
record_of(const struct buf *buf, size_t bytes)
{
    return (struct record){ .at = (const unsigned char *)buf->data,
                            .left = bytes };
}

Test(record_kinds, every_kind_comes_back_as_it_was)
{
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct buf written = { 0 }, again = { 0 };
        struct record record;

        kinds[i].write(&written);
        record = record_of(&written, written.bytes);
        cr_assert_eq(kinds[i].again(&record, &again), 0, "%s", kinds[i].name);
        cr_expect_eq(record.left, 0, "%s", kinds[i].name);
        cr_expect(slice_equal(buf_slice(&written), buf_slice(&again)), "%s",
                  kinds[i].name);
        buf_fini(&written);
        buf_fini(&again);
    }
}

Test(record_kinds, every_kind_is_refused_when_it_is_cut_short)
{
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct buf written = { 0 }, again = { 0 };

        kinds[i].write(&written);
        for (size_t bytes = 0; bytes < written.bytes; bytes++) {
            struct record record = record_of(&written, bytes);
            size_t lacking = written.bytes - bytes;
            bool is_older = lacking == kinds[i].later[0] ||
                            lacking == kinds[i].later[1] ||
                            lacking == kinds[i].later[2];

            cr_expect_eq(kinds[i].again(&record, &again),
                         is_older ? 0 : E_CORRUPT, "%s, %zu bytes",
                         kinds[i].name, bytes);
        }
        buf_fini(&written);
        buf_fini(&again);
    }
}

/* What was written before format 6, and since. */
Test(record_kinds, a_part_is_counted_over_its_batch_or_over_the_store)
{
    static const struct {
        uint64_t part;
        uint32_t beside;
        char bytes[9];
    } cases[] = {
        { PART_OF_BATCH | 1, 0, "\0\0\0\1\0\0\0\0" },
        { PART_OF_BATCH | 0x1020304, 1048575,
          "\x01\x02\x03\x04\x00\x0f\xff\xff" },
        { 1, 0, "\x80\0\0\0\0\1\0\0" },
        { 0x60708090a0b, 0x7ffe, "\x86\x07\x08\x09\x0a\x0b\x7f\xfe" },
        { PART_MAX, PART_BESIDE_MAX, "\xff\xff\xff\xff\xff\xff\xff\xff" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf written = { 0 };
        struct record record;
        uint32_t beside;

        part_encode(cases[i].part, cases[i].beside, &written);
        cr_assert_eq(written.bytes, 8);
        cr_expect_eq(memcmp(written.data, cases[i].bytes, 8), 0, "case %zu", i);
        record = record_of(&written, written.bytes);
        cr_expect_eq(part_decode(&record, &beside), cases[i].part, "case %zu",
                     i);
        cr_expect_eq(beside, cases[i].beside, "case %zu", i);
        buf_fini(&written);
    }
}

/* What an answer does not tell of its call is what the outcome tells. */
Test(record_kinds, an_answer_tells_what_its_call_has_of_its_own)
{
    struct outcome outcome = an_outcome(), read;
    struct attempt same = { .number = 2,
                            .ended_ms = outcome.completed_ms,
                            .status = outcome.status,
                            .http_status = outcome.http_status,
                            .latency_ms = outcome.latency_ms,
                            .code = outcome.code,
                            .upstream = outcome.upstream };
    struct attempt calls[] = { same, same, same, same, same,
                               same, same, same, same };
    struct buf written = { 0 };

    calls[1].ended_ms++;
    calls[2].status = STATUS_ERROR;
    calls[3].http_status++;
    calls[4].latency_ms++;
    calls[5].code = text("other");
    calls[6].upstream = text("other");
    calls[7].wait_ms = 1;
    calls[8].wait_from = text("retry-after");
    for (size_t i = 0; i < COUNT(calls); i++) {
        struct record record;
        struct attempt call;

        buf_reset(&written);
        answer_encode(&outcome, &calls[i], &written);
        record = record_of(&written, written.bytes);
        cr_assert_eq(answer_decode(&record, &read, &call), 0);
        cr_expect_eq(call.ended_ms, calls[i].ended_ms);
        cr_expect_eq(call.status, calls[i].status);
        cr_expect_eq(call.http_status, calls[i].http_status);
        cr_expect_eq(call.latency_ms, calls[i].latency_ms);
        cr_expect(slice_equal(call.code, calls[i].code));
        cr_expect(slice_equal(call.upstream, calls[i].upstream));
        cr_expect_eq(call.wait_ms, calls[i].wait_ms);
        cr_expect(slice_equal(call.wait_from, calls[i].wait_from));
    }
    buf_fini(&written);
}

Test(record_kinds, every_kind_may_be_longer_in_a_later_version)
{
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct buf written = { 0 }, again = { 0 };
        struct record record;

        kinds[i].write(&written);
        buf_add_str(&written, "more");
        record = record_of(&written, written.bytes);
        cr_expect_eq(kinds[i].again(&record, &again), 0, "%s", kinds[i].name);
        cr_expect_eq(record.left, 4, "%s", kinds[i].name);
        buf_fini(&written);
        buf_fini(&again);
    }
}

/* A byte of a record set to a value that has no meaning there. */
Test(record_kinds, values_without_a_meaning_are_refused)
{
    static const struct {
        size_t kind, at;
        unsigned char value;
        const char *what;
    } cases[] = {
        { 0, 16, BATCH_STATE_COUNT, "state of a batch" },
        { 0, 17, BATCH_PRIORITY_MAX + 1, "priority" },
        { 0, 18, 2, "early" },
        { 2, 58, 2, "retrying" },
        { 2, 59, STATUS_COUNT, "status of a draft" },
        { 2, 60, CACHE_TIER_COUNT, "tier" },
        { 3, 0, REQUEST_STATE_COUNT, "state of a request" },
        { 3, 1, REQUEST_RAW + 1, "kind" },
        { 3, 3, STATUS_COUNT, "status of a request" },
        { 3, 104 + 2, 1, "length of a route" },
        { 3, 108 + 2, 0, "a NUL in a route" },
        { 4, 0, STATUS_COUNT, "status of an outcome" },
        { 4, 61, OUTCOME_PLAIN_TEXT + 1, "form" },
        { 5, 8, CLASS_COUNT, "class" },
        { 5, 9, STATUS_COUNT, "status of an attempt" },
        { 5, 18, 2, "sent" },
        { 6, 3, 65, "length of an upstream's name" },
        { 6, 4 + 6, 255, "a suspension before all time" },
        { 6, 4 + 6 + 16 + 4 + 22 + 7 + 15, 3, "state of a breaker" },
        { 7, 0, STATUS_COUNT, "status of an answer" },
        { 7, 129 + 4, 2, "how much an answer tells of its call" },
        { 7, 129 + 5, CLASS_COUNT, "class of an answer's call" },
        { 7, 129 + 10, 2, "whether it was sent" },
        { 8, 129 + 5 + 8, CLASS_COUNT, "class of another call" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct kind *kind = &kinds[cases[i].kind];
        struct buf written = { 0 }, again = { 0 };
        struct record record;

        kind->write(&written);
        cr_assert_lt(cases[i].at, written.bytes);
        written.data[cases[i].at] = (char)cases[i].value;
        record = record_of(&written, written.bytes);
        cr_expect_eq(kind->again(&record, &again), E_CORRUPT, "%s",
                     cases[i].what);
        buf_fini(&written);
        buf_fini(&again);
    }
}
