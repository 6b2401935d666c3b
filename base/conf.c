/* SPDX-License-Identifier: MIT */
#include "base/conf.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/conf_webhook.h"
#include "base/mem.h"
#include "base/option.h"

#define SHOWN_BYTES_MAX 64 /* of a name, in a reason */

#define OPENAI_BASE_URL "https://api.openai.com/v1"
#define OPENAI_MODEL    "gpt-4o-mini"
#define OPENAI_KEY_ENV  "OPENAI_API_KEY"

/* clang-format off */
#define SCALAR(name, type, initial, min, max, unit, sentence)                \
    { #name, OPTION_##type, offsetof(struct conf, name),                     \
      #initial, min, max, unit, sentence },
#define TEXT(name, type, initial, min, max, unit, sentence)                  \
    { #name, OPTION_##type, offsetof(struct conf, name),                     \
      initial, min, max, unit, sentence },
#define SETTING(name, type, initial, min, max, unit, sentence)               \
    { #name, OPTION_##type, offsetof(struct conf_upstream, name),            \
      initial, min, max, unit, sentence },
#define SHARE(name, type, initial, min, max, unit, sentence)                 \
    { #name, OPTION_##type, offsetof(struct conf_client, name),              \
      initial, min, max, unit, sentence },
/* clang-format on */

static const struct option scalars[] = { CONF_LIST(SCALAR)
                                             CONF_TEXT_LIST(TEXT) };
static const struct option settings[] = { CONF_UPSTREAM_LIST(SETTING) };
static const struct option shares[] = { CONF_CLIENT_LIST(SHARE) };

#undef SCALAR
#undef TEXT
#undef SETTING
#undef SHARE

#define SCALAR_COUNT  (sizeof(scalars) / sizeof(scalars[0]))
#define SETTING_COUNT (sizeof(settings) / sizeof(settings[0]))
#define SHARE_COUNT   (sizeof(shares) / sizeof(shares[0]))
#define COUNT(a)      (sizeof(a) / sizeof((a)[0]))

/* What the handler of inih and the reader below it share. */
struct loader {
    FILE *file;
    const char *path;
    struct conf *conf;
    struct err *err; /* never NULL */
    int rc;
    int line; /* of the file, from 1; inih counts the same */
    size_t file_bytes;
    bool had_scalars;
    struct conf_upstream *upstream; /* of the section, or NULL */
    struct conf_webhook *webhook;   /* the same */
    int section_line;
    /* The section's table, NULL before the first one; the struct that it
     * fills; and for each row the line it was given on, or 0. */
    const struct option *options;
    size_t option_count;
    const char *place; /* what the section is, for reasons */
    void *base;
    int lines[SCALAR_COUNT > SETTING_COUNT ? SCALAR_COUNT : SETTING_COUNT];
};

static int
check_upstream_name(const struct conf *conf, struct slice name, struct err *err)
{
    if (name.bytes == 0 || name.bytes > CONF_NAME_BYTES_MAX) {
        return err_set(err, E_INVALID,
                       "the name of an upstream has 1 to %d characters",
                       CONF_NAME_BYTES_MAX);
    }
    for (size_t i = 0; i < name.bytes; i++) {
        char c = name.data[i];

        if (!isalnum((unsigned char)c) && c != '_' && c != '.' && c != '-') {
            return err_set(err, E_INVALID,
                           "the name of an upstream is made of letters, "
                           "digits, _, . and -");
        }
    }
    if (slice_is(name, CONF_LOCAL)) {
        return err_set(err, E_INVALID,
                       "upstream %s is built in and has no options",
                       CONF_LOCAL);
    }
    for (size_t i = 0; i < conf->upstream_count; i++) {
        if (slice_is(name, conf->upstreams[i].name)) {
            return err_set(err, E_INVALID, "upstream %s is given twice",
                           conf->upstreams[i].name);
        }
    }
    if (conf->upstream_count == CONF_UPSTREAMS_MAX) {
        return err_set(err, E_FULL, "more than %d upstreams",
                       CONF_UPSTREAMS_MAX);
    }
    return 0;
}

/* Adds an upstream at its defaults and returns its index. */
static int
add_upstream(struct conf *conf, struct slice name, struct err *err)
{
    struct conf_upstream *upstream;
    int rc = check_upstream_name(conf, name, err);

    if (rc < 0)
        return rc;
    upstream = &conf->upstreams[conf->upstream_count];
    upstream->name = mem_dup(name.data, name.bytes);
    for (size_t i = 0; i < SETTING_COUNT; i++)
        option_init(&settings[i], upstream);
    return (int)conf->upstream_count++;
}

/* Takes out the upstream that was added last. */
static void
drop_upstream(struct conf *conf)
{
    struct conf_upstream *upstream = &conf->upstreams[--conf->upstream_count];

    for (size_t i = 0; i < SETTING_COUNT; i++)
        option_fini(&settings[i], upstream);
    free(upstream->name);
    *upstream = (struct conf_upstream){ 0 };
}

/* Ends the reading; the reason is in the loader's err. */
static void
stop_at(struct loader *loader, int line)
{
    loader->rc = err_wrap(loader->err, "%s:%d", loader->path, line);
}

static void
end_section(struct loader *loader)
{
    int rc = 0;

    if (loader->upstream)
        rc = conf_complete_upstream(loader->upstream, loader->err);
    if (loader->webhook)
        rc = conf_webhook_complete(loader->webhook, loader->err);
    if (rc < 0)
        stop_at(loader, loader->section_line);
    loader->upstream = NULL;
    loader->webhook = NULL;
}

/* The quoted part of `word "name"`; its data is NULL if it is none. */
static struct slice
section_name(struct slice title, const char *word)
{
    size_t at = strlen(word);

    if (title.bytes < at || memcmp(title.data, word, at) != 0)
        return (struct slice){ 0 };
    while (at < title.bytes && isblank((unsigned char)title.data[at]))
        at++;
    if (at == strlen(word) || title.bytes - at < 2 || title.data[at] != '"' ||
        title.data[title.bytes - 1] != '"') {
        return (struct slice){ 0 };
    }
    return (struct slice){ title.data + at + 1, title.bytes - at - 2 };
}

static const struct conf_client *
find_client(const struct conf *conf, struct slice name)
{
    for (size_t i = 0; i < conf->client_count; i++) {
        if (slice_is(name, conf->clients[i].name))
            return &conf->clients[i];
    }
    return NULL;
}

int64_t
conf_client_weight(const struct conf *conf, struct slice name)
{
    const struct conf_client *client = find_client(conf, name);

    return client ? client->weight : 1;
}

static int
begin_scalars(struct loader *loader)
{
    if (loader->had_scalars) {
        return err_set(loader->err, E_INVALID,
                       "the section [sheaf] is given twice");
    }
    loader->had_scalars = true;
    loader->options = scalars;
    loader->option_count = SCALAR_COUNT;
    loader->base = loader->conf;
    loader->place = "[sheaf]";
    return 0;
}

static int
begin_upstream(struct loader *loader, struct slice name)
{
    int rc = add_upstream(loader->conf, name, loader->err);

    if (rc < 0)
        return rc;
    loader->upstream = &loader->conf->upstreams[rc];
    loader->options = settings;
    loader->option_count = SETTING_COUNT;
    loader->base = loader->upstream;
    loader->place = "an upstream";
    return 0;
}

static int
begin_client(struct loader *loader, struct slice name)
{
    struct conf *conf = loader->conf;
    struct conf_client *client;

    if (name.bytes == 0 || name.bytes > CONF_NAME_BYTES_MAX) {
        return err_set(loader->err, E_INVALID,
                       "the name of a client has 1 to %d bytes",
                       CONF_NAME_BYTES_MAX);
    }
    if (find_client(conf, name)) {
        return err_set(loader->err, E_INVALID, "client %.*s is given twice",
                       (int)name.bytes, name.data);
    }
    if (conf->client_count == CONF_CLIENTS_MAX) {
        return err_set(loader->err, E_FULL, "more than %d clients",
                       CONF_CLIENTS_MAX);
    }
    client = &conf->clients[conf->client_count++];
    client->name = mem_dup(name.data, name.bytes);
    for (size_t i = 0; i < SHARE_COUNT; i++)
        option_init(&shares[i], client);
    loader->options = shares;
    loader->option_count = SHARE_COUNT;
    loader->base = client;
    loader->place = "a client";
    return 0;
}

static int
begin_webhook(struct loader *loader, struct slice name)
{
    int rc = conf_webhook_add(loader->conf, name, loader->err);

    if (rc < 0)
        return rc;
    loader->webhook = &loader->conf->webhooks[rc];
    loader->options = conf_webhook_options(&loader->option_count);
    assert(loader->option_count <= COUNT(loader->lines));
    loader->base = loader->webhook;
    loader->place = "a webhook";
    return 0;
}

/* Sections are read here: inih cuts their names at 49 bytes without a word,
 * and does not mention one that is empty. */
static int
begin_section(struct loader *loader, const char *line)
{
    const char *end = strchr(line, ']'), *rest;
    struct slice title, name;

    if (!end)
        return err_set(loader->err, E_INVALID, "the section has no ]");
    title = (struct slice){ line + 1, (size_t)(end - line) - 1 };
    rest = end + 1 + strspn(end + 1, " \t");
    if (*rest && *rest != ';' && *rest != '#')
        return err_set(loader->err, E_INVALID, "text behind the section");
    loader->section_line = loader->line;
    memset(loader->lines, 0, sizeof(loader->lines));
    if (slice_is(title, "sheaf"))
        return begin_scalars(loader);
    name = section_name(title, "upstream");
    if (name.data)
        return begin_upstream(loader, name);
    name = section_name(title, "client");
    if (name.data)
        return begin_client(loader, name);
    name = section_name(title, "webhook");
    if (name.data)
        return begin_webhook(loader, name);
    return err_set(loader->err, E_INVALID,
                   "the section is none of [sheaf], [upstream \"name\"], "
                   "[client \"name\"] and [webhook \"name\"]");
}

/* Reads the next line without its end. 1 at the end of the file. */
static int
read_line(struct loader *loader, char *text, size_t bytes_max)
{
    size_t bytes = 0;
    int c;

    while ((c = getc(loader->file)) != EOF) {
        if (++loader->file_bytes > CONF_FILE_BYTES_MAX) {
            return err_set(loader->err, E_TOOBIG,
                           "the file is larger than %d bytes",
                           CONF_FILE_BYTES_MAX);
        }
        if (c == '\n')
            break;
        if (bytes == bytes_max) {
            return err_set(loader->err, E_TOOBIG,
                           "the line is longer than %zu bytes", bytes_max);
        }
        text[bytes++] = (char)c;
    }
    if (ferror(loader->file))
        return err_set(loader->err, E_IO, "read: %s", strerror(errno));
    if (c == EOF && bytes == 0)
        return 1;
    if (bytes > 0 && text[bytes - 1] == '\r')
        bytes--;
    for (size_t i = 0; i < bytes; i++) {
        if (iscntrl((unsigned char)text[i]) && text[i] != '\t') {
            return err_set(loader->err, E_INVALID,
                           "the line holds a control character");
        }
    }
    text[bytes] = '\0';
    return 0;
}

/* The reader of inih. Blanks in front of a line are dropped, for inih would
 * take an indented line for more of the value above it. */
static char *
next_line(char *text, int bytes, void *stream)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    struct loader *loader = stream;
    const char *start = text;
    int rc;

    if (loader->rc < 0)
        return NULL;
    loader->line++;
    rc = read_line(loader, text, (size_t)bytes - 1);
    if (rc < 0)
        stop_at(loader, loader->line);
    if (rc != 0)
        return NULL;
    if (loader->line == 1 && strncmp(text, byte_order_mark, 3) == 0)
        start += 3;
    start += strspn(start, " \t");
    memmove(text, start, strlen(start) + 1);
    if (*text != '[')
        return text;
    end_section(loader);
    if (loader->rc == 0 && begin_section(loader, text) < 0)
        stop_at(loader, loader->line);
    *text = '\0';
    return loader->rc == 0 ? text : NULL;
}

