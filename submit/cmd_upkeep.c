/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* getcwd of any length */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/program.h"
#include "base/runtime.h"
#include "submit/command.h"

#define POLL_MS    200 /* between two questions how far it is */
#define FIXED_ARGS 10

/* ---- what a running broker does ---- */

/* How a job stands. */
struct upkeep {
    char id[SHEAF_UUID_BYTES];
    int64_t rows, rows_all, bytes, findings, repairable;
    bool is_done;
};

static int
read_standing(struct upkeep *upkeep, const struct wire *reply, struct err *err)
{
    const struct {
        const char *name;
        int64_t *value;
    } numbers[] = {
        { "rows", &upkeep->rows },
        { "rows_all", &upkeep->rows_all },
        { "bytes", &upkeep->bytes },
        { "findings", &upkeep->findings },
        { "repairable", &upkeep->repairable },
    };
    const char *state;
    int rc = wire_str(reply, "state", SHEAF_STATE_BYTES, NULL, &state, err);

    for (size_t i = 0; rc == 0 && i < sizeof(numbers) / sizeof(numbers[0]);
         i++) {
        rc = wire_int(reply, numbers[i].name, wire_range(0, WIRE_INT_MAX),
                      numbers[i].value, err);
    }
    if (rc == 0)
        upkeep->is_done = strcmp(state, "done") == 0;
    return rc;
}

/* Asks once; the same question starts the job and says how far it is. */
static int
ask(struct command *command, struct upkeep *upkeep, const char *verb,
    const char *directory, struct wire *reply, struct err *err)
{
    cJSON *head = wire_new(verb);
    int rc;

    wire_add_str(head, "job", upkeep->id);
    if (directory)
        wire_add_str(head, "directory", directory);
    rc = command_ask(command, head, (struct slice){ NULL, 0 }, reply, err);
    if (rc == 0)
        rc = read_standing(upkeep, reply, err);
    return rc;
}

static void
show(struct command *command, const struct upkeep *upkeep)
{
    struct progress_counts counts = { .total = upkeep->rows_all,
                                      .done = upkeep->rows };

    progress_show(&command->progress, &counts, clock_mono_ms());
}

/* The lines of a report as an array of strings. */
static void
add_lines(cJSON *head, struct slice report)
{
    cJSON *array = wire_add_array(head, "report");
    const char *at = report.data, *end = at + report.bytes;

    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t bytes = newline ? (size_t)(newline - at) : (size_t)(end - at);
        char *line = mem_dup(at, bytes);

        cJSON_AddItemToArray(array, cJSON_CreateString(line));
        free(line);
        at += bytes + 1;
    }
}

static int
print_end(struct command *command, const struct upkeep *upkeep,
          const char *directory, const struct wire *reply, struct err *err)
{
    struct buf text = { 0 };
    int rc;

    progress_clear(&command->progress);
    if (command->options->json) {
        cJSON *head = cJSON_CreateObject();

        wire_add_int(head, "rows", upkeep->rows);
        wire_add_int(head, "findings", upkeep->findings);
        wire_add_int(head, "repairable", upkeep->repairable);
        if (directory) {
            wire_add_int(head, "bytes", upkeep->bytes);
            wire_add_str(head, "directory", directory);
        }
        add_lines(head, reply->body);
        wire_print(head, &text);
        buf_add_char(&text, '\n');
    } else {
        buf_add_slice(&text, reply->body);
    }
    rc = command_print(&text, err);
    buf_fini(&text);
    if (rc < 0 || command->options->json)
        return rc;
    if (directory)
        command_note(command, "%s: %lld rows, %lld bytes, %lld findings",
                     directory, (long long)upkeep->rows,
                     (long long)upkeep->bytes, (long long)upkeep->findings);
    else
        command_note(command, "%lld rows, %lld findings",
                     (long long)upkeep->rows, (long long)upkeep->findings);
    if (upkeep->repairable > 0)
        command_note(command,
                     "%lld of them are in indexes: stop the broker "
                     "and run sheaf verify --repair",
                     (long long)upkeep->repairable);
    return 0;
}

