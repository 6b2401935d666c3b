/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "queue/prompt.h"
#include "tests/draft_play.h"

#define ROUNDS   1500 /* of random options */
#define IN_ROUND 8    /* random drafts of each */

/* The digests of all their keys, and of what else intake learns of them. */
#define ALL_KEYS \
    "28bb4e06c96b8d04b99cfef3a3e3040029b1827f08ebc1a5264108f14e476f49"
#define ALL_FACTS \
    "bae2f84cf96aa123163b76b4c4f13f85198d4078b797fd121bb7b245d8fa33b5"

static struct conf conf;
static struct line line, options;
static struct line_fault fault;
static struct prompt prompt;
static struct draft_play play;

static struct conf_upstream
upstream(const char *name, const char *model, const char *path)
{
    return (struct conf_upstream){
        .name = mem_dup_str(name),
        .base_url = mem_dup_str("https://api.example/v1"),
        .model = mem_dup_str(model),
        .path = mem_dup_str(path),
    };
}

static void
set_up(void)
{
    conf_init(&conf);
    conf.upstreams[0] = upstream("one", "m-1", "/chat/completions");
    conf.upstreams[1] = upstream("two", NULL, "/openai/chat?v=1");
    conf.upstreams[2] = upstream("three", "m \"3\"", "/api/chat");
    conf.upstreams[2].dialect = mem_dup_str("ollama");
    conf.upstreams[3] = upstream("four", "m-4", "/chat/completions");
    conf.upstreams[3].max_tokens_default = 100;
    conf.upstream_count = 4;
    play.chance = 1;
}

static void
tear_down(void)
{
    draft_play_fini(&play);
    prompt_fini(&prompt);
    line_fini(&line);
    line_fini(&options);
    conf_fini(&conf);
}

/* ---- the same key, made as plainly as can be ---- */

static struct slice
inner(struct slice token)
{
    return (struct slice){ token.data + 1, token.bytes - 2 };
}

static struct slice
field(enum line_field which)
{
    return line_field(&line, &options, which);
}

static void
plain_member(struct buf *body, const char *name, struct slice token)
{
    if (token.bytes) {
        buf_addf(body, "%s\"%s\":", body->bytes > 1 ? "," : "", name);
        buf_add_slice(body, token);
    }
}

static void
plain_system(struct buf *body, bool has_default)
{
    struct slice constraints = field(LINE_CONSTRAINTS);
    struct json_doc doc = { 0 };
    struct buf text = { 0 };

    if (field(LINE_SYSTEM).bytes) {
        buf_add_slice(&text, inner(field(LINE_SYSTEM)));
        has_default = true;
    } else if (has_default) {
        buf_add_str(&text, "You are a careful assistant. Work on the text of "
                           "the user message and answer with the result only.");
    }
    if (field(LINE_GOAL).bytes) {
        buf_add_str(&text, has_default ? "\\n\\nGoal: " : "Goal: ");
        buf_add_slice(&text, inner(field(LINE_GOAL)));
        has_default = true;
    }
    if (constraints.bytes && memchr(constraints.data, '"', constraints.bytes)) {
        buf_add_str(&text, has_default ? "\\n\\nConstraints:" : "Constraints:");
        cr_assert_eq(json_parse(&doc, constraints.data, constraints.bytes,
                                JSON_INPUT, NULL),
                     0);
        for (size_t i = 1; i < doc.count; i++) {
            buf_add_str(&text, "\\n- ");
            buf_add_slice(&text, json_inner(&doc, i));
        }
        has_default = true;
    }
    if (has_default) {
        buf_add_str(body, "{\"role\":\"system\",\"content\":\"");
        buf_add_slice(body, buf_slice(&text));
        buf_add_str(body, "\"},");
    }
    json_fini(&doc);
    buf_fini(&text);
}

