/*
 * fuzz_line.c - any line is refused with a reason, or makes a request
 *
 * The input is a batch's options and a draft, divided by a newline. What is
 * read composes to a body that is JSON, with a key that stays the same, also
 * when the request gets more room; its text and goal are valid UTF-8.
 */
/* SPDX-License-Identifier: MIT */
#include "queue/line.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "queue/prompt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Not assert(): must also hold where that is compiled away. */
static void
must(bool is_true)
{
    if (!is_true)
        abort();
}

static void
must_explain(const struct line_fault *fault)
{
    must(fault->code != NULL);
    must(*fault->code != '\0');
    must(*fault->message != '\0');
    must(memchr(fault->field, '\0', sizeof(fault->field)) != NULL);
    must(memchr(fault->message, '\0', sizeof(fault->message)) != NULL);
}

static void
must_be_utf8(const struct buf *text)
{
    for (size_t i = 0, length; i < text->bytes; i += length) {
        length = json_utf8(text->data + i, text->bytes - i);
        must(length > 0);
    }
}

static void
must_be_json(const struct prompt *prompt)
{
    struct json_doc doc = { 0 };

    must(json_parse(&doc, prompt->body.data, prompt->body.bytes, JSON_INPUT,
                    NULL) == 0);
    must(doc.tokens[0].type == JSON_OBJECT);
    json_fini(&doc);
}

/* The same when it is made again, by what was kept, and spelt out. */
static void
must_keep_its_key(struct prompt *prompt, const struct line *line,
                  const struct line *options, const struct conf *conf)
{
    struct prompt spelt = { 0 };
    struct line_fault fault;

    for (int i = 0; i < 2; i++) {
        must(prompt_spell(&spelt, line, options, conf, &fault) == 0);
        must(memcmp(prompt->key, spelt.key, sizeof(prompt->key)) == 0);
        must(slice_equal(buf_slice(&prompt->names), buf_slice(&spelt.names)));
        must(prompt->model_tag == spelt.model_tag);
        must(prompt->kind == spelt.kind);
        must(prompt->tag == spelt.tag);
        must(prompt->chars == spelt.chars);
        must(prompt->body_bytes == spelt.body_bytes);
        must(prompt->answer_tokens == spelt.answer_tokens);
        must(prompt_make(prompt, line, options, conf, &fault) == 0);
    }
    prompt_fini(&spelt);
}

static void
compose(const struct line *line, const struct line *options,
        const struct conf *conf)
{
    const struct conf_upstream *upstream;
    struct prompt prompt = { 0 }, again = { 0 };
    struct line_fault fault = { 0 };
    struct buf text = { 0 };

    if (prompt_make(&prompt, line, options, conf, &fault) < 0) {
        must_explain(&fault);
        prompt_fini(&prompt);
        return;
    }
    must_keep_its_key(&prompt, line, options, conf);
    must(prompt_route(&prompt, line, options, conf, &fault) == 0);
    upstream = prompt_member(&prompt, conf, 0);
    prompt_aim(&prompt, line, options, upstream, 0);
    must(prompt.body.bytes == prompt.body_bytes);
    must_be_json(&prompt);
    must(prompt.path.bytes > 0);
    must(prompt.path.data[0] == '/');
    must(prompt_route(&again, line, options, conf, &fault) == 0);
    prompt_aim(&again, line, options, upstream, REQUEST_ENLARGED);
    must_be_json(&again);
    if (!prompt_can_enlarge(line, options, NULL))
        must(slice_equal(buf_slice(&prompt.body), buf_slice(&again.body)));
    prompt_text(line, &text);
    must_be_utf8(&text);
    buf_reset(&text);
    prompt_goal(line, options, &text);
    must_be_utf8(&text);
    buf_fini(&text);
    prompt_fini(&prompt);
    prompt_fini(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const char *text = (const char *)data;
    const char *end = bytes ? memchr(text, '\n', bytes) : NULL;
    struct slice first = { text, end ? (size_t)(end - text) : 0 };
    struct slice second = { end ? end + 1 : text,
                            bytes - (end ? first.bytes + 1 : 0) };
    struct line line = { 0 }, options = { 0 };
    struct line_fault fault = { 0 };
    struct conf conf;

    conf_init(&conf);
    conf.upstreams[conf.upstream_count++] = (struct conf_upstream){
        .name = mem_dup_str("one"),
        .base_url = mem_dup_str("https://api.example/v1"),
        .model = mem_dup_str("m \"1\""),
        .path = mem_dup_str("/chat/completions"),
    };
    if (line_read_options(&options, &conf, first, &fault) < 0) {
        must_explain(&fault);
        must(line_read_options(&options, &conf, (struct slice){ 0 }, &fault) ==
             0);
    }
    if (line_read(&line, &conf, second, &fault) < 0) {
        must_explain(&fault);
    } else {
        must(line.id.bytes > 0);
        must_be_utf8(&line.id);
        compose(&line, &options, &conf);
    }
    line_fini(&line);
    line_fini(&options);
    conf_fini(&conf);
    return 0;
}
