/* SPDX-License-Identifier: MIT */
#include "submit/http_complete.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "submit/http_gateway.h"

#define PRIORITY     3     /* the most urgent */
#define WAIT_MS      60000 /* of one message; the broker takes no longer ones */
#define LATE_MS      1000  /* an answer may come so much behind a wait */
#define BATCH_BYTES  37
#define NUMBER_BYTES 24
#define BODY_PREFIX  "body."

struct completion {
    struct gateway *gateway;        /* borrowed */
    struct http_request *request;   /* NULL: nobody waits any more */
    struct http_question *question; /* the last one */
    struct http_question *before;   /* the chunk's, while the seal's is last */
    char batch[BATCH_BYTES];        /* empty: it is not open yet */
    struct buf line;
    struct http_error error; /* why the draft was refused; status 0: was not */
    int64_t until_ms;
    int64_t seq;   /* of the result that is being read */
    int64_t bytes; /* of its reply */
    bool is_read;  /* a source reads further pages */
};

static void
completion_free(struct completion *completion)
{
    struct http_broker *broker = completion->gateway->broker;

    if (completion->question)
        http_broker_forget(broker, completion->question);
    if (completion->before)
        http_broker_forget(broker, completion->before);
    buf_fini(&completion->line);
    free(completion);
}

/* Says something about the batch whose answer matters to nobody. */
static void
tell(struct completion *completion, const char *verb)
{
    struct gateway *gateway = completion->gateway;
    struct http_ask ask = { .head = wire_new(verb) };

    wire_add_str(ask.head, "batch", completion->batch);
    (void)http_broker_ask(gateway->broker, &ask, gateway->now_ms, NULL);
}

/* What is said later with the batch's answer. False: it cannot be asked. */
static bool
ask(struct completion *completion, struct http_ask *ask, struct err *err)
{
    struct gateway *gateway = completion->gateway;

    if (*completion->batch)
        wire_add_str(ask->head, "batch", completion->batch);
    ask->arg = completion;
    completion->question =
        http_broker_ask(gateway->broker, ask, gateway->now_ms, err);
    return completion->question != NULL;
}

/* Ends it with an error. What was not sent stays where it is: an open batch is
 * dropped by the broker in time, one that runs goes on for whoever asks again. */
static void
fail(struct completion *completion, const struct http_error *error)
{
    if (completion->request)
        http_reply_error(completion->request, error);
    completion_free(completion);
}

static void
fail_by(struct completion *completion, const struct err *err)
{
    struct http_error error;

    http_error_of(&error, err);
    fail(completion, &error);
}

static void
on_cancelled(void *arg, const struct wire *wire, const struct err *err)
{
    struct completion *completion = arg;

    (void)wire;
    (void)err;
    completion->question = NULL;
    tell(completion, "purge");
    completion_free(completion);
}

/* Nobody wants the answer: unless others do, it is not paid for. The purge comes
 * when the cancel is through, or the worker would not hear of that. A gateway
 * that has to go cancels nothing: its clients ask the next one. */
static void
drop(struct completion *completion)
{
    struct http_ask cancel = { .answer = on_cancelled };

    completion->request = NULL;
    if (completion->question)
        http_broker_forget(completion->gateway->broker, completion->question);
    completion->question = NULL;
    if (!completion->gateway->is_draining) {
        cancel.head = wire_new("cancel");
        if (ask(completion, &cancel, NULL))
            return;
    }
    completion_free(completion);
}

static void
on_gone(void *arg)
{
    struct completion *completion = arg;

    completion->request = NULL;
    /* Of a batch that is being opened the name is not known yet. */
    if (*completion->batch)
        drop(completion);
}

/* ---- the reply ---- */

static void
add_fields(struct completion *completion, const struct wire *wire)
{
    struct http_request *request = completion->request;
    const char *text;
    char number[NUMBER_BYTES];
    int64_t attempts;

    if (wire_str(wire, "cache", SIZE_MAX, "none", &text, NULL) == 0)
        http_reply_field(request, "x-sheaf-cache", text);
    if (wire_str(wire, "upstream", SIZE_MAX, "", &text, NULL) == 0 && *text)
        http_reply_field(request, "x-sheaf-upstream", text);
    if (wire_str(wire, "status", SIZE_MAX, "", &text, NULL) == 0 && *text)
        http_reply_field(request, "x-sheaf-status", text);
    if (wire_int(wire, "attempts", wire_range_or(0, WIRE_INT_MAX, 0), &attempts,
                 NULL) == 0) {
        (void)snprintf(number, sizeof(number), "%lld", (long long)attempts);
        http_reply_field(request, "x-sheaf-attempts", number);
    }
}

