/* SPDX-License-Identifier: MIT */
#include "queue/prompt.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static struct conf conf;
static struct line line, options;
static struct line_fault fault;
static struct prompt prompt;

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
    conf.upstream_count = 2;
}

static void
tear_down(void)
{
    prompt_fini(&prompt);
    line_fini(&line);
    line_fini(&options);
    conf_fini(&conf);
}

static bool
can_enlarge(void)
{
    return prompt_can_enlarge(&line, &options,
                              conf_upstream(&conf, prompt.names.data));
}

/* Makes a draft's key, by the configuration as it is now, and composes it for the
 * first of its route. What comes out must be JSON. */
static int
make(const char *text, const char *options_text, unsigned flags)
{
    struct json_doc doc = { 0 };
    int rc;

    prompt_fini(&prompt);
    cr_assert_eq(
        line_read_options(&options, &conf, slice_of(options_text), &fault), 0,
        "%s: %s", options_text, fault.message);
    cr_assert_eq(line_read(&line, &conf, slice_of(text), &fault), 0,
                 "%s: %s %s", text, fault.field, fault.message);
    rc = prompt_make(&prompt, &line, &options, &conf, &fault);
    if (rc == 0)
        rc = prompt_route(&prompt, &line, &options, &conf, &fault);
    if (rc == 0) {
        prompt_aim(&prompt, &line, &options, prompt_member(&prompt, &conf, 0),
                   flags);
        cr_assert_eq(json_parse(&doc, prompt.body.data, prompt.body.bytes,
                                JSON_INPUT, NULL),
                     0, "%s", prompt.body.data);
    }
    json_fini(&doc);
    return rc;
}

/* ---- bodies ---- */

#define DEFAULT                                                          \
    "You are a careful assistant. Work on the text of the user message " \
    "and answer with the result only."
#define SYSTEM(text) "{\"role\":\"system\",\"content\":\"" text "\"},"
#define USER(text)   "{\"role\":\"user\",\"content\":\"" text "\"}"

