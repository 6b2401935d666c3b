/* SPDX-License-Identifier: MIT */
#include "worker/outcome.h"

#include <criterion/criterion.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NOW_MS   INT64_C(1792567620000)

#define ANSWER(text, finish)                             \
    "{\"choices\":[{\"message\":{\"content\":" text "}," \
    "\"finish_reason\":\"" finish "\"}]}"
#define ERROR(code) \
    "{\"error\":{\"message\":\"M\",\"type\":\"t\",\"code\":\"" code "\"}}"
#define NUMBERED(code, message) \
    "{\"error\":{\"message\":\"" message "\",\"type\":\"t\",\"code\":" code "}}"
#define SAID(message) "{\"error\":{\"message\":\"" message "\",\"type\":\"t\"}}"
/* NOW_MS is 07:27 UTC; the day of California's winter ends at 08:00. */
#define DAY_REST_MS INT64_C(1980000)
#define DAILY                                                             \
    "{\"error\":{\"code\":429,\"message\":\"Q\",\"details\":[{\"@type\":" \
    "\"google.rpc.QuotaFailure\",\"violations\":[{\"quotaId\":"           \
    "\"RequestsPerDay\"}]},{\"@type\":\"google.rpc.RetryInfo\","          \
    "\"retryDelay\":\"5s\"}]}}"

struct row {
    int status;
    const char *body;
    const char *header, *value; /* NULL: none */
    bool is_raw;
    enum outcome_class class;
    const char *code;
    const char *message;
    int64_t wait_ms;
};