/* True if a body is an error object that SDKs understand. */
static bool
is_error_object(struct slice body)
{
    struct json_doc doc = { 0 };
    size_t error;
    bool is_object = false;

    if (body.bytes &&
        json_parse(&doc, body.data, body.bytes, JSON_REPLY, NULL) == 0) {
        error = json_member(&doc, 0, "error");
        is_object = error != JSON_NONE && doc.tokens[error].type == JSON_OBJECT;
    }
    json_fini(&doc);
    return is_object;
}

/* The queue has tried again as often as helps: SDKs need not. */
static void
reply_failure(struct completion *completion, const struct wire *wire,
              const char *status, int64_t http_status)
{
    struct http_request *request = completion->request;
    const char *code, *message;
    struct http_error error;

    if (wire_str(wire, "code", SIZE_MAX, "", &code, NULL) < 0)
        code = "";
    if (wire_str(wire, "message", SIZE_MAX, "", &message, NULL) < 0)
        message = "";
    http_error_set(&error, http_complete_status(status, http_status, code),
                   *code ? code : status, "%s",
                   *message ? message : "the upstream gave no answer");
    error.is_worth_retry = false;
    error.retry_after_s = 0;
    if (http_status >= 400 && is_error_object(wire->body)) {
        http_reply_field(request, "x-should-retry", "false");
        http_reply(request, error.status, HTTP_JSON, wire->body);
    } else {
        http_reply_error(request, &error);
    }
}

static void
on_page(void *arg, const struct wire *wire, const struct err *err)
{
    struct completion *completion = arg;
    struct http_request *request = completion->request;
    int64_t seq = 0;

    (void)err;
    completion->question = NULL;
    if (!wire || wire->body.bytes == 0 ||
        wire_int(wire, "seq", wire_range(0, WIRE_INT_MAX), &seq, NULL) < 0 ||
        seq != completion->seq) {
        http_feed_fail(request);
        return;
    }
    http_feed(request, wire->body);
}

static void
pull(void *arg, struct http_request *request, int64_t at)
{
    struct completion *completion = arg;
    struct http_ask page = { .head = wire_new("reply"), .answer = on_page };

    if (at >= completion->bytes) {
        cJSON_Delete(page.head);
        http_feed_end(request);
        return;
    }
    completion->request = request;
    wire_add_int(page.head, "index", 0);
    wire_add_int(page.head, "at", at);
    if (!ask(completion, &page, NULL))
        http_feed_fail(request);
}

static void
close_source(void *arg)
{
    struct completion *completion = arg;

    tell(completion, "purge");
    completion_free(completion);
}

/* A reply that is longer than a page: the first one is asked for again, when the
 * client takes it. */
static void
reply_pages(struct completion *completion)
{
    struct http_source source = { .bytes = completion->bytes,
                                  .pull = pull,
                                  .close = close_source,
                                  .arg = completion };

    http_on_gone(completion->request, NULL, NULL);
    http_reply_source(completion->request, 200, HTTP_JSON, &source);
}

static void
on_reply(void *arg, const struct wire *wire, const struct err *err)
{
    struct completion *completion = arg;
    struct http_request *request = completion->request;
    int64_t http_status = 0;
    struct err wrong = { 0 };
    const char *status;
    bool has_more;

    completion->question = NULL;
    if (!wire) {
        fail_by(completion, err);
        return;
    }
    if (wire_str(wire, "status", SIZE_MAX, NULL, &status, &wrong) < 0 ||
        wire_int(wire, "seq", wire_range(0, WIRE_INT_MAX), &completion->seq,
                 &wrong) < 0 ||
        wire_int(wire, "bytes", wire_range(0, WIRE_INT_MAX), &completion->bytes,
                 &wrong) < 0 ||
        wire_int(wire, "http_status", wire_range_or(0, 999, 0), &http_status,
                 &wrong) < 0 ||
        wire_bool(wire, "more", false, &has_more, &wrong) < 0) {
        fail_by(completion, &wrong);
        return;
    }
    add_fields(completion, wire);
    if (strcmp(status, "ok") == 0 && has_more) {
        reply_pages(completion);
        return;
    }
    http_on_gone(request, NULL, NULL);
    if (strcmp(status, "ok") == 0)
        http_reply(request, 200, HTTP_JSON, wire->body);
    else
        reply_failure(completion, wire, status, http_status);
    tell(completion, "purge");
    completion_free(completion);
}

