/* SPDX-License-Identifier: MIT */
#include "submit/explanation.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NOW      "'verb':'why','now':1795740255000,'custom_id':'t-4',"
#define BATCH    "5f0c0000-0000-4000-8000-000000000000"

/* Reads an answer that is written with ' for ". */
static void
explain(const char *text, struct slice body, struct buf *out)
{
    char *copy = mem_dup_str(text);
    struct wire reply;
    struct err err = { 0 };

    for (char *at = copy; *at; at++) {
        if (*at == '\'')
            *at = '"';
    }
    cr_assert_eq(wire_parse(&reply, slice_of(copy), body, &err), 0, "%s: %s",
                 copy, err.msg);
    buf_reset(out);
    cr_assert_eq(explanation_add(&reply, out, &err), 0, "%s", err.msg);
    wire_fini(&reply);
    free(copy);
}

/* clang-format off */
static const struct {
    const char *answer, *want;
} sentences[] = {
    { "'state':'delayed','waits':[{'for':'backoff','until':1795740262001,"
      "'detail':'after attempt 2 of 5: 503'}]",
      "t-4 waits for its backoff until 00:44:23Z (in 8 s), after attempt 2 of "
      "5: 503\n" },
    { "'state':'waiting','waits':[{'for':'window','until':1795999455000,"
      "'detail':'mon 09:00-10:00 Etc/UTC'}]",
      "t-4 waits for the window of its batch until 2026-11-30T00:44:15Z "
      "(in 3 d 0 h), mon 09:00-10:00 Etc/UTC\n" },
    { "'state':'waiting','waits':[{'for':'pause','until':null,'detail':''},"
      "{'for':'backoff','until':1795740345000,'detail':''}]",
      "t-4 waits for its batch to be resumed\n"
      "  and waits for its backoff until 00:45:45Z (in 1 min 30 s)\n" },
    { "'state':'waiting','waits':[{'for':'cooldown','until':1795740262001,"
      "'detail':'one'}]",
      "t-4 waits for the cooldown of its upstream until 00:44:23Z (in 8 s), "
      "one\n" },
    { "'state':'waiting','waits':[{'for':'cooldown','until':null,"
      "'detail':'one, which said stop (quota)'}]",
      "t-4 waits for its upstream, one, which said stop (quota)\n" },
    { "'state':'leased','waits':[{'for':'answer','until':1795747455000,"
      "'detail':'worker w1'}]",
      "t-4 waits for the answer with a lease until 02:44:15Z (in 2 h 0 min), "
      "worker w1\n" },
    { "'state':'ready','waits':[{'for':'slot','until':null,'detail':'5 slots'}]"
      ",'through':'" BATCH "','result':{'status':'error'}",
      "t-4 waits for a slot, 5 slots\n"
      "  with batch " BATCH ", which needs the same request\n"
      "  its result so far: error\n" },
    { "'state':'waiting','waits':[{'for':'a\\nnew one','until':1795740255000,"
      "'detail':'\\u001b[31m'}]",
      "t-4 waits for a\\u000anew one until 00:44:15Z (now), \\u001b[31m\n" },
    { "'state':'refused','refusal':{'field':'txet','message':'is no field of "
      "a draft'}",
      "t-4 was refused: txet: is no field of a draft\n" },
    { "'state':'refused','refusal':{'field':null,'message':'no JSON'}",
      "t-4 was refused: no JSON\n" },
    { "'state':'done','cache':'none','result':{'status':'ok'},"
      "'waits':[]",
      "t-4 is done: ok\n" },
    { "'state':'done','cache':'store','result':{'status':'ok'}",
      "t-4 is done: ok, served by an answer that was there\n" },
    { "'state':'done','cache':'joined','result':{'status':'cancelled'}",
      "t-4 ended: cancelled\n" },
    { "'state':'done','cache':'none','result':{'status':'error'},'waits':"
      "[{'for':'sweep','until':null,'detail':'it is to be tried again'}]",
      "t-4 ended: error\n"
      "  and waits for the broker to get to it, it is to be tried again\n" },
};
/* clang-format on */

Test(explanation, begins_with_the_answer_in_one_sentence)
{
    struct buf out = { 0 }, text = { 0 };

    for (size_t i = 0; i < COUNT(sentences); i++) {
        buf_reset(&text);
        buf_addf(&text, "{" NOW "%s}", sentences[i].answer);
        explain(text.data, (struct slice){ 0 }, &out);
        cr_expect_str_eq(out.data, sentences[i].want, "%s", out.data);
    }
    explain("{'verb':'why','now':1,'custom_id':null,'index':7,'state':'done',"
            "'result':{'status':'ok'},'request':{'attempts':2}}",
            (struct slice){ 0 }, &out);
    cr_expect(strstr(out.data, "draft 7 is done: ok, after 2 attempts\n"), "%s",
              out.data);
    buf_fini(&out);
    buf_fini(&text);
}