static void
plain_messages(struct buf *body)
{
    buf_add_str(body, body->bytes > 1 ? ",\"messages\":[" : "\"messages\":[");
    plain_system(body, field(LINE_TEXT).bytes > 0);
    if (field(LINE_TEXT).bytes) {
        buf_add_str(body, "{\"role\":\"user\",\"content\":");
        buf_add_slice(body, field(LINE_TEXT));
        buf_add_str(body, "}]");
    } else {
        buf_add_slice(body, inner(field(LINE_MESSAGES)));
        buf_add_char(body, ']');
    }
}

/* What an upstream allows where a draft names nothing, under any name. */
static int64_t
plain_limit(const struct conf_upstream *upstream)
{
    struct json_doc doc = { 0 };
    struct slice extra = field(LINE_EXTRA);
    bool is_named = false;

    if (extra.bytes) {
        cr_assert_eq(
            json_parse(&doc, extra.data, extra.bytes, JSON_INPUT, NULL), 0);
        is_named = json_member(&doc, 0, "max_completion_tokens") != JSON_NONE ||
                   json_member(&doc, 0, "max_tokens") != JSON_NONE;
        json_fini(&doc);
    }
    return is_named || !upstream ? 0 : upstream->max_tokens_default;
}

/* The body of the identity, as it would be sent. */
static void
plain_body(struct buf *body, const struct conf_upstream *upstream,
           bool is_local)
{
    if (line.is_batch_line) {
        buf_add_slice(body, field(LINE_BODY));
        return;
    }
    buf_add_char(body, '{');
    if (field(LINE_MODEL).bytes) {
        plain_member(body, "model", field(LINE_MODEL));
    } else if (upstream && upstream->model) {
        buf_add_str(body, "\"model\":");
        json_write_string(body, upstream->model, strlen(upstream->model));
    } else if (is_local) {
        buf_add_str(body, "\"model\":\"local\"");
    }
    plain_messages(body);
    plain_member(body, "temperature", field(LINE_TEMPERATURE));
    plain_member(body, "top_p", field(LINE_TOP_P));
    plain_member(body, "stop", field(LINE_STOP));
    plain_member(body, "seed", field(LINE_SEED));
    plain_member(body, "response_format", field(LINE_RESPONSE_FORMAT));
    plain_member(body, "max_tokens", field(LINE_MAX_TOKENS));
    if (!field(LINE_MAX_TOKENS).bytes && plain_limit(upstream)) {
        buf_addf(body, ",\"max_tokens\":%lld",
                 (long long)plain_limit(upstream));
    }
    if (field(LINE_EXTRA).bytes &&
        memchr(field(LINE_EXTRA).data, '"', field(LINE_EXTRA).bytes)) {
        buf_add_char(body, ',');
        buf_add_slice(body, inner(field(LINE_EXTRA)));
    }
    buf_add_char(body, '}');
}

/* The path at an upstream; that of chats is the upstream's own. */
static void
plain_path(struct buf *out, const struct conf_upstream *upstream)
{
    const char *chat = upstream ? upstream->path : "/chat/completions";
    struct slice url = field(LINE_URL);

    if (!line.is_batch_line || slice_is(url, "\"/v1/chat/completions\""))
        buf_add_str(out, chat);
    else
        buf_add(out, url.data + 4, url.bytes - 5);
}

static void
plain_route(struct buf *out, const struct route *route)
{
    route_text(&conf, route, out);
    buf_add_char(out, '\0');
    for (size_t i = 0; i < route->count; i++)
        buf_addf(out, "%s%s", i ? "\n" : "",
                 conf.upstreams[route->members[i]].base_url);
    buf_add_char(out, '\0');
    if (route->count == 0)
        plain_path(out, NULL);
    for (size_t i = 0; i < route->count; i++) {
        const struct conf_upstream *member = &conf.upstreams[route->members[i]];

        buf_add_str(out, i ? "\n" : "");
        plain_path(out, member);
        if (route->count > 1)
            buf_addf(out, "\n%s\n%s\n%lld", member->model ? member->model : "",
                     member->dialect ? member->dialect : "openai",
                     (long long)plain_limit(member));
    }
    buf_add_char(out, '\0');
    if (route->count == 1 && conf.upstreams[route->members[0]].dialect) {
        buf_add_str(out, conf.upstreams[route->members[0]].dialect);
        buf_add_char(out, '\0');
    }
}

