/* SPDX-License-Identifier: MIT */
#include "worker/errand.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/redact.h"
#include "base/utf8.h"
#include "queue/wire.h"
#include "worker/local.h"
#include "worker/outcome.h"
#include "worker/report.h"
#include "worker/translation.h"

#define BYTES_PER_TOKEN      4  /* an estimate */
#define ATTEMPT_DIGEST_CHARS 32 /* of the body's digest */

static void
log_call(const struct desk_lease *lease)
{
    const struct result *result = &lease->result;
    const struct outcome *outcome = &result->outcome;
    bool is_well = outcome->class == OUTCOME_OK;

    (is_well ? log_info : log_warn)(
        "event=upstream_call request=%lld fence=%lld upstream=%s status=%d "
        "class=%s code=\"%s\" latency_ms=%lld wait_ms=%lld wait_from=\"%s\"",
        (long long)lease->request, (long long)lease->fence, lease->upstream,
        outcome->http_status, outcome_class_name(outcome->class), outcome->code,
        (long long)result->latency_ms, (long long)outcome->wait_ms,
        outcome->wait_from);
}

/* Upstreams quote what they were sent, keys too. */
static void
redact_message(const struct worker *worker, struct outcome *outcome)
{
    struct buf known = { 0 }, clean = { 0 };
    struct slice kept;

    if (!outcome->message[0])
        return;
    buf_add_str(&known, outcome->message);
    keys_hide(worker->keys, &known);
    tokens_hide(worker->tokens, &known);
    redact(buf_slice(&known), &clean);
    kept = utf8_cut(buf_slice(&clean), OUTCOME_MESSAGE_BYTES_MAX);
    if (kept.bytes > 0)
        memcpy(outcome->message, kept.data, kept.bytes);
    outcome->message[kept.bytes] = '\0';
    buf_fini(&known);
    buf_fini(&clean);
}

/* The shape that a reply to this lease most likely has. */
static enum extract_shape
expected_shape(const struct worker *worker, const struct desk_lease *lease)
{
    const struct upstream *upstream =
        upstreams_find(&worker->upstreams, lease->upstream);

    return upstream ? upstream->shape : EXTRACT_CHAT;
}

/* Judges a reply and finishes the lease with what it brought. */
static void
settle(struct worker *worker, struct desk_lease *lease, struct reply *reply,
       int64_t now_ms)
{
    struct extract *extract = &worker->extract;
    struct err err = { 0 };
    struct slice body;
    struct outcome_input input = {
        .reply = reply,
        .extract = extract,
        .read_reason = err.msg,
        .is_raw = lease->is_raw,
        .tokens_wanted = (int64_t)(lease->body.bytes / BYTES_PER_TOKEN),
    };
    struct outcome outcome;

    /* It is stored whole: what is quoted of ours goes no further than here. */
    keys_mask(worker->keys, &reply->body);
    tokens_mask(worker->tokens, &reply->body);
    body = buf_slice(&reply->body);
    /* Half a reply has no answer in it, whatever it looks like. */
    if (reply->end != REPLY_COMPLETE && reply->http_status < 400)
        body.bytes = 0;
    input.read_rc =
        extract_read(extract, body, expected_shape(worker, lease), &err);
    outcome_judge(&input, now_ms, &outcome);
    redact_message(worker, &outcome);
    result_fill(&lease->result, &outcome, extract, reply);
    desk_finish(worker->desk, lease, now_ms);
    if (outcome.class == OUTCOME_THROTTLED || outcome.class == OUTCOME_STOP)
        worker->is_told_to_wait = true;
    log_call(lease);
}

/* Finishes a lease without a call. */
static void
decline(struct worker *worker, struct desk_lease *lease,
        enum outcome_class class, const char *code, const char *message,
        int64_t now_ms)
{
    outcome_set(&lease->result.outcome, class, code, message);
    desk_finish(worker->desk, lease, now_ms);
    log_call(lease);
}

static void
run_local(struct worker *worker, struct desk_lease *lease, int64_t now_ms)
{
    int64_t start_us = clock_mono_us();
    struct err err = { 0 };
    struct reply reply;

    if (!worker->rules)
        worker->rules = text_rules_new(&err);
    if (!worker->rules)
        log_fatal("event=text_rules_failed reason=\"%s\"", err.msg);
    desk_start(worker->desk, lease);
    local_answer(worker->rules, buf_slice(&lease->body), &reply);
    reply.latency_ms = (clock_mono_us() - start_us) / 1000;
    settle(worker, lease, &reply, now_ms);
}

/* The name of an attempt is the same whenever it is sent, and differs between
 * stores: an upstream that answers by it must never mix up two requests. */