/* The handler of inih: 1 to go on, 0 if the line is in error. The section that
 * it hands over may be cut short and is not used. */
static int
take_option(void *user, const char *section, const char *name,
            const char *value)
{
    struct loader *loader = user;
    const struct option *option;
    int *line, rc;

    (void)section;
    if (!loader->options) {
        rc = err_set(loader->err, E_INVALID, "%.*s: not in a section",
                     SHOWN_BYTES_MAX, name);
        goto out;
    }
    option = option_find(loader->options, loader->option_count, name);
    if (!option) {
        rc = err_set(loader->err, E_INVALID, "%.*s: no such option in %s",
                     SHOWN_BYTES_MAX, name, loader->place);
        goto out;
    }
    line = &loader->lines[option - loader->options];
    if (*line > 0) {
        rc = err_set(loader->err, E_INVALID,
                     "%s: given twice, first on line %d", name, *line);
        goto out;
    }
    *line = loader->line;
    rc = option_set(option, loader->base, value, loader->err);
out:
    if (rc < 0)
        stop_at(loader, loader->line);
    return rc == 0;
}

void
conf_init(struct conf *conf)
{
    *conf = (struct conf){ 0 };
    for (size_t i = 0; i < SCALAR_COUNT; i++)
        option_init(&scalars[i], conf);
}