Test(explanation, shows_every_attempt_with_its_wait_and_where_that_stood)
{
    struct buf out = { 0 };
    const char *rows;

    explain("{" NOW "'state':'done','result':{'status':'ok'},'attempts_total':"
            "40,'attempts':[{'n':39,'ended_at':1795740253619,'class':"
            "'throttled','status':'rate_limited','http_status':429,'code':"
            "'busy','latency_ms':2310,'wait_ms':5110,'wait_from':"
            "'retry-after','worker':'w1'},{'n':40,'ended_at':1795740259000,"
            "'class':'lost','status':null,'http_status':null,'code':null,"
            "'latency_ms':null,'wait_ms':0,'wait_from':null,'worker':'w2'}]}",
            (struct slice){ 0 }, &out);
    rows = strchr(out.data, '\n');
    cr_expect_str_eq(
        rows,
        "\n\n"
        "ATTEMPT  ENDED                     STATUS             HTTP       TOOK"
        "       WAIT  WAIT FROM         WORKER, CODE\n"
        "    ...  38 earlier\n"
        "     39  2026-11-27T00:44:13.619Z  rate_limited        429     2.31 s"
        "     5.11 s  retry-after       w1, busy\n"
        "     40  2026-11-27T00:44:19.000Z  lost                               "
        "                              "
        "w2\n",
        "%s", rows);
    buf_fini(&out);
}

#define REQUEST                                                                \
    "{" NOW "'batch':'" BATCH "','index':3,'state':'done','result':{'status':" \
    "'ok'},'unrendered':%s,'request':{'id':42,'state':'done','key':'0a1b',"    \
    "'upstream':'one','fence':2,'group':17,'attempts':2,'failures':1,"         \
    "'failures_max':5,'throttled':0,'throttled_max':100,'uncertain':0,"        \
    "'lost':1,'lease':null,'source':{'batch':'" BATCH "','index':%d,"          \
    "'custom_id':'t-2'},'drafts':%d}}"
#define KEPT                                                              \
    "\nrequest     42, done, upstream one, fence 2, group 17\n"           \
    "made for    %s\n"                                                    \
    "attempts    2; 1 of 5 failures, 0 of 100 throttled, 0 uncertain, 1 " \
    "lost\n"                                                              \
    "key         0a1b\n"

static void
expect_request(const char *unrendered, int index, int drafts, struct slice body,
               const char *source, const char *rest)
{
    struct buf out = { 0 }, text = { 0 }, want = { 0 };

    buf_addf(&text, REQUEST, unrendered, index, drafts);
    buf_addf(&want, "t-4 is done: ok, after 2 attempts\n" KEPT "%s", source,
             rest);
    explain(text.data, body, &out);
    cr_expect_str_eq(out.data, want.data, "%s", out.data);
    buf_fini(&out);
    buf_fini(&text);
    buf_fini(&want);
}

Test(explanation, tells_whose_the_request_is_and_what_its_key_is_made_of)
{
    static const char parts[] = "sheaf request 1\0one\0https://a\0/c\0\0raw\0"
                                "{\"a\":\"\n\"}";

    expect_request("null", 3, 1, (struct slice){ parts, sizeof(parts) },
                   "this draft",
                   "template    sheaf request 1\n"
                   "upstream    one\n"
                   "base URL    https://a\n"
                   "path        /c\n"
                   "kind        raw\n"
                   "body        {\"a\":\"\\u000a\"}\n");
    expect_request("'the draft is gone'", 1, 1000, (struct slice){ 0 },
                   "t-2 of batch " BATCH "; shared by 1000 or more drafts",
                   "not shown   the draft is gone\n");
}

/* Two bytes a character: no cut falls into one. */
Test(explanation, cuts_long_texts_short_and_says_how_long_they_are)
{
    struct buf body = { 0 }, want = { 0 };

    for (int i = 0; i < 6; i++)
        buf_add_char(&body, '\0');
    buf_add_str(&body, "x");
    buf_add_str(&want, "body        x");
    for (int i = 0; i < 200; i++)
        buf_add_str(&body, "é");
    for (int i = 0; i < 59; i++)
        buf_add_str(&want, "é");
    buf_add_str(&want, " … ");
    for (int i = 0; i < 60; i++)
        buf_add_str(&want, "é");
    buf_add_str(&want, " (401 bytes)\n");
    buf_add_char(&body, '\0');
    expect_request("null", 3, 1, buf_slice(&body), "this draft", want.data);
    buf_fini(&body);
    buf_fini(&want);
}

Test(explanation, gives_the_parts_of_the_key_as_json)
{
    static const char parts[] = "v\0one\0\0/c\0"
                                "2\0text\0{\"a\":1}";
    cJSON *object = cJSON_CreateObject();
    char *text;

    explanation_digested(object, "whole",
                         (struct slice){ parts, sizeof(parts) });
    explanation_digested(object, "none", (struct slice){ 0 });
    text = cJSON_PrintUnformatted(object);
    cr_expect_str_eq(text,
                     "{\"whole\":{\"template\":\"v\",\"upstream\":\"one\","
                     "\"base_url\":null,\"path\":\"/c\",\"sample_index\":\"2\","
                     "\"kind\":\"text\",\"body\":\"{\\\"a\\\":1}\"},\"none\":"
                     "null}");
    cJSON_free(text);
    cJSON_Delete(object);
}

Test(explanation, an_answer_that_is_none_is_refused)
{
    struct err err = { 0 };
    struct buf out = { 0 };
    struct wire reply;

    cr_assert_eq(wire_parse(&reply, slice_of("{\"verb\":\"status\"}"),
                            (struct slice){ 0 }, &err),
                 0);
    cr_expect_eq(explanation_add(&reply, &out, &err), E_PROTOCOL);
    wire_fini(&reply);
    buf_fini(&out);
}
