/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/runtime.h"
#include "submit/command.h"
#include "submit/feed.h"
#include "submit/output.h"
#include "submit/standing.h"

#define IDENTITY        "sheaf run 1\n" /* changes with the rules below */
#define ATTEMPTS_MAX    5    /* with brokers of somebody else that end */
#define GENERATIONS_MAX 1000 /* of one run, made by --again */

struct run {
    struct command *command; /* borrowed */
    struct input input;
    struct submission submission;
    struct feed feed;
    struct output output;
    bool has_key;   /* the submission has its final one */
    bool is_told;   /* that answers are made without a model */
    bool is_fed;    /* once, so refusals were reported */
    int64_t cursor; /* results up to here were written */
    struct buf summary;
};

/* The store: -C, --store, or the user's own. */
static int
choose_store(const struct options *options, struct buf *store, struct err *err)
{
    if (!!options->directory + !!options->store + !!options->broker > 1) {
        return err_set(err, E_USAGE,
                       "-C, --store and --broker all name a broker; give one");
    }
    if (options->directory)
        buf_add_str(store, options->directory);
    else if (options->store)
        buf_add_str(store, options->store);
    else
        return runtime_default_store("-C", store, err);
    return 0;
}

/* What makes a run the same: the options that change answers, and the drafts.
 * Refused ones have no bytes, but their places count. */
static void
identify(struct run *run, char hex[DIGEST_HEX_BYTES])
{
    struct digest *digest = digest_new();
    unsigned char bytes[DIGEST_BYTES];
    struct input_draft draft;

    digest_add(digest, IDENTITY, strlen(IDENTITY));
    digest_add(digest, run->submission.options.data,
               run->submission.options.bytes + 1);
    while (input_next(&run->input, &draft) == 0) {
        uint64_t length = draft.line.bytes;
        unsigned char prefix[sizeof(length)];

        for (size_t i = 0; i < sizeof(prefix); i++)
            prefix[i] = (unsigned char)(length >> 8 * i);
        digest_add(digest, prefix, sizeof(prefix));
        digest_add(digest, draft.line.data, draft.line.bytes);
    }
    input_rewind(&run->input);
    digest_final(digest, bytes);
    digest_free(digest);
    digest_hex(bytes, hex);
}

/* Asks for the batch of a key: 0, or 1 if there is none, as of one that is too
 * long: with its number, the longest is. */
static int
look_up(struct run *run, const char *key, struct standing *standing,
        struct err *err)
{
    struct wire status;
    cJSON *head;
    int rc;

    if (strlen(key) > WIRE_KEY_BYTES_MAX)
        return 1;
    head = wire_new("status");
    wire_add_str(head, "client", run->submission.sheaf.client);
    wire_add_str(head, "key", key);
    rc = command_ask(run->command, head, (struct slice){ NULL, 0 }, &status,
                     err);
    if (rc == 0)
        rc = standing_read(standing, &status, err);
    wire_fini(&status);
    return rc == E_NOTFOUND ? 1 : rc;
}

static void
name_generation(const char *base, int generation, struct buf *key)
{
    buf_reset(key);
    buf_add_str(key, base);
    if (generation > 1)
        buf_addf(key, "#%d", generation);
}

/* Every --again makes another batch, KEY#2 and so on, so that each of them can
 * be carried on by the same command: the last one counts. A batch that was
 * left open for too long is dead, and the next one takes its place. */
static int
find_generation(struct run *run, const char *base, struct err *err)
{
    struct standing standing = { .drafts = 0 };
    struct buf key = { 0 };
    int generation = 1, rc = 0;

    for (; generation <= GENERATIONS_MAX; generation++) {
        name_generation(base, generation, &key);
        rc = look_up(run, key.data, &standing, err);
        if (rc != 0)
            break;
    }
    if (rc == 0)
        rc = err_set(err, E_FULL, "this run was repeated %d times",
                     GENERATIONS_MAX);
    if (rc == 1) {
        bool is_new =
            run->command->options->again && standing_is_over(&standing);

        if (generation > 1 && !is_new &&
            strcmp(standing.state, "abandoned") != 0)
            generation--;
        name_generation(base, generation, &key);
        submission_set_key(&run->submission, key.data);
        rc = 0;
    }
    buf_fini(&key);
    return rc;
}

static int
choose_key(struct run *run, struct err *err)
{
    const char *given = run->command->options->key;
    char hex[DIGEST_HEX_BYTES];
    struct sheaf_welcome welcome;
    struct sheaf_error error;
    int rc;

    if (run->has_key)
        return 0;
    if (sheaf_hello(run->command->sheaf, &welcome, &error) < 0)
        return command_fail(run->command, &error, err);
    input_limit(&run->input, (size_t)welcome.line_bytes_max);
    if (!given)
        identify(run, hex);
    /* What does not change the answers makes no other run. */
    run->submission.sheaf.adopts_terms = !given;
    rc = find_generation(run, given ? given : hex, err);
    run->has_key = rc == 0;
    return rc;
}