void
conf_fini(struct conf *conf)
{
    while (conf->upstream_count > 0)
        drop_upstream(conf);
    while (conf->webhook_count > 0)
        conf_webhook_drop(conf);
    for (size_t i = 0; i < conf->client_count; i++)
        free(conf->clients[i].name);
    for (size_t i = 0; i < SCALAR_COUNT; i++)
        option_fini(&scalars[i], conf);
    *conf = (struct conf){ 0 };
}

int
conf_find_file(const char *given, conf_env_fn *env, const char **path,
               struct err *err)
{
    const char *from = "";

    *path = NULL;
    if (!given) {
        given = env("SHEAF_CONFIG");
        from = "SHEAF_CONFIG: ";
        if (given && !*given)
            given = NULL;
    }
    if (!given) {
        if (access(CONF_PATH_DEFAULT, F_OK) == 0)
            *path = CONF_PATH_DEFAULT;
        return 0;
    }
    if (access(given, F_OK) < 0) {
        return err_set(err, E_USAGE, "%sconfiguration %s: %s", from, given,
                       strerror(errno));
    }
    *path = given;
    return 0;
}

int
conf_load(struct conf *conf, const char *path, struct err *err)
{
    struct err reason = { 0 };
    struct loader loader = { .path = path, .conf = conf };
    int bad_line;

    if (!err)
        err = &reason;
    loader.err = err;
    loader.file = fopen(path, "re");
    if (!loader.file)
        return err_set(err, E_IO, "open %s: %s", path, strerror(errno));
    /* Debian's library takes these at run time. Its own buffer is too small
     * for a URL, and it would cut the line. */
    ini_use_stack = false;
    ini_initial_alloc = ini_max_line = CONF_LINE_BYTES_MAX + 1;
    ini_stop_on_first_error = true;
    bad_line = ini_parse_stream(next_line, &loader, take_option, &loader);
    if (loader.rc == 0 && bad_line != 0) {
        loader.rc =
            bad_line < 0
                ? err_set(err, E_IO, "%s: out of memory", path)
                : err_set(err, E_INVALID, "%s:%d: the line is not name = value",
                          path, bad_line);
    }
    if (loader.rc == 0)
        end_section(&loader);
    (void)fclose(loader.file); /* only read from */
    return loader.rc;
}

