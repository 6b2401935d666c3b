/* SPDX-License-Identifier: MIT */
#include "submit/explanation.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "submit/output.h"

#define SECOND_MS    INT64_C(1000)
#define MINUTE_MS    (60 * SECOND_MS)
#define HOUR_MS      (60 * MINUTE_MS)
#define DAY_MS       (24 * HOUR_MS)
#define NAME_WIDTH   "%-12s"
#define ROW          "%7s  %-24s  %-17s  %4s  %9s  %9s  %-16s  "
#define NUMBER_BYTES 32
#define COUNT_MAX    1000 /* the broker counts no further */
#define COOLDOWN     "cooldown"
#define STOP         "stop" /* a cooldown whose end is not known */

/* What waits are called in a sentence, by their names in PROTOCOL.md. */
static const struct {
    const char *name, *sentence, *until;
} waits[] = {
    { "sweep", "waits for the broker to get to it", "until" },
    { "seal", "waits for its batch to be sealed", "until" },
    { "pause", "waits for its batch to be resumed", "until" },
    { "schedule", "waits for the start of its batch", "at" },
    { "window", "waits for the window of its batch", "until" },
    { "backoff", "waits for its backoff", "until" },
    { "server", "waits as its upstream asked it to", "until" },
    { "group", "waits for others of its group", "until" },
    { COOLDOWN, "waits for the cooldown of its upstream", "until" },
    { STOP, "waits for its upstream", "until" },
    { "breaker", "waits for an upstream that failed too often", "until" },
    { "pace", "waits for its turn at its upstream", "until" },
    { "lane", "waits for a call to its upstream to end", NULL },
    { "alone", "waits for a worker that is free of all else", "until" },
    { "room", "waits for room in the store", "until" },
    { "drain", "waits for a broker that is not shutting down", "until" },
    { "worker", "waits for a worker to connect", "until" },
    { "slot", "waits for a slot", "until" },
    { "lease", "is at a worker, not started as far as is known",
      "with a lease until" },
    { "answer", "waits for the answer", "with a lease until" },
};

/* What went into the key, part for part: the names in JSON and for people. */
static const struct {
    const char *name, *title;
} parts[] = {
    { "template", "template" },   { "upstream", "upstream" },
    { "base_url", "base URL" },   { "path", "path" },
    { "sample_index", "sample" }, { "kind", "kind" },
    { "body", "body" },
};
#define PART_COUNT (sizeof(parts) / sizeof(parts[0]))

/* ---- reading ---- */

static const cJSON *
member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* A text, "" if it is null. */
static const char *
text_at(const cJSON *object, const char *name)
{
    const cJSON *item = member(object, name);

    return cJSON_IsString(item) ? item->valuestring : "";
}

/* A number, -1 if it is null. */
static int64_t
number_at(const cJSON *object, const char *name)
{
    const cJSON *item = member(object, name);

    return cJSON_IsNumber(item) ? (int64_t)item->valuedouble : -1;
}

static bool
is_true(const cJSON *object, const char *name)
{
    return cJSON_IsTrue(member(object, name));
}

/* ---- writing ---- */

static void
add_escaped(struct buf *out, const char *text)
{
    output_escape_line(slice_of(text), out);
}

static void
add_length(struct buf *out, int64_t ms)
{
    if (ms < SECOND_MS)
        buf_addf(out, "%lld ms", (long long)ms);
    else if (ms < MINUTE_MS)
        buf_addf(out, "%.3g s", (double)ms / (double)SECOND_MS);
    else if (ms < HOUR_MS)
        buf_addf(out, "%lld min %lld s", (long long)(ms / MINUTE_MS),
                 (long long)(ms % MINUTE_MS / SECOND_MS));
    else if (ms < DAY_MS)
        buf_addf(out, "%lld h %lld min", (long long)(ms / HOUR_MS),
                 (long long)(ms % HOUR_MS / MINUTE_MS));
    else
        buf_addf(out, "%lld d %lld h", (long long)(ms / DAY_MS),
                 (long long)(ms % DAY_MS / HOUR_MS));
}

