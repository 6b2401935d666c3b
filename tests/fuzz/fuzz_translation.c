/*
 * fuzz_translation.c - a chat completion of any bytes, in every dialect
 *
 * Up to the first line feed the input is the name of the model at the upstream;
 * the rest is the body. What comes out is JSON by the strict rules and a path
 * in one line, or there is a reason; and a dialect that sends bodies as they
 * are has no reason to refuse one.
 */
/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "worker/translation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void
check_path(const struct buf *path)
{
    assert(path->bytes > 0);
    assert(path->data[0] == '/');
    for (size_t i = 0; i < path->bytes; i++) {
        assert(path->data[i] > ' ');
        assert(path->data[i] < 0x7f);
    }
    assert(!strstr(path->data, DIALECT_MODEL));
}

static void
check_body(const struct dialect *dialect, const struct buf *body)
{
    struct json_doc doc = { 0 };
    int rc = json_parse(&doc, body->data, body->bytes, JSON_INPUT, NULL);

    assert(rc == 0);
    assert(doc.tokens[0].type == JSON_OBJECT);
    assert(!strcmp(dialect->name, "ollama") == 0 ||
           doc.tokens[json_member(&doc, 0, "stream")].type == JSON_FALSE);
    assert(!strcmp(dialect->name, "anthropic") == 0 ||
           json_member(&doc, 0, "max_tokens") != JSON_NONE);
    json_fini(&doc);
}

static void
try_dialect(const struct dialect *dialect, const char *model, struct slice text)
{
    const struct translation_order order = {
        .dialect = dialect, .path = dialect->path, .model = model, .body = text
    };
    struct buf path = { 0 }, body = { 0 };
    struct err err = { 0 };
    int rc = translation_make(&order, &path, &body, &err);

    if (rc == 0) {
        check_path(&path);
        if (body.bytes > 0)
            check_body(dialect, &body);
        else
            assert(dialect->is_openai);
    } else {
        assert(err.msg[0]);
        assert(!dialect->is_openai || *model || dialect->api_version);
    }
    buf_fini(&path);
    buf_fini(&body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const char *text = (const char *)data;
    const char *end = bytes ? memchr(text, '\n', bytes) : NULL;
    size_t model_bytes = end ? (size_t)(end - text) : 0;
    char *model = malloc(model_bytes + 1);
    struct slice body = { end ? end + 1 : text,
                          bytes - (end ? model_bytes + 1 : 0) };
    const struct dialect *dialect;

    assert(model);
    if (model_bytes)
        memcpy(model, text, model_bytes);
    model[model_bytes] = '\0';
    for (size_t i = 0; (dialect = dialect_at(i)); i++)
        try_dialect(dialect, model, body);
    free(model);
    return 0;
}
