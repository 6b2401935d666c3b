/* SPDX-License-Identifier: MIT */
#include "queue/body.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/mem.h"
#include "queue/prompt.h"
#include "tests/draft_play.h"

TestSuite(body, .timeout = 60);

#define ROUNDS 3000

static struct conf conf;
static struct line line, options;
static struct line_fault fault;
static struct body body;
static struct buf sent, canonical, again;
static struct json_doc doc;

static void
set_up(void)
{
    static const char *const names[] = { "one", "two", "three", "four" };

    conf_init(&conf);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        conf.upstreams[conf.upstream_count++] = (struct conf_upstream){
            .name = mem_dup_str(names[i]),
            .base_url = mem_dup_str("https://api.example/v1"),
            .path = mem_dup_str("/chat/completions"),
        };
    }
}

static void
tear_down(void)
{
    body_fini(&body);
    buf_fini(&sent);
    buf_fini(&canonical);
    buf_fini(&again);
    json_fini(&doc);
    line_fini(&line);
    line_fini(&options);
    conf_fini(&conf);
}

static void
read_lines(const char *options_text, const char *text)
{
    cr_assert_eq(
        line_read_options(&options, &conf, slice_of(options_text), &fault), 0,
        "%s: %s %s", options_text, fault.field, fault.message);
    cr_assert_eq(line_read(&line, &conf, slice_of(text), &fault), 0,
                 "%s: %s %s", text, fault.field, fault.message);
}

/* Its list, its two forms, and what a reader finds in them, are the same. */
static void
check_body(const struct body_terms *terms)
{
    size_t tokens = body_list(&body, terms), text_at = SIZE_MAX;
    struct slice text = json_raw(&line.doc, line.fields[LINE_TEXT]);

    buf_reset(&sent);
    buf_reset(&canonical);
    buf_reset(&again);
    body_write_canonical(&body, &canonical, &text_at);
    body_write(&body, &sent);
    cr_assert_eq(json_parse(&doc, sent.data, sent.bytes, JSON_INPUT, NULL), 0,
                 "%s", sent.data);
    cr_assert_eq(doc.count, tokens, "%s: %zu tokens, %zu listed", sent.data,
                 doc.count, tokens);
    json_canonical(&doc, 0, &again);
    cr_assert_str_eq(canonical.data, again.data, "\n got %s\nwant %s",
                     canonical.data, again.data);
    cr_assert_eq(text_at != SIZE_MAX, text.bytes > 0);
    if (text.bytes > 0)
        cr_assert_arr_eq(canonical.data + text_at, text.data, text.bytes);
}

Test(body, is_canonical_without_being_read_again, .init = set_up,
     .fini = tear_down)
{
    static const char *const models[] = { NULL, "m", "a \"model\" \\ \u00fc" };
    struct draft_play play = { .chance = 7 };
    struct buf own = { 0 }, text = { 0 };

    for (size_t i = 0; i < ROUNDS; i++) {
        struct body_terms terms = { .line = &line,
                                    .options = &options,
                                    .model = models[i % 3],
                                    .limit = (int64_t)(i % 2 * 100),
                                    .is_enlarged = i % 5 == 0 };

        draft_play_options(&play, &own);
        draft_play_draft(&play, i, &text);
        read_lines(own.data, text.data);
        check_body(&terms);
    }
    draft_play_fini(&play);
    buf_fini(&own);
    buf_fini(&text);
}

/* A line that holds as many values as there may be, and a body more. */
Test(body, has_as_many_tokens_as_a_reader_takes, .init = set_up,
     .fini = tear_down)
{
    struct prompt prompt = { 0 };
    struct buf text = { 0 };
    int made = 0, refused = 0;

    conf.line_bytes_max = 4194304;
    for (int less = 40; less > 9; less--) {
        struct body_terms terms = { .line = &line, .options = &options };
        size_t tokens;
        int rc;

        buf_reset(&text);
        buf_add_str(&text, "{\"id\":\"a\",\"text\":\"x\",\"extra\":{\"k\":[0");
        for (int i = 1; i < JSON_TOKEN_MAX - less; i++)
            buf_add_str(&text, ",0");
        buf_add_str(&text, "]}}");
        read_lines("{\"seed\":1,\"constraints\":[\"a\",\"b\"]}", text.data);
        tokens = body_list(&body, &terms);
        rc = prompt_make(&prompt, &line, &options, &conf, &fault);
        cr_expect_eq(rc, tokens > JSON_TOKEN_MAX ? E_INVALID : 0, "%zu: %d",
                     tokens, rc);
        if (rc < 0)
            cr_expect_str_eq(fault.code, "too_long");
        if (tokens == JSON_TOKEN_MAX)
            made++;
        if (tokens == JSON_TOKEN_MAX + 1)
            refused++;
        if (rc == 0)
            check_body(&terms);
    }
    cr_expect_eq(made, 1);
    cr_expect_eq(refused, 1);
    prompt_fini(&prompt);
    buf_fini(&text);
}