Test(prompt, bodies_are_composed_of_what_came, .init = set_up,
     .fini = tear_down)
{
    static const struct {
        const char *text, *options, *body;
    } cases[] = {
        { "{\"id\":\"a\",\"text\":\"x\"}", "",
          "{\"model\":\"m-1\",\"messages\":[" SYSTEM(DEFAULT) USER("x") "]}" },
        { "{\"id\":\"a\",\"text\":\"x\",\"goal\":\"Sum up\",\"constraints\":"
          "[\"in English\",\"short\"]}",
          "",
          "{\"model\":\"m-1\",\"messages\":[" SYSTEM(
              DEFAULT "\\n\\nGoal: Sum up\\n\\nConstraints:\\n- in "
                      "English\\n- short") USER("x") "]}" },
        { "{\"id\":\"a\",\"text\":\"x\"}",
          "{\"goal\":\"G\",\"system\":\"Be terse.\",\"constraints\":[]}",
          "{\"model\":\"m-1\",\"messages\":[" SYSTEM("Be terse.\\n\\nGoal: G")
              USER("x") "]}" },
        { "{\"id\":\"a\",\"text\":\"x\",\"constraints\":[ ]}",
          "{\"constraints\":[\"not this one\"]}",
          "{\"model\":\"m-1\",\"messages\":[" SYSTEM(DEFAULT) USER("x") "]}" },
        { "{\"id\":\"a\",\"text\":\"x\",\"constraints\":[\"c\"],"
          "\"system\":\"\"}",
          "",
          "{\"model\":\"m-1\",\"messages\":[" SYSTEM("\\n\\nConstraints:\\n- c")
              USER("x") "]}" },
        /* Escapes, numbers and other scripts stay as they are spelt. */
        { "{\"id\":\"a\",\"text\":\"\\u00fc\u00fc\\/\\\"\\ud83d\\ude00\u6f22\","
          "\"goal\":\"\\\\\\n\",\"constraints\":[\"\\u003c\"],"
          "\"temperature\":1.50e0,\"top_p\":1.0,\"seed\":-0}",
          "",
          "{\"model\":\"m-1\",\"messages\":[" SYSTEM(
              DEFAULT "\\n\\nGoal: \\\\\\n\\n\\nConstraints:\\n- \\u003c")
              USER("\\u00fc\u00fc\\/\\\"\\ud83d\\ude00\u6f22") "],"
                                                               "\"temperature\""
                                                               ":1.50e0,\"top_"
                                                               "p\":1.0,"
                                                               "\"seed\":-0}" },
        /* Options stand behind, in one order. */
        { "{\"id\":\"a\",\"extra\":{ \"n\" : 2 , \"o\":{\"p\":[]} },"
          "\"text\":\"x\",\"max_tokens\":9,\"seed\":7}",
          "{\"seed\":1,\"stop\":[ \"a\" ],\"top_p\":0.5,\"temperature\":0,"
          "\"response_format\":{\"type\" : \"json_object\"}}",
          "{\"model\":\"m-1\",\"messages\":[" SYSTEM(DEFAULT)
              USER("x") "],\"temperature\":0,\"top_p\":0.5,\"stop\":[ \"a\" ],"
                        "\"seed\":7,\"response_format\":{\"type\" : "
                        "\"json_object\"},\"max_tokens\":9, \"n\" : 2 , "
                        "\"o\":{\"p\":[]} }" },
        { "{\"id\":\"a\",\"text\":\"x\",\"extra\":{ }}",
          "{\"extra\":{\"n\":1}}",
          "{\"model\":\"m-1\",\"messages\":[" SYSTEM(DEFAULT) USER("x") "]}" },
        { "{\"id\":\"a\",\"text\":\"x\",\"model\":\"own\"}",
          "{\"model\":\"of all\"}",
          "{\"model\":\"own\",\"messages\":[" SYSTEM(DEFAULT) USER("x") "]}" },
        /* Without a model; the built-in sampler. */
        { "{\"id\":\"a\",\"text\":\"x\",\"upstream\":\"two\"}", "",
          "{\"messages\":[" SYSTEM(DEFAULT) USER("x") "]}" },
        { "{\"id\":\"a\",\"text\":\"x\",\"upstream\":\"local\"}", "",
          "{\"model\":\"local\",\"messages\":[" SYSTEM(DEFAULT)
              USER("x") "]}" },
        /* Messages as they came, behind what the options say. */
        { "{\"id\":\"a\",\"messages\":[ {\"role\" : \"user\",\"content\":"
          "[{\"type\":\"text\",\"text\":\"hi\"}]} ]}",
          "",
          "{\"model\":\"m-1\",\"messages\":[ {\"role\" : \"user\",\"content\":"
          "[{\"type\":\"text\",\"text\":\"hi\"}]} ]}" },
        { "{\"id\":\"a\",\"messages\":[" USER("hi") "]}",
          "{\"goal\":\"G\",\"constraints\":[\"c\"]}",
          "{\"model\":\"m-1\",\"messages\":[" SYSTEM(
              "Goal: G\\n\\nConstraints:\\n- c") USER("hi") "]}" },
        { "{\"id\":\"a\",\"messages\":[" USER("hi") "],\"constraints\":[]}", "",
          "{\"model\":\"m-1\",\"messages\":[" USER("hi") "]}" },
        /* A batch line's body, byte for byte; options are no part of it. */
        { "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":"
          "\"/v1/chat/completions\",\"body\":{ \"model\":\"gpt\", "
          "\"messages\":[], \"x\":1e2 }}",
          "{\"goal\":\"G\",\"max_tokens\":5}",
          "{ \"model\":\"gpt\", \"messages\":[], \"x\":1e2 }" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_assert_eq(make(cases[i].text, cases[i].options, 0), 0, "%s",
                     cases[i].text);
        cr_expect_str_eq(prompt.body.data, cases[i].body,
                         "%s:\n  got %s\n want %s", cases[i].text,
                         prompt.body.data, cases[i].body);
    }
}

Test(prompt, a_draft_knows_its_route, .init = set_up, .fini = tear_down)
{
    static const struct {
        const char *text, *upstream, *path;
        enum request_kind kind;
    } cases[] = {
        { "{\"id\":\"a\",\"text\":\"x\"}", "one", "/chat/completions",
          REQUEST_TEXT },
        { "{\"id\":\"a\",\"text\":\"x\",\"upstream\":\"t\\u0077o\"}", "two",
          "/openai/chat?v=1", REQUEST_TEXT },
        { "{\"id\":\"a\",\"text\":\"x\",\"upstream\":\"local\"}", "local",
          "/chat/completions", REQUEST_TEXT },
        { "{\"id\":\"a\",\"messages\":[" USER("x") "]}", "one",
          "/chat/completions", REQUEST_RAW },
        { "{\"id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/embeddings\","
          "\"body\":{}}",
          "one", "/embeddings", REQUEST_RAW },
        { "{\"id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\","
          "\"body\":{},\"upstream\":\"two\"}",
          "two", "/openai/chat?v=1", REQUEST_RAW },
        { "{\"id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/responses\","
          "\"body\":{},\"upstream\":\"two\"}",
          "two", "/responses", REQUEST_RAW },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_assert_eq(make(cases[i].text, "", 0), 0);
        cr_expect_str_eq(prompt.names.data, cases[i].upstream);
        cr_expect_str_eq(prompt.path.data, cases[i].path);
        cr_expect_eq(prompt.kind, cases[i].kind);
    }
    cr_expect_eq(make("{\"id\":\"a\",\"method\":\"POST\",\"url\":"
                      "\"/v1/embeddings\",\"body\":{},\"upstream\":\"local\"}",
                      "", 0),
                 E_INVALID);
    cr_expect_str_eq(fault.code, "bad_url");
    cr_expect_str_eq(fault.field, "url");
}

Test(prompt, an_upstream_may_have_gone, .init = set_up, .fini = tear_down)
{
    cr_assert_eq(
        make("{\"id\":\"a\",\"text\":\"x\",\"upstream\":\"two\"}", "", 0), 0);
    conf.upstreams[1].name[0] = 'z';
    prompt_fini(&prompt);
    cr_expect_eq(prompt_make(&prompt, &line, &options, &conf, &fault),
                 E_INVALID);
    cr_expect_str_eq(fault.code, "unknown_upstream");
    fault.code = "";
    cr_expect_eq(prompt_route(&prompt, &line, &options, &conf, &fault),
                 E_INVALID);
    cr_expect_str_eq(fault.code, "unknown_upstream");
}

Test(prompt, what_was_cut_off_gets_more_room_and_keeps_its_key, .init = set_up,
     .fini = tear_down)
{
    static const char text[] =
        "{\"id\":\"a\",\"text\":\"x\",\"max_tokens\":1000000000}";
    unsigned char key[DIGEST_BYTES];

    cr_assert_eq(make(text, "", 0), 0);
    cr_expect(can_enlarge());
    memcpy(key, prompt.key, sizeof(key));
    cr_assert_eq(make(text, "", REQUEST_ENLARGED), 0);
    cr_expect_not_null(strstr(prompt.body.data, ",\"max_tokens\":2000000000}"));
    cr_expect_arr_eq(key, prompt.key, sizeof(key));
    cr_assert_eq(make("{\"id\":\"a\",\"text\":\"x\"}", "{\"max_tokens\":7}", 1),
                 0);
    cr_expect(can_enlarge());
    cr_expect_not_null(strstr(prompt.body.data, ",\"max_tokens\":14}"));
    cr_assert_eq(make("{\"id\":\"a\",\"text\":\"x\"}", "", 1), 0);
    cr_expect_not(can_enlarge());
    cr_expect_null(strstr(prompt.body.data, "max_tokens"));
    cr_assert_eq(make("{\"id\":\"a\",\"method\":\"POST\",\"url\":"
                      "\"/v1/chat/completions\",\"body\":{\"max_tokens\":5}}",
                      "{\"max_tokens\":7}", 1),
                 0);
    cr_expect_not(can_enlarge());
    cr_expect_str_eq(prompt.body.data, "{\"max_tokens\":5}");
}

Test(prompt, the_upstreams_limit_holds_where_none_is_named, .init = set_up,
     .fini = tear_down)
{
    static const char text[] = "{\"id\":\"a\",\"text\":\"x\"}";

    conf.upstreams[0].max_tokens_default = 100;
    cr_assert_eq(make(text, "", 0), 0);
    cr_expect_not_null(strstr(prompt.body.data, ",\"max_tokens\":100}"));
    cr_expect(can_enlarge());
    cr_assert_eq(make(text, "", REQUEST_ENLARGED), 0);
    cr_expect_not_null(strstr(prompt.body.data, ",\"max_tokens\":200}"));
    cr_assert_eq(make(text, "{\"max_tokens\":7}", 0), 0);
    cr_expect_not_null(strstr(prompt.body.data, ",\"max_tokens\":7}"));
    cr_assert_eq(make(text, "{\"extra\":{\"max_completion_tokens\":8}}", 0), 0);
    cr_expect_null(strstr(prompt.body.data, "max_tokens"));
    cr_expect_not(can_enlarge());
}

Test(prompt, only_openais_dialects_take_other_endpoints, .init = set_up,
     .fini = tear_down)
{
    static const char text[] = "{\"id\":\"a\",\"method\":\"POST\",\"url\":"
                               "\"/v1/embeddings\",\"body\":{\"input\":[]}}";

    cr_assert_eq(make(text, "", 0), 0);
    cr_expect_str_eq(prompt.path.data, "/embeddings");
    conf.upstreams[0].dialect = mem_dup_str("anthropic");
    cr_expect_eq(make(text, "", 0), E_INVALID);
    cr_expect_str_eq(fault.code, "bad_url");
    free(conf.upstreams[0].dialect);
    free(conf.upstreams[0].path);
    conf.upstreams[0].dialect = mem_dup_str("azure");
    conf.upstreams[0].path =
        mem_dup_str("/deployments/{model}/chat/completions?api-version=7");
    cr_assert_eq(make(text, "", 0), 0);
    cr_expect_str_eq(prompt.path.data,
                     "/deployments/{model}/embeddings?api-version=7");
}

/* ---- identity ---- */

#define FULL                                                                 \
    "{\"id\":\"a\",\"text\":\"x\",\"goal\":\"g\",\"constraints\":[\"c\"],"   \
    "\"system\":\"s\",\"model\":\"m\",\"temperature\":1,\"top_p\":1,"        \
    "\"max_tokens\":5,\"stop\":[\"q\"],\"seed\":1,\"response_format\":"      \
    "{\"type\":\"text\"},\"sample_index\":1,\"upstream\":\"one\",\"extra\":" \
    "{\"n\":1}}"

static void
key_of(const char *text, const char *options_text,
       unsigned char key[DIGEST_BYTES])
{
    cr_assert_eq(make(text, options_text, 0), 0, "%s: %s", text, fault.message);
    memcpy(key, prompt.key, DIGEST_BYTES);
}

Test(prompt, the_same_request_has_the_same_key, .init = set_up,
     .fini = tear_down)
{
    static const struct {
        const char *text, *options;
    } same[] = {
        { FULL, "" },
        /* Members in another order, blanks, another id, metadata. */
        { "{ \"extra\" : { \"n\" : 1 } , \"upstream\":\"one\",\"id\":\"b\","
          "\"sample_index\":1,\"response_format\":{ \"type\":\"text\"},"
          "\"seed\":1,\"stop\":[ \"q\" ],\"max_tokens\":5,\"top_p\":1,"
          "\"temperature\":1,\"model\":\"m\",\"system\":\"s\",\"constraints\":"
          "[ \"c\" ],\"goal\":\"g\",\"text\":\"x\",\"metadata\":{\"k\":1}}",
          "" },
        /* Said for all. */
        { "{\"id\":\"a\",\"text\":\"x\",\"sample_index\":1}",
          "{\"goal\":\"g\",\"constraints\":[\"c\"],\"system\":\"s\",\"model\":"
          "\"m\",\"temperature\":1,\"top_p\":1,\"max_tokens\":5,\"stop\":"
          "[\"q\"],\"seed\":1,\"response_format\":{\"type\":\"text\"},"
          "\"upstream\":\"one\",\"extra\":{\"n\":1}}" },
        /* The default upstream. */
        { FULL, "{\"upstream\":\"two\"}" },
    };
    unsigned char first[DIGEST_BYTES], key[DIGEST_BYTES];

    key_of(FULL, "", first);
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        key_of(same[i].text, same[i].options, key);
        cr_expect_arr_eq(first, key, sizeof(key), "%zu", i);
    }
    key_of("{\"id\":\"a\",\"text\":\"x\"}", "", first);
    key_of("{\"id\":\"a\",\"text\":\"x\",\"upstream\":\"one\"}", "", key);
    cr_expect_arr_eq(first, key, sizeof(key));
    key_of("{\"id\":\"a\",\"text\":\"x\",\"model\":\"m-1\"}", "", key);
    cr_expect_arr_eq(first, key, sizeof(key), "the model that is sent anyway");
}

