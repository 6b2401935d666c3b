/* SPDX-License-Identifier: MIT */
#include "base/json.h"
#include "queue/prompt.h"

/* Appends the text of a message: its content is a string, or parts. */
static void
add_content(const struct json_doc *doc, size_t message, struct buf *text)
{
    size_t content = json_member(doc, message, "content");

    if (content == JSON_NONE)
        return;
    if (doc->tokens[content].type == JSON_STRING) {
        json_decode(doc, content, text);
        return;
    }
    if (doc->tokens[content].type != JSON_ARRAY)
        return;
    for (size_t i = content + 1; i < doc->tokens[content].next;
         i = doc->tokens[i].next) {
        size_t part = json_member(doc, i, "text");

        if (part != JSON_NONE) {
            json_decode(doc, part, text);
            buf_add_char(text, '\n');
        }
    }
}

void
prompt_text(const struct line *line, struct buf *text)
{
    const struct json_doc *doc = &line->doc;
    size_t messages = line->fields[LINE_MESSAGES], last = JSON_NONE;

    if (line->fields[LINE_TEXT] != JSON_NONE) {
        json_decode(doc, line->fields[LINE_TEXT], text);
        return;
    }
    if (line->is_batch_line)
        messages = json_member(doc, line->fields[LINE_BODY], "messages");
    if (messages == JSON_NONE || doc->tokens[messages].type != JSON_ARRAY)
        return;
    for (size_t i = messages + 1; i < doc->tokens[messages].next;
         i = doc->tokens[i].next) {
        if (json_is(doc, json_member(doc, i, "role"), "user"))
            last = i;
    }
    if (last != JSON_NONE)
        add_content(doc, last, text);
}

void
prompt_goal(const struct line *line, const struct line *options,
            struct buf *goal)
{
    struct slice token = line_field(line, options, LINE_GOAL);

    if (token.bytes)
        json_decode_inner((struct slice){ token.data + 1, token.bytes - 2 },
                          goal);
}

enum resort
prompt_resort(const struct line *line, const struct line *options,
              const struct conf *conf)
{
    struct slice token = line_field(line, options, LINE_LAST_RESORT);
    int resort = -1;

    if (token.bytes)
        resort =
            route_resort((struct slice){ token.data + 1, token.bytes - 2 });
    else if (conf->last_resort)
        resort = route_resort(slice_of(conf->last_resort));
    return resort < 0 ? RESORT_WAIT : (enum resort)resort;
}
