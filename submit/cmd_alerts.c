/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/clock.h"
#include "submit/command.h"
#include "submit/output.h"

#define ROW "%-18s  %-16s  %-7s  %-20s  "

static const char *
string_of(const cJSON *object, const char *name)
{
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(object, name);

    return cJSON_IsString(text) ? text->valuestring : "";
}

static void
add_row(const cJSON *item, struct buf *out)
{
    const cJSON *since = cJSON_GetObjectItemCaseSensitive(item, "since");
    const char *upstream = string_of(item, "upstream");
    char text[CLOCK_TEXT_BYTES] = "-";

    if (cJSON_IsNumber(since) && since->valuedouble > 0) {
        clock_text((int64_t)since->valuedouble, text);
        memcpy(text + strlen("2026-01-31T12:00:00"), "Z", 2);
    }
    buf_addf(out, ROW, string_of(item, "alert"), *upstream ? upstream : "-",
             string_of(item, "state"), text);
    output_escape_line(slice_of(string_of(item, "message")), out);
    buf_add_char(out, '\n');
}

static int
print_alerts(const struct command *command, const struct wire *reply,
             struct err *err)
{
    struct buf text = { 0 };
    const cJSON *item;
    int rc;

    if (command->options->json) {
        command_add_json(reply, &text);
    } else {
        buf_addf(&text, ROW "%s\n", "ALERT", "UPSTREAM", "STATE", "SINCE",
                 "WHAT IS SEEN");
        cJSON_ArrayForEach(item, wire_get(reply, "alerts"))
            add_row(item, &text);
    }
    rc = command_print(&text, err);
    buf_fini(&text);
    return rc;
}

int
cmd_alerts(struct command *command, struct err *err)
{
    struct wire reply = { .head = NULL };
    int64_t firing = 0;
    int rc = command_check_arguments(command, 0, 0, err);

    if (rc == 0)
        rc = command_connect(command, err);
    if (rc == 0)
        rc = command_ask(command, wire_new("alerts"), (struct slice){ NULL, 0 },
                         &reply, err);
    if (rc == 0)
        rc = wire_int(&reply, "firing", wire_range(0, WIRE_INT_MAX), &firing,
                      err);
    if (rc == 0)
        rc = print_alerts(command, &reply, err);
    wire_fini(&reply);
    if (rc < 0)
        return rc;
    return firing > 0 ? EXIT_FLAWED : 0;
}
