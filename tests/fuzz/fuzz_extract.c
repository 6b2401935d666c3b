/*
 * fuzz_extract.c - a reply of any bytes, read, judged and reported
 *
 * Up to the first line feed the input is a header of the reply and its status,
 * "503 retry-after: 7"; the rest is the body. Whatever comes, the span lies
 * within the body and is the inside of a string, messages are UTF-8 and within
 * their bounds, and the report stands in a header that the broker reads.
 */
/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "queue/wire.h"
#include "worker/result.h"

#define NOW_MS INT64_C(1792567620000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void
check_text(const struct extract *extract, struct slice body)
{
    struct buf text = { 0 };
    struct slice span = { NULL, 0 };

    if (extract->text_bytes > 0) {
        assert(extract->text.bytes == 0);
        assert(extract->text_at > 0);
        assert(extract->text_at + extract->text_bytes < body.bytes);
        span =
            (struct slice){ body.data + extract->text_at, extract->text_bytes };
        assert(span.data[-1] == '"');
        assert(span.data[span.bytes] == '"');
        assert(json_decode_inner(span, &text) == 0);
        assert(utf8_is_valid(buf_slice(&text)));
    }
    assert(extract->has_text ==
           (extract->text_bytes > 0 || extract->text.bytes > 0));
    assert(utf8_is_valid(buf_slice(&extract->text)));
    buf_fini(&text);
}

static void
check_outcome(const struct outcome *outcome)
{
    assert(outcome->class < OUTCOME_CLASS_COUNT);
    assert(outcome->wait_ms >= 0);
    assert(outcome->wait_ms <= DELAY_MAX_MS);
    assert(outcome->class != OUTCOME_THROTTLED || outcome->wait_ms > 0);
    assert(strlen(outcome->message) <= OUTCOME_MESSAGE_BYTES_MAX);
    assert(utf8_is_valid(slice_of(outcome->message)));
    assert(utf8_is_valid(slice_of(outcome->code)));
}

static void
check_report(const struct result *result)
{
    struct buf head = { 0 };
    struct wire wire, item;
    struct wire_list list;
    int rc;

    wire_begin(&head, "turn");
    wire_put_name(&head, "results");
    buf_add_char(&head, '[');
    result_print(result, 1, 1, "one", &head);
    buf_add_char(&head, ']');
    wire_end(&head);
    rc = wire_read(&wire, buf_slice(&head), buf_slice(&result->body), NULL);
    assert(rc == 0);
    rc = wire_list(&wire, "results", &list, NULL);
    assert(rc == 0);
    rc = wire_next_part(&list, &item, NULL);
    assert(rc == 0);
    assert(slice_equal(item.body, buf_slice(&result->body)));
    rc = wire_next_part(&list, &item, NULL);
    assert(rc == 1);
    wire_fini(&wire);
    buf_fini(&head);
}

/* Takes the first line off: status and one header. */
static struct slice
read_head(struct slice input, struct reply *reply)
{
    const char *end = memchr(input.data, '\n', input.bytes);
    size_t bytes = end ? (size_t)(end - input.data) : 0;
    const char *blank = end ? memchr(input.data, ' ', bytes) : NULL;
    const char *colon = end ? memchr(input.data, ':', bytes) : NULL;

    reply->http_status = 200;
    if (!end)
        return input;
    reply->http_status = (int)(strtoul(input.data, NULL, 10) % 1000);
    if (blank && colon && colon > blank) {
        hint_keep(&reply->headers,
                  (struct slice){ blank + 1, (size_t)(colon - blank) - 1 },
                  (struct slice){ colon + 1, (size_t)(end - colon) - 1 });
    }
    return (struct slice){ end + 1, input.bytes - bytes - 1 };
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char *copy = malloc(bytes + 1); /* so that strtoul() ends */
    struct reply reply = { .end = REPLY_COMPLETE };
    struct extract extract = { 0 };
    struct result result = { 0 };
    struct outcome outcome;
    struct err err = { 0 };
    struct outcome_input input = { .reply = &reply, .extract = &extract };
    struct slice body;

    assert(copy);
    if (bytes)
        memcpy(copy, data, bytes);
    copy[bytes] = '\0';
    body = read_head((struct slice){ copy, bytes }, &reply);
    buf_add_slice(&reply.body, body);
    body = buf_slice(&reply.body);
    input.read_rc = extract_read(&extract, body, EXTRACT_CHAT, &err);
    input.read_reason = err.msg;
    input.is_raw = bytes % 2;
    check_text(&extract, body);
    outcome_judge(&input, NOW_MS, &outcome);
    check_outcome(&outcome);
    result_fill(&result, &outcome, &extract, &reply);
    check_report(&result);
    result_fini(&result);
    extract_fini(&extract);
    buf_fini(&reply.body);
    free(copy);
    return 0;
}
