/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/essence.h"
#include "base/log.h"
#include "base/option.h"
#include "queue/core.h"

#define NANO_PER_USD_MICROTOKEN 1000 /* 1e9 nano-dollars, 1e6 tokens */
#define POISON_TEXT_BYTES       128
#define SHAPE_PREFIX            "replies_" /* of the counters of shapes */
#define COST_NANO_MAX           INT64_C(1000000000000000) /* of one call */

const char *
finish_upstream(const struct request *request, const struct report *report)
{
    return report->upstream && *report->upstream ? report->upstream
                                                 : request->upstream;
}

/* True if the sampler has answered in the place of an upstream: that is of use,
 * but no answer, and never served for one. */
static bool
is_local_fallback(const struct request *request, const struct report *report)
{
    return report->end.class == CLASS_OK &&
           strcmp(finish_upstream(request, report), CONF_LOCAL) == 0 &&
           strcmp(request->route, CONF_LOCAL) != 0;
}

bool
finish_is_answer(const struct request *request, const struct report *report)
{
    return report->end.class == CLASS_OK && !is_local_fallback(request, report);
}

/* What the call cost by the configured prices; unknown without them, and if the
 * upstream has told of no tokens. Embeddings have some in their prompts only. */
static int64_t
cost_of(const struct broker *broker, const struct request *request,
        const struct report *report)
{
    const struct conf_upstream *upstream =
        conf_upstream(broker->env.conf, finish_upstream(request, report));
    double cost = 0;

    if (!upstream || upstream->price_input_usd < 0 ||
        upstream->price_output_usd < 0) {
        return OUTCOME_UNKNOWN;
    }
    if (report->prompt_tokens < 0 && report->completion_tokens < 0)
        return OUTCOME_UNKNOWN;
    if (report->prompt_tokens > 0)
        cost += (double)report->prompt_tokens * upstream->price_input_usd;
    if (report->completion_tokens > 0)
        cost += (double)report->completion_tokens * upstream->price_output_usd;
    cost = cost * NANO_PER_USD_MICROTOKEN + 0.5;
    return cost < (double)COST_NANO_MAX ? (int64_t)cost : OUTCOME_UNKNOWN;
}

/* Reads the draft from which a request is rendered into broker->line. */
static int
read_source(struct broker *broker, const struct request *request)
{
    struct draft draft;
    int rc = store_draft_get(broker->env.store, request->batch, request->index,
                             &draft);

    return rc < 0 ? rc : core_line(broker, &draft);
}

/* What is kept of a request that was not answered. */
static void
add_fallback(struct broker *broker, const struct request *request,
             enum status status, const char *message, struct buf *out)
{
    const char *name = status_name(status);
    struct buf text = { 0 };

    switch (status_keep(status)) {
    case STATUS_KEEP_ESSENCE:
        buf_reset(&broker->goal);
        if (read_source(broker, request) == 0) {
            prompt_text(&broker->line, &text);
            prompt_goal(&broker->line, &broker->recipe->options, &broker->goal);
        }
        essence_tokens(broker->env.rules, buf_slice(&text),
                       buf_slice(&broker->goal), name, out);
        break;
    case STATUS_KEEP_ERROR:
        essence_error(name, slice_of(message), out);
        break;
    default:
        break;
    }
    buf_fini(&text);
}

void
finish_essence(void *context, const struct draft *draft, struct slice line,
               struct buf *out)
{
    struct broker *broker = context;
    struct buf text = { 0 };

    (void)line; /* core_line() makes a copy of its own */
    buf_reset(&broker->goal);
    if (core_line(broker, draft) == 0) {
        prompt_text(&broker->line, &text);
        prompt_goal(&broker->line, &broker->recipe->options, &broker->goal);
    }
    essence_tokens(broker->env.rules, buf_slice(&text),
                   buf_slice(&broker->goal), status_name(STATUS_EXPIRED), out);
    buf_fini(&text);
}

/* Ends a request with an outcome. attempt: its last call, or NULL. */
static void
end_request(struct broker *broker, struct request *request, enum status status,
            const struct report *report, const struct attempt *attempt,
            int64_t now_ms)
{
    struct buf essence = { 0 };
    bool has_text = status == STATUS_OK ||
                    report->end.class == CLASS_TRUNCATED ||
                    report->end.class == CLASS_OK;
    struct outcome outcome = {
        .status = status,
        .http_status = report->end.http_status,
        .attempts = request->attempts,
        .latency_ms = report->latency_ms,
        .prompt_tokens = report->prompt_tokens,
        .completion_tokens = report->completion_tokens,
        .total_tokens = report->total_tokens,
        .completed_ms = now_ms,
        .cost_nano = cost_of(broker, request, report),
        .reply_bytes = report->reply_bytes,
        .form = has_text ? report->form : OUTCOME_NO_TEXT,
        .text_at = has_text ? report->text_at : 0,
        .text_bytes = has_text ? report->text_bytes : 0,
        .code = slice_of(status == STATUS_OK ? "" : report->code),
        .message = slice_of(status == STATUS_OK ? "" : report->message),
        .model = slice_of(report->model),
        .upstream = slice_of(finish_upstream(request, report)),
        .finish = slice_of(report->finish),
    };

    if (status != STATUS_OK) {
        add_fallback(broker, request, status, report->message, &essence);
        outcome.essence = buf_slice(&essence);
        broker->counters.fallbacks++;
    }
    store_finish(broker->env.store, request, &outcome, attempt,
                 (struct reply){ report->reply, report->is_packed }, now_ms);
    broker->counters.requests_done++;
    broker->has_results = true;
    if (status == STATUS_OK)
        cache_put(broker->cache, request->key, request->id, now_ms);
    buf_fini(&essence);
}