/* Composes the body, reads it again, and writes it canonically. */
static void
plain_identity(struct buf *out)
{
    struct json_doc doc = { 0 };
    struct buf names = { 0 }, body = { 0 };
    struct route route;

    buf_reset(out);
    buf_add(out, "sheaf request 1", 16);
    route_default(&conf, &route);
    if (field(LINE_UPSTREAM).bytes) {
        json_decode_inner(inner(field(LINE_UPSTREAM)), &names);
        cr_assert_eq(route_parse(&conf, buf_slice(&names), &route, NULL), 0);
    }
    plain_route(out, &route);
    buf_add_slice(out, field(LINE_SAMPLE_INDEX));
    buf_add_char(out, '\0');
    buf_add(out, field(LINE_TEXT).bytes ? "text" : "raw\0",
            field(LINE_TEXT).bytes ? 5 : 4);
    plain_body(&body,
               route.count == 1 ? &conf.upstreams[route.members[0]] : NULL,
               route.count == 0);
    cr_assert_eq(json_parse(&doc, body.data, body.bytes, JSON_INPUT, NULL), 0,
                 "%s", body.data);
    json_canonical(&doc, 0, out);
    buf_add_char(out, '\0');
    json_fini(&doc);
    buf_fini(&names);
    buf_fini(&body);
}

/* ---- claims ---- */

static void
read_options(const char *text)
{
    cr_assert_eq(line_read_options(&options, &conf, slice_of(text), &fault), 0,
                 "%s: %s %s", text, fault.field, fault.message);
}

static void
read_draft(const char *text)
{
    cr_assert_eq(line_read(&line, &conf, slice_of(text), &fault), 0,
                 "%s: %s %s", text, fault.field, fault.message);
}

static void
expect_key(const char *options_text, const char *text, const char *want)
{
    char hex[DIGEST_HEX_BYTES];

    read_options(options_text);
    read_draft(text);
    cr_assert_eq(prompt_make(&prompt, &line, &options, &conf, &fault), 0);
    digest_hex(prompt.key, hex);
    cr_expect_str_eq(hex, want, "%s %s: %s", options_text, text, hex);
}

#define LINE_OF(url, body)                                              \
    "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/" url "\"," \
    "\"body\":" body "}"

