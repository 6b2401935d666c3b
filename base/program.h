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

#define PROGRAM_EXIT_USAGE 2
#define PROGRAM_EXIT_IO    7

/* How a program is to log, as its command line says. */
struct program_log {
    enum log_level level;
    bool is_json;
};

/* Says what is wrong with the command line of a program, and ends it. */
_Noreturn void program_refuse(const char *program, const char *what,
                              const char *value);

/* An option's number within a range, or program_refuse(). */
int64_t program_number(const char *program, const char *option,
                       const char *text, long min, long max);

/* The values of --log-format and --log-level, or program_refuse(). */
void program_take_log_format(const char *program, const char *value,
                             struct program_log *log);
void program_take_log_level(const char *program, const char *value,
                            struct program_log *log);

/* Writes the answer to --help or --version, and ends the program. */
_Noreturn void program_print(const char *text);

/* SIGTERM, SIGINT, SIGHUP and `more` (0: no other) are read from a descriptor from
 * now on, as signalfd(2) says; writes that nobody reads, or that go above a limit,
 * fail instead of ending the process. Returns the descriptor, which does not
 * block; E_IO. */
int program_open_signals(int more, struct err *err);

#endif
