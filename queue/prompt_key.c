/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "base/json.h"
#include "queue/prompt.h"

#define FIELD(name) (1u << LINE_##name)

/* What is no part of a draft's identity, and its text. */
#define OTHER_FIELDS                                                \
    (FIELD(ID) | FIELD(CUSTOM_ID) | FIELD(TEXT) | FIELD(METADATA) | \
     FIELD(LAST_RESORT))

uint32_t
prompt_tokens(const struct prompt *prompt, const struct conf *conf)
{
    int64_t answer =
        prompt->answer_tokens ? prompt->answer_tokens : conf->answer_tokens;

    return (uint32_t)(prompt->body_bytes / PROMPT_TOKEN_BYTES + (size_t)answer +
                      1);
}

/* ---- groups ---- */

/* The first message, if it is the system's, says what a raw request is about. */
static struct slice
system_message(const struct json_doc *doc, size_t messages)
{
    size_t first = json_element(doc, messages, 0);

    if (first == JSON_NONE ||
        !json_is(doc, json_member(doc, first, "role"), "system")) {
        return (struct slice){ 0 };
    }
    return json_raw(doc, first);
}

static void
make_tag(struct prompt *prompt, const struct line *line,
         const struct line *options)
{
    static const enum line_field common[] = {
        LINE_GOAL,        LINE_CONSTRAINTS,     LINE_SYSTEM,     LINE_MODEL,
        LINE_TEMPERATURE, LINE_TOP_P,           LINE_MAX_TOKENS, LINE_STOP,
        LINE_SEED,        LINE_RESPONSE_FORMAT, LINE_EXTRA
    };
    const struct json_doc *doc = &line->doc;
    struct slice part;
    uint64_t tag = digest_xxh(prompt->names.data, prompt->names.bytes, 0);

    tag = digest_xxh(prompt->path.data, prompt->path.bytes, tag);
    if (line->is_batch_line) {
        size_t body = line->fields[LINE_BODY];
        size_t model = json_member(doc, body, "model");

        part = json_raw(doc, model);
        tag = digest_xxh(part.data, part.bytes, tag);
        part = system_message(doc, json_member(doc, body, "messages"));
        prompt->tag = digest_xxh(part.data, part.bytes, tag);
        return;
    }
    for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
        part = line_field(line, options, common[i]);
        tag = digest_xxh(part.data, part.bytes, tag);
    }
    if (line->fields[LINE_MESSAGES] != JSON_NONE) {
        part = system_message(doc, line->fields[LINE_MESSAGES]);
        tag = digest_xxh(part.data, part.bytes, tag);
    }
    prompt->tag = tag;
}

/* Code points of all strings within a value: of a text, or of messages. */
static size_t
count_chars(const struct json_doc *doc, size_t at)
{
    size_t sum = 0;

    for (size_t i = at; i < doc->tokens[at].next; i++) {
        if (doc->tokens[i].type == JSON_STRING)
            sum += json_code_points(doc, i);
    }
    return sum;
}

static size_t
chars_of(const struct line *line)
{
    enum line_field field = line->is_batch_line ? LINE_BODY
                            : line->fields[LINE_TEXT] != JSON_NONE
                                ? LINE_TEXT
                                : LINE_MESSAGES;

    return count_chars(&line->doc, line->fields[field]);
}

/* ---- identity ---- */

static void
add_part(struct prompt *prompt, struct slice part)
{
    buf_add_slice(&prompt->identity, part);
    buf_add_char(&prompt->identity, '\0'); /* no part holds one */
}

/* What an upstream calls the model that is named: a line behind those of others,
 * none of which begins so. */
static void
add_mapped(struct prompt *prompt, const struct conf_upstream *upstream)
{
    struct slice name = prompt_mapped(prompt, upstream);

    if (name.bytes) {
        buf_add_str(&prompt->identity, "\n=");
        buf_add_slice(&prompt->identity, name);
    }
}

/* Where it may go: base URL and path; of several, all of them, a line each, and
 * behind each path the model of bodies that name none. */
