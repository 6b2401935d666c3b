/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "submit/command.h"
#include "submit/format.h"
#include "submit/output.h"
#include "submit/standing.h"

#define WAIT_MS           30000
#define CURSOR_MAX        (INT64_C(1) << 53)
#define CURSOR_TEXT_BYTES 32

/* Results on their way from the broker to the output. */
struct flow {
    struct command *command; /* borrowed */
    struct sheaf_query query;
    struct format format;
    struct output output;
    struct buf text;
    bool is_begun; /* something was written */
};

static int
begin(struct flow *flow, struct command *command, struct err *err)
{
    const struct options *options = command->options;

    flow->command = command;
    format_init(&flow->format, (enum options_format)options->format);
    if (options->json &&
        (options->format == FORMAT_CSV || options->format == FORMAT_TEXT)) {
        return err_set(err, E_USAGE, "--json and --format contradict");
    }
    return output_open(&flow->output, options->output, err);
}

static void
end(struct flow *flow)
{
    output_fini(&flow->output);
    format_fini(&flow->format);
    buf_fini(&flow->text);
}

/* Moves one page. *has_more: there is another one now. */
static int
move(struct flow *flow, bool *has_more, struct err *err)
{
    struct sheaf_page page;
    struct sheaf_error error;
    int rc;

    if (sheaf_page(flow->command->sheaf, &flow->query, &page, &error) < 0)
        return command_fail(flow->command, &error, err);
    *has_more = page.has_more;
    buf_reset(&flow->text);
    if (!flow->is_begun)
        format_begin(&flow->format, &flow->text);
    flow->is_begun = true;
    rc = format_lines(&flow->format, (struct slice){ page.lines, page.bytes },
                      &flow->text, err);
    if (rc == 0)
        rc = output_write(&flow->output, buf_slice(&flow->text), err);
    return rc;
}

static int
move_all(struct flow *flow, struct err *err)
{
    bool has_more = true;
    int rc = 0;

    while (rc == 0 && has_more)
        rc = move(flow, &has_more, err);
    return rc;
}

/* Waits for a result behind the cursor, or for the end of the batch. */
static int
wait_more(struct flow *flow, bool *is_over, struct err *err)
{
    struct standing standing = { .drafts = 0 };
    struct sheaf_reply reply;
    struct sheaf_error error;
    struct wire status = { .head = NULL };
    int rc;

    if (sheaf_wait(flow->command->sheaf, flow->query.batch, flow->query.cursor,
                   WAIT_MS, &reply, &error) < 0) {
        return command_fail(flow->command, &error, err);
    }
    rc = wire_parse(&status, (struct slice){ reply.header, reply.header_bytes },
                    (struct slice){ NULL, 0 }, err);
    if (rc == 0)
        rc = standing_read(&standing, &status, err);
    wire_fini(&status);
    *is_over = standing_is_over(&standing);
    return rc;
}

/* Results as they come, until there will be no more. */
static int
follow(struct flow *flow, struct err *err)
{
    bool is_over = false;

    for (;;) {
        int rc = move_all(flow, err);

        if (rc == 0)
            rc = output_flush(&flow->output, err);
        if (rc < 0 || is_over)
            return rc;
        /* Once it is over, a last look takes what came in between. */
        rc = wait_more(flow, &is_over, err);
        if (rc < 0)
            return rc;
    }
}

/* In order of the input, a draft can be waited for only with all others. */
static int
wait_for_all(struct flow *flow, struct err *err)
{
    struct standing standing = { .drafts = 0 };
    struct wire status = { .head = NULL };
    int rc = standing_wait(flow->command, flow->query.batch, -1, &status,
                           &standing, err);

    wire_fini(&status);
    return rc;
}

