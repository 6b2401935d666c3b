/* SPDX-License-Identifier: MIT */
#include "base/utf8.h"
#include "queue/core.h"

static struct slice
cut(const char *text)
{
    return utf8_cut(slice_of(text), ATTEMPT_TEXT_BYTES_MAX);
}

bool
attempt_of_report(const struct request *request, const struct report *report,
                  const struct retry_verdict *verdict, int64_t now_ms,
                  struct attempt *attempt)
{
    bool is_aborted = report->end.class == CLASS_ABORTED;

    *attempt = (struct attempt){
        .ended_ms = now_ms,
        .class = report->end.class,
        .status = is_aborted ? STATUS_NONE : verdict->status,
        .http_status = report->end.http_status,
        .fence = report->fence,
        .was_sent = report->end.was_sent,
        .latency_ms = report->latency_ms,
        .code = cut(report->code),
        .worker = cut(report->worker),
        .upstream = cut(finish_upstream(request, report)),
    };

    if (verdict->due_ms > now_ms) {
        attempt->wait_ms = verdict->due_ms - now_ms;
        attempt->wait_from =
            cut(report->end.wait_ms > 0 ? report->wait_from : ATTEMPT_BACKOFF);
    }
    return !is_aborted || report->end.was_sent;
}

void
attempt_note_lost(struct broker *broker, const struct request *request,
                  const struct session *session)
{
    char uuid[CORE_UUID_TEXT_BYTES];
    struct attempt attempt = {
        .ended_ms = store_now_ms(broker->env.store),
        .class = CLASS_LOST,
        .fence = request->fence,
        .was_sent = true,
        .latency_ms = ATTEMPT_UNKNOWN,
        .worker = cut(core_worker_name(session, uuid)),
        .upstream = cut(request->upstream),
    };

    store_attempt_add(broker->env.store, request, &attempt);
}
