/* SPDX-License-Identifier: MIT */
#include "submit/pages.h"

#include <string.h>

void
pages_init(struct pages *pages, struct sheaf *sheaf,
           const struct sheaf_query *query)
{
    *pages =
        (struct pages){ .sheaf = sheaf, .query = *query, .has_more = true };
}

void
pages_fini(struct pages *pages)
{
    buf_fini(&pages->page);
}

/* Puts the next page into the buffer, which is all used up. */
static int
turn(struct pages *pages, struct err *err)
{
    struct sheaf_page page;
    struct sheaf_error error;
    int rc = sheaf_page(pages->sheaf, &pages->query, &page, &error);

    if (rc < 0)
        return err_set(err, rc, "ask for the batch's %s: %s", pages->query.verb,
                       error.message);
    buf_reset(&pages->page);
    buf_add(&pages->page, page.lines, page.bytes);
    pages->used = 0;
    pages->has_more = page.has_more;
    return 0;
}

int
pages_next(struct pages *pages, struct slice *line, struct err *err)
{
    const char *end;

    while (pages->used == pages->page.bytes) {
        int rc = pages->has_more ? turn(pages, err) : 1;

        if (rc != 0)
            return rc;
    }
    line->data = pages->page.data + pages->used;
    line->bytes = pages->page.bytes - pages->used;
    end = memchr(line->data, '\n', line->bytes);
    pages->used = pages->page.bytes;
    if (end) {
        line->bytes = (size_t)(end - line->data);
        pages->used = (size_t)(end + 1 - pages->page.data);
    }
    return 0;
}
