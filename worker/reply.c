/* SPDX-License-Identifier: MIT */
#include "worker/reply.h"

#include <assert.h>

static const char *const end_texts[] = {
#define END_TEXT(name, text) text,
    REPLY_END_LIST(END_TEXT)
#undef END_TEXT
};

const char *
reply_end_text(enum reply_end end)
{
    assert(end < REPLY_END_COUNT);
    return end_texts[end];
}
