/* SPDX-License-Identifier: MIT */
#include "worker/local.h"

#include "base/json.h"
#include "worker/sampler.h"

#define BYTES_PER_TOKEN 4 /* an estimate, good enough for a sum */

/* What a request asks for. */
struct question {
    struct buf instruction; /* the system messages, a line each */
    struct buf text;        /* of the last user message */
    bool has_text;
};

/* Adds a message's content: a string, or the texts of its parts. */
static void
add_content(const struct json_doc *doc, size_t message, struct buf *out)
{
    size_t content = json_member(doc, message, "content");

    if (content == JSON_NONE)
        return;
    if (doc->tokens[content].type == JSON_STRING) {
        json_decode(doc, content, out);
        return;
    }
    if (doc->tokens[content].type != JSON_ARRAY)
        return;
    for (size_t at = content + 1; at < doc->tokens[content].next;
         at = doc->tokens[at].next) {
        size_t text = json_member(doc, at, "text");

        if (text != JSON_NONE && doc->tokens[text].type == JSON_STRING)
            json_decode(doc, text, out);
    }
}

static void
add_message(const struct json_doc *doc, size_t message,
            struct question *question)
{
    size_t role = json_member(doc, message, "role");

    if (role == JSON_NONE)
        return;
    if (json_is(doc, role, "user")) {
        buf_reset(&question->text);
        add_content(doc, message, &question->text);
        question->has_text = true;
    } else if (json_is(doc, role, "system") ||
               json_is(doc, role, "developer")) {
        if (question->instruction.bytes > 0)
            buf_add_char(&question->instruction, '\n');
        add_content(doc, message, &question->instruction);
    }
}

static int
read_question(struct slice request, struct question *question, struct err *err)
{
    struct json_doc doc = { 0 };
    size_t messages;
    int rc = json_parse(&doc, request.data ? request.data : "", request.bytes,
                        JSON_REPLY, err);

    if (rc < 0) {
        json_fini(&doc);
        return rc;
    }
    messages = json_member(&doc, 0, "messages");
    if (messages != JSON_NONE && doc.tokens[messages].type == JSON_ARRAY) {
        for (size_t at = messages + 1; at < doc.tokens[messages].next;
             at = doc.tokens[at].next) {
            add_message(&doc, at, question);
        }
    }
    json_fini(&doc);
    if (!question->has_text)
        return err_set(err, E_INVALID, "messages: no message of a user");
    return 0;
}

static void
refuse(struct reply *reply, int status, const char *code, const struct err *err)
{
    struct slice message = slice_of(err->msg);

    reply->http_status = status;
    buf_add_str(&reply->body, "{\"error\":{\"message\":");
    json_write_string(&reply->body, message.data, message.bytes);
    buf_addf(&reply->body,
             ",\"type\":\"invalid_request_error\",\"param\":null,"
             "\"code\":\"%s\"}}",
             code);
}

static void
answer(struct reply *reply, const struct question *question,
       const struct buf *text)
{
    size_t prompt_bytes = question->instruction.bytes + question->text.bytes;
    size_t prompt = (prompt_bytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN;
    size_t completion = (text->bytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN;

    reply->http_status = 200;
    buf_add_str(&reply->body,
                "{\"id\":\"local\",\"object\":\"chat.completion\","
                "\"created\":0,\"model\":\"" LOCAL_MODEL "\",\"choices\":[{"
                "\"index\":0,\"message\":{\"role\":\"assistant\","
                "\"content\":");
    json_write_string(&reply->body, text->data, text->bytes);
    buf_addf(&reply->body,
             ",\"refusal\":null},\"finish_reason\":\"stop\"}],\"usage\":{"
             "\"prompt_tokens\":%zu,\"completion_tokens\":%zu,"
             "\"total_tokens\":%zu}}",
             prompt, completion, prompt + completion);
}

void
local_answer(struct text_rules *rules, struct slice request,
             struct reply *reply)
{
    struct question question = { 0 };
    struct buf text = { 0 };
    struct err err = { 0 };

    *reply = (struct reply){ .end = REPLY_COMPLETE };
    if (read_question(request, &question, &err) < 0) {
        refuse(reply, 400, "invalid_body", &err);
    } else if (sampler_run(rules, buf_slice(&question.text),
                           buf_slice(&question.instruction), &text, &err) < 0) {
        refuse(reply, 422, "nothing_to_quote", &err);
    } else {
        answer(reply, &question, &text);
    }
    buf_fini(&text);
    buf_fini(&question.text);
    buf_fini(&question.instruction);
}
