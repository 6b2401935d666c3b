/* SPDX-License-Identifier: MIT */
#include "submit/stored.h"

#include <string.h>

#define DRAFTS_MAX UINT32_MAX

void
stored_init(struct stored *stored, struct sheaf *sheaf, const char *batch)
{
    struct sheaf_query query = { .verb = "chunks", .batch = batch };

    *stored = (struct stored){ .digest = digest_new() };
    pages_init(&stored->pages, sheaf, &query);
}

void
stored_fini(struct stored *stored)
{
    pages_fini(&stored->pages);
    json_fini(&stored->doc);
    buf_fini(&stored->hex);
    digest_free(stored->digest);
}

/* Reads the next chunk's record. 1: there is none. */
static int
open_chunk(struct stored *stored, struct err *err)
{
    struct json_doc *doc = &stored->doc;
    struct slice line;
    size_t digest;
    int rc = pages_next(&stored->pages, &line, err);

    if (rc == 0)
        rc = json_parse(doc, line.data, line.bytes, JSON_REPLY, err);
    if (rc != 0)
        return rc;
    digest = json_member(doc, 0, "digest");
    buf_reset(&stored->hex);
    if (digest != JSON_NONE && doc->tokens[digest].type == JSON_STRING)
        json_decode(doc, digest, &stored->hex);
    if (json_int(doc, json_member(doc, 0, "drafts"), 1, DRAFTS_MAX,
                 &stored->left) < 0 ||
        digest_from_hex(stored->hex.data, stored->hex.bytes, stored->wanted) <
            0) {
        return err_set(err, E_PROTOCOL, "the broker's chunk cannot be read");
    }
    return 0;
}

int
stored_take(struct stored *stored, struct slice line, struct err *err)
{
    unsigned char digest[DIGEST_BYTES];
    int rc = stored->left == 0 ? open_chunk(stored, err) : 0;

    if (rc != 0)
        return rc;
    digest_add(stored->digest, line.data, line.bytes);
    digest_add(stored->digest, "\n", 1);
    if (--stored->left > 0)
        return 0;
    digest_final(stored->digest, digest);
    return memcmp(digest, stored->wanted, sizeof(digest)) != 0;
}