/* clang-format off */
static const struct row rows[] = {
    /* success */
    { 200, ANSWER("\"x\"", "stop"), NULL, NULL, false, OUTCOME_OK, "", "", 0 },
    { 201, ANSWER("\"x\"", "stop"), NULL, NULL, false, OUTCOME_OK, "", "", 0 },
    { 200, ANSWER("\"x\"", "stop"), "retry-after", "9", false, OUTCOME_OK,
      "", "", 0 },
    { 200, ANSWER("\"x\"", "length"), NULL, NULL, false, OUTCOME_TRUNCATED,
      "truncated", "the answer was cut off (length)", 0 },
    { 200, ANSWER("null", "length"), NULL, NULL, false, OUTCOME_TRUNCATED,
      "truncated", "the answer was cut off (length)", 0 },
    { 200, ANSWER("null", "content_filter"), NULL, NULL, false,
      OUTCOME_REFUSED, "refused", "the model refused to answer "
      "(content_filter)", 0 },
    { 200, ANSWER("null", "stop"), NULL, NULL, false, OUTCOME_RETRYABLE,
      "no_text", "the reply holds no text", 0 },
    { 200, ANSWER("\"\"", "stop"), NULL, NULL, false, OUTCOME_RETRYABLE,
      "no_text", "the reply holds no text", 0 },
    { 200, "{\"data\":[]}", NULL, NULL, false, OUTCOME_RETRYABLE, "no_text",
      "the reply holds no text", 0 },
    { 200, "{\"data\":[]}", NULL, NULL, true, OUTCOME_OK, "", "", 0 },
    { 200, ANSWER("\"x\"", "length"), NULL, NULL, true, OUTCOME_OK, "", "",
      0 },
    { 200, ANSWER("null", "content_filter"), NULL, NULL, true, OUTCOME_OK, "",
      "", 0 },
    /* a status of success without an answer */
    { 200, "", NULL, NULL, true, OUTCOME_RETRYABLE, "empty_reply",
      "the reply has no body", 0 },
    { 200, "<html>", NULL, NULL, true, OUTCOME_RETRYABLE, "malformed_reply",
      NULL, 0 },
    { 200, "{\"choices\":[{\"mess", NULL, NULL, false, OUTCOME_RETRYABLE,
      "malformed_reply", NULL, 0 },
    { 200, "[]", NULL, NULL, true, OUTCOME_RETRYABLE, "malformed_reply", NULL,
      0 },
    { 200, ERROR("oops"), NULL, NULL, true, OUTCOME_RETRYABLE, "oops", "M",
      0 },
    { 200, "[" ERROR("oops") "]", NULL, NULL, true, OUTCOME_RETRYABLE, "oops",
      "M", 0 },
    { 200, "[{\"message\":\"odd\"}]", NULL, NULL, true, OUTCOME_RETRYABLE,
      "error_reply", "odd", 0 },
    { 200, ERROR("insufficient_quota"), NULL, NULL, true, OUTCOME_STOP,
      "insufficient_quota", "M", 0 },
    { 200, NUMBERED("400", "M"), NULL, NULL, true, OUTCOME_PERMANENT, "t",
      "M", 0 },
    { 200, NUMBERED("502", "M"), NULL, NULL, true, OUTCOME_RETRYABLE, "t",
      "M", 0 },
    { 200, NUMBERED("402", "M"), NULL, NULL, true, OUTCOME_STOP, "t", "M",
      0 },
    { 200, NUMBERED("7", "M"), NULL, NULL, true, OUTCOME_RETRYABLE, "t", "M",
      0 },
    { 200, "{\"status\":\"failed\",\"error\":{\"code\":\"invalid_prompt\","
      "\"message\":\"M\"},\"output\":[]}", NULL, NULL, true,
      OUTCOME_PERMANENT, "invalid_prompt", "M", 0 },
    /* the body says what it is, whatever its type says */
    { 200, ANSWER("\"x\"", "stop"), "content-type", "text/html", false,
      OUTCOME_OK, "", "", 0 },
    { 200, "<html>", "content-type", "application/json", false,
      OUTCOME_RETRYABLE, "malformed_reply", NULL, 0 },
    { 200, ANSWER("\"a\\ud800\"", "stop"), NULL, NULL, false, OUTCOME_OK, "",
      "", 0 },
    { 200, ANSWER("null,\"tool_calls\":[{}]", "tool_calls"), NULL, NULL,
      false, OUTCOME_RETRYABLE, "no_text", "the reply holds no text", 0 },
    { 200, ANSWER("null,\"tool_calls\":[{}]", "tool_calls"), NULL, NULL, true,
      OUTCOME_OK, "", "", 0 },
    { 200, ANSWER("null,\"refusal\":\"no\"", "stop"), NULL, NULL, false,
      OUTCOME_REFUSED, "refused", "the model refused to answer (stop)", 0 },
    /* half an answer, and an error in the place of the rest */
    { 200, ANSWER("\"half\"", "error"), NULL, NULL, false, OUTCOME_RETRYABLE,
      "answer_failed", "the upstream failed within the answer", 0 },
    { 200, "{\"choices\":[{\"message\":{\"content\":\"half\"},\"error\":{"
      "\"message\":\"Gone\",\"code\":502},\"finish_reason\":\"error\"}]}",
      NULL, NULL, false, OUTCOME_RETRYABLE, "answer_failed", "Gone", 0 },
    { 200, "{\"choices\":[{\"message\":{\"content\":\"half\"},\"error\":{"
      "\"message\":\"Bad\",\"code\":400},\"finish_reason\":\"error\"}]}",
      NULL, NULL, false, OUTCOME_PERMANENT, "answer_failed", "Bad", 0 },
    { 200, ANSWER("\"half\"", "error"), NULL, NULL, true, OUTCOME_OK, "", "",
      0 },
    /* no answer at all */
    { 200, "\n <!DOCTYPE html>", NULL, NULL, false, OUTCOME_RETRYABLE,
      "malformed_reply", "the reply is not a JSON object: it is a page for "
      "people, of somebody who stands before the upstream, or base_url is not "
      "that of an API", 0 },
    { 200, "\x1f\x8b\x08", NULL, NULL, false, OUTCOME_RETRYABLE,
      "malformed_reply", "the reply is not a JSON object: it is compressed, "
      "which nobody has asked for", 0 },
    { 200, "data: {}\n\n", NULL, NULL, false, OUTCOME_RETRYABLE,
      "malformed_reply", "the reply is not a JSON object: it is a stream of "
      "events, which nobody has asked for", 0 },
    { 202, "{}", NULL, NULL, true, OUTCOME_PERMANENT, "http_202",
      "HTTP status 202", 0 },
    { 204, "", NULL, NULL, true, OUTCOME_PERMANENT, "http_204",
      "HTTP status 204", 0 },
    /* every status of the table */
    { 301, "", NULL, NULL, false, OUTCOME_PERMANENT, "http_301",
      "Moved Permanently; redirects are not followed: base_url has to be the "
      "address itself", 0 },
    { 307, "<html>log in</html>", NULL, NULL, true, OUTCOME_PERMANENT, "http_307",
      "Temporary Redirect; redirects are not followed: base_url has to be the "
      "address itself", 0 },
    { 400, ERROR("context_length_exceeded"), NULL, NULL, false,
      OUTCOME_PERMANENT, "context_length_exceeded", "M", 0 },
    { 401, "nope", NULL, NULL, false, OUTCOME_STOP, "http_401",
      "Unauthorized", 0 },
    { 402, "", NULL, NULL, false, OUTCOME_STOP, "http_402",
      "Payment Required", 0 },
    { 403, "<html>secret page</html>", NULL, NULL, false, OUTCOME_PERMANENT,
      "http_403", "Forbidden", 0 },
    { 404, "", NULL, NULL, false, OUTCOME_PERMANENT, "http_404", "Not Found",
      0 },
    { 408, "", NULL, NULL, false, OUTCOME_RETRYABLE, "http_408",
      "Request Timeout", 0 },
    { 409, "", NULL, NULL, false, OUTCOME_RETRYABLE, "http_409", "Conflict",
      0 },
    { 410, "", NULL, NULL, false, OUTCOME_PERMANENT, "http_410", "Gone", 0 },
    { 413, "", NULL, NULL, false, OUTCOME_PERMANENT, "http_413",
      "Content Too Large", 0 },
    { 422, "{\"detail\":\"D\"}", NULL, NULL, false, OUTCOME_PERMANENT,
      "http_422", "D", 0 },
    { 425, "", NULL, NULL, false, OUTCOME_RETRYABLE, "http_425", "Too Early",
      0 },
    { 451, "", NULL, NULL, false, OUTCOME_PERMANENT, "http_451",
      "HTTP status 451", 0 },
    { 498, "", NULL, NULL, false, OUTCOME_RETRYABLE, "http_498",
      "Capacity Exceeded", 0 },
    { 500, "{\"error\":\"boom\"}", NULL, NULL, false, OUTCOME_RETRYABLE,
      "http_500", "boom", 0 },
    { 502, "", NULL, NULL, false, OUTCOME_RETRYABLE, "http_502",
      "Bad Gateway", 0 },
    { 503, "", "Retry-After", "7", false, OUTCOME_RETRYABLE, "http_503",
      "Service Unavailable", 7000 },
    { 503, "", "x-ratelimit-reset-requests", "7s", false, OUTCOME_RETRYABLE,
      "http_503", "Service Unavailable", 0 },
    { 504, "", NULL, NULL, false, OUTCOME_RETRYABLE, "http_504",
      "Gateway Timeout", 0 },
    { 529, "", NULL, NULL, false, OUTCOME_RETRYABLE, "http_529", "Overloaded",
      0 },
    { 999, "", NULL, NULL, false, OUTCOME_PERMANENT, "http_999",
      "HTTP status 999", 0 },
    /* throttles and empty accounts */
    { 429, "", NULL, NULL, false, OUTCOME_RETRYABLE, "http_429",
      "Too Many Requests", 0 },
    { 429, "", "retry-after", "3", false, OUTCOME_THROTTLED, "http_429",
      "Too Many Requests", 3000 },
    { 429, "", "x-ratelimit-reset-requests", "7s", false, OUTCOME_THROTTLED,
      "http_429", "Too Many Requests", 7000 },
    { 429, "{\"error\":\"try again in 2s\"}", NULL, NULL, false,
      OUTCOME_THROTTLED, "http_429", "try again in 2s", 2000 },
    { 429, ERROR("insufficient_quota"), "retry-after", "3", false,
      OUTCOME_STOP, "insufficient_quota", "M", 0 },
    { 429, DAILY, NULL, NULL, false, OUTCOME_STOP, "quota_exhausted", "Q",
      DAY_REST_MS },
    { 429, SAID("Limit 200, Used 200 on requests per day (RPD)"), NULL, NULL,
      false, OUTCOME_STOP, "t", NULL, 0 },
    { 429, SAID("tokens per day (TPD). Please try again in 7m12s."), NULL,
      NULL, false, OUTCOME_THROTTLED, "t", NULL, 432000 },
    { 429, SAID("Rate limit exceeded: free-models-per-day"),
      "x-ratelimit-reset", "1792567680000", false, OUTCOME_THROTTLED, "t",
      NULL, 60000 },
    { 429, SAID("Request too large for m on tokens per min (TPM): Limit 3"),
      "retry-after", "3", false, OUTCOME_PERMANENT, "t", NULL, 0 },
    /* the words of providers */
    { 400, SAID("Your credit balance is too low to access the API"), NULL,
      NULL, false, OUTCOME_STOP, "t", NULL, 0 },
    { 400, "[{\"error\":{\"code\":400,\"message\":\"API key not valid. Please"
      " pass a valid API key.\",\"status\":\"INVALID_ARGUMENT\"}}]", NULL,
      NULL, false, OUTCOME_STOP, "INVALID_ARGUMENT", NULL, 0 },
    { 403, SAID("Your API key was reported as leaked."), NULL, NULL, false,
      OUTCOME_STOP, "t", NULL, 0 },
    { 403, "{\"type\":\"error\",\"error\":{\"type\":\"billing_error\","
      "\"message\":\"M\"}}", NULL, NULL, false, OUTCOME_STOP,
      "billing_error", "M", 0 },
    { 429, ERROR("billing_not_active"), NULL, NULL, false, OUTCOME_STOP,
      "billing_not_active", "M", 0 },
    { 529, "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
      "\"message\":\"Overloaded\"}}", NULL, NULL, false, OUTCOME_RETRYABLE,
      "overloaded_error", "Overloaded", 0 },
    { 498, ERROR("capacity_exceeded"), NULL, NULL, false, OUTCOME_RETRYABLE,
      "capacity_exceeded", "M", 0 },
    { 503, NUMBERED("503", "Loading model"), NULL, NULL, false,
      OUTCOME_RETRYABLE, "t", "Loading model", 0 },
    { 503, "{\"error\":\"server busy, please try again.  maximum pending "
      "requests exceeded\"}", NULL, NULL, false, OUTCOME_RETRYABLE,
      "http_503", NULL, 0 },
    { 400, ERROR("content_filter"), NULL, NULL, false, OUTCOME_PERMANENT,
      "content_filter", "M", 0 },
    { 500, "{\"error\":{\"code\":500,\"message\":\"M\",\"type\":"
      "\"exceed_context_size_error\"}}", NULL, NULL, false,
      OUTCOME_PERMANENT, "exceed_context_size_error", "M", 0 },
    { 500, SAID("the request exceeds the available context size"), NULL, NULL,
      false, OUTCOME_PERMANENT, "t", NULL, 0 },
    /* a model that is not there */
    { 404, ERROR("model_not_found"), NULL, NULL, false, OUTCOME_PERMANENT,
      "model_not_found", "M", 0 },
    { 404, ERROR("DeploymentNotFound"), NULL, NULL, false, OUTCOME_PERMANENT,
      "model_not_found", "M", 0 },
    { 404, "{\"type\":\"error\",\"error\":{\"type\":\"not_found_error\","
      "\"message\":\"model: x\"}}", NULL, NULL, false, OUTCOME_PERMANENT,
      "model_not_found", "model: x", 0 },
    { 404, "[{\"error\":{\"code\":404,\"message\":\"models/x is not found for "
      "API version v1beta\",\"status\":\"NOT_FOUND\"}}]", NULL, NULL, false,
      OUTCOME_PERMANENT, "model_not_found", NULL, 0 },
    { 404, "{\"object\":\"error\",\"message\":\"The model `x` does not exist.\","
      "\"type\":\"NotFoundError\",\"code\":404}", NULL, NULL, false,
      OUTCOME_PERMANENT, "model_not_found", NULL, 0 },
    { 404, "{\"error\":\"model \\\"x\\\" not found, try pulling it first\"}",
      NULL, NULL, false, OUTCOME_PERMANENT, "model_not_found", NULL, 0 },
    { 404, "{\"error\":\"model 'x' not found\"}", NULL, NULL, false,
      OUTCOME_PERMANENT, "model_not_found", NULL, 0 },
    { 404, ERROR("model_not_found"), "x-should-retry", "true", false,
      OUTCOME_RETRYABLE, "model_not_found", "M", 0 },
    /* and something else that is not */
    { 404, "{\"type\":\"error\",\"error\":{\"type\":\"not_found_error\","
      "\"message\":\"Not found\"}}", NULL, NULL, false, OUTCOME_PERMANENT,
      "not_found_error", "Not found", 0 },
    { 404, NUMBERED("\"404\"", "Resource not found"), NULL, NULL, false,
      OUTCOME_PERMANENT, "404", NULL, 0 },
    { 404, "{\"detail\":\"Not Found\"}", NULL, NULL, false, OUTCOME_PERMANENT,
      "http_404", "Not Found", 0 },
    { 404, "<html>The requested URL /models/x:generateContent was not found",
      NULL, NULL, false, OUTCOME_PERMANENT, "http_404", "Not Found", 0 },
    { 400, SAID("model 'x' not found"), NULL, NULL, false, OUTCOME_PERMANENT,
      "t", NULL, 0 },
    /* x-should-retry beats the table */
    { 400, "", "x-should-retry", "true", false, OUTCOME_RETRYABLE, "http_400",
      "Bad Request", 0 },
    { 503, "", "x-should-retry", "false", false, OUTCOME_PERMANENT,
      "http_503", "Service Unavailable", 0 },
    { 429, "", "x-should-retry", "false", false, OUTCOME_PERMANENT,
      "http_429", "Too Many Requests", 0 },
    /* but where the account is empty */
    { 429, ERROR("insufficient_quota"), "x-should-retry", "true", false,
      OUTCOME_STOP, "insufficient_quota", "M", 0 },
    { 401, "", "x-should-retry", "false", false, OUTCOME_STOP, "http_401",
      "Unauthorized", 0 },
};
/* clang-format on */

