/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "submit/command.h"
#include "submit/output.h"

#define ROW          "%-16s  %-9s  %-20s  %9s  %6s  %8s  %13s  %8s  "
#define CELL_BYTES   64
#define REASON_BYTES 120 /* of a message, in the table */

static const char *
string_of(const cJSON *object, const char *name)
{
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(object, name);

    return cJSON_IsString(text) ? text->valuestring : "";
}

/* A number as a cell; "-" if there is none. */
static void
number_of(const cJSON *object, const char *name, const char *form,
          char cell[CELL_BYTES])
{
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(object, name);

    if (!cJSON_IsNumber(number)) {
        (void)snprintf(cell, CELL_BYTES, "-");
        return;
    }
    if (strcmp(form, "%.2f") == 0)
        (void)snprintf(cell, CELL_BYTES, "%.2f/s", number->valuedouble);
    else
        (void)snprintf(cell, CELL_BYTES, "%.0f", number->valuedouble);
}

static void
until_of(const cJSON *item, char cell[CELL_BYTES])
{
    const cJSON *until = cJSON_GetObjectItemCaseSensitive(item, "until");
    char text[CLOCK_TEXT_BYTES];

    if (strcmp(string_of(item, "state"), "stopped") == 0) {
        (void)snprintf(cell, CELL_BYTES, "resumed");
    } else if (!cJSON_IsNumber(until) || until->valuedouble <= 0) {
        (void)snprintf(cell, CELL_BYTES, "-");
    } else {
        clock_text((int64_t)until->valuedouble, text);
        memcpy(text + strlen("2026-01-31T12:00:00"), "Z", 2);
        (void)snprintf(cell, CELL_BYTES, "%s", text);
    }
}

static void
add_row(const cJSON *item, struct buf *out)
{
    char until[CELL_BYTES], flight[CELL_BYTES], window[CELL_BYTES];
    char rate[CELL_BYTES], p50[CELL_BYTES], p95[CELL_BYTES];
    char failures[CELL_BYTES], latency[2 * CELL_BYTES];
    const char *code = string_of(item, "code");
    const char *message = string_of(item, "message");

    until_of(item, until);
    number_of(item, "in_flight", "%.0f", flight);
    number_of(item, "window", "%.0f", window);
    number_of(item, "rate", "%.2f", rate);
    number_of(item, "p50_ms", "%.0f", p50);
    number_of(item, "p95_ms", "%.0f", p95);
    number_of(item, "failures", "%.0f", failures);
    (void)snprintf(latency, sizeof(latency), "%s/%s", p50, p95);
    buf_addf(out, ROW, string_of(item, "name"), string_of(item, "state"), until,
             flight, window, rate, latency, failures);
    output_escape_line(slice_of(code), out);
    buf_add_str(out, *code && *message ? ": " : "");
    output_escape_line(utf8_cut(slice_of(message), REASON_BYTES), out);
    buf_add_char(out, '\n');
}

static int
print_table(const struct wire *reply, struct err *err)
{
    struct buf text = { 0 };
    const cJSON *item;
    int rc;

    buf_addf(&text, ROW "%s\n", "NAME", "STATE", "UNTIL", "IN FLIGHT", "WINDOW",
             "RATE", "P50/P95 MS", "FAILURES", "REASON");
    cJSON_ArrayForEach(item, wire_get(reply, "upstreams")) add_row(item, &text);
    rc = command_print(&text, err);
    buf_fini(&text);
    return rc;
}

static int
print_json(const struct wire *reply, struct err *err)
{
    struct buf text = { 0 };
    int rc;

    command_add_json(reply, &text);
    rc = command_print(&text, err);
    buf_fini(&text);
    return rc;
}

static int
list(struct command *command, struct err *err)
{
    struct wire reply = { .head = NULL };
    int rc = command_ask(command, wire_new("upstreams"),
                         (struct slice){ NULL, 0 }, &reply, err);

    if (rc == 0) {
        rc = command->options->json ? print_json(&reply, err)
                                    : print_table(&reply, err);
    }
    wire_fini(&reply);
    return rc;
}

static int
resume(struct command *command, const char *name, struct err *err)
{
    cJSON *head = wire_new("upstream_resume");
    struct wire reply = { .head = NULL };
    int rc;

    wire_add_str(head, "upstream", name);
    rc = command_ask(command, head, (struct slice){ NULL, 0 }, &reply, err);
    if (rc == 0 && command->options->json)
        rc = print_json(&reply, err);
    wire_fini(&reply);
    return rc;
}

int
cmd_upstreams(struct command *command, struct err *err)
{
    const struct options_list *arguments = &command->options->arguments;
    int rc = command_check_arguments(command, 0, 2, err);

    if (rc == 0 && arguments->count > 0 &&
        (strcmp(arguments->items[0], "resume") != 0 || arguments->count != 2)) {
        rc = err_set(err, E_USAGE, "upstreams wants nothing, or 'resume NAME'");
    }
    if (rc == 0)
        rc = command_connect(command, err);
    if (rc < 0)
        return rc;
    return arguments->count > 0 ? resume(command, arguments->items[1], err)
                                : list(command, err);
}