/* "12:03:07Z (in 8 s)"; with its day if that is not near. */
static void
add_until(struct buf *out, int64_t until_ms, int64_t now_ms)
{
    int64_t left_ms = until_ms - now_ms;
    char text[CLOCK_TEXT_BYTES];

    /* Up to the next second, so that it is over when it seems so. */
    clock_text((until_ms + SECOND_MS - 1) / SECOND_MS * SECOND_MS, text);
    memcpy(text + strlen("2026-01-31T12:03:07"), "Z", 2);
    buf_add_str(out, left_ms < DAY_MS ? text + strlen("2026-01-31T") : text);
    if (left_ms <= 0) {
        buf_add_str(out, " (now)");
        return;
    }
    buf_add_str(out, " (in ");
    if (left_ms < MINUTE_MS)
        buf_addf(out, "%lld s",
                 (long long)((left_ms + SECOND_MS - 1) / SECOND_MS));
    else
        add_length(out, left_ms);
    buf_add_char(out, ')');
}

static void
add_wait(struct buf *out, const cJSON *wait, int64_t now_ms)
{
    const char *name = text_at(wait, "for"), *detail = text_at(wait, "detail");
    int64_t until_ms = number_at(wait, "until");
    const char *until = "until";
    bool is_known = false;

    if (until_ms < 0 && strcmp(name, COOLDOWN) == 0)
        name = STOP;
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        if (strcmp(waits[i].name, name) == 0) {
            buf_add_str(out, waits[i].sentence);
            until = waits[i].until;
            is_known = true;
        }
    }
    /* A newer broker may know of more. */
    if (!is_known) {
        buf_add_str(out, "waits for ");
        add_escaped(out, name);
    }
    if (until_ms >= 0) {
        buf_addf(out, " %s ", until);
        add_until(out, until_ms, now_ms);
    }
    if (*detail) {
        buf_add_str(out, ", ");
        add_escaped(out, detail);
    }
}

static void
add_name(struct buf *out, const cJSON *head)
{
    const char *id = text_at(head, "custom_id");

    if (*id)
        add_escaped(out, id);
    else
        buf_addf(out, "draft %lld", (long long)number_at(head, "index"));
}

static void
add_refusal(struct buf *out, const cJSON *refusal)
{
    const char *field = text_at(refusal, "field");

    buf_add_str(out, " was refused: ");
    if (*field) {
        add_escaped(out, field);
        buf_add_str(out, ": ");
    }
    add_escaped(out, text_at(refusal, "message"));
}

static void
add_done(struct buf *out, const cJSON *head)
{
    const char *status = text_at(member(head, "result"), "status");
    const char *cache = text_at(head, "cache");
    int64_t attempts = number_at(member(head, "request"), "attempts");

    buf_addf(out, "%s%s",
             strcmp(status, "ok") == 0 ? " is done: " : " ended: ", status);
    if (strcmp(cache, "memory") == 0 || strcmp(cache, "store") == 0)
        buf_add_str(out, ", served by an answer that was there");
    else if (attempts > 0)
        buf_addf(out, ", after %lld attempt%s", (long long)attempts,
                 attempts == 1 ? "" : "s");
}

/* The answer in a sentence, and what else is in the way below it. */
static void
add_sentence(struct buf *out, const cJSON *head)
{
    const cJSON *list = member(head, "waits"), *wait;
    const char *through = text_at(head, "through");
    int64_t now_ms = number_at(head, "now");
    bool is_first = true;

    add_name(out, head);
    if (strcmp(text_at(head, "state"), "refused") == 0)
        add_refusal(out, member(head, "refusal"));
    else if (strcmp(text_at(head, "state"), "done") == 0)
        add_done(out, head);
    cJSON_ArrayForEach(wait, list)
    {
        bool is_behind = strcmp(text_at(head, "state"), "done") == 0;

        buf_add_str(out, is_behind || !is_first ? "\n  and " : " ");
        add_wait(out, wait, now_ms);
        is_first = false;
    }
    buf_add_char(out, '\n');
    if (*through)
        buf_addf(out, "  with batch %s, which needs the same request\n",
                 through);
    if (cJSON_IsObject(member(head, "result")) &&
        strcmp(text_at(head, "state"), "done") != 0) {
        buf_addf(out, "  its result so far: %s\n",
                 text_at(member(head, "result"), "status"));
    }
}