static void
judge(const struct reply *reply, bool is_raw, struct outcome *out)
{
    struct extract extract = { 0 };
    struct err err = { 0 };
    struct outcome_input input = {
        .reply = reply,
        .extract = &extract,
        .read_rc =
            extract_read(&extract, buf_slice(&reply->body), EXTRACT_CHAT, &err),
        .read_reason = err.msg,
        .is_raw = is_raw,
    };

    outcome_judge(&input, NOW_MS, out);
    extract_fini(&extract);
}

static void
check(const struct row *row)
{
    struct reply reply = { .end = REPLY_COMPLETE, .http_status = row->status };
    struct outcome out;

    buf_add_str(&reply.body, row->body);
    if (row->header) {
        hint_keep(&reply.headers, slice_of(row->header), slice_of(row->value));
    }
    judge(&reply, row->is_raw, &out);
    cr_expect_eq(out.class, row->class, "%d %s: got %s, want %s", row->status,
                 row->body, outcome_class_name(out.class),
                 outcome_class_name(row->class));
    cr_expect_str_eq(out.code, row->code, "%d %s: got %s, want %s", row->status,
                     row->body, out.code, row->code);
    if (row->message)
        cr_expect_str_eq(out.message, row->message, "%d: got %s, want %s",
                         row->status, out.message, row->message);
    cr_expect_eq(out.wait_ms, row->wait_ms, "%d %s: waits %lld", row->status,
                 row->body, (long long)out.wait_ms);
    cr_expect_eq(out.http_status, row->status);
    buf_fini(&reply.body);
}

