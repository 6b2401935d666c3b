/*
 * log_line.h - one event as a line, as pairs or as JSON
 *
 * The format is a template of pairs, `event=NAME key=%s key="%s"`. It is read
 * here, and not by printf, so that the template alone says where a value ends:
 * no byte of what is put into it can end its value, or begin another pair.
 *
 *   text   time level key=value key="a \"value\""
 *   JSON   {"time":"…","level":"…","key":"value","key":"a \"value\""}
 *
 * A value is quoted where the template does so, and where its bytes ask for it.
 * Bytes that could end the line, move a terminal's cursor or are no UTF-8 are
 * written as \xNN in text; as \u00NN, and as U+FFFD, in JSON. A line has
 * LOG_LINE_BYTES_MAX bytes at most: what does not fit is left out, and the line
 * is whole all the same.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_LOG_LINE_H
#define BASE_LOG_LINE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#define LOG_LINE_BYTES_MAX 4096

struct log_line {
    bool is_json;
    bool is_full; /* private: something was left out */
    size_t bytes;
    char text[LOG_LINE_BYTES_MAX]; /* ends with a newline, not with a NUL */
};

/* Makes the line anew. Of printf's conversions there are %s and %.Ns, %d, %u,
 * %ld, %lu, %lld, %llu, %zu, and %.Nf; another one is a bug. Allocates nothing. */
void log_line_make(struct log_line *line, bool is_json, const char *time,
                   const char *level, const char *fmt, va_list args)
    __attribute__((format(printf, 5, 0)));

#endif