/* ---- attempts ---- */

static const char *
number_text(int64_t number, char text[NUMBER_BYTES])
{
    if (number < 0 ||
        snprintf(text, NUMBER_BYTES, "%lld", (long long)number) < 0)
        text[0] = '\0';
    return text;
}

static const char *
length_text(int64_t ms, char text[NUMBER_BYTES])
{
    struct buf out = { 0 };

    text[0] = '\0';
    if (ms >= 0) {
        add_length(&out, ms);
        if (snprintf(text, NUMBER_BYTES, "%s", out.data) < 0)
            text[0] = '\0';
    }
    buf_fini(&out);
    return text;
}

static void
add_attempt(struct buf *out, const cJSON *attempt)
{
    char n[NUMBER_BYTES], http[NUMBER_BYTES], took[NUMBER_BYTES];
    char wait[NUMBER_BYTES], ended[CLOCK_TEXT_BYTES];
    int64_t ended_ms = number_at(attempt, "ended_at");
    int64_t wait_ms = number_at(attempt, "wait_ms");
    const char *status = text_at(attempt, "status");
    const char *code = text_at(attempt, "code");
    struct buf from = { 0 };

    clock_text(ended_ms > 0 ? ended_ms : 0, ended);
    add_escaped(&from, text_at(attempt, "wait_from"));
    buf_addf(out, ROW, number_text(number_at(attempt, "n"), n), ended,
             *status ? status : text_at(attempt, "class"),
             number_text(number_at(attempt, "http_status"), http),
             length_text(number_at(attempt, "latency_ms"), took),
             length_text(wait_ms > 0 ? wait_ms : -1, wait),
             from.bytes ? from.data : "");
    add_escaped(out, text_at(attempt, "worker"));
    buf_add_str(out, *code ? ", " : "");
    add_escaped(out, code);
    buf_add_char(out, '\n');
    buf_fini(&from);
}

static void
add_attempts(struct buf *out, const cJSON *head)
{
    const cJSON *list = member(head, "attempts"), *attempt;
    int64_t total = number_at(head, "attempts_total");
    int64_t shown = cJSON_GetArraySize(list);

    if (shown == 0)
        return;
    buf_addf(out, "\n" ROW "%s\n", "ATTEMPT", "ENDED", "STATUS", "HTTP", "TOOK",
             "WAIT", "WAIT FROM", "WORKER, CODE");
    if (total > shown)
        buf_addf(out, "%7s  %lld earlier\n", "...", (long long)(total - shown));
    cJSON_ArrayForEach(attempt, list)
    {
        add_attempt(out, attempt);
    }
}

/* ---- the request ---- */

static void
add_source(struct buf *out, const cJSON *head, const cJSON *request)
{
    const cJSON *source = member(request, "source");
    int64_t drafts = number_at(request, "drafts");
    const char *batch = text_at(source, "batch");
    const char *id = text_at(source, "custom_id");

    buf_addf(out, NAME_WIDTH, "made for");
    if (!cJSON_IsObject(source)) {
        buf_add_str(out, "a draft that is gone");
    } else if (strcmp(batch, text_at(head, "batch")) == 0 &&
               number_at(source, "index") == number_at(head, "index")) {
        buf_add_str(out, "this draft");
    } else {
        if (*id)
            add_escaped(out, id);
        else
            buf_addf(out, "draft %lld", (long long)number_at(source, "index"));
        buf_addf(out, " of batch %s", *batch ? batch : "unknown");
    }
    if (drafts > 1) {
        buf_addf(out, "; shared by %lld%s drafts", (long long)drafts,
                 drafts >= COUNT_MAX ? " or more" : "");
    }
    buf_add_char(out, '\n');
}

