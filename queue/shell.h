/*
 * shell.h - the loop around the broker's core: sockets, clock, commits, workers
 *
 * It takes what has arrived, applies it in one transaction, commits, and only
 * then sends the answers; while the disk flushes, the next messages arrive and
 * share the next flush, and large chunks among those that wait are read by a
 * thread of their own (reader.h). An error whose outcome is unknown ends the
 * process without a word to any client.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_SHELL_H
#define QUEUE_SHELL_H

#include "base/conf.h"
#include "base/err.h"

#ifndef SHEAF_VERSION
#define SHEAF_VERSION "unknown"
#endif

#define SHELL_LISTEN_MAX 4 /* endpoints of one kind */

/* What the command line says. Strings are borrowed. */
struct shell_options {
    const char *listen[SHELL_LISTEN_MAX]; /* none: RUNTIME/clients */
    const char *listen_workers[SHELL_LISTEN_MAX];
    int listen_count, listen_workers_count;
    const char *store_dir, *config, *log_level, *log_format;
    int workers;   /* to start and to keep */
    int parent_fd; /* drain and end when it comes to its end; -1: none */
};

struct shell;

/* Opens the store, the sockets and the broker. Options and conf are borrowed
 * for its life. E_USAGE, E_CORRUPT, E_VERSION, E_INUSE, E_IO with the reason. */
struct shell *shell_open(const struct shell_options *options,
                         const struct conf *conf, struct err *err);

/* Serves until a signal or the parent's end, and drains: what is in flight with
 * workers of its own may finish. E_USAGE: its own worker cannot work with what it
 * was started with. */
int shell_run(struct shell *shell, struct err *err);

/* Ends the workers that are left and frees everything. NULL is fine. */
void shell_close(struct shell *shell);

#endif