Test(prompt, the_key_is_the_digest_of_the_identity, .init = set_up,
     .fini = tear_down)
{
    static const char identity[] =
        "sheaf request 1\0one\0https://api.example/v1\0/chat/completions\0"
        "2\0text\0{\"messages\":[{\"content\":\"s\",\"role\":\"system\"},"
        "{\"content\":\"x\",\"role\":\"user\"}],\"model\":\"m-1\","
        "\"seed\":7}";
    unsigned char key[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];

    key_of("{\"id\":\"a\",\"text\":\"x\",\"sample_index\":2,\"seed\": 7}",
           "{\"system\":\"s\"}", key);
    cr_assert_eq(prompt_spell(&prompt, &line, &options, &conf, &fault), 0);
    cr_expect_arr_eq(prompt.key, key, sizeof(key));
    cr_assert_eq(prompt.identity.bytes, sizeof(identity));
    cr_expect_arr_eq(prompt.identity.data, identity, sizeof(identity));
    digest_hex(key, hex);
    cr_expect_str_eq(hex, "4dca7f52b130113a3bfa2f9bc0b125e6"
                          "8b6ec0d8193012fa41c23aa4079efed1");
}

/* Everything that can change the answer, and what is absent against its
 * default. No two of these have the same key. */
Test(prompt, what_can_change_the_answer_changes_the_key, .init = set_up,
     .fini = tear_down)
{
    static const char *const rest[] = {
        "\"text\":\"x\"",
        "\"text\":\"X\"",
        "\"text\":\"\\u0078\"",
        "\"text\":\"x \"",
        "\"text\":\"\"",
        "\"text\":\"x\",\"goal\":\"g\"",
        "\"text\":\"x\",\"goal\":\"\"",
        "\"text\":\"x\",\"goal\":\"c\"",
        "\"text\":\"x\",\"constraints\":[\"c\"]",
        "\"text\":\"x\",\"constraints\":[\"c\",\"\"]",
        "\"text\":\"x\",\"constraints\":[\"d\"]",
        "\"text\":\"x\",\"system\":\"\"",
        "\"text\":\"x\",\"system\":\"s\"",
        "\"text\":\"x\",\"model\":\"m-2\"",
        "\"text\":\"x\",\"temperature\":1",
        "\"text\":\"x\",\"temperature\":1.0",
        "\"text\":\"x\",\"temperature\":0",
        "\"text\":\"x\",\"top_p\":1",
        "\"text\":\"x\",\"top_p\":0.5",
        "\"text\":\"x\",\"max_tokens\":1",
        "\"text\":\"x\",\"max_tokens\":2",
        "\"text\":\"x\",\"stop\":\"q\"",
        "\"text\":\"x\",\"stop\":[\"q\"]",
        "\"text\":\"x\",\"stop\":[]",
        "\"text\":\"x\",\"seed\":1",
        "\"text\":\"x\",\"seed\":-1",
        "\"text\":\"x\",\"response_format\":{}",
        "\"text\":\"x\",\"response_format\":{\"type\":\"text\"}",
        "\"text\":\"x\",\"sample_index\":0",
        "\"text\":\"x\",\"sample_index\":1",
        "\"text\":\"x\",\"upstream\":\"two\"",
        "\"text\":\"x\",\"upstream\":\"local\"",
        "\"text\":\"x\",\"extra\":{\"n\":1}",
        "\"text\":\"x\",\"extra\":{\"n\":2}",
        "\"text\":\"x\",\"extra\":{\"n\":\"1\"}",
        "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]",
        "\"messages\":[{\"role\":\"user\",\"content\":\"x\",\"name\":\"n\"}]",
        /* What a text draft becomes, but judged another way. */
        "\"messages\":[" SYSTEM(DEFAULT) USER("x") "]",
        "\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{}",
        "\"method\":\"POST\",\"url\":\"/v1/responses\",\"body\":{}",
        "\"method\":\"POST\",\"url\":\"/v1/responses\",\"body\":{\"a\":1}",
        "\"method\":\"POST\",\"url\":\"/v1/responses\",\"body\":{},"
        "\"sample_index\":0",
    };
    enum { COUNT = sizeof(rest) / sizeof(rest[0]) };
    unsigned char keys[COUNT + 2][DIGEST_BYTES];
    struct buf text = { 0 };

    for (size_t i = 0; i < COUNT; i++) {
        buf_reset(&text);
        buf_addf(&text, "{\"id\":\"a\",%s}", rest[i]);
        key_of(text.data, "", keys[i]);
    }
    conf.upstreams[0].base_url[8] = 'A';
    key_of("{\"id\":\"a\",\"text\":\"x\"}", "", keys[COUNT]);
    conf.upstreams[0].dialect = mem_dup_str("ollama");
    key_of("{\"id\":\"a\",\"text\":\"x\"}", "", keys[COUNT + 1]);
    for (size_t i = 0; i <= COUNT + 1; i++) {
        for (size_t j = 0; j < i; j++) {
            cr_expect_arr_neq(keys[i], keys[j], DIGEST_BYTES, "%zu and %zu", i,
                              j);
        }
    }
    buf_fini(&text);
}

