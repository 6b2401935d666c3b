/*
 * pages.h - the broker's lines, one after the other
 *
 * Results, refusals and chunks come in pages of lines. This asks for page after
 * page and hands out line after line, in bounded memory. Other messages may go
 * to the broker in between.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_PAGES_H
#define SUBMIT_PAGES_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "submit/sheaf.h"

struct pages {
    struct sheaf *sheaf; /* borrowed */
    struct sheaf_query query;
    struct buf page;
    size_t used; /* of the page */
    bool has_more;
};

/* Starts at the query's cursor. The query's strings stay the caller's. Ended
 * with pages_fini(). */
void pages_init(struct pages *pages, struct sheaf *sheaf,
                const struct sheaf_query *query);
void pages_fini(struct pages *pages);

/* The next line, without its end, lent until the next call: 0, or 1 if there is
 * none. */
int pages_next(struct pages *pages, struct slice *line, struct err *err);

#endif
