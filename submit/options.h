/*
 * options.h - the command line: every command, every option
 *
 * Two tables. The parser, --help and the test that holds the manual page
 * against them come from them. Options may stand anywhere, in the forms
 * --name VALUE, --name=VALUE, -o VALUE and -oVALUE; names are spelled out. "--"
 * ends them.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_OPTIONS_H
#define SUBMIT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define OPTIONS_LIST_MAX 1024 /* values of one option that may be repeated */

/* The commands: name, arguments as --help shows them, one line. */
/* clang-format off */
#define COMMAND_LIST(X)                                                       \
    X(RUN,      "run",      "FILE... | -",                                    \
        "submit drafts, wait, and print all results")                         \
    X(SUBMIT,   "submit",   "FILE... | -",                                    \
        "submit drafts and print the id of their batch")                      \
    X(STATUS,   "status",   "[BATCH]",                                        \
        "show how far a batch is, or what the broker is doing")               \
    X(LIST,     "list",     "",                                               \
        "list the batches, the newest first")                                 \
    X(WAIT,     "wait",     "BATCH...",                                       \
        "wait until batches are finished")                                    \
    X(RESULTS,  "results",  "BATCH",                                          \
        "print the results of a batch")                                       \
    X(WHY,      "why",      "BATCH ID",                                       \
        "say what a draft is waiting for, or how it ended")                   \
    X(CANCEL,   "cancel",   "BATCH",                                          \
        "end a batch; what has no result yet is cancelled")                   \
    X(PAUSE,    "pause",    "BATCH",                                          \
        "start nothing more of a batch, for now")                             \
    X(RESUME,   "resume",   "BATCH",                                          \
        "let a paused batch go on")                                           \
    X(PURGE,    "purge",    "BATCH",                                          \
        "remove an ended batch with all its results")                         \
    X(RETRY,    "retry",    "BATCH",                                          \
        "put fallbacks back in the queue")                                    \
    X(EXPORT,   "export",   "",                                               \
        "print the results of all batches that are new")                      \
    X(VERIFY,   "verify",   "",                                               \
        "look at the whole store, and repair its indexes")                    \
    X(BACKUP,   "backup",   "DIR",                                            \
        "write a store as it is now to a new directory")                      \
    X(COMPACT,  "compact",  "",                                               \
        "give the free pages of a store that is not used back")               \
    X(STATS,    "stats",    "",                                               \
        "print the broker's counters")                                        \
    X(ALERTS,   "alerts",   "",                                               \
        "show what somebody should know of; exit with 1 if there is any")     \
    X(UPSTREAMS, "upstreams", "[resume NAME]",                                \
        "show the upstreams, or let one be asked again")                      \
    X(WEBHOOKS, "webhooks", "[resend ID | test NAME]",                        \
        "show the events for webhooks, or send one")                          \
    X(CHECK,    "check-config", "",                                           \
        "check the configuration and print it")
/* clang-format on */

#define COMMAND_ENUM(name, text, arguments, sentence) COMMAND_##name,
enum command_id { COMMAND_LIST(COMMAND_ENUM) COMMAND_COUNT };
#undef COMMAND_ENUM

struct command_spec {
    const char *name;
    const char *arguments;
    const char *sentence;
};

/* Values of an option that may be given several times; borrowed from argv. */
struct options_list {
    const char **items;
    size_t count;
};

/* What the command line said. Texts are borrowed from argv; NULL, 0 or false
 * where an option was not given, unless noted. */
struct options {
    enum command_id command;
    struct options_list arguments;
    bool help, version;

    bool json;
    const char *directory, *broker, *store, *config;
    struct options_list set;
    int64_t broker_timeout_s;
    int64_t log_level; /* number of the word in the table */

    const char *goal, *model, *system, *upstream, *last_resort;
    struct options_list constraint;
    const char *temperature; /* a JSON number */
    int64_t max_tokens;
    const char *client, *key, *name;
    struct options_list metadata;
    int64_t priority; /* 1 */
    const char *not_before, *deadline, *window, *tz;
    bool early;
    int64_t input; /* enum input_kind */
    bool wait, dry_run, again, fallback_ok, repair;

    int64_t progress; /* enum progress_when */
    const char *output;
    int64_t format, order;
    int64_t after;
    const char *cursor_file;
    bool follow;
    const char *status;
    int64_t timeout_s; /* -1 */
    int64_t limit;
    int64_t index; /* -1 */
    bool prometheus;
};

enum options_format { FORMAT_JSONL, FORMAT_CSV, FORMAT_TEXT, FORMAT_OPENAI };
enum options_order { ORDER_COMPLETION, ORDER_INPUT };

enum options_kind {
    OPTIONS_FLAG,
    OPTIONS_TEXT,
    OPTIONS_PATH, /* names a file or an endpoint: any bytes, one at least */
    OPTIONS_LIST,
    OPTIONS_INT,    /* from min to max */
    OPTIONS_NUMBER, /* a JSON number, kept as text */
    OPTIONS_CHOICE, /* the number of a word of `choices`, from 0 */
};

struct options_spec {
    const char *name;
    char letter;          /* 0: none */
    const char *argument; /* as --help shows it; NULL: a flag */
    unsigned commands;    /* bit 1 << enum command_id */
    enum options_kind kind;
    size_t place; /* offset of the field in struct options */
    int64_t min, max;
    const char *choices; /* words with a bar between them */
    const char *sentence;
};

/* The tables, for --help and the tests. */
const struct options_spec *options_specs(size_t *count);
const struct command_spec *options_command(enum command_id id);

/* Reads the command line. Without a command, help or version must be set.
 * E_USAGE with a reason. Ended with options_fini(), also after an error. */
int options_parse(struct options *options, int argc, char **argv,
                  struct err *err);
void options_fini(struct options *options);

/* Appends the help for a command; COMMAND_COUNT: for the program. */
void options_help(enum command_id command, struct buf *out);

#endif