static void
add_route(struct prompt *prompt, const struct line *line,
          const struct line *options, const struct conf *conf)
{
    struct line_fault fault;

    add_part(prompt, buf_slice(&prompt->names));
    for (size_t i = 0; i == 0 || i < prompt->route.count; i++) {
        const struct conf_upstream *upstream = prompt_member(prompt, conf, i);

        buf_add_str(&prompt->identity, i ? "\n" : "");
        buf_add_str(&prompt->identity, upstream ? upstream->base_url : "");
    }
    add_part(prompt, (struct slice){ 0 });
    for (size_t i = 0; i == 0 || i < prompt->route.count; i++) {
        const struct conf_upstream *upstream = prompt_member(prompt, conf, i);

        if (prompt_path(line, upstream, &prompt->path, &fault) < 0)
            assert(!"it was looked for before");
        buf_add_str(&prompt->identity, i ? "\n" : "");
        buf_add_slice(&prompt->identity, buf_slice(&prompt->path));
        if (prompt->route.count > 1)
            buf_addf(&prompt->identity, "\n%s\n%s\n%lld",
                     upstream->model ? upstream->model : "",
                     conf_dialect(upstream)->name,
                     (long long)body_limit(line, options, upstream));
        add_mapped(prompt, upstream);
    }
    add_part(prompt, (struct slice){ 0 });
    /* The replies of one dialect are of no use to readers of another. */
    if (prompt->route.count == 1) {
        const struct dialect *dialect =
            conf_dialect(prompt_member(prompt, conf, 0));

        if (dialect != dialect_find(DIALECT_DEFAULT))
            add_part(prompt, slice_of(dialect->name));
    }
}

static void
make_identity(struct prompt *prompt, const struct line *line,
              const struct line *options, const struct conf *conf,
              size_t *text_at)
{
    buf_reset(&prompt->identity);
    add_part(prompt, slice_of("sheaf request " PROMPT_VERSION));
    add_route(prompt, line, options, conf);
    add_part(prompt, line_field(line, options, LINE_SAMPLE_INDEX));
    /* What may pass for an answer to one may not for the other. */
    add_part(prompt, slice_of(prompt->kind == REQUEST_TEXT ? "text" : "raw"));
    body_write_canonical(&prompt->members, &prompt->identity, text_at);
    add_part(prompt, (struct slice){ 0 });
}

/* Lists the members of the body for an upstream; of the identity's, for several
 * of them (NULL), without a model. Returns how many tokens it has. */
static size_t
list(struct prompt *prompt, const struct line *line, const struct line *options,
     const struct conf_upstream *upstream)
{
    struct body_terms terms = prompt_terms(prompt, line, options, upstream);

    return body_list(&prompt->members, &terms);
}

/* Makes all but the key. *text_at becomes the place of the token of a draft's
 * text within the identity. */
static int
spell(struct prompt *prompt, const struct line *line,
      const struct line *options, const struct conf *conf, size_t *text_at,
      struct line_fault *fault)
{
    const struct conf_upstream *upstream;
    bool is_one;

    if (prompt_route(prompt, line, options, conf, fault) < 0)
        return E_INVALID;
    upstream = prompt_member(prompt, conf, 0);
    is_one = prompt->route.count <= 1;
    prompt->kind =
        line->fields[LINE_TEXT] != JSON_NONE ? REQUEST_TEXT : REQUEST_RAW;
    if (list(prompt, line, options, is_one ? upstream : NULL) >
        JSON_TOKEN_MAX) {
        *fault = (struct line_fault){ .code = "too_long",
                                      .message = "too many values" };
        return E_INVALID;
    }
    make_identity(prompt, line, options, conf, text_at);
    make_tag(prompt, line, options);
    if (!is_one)
        list(prompt, line, options, upstream);
    buf_reset(&prompt->body);
    body_write(&prompt->members, &prompt->body);
    prompt->body_bytes = prompt->body.bytes;
    prompt->chars = chars_of(line);
    prompt->answer_tokens = body_answer_tokens(line, options);
    return 0;
}

int
prompt_spell(struct prompt *prompt, const struct line *line,
             const struct line *options, const struct conf *conf,
             struct line_fault *fault)
{
    size_t text_at;