int
cmd_results(struct command *command, struct err *err)
{
    const struct options *options = command->options;
    bool is_input_order = options->order == ORDER_INPUT;
    struct flow flow = { .query = { .verb = "results", .asks_ahead = true } };
    int rc = command_check_arguments(command, 1, 1, err);

    if (rc == 0)
        rc = command_check_batch(options->arguments.items[0], err);
    if (rc == 0)
        rc = command_connect(command, err);
    if (rc < 0)
        return rc;
    flow.query.batch = options->arguments.items[0];
    flow.query.order = is_input_order ? "input" : "completion";
    flow.query.cursor = options->after > 0 ? options->after : 0;
    /* The broker alone has the replies. */
    if (options->format == FORMAT_OPENAI)
        flow.query.file = "both";
    rc = begin(&flow, command, err);
    if (rc == 0 && options->follow && is_input_order)
        rc = wait_for_all(&flow, err);
    if (rc == 0 && options->follow && !is_input_order)
        rc = follow(&flow, err);
    else if (rc == 0)
        rc = move_all(&flow, err);
    if (rc == 0)
        rc = output_commit(&flow.output, err);
    end(&flow);
    return rc;
}

/* A cursor file holds one number and a newline; a missing one is a beginning. */
static int
read_cursor(const char *path, int64_t *cursor, struct err *err)
{
    char text[CURSOR_TEXT_BYTES] = "", *stop;
    FILE *file = fopen(path, "re");
    size_t bytes;
    int reason;

    *cursor = 0;
    if (!file && errno == ENOENT)
        return 0;
    if (!file)
        return err_set(err, E_IO, "read %s: %s", path, strerror(errno));
    errno = 0;
    bytes = fread(text, 1, sizeof(text) - 1, file);
    reason = ferror(file) ? errno : 0;
    fclose(file);
    if (reason)
        return err_set(err, E_IO, "read %s: %s", path, strerror(reason));
    text[bytes] = '\0';
    *cursor = strtoll(text, &stop, 10);
    if (isdigit((unsigned char)text[0]) && *cursor <= CURSOR_MAX &&
        strcmp(stop, "\n") == 0) {
        return 0;
    }
    return err_set(err, E_USAGE,
                   "%s: not a cursor file, which holds a number and a newline; "
                   "without it, everything is exported again",
                   path);
}

static int
write_cursor(const char *path, int64_t cursor, struct err *err)
{
    struct buf text = { 0 };
    int rc;

    buf_addf(&text, "%lld\n", (long long)cursor);
    rc = output_replace(path, buf_slice(&text), err);
    buf_fini(&text);
    return rc;
}

/* The cursor moves only after what stands before it is out of our hands: a
 * reader may see results twice, but misses none. */
static int
export_all(struct flow *flow, const char *cursor_file, struct err *err)
{
    bool is_stream = !flow->output.path, has_more = true;
    int rc = 0;

    while (rc == 0 && has_more) {
        rc = move(flow, &has_more, err);
        if (rc == 0 && (is_stream || !has_more))
            rc = is_stream ? output_flush(&flow->output, err)
                           : output_commit(&flow->output, err);
        if (rc == 0 && cursor_file && (is_stream || !has_more))
            rc = write_cursor(cursor_file, flow->query.cursor, err);
    }
    return rc;
}

int
cmd_export(struct command *command, struct err *err)
{
    const struct options *options = command->options;
    struct flow flow = { .query = { .verb = "export", .asks_ahead = true } };
    int rc = command_check_arguments(command, 0, 0, err);

    if (rc < 0)
        return rc;
    if (options->after >= 0 && options->cursor_file) {
        return err_set(err, E_USAGE,
                       "--after and --cursor-file both name a cursor");
    }
    if (options->cursor_file && strcmp(options->cursor_file, "-") == 0) {
        return err_set(err, E_USAGE,
                       "--cursor-file -: standard input and output keep no "
                       "cursor; a file of that name is ./-");
    }
    if (options->format == FORMAT_TEXT || options->format == FORMAT_OPENAI)
        return err_set(err, E_USAGE, "export writes jsonl or csv");
    flow.query.cursor = options->after > 0 ? options->after : 0;
    if (options->cursor_file)
        rc = read_cursor(options->cursor_file, &flow.query.cursor, err);
    if (rc == 0)
        rc = command_connect(command, err);
    if (rc == 0)
        rc = begin(&flow, command, err);
    if (rc == 0)
        rc = export_all(&flow, options->cursor_file, err);
    if (rc == E_CONFLICT && options->cursor_file)
        rc = err_wrap(err, "%s", options->cursor_file);
    end(&flow);
    return rc;
}
