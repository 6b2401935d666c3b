/* SPDX-License-Identifier: MIT */
#include "worker/reply.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

static const char *const end_texts[] = {
#define END_TEXT(name, text) text,
    REPLY_END_LIST(END_TEXT)
#undef END_TEXT
};

struct reply *
reply_new(void)
{
    return mem_zalloc(1, sizeof(struct reply));
}

void
reply_free(struct reply *reply)
{
    if (reply)
        buf_fini(&reply->body);
    free(reply);
}

const char *
reply_end_text(enum reply_end end)
{
    assert(end < REPLY_END_COUNT);
    return end_texts[end];
}
