/* SPDX-License-Identifier: MIT */
#include "tests/draft_play.h"

#include <stdbool.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A number below `below`; the same on every machine. */
static size_t
any(struct draft_play *play, size_t below)
{
    play->chance = play->chance * UINT64_C(6364136223846793005) +
                   UINT64_C(1442695040888963407);
    return (size_t)(play->chance >> 33) % below;
}

static bool
one_in(struct draft_play *play, size_t count)
{
    return any(play, count) == 0;
}

/* Mostly none. */
static void
add_blanks(struct draft_play *play, struct buf *out)
{
    static const char *const blanks[] = { "", "", "", " ", "\t\r" };

    buf_add_str(out, blanks[any(play, COUNT(blanks))]);
}

static void
add_string(struct draft_play *play, struct buf *out)
{
    static const char *const pieces[] = {
        "plain words, ",    "",      "\\n",     "\\\"",
        "\\u00fc",          "\\/",   "\u00fc",  "\u6f22\u5b57",
        "\\ud83d\\ude00",   "\\\\",  "x",       "\U0001f600",
        "{\\\"a\\\": [ ]}", " , : ", "\\u0041", "a long piece of many words ",
    };
    size_t count = any(play, one_in(play, 8) ? 60 : 4);

    buf_add_char(out, '"');
    for (size_t i = 0; i < count; i++)
        buf_add_str(out, pieces[any(play, COUNT(pieces))]);
    buf_add_char(out, '"');
}

static void
add_strings(struct draft_play *play, struct buf *out, size_t max)
{
    size_t count = any(play, max + 1);

    buf_add_char(out, '[');
    add_blanks(play, out);
    for (size_t i = 0; i < count; i++) {
        buf_add_str(out, i ? "," : "");
        add_blanks(play, out);
        add_string(play, out);
        add_blanks(play, out);
    }
    buf_add_char(out, ']');
}

static void add_object(struct draft_play *play, struct buf *out, size_t depth);

static void
add_value(struct draft_play *play, struct buf *out, size_t depth)
{
    static const char *const words[] = { "null", "true",   "false", "0",
                                         "-0",   "1.50e0", "[ ]",   "{}" };
    size_t count;

    add_blanks(play, out);
    switch (any(play, depth > 3 ? 2 : 4)) {
    case 0:
        buf_add_str(out, words[any(play, COUNT(words))]);
        break;
    case 1:
        add_string(play, out);
        break;
    case 2:
        count = any(play, 3) + 1;
        buf_add_char(out, '[');
        for (size_t i = 0; i < count; i++) {
            buf_add_str(out, i ? "," : "");
            add_value(play, out, depth + 1);
        }
        buf_add_char(out, ']');
        break;
    default:
        add_object(play, out, depth + 1);
        break;
    }
    add_blanks(play, out);
}

/* An object whose keys are in any order; there are many of them, at times. */
static void
add_object(struct draft_play *play, struct buf *out, size_t depth)
{
    static const char *const keys[] = {
        "n",      "nn", "messages2", "a\\u0062", "max_completion_tokens",
        "\u00fc", "",   "model_",    "Z",        "user",
    };
    size_t first = any(play, COUNT(keys));
    size_t count = any(play, one_in(play, 4) ? COUNT(keys) : 4);

    buf_add_char(out, '{');
    add_blanks(play, out);
    for (size_t i = 0; i < count; i++) {
        buf_addf(out, "%s\"%s\"", i ? "," : "",
                 keys[(first + 7 * i) % COUNT(keys)]);
        add_blanks(play, out);
        buf_add_char(out, ':');
        add_value(play, out, depth + 1);
    }
    if (count + 1 == COUNT(keys)) {
        for (int i = 20; i > 0; i--)
            buf_addf(out, ",\"more %d\":%d", i * 7 % 20, i);
    }
    buf_add_char(out, '}');
}

static void
begin_member(struct draft_play *play, struct buf *out, const char *name)
{
    buf_add_str(out, out->bytes > 1 ? "," : "");
    add_blanks(play, out);
    buf_addf(out, "\"%s\"", name);
    add_blanks(play, out);
    buf_add_char(out, ':');
    add_blanks(play, out);
}

static void
add_messages(struct draft_play *play, struct buf *out)
{
    static const char *const roles[] = { "user", "system", "assistant" };
    size_t count = any(play, 3) + 1;

    begin_member(play, out, "messages");
    for (size_t i = 0; i < count; i++) {
        buf_add_str(out, i ? "," : "[");
        add_blanks(play, out);
        buf_addf(out, "{\"role\":\"%s\",\"content\":",
                 roles[any(play, COUNT(roles))]);
        add_value(play, out, 2);
        if (one_in(play, 3))
            buf_add_str(out, ",\"a name\" :\"n\"");
        buf_add_char(out, '}');
        add_blanks(play, out);
    }
    buf_add_char(out, ']');
}

