/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* explicit_bzero */
#include "worker/head.h"

#include <assert.h>
#include <string.h>

void
head_add(struct head *head, const char *name, struct slice value)
{
    struct head_part part = { slice_of(name), value };

    assert(head->count < HEAD_LINES_MAX);
    head->parts[head->count++] = part;
    head->bytes += part.name.bytes + part.value.bytes + 1;
}

struct curl_slist *
head_lines(struct head *head)
{
    struct buf *text = &head->text;

    /* Room for all at once: growing would move the lines, and leave copies of a
     * key behind. */
    assert(text->bytes == 0);
    (void)buf_reserve(text, head->bytes);
    for (size_t i = 0; i < head->count; i++) {
        struct curl_slist *line = &head->lines[i];

        line->data = text->data + text->bytes;
        line->next = i + 1 < head->count ? line + 1 : NULL;
        buf_add_slice(text, head->parts[i].name);
        buf_add_slice(text, head->parts[i].value);
        buf_add_char(text, '\0');
    }
    return head->count > 0 ? head->lines : NULL;
}

void
head_wipe(struct head *head)
{
    if (head->text.bytes > 0)
        explicit_bzero(head->text.data, head->text.bytes);
    buf_reset(&head->text);
    head->count = head->bytes = 0;
}

void
head_fini(struct head *head)
{
    head_wipe(head);
    buf_fini(&head->text);
}