/* ---- the wait ---- */

static void
fail_late(struct completion *completion)
{
    struct http_error error;

    http_error_set(&error, 504, "answer_timeout",
                   "no answer within %lld s; the request goes on, and the same "
                   "one joins it",
                   (long long)(completion->gateway->answer_ms / 1000));
    error.is_worth_retry = true;
    fail(completion, &error);
}

/* Whom it waits for has to be resumed by somebody: not soon. */
static void
fail_stalled(struct completion *completion, const cJSON *stalled)
{
    const cJSON *message = cJSON_GetObjectItemCaseSensitive(stalled, "message");
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(stalled, "code");
    struct http_error error;

    http_error_set(&error, 503,
                   cJSON_IsString(code) && *code->valuestring
                       ? code->valuestring
                       : "upstream_stopped",
                   "the upstream has said stop: %s",
                   cJSON_IsString(message) ? message->valuestring : "");
    error.is_worth_retry = false;
    error.retry_after_s = 0;
    http_reply_error(completion->request, &error);
    drop(completion);
}

static void on_status(void *arg, const struct wire *wire,
                      const struct err *err);

static void
wait_for_end(struct completion *completion)
{
    int64_t left_ms = completion->until_ms - completion->gateway->now_ms;
    struct http_ask wait = { .answer = on_status,
                             .answer_ms = left_ms + LATE_MS,
                             .is_patient = true };
    struct err err = { 0 };

    if (left_ms <= 0) {
        fail_late(completion);
        return;
    }
    wait.head = wire_new("wait");
    wire_add_int(wait.head, "timeout", left_ms < WAIT_MS ? left_ms : WAIT_MS);
    wire_add_bool(wait.head, "stalled", true);
    if (!ask(completion, &wait, &err))
        fail_by(completion, &err);
}

static void
read_reply(struct completion *completion)
{
    struct http_ask reply = { .head = wire_new("reply"),
                              .answer = on_reply,
                              .is_patient = true };
    struct err err = { 0 };

    wire_add_int(reply.head, "index", 0);
    if (!ask(completion, &reply, &err))
        fail_by(completion, &err);
}

/* The batch was ended by somebody else, or by its deadline. */
static void
fail_ended(struct completion *completion, const char *state)
{
    struct http_error error;

    http_error_set(&error, http_complete_status(state, 0, ""), state,
                   "the request was %s before it had an answer", state);
    error.is_worth_retry = false;
    tell(completion, "purge");
    fail(completion, &error);
}

static void
on_status(void *arg, const struct wire *wire, const struct err *err)
{
    struct completion *completion = arg;
    const cJSON *stalled;
    const char *state;

    completion->question = NULL;
    if (!wire && (err->code == E_TIMEOUT || err->code == E_UNREACHABLE)) {
        fail_late(completion);
        return;
    }
    if (!wire) {
        fail_by(completion, err);
        return;
    }
    stalled = wire_get(wire, "stalled");
    if (wire_str(wire, "state", SIZE_MAX, "", &state, NULL) < 0)
        state = "";
    if (strcmp(state, "finished") == 0)
        read_reply(completion);
    else if (strcmp(state, "cancelled") == 0 || strcmp(state, "expired") == 0)
        fail_ended(completion, state);
    else if (cJSON_IsObject(stalled))
        fail_stalled(completion, stalled);
    else
        wait_for_end(completion);
}

/* ---- the draft ---- */

