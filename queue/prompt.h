/*
 * prompt.h - from a draft to the request that is sent, and what identifies it
 *
 * When a draft comes, prompt_make() says what identifies its request, and what
 * intake needs to know of it; when it goes, prompt_aim() says what is sent, and
 * where. body.h has what the two have in common.
 *
 * The request key is SHA-256 of the identity: requests with the same key may
 * share an answer. Its parts are, each with a NUL behind it, "sheaf request" and
 * the template's version; the route (see route.h); base URL and path, as
 * configured, of each member; the sample index; the kind, `text` or `raw`; and
 * the canonical body. A body that names no model gets its upstream's; where the
 * route has several, the body of the identity has none, and theirs stand behind
 * the paths. There, too, stands what an upstream calls a model that the body names,
 * if it has another name for it.
 *
 * Most drafts of a batch differ in nothing but their text: all that stands before
 * and behind it is the same. One is spelt out, and what it has in common with
 * the next is kept.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_PROMPT_H
#define QUEUE_PROMPT_H

#include <stdint.h>

#include "base/conf.h"
#include "base/digest.h"
#include "base/route.h"
#include "queue/body.h"
#include "queue/line.h"
#include "store/request.h"

/* Raised when the template below changes: old answers are then not served. */
#define PROMPT_VERSION "1"

#define PROMPT_TOKEN_BYTES 4 /* of a prompt, by the usual estimate */

/* What drafts of a batch have in common that differ in their text alone. */
struct prompt_common {
    const struct conf *conf; /* borrowed; NULL: none was spelt out yet */
    struct buf options;      /* their text */
    struct buf own;          /* what a draft says itself */
    struct digest *begun;    /* of the identity up to the text */
    struct buf rest;         /* of the identity, behind the text */
    struct buf names;
    uint32_t model_tag;
    uint64_t tag;
    size_t body_bytes; /* without the text */
    int64_t answer_tokens;
};

/* A composer; reused for many drafts. */
struct prompt {
    /* Of prompt_make(), and of prompt_spell(). */
    unsigned char key[DIGEST_BYTES];
    struct buf names;   /* the route's text */
    uint32_t model_tag; /* stands for the model that it names; 0: none */
    enum request_kind kind;
    uint64_t tag;          /* what its group has in common */
    size_t chars;          /* code points of its text */
    size_t body_bytes;     /* as it is sent to the first of its route */
    int64_t answer_tokens; /* that its answer may have; 0: it does not say */
    struct buf identity;   /* what the key is the digest of; only when spelt */
    /* Of prompt_route(). */
    struct route route; /* to where it may go */
    struct buf model;   /* that the draft names, decoded; empty: none */
    /* Of prompt_aim(). */
    struct buf body;     /* of the HTTP request */
    struct buf path;     /* of the endpoint, behind the base URL */
    struct slice mapped; /* the model's name there; empty: the same */

    struct body members; /* private, as is the rest */
    struct digest *digest;
    struct buf own; /* what a draft says itself beside its text */
    /* Of drafts that say nothing, and of those that say something. */
    struct prompt_common plain, told;
    const struct prompt_common *current; /* whose names and the like these are;
                                            NULL: of neither */
};

/* Frees what composing allocated; the prompt is empty and valid again. A
 * zero-initialised one is valid too. As long as a prompt is used with a
 * configuration, that must stay as it is. */
void prompt_fini(struct prompt *prompt);

/* Makes the key of a draft with its batch's options, and what else is known of
 * its request before it is sent. E_INVALID with *fault: it cannot go where it
 * is to go, or is too large. */
int prompt_make(struct prompt *prompt, const struct line *line,
                const struct line *options, const struct conf *conf,
                struct line_fault *fault) __attribute__((warn_unused_result));

/* The same, and spells out the identity, for whoever wants to see it. */
int prompt_spell(struct prompt *prompt, const struct line *line,
                 const struct line *options, const struct conf *conf,
                 struct line_fault *fault) __attribute__((warn_unused_result));

/* Reads where a draft may go, and the model that it names: what prompt_aim()
 * needs. E_INVALID with *fault: it cannot go there. */
int prompt_route(struct prompt *prompt, const struct line *line,
                 const struct line *options, const struct conf *conf,
                 struct line_fault *fault) __attribute__((warn_unused_result));

/* Composes path and body for an upstream of the route that prompt_route() has
 * read, or for the sampler (NULL). `flags` are the request's: one that was cut
 * off gets twice the room. */
void prompt_aim(struct prompt *prompt, const struct line *line,
                const struct line *options,
                const struct conf_upstream *upstream, unsigned flags);

/* What an upstream (NULL: the sampler) calls the model that the draft names, once
 * prompt_route() has read it; borrowed from the configuration. Empty: the same, or
 * none is named. */
struct slice prompt_mapped(const struct prompt *prompt,
                           const struct conf_upstream *upstream);

/* The nth member of the route; NULL: the sampler. */
const struct conf_upstream *prompt_member(const struct prompt *prompt,
                                          const struct conf *conf, size_t nth);

/* Puts the path of a draft's endpoint at an upstream (NULL: the sampler) into
 * `path`, in place of its content. E_INVALID with *fault: there is none. */
int prompt_path(const struct line *line, const struct conf_upstream *upstream,
                struct buf *path, struct line_fault *fault)
    __attribute__((warn_unused_result));

/* What the body of a draft for that upstream is made of. */
struct body_terms prompt_terms(const struct prompt *prompt,
                               const struct line *line,
                               const struct line *options,
                               const struct conf_upstream *upstream);

/* True if it is for chat completions, and so something for the sampler. */
bool prompt_is_chat(const struct line *line);

/* What becomes of it if no upstream can be asked: as the draft, its batch or else
 * the configuration says. */
enum resort prompt_resort(const struct line *line, const struct line *options,
                          const struct conf *conf);

/* What a request that was made is thought to take: its prompt, and the answer
 * that it allows, or else the configured guess. At least 1. */
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
