/* SPDX-License-Identifier: MIT */
#include "worker/reply.h"

#include <assert.h>

static const char *const end_texts[] = {
#define END_TEXT(name, text) text,
    REPLY_END_LIST(END_TEXT)
#undef END_TEXT
};

void
reply_reset(struct reply *reply)
{
    reply->end = REPLY_COMPLETE;
    reply->http_status = 0;
    reply->is_sent = false;
    reply->latency_ms = 0;
    reply->headers.count = 0;
    reply->reason[0] = '\0';
    buf_fini(&reply->body);
}

const char *
reply_end_text(enum reply_end end)
{
    assert(end < REPLY_END_COUNT);
    return end_texts[end];
}