/* The stages of latency that a call has passed, and waits that are longer than
 * anybody should have to wait: they are kept all the same. */
static void
count_slow(struct counters *counters, const struct conf *conf,
           const struct report *report)
{
    counters->calls_above_t1 += report->latency_ms > conf->t1_ms;
    counters->calls_above_t2 += report->latency_ms > conf->t2_ms;
    counters->calls_above_t3 += report->latency_ms > conf->t3_ms;
    counters->calls_above_t4 += report->latency_ms > conf->t4_ms;
    counters->long_waits += report->end.wait_ms > conf->retry_after_max_ms;
}

/* Which shapes replies have, and how many of them are what their upstream's
 * dialect makes one expect. */
static void
count_shape(struct broker *broker, const struct request *request,
            const struct report *report)
{
    static const struct {
        const char *name;
        size_t place;
    } places[] = {
#define COUNTER_PLACE(name) { #name, offsetof(struct counters, name) },
        REPLY_COUNTER_LIST(COUNTER_PLACE)
#undef COUNTER_PLACE
    };
    const struct conf_upstream *upstream =
        conf_upstream(broker->env.conf, finish_upstream(request, report));
    const char *expected =
        upstream ? conf_dialect(upstream)->shape : dialect_find(NULL)->shape;
    struct counters *counters = &broker->counters;

    if (!*report->shape)
        return;
    if (strcmp(report->shape, expected) == 0)
        counters->replies_priority_path++;
    else
        counters->replies_fallback_path++;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (strncmp(places[i].name, SHAPE_PREFIX, strlen(SHAPE_PREFIX)) == 0 &&
            strcmp(places[i].name + strlen(SHAPE_PREFIX), report->shape) == 0)
            ++*(uint64_t *)((char *)counters + places[i].place);
    }
}

static void
count(struct counters *counters, const struct conf *conf,
      const struct report *report)
{
    if (retry_is_uncertain(&report->end))
        counters->calls_uncertain++;
    if (report->end.class == CLASS_ABORTED)
        return;
    counters->calls++;
    if (report->end.class == CLASS_OK)
        counters->calls_ok++;
    else if (report->end.class == CLASS_THROTTLED)
        counters->calls_throttled++;
    else
        counters->calls_failed++;
    count_slow(counters, conf, report);
}

/* What the call came to, for whoever watches. One that was aborted before it
 * left is none. */
static void
meter(struct broker *broker, const struct request *request,
      const struct report *report)
{
    int where =
        upstreams_find(broker->upstreams, finish_upstream(request, report));
    struct meter_call call = {
        .class = report->end.class,
        .status = retry_status(report->end.class, report->end.http_status),
        .latency_ms = report->latency_ms,
        .prompt_tokens = report->prompt_tokens,
        .completion_tokens = report->completion_tokens,
        .cost_nano = cost_of(broker, request, report),
    };

    if (call.class == CLASS_ABORTED && !report->end.was_sent)
        return;
    meter_add(meter_row(&broker->meter, where), broker->env.conf, &call);
}

/* A call after which the request goes on has used something, too, if it was
 * answered: one that was cut off, say. */
static void
charge(struct broker *broker, const struct request *request,
       const struct report *report)
{
    struct outcome spent = {
        .prompt_tokens = report->prompt_tokens,
        .completion_tokens = report->completion_tokens,
        .total_tokens = report->total_tokens,
        .cost_nano = cost_of(broker, request, report),
    };

    if (report->prompt_tokens > 0 || report->completion_tokens > 0)
        store_charge(broker->env.store, request, &spent);
}

/* Where else it could go, for retry_decide(). */
static void
look_around(struct broker *broker, const struct request *request,
            struct call_end *end, int64_t now_ms)
{
    int where = upstreams_find(broker->upstreams, request->upstream);
    struct route route;

    end->other_ms = end->route_ms = INT64_MAX;
    if (!route_recall(broker->env.conf, request->route, &route))
        return;
    end->members = route.count;
    if (route.count > 1) {
        end->other_ms =
            upstreams_open_ms(broker->upstreams, &route, where, now_ms);
    }
    end->route_ms =
        upstreams_open_ms(broker->upstreams, &route, BOUND_LOCAL, now_ms);
    end->has_resort = end->class == CLASS_THROTTLED &&
                      read_source(broker, request) == 0 &&
                      prompt_resort(&broker->line, &broker->recipe->options,
                                    broker->env.conf) == RESORT_LOCAL;
}

