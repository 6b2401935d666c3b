/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/clock.h"
#include "base/status.h"
#include "submit/command.h"
#include "submit/output.h"
#include "submit/standing.h"

#define MS         1000
#define NAME_WIDTH "%-12s"

static void
add_text_row(struct buf *out, const char *title, const cJSON *value)
{
    if (!cJSON_IsString(value) || !*value->valuestring)
        return;
    buf_addf(out, NAME_WIDTH, title);
    output_escape_line(slice_of(value->valuestring), out);
    buf_add_char(out, '\n');
}

static void
add_time_row(struct buf *out, const char *title, const cJSON *value)
{
    char text[CLOCK_TEXT_BYTES];

    if (!cJSON_IsNumber(value) || value->valuedouble <= 0)
        return;
    clock_text((int64_t)value->valuedouble, text);
    buf_addf(out, NAME_WIDTH "%s\n", title, text);
}

static double
number_of(const cJSON *object, const char *name)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, name);

    return cJSON_IsNumber(value) ? value->valuedouble : 0;
}

static void
add_counts(const struct wire *status, const struct standing *standing,
           struct buf *out)
{
    const cJSON *usage = wire_get(status, "usage");
    const cJSON *cost = wire_get(status, "cost_usd");

    buf_addf(out, NAME_WIDTH "%lld of %lld: ", "done",
             (long long)standing->done,
             (long long)(standing->drafts - standing->refused));
    standing_text(status, out);
    if (standing->slow > 0) {
        buf_addf(out, "\n" NAME_WIDTH "%lld %s", "calls",
                 (long long)standing->slow, progress_stage(standing->stage));
    }
    buf_addf(out, "\n" NAME_WIDTH "%lld from the store, %lld joined\n", "saved",
             (long long)standing->cached, (long long)standing->joined);
    buf_addf(out, NAME_WIDTH "%.0f prompt, %.0f completion, %.0f total\n",
             "tokens", number_of(usage, "prompt_tokens"),
             number_of(usage, "completion_tokens"),
             number_of(usage, "total_tokens"));
    if (cJSON_IsNumber(cost))
        buf_addf(out, NAME_WIDTH "%.6f USD\n", "cost", cost->valuedouble);
}

/* The batch for people: a line for each thing that is known. */
static int
add_status(const struct wire *status, struct buf *out, struct err *err)
{
    struct standing standing = { .drafts = 0 };
    int rc = standing_read(&standing, status, err);

    if (rc < 0)
        return rc;
    add_text_row(out, "batch", wire_get(status, "batch"));
    add_text_row(out, "state", wire_get(status, "state"));
    add_text_row(out, "name", wire_get(status, "name"));
    add_text_row(out, "client", wire_get(status, "client"));
    add_text_row(out, "key", wire_get(status, "key"));
    buf_addf(out, NAME_WIDTH "%.0f\n", "priority",
             number_of(status->head, "priority"));
    add_time_row(out, "created", wire_get(status, "created_at"));
    add_time_row(out, "sealed", wire_get(status, "sealed_at"));
    add_time_row(out, "not before", wire_get(status, "not_before"));
    add_time_row(out, "deadline", wire_get(status, "deadline"));
    add_time_row(out, "finished", wire_get(status, "finished_at"));
    add_text_row(out, "window", wire_get(status, "window"));
    add_text_row(out, "time zone", wire_get(status, "tz"));
    add_counts(status, &standing, out);
    return 0;
}

/* Asks about the one batch that was named, and prints the answer: as JSON, or
 * by what `add` makes of it. */
static int
ask_and_print(struct command *command, cJSON *head,
              int (*add)(const struct wire *, struct buf *, struct err *),
              struct err *err)
{
    struct buf text = { 0 };
    struct wire reply;
    int rc = command_ask(command, head, (struct slice){ NULL, 0 }, &reply, err);

    if (rc == 0 && command->options->json)
        command_add_json(&reply, &text);
    else if (rc == 0)
        rc = add(&reply, &text, err);
    if (rc == 0)
        rc = command_print(&text, err);
    wire_fini(&reply);
    buf_fini(&text);
    return rc;
}

/* Checks the one argument, connects, and starts a header about the batch. */
static int
begin(struct command *command, const char *verb, cJSON **head, struct err *err)
{
    int rc = command_check_arguments(command, 1, 1, err);

    if (rc == 0)
        rc = command_check_batch(command->options->arguments.items[0], err);
    if (rc == 0)
        rc = command_connect(command, err);
    if (rc < 0)
        return rc;
    *head = wire_new(verb);
    wire_add_str(*head, "batch", command->options->arguments.items[0]);
    return 0;
}

