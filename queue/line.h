/*
 * line.h - one draft as it came: a line of JSON, checked
 *
 * A line is a Sheaf draft (`id`, `text` or `messages`, and options of its own)
 * or an OpenAI batch line (`custom_id`, `method`, `url`, `body`). Reading it
 * checks every field and leaves the bytes alone: what is used later is a token
 * of the line. The batch's options have the same fields and are read by the same
 * table; a draft's own field beats them.
 *
 * Pure: no clock, no store.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_LINE_H
#define QUEUE_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/json.h"

/* The fields of a draft, in the order in which they are checked. What a batch's
 * options may hold is marked. */
/* clang-format off */
#define LINE_FIELDS(X)                       \
    X(ID,              "id",              0) \
    X(CUSTOM_ID,       "custom_id",       0) \
    X(TEXT,            "text",            0) \
    X(MESSAGES,        "messages",        0) \
    X(GOAL,            "goal",            1) \
    X(CONSTRAINTS,     "constraints",     1) \
    X(SYSTEM,          "system",          1) \
    X(MODEL,           "model",           1) \
    X(TEMPERATURE,     "temperature",     1) \
    X(TOP_P,           "top_p",           1) \
    X(MAX_TOKENS,      "max_tokens",      1) \
    X(STOP,            "stop",            1) \
    X(SEED,            "seed",            1) \
    X(RESPONSE_FORMAT, "response_format", 1) \
    X(SAMPLE_INDEX,    "sample_index",    0) \
    X(UPSTREAM,        "upstream",        1) \
    X(LAST_RESORT,     "last_resort",     1) \
    X(METADATA,        "metadata",        0) \
    X(EXTRA,           "extra",           1) \
    X(METHOD,          "method",          0) \
    X(URL,             "url",             0) \
    X(BODY,            "body",            0)
/* clang-format on */

#define LINE_ENUM(name, text, is_option) LINE_##name,
enum line_field { LINE_FIELDS(LINE_ENUM) LINE_FIELD_COUNT };
#undef LINE_ENUM

/* Why a draft was refused, in the words of PROTOCOL.md. */
struct line_fault {
    const char *code; /* static */
    char field[64];   /* "" if it is no single one */
    char message[256];
};

/* A line that was read. Zero-initialised is valid; reused for many lines. */
struct line {
    struct json_doc doc;
    size_t fields[LINE_FIELD_COUNT]; /* tokens of values, or JSON_NONE */
    unsigned given;                  /* 1u << field for each that is there */
    struct buf id;                   /* decoded */
    size_t id_token;                 /* of the id's value */
    bool is_batch_line;              /* OpenAI's form */
};

/* Frees what reading allocated. */
void line_fini(struct line *line);

/* Reads a draft. E_INVALID with *fault. The line borrows `text`. conf is NULL for
 * one that is stored: it was accepted under the limits and the upstreams of its
 * time, and can be read whatever they are now. */
int line_read(struct line *line, const struct conf *conf, struct slice text,
              struct line_fault *fault) __attribute__((warn_unused_result));

/* Reads a batch's options: the same fields, as far as they may be there; conf is
 * the same, too. The empty text is the same as {}. */
int line_read_options(struct line *line, const struct conf *conf,
                      struct slice text, struct line_fault *fault)
    __attribute__((warn_unused_result));

/* Where a field's value is. */
struct line_value {
    const struct json_doc *doc; /* borrowed from the line */
    size_t at;                  /* its token; JSON_NONE: there is none */
};

/* The value of a field: the draft's, else the options'. */
struct line_value line_value(const struct line *line,
                             const struct line *options, enum line_field field);

/* The same as it stands in the text; an empty slice if there is none. */
struct slice line_field(const struct line *line, const struct line *options,
                        enum line_field field);

/* The name of a field. */
const char *line_field_name(enum line_field field);

#endif
