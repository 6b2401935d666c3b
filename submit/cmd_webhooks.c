/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "submit/command.h"
#include "submit/output.h"

#define ROW           "%-40s  %-16s  %-15s  %-9s  %5s  %6s  %-20s  "
#define CELL_BYTES    64
#define REASON_BYTES  100 /* of a message, in the table */
#define LIMIT_DEFAULT 100
#define PAGE_LIMIT    1000
#define SECOND_BYTES  19 /* of a time: 2026-01-31T12:00:00 */

static const char *
string_of(const cJSON *object, const char *name)
{
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(object, name);

    return cJSON_IsString(text) ? text->valuestring : "";
}

/* A number as a cell; "-" if there is none. */
static void
number_of(const cJSON *object, const char *name, char cell[CELL_BYTES])
{
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(object, name);

    if (cJSON_IsNumber(number))
        (void)snprintf(cell, CELL_BYTES, "%.0f", number->valuedouble);
    else
        (void)snprintf(cell, CELL_BYTES, "-");
}

static void
time_of(const cJSON *object, const char *name, char cell[CELL_BYTES])
{
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(object, name);
    char text[CLOCK_TEXT_BYTES];

    if (!cJSON_IsNumber(number)) {
        (void)snprintf(cell, CELL_BYTES, "-");
        return;
    }
    clock_text((int64_t)number->valuedouble, text);
    (void)snprintf(cell, CELL_BYTES, "%.*sZ", SECOND_BYTES, text);
}

static void
add_row(const cJSON *item, struct buf *out)
{
    char tries[CELL_BYTES], status[CELL_BYTES], next[CELL_BYTES];
    const char *message = string_of(item, "message");
    const char *code = string_of(item, "code");

    number_of(item, "attempts", tries);
    number_of(item, "http_status", status);
    time_of(item, "next_at", next);
    buf_addf(out, ROW, string_of(item, "id"), string_of(item, "webhook"),
             string_of(item, "type"), string_of(item, "state"), tries, status,
             next);
    output_escape_line(slice_of(code), out);
    buf_add_str(out, *code && *message ? ": " : "");
    output_escape_line(utf8_cut(slice_of(message), REASON_BYTES), out);
    buf_add_char(out, '\n');
}

/* What `webhooks` prints: rows of the table, or of the array. */
struct listing {
    struct command *command;
    struct buf text;
    int64_t count;
};

static int
add_line(struct listing *listing, struct slice line, struct err *err)
{
    cJSON *item;

    if (listing->command->options->json) {
        buf_add_str(&listing->text, listing->count++ ? "," : "");
        buf_add_slice(&listing->text, line);
        return 0;
    }
    item = cJSON_ParseWithLength(line.data, line.bytes);
    if (!item)
        return err_set(err, E_PROTOCOL,
                       "the broker sent a line that is no JSON");
    add_row(item, &listing->text);
    cJSON_Delete(item);
    listing->count++;
    return 0;
}

static int
add_page(struct listing *listing, const struct wire *reply, struct err *err)
{
    struct slice rest = reply->body;
    int rc = 0;

    while (rc == 0 && rest.bytes > 0) {
        const char *end = memchr(rest.data, '\n', rest.bytes);
        size_t bytes = end ? (size_t)(end - rest.data) : rest.bytes;

        rc = add_line(listing, (struct slice){ rest.data, bytes }, err);
        bytes += end ? 1 : 0;
        rest.data += bytes;
        rest.bytes -= bytes;
    }
    return rc;
}

