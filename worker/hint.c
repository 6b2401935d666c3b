/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* memmem */
#include "worker/hint.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "worker/delay.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* The headers of rate limits: how much a limit allows, how much of it is left,
 * and when it is whole again. With enough left, it is not the one that stopped
 * us. Of those that count the same, the first that are there are reported. */
static const struct limit_row {
    const char *limit, *remaining, *reset;
    bool is_tokens;
} limit_rows[] = {
    { "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests",
      "x-ratelimit-reset-requests", false },
    { "x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens",
      "x-ratelimit-reset-tokens", true },
    { "anthropic-ratelimit-requests-limit",
      "anthropic-ratelimit-requests-remaining",
      "anthropic-ratelimit-requests-reset", false },
    { "anthropic-ratelimit-tokens-limit",
      "anthropic-ratelimit-tokens-remaining",
      "anthropic-ratelimit-tokens-reset", true },
    { "anthropic-ratelimit-input-tokens-limit",
      "anthropic-ratelimit-input-tokens-remaining",
      "anthropic-ratelimit-input-tokens-reset", true },
    { "anthropic-ratelimit-output-tokens-limit",
      "anthropic-ratelimit-output-tokens-remaining",
      "anthropic-ratelimit-output-tokens-reset", true },
    { "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset",
      false },
    { "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", false },
};

static const char *const in_ms[] = { "retry-after-ms", "x-ms-retry-after-ms" };
static const char in_seconds[] = "retry-after";
static const char in_details[] = "error.details.retryDelay";
static const char in_message[] = "error.message";
static const char should_retry[] = "x-should-retry";

static bool
is_of_interest(const char *name)
{
    for (size_t i = 0; i < COUNT(limit_rows); i++) {
        if (strcmp(name, limit_rows[i].reset) == 0 ||
            strcmp(name, limit_rows[i].remaining) == 0 ||
            strcmp(name, limit_rows[i].limit) == 0) {
            return true;
        }
    }
    return strcmp(name, in_ms[0]) == 0 || strcmp(name, in_ms[1]) == 0 ||
           strcmp(name, in_seconds) == 0 || strcmp(name, should_retry) == 0;
}

void
hint_keep(struct hint_headers *headers, struct slice name, struct slice value)
{
    struct hint_header *header;

    if (headers->count == HINT_COUNT_MAX || name.bytes > HINT_NAME_BYTES_MAX)
        return;
    header = &headers->items[headers->count];
    for (size_t i = 0; i < name.bytes; i++)
        header->name[i] = (char)tolower((unsigned char)name.data[i]);
    header->name[name.bytes] = '\0';
    if (!is_of_interest(header->name) || hint_get(headers, header->name))
        return;
    value = text_trim(value); /* only now: it asks ICU about each character */
    if (value.bytes > HINT_VALUE_BYTES_MAX)
        return;
    if (value.bytes)
        memcpy(header->value, value.data, value.bytes);
    header->value[value.bytes] = '\0';
    headers->count++;
}

const char *
hint_get(const struct hint_headers *headers, const char *name)
{
    for (size_t i = 0; i < headers->count; i++) {
        if (strcmp(headers->items[i].name, name) == 0)
            return headers->items[i].value;
    }
    return NULL;
}

int
hint_should_retry(const struct hint_headers *headers)
{
    const char *value = hint_get(headers, should_retry);

    if (value && strcasecmp(value, "true") == 0)
        return 1;
    return value && strcasecmp(value, "false") == 0 ? 0 : -1;
}

static int64_t
from_ms_header(const struct hint_headers *headers, const char **source)
{
    for (size_t i = 0; i < COUNT(in_ms); i++) {
        const char *value = hint_get(headers, in_ms[i]);
        int64_t wait_ms = value ? delay_parse_ms(value) : DELAY_NONE;

        if (wait_ms != DELAY_NONE) {
            *source = in_ms[i];
            return wait_ms;
        }
    }
    return DELAY_NONE;
}

/* The array of an error's details; JSON_NONE if it has none. */
static size_t
find_details(const struct json_doc *doc)
{
    size_t root = 0, at;

    if (!doc || doc->count == 0)
        return JSON_NONE;
    if (doc->tokens[0].type == JSON_ARRAY)
        root = json_element(doc, 0, 0);
    if (root == JSON_NONE)
        return JSON_NONE;
    at = json_path(doc, root, "error.details");
    return at != JSON_NONE && doc->tokens[at].type == JSON_ARRAY ? at
                                                                 : JSON_NONE;
}

/* True if the detail's type, a URL, ends so. */
static bool
is_detail(const struct json_doc *doc, size_t at, const char *type)
{
    size_t name = json_member(doc, at, "@type");
    struct slice inner;

    if (name == JSON_NONE || doc->tokens[name].type != JSON_STRING)
        return false;
    inner = json_inner(doc, name);
    return inner.bytes >= strlen(type) &&
           memcmp(inner.data + inner.bytes - strlen(type), type,
                  strlen(type)) == 0;
}