/* Of one upstream, and of one of several. */
Test(prompt, what_a_model_is_called_there_changes_the_key, .init = set_up,
     .fini = tear_down)
{
    static const char *const maps[] = { NULL, "m-2=a", "m-2=b", "m-2=m-3" };
    static const struct {
        const char *text;
        bool is_other;
    } drafts[] = {
        { "{\"id\":\"a\",\"text\":\"x\",\"model\":\"m-2\"}", true },
        { "{\"id\":\"a\",\"text\":\"x\",\"model\":\"m-2\","
          "\"upstream\":\"one,two\"}",
          true },
        { "{\"id\":\"a\",\"method\":\"POST\",\"url\":"
          "\"/v1/chat/completions\",\"body\":{\"model\":\"m-2\"}}",
          true },
        { "{\"id\":\"a\",\"text\":\"x\",\"model\":\"m-4\"}", false },
        { "{\"id\":\"a\",\"text\":\"x\"}", false },
    };
    enum { MAPS = sizeof(maps) / sizeof(maps[0]) };

    for (size_t d = 0; d < sizeof(drafts) / sizeof(drafts[0]); d++) {
        unsigned char keys[MAPS][DIGEST_BYTES];

        for (size_t i = 0; i < MAPS; i++) {
            free(conf.upstreams[0].model_map);
            conf.upstreams[0].model_map = maps[i] ? mem_dup_str(maps[i]) : NULL;
            key_of(drafts[d].text, "", keys[i]);
            for (size_t j = 0; j < i; j++) {
                cr_expect_eq(memcmp(keys[i], keys[j], DIGEST_BYTES) != 0,
                             drafts[d].is_other, "%s", drafts[d].text);
            }
        }
    }
}