/* Writes all results in order of the input, from where it stopped before. */
static int
write_results(struct run *run, struct err *err)
{
    struct sheaf_query query = { .verb = "results",
                                 .batch = run->feed.batch,
                                 .order = "input",
                                 .cursor = run->cursor,
                                 .asks_ahead = true };
    struct sheaf_page page = { .has_more = true };
    struct sheaf_error error;
    int rc = 0;

    if (!run->output.file)
        rc = output_open(&run->output, run->command->options->output, err);
    if (rc < 0)
        return rc;
    while (page.has_more) {
        if (sheaf_page(run->command->sheaf, &query, &page, &error) < 0)
            return command_fail(run->command, &error, err);
        rc = output_write(&run->output,
                          (struct slice){ page.lines, page.bytes }, err);
        if (rc < 0)
            return rc;
        run->cursor = query.cursor;
    }
    return output_commit(&run->output, err);
}

/* From the drafts to their results. Whatever was done already is found done,
 * so all of it may be repeated. The exit code, or an error. */
static int
carry_out(struct run *run, struct err *err)
{
    const struct options *options = run->command->options;
    struct wire status = { .head = NULL };
    struct standing standing = { .drafts = 0 };
    int rc = choose_key(run, err);

    if (rc == 0)
        rc = command_tell_local(run->command, err);
    if (rc < 0)
        return rc;
    run->feed.is_quiet = run->is_fed;
    input_rewind(&run->input);
    rc = feed_run(&run->feed, err);
    if (rc < 0)
        return rc;
    run->is_fed = true;
    if (strcmp(run->feed.state, "empty") == 0)
        return command_report_empty(run->command, run->feed.drafts);
    rc = standing_wait(run->command, run->feed.batch, -1, &status, &standing,
                       err);
    if (rc == 0 && standing.is_stalled) {
        wire_fini(&status);
        return EXIT_FLAWED;
    }
    if (rc == 0)
        rc = write_results(run, err);
    if (rc == 0) {
        rc = standing_exit_code(&standing, options->fallback_ok);
        buf_reset(&run->summary);
        standing_text(&status, &run->summary);
        if (!options->json && (rc || run->command->progress.is_shown)) {
            command_note(run->command, "batch %s: %s", run->feed.batch,
                         run->summary.data);
        }
    }
    wire_fini(&status);
    return rc;
}

/* With the broker that was named, if one was. */
static int
use_broker(struct run *run, struct err *err)
{
    int rc = command_connect(run->command, err);

    return rc < 0 ? rc : carry_out(run, err);
}

/* Carries it out with whatever broker serves the store. One that another
 * command has started may end under our hands: then comes our own. */
static int
attempt(struct run *run, const char *store, struct err *err)
{
    struct command *command = run->command;

    for (int i = 1;; i++) {
        int rc = command_connect_store(command, store, err);

        if (rc < 0)
            return rc;
        rc = carry_out(run, err);
        if (command->broker.pid > 0 || i == ATTEMPTS_MAX ||
            (rc != E_DRAINING && rc != E_UNREACHABLE)) {
            return rc;
        }
        command_note(command, "the broker of %s went away (%s); trying again",
                     store, err->msg);
        command_disconnect(command);
    }
}

static int
prepare(struct run *run, struct buf *store, struct err *err)
{
    struct command *command = run->command;
    const struct options *options = command->options;
    int rc = choose_store(options, store, err);

    if (rc == 0)
        rc = submission_init(&run->submission, options, clock_wall_ms(), err);
    /* Better to hear now than after a night that it cannot be written. */
    if (rc == 0)
        rc = output_open(&run->output, options->output, err);
    output_fini(&run->output);
    if (rc == 0)
        rc = input_spool(&run->input, err);
    if (rc == 0)
        rc = command_catch_signals(command, err);
    if (rc == 0 && !options->broker)
        rc = private_make_store(store->data, err);
    return rc;
}

int
cmd_run(struct command *command, struct err *err)
{
    const struct options *options = command->options;
    struct run run = { .command = command };
    struct buf store = { 0 };
    int rc = command_check_files(command, err);

    if (rc < 0)
        return rc;
    input_init(&run.input, (char *const *)options->arguments.items,
               options->arguments.count, (enum input_kind)options->input);
    run.feed = (struct feed){ .command = command,
                              .input = &run.input,
                              .submission = &run.submission };
    rc = prepare(&run, &store, err);
    if (rc == 0)
        rc = options->broker ? use_broker(&run, err)
                             : attempt(&run, store.data, err);
    if (rc == SHEAF_E_STOPPED && command->stop_signal)
        err_set(err, rc, "interrupted: run the same command again to go on");
    output_fini(&run.output);
    submission_fini(&run.submission);
    input_fini(&run.input);
    buf_fini(&run.summary);
    buf_fini(&store);
    return rc;
}