static void
log_retry(const struct request *request, const struct call_end *end,
          int64_t wait_ms)
{
    log_info("event=%s request=%llu upstream=%s status=%u failures=%u "
             "throttled=%u wait_ms=%lld",
             end->class == CLASS_THROTTLED ? "rate_limit_retry" : "retry",
             (unsigned long long)request->id, request->upstream,
             end->http_status, request->failures, request->throttled,
             (long long)wait_ms);
}

/* The sampler's answer ends it, until somebody tries again. */
static void
end_locally(struct broker *broker, struct request *request,
            const struct report *report, const struct attempt *attempt,
            int64_t now_ms)
{
    struct report marked = *report;

    marked.code = "local_fallback";
    marked.message =
        "no upstream could be asked in time: this is the text's own "
        "sentences, chosen by the built-in sampler";
    end_request(broker, request, STATUS_ERROR, &marked, attempt, now_ms);
}

/* Until when another try is of use; nobody asks that of an answer. */
static int64_t
deadline_for(struct broker *broker, const struct request *request,
             const struct call_end *end)
{
    if (end->class == CLASS_OK)
        return INT64_MAX;
    return store_request_deadline(broker->env.store, request->id);
}

void
finish_report(struct broker *broker, struct request *request,
              const struct report *report, int64_t now_ms)
{
    struct call_end end = report->end;
    struct retry_verdict verdict;
    struct attempt attempt, *made;

    end.can_enlarge =
        end.class == CLASS_TRUNCATED && read_source(broker, request) == 0 &&
        prompt_can_enlarge(&broker->line, &broker->recipe->options,
                           conf_upstream(broker->env.conf, request->upstream));
    look_around(broker, request, &end, now_ms);
    count(&broker->counters, broker->env.conf, report);
    count_shape(broker, request, report);
    meter(broker, request, report);
    verdict =
        retry_decide(request, &end, broker->env.conf, now_ms,
                     deadline_for(broker, request, &end), core_chance(broker));
    made = attempt_of_report(request, report, &verdict, now_ms, &attempt)
               ? &attempt
               : NULL;
    /* Before the request goes on, as it may go with all that belongs to it. */
    if (verdict.action != RETRY_DONE)
        charge(broker, request, report);
    if (made && verdict.action != RETRY_DONE)
        store_attempt_add(broker->env.store, request, made);
    switch (verdict.action) {
    case RETRY_DONE:
        if (is_local_fallback(request, report))
            end_locally(broker, request, report, made, now_ms);
        else
            end_request(broker, request, verdict.status, report, made, now_ms);
        break;
    case RETRY_DELAY:
        store_delay(broker->env.store, request, verdict.due_ms);
        log_retry(request, &end, verdict.due_ms - now_ms);
        break;
    case RETRY_READY:
        store_release(broker->env.store, request);
        if (end.class != CLASS_ABORTED && end.class != CLASS_TRUNCATED)
            log_retry(request, &end, end.wait_ms);
        break;
    }
}

/* Ends a request for which no call is to be made any more. */
static void
end_uncalled(struct broker *broker, struct request *request, const char *code,
             const char *message, int64_t now_ms)
{
    struct report report = { .end = { .class = CLASS_PERMANENT },
                             .code = code,
                             .message = message,
                             .model = "",
                             .shape = "",
                             .finish = "",
                             .latency_ms = OUTCOME_UNKNOWN,
                             .prompt_tokens = OUTCOME_UNKNOWN,
                             .completion_tokens = OUTCOME_UNKNOWN,
                             .total_tokens = OUTCOME_UNKNOWN };

    end_request(broker, request, STATUS_ERROR, &report, NULL, now_ms);
}

void
finish_unsendable(struct broker *broker, struct request *request,
                  const char *code, const char *message, int64_t now_ms)
{
    log_error("event=request_unsendable request=%llu reason=\"%s\"",
              (unsigned long long)request->id, message);
    end_uncalled(broker, request, code, message, now_ms);
}

void
finish_resort(struct broker *broker, struct request *request, int64_t now_ms)
{
    log_warn("event=last_resort request=%llu resort=essence",
             (unsigned long long)request->id);
    end_uncalled(broker, request, "last_resort",
                 "no upstream can be asked in time", now_ms);
}

void
finish_poison(struct broker *broker, struct request *request, int64_t now_ms)
{
    char message[POISON_TEXT_BYTES];

    (void)snprintf(message, sizeof(message),
                   "%u workers were lost while they called it, the last one "
                   "with nothing else to do",
                   request->lost);
    log_error("event=request_poisoned request=%llu lost=%u",
              (unsigned long long)request->id, request->lost);
    broker->counters.poisoned++;
    end_uncalled(broker, request, "poison", message, now_ms);
}