Test(outcome, judges_every_status)
{
    for (size_t i = 0; i < COUNT(rows); i++)
        check(&rows[i]);
}

Test(outcome, judges_every_way_to_end_without_a_reply)
{
    static const struct {
        enum reply_end end;
        enum outcome_class class, sent_class;
        const char *code;
    } ends[] = {
        { REPLY_TIMEOUT, OUTCOME_RETRYABLE, OUTCOME_UNCERTAIN, "timeout" },
        { REPLY_UNRESOLVED, OUTCOME_RETRYABLE, OUTCOME_RETRYABLE,
          "name_not_resolved" },
        { REPLY_UNCONNECTED, OUTCOME_RETRYABLE, OUTCOME_RETRYABLE,
          "connect_failed" },
        { REPLY_CUT, OUTCOME_RETRYABLE, OUTCOME_UNCERTAIN, "connection_lost" },
        { REPLY_GARBLED, OUTCOME_RETRYABLE, OUTCOME_UNCERTAIN,
          "malformed_reply" },
        { REPLY_TLS, OUTCOME_RETRYABLE, OUTCOME_UNCERTAIN, "tls_failed" },
        { REPLY_UNTRUSTED, OUTCOME_PERMANENT, OUTCOME_PERMANENT,
          "tls_untrusted" },
        { REPLY_TOO_LARGE, OUTCOME_PERMANENT, OUTCOME_PERMANENT,
          "reply_too_large" },
        { REPLY_BAD_URL, OUTCOME_PERMANENT, OUTCOME_PERMANENT, "bad_url" },
        { REPLY_BROKEN, OUTCOME_RETRYABLE, OUTCOME_UNCERTAIN, "call_failed" },
        { REPLY_ABORTED, OUTCOME_ABORTED, OUTCOME_ABORTED, "aborted" },
    };

    cr_assert_eq(COUNT(ends), REPLY_END_COUNT - 1);
    for (size_t i = 0; i < 2 * COUNT(ends); i++) {
        bool is_sent = i >= COUNT(ends);
        size_t at = i % COUNT(ends);
        struct reply reply = { .end = ends[at].end,
                               .http_status = 200,
                               .is_sent = is_sent };
        struct outcome out;

        judge(&reply, false, &out);
        cr_expect_eq(out.class, is_sent ? ends[at].sent_class : ends[at].class,
                     "%s, sent %d", ends[at].code, is_sent);
        cr_expect_str_eq(out.code, ends[at].code);
        cr_expect_neq(out.message[0], '\0');
        cr_expect_eq(out.http_status, 0, "%s", ends[at].code);
    }
}