static void
add_request(struct buf *out, const cJSON *head)
{
    const cJSON *request = member(head, "request");
    const cJSON *lease = member(request, "lease");

    if (!cJSON_IsObject(request))
        return;
    buf_addf(out, "\n" NAME_WIDTH "%lld, %s, upstream ", "request",
             (long long)number_at(request, "id"), text_at(request, "state"));
    add_escaped(out, text_at(request, "upstream"));
    buf_addf(out, ", fence %lld, group %lld\n",
             (long long)number_at(request, "fence"),
             (long long)number_at(request, "group"));
    add_source(out, head, request);
    buf_addf(out,
             NAME_WIDTH "%lld; %lld of %lld failures, %lld of %lld throttled, "
                        "%lld uncertain, %lld lost\n",
             "attempts", (long long)number_at(request, "attempts"),
             (long long)number_at(request, "failures"),
             (long long)number_at(request, "failures_max"),
             (long long)number_at(request, "throttled"),
             (long long)number_at(request, "throttled_max"),
             (long long)number_at(request, "uncertain"),
             (long long)number_at(request, "lost"));
    if (cJSON_IsObject(lease)) {
        char since[CLOCK_TEXT_BYTES];

        clock_text(number_at(lease, "granted_at"), since);
        buf_addf(out, NAME_WIDTH, "leased to");
        add_escaped(out, text_at(lease, "worker"));
        buf_addf(out, " since %s, %s%s\n", since,
                 is_true(lease, "started") ? "started" : "not started",
                 is_true(lease, "online") ? "" : ", not connected");
    }
    buf_addf(out, NAME_WIDTH "%s\n", "key", text_at(request, "key"));
}

/* ---- the key ---- */

/* Takes the next part off what was digested. False at the end. */
static bool
next_part(struct slice *rest, struct slice *part)
{
    const char *end =
        rest->bytes ? memchr(rest->data, '\0', rest->bytes) : NULL;

    if (!end)
        return false;
    *part = (struct slice){ rest->data, (size_t)(end - rest->data) };
    rest->data += part->bytes + 1;
    rest->bytes -= part->bytes + 1;
    return true;
}

/* A text, or its beginning and its end: requests of a group begin alike. */
static void
add_shortened(struct buf *out, struct slice text)
{
    struct slice start = utf8_cut(text, EXPLANATION_TEXT_MAX / 2);
    size_t at = text.bytes - EXPLANATION_TEXT_MAX / 2;

    if (text.bytes <= EXPLANATION_TEXT_MAX) {
        output_escape_line(text, out);
        return;
    }
    while (at < text.bytes && (text.data[at] & 0xC0) == 0x80)
        at++;
    output_escape_line(start, out);
    buf_add_str(out, " … ");
    output_escape_line((struct slice){ text.data + at, text.bytes - at }, out);
    buf_addf(out, " (%zu bytes)", text.bytes);
}

static void
add_digested(struct buf *out, const struct wire *reply)
{
    const char *reason = text_at(reply->head, "unrendered");
    struct slice rest = reply->body, part;

    for (size_t i = 0; i < PART_COUNT && next_part(&rest, &part); i++) {
        if (part.bytes == 0)
            continue;
        buf_addf(out, NAME_WIDTH, parts[i].title);
        add_shortened(out, part);
        buf_add_char(out, '\n');
    }
    if (reply->body.bytes == 0 && *reason &&
        cJSON_IsObject(member(reply->head, "request"))) {
        buf_addf(out, NAME_WIDTH, "not shown");
        add_escaped(out, reason);
        buf_add_char(out, '\n');
    }
}

int
explanation_add(const struct wire *reply, struct buf *out, struct err *err)
{
    if (strcmp(wire_verb(reply), "why") != 0 ||
        !*text_at(reply->head, "state")) {
        return err_set(err, E_PROTOCOL, "the answer explains nothing");
    }
    add_sentence(out, reply->head);
    add_attempts(out, reply->head);
    add_request(out, reply->head);
    add_digested(out, reply);
    return 0;
}

void
explanation_digested(cJSON *object, const char *name, struct slice body)
{
    struct slice rest = body, part;
    cJSON *digested;

    if (body.bytes == 0) {
        wire_add_null(object, name);
        return;
    }
    digested = wire_add_object(object, name);
    for (size_t i = 0; i < PART_COUNT && next_part(&rest, &part); i++) {
        if (part.bytes)
            wire_add_slice(digested, parts[i].name, part);
        else
            wire_add_null(digested, parts[i].name);
    }
}
