/*
 * extract.h - what a reply says: its text, how it ended, what it used
 *
 * Upstreams answer in a dozen shapes. One table holds them all. The shape that
 * the upstream's dialect has is looked for first, and is found with one look-up
 * by its mark; else the first of the table whose mark is in the reply is the
 * one. Errors have shapes of their own and a table of their own.
 *
 * The text is a span of the reply when it stands there as one plain string: the
 * bytes between its quotes, escapes and all. Otherwise it is put together from
 * its parts, decoded.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_EXTRACT_H
#define WORKER_EXTRACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"

#define EXTRACT_FINISH_BYTES_MAX  64
#define EXTRACT_MODEL_BYTES_MAX   256
#define EXTRACT_CODE_BYTES_MAX    64
#define EXTRACT_MESSAGE_BYTES_MAX 512

#define EXTRACT_CODES_MAX 3

#define EXTRACT_UNTOLD (-1) /* a number of tokens that the reply does not say */

/*    name              in `result`, and in base/dialect.c */
#define EXTRACT_SHAPE_LIST(X)                         \
    X(CHAT, "chat")                                   \
    X(COMPLETIONS, "completions")                     \
    X(RESPONSES, "responses")                         \
    X(ANTHROPIC, "anthropic")                         \
    X(GEMINI, "gemini")                               \
    X(GEMINI_BLOCKED, "gemini_blocked")               \
    X(OLLAMA_CHAT, "ollama_chat")                     \
    X(OLLAMA_GENERATE, "ollama_generate")             \
    X(LLAMA, "llama")                                 \
    X(SALESFORCE, "salesforce")                       \
    X(SALESFORCE_CHAT, "salesforce_chat")             \
    X(GENERATIONS_TEXT, "generations_text")           \
    X(GENERATIONS_CONTENT, "generations_content")     \
    X(GENERATIONS_GENERATED, "generations_generated") \
    X(OTHER, "other") /* no text, but perhaps usage: embeddings for one */

#define EXTRACT_SHAPE_ENUM(name, text) EXTRACT_##name,
enum extract_shape {
    EXTRACT_SHAPE_LIST(EXTRACT_SHAPE_ENUM) EXTRACT_SHAPE_COUNT
};
#undef EXTRACT_SHAPE_ENUM

enum extract_finish {
    EXTRACT_WHOLE,
    EXTRACT_CUT_OFF, /* ran into a limit of tokens */
    EXTRACT_REFUSED, /* by the model or by a filter */
    EXTRACT_FAILED, /* an error within the answer, or in the place of its rest */
};

/* Zero-initialised is valid. Reused for many replies; ended with
 * extract_fini(). */
struct extract {
    struct json_doc doc; /* the reply's tokens; they point into the reply */
    size_t root;         /* token of the object; JSON_NONE: no object */
    const char *shape;   /* name of the shape; NULL while there is none */

    bool has_text;
    size_t text_at;    /* in the reply; 0 if the text was put together */
    size_t text_bytes; /* of the span; 0 if the text was put together */
    struct buf text;   /* the text put together; empty if it is a span */

    enum extract_finish finish;
    char finish_word[EXTRACT_FINISH_BYTES_MAX + 1]; /* as it stands there */
    char model[EXTRACT_MODEL_BYTES_MAX + 1];
    int64_t prompt_tokens; /* or EXTRACT_UNTOLD, as are these: */
    int64_t completion_tokens;
    int64_t total_tokens;

    bool is_error;        /* it is an error object, whatever the status */
    int64_t error_number; /* a code that is a number; 0: none */
    char error_words[EXTRACT_CODES_MAX][EXTRACT_CODE_BYTES_MAX + 1]; /* all
                             its codes that are words: code, status, type */
    char error_code[EXTRACT_CODE_BYTES_MAX + 1];
    char error_message[EXTRACT_MESSAGE_BYTES_MAX + 1];
};

/* Reads a reply's body, which must stay while out->doc is used; `first` is the
 * shape that it most likely has. 0 if it is a JSON object, or an array that
 * holds one error object; E_INVALID if it is anything else, E_TOOBIG if it has
 * more than JSON_TOKEN_MAX tokens: then nothing is found in it. */
int extract_read(struct extract *out, struct slice reply,
                 enum extract_shape first, struct err *err);

/* Frees what it owns; it is empty and valid again. */
void extract_fini(struct extract *out);

/* The shape of a name; EXTRACT_OTHER if there is none. */
enum extract_shape extract_shape_of(const char *name);

/* What a finish word means; words that are not known mean whole. */
enum extract_finish extract_finish_of(const char *word);

#endif