Test(outcome, takes_an_error_for_what_its_status_says_if_the_body_is_cut)
{
    static const struct {
        enum reply_end end;
        int status;
        enum outcome_class class;
    } cuts[] = {
        { REPLY_CUT, 401, OUTCOME_STOP },
        { REPLY_TIMEOUT, 404, OUTCOME_PERMANENT },
        { REPLY_TOO_LARGE, 500, OUTCOME_RETRYABLE },
        { REPLY_ABORTED, 404, OUTCOME_ABORTED },
    };

    for (size_t i = 0; i < COUNT(cuts); i++) {
        struct reply reply = { .end = cuts[i].end,
                               .http_status = cuts[i].status };
        struct outcome out;

        buf_add_str(&reply.body, "{\"error\":{\"mess");
        judge(&reply, false, &out);
        cr_expect_eq(out.class, cuts[i].class, "%d", cuts[i].status);
        buf_fini(&reply.body);
    }
}

Test(outcome, does_not_pay_twice_for_a_reply_of_too_many_tokens)
{
    struct reply reply = { .end = REPLY_COMPLETE, .http_status = 200 };
    struct outcome out;

    buf_add_str(&reply.body, "{\"data\":[0");
    for (int i = 0; i < JSON_TOKEN_MAX; i++)
        buf_add_str(&reply.body, ",0");
    buf_add_str(&reply.body, "]}");
    judge(&reply, true, &out);
    cr_expect_eq(out.class, OUTCOME_PERMANENT);
    cr_expect_str_eq(out.code, "reply_too_large");
    buf_fini(&reply.body);
}