static int
run_job(struct command *command, const char *verb, const char *directory,
        struct err *err)
{
    const struct timespec span = { .tv_nsec = POLL_MS * 1000000L };
    struct wire reply = { .head = NULL };
    struct upkeep upkeep = { .is_done = false };
    uuid_t uuid;
    int rc = command_catch_signals(command, err);

    uuid_generate_random(uuid);
    uuid_unparse_lower(uuid, upkeep.id);
    if (rc == 0)
        rc = command_connect(command, err);
    while (rc == 0) {
        rc = ask(command, &upkeep, verb, directory, &reply, err);
        if (rc < 0 || upkeep.is_done)
            break;
        show(command, &upkeep);
        wire_fini(&reply);
        /* A signal is blocked and seen by the next question. */
        (void)nanosleep(&span, NULL);
    }
    if (rc == 0)
        rc = print_end(command, &upkeep, directory, &reply, err);
    wire_fini(&reply);
    if (rc == 0 && upkeep.findings > 0)
        rc = PROGRAM_EXIT_DAMAGED;
    return rc;
}

int
cmd_backup(struct command *command, struct err *err)
{
    int rc = command_check_arguments(command, 1, 1, err);
    struct buf path = { 0 };
    const char *given;
    char *here;

    if (rc < 0)
        return rc;
    given = command->options->arguments.items[0];
    /* The broker has a working directory of its own. */
    if (given[0] != '/') {
        here = getcwd(NULL, 0);
        if (!here) {
            return err_set(err, E_IO, "find the working directory: %s",
                           strerror(errno));
        }
        buf_addf(&path, "%s/", here);
        free(here);
    }
    buf_add_str(&path, given);
    rc = run_job(command, "backup", path.data, err);
    buf_fini(&path);
    return rc;
}

/* ---- what sheafd does with a store that nobody serves ---- */

/* What is not there is not found, as for all other commands. */
static int
expect_directory(const char *store, struct err *err)
{
    if (access(store, F_OK) == 0 || errno != ENOENT)
        return 0;
    return err_set(err, E_NOTFOUND, "open the store %s: %s", store,
                   strerror(errno));
}

/* Becomes sheafd: its output and its exit code are ours. */
static int
become_sheafd(struct command *command, const char *mode, const char *more,
              struct err *err)
{
    const struct options *options = command->options;
    struct buf program = { 0 }, store = { 0 };
    const char *dir;
    const char **argv =
        mem_zalloc(FIXED_ARGS + 2 * options->set.count, sizeof(argv[0]));
    size_t count = 0;
    int rc = command_check_arguments(command, 0, 0, err);

    if (rc == 0 && options->broker)
        rc = err_set(err, E_USAGE,
                     "this needs the store for itself, without a broker: name "
                     "it with -C DIR");
    if (rc == 0 && !options->directory)
        rc = runtime_default_store("-C", &store, err);
    dir = options->directory ? options->directory : store.data;
    if (rc == 0)
        rc = expect_directory(dir, err);
    if (rc == 0)
        rc = runtime_find_program("sheafd", &program, err);
    if (rc == 0) {
        argv[count++] = program.data;
        argv[count++] = "--store";
        argv[count++] = dir;
        argv[count++] = mode;
        if (more)
            argv[count++] = more;
        if (options->json)
            argv[count++] = "--json";
        if (options->config) {
            argv[count++] = "--config";
            argv[count++] = options->config;
        }
        for (size_t i = 0; i < options->set.count; i++) {
            argv[count++] = "--set";
            argv[count++] = options->set.items[i];
        }
        execv(program.data, (char *const *)argv);
        rc = err_set(err, E_IO, "start %s: %s", program.data, strerror(errno));
    }
    buf_fini(&program);
    buf_fini(&store);
    free(argv);
    return rc;
}

int
cmd_verify(struct command *command, struct err *err)
{
    int rc;

    if (command->options->repair)
        return become_sheafd(command, "--verify", "--repair", err);
    rc = command_check_arguments(command, 0, 0, err);
    return rc < 0 ? rc : run_job(command, "verify", NULL, err);
}

int
cmd_compact(struct command *command, struct err *err)
{
    return become_sheafd(command, "--compact", NULL, err);
}