    if (spell(prompt, line, options, conf, &text_at, fault) < 0)
        return E_INVALID;
    if (!prompt->digest)
        prompt->digest = digest_new();
    digest_add(prompt->digest, prompt->identity.data, prompt->identity.bytes);
    digest_final(prompt->digest, prompt->key);
    return 0;
}

/* ---- what drafts of a batch have in common ---- */

/* Puts what a draft says itself into `own`: each field and its token, in which
 * no byte is as low as what divides them. */
static void
note_own(const struct line *line, struct buf *own)
{
    buf_reset(own);
    for (unsigned left = line->given & ~OTHER_FIELDS; left; left &= left - 1) {
        int field = __builtin_ctz(left);

        buf_add_char(own, '\0');
        buf_add_str(own, line_field_name((enum line_field)field));
        buf_add_char(own, '\0');
        buf_add_slice(own, json_raw(&line->doc, line->fields[field]));
    }
}

/* True if the draft in hand differs in its text alone from what was kept. */
static bool
is_known(const struct prompt *prompt, const struct prompt_common *common,
         const struct line *options, const struct conf *conf)
{
    return common->conf == conf &&
           slice_equal(buf_slice(&common->own), buf_slice(&prompt->own)) &&
           slice_equal(buf_slice(&common->options), json_raw(&options->doc, 0));
}

/* Keeps what surrounds the text of a draft that is spelt out. */
static void
keep_common(struct prompt *prompt, struct prompt_common *common,
            const struct line *options, const struct conf *conf, size_t text_at,
            size_t text_bytes)
{
    const struct buf *identity = &prompt->identity;
    size_t end = text_at + text_bytes;

    assert(end < identity->bytes);
    if (!common->begun)
        common->begun = digest_new();
    digest_reset(common->begun);
    digest_add(common->begun, identity->data, text_at);
    buf_reset(&common->rest);
    buf_add(&common->rest, identity->data + end, identity->bytes - end);
    buf_reset(&common->options);
    buf_add_slice(&common->options, json_raw(&options->doc, 0));
    buf_reset(&common->own);
    buf_add_slice(&common->own, buf_slice(&prompt->own));
    buf_reset(&common->names);
    buf_add_slice(&common->names, buf_slice(&prompt->names));
    common->conf = conf;
    common->model_tag = prompt->model_tag;
    common->tag = prompt->tag;
    common->body_bytes = prompt->body_bytes - text_bytes;
    common->answer_tokens = prompt->answer_tokens;
    prompt->current = common;
}

/* What was kept, where another draft was in between. */
static void
recall_common(struct prompt *prompt, const struct prompt_common *common)
{
    buf_reset(&prompt->names);
    buf_add_slice(&prompt->names, buf_slice(&common->names));
    prompt->model_tag = common->model_tag;
    prompt->kind = REQUEST_TEXT;
    prompt->tag = common->tag;
    prompt->answer_tokens = common->answer_tokens;
    prompt->current = common;
}

int
prompt_make(struct prompt *prompt, const struct line *line,
            const struct line *options, const struct conf *conf,
            struct line_fault *fault)
{
    struct prompt_common *common;
    struct slice text;
    size_t text_at = 0;

    if (!(line->given & FIELD(TEXT)))
        return prompt_spell(prompt, line, options, conf, fault);
    text = json_raw(&line->doc, line->fields[LINE_TEXT]);
    note_own(line, &prompt->own);
    common = prompt->own.bytes > 0 ? &prompt->told : &prompt->plain;
    if (!is_known(prompt, common, options, conf)) {
        if (spell(prompt, line, options, conf, &text_at, fault) < 0)
            return E_INVALID;
        keep_common(prompt, common, options, conf, text_at, text.bytes);
    } else if (prompt->current != common) {
        recall_common(prompt, common);
    }
    prompt->body_bytes = common->body_bytes + text.bytes;
    prompt->chars = json_code_points(&line->doc, line->fields[LINE_TEXT]);
    if (!prompt->digest)
        prompt->digest = digest_new();
    digest_copy(prompt->digest, common->begun);
    digest_add(prompt->digest, text.data, text.bytes);
    digest_add(prompt->digest, common->rest.data, common->rest.bytes);
    digest_final(prompt->digest, prompt->key);
    return 0;
}
