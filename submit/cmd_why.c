/* SPDX-License-Identifier: MIT */
#include "submit/command.h"
#include "submit/explanation.h"

/* The draft is named by its id, or by its index. */
static int
check_arguments(const struct command *command, struct err *err)
{
    const struct options *options = command->options;
    size_t count = options->index < 0 ? 2 : 1;
    int rc = command_check_arguments(command, 1, 2, err);

    if (rc == 0)
        rc = command_check_batch(options->arguments.items[0], err);
    if (rc == 0 && options->arguments.count != count) {
        rc = err_set(err, E_USAGE,
                     count == 2 ? "name a draft: its ID, or --index N"
                                : "ID and --index both name a draft");
    }
    return rc;
}

int
cmd_why(struct command *command, struct err *err)
{
    const struct options *options = command->options;
    struct wire reply = { .head = NULL };
    struct buf text = { 0 };
    cJSON *head;
    int rc = check_arguments(command, err);

    if (rc == 0)
        rc = command_connect(command, err);
    if (rc < 0)
        return rc;
    head = wire_new("why");
    wire_add_str(head, "batch", options->arguments.items[0]);
    if (options->index < 0)
        wire_add_str(head, "id", options->arguments.items[1]);
    else
        wire_add_int(head, "index", options->index);
    rc = command_ask(command, head, (struct slice){ NULL, 0 }, &reply, err);
    if (rc == 0 && options->json) {
        explanation_digested(reply.head, "digested", reply.body);
        command_add_json(&reply, &text);
    } else if (rc == 0) {
        rc = explanation_add(&reply, &text, err);
    }
    if (rc == 0)
        rc = command_print(&text, err);
    wire_fini(&reply);
    buf_fini(&text);
    return rc;
}
