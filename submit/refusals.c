/* SPDX-License-Identifier: MIT */
#include "submit/refusals.h"

#define INDEX_MAX (INT64_C(1) << 53)

void
refusals_init(struct refusals *refusals, struct sheaf *sheaf, const char *batch,
              int64_t index)
{
    struct sheaf_query query = { .verb = "refusals",
                                 .batch = batch,
                                 .cursor = index };

    *refusals = (struct refusals){ .doc = { 0 } };
    pages_init(&refusals->pages, sheaf, &query);
}

void
refusals_fini(struct refusals *refusals)
{
    for (size_t i = 0; i < REFUSALS_TEXTS; i++)
        buf_fini(&refusals->texts[i]);
    pages_fini(&refusals->pages);
    json_fini(&refusals->doc);
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
    int rc = pages_next(&refusals->pages, &line, err);

    return rc == 0 ? parse(refusals, line, refusal, err) : rc;
}
