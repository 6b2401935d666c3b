/*
 * log.h - one line per event, on standard error
 *
 *   2026-01-31T12:00:00.123Z warn event=lease_expired request=42 worker=7
 *
 * A line is `event=NAME key=value …`; the same keys everywhere (request, batch,
 * worker, upstream). Never a prompt, an answer or a key. Levels have a meaning:
 * debug, info; warn: we recovered; error: a draft or a client suffered; fatal:
 * the process ends. As JSON, the same pairs are members of one object.
 *
 * The caller writes double quotes around what is a sentence; whatever bytes a
 * value has, the line stays one line, and the value one value: log_line.h says
 * how, and which conversions there are. These functions preserve errno.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_FATAL };

/* The process's exit code when log_fatal() ends it. */
#define LOG_FATAL_EXIT 7

/* Lines below `level` are dropped; is_json chooses the format. Until called,
 * lines from LOG_INFO on are written as text. */
void log_setup(enum log_level level, bool is_json);

/* The level of a name such as "warn"; -1 if it is none. */
int log_level_parse(const char *name);

void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Writes the line and ends the process with LOG_FATAL_EXIT. */
void log_fatal(const char *fmt, ...)
    __attribute__((format(printf, 1, 2), noreturn));

#endif