/* They stand in stores: whatever changes in how they are made, they stay. */
Test(prompt_key, keys_are_what_they_always_were, .init = set_up,
     .fini = tear_down)
{
    static const struct {
        const char *options, *text, *key;
    } cases[] = {
        { "", "{\"id\":\"a\",\"text\":\"x\"}",
          "39cf0e63c50ed94a6bfd064d2a8a320edff4f29413902352390e0291518e06df" },
        { "{\"goal\":\"Summarize this ticket\"}",
          "{\"id\":\"a\",\"text\":\"The r\\u00e9sum\u00e9\\n of \\\"it\\\" "
          "\U0001f600\",\"metadata\":{\"k\":[1]}}",
          "12bec5413ca6122088be381a9e5a02edec65525284500c7ec54417dada4fdca1" },
        { "{\"goal\":\"g\",\"constraints\":[ \"c\", "
          "\"d\"],\"system\":\"s\",\"model\":\"m\",\"temperature\":0.20,\"top_"
          "p\":1.0,\"max_tokens\":50,\"stop\":[ \"q\" "
          "],\"seed\":-1,\"response_format\":{ \"type\" : "
          "\"text\"},\"upstream\":\"two\",\"extra\":{ \"user\":{ \"z\":1 , "
          "\"a\":[ ] },\"min\":0}}",
          "{\"text\":\"x\",\"id\":\"b\"}",
          "055cae13da651b56465a867a2a71e53732467dd6d6819b2192fe24d4396d9cfa" },
        { "{\"upstream\":\"four,one\"}", "{\"id\":\"a\",\"text\":\"\"}",
          "ab5aa589463b5c90c436354a13acb55f9c61d747cb242f8345eb82de39f655a8" },
        { "{\"upstream\":\"three\"}",
          "{\"id\":\"a\",\"text\":\"x\",\"sample_index\":3}",
          "62f111b3dfa3a37cfad24b9cd5ada03f9b498dcbefe593c8017dafffe94c7d3b" },
        { "{\"upstream\":\"four\",\"goal\":\"g\"}",
          "{\"id\":\"a\",\"messages\":[{\"role\":\"system\", "
          "\"content\":\"s\"},{\"content\":[ "
          "{\"type\":\"text\",\"text\":\"x\"} ],\"role\":\"user\"}]}",
          "a16cae2b4b4b958a04e55cc15a9f32bb89507b0fb5c2f0188f6271f3bdc980d2" },
        { "{\"goal\":\"g\"}",
          LINE_OF("chat/completions",
                  "{ \"messages\":[ {\"role\":\"user\", \"content\":\"x\"} ], "
                  "\"max_completion_tokens\":5,\"model\":\"m\"}"),
          "51c12fa95bfc2544852a3efdd2f58ba6b4565cfae5b2005a18a95ad46c5ec0e2" },
        { "{\"upstream\":\"two\"}",
          LINE_OF("embeddings", "{\"model\":\"e\",\"input\":[ \"x\" ]}"),
          "94a5bd82436d4b0a70347af874b06a3165c521948cec27bcaf959d92b3e839fe" },
        { "{\"upstream\":\"local\"}", "{\"id\":\"a\",\"text\":\"x\"}",
          "ebfe9f4b25da7a671f9468c1397d0f442187285b130e9315c9c9a04d80546c2c" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_key(cases[i].options, cases[i].text, cases[i].key);
}

/* What intake learns of a draft beside its key. */
static void
add_facts(struct digest *facts)
{
    uint64_t numbers[] = { prompt.kind, prompt.model_tag, prompt.tag,
                           prompt.chars, prompt_tokens(&prompt, &conf) };

    digest_add(facts, numbers, sizeof(numbers));
    digest_add(facts, prompt.names.data, prompt.names.bytes);
}

/* Drafts of all kinds, each as the next of a batch's. */
Test(prompt_key, keys_are_those_of_a_body_read_again, .init = set_up,
     .fini = tear_down)
{
    struct buf text = { 0 }, own = { 0 }, identity = { 0 };
    struct digest *all = digest_new(), *facts = digest_new();
    unsigned char key[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    size_t made = 0;

    for (size_t i = 0; i < ROUNDS; i++) {
        draft_play_options(&play, &own);
        read_options(own.data);
        for (size_t j = 0; j < IN_ROUND; j++) {
            draft_play_draft(&play, j, &text);
            read_draft(text.data);
            if (prompt_make(&prompt, &line, &options, &conf, &fault) < 0) {
                cr_assert_str_eq(fault.code, "bad_url", "%s", fault.message);
                continue;
            }
            plain_identity(&identity);
            digest_of(identity.data, identity.bytes, key);
            cr_assert_arr_eq(prompt.key, key, sizeof(key), "%s %s", own.data,
                             text.data);
            digest_add(all, key, sizeof(key));
            add_facts(facts);
            made++;
        }
    }
    cr_expect_gt(made, ROUNDS * IN_ROUND * 9 / 10);
    digest_final(all, key);
    digest_hex(key, hex);
    cr_expect_str_eq(hex, ALL_KEYS, "all keys: %s", hex);
    digest_final(facts, key);
    digest_hex(key, hex);
    cr_expect_str_eq(hex, ALL_FACTS, "all facts: %s", hex);
    digest_free(all);
    digest_free(facts);
    buf_fini(&text);
    buf_fini(&own);
    buf_fini(&identity);
}
