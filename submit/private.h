/*
 * private.h - a broker for the time of one command
 *
 * A store is served by one broker at a time, which holds an exclusive lock
 * (flock) on DIR/lock and writes there where it listens. If one lives, it is
 * used. Otherwise a private one is started; it listens below RUNTIME/run-HASH/,
 * and holds the reading end of a pipe whose other end only this process has: in
 * whatever way the command ends, the broker sees the end of file, lets running
 * calls finish, and ends too.
 *
 *             lock is free: start one, wait until it answers
 *   private_open ──────────────────────────────────────────► ours
 *             │ lock is held: greet it                          │ it dies:
 *             ├──────────────────────────────────► somebody's   │ private_check
 *             └─ it is draining: wait, look again               └─► starts it
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_PRIVATE_H
#define SUBMIT_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "submit/sheaf.h"

#define PRIVATE_DEATHS_MAX 5     /* in PRIVATE_DEATHS_MS; one more ends it */
#define PRIVATE_DEATHS_MS  60000 /* a minute */

struct private_settings {
    const char *store;       /* a directory; it exists */
    const char *config;      /* handed to the broker; may be NULL */
    const char *const *sets; /* NAME=VALUE, handed to the broker */
    size_t set_count;
    const char *log_level; /* handed to the broker; it logs to our stderr */
    bool is_json;          /* that, and why it did not start, as JSON */
    bool has_worker;       /* the broker starts one: somebody waits for it */
    sheaf_idle_fn *idle;   /* while it waits; may be NULL */
    void *idle_arg;
};

struct private_broker {
    struct private_settings settings; /* borrowed texts */
    char *store;                      /* its real path */
    struct buf endpoint;              /* where clients connect */
    struct buf workers;               /* ours: where its workers do */
    bool is_passing;                  /* another command's: it ends with that */
    pid_t pid;                        /* ours; 0: somebody's, or none now */
    int pipe_fd;                      /* ours; -1: none */
    int reader_fd;                    /* its other end, for those we start */
    int64_t deaths_ms[PRIVATE_DEATHS_MAX];
    size_t deaths;
};

/* Finds or starts the broker of a store. What a broker said when it did not
 * start stands on standard error, and its exit code becomes the error:
 * E_USAGE, E_IO, E_CORRUPT or E_INUSE. SHEAF_E_STOPPED by the idle function.
 * Ended with private_close(), also after an error. */
int private_open(struct private_broker *broker,
                 const struct private_settings *settings, struct err *err);

/* Looks whether our broker is still there and starts it again if not, at the
 * same endpoint. An error if that does not help: it died too often, or of what
 * a restart cannot mend. Never waits. E_UNREACHABLE if another command's broker
 * has ended, or has taken the place of ours: to be opened anew. */
int private_check(struct private_broker *broker, int64_t now_ms,
                  struct err *err);

/* Lets go of the broker and waits until ours has ended: its running calls may
 * finish. The idle function can cut that short; it then ends by itself. */
void private_close(struct private_broker *broker);

/* Makes a directory (0700) and those above it, unless it is there. E_IO. */
int private_make_store(const char *path, struct err *err);

#endif
