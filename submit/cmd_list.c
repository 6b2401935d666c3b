/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/conf.h"
#include "submit/command.h"
#include "submit/output.h"
#include "submit/standing.h"

#define PAGE_LIMIT 100 /* the most that list gives at a time */
#define ROW        "%-36s  %-9s  %15s  %9s  %-20s  "
#define NAME_WIDTH "%-12s"

/* What to do with each batch of a list. */
typedef int batch_fn(void *arg, const struct wire *status, struct err *err);

static const char *
string_of(const cJSON *object, const char *name)
{
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(object, name);

    return cJSON_IsString(text) ? text->valuestring : "";
}

/* Goes through the batches, the newest first; `limit` 0: all of them. */
static int
walk(struct command *command, int64_t limit, batch_fn *visit, void *arg,
     struct err *err)
{
    char before[SHEAF_UUID_BYTES] = "";
    int64_t count = 0;
    bool has_more = true;
    int rc = 0;

    while (rc == 0 && has_more && (limit == 0 || count < limit)) {
        cJSON *head = wire_new("list");
        const cJSON *item, *batches;
        struct wire reply;

        if (*before)
            wire_add_str(head, "before", before);
        if (command->options->client)
            wire_add_str(head, "client", command->options->client);
        wire_add_int(head, "limit",
                     limit && limit - count < PAGE_LIMIT ? limit - count
                                                         : PAGE_LIMIT);
        rc = command_ask(command, head, (struct slice){ NULL, 0 }, &reply, err);
        if (rc == 0)
            rc = wire_bool(&reply, "more", false, &has_more, err);
        before[0] = '\0';
        batches = rc == 0 ? wire_get(&reply, "batches") : NULL;
        cJSON_ArrayForEach(item, batches)
        {
            struct wire status = { .head = (cJSON *)item };
            const char *batch = string_of(item, "batch");

            if (rc == 0)
                rc = visit(arg, &status, err);
            if (strlen(batch) < sizeof(before))
                memcpy(before, batch, strlen(batch) + 1);
            count++;
        }
        has_more = has_more && *before;
        wire_fini(&reply);
    }
    return rc;
}

static void
add_header(struct buf *out)
{
    buf_addf(out, ROW "%s\n", "BATCH", "STATE", "DONE", "FALLBACKS", "CREATED",
             "CLIENT / NAME");
}

/* One batch as a row of the table. */
static int
add_row(const struct wire *status, struct buf *out, struct err *err)
{
    char created[CLOCK_TEXT_BYTES] = "", done[64], fallbacks[32];
    const char *name = string_of(status->head, "name");
    struct standing standing = { .drafts = 0 };
    int64_t created_ms = 0;
    int rc = standing_read(&standing, status, err);

    if (rc == 0)
        rc = wire_int(status, "created_at", wire_range_or(0, WIRE_INT_MAX, 0),
                      &created_ms, err);
    if (rc < 0)
        return rc;
    clock_text(created_ms, created);
    memcpy(created + strlen("2026-01-31T12:00:00"), "Z", 2);
    snprintf(done, sizeof(done), "%lld/%lld", (long long)standing.done,
             (long long)(standing.drafts - standing.refused));
    snprintf(fallbacks, sizeof(fallbacks), "%lld",
             (long long)standing_fallbacks(&standing));
    buf_addf(out, ROW, string_of(status->head, "batch"), standing.state, done,
             fallbacks, created);
    output_escape_line(slice_of(string_of(status->head, "client")), out);
    buf_add_str(out, *name ? " / " : "");
    output_escape_line(slice_of(name), out);
    buf_add_char(out, '\n');
    return 0;
}

/* A table that is being printed: its header comes with the first row, so that
 * an error is not preceded by half a table. */
struct table {
    struct command *command; /* borrowed */
    bool is_begun;
};

static int
print_begin(struct table *table, struct err *err)
{
    struct buf text = { 0 };
    int rc;

    if (table->is_begun || table->command->options->json)
        return 0;
    table->is_begun = true;
    add_header(&text);
    rc = command_print(&text, err);
    buf_fini(&text);
    return rc;
}

static int
print_batch(void *arg, const struct wire *status, struct err *err)
{
    struct table *table = arg;
    struct buf text = { 0 };
    int rc = print_begin(table, err);

    if (rc == 0 && table->command->options->json)
        command_add_json(status, &text);
    else if (rc == 0)
        rc = add_row(status, &text, err);
    if (rc == 0)
        rc = command_print(&text, err);
    buf_fini(&text);
    return rc;
}