static void
name_attempt(const struct worker *worker, const struct desk_lease *lease,
             char attempt[CALL_ATTEMPT_BYTES_MAX])
{
    unsigned char digest[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    int rc;

    digest_add(worker->digest, lease->body.data, lease->body.bytes);
    digest_final(worker->digest, digest);
    digest_hex(digest, hex);
    /* An upstream that answers by it shall not repeat that a token is bad. */
    rc = snprintf(attempt, CALL_ATTEMPT_BYTES_MAX, "sheaf-%.*s-%lld-%lld%s",
                  ATTEMPT_DIGEST_CHARS, hex, (long long)lease->request,
                  (long long)lease->fence, lease->is_second ? "-2" : "");
    assert(rc > 0);
    assert(rc < CALL_ATTEMPT_BYTES_MAX);
    (void)rc;
}

/* Our own section of an upstream, if it is for the URL that the broker names:
 * what goes to one place must not go to another. NULL if there is none. */
static const struct conf_upstream *
own_section(const struct worker *worker, const struct upstream *upstream)
{
    const struct conf_upstream *own =
        conf_upstream(worker->conf, upstream->name);

    return own && strcmp(own->base_url, upstream->base_url) == 0 ? own : NULL;
}

static struct slice
find_key(const struct worker *worker, const struct upstream *upstream)
{
    struct slice key = { NULL, 0 };

    if (keys_find(worker->keys, upstream->name, upstream->base_url, &key) ==
        KEY_MISMATCH) {
        log_error("event=upstream_mismatch upstream=%s base_url=%s "
                  "reason=\"our configuration has another base_url: the call "
                  "is made without a key\"",
                  upstream->name, upstream->base_url);
    }
    return key;
}

/* A token has a header of its own, whatever the one for a key is. */
static void
add_key(struct worker *worker, struct desk_lease *lease,
        const struct upstream *upstream, enum token_state state,
        struct call_order *order)
{
    lease->token = 0;
    if (state == TOKEN_READY) {
        order->key_header = "Authorization: Bearer ";
        order->key = tokens_use(worker->tokens, upstream->name, &lease->token);
    } else {
        order->key_header = upstream->dialect->key_header;
        order->key = find_key(worker, upstream);
    }
}

/* Puts the lease into the words of its upstream and starts the call; if it
 * cannot be made, the code says why. */
static int
start_call(struct worker *worker, struct desk_lease *lease,
           const struct upstream *upstream, enum token_state state,
           const char **code, struct err *err)
{
    const struct translation_order wish = {
        .dialect = upstream->dialect,
        .path = lease->path,
        .model = lease->model,
        .body = buf_slice(&lease->body),
        .max_tokens = upstream->max_tokens,
    };
    const struct conf_upstream *own = own_section(worker, upstream);
    char attempt[CALL_ATTEMPT_BYTES_MAX];
    struct buf path = { 0 };
    struct call_order order;
    int rc;

    *code = "unsupported_by_dialect";
    rc = translation_make(&wish, &path, &lease->translated, err);
    if (rc < 0)
        goto out;
    *code = "bad_url";
    name_attempt(worker, lease, attempt);
    order = (struct call_order){
        .base_url = upstream->base_url,
        .path = path.data ? path.data : "",
        .attempt = attempt,
        .headers = upstream->dialect->headers,
        .header_count = DIALECT_HEADERS_MAX,
        .content_type = "application/json",
        .body = buf_slice(lease->translated.bytes ? &lease->translated
                                                  : &lease->body),
        .ca_file = own ? own->ca_file : NULL,
        .connect_timeout_ms = upstream->connect_timeout_ms,
        .timeout_ms = lease->timeout_ms,
        .low_speed_ms = upstream->low_speed_ms,
        .low_speed_bytes = upstream->low_speed_bytes,
        .reply_bytes_max = upstream->reply_bytes_max,
    };
    add_key(worker, lease, upstream, state, &order);
    rc = calls_start(worker->calls, &order, &lease->call, err);
    if (rc == E_IO)
        log_fatal("event=curl_failed reason=\"%s\"", err->msg);
out:
    buf_fini(&path);
    return rc;
}

/* The attempt is spent: without an end, work that has a deadline would wait for
 * a server that is gone, and another upstream would never be tried. */
static void
decline_token(struct worker *worker, struct desk_lease *lease, int64_t now_ms)
{
    const char *reason = tokens_reason(worker->tokens, lease->upstream);
    char message[OUTCOME_MESSAGE_BYTES_MAX + 1];

    if (snprintf(message, sizeof(message),
                 "no access token: the token server: %s",
                 reason[0] ? reason : "no reply came yet") < 0)
        message[0] = '\0';
    decline(worker, lease, OUTCOME_RETRYABLE, "token_unavailable", message,
            now_ms);
}

/* Whoever resumes the upstream has made it readable, or learns that it is not:
 * it is tried once more with each call. */
static bool
lacks_something(struct worker *worker, const struct upstream *upstream)
{
    const char *code;

    keys_retry(worker->keys, upstream->name, upstream->base_url);
    return keys_lack(worker->keys, upstream->name, upstream->base_url, &code);
}

bool
errand_may_start(struct worker *worker, const struct desk_lease *lease,
                 int64_t now_ms)
{
    const struct upstream *upstream =
        upstreams_find(&worker->upstreams, lease->upstream);

    return !upstream || lacks_something(worker, upstream) ||
           tokens_ask(worker->tokens, upstream->name, upstream->base_url,
                      now_ms) != TOKEN_AWAITED;
}

void
errand_start(struct worker *worker, struct desk_lease *lease, int64_t now_ms)
{
    const struct upstream *upstream;
    enum token_state state;
    struct err err = { 0 };
    const char *code, *lack;

    if (strcmp(lease->upstream, CONF_LOCAL) == 0) {
        run_local(worker, lease, now_ms);
        return;
    }
    upstream = upstreams_find(&worker->upstreams, lease->upstream);
    if (!upstream) {
        decline(worker, lease, OUTCOME_PERMANENT, "unknown_upstream",
                "the broker named no upstream of this name", now_ms);
        return;
    }
    lack = keys_lack(worker->keys, upstream->name, upstream->base_url, &code);
    if (lack) {
        decline(worker, lease, OUTCOME_STOP, code, lack, now_ms);
        return;
    }
    state =
        tokens_ask(worker->tokens, upstream->name, upstream->base_url, now_ms);
    assert(state != TOKEN_AWAITED);
    if (state == TOKEN_MISSING) {
        decline_token(worker, lease, now_ms);
        return;
    }
    if (start_call(worker, lease, upstream, state, &code, &err) < 0)
        decline(worker, lease, OUTCOME_PERMANENT, code, err.msg, now_ms);
    else
        desk_start(worker->desk, lease);
}

/* Lets the call of a lease be made once more; by another worker, if this one
 * has to go. */
static void
repeat(struct worker *worker, struct desk_lease *lease, int64_t now_ms)
{
    if (!worker->is_draining) {
        lease->is_second = true;
        desk_again(worker->desk, lease);
        return;
    }
    outcome_set(&lease->result.outcome, OUTCOME_ABORTED, "token_refused",
                "the upstream refused the access token, and the worker has to "
                "go");
    lease->result.is_sent = true;
    desk_finish(worker->desk, lease, now_ms);
    log_call(lease);
}

/* The answer may be the end of this worker: the broker is to know of the call. */
static void
tell(struct worker *worker, const struct desk_lease *lease)
{
    if (!lease->is_told)
        (void)report_started(worker);
}

/* True of an answer: it is no reason to start less, and may wait until the calls
 * after it are on their way. */
static bool
is_answer(const struct reply *reply)
{
    return reply->end == REPLY_COMPLETE && reply->http_status / 100 == 2;
}

void
errand_end(struct worker *worker, const struct call *call, struct reply *reply,
           int64_t now_ms)
{
    struct desk_lease *lease = desk_find_call(worker->desk, call);

    assert(lease);
    if (is_answer(reply)) {
        desk_end(worker->desk, lease, reply, now_ms);
        return;
    }
    tell(worker, lease);
    /* A 401 to a token may be the token's fault: it was revoked, or its time
     * was shorter than said. A new one shows; its answer counts. */
    if (reply->http_status == 401 && lease->token > 0 && !lease->is_second &&
        tokens_refused(worker->tokens, lease->upstream, lease->token, now_ms)) {
        repeat(worker, lease, now_ms);
    } else {
        settle(worker, lease, reply, now_ms);
    }
    reply_free(reply);
}

void
errand_judge(struct worker *worker, int64_t now_ms)
{
    struct desk_lease *lease;

    while ((lease = desk_next_unjudged(worker->desk))) {
        tell(worker, lease);
        settle(worker, lease, lease->reply, now_ms);
    }
}

void
errand_abort(struct worker *worker, struct desk_lease *lease, const char *code,
             const char *message, int64_t now_ms)
{
    assert(lease->state == DESK_RUNNING);
    calls_abort(worker->calls, lease->call);
    outcome_set(&lease->result.outcome, OUTCOME_ABORTED, code, message);
    lease->result.is_sent = true; /* as far as we know */
    desk_finish(worker->desk, lease, now_ms);
    log_call(lease);
}

void
errand_forget(struct worker *worker, struct desk_lease *lease)
{
    assert(lease->state != DESK_FINISHED);
    if (lease->state == DESK_RUNNING)
        calls_abort(worker->calls, lease->call);
    desk_remove(worker->desk, lease);
}