/* Where nobody can post nothing is ever posted, and nothing else would say so. */
static void
begin(struct listing *listing, const struct wire *reply)
{
    const cJSON *webhooks = wire_get(reply, "webhooks"), *item;
    cJSON *copy;

    if (listing->command->options->json) {
        copy = cJSON_Duplicate(webhooks, true);
        buf_add_str(&listing->text, "{\"webhooks\":");
        wire_print(copy, &listing->text);
        buf_add_str(&listing->text, ",\"deliveries\":[");
        return;
    }
    /* A private broker's worker may not have said hello yet. */
    cJSON_ArrayForEach(item, webhooks)
    {
        const cJSON *workers =
            cJSON_GetObjectItemCaseSensitive(item, "workers");

        if (!listing->command->has_broker && cJSON_IsNumber(workers) &&
            workers->valuedouble == 0) {
            command_note(listing->command,
                         "webhook %s: no worker that is connected can post to "
                         "it: they lack its secret or its ca_file, as their "
                         "logs say",
                         string_of(item, "name"));
        }
    }
    buf_addf(&listing->text, ROW "%s\n", "ID", "WEBHOOK", "EVENT", "STATE",
             "TRIES", "STATUS", "NEXT TRY", "REASON");
}

static int
list(struct command *command, struct err *err)
{
    int64_t limit = command->options->limit, before = WIRE_INT_MAX;
    struct listing listing = { .command = command };
    bool has_more = true, is_first = true;
    int rc = 0;

    if (limit == 0)
        limit = LIMIT_DEFAULT;
    while (rc == 0 && has_more && listing.count < limit) {
        int64_t left = limit - listing.count;
        struct wire reply = { .head = NULL };
        cJSON *head = wire_new("webhooks");

        wire_add_int(head, "before", before);
        wire_add_int(head, "limit", left < PAGE_LIMIT ? left : PAGE_LIMIT);
        rc = command_ask(command, head, (struct slice){ NULL, 0 }, &reply, err);
        if (rc == 0 && is_first)
            begin(&listing, &reply);
        is_first = false;
        if (rc == 0)
            rc = add_page(&listing, &reply, err);
        if (rc == 0)
            rc = wire_int(&reply, "cursor", wire_range(0, WIRE_INT_MAX),
                          &before, err);
        if (rc == 0)
            rc = wire_bool(&reply, "more", false, &has_more, err);
        wire_fini(&reply);
    }
    if (rc == 0 && command->options->json)
        buf_add_str(&listing.text, "]}\n");
    if (rc == 0)
        rc = command_print(&listing.text, err);
    buf_fini(&listing.text);
    return rc;
}

/* Asks for one delivery to be made; prints the event's id, alone on a line. */
static int
order(struct command *command, const char *verb, const char *member,
      const char *value, struct err *err)
{
    cJSON *head = wire_new(verb);
    struct wire reply = { .head = NULL };
    struct buf text = { 0 };
    int rc;

    wire_add_str(head, member, value);
    rc = command_ask(command, head, (struct slice){ NULL, 0 }, &reply, err);
    if (rc == 0 && command->options->json)
        command_add_json(&reply, &text);
    else if (rc == 0)
        buf_addf(&text, "%s\n", string_of(wire_get(&reply, "delivery"), "id"));
    if (rc == 0)
        rc = command_print(&text, err);
    wire_fini(&reply);
    buf_fini(&text);
    return rc;
}

int
cmd_webhooks(struct command *command, struct err *err)
{
    const struct options_list *arguments = &command->options->arguments;
    int rc = command_check_arguments(command, 0, 2, err);
    const char *what = arguments->count > 0 ? arguments->items[0] : "";
    bool is_resend = strcmp(what, "resend") == 0;

    if (rc == 0 && arguments->count > 0 &&
        ((!is_resend && strcmp(what, "test") != 0) || arguments->count != 2)) {
        rc = err_set(err, E_USAGE,
                     "webhooks wants nothing, 'resend ID' or 'test NAME'");
    }
    if (rc == 0)
        rc = command_connect(command, err);
    if (rc < 0)
        return rc;
    if (arguments->count == 0)
        return list(command, err);
    return is_resend ? order(command, "webhook_resend", "event",
                             arguments->items[1], err)
                     : order(command, "webhook_test", "webhook",
                             arguments->items[1], err);
}
