/* SPDX-License-Identifier: MIT */
#include "submit/submission.h"

#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/utf8.h"

static void
add_name(struct buf *out, const char *name)
{
    buf_add_str(out, out->bytes > 1 ? ",\"" : "\"");
    buf_add_str(out, name);
    buf_add_str(out, "\":");
}

static void
add_text(struct buf *out, const char *name, const char *text)
{
    if (!text)
        return;
    add_name(out, name);
    json_write_string(out, text, strlen(text));
}

static void
add_constraints(struct buf *out, const struct options_list *list)
{
    if (list->count == 0)
        return;
    add_name(out, "constraints");
    for (size_t i = 0; i < list->count; i++) {
        buf_add_char(out, i ? ',' : '[');
        json_write_string(out, list->items[i], strlen(list->items[i]));
    }
    buf_add_char(out, ']');
}

/* The members in the order of their names. */
static void
build_options(struct submission *submission, const struct options *options)
{
    struct buf *out = &submission->options;

    buf_add_char(out, '{');
    add_constraints(out, &options->constraint);
    add_text(out, "goal", options->goal);
    if (options->max_tokens > 0) {
        add_name(out, "max_tokens");
        buf_addf(out, "%lld", (long long)options->max_tokens);
    }
    add_text(out, "model", options->model);
    add_text(out, "system", options->system);
    if (options->temperature) {
        add_name(out, "temperature");
        buf_add_str(out, options->temperature);
    }
    add_text(out, "upstream", options->upstream);
    add_text(out, "last_resort", options->last_resort);
    buf_add_char(out, '}');
}

static int
build_metadata(struct submission *submission, const struct options *options,
               struct err *err)
{
    const struct options_list *list = &options->metadata;
    struct buf *out = &submission->metadata;

    buf_add_char(out, '{');
    for (size_t i = 0; i < list->count; i++) {
        const char *item = list->items[i];
        size_t bytes = strcspn(item, "=");

        if (item[bytes] != '=' || bytes == 0)
            return err_set(err, E_USAGE, "--metadata: '%s' is not K=V", item);
        for (size_t j = 0; j < i; j++) {
            if (strncmp(list->items[j], item, bytes + 1) == 0) {
                return err_set(err, E_USAGE, "--metadata: '%.*s' stands twice",
                               (int)bytes, item);
            }
        }
        if (i > 0)
            buf_add_char(out, ',');
        json_write_string(out, item, bytes);
        buf_add_char(out, ':');
        json_write_string(out, item + bytes + 1, strlen(item + bytes + 1));
    }
    buf_add_char(out, '}');
    return 0;
}

/* Arguments are bytes; what goes on must be text, or it would change. */
static int
check_texts(const struct options *options, struct err *err)
{
    const struct options_spec *specs;
    size_t count;

    specs = options_specs(&count);
    for (size_t i = 0; i < count; i++) {
        const void *field = (const char *)options + specs[i].place;
        const struct options_list *list = field;
        const char *const *text = field;
        size_t items = 0;
        bool is_text = true;

        if (!(specs[i].commands & 1u << options->command))
            continue;
        if (specs[i].kind == OPTIONS_LIST)
            items = list->count;
        if (specs[i].kind == OPTIONS_TEXT && *text)
            is_text = utf8_is_valid(slice_of(*text));
        for (size_t j = 0; j < items; j++)
            is_text = is_text && utf8_is_valid(slice_of(list->items[j]));
        if (!is_text)
            return err_set(err, E_USAGE, "--%s: not UTF-8", specs[i].name);
    }
    return 0;
}

static int
read_time(const char *name, const char *text, int64_t now_ms, int64_t *wall_ms,
          struct err *err)
{
    if (!text || clock_parse(text, now_ms, wall_ms) == 0)
        return 0;
    return err_set(err, E_USAGE,
                   "--%s: '%s' is no time such as 2026-01-31T12:00:00Z or +2h",
                   name, text);
}

static void
add_client(struct submission *submission, const char *given)
{
    const struct passwd *user = getpwuid(geteuid());

    if (given)
        buf_add_str(&submission->client, given);
    else if (user && *user->pw_name)
        buf_add_str(&submission->client, user->pw_name);
    else
        buf_addf(&submission->client, "uid-%lu", (unsigned long)geteuid());
}

int
submission_init(struct submission *submission, const struct options *options,
                int64_t now_ms, struct err *err)
{
    struct sheaf_submission *sheaf = &submission->sheaf;
    int rc;

    *submission = (struct submission){ .sheaf = { .key = "" } };
    rc = check_texts(options, err);
    if (rc < 0)
        return rc;
    if (options->key && !*options->key)
        return err_set(err, E_USAGE, "--key: must not be empty");
    if (!options->window != !options->tz ||
        (options->window && *options->window && !*options->tz)) {
        return err_set(err, E_USAGE,
                       "--window and --tz belong together: a window of hours "
                       "means nothing without its time zone");
    }
    build_options(submission, options);
    add_client(submission, options->client);
    rc = build_metadata(submission, options, err);
    if (rc == 0)
        rc = read_time("not-before", options->not_before, now_ms,
                       &sheaf->not_before_ms, err);
    if (rc == 0)
        rc = read_time("deadline", options->deadline, now_ms,
                       &sheaf->deadline_ms, err);
    if (rc < 0)
        return rc;
    sheaf->client = submission->client.data;
    sheaf->name = options->name;
    sheaf->metadata = submission->metadata.data;
    sheaf->options = submission->options.data;
    sheaf->window = options->window;
    sheaf->tz = options->tz;
    sheaf->priority = (int)options->priority;
    sheaf->is_early = options->early;
    submission_set_key(submission, options->key ? options->key : "");
    return 0;
}

void
submission_fini(struct submission *submission)
{
    buf_fini(&submission->options);
    buf_fini(&submission->metadata);
    buf_fini(&submission->client);
    buf_fini(&submission->key);
}

void
submission_set_key(struct submission *submission, const char *key)
{
    buf_reset(&submission->key);
    buf_add_str(&submission->key, key);
    submission->sheaf.key = submission->key.data;
}
