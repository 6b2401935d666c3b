/* SPDX-License-Identifier: MIT */
#include "queue/prompt.h"

#include <assert.h>
#include <string.h>

#include "base/json.h"
#include "base/model_map.h"

#define SYSTEM_DEFAULT                                                   \
    "You are a careful assistant. Work on the text of the user message " \
    "and answer with the result only."
#define URL_PREFIX        "/v1" /* of batch lines; base URLs end with it */
#define ANSWER_TOKENS_MAX 1000000000
#define ENLARGE_FACTOR    2

/* What a body may call the limit of its answer. */
static const char *const limits[] = { "max_completion_tokens", "max_tokens" };

void
prompt_fini(struct prompt *prompt)
{
    buf_fini(&prompt->body);
    buf_fini(&prompt->path);
    buf_fini(&prompt->names);
    buf_fini(&prompt->model);
    buf_fini(&prompt->identity);
    json_fini(&prompt->doc);
    digest_free(prompt->digest);
    *prompt = (struct prompt){ 0 };
}

static struct slice
inner(struct slice token)
{
    assert(token.bytes >= 2);
    return (struct slice){ token.data + 1, token.bytes - 2 };
}

/* ---- the route ---- */

static int
choose_route(struct prompt *prompt, const struct line *line,
             const struct line *options, const struct conf *conf,
             struct line_fault *fault)
{
    struct slice named = line_field(line, options, LINE_UPSTREAM);
    int rc = 0;

    buf_reset(&prompt->names);
    if (named.bytes) {
        json_decode_inner(inner(named), &prompt->names);
        rc = route_parse(conf, buf_slice(&prompt->names), &prompt->route, NULL);
        buf_reset(&prompt->names);
    } else {
        route_default(conf, &prompt->route);
    }
    if (rc < 0) {
        *fault = (struct line_fault){ .code = "unknown_upstream",
                                      .field = "upstream",
                                      .message = "is not configured any more" };
        return E_INVALID;
    }
    route_text(conf, &prompt->route, &prompt->names);
    return 0;
}

/* The nth member of the route; NULL: the sampler. */
static const struct conf_upstream *
member(const struct prompt *prompt, const struct conf *conf, size_t nth)
{
    return nth < prompt->route.count
               ? &conf->upstreams[prompt->route.members[nth]]
               : NULL;
}

static void
choose_model(struct prompt *prompt, const struct line *line,
             const struct line *options)
{
    struct slice token = line_field(line, options, LINE_MODEL);
    const struct json_doc *doc = &line->doc;

    buf_reset(&prompt->model);
    if (line->is_batch_line) {
        size_t at = json_member(doc, line->fields[LINE_BODY], "model");

        if (at != JSON_NONE && doc->tokens[at].type == JSON_STRING)
            json_decode(doc, at, &prompt->model);
    } else if (token.bytes) {
        json_decode_inner(inner(token), &prompt->model);
    }
    prompt->model_tag =
        prompt->model.bytes
            ? (uint32_t)digest_xxh(prompt->model.data, prompt->model.bytes, 0)
            : 0;
}

static const struct line_fault other_local = {
    .code = "bad_url",
    .field = "url",
    .message = "the local upstream serves only /v1/chat/completions"
};
static const struct line_fault other_dialect = {
    .code = "bad_url",
    .field = "url",
    .message = "an upstream of this dialect serves only /v1/chat/completions"
};

/* True if an upstream takes bodies for other endpoints than chat completions:
 * they cannot be translated. */
static bool
takes_all(const struct conf_upstream *upstream)
{
    return upstream && conf_dialect(upstream)->is_openai;
}

static int
choose_path(struct prompt *prompt, const struct line *line,
            const struct conf_upstream *upstream, struct line_fault *fault)
{
    struct buf *path = &prompt->path;
    struct buf endpoint = { 0 };
    bool is_chat;

    buf_reset(path);
    if (!line->is_batch_line) {
        buf_add_str(path, upstream ? upstream->path : DIALECT_CHAT_PATH);
        return 0;
    }
    json_decode(&line->doc, line->fields[LINE_URL], &endpoint);
    buf_drop(&endpoint, strlen(URL_PREFIX));
    is_chat = slice_is(buf_slice(&endpoint), DIALECT_CHAT_PATH);
    if (!is_chat && !takes_all(upstream)) {
        buf_fini(&endpoint);
        *fault = upstream ? other_dialect : other_local;
        return E_INVALID;
    }
    /* An upstream may have its chat completions somewhere else. */
    if (is_chat) {
        buf_add_str(path, upstream ? upstream->path : DIALECT_CHAT_PATH);
    } else {
        dialect_add_endpoint(conf_dialect(upstream), upstream->path,
                             buf_slice(&endpoint), path);
    }
    buf_fini(&endpoint);
    return 0;
}

