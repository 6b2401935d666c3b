/*
 * program.h - what programs that stay have in common: command line and signals
 *
 * A mistake on the command line ends the process with EXIT code 2, before
 * anything was done. Threads: for the beginning of main(), before others start.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_PROGRAM_H
#define BASE_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"

#define PROGRAM_EXIT_USAGE   2
#define PROGRAM_EXIT_IO      7
#define PROGRAM_EXIT_DAMAGED 9 /* the store is */

/* The first thing that a program does. A closed standard descriptor would be
 * taken by the next file that it opens, and what is printed would end up there:
 * in the store, for one. Reading and writing such a one fails from now on, but
 * for messages, which nobody wants. Ends the process if it cannot be done. */
void program_open_standard(const char *program);

/* Ends a program that has printed what it was asked for: 0, or, if that is not
 * all written, PROGRAM_EXIT_IO, which it tells. */
_Noreturn void program_end_printed(const char *program, bool is_printed);

/* How a program is to log, as its command line says. */
struct program_log {
    enum log_level level;
    bool is_json;
};

/* Says what is wrong with the command line of a program, and why; ends it. */
_Noreturn void program_refuse(const char *program, const char *what,
                              const char *reason);

/* An option's number within a range, or program_refuse(). */
int64_t program_number(const char *program, const char *option,
                       const char *text, long min, long max);

/* The options that every such program has, as rows of its table for
 * getopt_long(); the keys of its own options are from 256 on. */
enum program_key {
    PROGRAM_LOG_FORMAT = 1,
    PROGRAM_LOG_LEVEL,
    PROGRAM_HELP,
    PROGRAM_VERSION,
};

/* clang-format off */
#define PROGRAM_OPTIONS                                           \
    { "log-format", required_argument, NULL, PROGRAM_LOG_FORMAT }, \
    { "log-level", required_argument, NULL, PROGRAM_LOG_LEVEL },   \
    { "help", no_argument, NULL, PROGRAM_HELP },                   \
    { "version", no_argument, NULL, PROGRAM_VERSION }
/* clang-format on */

/* Takes one of these, or program_refuse(); answers --help, with the text, or
 * --version, and ends the program. Any other key is what getopt_long() has
 * refused, with its reason: ends the program, too. */
void program_take(const char *program, const char *usage, int key,
                  const char *value, struct program_log *log);

/* SIGTERM, SIGINT, SIGHUP and `more` (0: no other) are read from a descriptor from
 * now on, as signalfd(2) says; writes that nobody reads, or that go above a limit,
 * fail instead of ending the process. Returns the descriptor, which does not
 * block; E_IO. */
int program_open_signals(int more, struct err *err);

#endif