int
conf_set(struct conf *conf, const char *name, const char *value,
         struct err *err)
{
    const struct option *option = option_find(scalars, SCALAR_COUNT, name);

    if (!option) {
        return err_set(err, E_INVALID, "%.*s: no such option", SHOWN_BYTES_MAX,
                       name);
    }
    return option_set(option, conf, value, err);
}

/* An upstream for the OpenAI API, or for whatever speaks like it there, which may
 * ask for no key. */
static int
add_openai(struct conf *conf, const char *base_url, bool has_key,
           struct err *err)
{
    const char *const values[][2] = { { "model", OPENAI_MODEL },
                                      { "base_url", base_url },
                                      { "key_env", OPENAI_KEY_ENV } };
    size_t count = sizeof(values) / sizeof(values[0]) - !has_key;
    int index = add_upstream(conf, slice_of("openai"), err), rc = 0;

    if (index < 0)
        return index;
    for (size_t i = 0; i < count; i++) {
        const struct option *option =
            option_find(settings, SETTING_COUNT, values[i][0]);

        assert(option);
        rc = option_set(option, &conf->upstreams[index], values[i][1], err);
        if (rc < 0)
            goto out;
    }
    rc = conf_complete_upstream(&conf->upstreams[index], err);
out:
    if (rc < 0)
        drop_upstream(conf);
    return rc;
}

