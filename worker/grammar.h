/*
 * grammar.h - where each dialect has what a chat completion says
 *
 * Data only, a row for each dialect that is not OpenAI's own: how messages are
 * written, where members go, what must be there. translation.h applies it.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_GRAMMAR_H
#define WORKER_GRAMMAR_H

#include <stdbool.h>

#include "base/dialect.h"
#include "base/json.h"

#define GRAMMAR_MOVES_MAX  16
#define GRAMMAR_GROUPS_MAX 2

/* Where a member of a chat completion goes. */
struct grammar_move {
    const char *member;
    const char *target; /* its name there */
    const char *group;  /* the object that it goes into; NULL: the body */
    bool is_list;       /* a value that is no array becomes one */
};

/* How the texts of a message's content are put together. */
struct grammar_parts {
    const char *open, *close;
    const char *part,
        *answer_part; /* before a text; of the model's own words */
    const char *part_close;
    bool is_joined; /* the texts become one string */
};

struct grammar {
    const char *dialect;
    const char *list;       /* the member that holds the messages */
    const char *system;     /* that holds the system's words; NULL: `list` */
    const char *model_role; /* of the model's messages */
    struct grammar_parts parts;             /* of a message */
    const char *system_open, *system_close; /* around them: one string */
    const char *model;        /* the member for it; NULL: it is in the path */
    const char *limit;        /* the member that must be there */
    const char *always;       /* more members, */
    const char *unless;       /* unless the chat completion has this one */
    const char *format_group; /* where a response_format goes */
    const char *json_object;  /* what one without a schema becomes */
    const char *schema_open, *schema_close; /* around a schema */
    bool has_schema_members; /* not the schema alone: its name and the rest */
    const char *groups[GRAMMAR_GROUPS_MAX];
    struct grammar_move moves[GRAMMAR_MOVES_MAX];
};

/* What a chat completion may hold beside messages, model and response_format,
 * and what becomes of it where a dialect has no place for it: a harmless one
 * does not change the answer; any is left out that is null or `neutral`. */
struct grammar_member {
    const char *name;
    const char *neutral; /* a value that asks for nothing; NULL: none */
    bool is_harmless;
};

/* The grammar of a dialect; NULL: bodies are sent as they are. */
const struct grammar *grammar_of(const struct dialect *dialect);

/* Where the member whose key is at `key` goes; NULL: nowhere. */
const struct grammar_move *grammar_move(const struct grammar *grammar,
                                        const struct json_doc *doc, size_t key);

/* What is known of the member whose key is at `key`; NULL: it is none of a chat
 * completion's. */
const struct grammar_member *grammar_member(const struct json_doc *doc,
                                            size_t key);

#endif