/* ---- the body ---- */

static void
add_member(struct buf *body, const char *name, struct slice token)
{
    if (token.bytes == 0)
        return;
    buf_add_str(body, body->bytes > 1 ? ",\"" : "\"");
    buf_add_str(body, name);
    buf_add_str(body, "\":");
    buf_add_slice(body, token);
}

static void
add_model(struct prompt *prompt, const struct line *line,
          const struct line *options, const struct conf_upstream *upstream)
{
    struct slice model = line_field(line, options, LINE_MODEL);

    if (model.bytes) {
        add_member(&prompt->body, "model", model);
    } else if (upstream && upstream->model) {
        buf_add_str(&prompt->body, "\"model\":");
        json_write_string(&prompt->body, upstream->model,
                          strlen(upstream->model));
    } else if (!upstream && prompt->route.count == 0) {
        buf_add_str(&prompt->body, "\"model\":\"" CONF_LOCAL "\"");
    }
}

/* Appends the elements of an array token of strings, each behind "\n- ". */
static void
add_constraints(struct prompt *prompt, struct slice token)
{
    struct json_doc *doc = &prompt->doc;
    int rc = json_parse(doc, token.data, token.bytes, JSON_INPUT, NULL);

    assert(rc == 0); /* it was read before */
    (void)rc;
    for (size_t i = 1; i < doc->tokens[0].next; i = doc->tokens[i].next) {
        buf_add_str(&prompt->body, "\\n- ");
        buf_add_slice(&prompt->body, json_inner(doc, i));
    }
}

/* The system message, from parts that are escaped already. */
static void
add_system(struct prompt *prompt, const struct line *line,
           const struct line *options, bool has_default)
{
    struct slice system = line_field(line, options, LINE_SYSTEM);
    struct slice goal = line_field(line, options, LINE_GOAL);
    struct slice constraints = line_field(line, options, LINE_CONSTRAINTS);
    struct buf *body = &prompt->body;
    const char *gap = "";

    /* An array without strings may have blanks in it. */
    if (constraints.bytes && !memchr(constraints.data, '"', constraints.bytes))
        constraints.bytes = 0;
    if (!has_default && !system.bytes && !goal.bytes && !constraints.bytes)
        return;
    buf_add_str(body, "{\"role\":\"system\",\"content\":\"");
    if (system.bytes)
        buf_add_slice(body, inner(system));
    else if (has_default)
        buf_add_str(body, SYSTEM_DEFAULT);
    if (system.bytes || has_default)
        gap = "\\n\\n";
    if (goal.bytes) {
        buf_add_str(body, gap);
        buf_add_str(body, "Goal: ");
        buf_add_slice(body, inner(goal));
        gap = "\\n\\n";
    }
    if (constraints.bytes) {
        buf_add_str(body, gap);
        buf_add_str(body, "Constraints:");
        add_constraints(prompt, constraints);
    }
    buf_add_str(body, "\"},");
}

static void
add_messages(struct prompt *prompt, const struct line *line,
             const struct line *options)
{
    struct buf *body = &prompt->body;

    buf_add_str(body, body->bytes > 1 ? ",\"messages\":[" : "\"messages\":[");
    if (line->fields[LINE_TEXT] != JSON_NONE) {
        add_system(prompt, line, options, true);
        buf_add_str(body, "{\"role\":\"user\",\"content\":");
        buf_add_slice(body, json_raw(&line->doc, line->fields[LINE_TEXT]));
        buf_add_str(body, "}]");
    } else {
        add_system(prompt, line, options, false);
        buf_add_slice(body,
                      inner(json_raw(&line->doc, line->fields[LINE_MESSAGES])));
        buf_add_char(body, ']');
    }
}

/* The limit of an answer that its draft does not limit, under any name: the
 * upstream's, or 0. */
static int64_t
default_limit(const struct line *line, const struct line *options,
              const struct conf_upstream *upstream)
{
    struct slice extra = line_field(line, options, LINE_EXTRA);
    struct json_doc doc = { 0 };
    int64_t limit = upstream ? upstream->max_tokens_default : 0;

    if (limit == 0 || extra.bytes == 0)
        return limit;
    if (json_parse(&doc, extra.data, extra.bytes, JSON_INPUT, NULL) < 0)
        assert(!"extra was read before");
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        if (json_member(&doc, 0, limits[i]) != JSON_NONE)
            limit = 0;
    }
    json_fini(&doc);
    return limit;
}

