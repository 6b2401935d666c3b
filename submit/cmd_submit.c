/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <uuid/uuid.h>

#include "base/clock.h"
#include "submit/command.h"
#include "submit/dry_run.h"
#include "submit/feed.h"
#include "submit/standing.h"

/* One JSON object about a batch that was submitted. */
static int
print_json(const struct feed *feed, const struct standing *standing,
           struct err *err)
{
    cJSON *head = cJSON_CreateObject();
    struct buf text = { 0 };
    int rc;

    wire_add_str(head, "batch", feed->batch);
    wire_add_str(head, "state", standing->state);
    wire_add_str(head, "key", feed->submission->sheaf.key);
    wire_add_int(head, "drafts", standing->drafts);
    wire_add_int(head, "accepted", standing->drafts - feed->refused);
    wire_add_int(head, "refused", feed->refused);
    wire_add_int(head, "joined", standing->joined);
    wire_add_int(head, "cached", standing->cached);
    wire_print(head, &text);
    buf_add_char(&text, '\n');
    rc = command_print(&text, err);
    buf_fini(&text);
    return rc;
}

static int
print_id(const struct feed *feed, struct err *err)
{
    struct buf text = { 0 };
    int rc;

    buf_addf(&text, "%s\n", feed->batch);
    rc = command_print(&text, err);
    buf_fini(&text);
    return rc;
}

static int
print_status(const struct wire *status, struct err *err)
{
    struct buf text = { 0 };
    int rc;

    command_add_json(status, &text);
    rc = command_print(&text, err);
    buf_fini(&text);
    return rc;
}

/* The batch is there: says so, and waits if that is wanted. */
static int
conclude(struct command *command, const struct feed *feed, struct err *err)
{
    const struct options *options = command->options;
    struct wire status = { .head = NULL };
    struct standing standing = { .drafts = 0 };
    int rc = 0;

    if (!options->json)
        rc = print_id(feed, err);
    if (rc == 0 && options->wait) {
        rc = standing_wait(command, feed->batch, -1, &status, &standing, err);
        if (rc == 0 && options->json)
            rc = print_status(&status, err);
        if (rc == 0)
            rc = standing_exit_code(&standing, options->fallback_ok);
    } else if (rc == 0) {
        cJSON *head = wire_new("status");

        wire_add_str(head, "batch", feed->batch);
        rc =
            command_ask(command, head, (struct slice){ NULL, 0 }, &status, err);
        if (rc == 0)
            rc = standing_read(&standing, &status, err);
        if (rc == 0 && options->json)
            rc = print_json(feed, &standing, err);
        if (rc == 0 && feed->refused > 0)
            rc = EXIT_FLAWED;
    }
    wire_fini(&status);
    return rc;
}

/* Whoever goes on needs the key, which may be one that was made here. */
static void
tell_key(struct command *command, const struct feed *feed, struct err *err)
{
    static const char words[] = "batch %s is still open; to go on with it, "
                                "repeat the command with --key %s";
    const char *key = feed->submission->sheaf.key;

    if (command->options->json)
        err_wrap(err, words, feed->batch, key);
    else
        command_note(command, words, feed->batch, key);
}

static int
submit(struct command *command, struct input *input,
       struct submission *submission, struct err *err)
{
    struct feed feed = { .command = command,
                         .input = input,
                         .submission = submission };
    const char *directory = command->options->directory;
    int rc = command_catch_signals(command, err);

    input_stop_at(input, command->signal_fd);
    /* The first drafts make the store, as with `run`. */
    if (rc == 0 && directory)
        rc = private_make_store(directory, err);
    if (rc == 0)
        rc = command_connect(command, err);
    if (rc == 0)
        rc = command_tell_local(command, err);
    if (rc == 0)
        rc = feed_run(&feed, err);
    if (rc < 0) {
        if (strcmp(feed.state, "open") == 0 && rc != E_CONFLICT)
            tell_key(command, &feed, err);
        return rc;
    }
    if (strcmp(feed.state, "empty") == 0)
        return command_report_empty(command, feed.drafts);
    return conclude(command, &feed, err);
}

int
cmd_submit(struct command *command, struct err *err)
{
    const struct options *options = command->options;
    struct submission submission = { .sheaf = { .key = NULL } };
    struct input input;
    int rc = command_check_files(command, err);

    if (rc < 0)
        return rc;
    input_init(&input, (char *const *)options->arguments.items,
               options->arguments.count, (enum input_kind)options->input);
    rc = submission_init(&submission, options, clock_wall_ms(), err);
    if (rc == 0 && !*submission.sheaf.key) {
        char key[SHEAF_UUID_BYTES];
        uuid_t id;

        uuid_generate(id);
        uuid_unparse_lower(id, key);
        submission_set_key(&submission, key);
    }
    if (rc == 0 && options->dry_run)
        rc = dry_run(command, &input, &submission, err);
    else if (rc == 0)
        rc = submit(command, &input, &submission, err);
    submission_fini(&submission);
    input_fini(&input);
    return rc;
}