int
conf_use_environment(struct conf *conf, conf_env_fn *env, struct err *err)
{
    const char *key = env(OPENAI_KEY_ENV);
    const char *base_url = env("OPENAI_BASE_URL");
    const char *use = env("SHEAF_USE_OPENAI");
    bool is_wanted = true, has_key = key && *key;
    int rc;

    if (conf->upstream_count > 0)
        return 0;
    if (use && *use && option_parse_bool(use, &is_wanted, err) < 0)
        return err_wrap(err, "SHEAF_USE_OPENAI");
    if (base_url && !*base_url)
        base_url = NULL;
    if (!is_wanted || (!base_url && !has_key))
        return 0;
    rc = add_openai(conf, base_url ? base_url : OPENAI_BASE_URL, has_key, err);
    if (rc < 0)
        return err_wrap(err, "OPENAI_BASE_URL");
    return 1;
}

const struct conf_upstream *
conf_upstream(const struct conf *conf, const char *name)
{
    for (size_t i = 0; i < conf->upstream_count; i++) {
        if (strcmp(conf->upstreams[i].name, name) == 0)
            return &conf->upstreams[i];
    }
    return NULL;
}

const struct dialect *
conf_dialect(const struct conf_upstream *upstream)
{
    const struct dialect *dialect = dialect_find(upstream->dialect);

    assert(dialect); /* it was checked with the file */
    return dialect;
}

void
conf_dump(const struct conf *conf, struct buf *buf)
{
    buf_add_str(buf, "[sheaf]\n");
    for (size_t i = 0; i < SCALAR_COUNT; i++) {
        option_explain(&scalars[i], buf);
        option_dump(&scalars[i], conf, buf);
    }
    for (size_t i = 0; i < conf->upstream_count; i++) {
        const struct conf_upstream *upstream = &conf->upstreams[i];

        buf_addf(buf, "\n[upstream \"%s\"]\n", upstream->name);
        for (size_t j = 0; j < SETTING_COUNT; j++)
            option_dump(&settings[j], upstream, buf);
    }
    for (size_t i = 0; i < conf->client_count; i++) {
        buf_addf(buf, "\n[client \"%s\"]\n", conf->clients[i].name);
        for (size_t j = 0; j < SHARE_COUNT; j++)
            option_dump(&shares[j], &conf->clients[i], buf);
    }
    for (size_t i = 0; i < conf->webhook_count; i++)
        conf_webhook_dump(&conf->webhooks[i], buf);
}