int
cmd_list(struct command *command, struct err *err)
{
    struct table table = { .command = command };
    int rc = command_check_arguments(command, 0, 0, err);

    if (rc == 0)
        rc = command_connect(command, err);
    if (rc == 0)
        rc = walk(command, command->options->limit, print_batch, &table, err);
    return rc < 0 ? rc : print_begin(&table, err);
}

/* The batches that are not over, for the overview. */
struct overview {
    struct buf rows;
    cJSON *array;
};

static int
collect(void *arg, const struct wire *status, struct err *err)
{
    struct overview *overview = arg;
    struct standing standing = { .drafts = 0 };
    int rc = standing_read(&standing, status, err);

    if (rc < 0 || standing_is_over(&standing))
        return rc;
    if (overview->array) {
        cJSON_AddItemToArray(overview->array,
                             cJSON_Duplicate(status->head, true));
        return 0;
    }
    return add_row(status, &overview->rows, err);
}

/* How many alerts fire, if the broker tells. */
static void
add_alerts(const cJSON *firing, struct buf *out)
{
    if (!cJSON_IsNumber(firing))
        return;
    if (firing->valuedouble > 0)
        buf_addf(out, NAME_WIDTH "%.0f: see 'sheaf alerts'\n", "alerts",
                 firing->valuedouble);
    else
        buf_addf(out, NAME_WIDTH "none\n", "alerts");
}

static void
add_broker(const struct wire *welcome, struct buf *out)
{
    const cJSON *name;
    bool is_first = true;

    buf_addf(out, NAME_WIDTH "%s\n", "version",
             string_of(welcome->head, "version"));
    buf_addf(out, NAME_WIDTH "%s\n", "store",
             string_of(welcome->head, "store"));
    buf_addf(out, NAME_WIDTH, "upstreams");
    cJSON_ArrayForEach(name, wire_get(welcome, "upstreams"))
    {
        if (!cJSON_IsString(name))
            continue;
        buf_addf(out, "%s%s", is_first ? "" : ", ", name->valuestring);
        is_first = false;
    }
    buf_addf(out, "%s\n" NAME_WIDTH "%s\n",
             is_first ? CONF_LOCAL " (built in)" : "", "state",
             cJSON_IsTrue(wire_get(welcome, "draining")) ? "shutting down"
                                                         : "running");
    add_alerts(wire_get(welcome, "alerts_firing"), out);
    buf_add_char(out, '\n');
}

/* {"broker":{…},"batches":[…]} */
static void
add_overview_json(const struct wire *welcome, struct overview *overview,
                  struct buf *out)
{
    cJSON *head = cJSON_CreateObject();
    cJSON *broker = cJSON_Duplicate(welcome->head, true);

    cJSON_DeleteItemFromObjectCaseSensitive(broker, "verb");
    cJSON_DeleteItemFromObjectCaseSensitive(broker, "re");
    cJSON_AddItemToObject(head, "broker", broker);
    cJSON_AddItemToObject(head, "batches", overview->array);
    overview->array = NULL;
    wire_print(head, out);
    buf_add_char(out, '\n');
}

int
command_overview(struct command *command, struct err *err)
{
    struct overview overview = { .array = NULL };
    struct wire welcome = { .head = NULL };
    struct buf text = { 0 };
    cJSON *head;
    int rc = command_connect(command, err);

    if (rc < 0)
        return rc;
    if (command->options->json)
        overview.array = cJSON_CreateArray();
    head = wire_new("hello");
    wire_add_int(head, "protocol", WIRE_PROTOCOL);
    rc = command_ask(command, head, (struct slice){ NULL, 0 }, &welcome, err);
    if (rc == 0)
        rc = walk(command, 0, collect, &overview, err);
    if (rc == 0 && overview.array) {
        add_overview_json(&welcome, &overview, &text);
    } else if (rc == 0) {
        add_broker(&welcome, &text);
        add_header(&text);
        buf_add_slice(&text, buf_slice(&overview.rows));
    }
    if (rc == 0)
        rc = command_print(&text, err);
    wire_fini(&welcome);
    cJSON_Delete(overview.array);
    buf_fini(&overview.rows);
    buf_fini(&text);
    return rc;
}
