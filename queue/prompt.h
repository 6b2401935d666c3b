/*
 * prompt.h - from a draft to the request that is sent, and what identifies it
 *
 * The body is composed from tokens of the draft and of its batch's options, byte
 * for byte as they came; nothing is decoded and encoded again. A goal-and-text
 * draft becomes a chat completion:
 *
 *   system    the system message, or the default one; the goal; the constraints
 *   user      the text alone
 *
 * The common part stands first, so that requests of a group share the beginning
 * of their prompts. An OpenAI batch line's body is sent as it is.
 *
 * The request key is SHA-256 of the identity: requests with the same key may
 * share an answer. Its parts are, each with a NUL behind it, "sheaf request" and
 * the template's version; the route (see route.h); base URL and path, as
 * configured, of each member; the sample index; the kind, `text` or `raw`; and
 * the canonical body (members sorted, blanks dropped, strings and numbers
 * verbatim). A body that names no model gets its upstream's; where the route has
 * several, the body of the identity has none, and theirs stand behind the paths.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_PROMPT_H
#define QUEUE_PROMPT_H

#include <stdint.h>

#include "base/conf.h"
#include "base/digest.h"
#include "base/route.h"
#include "queue/line.h"
#include "store/request.h"

/* Raised when the template below changes: old answers are then not served. */
#define PROMPT_VERSION "1"

#define PROMPT_TOKEN_BYTES 4 /* of a prompt, by the usual estimate */

/* A composer; reused for many drafts. */
struct prompt {
    struct buf body;     /* of the HTTP request */
    struct buf path;     /* of the endpoint, behind the base URL */
    struct route route;  /* to where it may go */
    struct buf names;    /* the route's text */
    struct buf model;    /* that the draft names, decoded; empty: none */
    uint32_t model_tag;  /* stands for it; 0: none */
    struct slice mapped; /* what the upstream calls it; empty: the same */
    enum request_kind kind;
    struct buf identity; /* what the key is the digest of */
    unsigned char key[DIGEST_BYTES];
    uint64_t tag;          /* what its group has in common */
    size_t chars;          /* code points of its text */
    int64_t answer_tokens; /* that its answer may have; 0: it does not say */

    struct digest *digest; /* private, as is the rest */
    struct json_doc doc;
};

/* Frees what composing allocated; the prompt is empty and valid again. A
 * zero-initialised one is valid too. */
void prompt_fini(struct prompt *prompt);

/* Composes a draft with its batch's options, for the first member of its route.
 * `flags` are the request's: one that was cut off gets twice the room, which
 * does not change its key. E_INVALID with *fault: it cannot go there. */
int prompt_make(struct prompt *prompt, const struct line *line,
                const struct line *options, const struct conf *conf,
                unsigned flags, struct line_fault *fault)
    __attribute__((warn_unused_result));

/* Composes path and body of what prompt_make() has read anew, for an upstream of
 * its route, or the sampler (NULL). */
void prompt_aim(struct prompt *prompt, const struct line *line,
                const struct line *options,
                const struct conf_upstream *upstream, unsigned flags);

/* True if it is for chat completions, and so something for the sampler. */
bool prompt_is_chat(const struct line *line);

/* What becomes of it if no upstream can be asked: as the draft, its batch or else
 * the configuration says. */
enum resort prompt_resort(const struct line *line, const struct line *options,
                          const struct conf *conf);

/* What a composed request is thought to take: its prompt, and the answer that it
 * allows, or else the configured guess. At least 1. */
uint32_t prompt_tokens(const struct prompt *prompt, const struct conf *conf);

/* True if a request that was cut off can be tried with more room: how much it
 * may have is named by its draft, or by its upstream (NULL: none) for all that
 * name nothing. Without a limit of ours the model ran into its own. */
bool prompt_can_enlarge(const struct line *line, const struct line *options,
                        const struct conf_upstream *upstream);

/* Appends what a person would call the draft's text: decoded, for messages the
 * last user message; and its goal. For essences. */
void prompt_text(const struct line *line, struct buf *text);
void prompt_goal(const struct line *line, const struct line *options,
                 struct buf *goal);

#endif