/* The draft as a client knows it: the body. */
static void
take_refusal(struct completion *completion, const cJSON *refused)
{
    const cJSON *item = cJSON_GetArrayItem(refused, 0);
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(item, "code");
    const cJSON *field = cJSON_GetObjectItemCaseSensitive(item, "field");
    const cJSON *message = cJSON_GetObjectItemCaseSensitive(item, "message");
    struct slice param;

    if (!cJSON_IsString(code) || !cJSON_IsString(field) ||
        !cJSON_IsString(message)) {
        return;
    }
    param = slice_of(field->valuestring);
    if (strncmp(field->valuestring, BODY_PREFIX, strlen(BODY_PREFIX)) == 0)
        param = slice_of(field->valuestring + strlen(BODY_PREFIX));
    http_error_set(&completion->error,
                   strcmp(code->valuestring, "too_long") == 0 ? 413 : 400,
                   code->valuestring, "%s%s%s", field->valuestring,
                   *field->valuestring ? ": " : "", message->valuestring);
    http_error_param(&completion->error, param);
}

static void
on_stored(void *arg, const struct wire *wire, const struct err *err)
{
    struct completion *completion = arg;

    completion->before = NULL;
    buf_fini(&completion->line);
    if (wire)
        take_refusal(completion, wire_get(wire, "refused"));
    else
        http_error_of(&completion->error, err);
}

static void
on_sealed(void *arg, const struct wire *wire, const struct err *err)
{
    struct completion *completion = arg;
    const char *state;

    completion->question = NULL;
    if (completion->error.status != 0) {
        tell(completion, "abort");
        fail(completion, &completion->error);
        return;
    }
    if (!wire) {
        tell(completion, "abort");
        fail_by(completion, err);
        return;
    }
    if (wire_str(wire, "state", SIZE_MAX, "", &state, NULL) < 0)
        state = "";
    if (strcmp(state, "finished") == 0) /* the cache has answered */
        read_reply(completion);
    else
        wait_for_end(completion);
}

/* The draft and the seal travel together, and share a commit. */
static void
send_draft(struct completion *completion)
{
    struct http_ask chunk = { .head = wire_new("chunk"),
                              .body = buf_slice(&completion->line),
                              .answer = on_stored };
    struct http_ask seal = { .answer = on_sealed };
    unsigned char digest[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    struct err err = { 0 };

    digest_of(completion->line.data, completion->line.bytes, digest);
    digest_hex(digest, hex);
    wire_add_int(chunk.head, "n", 1);
    wire_add_str(chunk.head, "digest", hex);
    wire_add_bool(chunk.head, "at_once", true);
    if (!ask(completion, &chunk, &err)) {
        fail_by(completion, &err);
        return;
    }
    completion->before = completion->question;
    completion->question = NULL;
    seal.head = wire_new("seal");
    wire_add_int(seal.head, "chunks", 1);
    wire_add_int(seal.head, "drafts", 1);
    if (!ask(completion, &seal, &err))
        fail_by(completion, &err);
}

static void
on_opened(void *arg, const struct wire *wire, const struct err *err)
{
    struct completion *completion = arg;
    struct err wrong = { 0 };
    const char *batch;

    completion->question = NULL;
    if (!wire) {
        fail_by(completion, err);
        return;
    }
    if (wire_str(wire, "batch", BATCH_BYTES - 1, NULL, &batch, &wrong) < 0) {
        fail_by(completion, &wrong);
        return;
    }
    (void)snprintf(completion->batch, sizeof(completion->batch), "%s", batch);
    if (!completion->request) {
        drop(completion);
        return;
    }
    http_reply_field(completion->request, "x-sheaf-batch", completion->batch);
    send_draft(completion);
}

void
http_complete(struct http_request *request)
{
    struct completion *completion = mem_zalloc(1, sizeof(*completion));
    struct http_ask open = { .answer = on_opened };
    const char *url = request->route->pattern;
    struct http_error error;
    struct err err = { 0 };

    completion->gateway = request->gateway;
    completion->request = request;
    completion->until_ms =
        request->gateway->now_ms + request->gateway->answer_ms;
    if (http_complete_line(request->id, url, buf_slice(&request->body),
                           &completion->line, &error) != 0) {
        fail(completion, &error);
        return;
    }
    open.head = wire_new("open");
    wire_add_str(open.head, "client", request->grant.client);
    wire_add_str(open.head, "key", request->id);
    wire_add_str(open.head, "name", url);
    wire_add_int(open.head, "priority", PRIORITY);
    http_on_gone(request, on_gone, completion);
    if (!ask(completion, &open, &err))
        fail_by(completion, &err);
}
