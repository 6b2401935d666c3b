/*
 * command.h - what every command of the command line needs
 *
 * The options, the connection to the broker (somebody's, or a private one that
 * is looked after while calls wait), the progress line, and how errors and
 * notes reach standard error. Data goes to standard output and is no concern of
 * this file.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_COMMAND_H
#define SUBMIT_COMMAND_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "queue/wire.h"
#include "submit/options.h"
#include "submit/private.h"
#include "submit/progress.h"
#include "submit/sheaf.h"

/* Some drafts failed, fell back or were refused; or an alert fires. */
#define EXIT_FLAWED 1

struct command {
    const struct options *options; /* borrowed */
    struct sheaf *sheaf;           /* NULL until command_connect() */
    struct private_broker broker;
    bool has_broker;       /* broker is to be closed */
    struct err broker_err; /* why a private broker cannot be kept */
    struct progress progress;
    bool is_told;    /* see command_tell_local() */
    int signal_fd;   /* -1: signals are not caught */
    int stop_signal; /* 0, or the one that was caught */
};

/* A command's function: the exit code, or a negative code of an error that the
 * caller reports. */
typedef int command_fn(struct command *command, struct err *err);

/* Prepares and ends what the commands share. */
void command_init(struct command *command, const struct options *options);
void command_fini(struct command *command);

/* Connects to the broker: of -C, else --broker, SHEAF_BROKER or the default
 * endpoint. */
int command_connect(struct command *command, struct err *err);

/* Connects to a private broker over a store, as -C does. */
int command_connect_store(struct command *command, const char *store,
                          struct err *err);

/* Ends the connection and the private broker, for another attempt. */
void command_disconnect(struct command *command);

/* Catches SIGINT and SIGTERM from here on: calls that wait end with
 * SHEAF_E_STOPPED. */
int command_catch_signals(struct command *command, struct err *err);

/* Turns what the library reported into err, with the reason of SHEAF_E_STOPPED,
 * and returns its code. */
int command_fail(struct command *command, const struct sheaf_error *error,
                 struct err *err);

/* The input was stopped by a signal, which is taken: SHEAF_E_STOPPED. */
int command_stopped(struct command *command, struct err *err);

/* Sends a header (which it frees) and reads the answer's, which the caller
 * ends. The body is lent until the next call. */
int command_ask(struct command *command, cJSON *head, struct slice body,
                struct wire *reply, struct err *err);

/* Says once, on standard error, that a private broker has nobody to ask but
 * the built-in sampler: a key that was forgotten would go unnoticed. */
int command_tell_local(struct command *command, struct err *err);

/* Appends the answer's text to out as one JSON object, without `verb` and
 * `re`, and a newline. */
void command_add_json(const struct wire *reply, struct buf *out);

/* Checks that an argument is the id of a batch. E_USAGE. */
int command_check_batch(const char *batch, struct err *err);

/* Checks the number of arguments. E_USAGE. */
int command_check_arguments(const struct command *command, size_t min,
                            size_t max, struct err *err);

/* Checks the files of submit and run: there are some, and standard input stands
 * among them at most once. E_USAGE. */
int command_check_files(const struct command *command, struct err *err);

/* Says that of so many drafts none was accepted. Returns EXIT_FLAWED. */
int command_report_empty(struct command *command, int64_t drafts);

/* Writes a line for people to standard error, control characters escaped. */
void command_note(struct command *command, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Writes an error object, or "sheaf: message". */
void command_report(struct command *command, const struct err *err);

/* Writes a line to standard error as it is, over the progress line. */
void command_print_error(struct command *command, const struct buf *line);

/* Writes to standard output. E_IO. */
int command_print(const struct buf *text, struct err *err);

/* The exit code for an error. */
int command_exit_code(const struct command *command, int code);

/* Prints what the broker says of itself, and the batches that are not over:
 * `status` without a batch. */
int command_overview(struct command *command, struct err *err);

/* The commands, each in a file of its own or with its family. */
command_fn cmd_run, cmd_submit, cmd_status, cmd_list, cmd_wait, cmd_results,
    cmd_why, cmd_cancel, cmd_pause, cmd_resume, cmd_purge, cmd_retry,
    cmd_export, cmd_verify, cmd_backup, cmd_compact, cmd_stats, cmd_alerts,
    cmd_upstreams, cmd_webhooks, cmd_check_config;

#endif