/* ---- groups ---- */

static uint64_t
tag_of(const char *text, const char *options_text)
{
    cr_assert_eq(make(text, options_text, 0), 0, "%s", text);
    return prompt.tag;
}

Test(prompt, a_group_has_goal_constraints_and_parameters_in_common,
     .init = set_up, .fini = tear_down)
{
    static const char *const others[] = {
        "{\"id\":\"a\",\"text\":\"x\",\"goal\":\"h\"}",
        "{\"id\":\"a\",\"text\":\"x\",\"goal\":\"g\",\"constraints\":[\"c\"]}",
        "{\"id\":\"a\",\"text\":\"x\",\"constraints\":[\"c\"]}",
        "{\"id\":\"a\",\"text\":\"x\",\"goal\":\"g\",\"model\":\"m\"}",
        "{\"id\":\"a\",\"text\":\"x\",\"goal\":\"g\",\"temperature\":1}",
        "{\"id\":\"a\",\"text\":\"x\",\"goal\":\"g\",\"max_tokens\":1}",
        "{\"id\":\"a\",\"text\":\"x\",\"goal\":\"g\",\"upstream\":\"two\"}",
        "{\"id\":\"a\",\"text\":\"x\",\"goal\":\"g\",\"extra\":{\"n\":1}}",
        "{\"id\":\"a\",\"text\":\"x\",\"system\":\"g\"}",
        "{\"id\":\"a\",\"text\":\"x\"}",
        "{\"id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\","
        "\"body\":{\"model\":\"m\"}}",
        "{\"id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\","
        "\"body\":{\"model\":\"n\"}}",
        "{\"id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\","
        "\"body\":{\"model\":\"m\",\"messages\":[" SYSTEM("s") USER("x") "]}}",
        "{\"id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/responses\","
        "\"body\":{\"model\":\"m\"}}",
    };
    enum { COUNT = sizeof(others) / sizeof(others[0]) };
    uint64_t tag = tag_of("{\"id\":\"a\",\"text\":\"x\",\"goal\":\"g\"}", "");
    uint64_t tags[COUNT];

    cr_expect_eq(tag, tag_of("{\"id\":\"b\",\"text\":\"y\",\"sample_index\":1}",
                             "{\"goal\":\"g\"}"));
    for (size_t i = 0; i < COUNT; i++) {
        tags[i] = tag_of(others[i], "");
        cr_expect_neq(tags[i], tag, "%s", others[i]);
        for (size_t j = 0; j < i; j++)
            cr_expect_neq(tags[i], tags[j], "%zu and %zu", i, j);
    }
    cr_expect_eq(
        tag_of("{\"id\":\"a\",\"messages\":[" SYSTEM("s") USER("x") "]}", ""),
        tag_of("{\"id\":\"a\",\"messages\":[" SYSTEM("s") USER("y") "]}", ""));
    cr_expect_neq(
        tag_of("{\"id\":\"a\",\"messages\":[" SYSTEM("s") USER("x") "]}", ""),
        tag_of("{\"id\":\"a\",\"messages\":[" SYSTEM("t") USER("x") "]}", ""));
}

