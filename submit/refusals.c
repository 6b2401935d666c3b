/* SPDX-License-Identifier: MIT */
#include "submit/refusals.h"

#include <string.h>

#define INDEX_MAX (INT64_C(1) << 53)

void
refusals_init(struct refusals *refusals, struct sheaf *sheaf, const char *batch,
              int64_t index)
{
    *refusals = (struct refusals){
        .sheaf = sheaf,
        .query = { .verb = "refusals", .batch = batch, .cursor = index },
        .has_more = true,
    };
}

void
refusals_fini(struct refusals *refusals)
{
    for (size_t i = 0; i < REFUSALS_TEXTS; i++)
        buf_fini(&refusals->texts[i]);
    buf_fini(&refusals->page);
    json_fini(&refusals->doc);
}

/* Puts the next page into the buffer, which is all used up. */
static int
turn(struct refusals *refusals, struct err *err)
{
    struct sheaf_page page;
    struct sheaf_error error;
    int rc = sheaf_page(refusals->sheaf, &refusals->query, &page, &error);

    if (rc < 0)
        return err_set(err, rc, "ask what was refused: %s", error.message);
    buf_reset(&refusals->page);
    buf_add(&refusals->page, page.lines, page.bytes);
    refusals->used = 0;
    refusals->has_more = page.has_more && page.count > 0;
    return 0;
}

static int
parse(struct refusals *refusals, struct slice line,
      struct sheaf_refusal *refusal, struct err *err)
{
    static const char *const names[REFUSALS_TEXTS] = { "field", "code",
                                                       "message" };
    struct json_doc *doc = &refusals->doc;
    int rc = json_parse(doc, line.data, line.bytes, JSON_REPLY, err);

    if (rc < 0)
        return err_wrap(err, "the broker's refusal");
    *refusal = (struct sheaf_refusal){ .index = -1 };
    for (size_t i = 0; i < REFUSALS_TEXTS; i++) {
        size_t text = json_member(doc, 0, names[i]);

        buf_reset(&refusals->texts[i]);
        buf_add_str(&refusals->texts[i], ""); /* a string, even if empty */
        if (text != JSON_NONE && doc->tokens[text].type == JSON_STRING)
            json_decode(doc, text, &refusals->texts[i]);
    }
    refusal->field = refusals->texts[0].data;
    refusal->code = refusals->texts[1].data;
    refusal->message = refusals->texts[2].data;
    if (json_int(doc, json_member(doc, 0, "index"), 0, INDEX_MAX,
                 &refusal->index) < 0) {
        return err_set(err, E_PROTOCOL, "the broker's refusal has no index");
    }
    return 0;
}

int
refusals_next(struct refusals *refusals, struct sheaf_refusal *refusal,
              struct err *err)
{
    struct slice line;
    const char *end;

    while (refusals->used == refusals->page.bytes) {
        int rc = refusals->has_more ? turn(refusals, err) : 1;

        if (rc != 0)
            return rc;
    }
    line.data = refusals->page.data + refusals->used;
    line.bytes = refusals->page.bytes - refusals->used;
    end = memchr(line.data, '\n', line.bytes);
    refusals->used = refusals->page.bytes;
    if (end) {
        line.bytes = (size_t)(end - line.data);
        refusals->used = (size_t)(end + 1 - refusals->page.data);
    }
    return parse(refusals, line, refusal, err);
}