static int64_t
from_body(const struct json_doc *doc)
{
    size_t details = find_details(doc);
    int64_t wait_ms = DELAY_NONE;

    if (details == JSON_NONE)
        return DELAY_NONE;
    for (size_t at = details + 1; at < doc->tokens[details].next;
         at = doc->tokens[at].next) {
        size_t delay = json_member(doc, at, "retryDelay");
        struct buf text = { 0 };

        if (delay == JSON_NONE || doc->tokens[delay].type != JSON_STRING ||
            !is_detail(doc, at, "google.rpc.RetryInfo")) {
            continue;
        }
        json_decode(doc, delay, &text);
        if (text.bytes)
            wait_ms = delay_parse_duration(text.data);
        buf_fini(&text);
        if (wait_ms != DELAY_NONE)
            break;
    }
    return wait_ms;
}

static bool
is_daily_violation(const struct json_doc *doc, size_t at)
{
    size_t id = json_member(doc, at, "quotaId");
    struct slice inner;

    if (id == JSON_NONE || doc->tokens[id].type != JSON_STRING)
        return false;
    inner = json_inner(doc, id);
    return memmem(inner.data, inner.bytes, "PerDay", strlen("PerDay"));
}

bool
hint_is_daily(const struct json_doc *doc)
{
    size_t details = find_details(doc);

    if (details == JSON_NONE)
        return false;
    for (size_t at = details + 1; at < doc->tokens[details].next;
         at = doc->tokens[at].next) {
        size_t list = json_member(doc, at, "violations");

        if (list == JSON_NONE || doc->tokens[list].type != JSON_ARRAY ||
            !is_detail(doc, at, "google.rpc.QuotaFailure")) {
            continue;
        }
        for (size_t i = list + 1; i < doc->tokens[list].next;
             i = doc->tokens[i].next) {
            if (is_daily_violation(doc, i))
                return true;
        }
    }
    return false;
}

/* A whole number, perhaps with a fraction or more behind it; HINT_UNKNOWN if
 * there is none. */
static int64_t
read_count(const struct hint_headers *headers, const char *name)
{
    const char *value = hint_get(headers, name);
    char *end = NULL;
    long long count;

    if (!value || !isdigit((unsigned char)*value))
        return HINT_UNKNOWN;
    errno = 0;
    count = strtoll(value, &end, 10);
    return errno == 0 && count <= HINT_AMOUNT_MAX ? count : HINT_UNKNOWN;
}

/* True if enough of this limit is left for the call: it did not stop us. */
static bool
is_left(const struct hint_headers *headers, const struct limit_row *row,
        int64_t tokens_wanted)
{
    int64_t left = read_count(headers, row->remaining);

    return left > 0 && (!row->is_tokens || left >= tokens_wanted);
}

static int64_t
from_resets(const struct hint_reply *reply, int64_t now_ms, const char **source)
{
    int64_t longest_ms = DELAY_NONE;

    for (size_t i = 0; i < COUNT(limit_rows); i++) {
        const char *value = hint_get(reply->headers, limit_rows[i].reset);
        int64_t wait_ms;

        if (!value ||
            is_left(reply->headers, &limit_rows[i], reply->tokens_wanted)) {
            continue;
        }
        wait_ms = delay_parse(value, now_ms);
        if (wait_ms > longest_ms) {
            longest_ms = wait_ms;
            *source = limit_rows[i].reset;
        }
    }
    return longest_ms;
}

int64_t
hint_wait_ms(const struct hint_reply *reply, bool only_explicit, int64_t now_ms,
             const char **source)
{
    const char *value = hint_get(reply->headers, in_seconds);
    int64_t wait_ms = from_ms_header(reply->headers, source);

    if (wait_ms != DELAY_NONE)
        return wait_ms;
    *source = in_seconds;
    wait_ms = value ? delay_parse(value, now_ms) : DELAY_NONE;
    if (wait_ms != DELAY_NONE)
        return wait_ms;
    *source = in_details;
    wait_ms = from_body(reply->doc);
    if (wait_ms != DELAY_NONE)
        return wait_ms;
    *source = "";
    if (only_explicit)
        return DELAY_NONE;
    wait_ms = from_resets(reply, now_ms, source);
    if (wait_ms != DELAY_NONE)
        return wait_ms;
    wait_ms = delay_find(reply->message);
    *source = wait_ms != DELAY_NONE ? in_message : "";
    return wait_ms;
}

static bool
is_known(const struct hint_limit *limit)
{
    return limit->limit != HINT_UNKNOWN || limit->remaining != HINT_UNKNOWN ||
           limit->reset_ms != HINT_UNKNOWN;
}

bool
hint_limits(const struct hint_headers *headers, int64_t now_ms,
            struct hint_limits *limits)
{
    const struct hint_limit unknown = { HINT_UNKNOWN, HINT_UNKNOWN,
                                        HINT_UNKNOWN };

    *limits = (struct hint_limits){ unknown, unknown };
    for (size_t i = 0; headers->count > 0 && i < COUNT(limit_rows); i++) {
        const struct limit_row *row = &limit_rows[i];
        struct hint_limit *limit =
            row->is_tokens ? &limits->tokens : &limits->requests;
        const char *reset = hint_get(headers, row->reset);

        if (is_known(limit))
            continue;
        limit->limit = read_count(headers, row->limit);
        limit->remaining = read_count(headers, row->remaining);
        if (reset)
            limit->reset_ms = delay_parse(reset, now_ms);
    }
    return is_known(&limits->requests) || is_known(&limits->tokens);
}