static void
add_max_tokens(struct prompt *prompt, const struct line *line,
               const struct line *options, const struct conf_upstream *upstream,
               unsigned flags)
{
    struct slice token = line_field(line, options, LINE_MAX_TOKENS);
    int64_t value = default_limit(line, options, upstream);

    if (token.bytes && !(flags & REQUEST_ENLARGED)) {
        add_member(&prompt->body, "max_tokens", token);
        return;
    }
    if (token.bytes && (json_parse(&prompt->doc, token.data, token.bytes,
                                   JSON_INPUT, NULL) < 0 ||
                        json_int(&prompt->doc, 0, 1, INT32_MAX, &value) < 0)) {
        assert(!"max_tokens was read before");
    }
    if (value > 0) {
        buf_addf(&prompt->body, ",\"max_tokens\":%lld",
                 (long long)value *
                     (flags & REQUEST_ENLARGED ? ENLARGE_FACTOR : 1));
    }
}

/* Composes the body. A model that the draft does not name is the upstream's; for
 * several of them (upstream is NULL, and the route has members): none. */
static void
compose(struct prompt *prompt, const struct line *line,
        const struct line *options, const struct conf_upstream *upstream,
        unsigned flags)
{
    static const enum line_field plain[] = { LINE_TEMPERATURE, LINE_TOP_P,
                                             LINE_STOP, LINE_SEED,
                                             LINE_RESPONSE_FORMAT };
    struct slice extra = line_field(line, options, LINE_EXTRA);

    buf_reset(&prompt->body);
    if (line->is_batch_line) {
        prompt->kind = REQUEST_RAW;
        buf_add_slice(&prompt->body,
                      json_raw(&line->doc, line->fields[LINE_BODY]));
        return;
    }
    prompt->kind =
        line->fields[LINE_TEXT] != JSON_NONE ? REQUEST_TEXT : REQUEST_RAW;
    buf_add_char(&prompt->body, '{');
    add_model(prompt, line, options, upstream);
    add_messages(prompt, line, options);
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        add_member(&prompt->body, line_field_name(plain[i]),
                   line_field(line, options, plain[i]));
    }
    add_max_tokens(prompt, line, options, upstream, flags);
    if (extra.bytes) {
        struct slice members = inner(extra);

        /* An object without members may have blanks in it. */
        if (memchr(members.data, '"', members.bytes)) {
            buf_add_char(&prompt->body, ',');
            buf_add_slice(&prompt->body, members);
        }
    }
    buf_add_char(&prompt->body, '}');
}

/* ---- identity ---- */

static void
add_part(struct prompt *prompt, struct slice part)
{
    buf_add_slice(&prompt->identity, part);
    buf_add_char(&prompt->identity, '\0'); /* no part holds one */
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
        const struct conf_upstream *upstream = member(prompt, conf, i);

        buf_add_str(&prompt->identity, i ? "\n" : "");
        buf_add_str(&prompt->identity, upstream ? upstream->base_url : "");
    }
    add_part(prompt, (struct slice){ 0 });
    for (size_t i = 0; i == 0 || i < prompt->route.count; i++) {
        const struct conf_upstream *upstream = member(prompt, conf, i);

        if (choose_path(prompt, line, upstream, &fault) < 0)
            assert(!"it was chosen before");
        buf_add_str(&prompt->identity, i ? "\n" : "");
        buf_add_slice(&prompt->identity, buf_slice(&prompt->path));
        if (prompt->route.count > 1)
            buf_addf(&prompt->identity, "\n%s\n%s\n%lld",
                     upstream->model ? upstream->model : "",
                     conf_dialect(upstream)->name,
                     (long long)default_limit(line, options, upstream));
    }
    add_part(prompt, (struct slice){ 0 });
    /* The replies of one dialect are of no use to readers of another. */
    if (prompt->route.count == 1 &&
        conf_dialect(member(prompt, conf, 0)) != dialect_find(DIALECT_DEFAULT))
        add_part(prompt, slice_of(conf_dialect(member(prompt, conf, 0))->name));
}