static void
add_string_member(struct draft_play *play, struct buf *out, const char *name)
{
    begin_member(play, out, name);
    add_string(play, out);
}

static void
add_number_member(struct draft_play *play, struct buf *out, const char *name)
{
    static const char *const numbers[] = { "1", "0.5", "1.0", "2e-1" };

    begin_member(play, out, name);
    buf_add_str(out, numbers[any(play, COUNT(numbers))]);
}

static void
add_object_member(struct draft_play *play, struct buf *out, const char *name)
{
    begin_member(play, out, name);
    add_object(play, out, 1);
}

static void
add_route(struct draft_play *play, struct buf *out)
{
    static const char *const routes[] = { "one",        "two",        "three",
                                          "f\\u006fur", "four",       "local",
                                          "two,one",    "four, three" };

    begin_member(play, out, "upstream");
    buf_addf(out, "\"%s\"", routes[any(play, COUNT(routes))]);
}

/* Members that both a draft and its batch may have: each with a chance of one
 * in `rare`. */
static void
add_common(struct draft_play *play, struct buf *out, size_t rare)
{
    static const struct {
        const char *name;
        void (*add)(struct draft_play *play, struct buf *out, const char *name);
    } members[] = {
        { "goal", add_string_member },
        { "system", add_string_member },
        { "model", add_string_member },
        { "temperature", add_number_member },
        { "top_p", add_number_member },
        { "response_format", add_object_member },
        { "extra", add_object_member },
    };

    for (size_t i = 0; i < COUNT(members); i++) {
        if (one_in(play, rare))
            members[i].add(play, out, members[i].name);
    }
    if (one_in(play, rare)) {
        begin_member(play, out, "constraints");
        add_strings(play, out, 3);
    }
    if (one_in(play, rare)) {
        begin_member(play, out, "stop");
        if (one_in(play, 2))
            add_string(play, out);
        else
            add_strings(play, out, 4);
    }
    if (one_in(play, rare)) {
        begin_member(play, out, "max_tokens");
        buf_addf(out, "%zu", any(play, 900) + 1);
    }
    if (one_in(play, rare)) {
        begin_member(play, out, "seed");
        buf_addf(out, "-%zu", any(play, 9));
    }
    if (one_in(play, rare))
        add_route(play, out);
    if (one_in(play, rare)) {
        begin_member(play, out, "last_resort");
        buf_add_str(out, one_in(play, 2) ? "\"local\"" : "\"wait\"");
    }
}

void
draft_play_options(struct draft_play *play, struct buf *out)
{
    buf_reset(out);
    buf_add_char(out, '{');
    add_common(play, out, any(play, 9) + 1);
    add_blanks(play, out);
    buf_add_char(out, '}');
}

/* What a draft with a text says beside it: at times what the one before does. */
static void
add_own(struct draft_play *play, struct buf *out)
{
    if (one_in(play, 2)) {
        buf_reset(&play->own);
        buf_add_char(&play->own, '{');
        add_common(play, &play->own, 4);
        if (one_in(play, 8)) {
            begin_member(play, &play->own, "sample_index");
            buf_addf(&play->own, "%zu", any(play, 3));
        }
    }
    if (play->own.bytes > 1) {
        buf_add_char(out, ',');
        buf_add(out, play->own.data + 1, play->own.bytes - 1);
    }
}

void
draft_play_fini(struct draft_play *play)
{
    buf_fini(&play->own);
}

void
draft_play_draft(struct draft_play *play, size_t number, struct buf *out)
{
    static const char *const urls[] = { "chat/completions", "responses",
                                        "embeddings", "completions" };
    size_t kind = any(play, 10);

    buf_reset(out);
    buf_addf(out, "{\"%s\":\"d-%zu\"", one_in(play, 2) ? "id" : "custom_id",
             number);
    if (one_in(play, 4))
        add_object_member(play, out, "metadata");
    if (kind < 2 && one_in(play, 2)) {
        begin_member(play, out, "sample_index");
        buf_addf(out, "%zu", any(play, 3));
    }
    if (kind == 0) {
        buf_addf(out, ",\"method\":\"POST\",\"url\":\"/v1/%s\"",
                 urls[any(play, COUNT(urls))]);
        add_object_member(play, out, "body");
    } else if (kind == 1) {
        add_messages(play, out);
        add_common(play, out, 4);
    } else {
        add_string_member(play, out, "text");
        if (kind < 6)
            add_own(play, out);
    }
    buf_add_char(out, '}');
}