int
cmd_status(struct command *command, struct err *err)
{
    cJSON *head;
    int rc;

    if (command->options->arguments.count == 0)
        return command_overview(command, err);
    rc = begin(command, "status", &head, err);
    return rc < 0 ? rc : ask_and_print(command, head, add_status, err);
}

/* Sends a verb that says no more than which batch, and prints its status. */
static int
change(struct command *command, const char *verb, struct err *err)
{
    cJSON *head;
    int rc = begin(command, verb, &head, err);

    return rc < 0 ? rc : ask_and_print(command, head, add_status, err);
}

int
cmd_cancel(struct command *command, struct err *err)
{
    return change(command, "cancel", err);
}

int
cmd_pause(struct command *command, struct err *err)
{
    return change(command, "pause", err);
}

int
cmd_resume(struct command *command, struct err *err)
{
    return change(command, "resume", err);
}

static int
add_purged(const struct wire *reply, struct buf *out, struct err *err)
{
    int64_t drafts;
    int rc =
        wire_int(reply, "drafts", wire_range(0, WIRE_INT_MAX), &drafts, err);

    if (rc == 0)
        buf_addf(out, "%lld draft%s gone\n", (long long)drafts,
                 drafts == 1 ? " is" : "s are");
    return rc;
}

int
cmd_purge(struct command *command, struct err *err)
{
    cJSON *head;
    int rc = begin(command, "purge", &head, err);

    return rc < 0 ? rc : ask_and_print(command, head, add_purged, err);
}

static int
add_retried(const struct wire *reply, struct buf *out, struct err *err)
{
    int64_t count;
    int rc = wire_int(reply, "count", wire_range(0, WIRE_INT_MAX), &count, err);

    if (rc == 0)
        buf_addf(out, "%lld draft%s again\n", (long long)count,
                 count == 1 ? " goes" : "s go");
    return rc;
}

/* Reads "rate_limited,error" into an array of the header. */
static int
add_statuses(const char *list, cJSON *head, struct err *err)
{
    cJSON *array = wire_add_array(head, "statuses");

    while (*list) {
        size_t bytes = strcspn(list, ",");
        struct buf word = { 0 };
        enum status status;

        buf_add(&word, list, bytes);
        status = status_parse(word.data);
        buf_fini(&word);
        if (status == STATUS_NONE || status == STATUS_OK ||
            status == STATUS_CANCELLED) {
            return err_set(err, E_USAGE,
                           "--status: '%.*s' is no status that can be retried",
                           (int)bytes, list);
        }
        cJSON_AddItemToArray(array, cJSON_CreateString(status_name(status)));
        list += bytes;
        list += *list == ',';
    }
    return 0;
}

int
cmd_retry(struct command *command, struct err *err)
{
    const char *statuses = command->options->status;
    cJSON *head;
    int rc = begin(command, "retry", &head, err);

    if (rc == 0 && statuses) {
        rc = add_statuses(statuses, head, err);
        if (rc < 0)
            cJSON_Delete(head);
    }
    return rc < 0 ? rc : ask_and_print(command, head, add_retried, err);
}

/* One line, or one JSON object, about a batch that was waited for. */
static int
print_end(const struct command *command, const struct wire *status,
          const struct standing *standing, struct err *err)
{
    const cJSON *batch = wire_get(status, "batch");
    struct buf text = { 0 };
    int rc;

    if (command->options->json) {
        command_add_json(status, &text);
    } else {
        buf_addf(&text,
                 "%s %s: ", cJSON_IsString(batch) ? batch->valuestring : "",
                 standing->state);
        standing_text(status, &text);
        buf_add_char(&text, '\n');
    }
    rc = command_print(&text, err);
    buf_fini(&text);
    return rc;
}

int
cmd_wait(struct command *command, struct err *err)
{
    const struct options *options = command->options;
    const struct options_list *batches = &options->arguments;
    int64_t end_ms = -1;
    int exit_code = 0;
    int rc = command_check_arguments(command, 1, INT32_MAX, err);

    for (size_t i = 0; rc == 0 && i < batches->count; i++)
        rc = command_check_batch(batches->items[i], err);
    if (rc == 0)
        rc = command_connect(command, err);
    if (options->timeout_s >= 0)
        end_ms = clock_mono_ms() + options->timeout_s * MS;
    for (size_t i = 0; rc == 0 && i < batches->count; i++) {
        struct standing standing = { .drafts = 0 };
        struct wire status = { .head = NULL };

        rc = standing_wait(command, batches->items[i], end_ms, &status,
                           &standing, err);
        if (rc == 0)
            rc = print_end(command, &status, &standing, err);
        if (rc == 0 && standing_exit_code(&standing, options->fallback_ok))
            exit_code = EXIT_FLAWED;
        wire_fini(&status);
    }
    return rc < 0 ? rc : exit_code;
}
