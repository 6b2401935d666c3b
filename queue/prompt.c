/* SPDX-License-Identifier: MIT */
#include "queue/prompt.h"

#include <assert.h>
#include <string.h>

#include "base/json.h"
#include "base/model_map.h"

#define URL_PREFIX "/v1" /* of batch lines; base URLs end with it */

static void
common_fini(struct prompt_common *common)
{
    buf_fini(&common->options);
    buf_fini(&common->own);
    digest_free(common->begun);
    buf_fini(&common->rest);
    buf_fini(&common->names);
}

void
prompt_fini(struct prompt *prompt)
{
    buf_fini(&prompt->names);
    buf_fini(&prompt->identity);
    buf_fini(&prompt->model);
    buf_fini(&prompt->body);
    buf_fini(&prompt->path);
    body_fini(&prompt->members);
    digest_free(prompt->digest);
    common_fini(&prompt->plain);
    common_fini(&prompt->told);
    buf_fini(&prompt->own);
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

    prompt->current = NULL;
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

const struct conf_upstream *
prompt_member(const struct prompt *prompt, const struct conf *conf, size_t nth)
{
    return nth < prompt->route.count
               ? &conf->upstreams[prompt->route.members[nth]]
               : NULL;
}

static void
choose_model(struct prompt *prompt, const struct line *line,
             const struct line *options)
{
    struct line_value named = line_value(line, options, LINE_MODEL);

    if (line->is_batch_line) {
        named.doc = &line->doc;
        named.at = json_member(named.doc, line->fields[LINE_BODY], "model");
    }
    buf_reset(&prompt->model);
    json_decode(named.doc, named.at, &prompt->model);
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

int
prompt_path(const struct line *line, const struct conf_upstream *upstream,
            struct buf *path, struct line_fault *fault)
{
    struct buf endpoint = { 0 };

    buf_reset(path);
    /* An upstream may have its chat completions somewhere else. */
    if (prompt_is_chat(line)) {
        buf_add_str(path, upstream ? upstream->path : DIALECT_CHAT_PATH);
        return 0;
    }
    if (!takes_all(upstream)) {
        *fault = upstream ? other_dialect : other_local;
        return E_INVALID;
    }
    json_decode(&line->doc, line->fields[LINE_URL], &endpoint);
    buf_drop(&endpoint, strlen(URL_PREFIX));
    dialect_add_endpoint(conf_dialect(upstream), upstream->path,
                         buf_slice(&endpoint), path);
    buf_fini(&endpoint);
    return 0;
}

int
prompt_route(struct prompt *prompt, const struct line *line,
             const struct line *options, const struct conf *conf,
             struct line_fault *fault)
{
    if (choose_route(prompt, line, options, conf, fault) < 0)
        return E_INVALID;
    for (size_t i = prompt->route.count ? prompt->route.count : 1; i-- > 0;) {
        if (prompt_path(line, prompt_member(prompt, conf, i), &prompt->path,
                        fault) < 0) {
            return E_INVALID;
        }
    }
    choose_model(prompt, line, options);
    return 0;
}

/* ---- what is sent ---- */

struct body_terms
prompt_terms(const struct prompt *prompt, const struct line *line,
             const struct line *options, const struct conf_upstream *upstream)
{
    struct body_terms terms = { .line = line,
                                .options = options,
                                .limit = body_limit(line, options, upstream) };

    if (upstream)
        terms.model = upstream->model;
    else if (prompt->route.count == 0)
        terms.model = CONF_LOCAL;
    return terms;
}

struct slice
prompt_mapped(const struct prompt *prompt, const struct conf_upstream *upstream)
{
    struct slice model = buf_slice(&prompt->model), name = { 0 };

    if (upstream && upstream->model_map && model.bytes)
        name = model_map_find(slice_of(upstream->model_map), model);
    return slice_equal(name, model) ? (struct slice){ 0 } : name;
}

void
prompt_aim(struct prompt *prompt, const struct line *line,
           const struct line *options, const struct conf_upstream *upstream,
           unsigned flags)
{
    struct body_terms terms = prompt_terms(prompt, line, options, upstream);
    struct line_fault fault;

    /* As the last resort, the sampler gets what is for a chat. */
    if (prompt_path(line, upstream, &prompt->path, &fault) < 0)
        buf_add_str(&prompt->path, DIALECT_CHAT_PATH);
    terms.is_enlarged = flags & REQUEST_ENLARGED;
    buf_reset(&prompt->body);
    body_list(&prompt->members, &terms);
    body_write(&prompt->members, &prompt->body);
    prompt->mapped = prompt_mapped(prompt, upstream);
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
            body_limit(line, options, upstream) > 0);
}