Test(prompt, characters_are_code_points, .init = set_up, .fini = tear_down)
{
    static const struct {
        const char *text;
        size_t chars;
    } cases[] = {
        { "{\"id\":\"a\",\"text\":\"\",\"goal\":\"not counted\"}", 0 },
        { "{\"id\":\"a\",\"text\":\"four\"}", 4 },
        { "{\"id\":\"a\",\"text\":\"\u00fc\u6f22\U0001f600\"}", 3 },
        { "{\"id\":\"a\",\"text\":\"\\u00fc\\ud83d\\ude00\\n\"}", 3 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_assert_eq(make(cases[i].text, "", 0), 0);
        cr_expect_eq(prompt.chars, cases[i].chars, "%s: %zu", cases[i].text,
                     prompt.chars);
    }
}

/* ---- for essences ---- */

Test(prompt, the_text_of_a_draft_is_what_a_person_calls_so, .init = set_up,
     .fini = tear_down)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "{\"id\":\"a\",\"text\":\"\\u00fcber\"}", "\u00fcber" },
        { "{\"id\":\"a\",\"messages\":[" USER(
              "first") ","
                       "{\"role\":\"assistant\",\"content\":\"no\"}," USER(
                           "last") "]}",
          "last" },
        { "{\"id\":\"a\",\"messages\":[{\"role\":\"user\",\"content\":["
          "{\"type\":\"text\",\"text\":\"one\"},{\"type\":\"image_url\"},"
          "{\"type\":\"text\",\"text\":\"two\"}]}]}",
          "one\ntwo\n" },
        { "{\"id\":\"a\",\"messages\":[{\"role\":\"user\"}]}", "" },
        { "{\"id\":\"a\",\"messages\":[{\"role\":\"user\",\"content\":7}]}",
          "" },
        { "{\"id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\","
          "\"body\":{\"messages\":[" USER("in a line") "]}}",
          "in a line" },
        { "{\"id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\","
          "\"body\":{\"messages\":{}}}",
          "" },
        { "{\"id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/embeddings\","
          "\"body\":{\"input\":\"x\"}}",
          "" },
    };
    struct buf text = { 0 };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_assert_eq(make(cases[i].text, "", 0), 0);
        buf_reset(&text);
        prompt_text(&line, &text);
        cr_expect(slice_is(buf_slice(&text), cases[i].want), "%s: %s",
                  cases[i].text, text.data);
    }
    cr_assert_eq(
        make("{\"id\":\"a\",\"text\":\"x\"}", "{\"goal\":\"\\u0067oal\"}", 0),
        0);
    buf_reset(&text);
    prompt_goal(&line, &options, &text);
    cr_expect(slice_is(buf_slice(&text), "goal"));
    buf_fini(&text);
}