static int
make_key(struct prompt *prompt, const struct line *line,
         const struct line *options, const struct conf *conf)
{
    /* Its parts were read before; together they may be too many. */
    if (json_parse(&prompt->doc, prompt->body.data, prompt->body.bytes,
                   JSON_INPUT, NULL) < 0) {
        return E_TOOBIG;
    }
    if (!prompt->digest)
        prompt->digest = digest_new();
    buf_reset(&prompt->identity);
    add_part(prompt, slice_of("sheaf request " PROMPT_VERSION));
    add_route(prompt, line, options, conf);
    add_part(prompt, line_field(line, options, LINE_SAMPLE_INDEX));
    /* What may pass for an answer to one may not for the other. */
    add_part(prompt, slice_of(prompt->kind == REQUEST_TEXT ? "text" : "raw"));
    json_canonical(&prompt->doc, 0, &prompt->identity);
    add_part(prompt, (struct slice){ 0 });
    digest_add(prompt->digest, prompt->identity.data, prompt->identity.bytes);
    digest_final(prompt->digest, prompt->key);
    return 0;
}

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

/* A number of tokens as it stands in a line, where it was checked. */
static int64_t
read_tokens(struct slice token)
{
    int64_t value = 0;

    for (size_t i = 0; i < token.bytes && value < ANSWER_TOKENS_MAX; i++) {
        if (token.data[i] < '0' || token.data[i] > '9')
            break;
        value = value * 10 + (token.data[i] - '0');
    }
    return value < ANSWER_TOKENS_MAX ? value : ANSWER_TOKENS_MAX;
}

static int64_t
answer_tokens_of(const struct line *line, const struct line *options)
{
    int64_t value = 0;

    if (!line->is_batch_line)
        return read_tokens(line_field(line, options, LINE_MAX_TOKENS));
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]) && value == 0;
         i++) {
        size_t at = json_member(&line->doc, line->fields[LINE_BODY], limits[i]);

        if (at != JSON_NONE)
            value = read_tokens(json_raw(&line->doc, at));
    }
    return value;
}

uint32_t
prompt_tokens(const struct prompt *prompt, const struct conf *conf)
{
    int64_t answer =
        prompt->answer_tokens ? prompt->answer_tokens : conf->answer_tokens;

    return (uint32_t)(prompt->body.bytes / PROMPT_TOKEN_BYTES + (size_t)answer +
                      1);
}

int
prompt_make(struct prompt *prompt, const struct line *line,
            const struct line *options, const struct conf *conf, unsigned flags,
            struct line_fault *fault)
{
    const struct conf_upstream *upstream;

    if (choose_route(prompt, line, options, conf, fault) < 0)
        return E_INVALID;
    upstream = member(prompt, conf, 0);
    for (size_t i = prompt->route.count ? prompt->route.count : 1; i-- > 0;) {
        if (choose_path(prompt, line, member(prompt, conf, i), fault) < 0)
            return E_INVALID;
    }
    choose_model(prompt, line, options);
    compose(prompt, line, options, prompt->route.count > 1 ? NULL : upstream,
            0);
    if (make_key(prompt, line, options, conf) < 0) {
        *fault = (struct line_fault){ .code = "too_long",
                                      .message = "too many values" };
        return E_INVALID;
    }
    make_tag(prompt, line, options);
    prompt->chars = chars_of(line);
    prompt->answer_tokens = answer_tokens_of(line, options);
    prompt->mapped = (struct slice){ 0 };
    if (flags != 0 || prompt->route.count > 1)
        prompt_aim(prompt, line, options, upstream, flags);
    return 0;
}

void
prompt_aim(struct prompt *prompt, const struct line *line,
           const struct line *options, const struct conf_upstream *upstream,
           unsigned flags)
{
    struct line_fault fault;
    struct slice model = buf_slice(&prompt->model);

    /* As the last resort, the sampler gets what is for a chat. */
    if (choose_path(prompt, line, upstream, &fault) < 0)
        buf_add_str(&prompt->path, DIALECT_CHAT_PATH);
    compose(prompt, line, options, upstream, flags);
    prompt->mapped = (struct slice){ 0 };
    if (upstream && upstream->model_map && model.bytes) {
        struct slice name =
            model_map_find(slice_of(upstream->model_map), model);

        if (!slice_equal(name, model))
            prompt->mapped = name;
    }
}

bool
prompt_is_chat(const struct line *line)
{
    return !line->is_batch_line || json_is(&line->doc, line->fields[LINE_URL],
                                           URL_PREFIX DIALECT_CHAT_PATH);
}

bool
prompt_can_enlarge(const struct line *line, const struct line *options,
                   const struct conf_upstream *upstream)
{
    return !line->is_batch_line &&
           (line_field(line, options, LINE_MAX_TOKENS).bytes > 0 ||
            default_limit(line, options, upstream) > 0);
}
