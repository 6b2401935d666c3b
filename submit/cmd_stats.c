/* SPDX-License-Identifier: MIT */
#include "submit/command.h"
#include "submit/metrics.h"

#define WIDTH "%-32s"

/* The figures that are one number; lists are for programs. */
static void
add_table(const cJSON *stats, struct buf *out)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, stats)
    {
        if (cJSON_IsNumber(item))
            buf_addf(out, WIDTH "%.15g\n", item->string, item->valuedouble);
    }
}

static int
add_stats(const struct options *options, const cJSON *stats, struct buf *out,
          struct err *err)
{
    if (!cJSON_IsObject(stats))
        return err_set(err, E_PROTOCOL, "the broker told no statistics");
    if (options->prometheus)
        return metrics_write(stats, out);
    if (options->json) {
        wire_print(cJSON_Duplicate(stats, true), out);
        buf_add_char(out, '\n');
    } else {
        add_table(stats, out);
    }
    return 0;
}

int
cmd_stats(struct command *command, struct err *err)
{
    struct wire reply = { .head = NULL };
    struct buf text = { 0 };
    int rc = command_check_arguments(command, 0, 0, err);

    if (rc == 0 && command->options->json && command->options->prometheus)
        rc = err_set(err, E_USAGE, "--json and --prometheus contradict");
    if (rc == 0)
        rc = command_connect(command, err);
    if (rc == 0)
        rc = command_ask(command, wire_new("stats"), (struct slice){ NULL, 0 },
                         &reply, err);
    if (rc == 0) {
        rc = add_stats(command->options, wire_get(&reply, "stats"), &text, err);
    }
    if (rc == 0)
        rc = command_print(&text, err);
    wire_fini(&reply);
    buf_fini(&text);
    return rc;
}
