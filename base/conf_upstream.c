/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "base/conf.h"
#include "base/dialect.h"
#include "base/mem.h"
#include "base/model_map.h"
#include "base/url.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* What an upstream's dialect fills in where nothing else is given. */
static void
apply_dialect(struct conf_upstream *upstream, const struct dialect *dialect)
{
    struct buf path = { 0 };

    if (!upstream->api_version)
        upstream->api_version = mem_dup_str(dialect->api_version);
    if (upstream->max_tokens_default == 0)
        upstream->max_tokens_default = dialect->max_tokens;
    dialect_add_path(upstream->path ? upstream->path : dialect->path,
                     upstream->api_version, &path);
    free(upstream->path);
    upstream->path = buf_take(&path);
}

/* An option that is a text, and its value if it is given. */
struct given {
    const char *name;
    const char *value; /* or NULL */
};

#define GIVEN(upstream, option) ((struct given){ #option, (upstream)->option })

static const char *
first_given(const struct given *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i].value)
            return list[i].name;
    }
    return NULL;
}

/* Of options that say the same thing in different ways, one is enough. */
static int
check_one(const struct given *list, size_t count, struct err *err)
{
    const char *first = NULL;

    for (size_t i = 0; i < count; i++) {
        if (!list[i].value)
            continue;
        if (first) {
            return err_set(err, E_INVALID, "both %s and %s are given", first,
                           list[i].name);
        }
        first = list[i].name;
    }
    return 0;
}

/* Access tokens take the place of a key, and need all that gets them. */
static int
check_oauth(const struct conf_upstream *upstream, struct err *err)
{
    const struct given keys[] = { GIVEN(upstream, oauth_token_url),
                                  GIVEN(upstream, key_file),
                                  GIVEN(upstream, key_credential),
                                  GIVEN(upstream, key_env) };
    const struct given secrets[] = {
        GIVEN(upstream, oauth_client_secret_file),
        GIVEN(upstream, oauth_client_secret_credential),
        GIVEN(upstream, oauth_client_secret_env),
    };
    const struct given others[] = { GIVEN(upstream, oauth_client_id),
                                    GIVEN(upstream, oauth_scope),
                                    GIVEN(upstream, oauth_audience) };
    const char *secret = first_given(secrets, COUNT(secrets));
    const char *other = first_given(others, COUNT(others));

    if (!upstream->oauth_token_url) {
        if (secret || other) {
            return err_set(err, E_INVALID, "%s needs oauth_token_url",
                           secret ? secret : other);
        }
        return 0;
    }
    if (check_one(keys, COUNT(keys), err) < 0 ||
        check_one(secrets, COUNT(secrets), err) < 0) {
        return E_INVALID;
    }
    if (!upstream->oauth_client_id)
        return err_set(err, E_INVALID, "oauth_client_id is missing");
    if (!secret) {
        return err_set(err, E_INVALID,
                       "oauth_client_secret_file, _credential or _env is "
                       "missing");
    }
    if (!upstream->allow_plain_http &&
        url_is_exposed(upstream->oauth_token_url)) {
        return err_set(err, E_INVALID,
                       "oauth_token_url: http:// to another host can be read "
                       "on the way; use https://, or set "
                       "allow_plain_http = yes in a section for it");
    }
    return 0;
}

int
conf_complete_upstream(struct conf_upstream *upstream, struct err *err)
{
    const struct dialect *dialect = dialect_find(upstream->dialect);
    const struct given keys[] = { GIVEN(upstream, key_file),
                                  GIVEN(upstream, key_credential),
                                  GIVEN(upstream, key_env) };

    if (!dialect) {
        return err_set(err, E_INVALID,
                       "upstream %s: dialect: none of openai, responses, "
                       "azure, anthropic, gemini, ollama and salesforce",
                       upstream->name);
    }
    if (!upstream->base_url) {
        return err_set(err, E_INVALID, "upstream %s: base_url is missing",
                       upstream->name);
    }
    if (check_one(keys, COUNT(keys), err) < 0 ||
        check_oauth(upstream, err) < 0) {
        return err_wrap(err, "upstream %s", upstream->name);
    }
    if (upstream->model_map &&
        model_map_check(slice_of(upstream->model_map), err) < 0) {
        return err_wrap(err, "upstream %s: model_map", upstream->name);
    }
    if (!upstream->allow_plain_http && url_is_exposed(upstream->base_url)) {
        return err_set(err, E_INVALID,
                       "upstream %s: base_url: http:// to another host can be "
                       "read on the way; use https://, or set "
                       "allow_plain_http = yes in a section for it",
                       upstream->name);
    }
    apply_dialect(upstream, dialect);
    return 0;
}
