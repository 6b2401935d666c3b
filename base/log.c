/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define LINE_BYTES_MAX 4096

static const char *const level_names[] = { "debug", "info", "warn", "error",
                                           "fatal" };
#define LEVEL_COUNT (sizeof(level_names) / sizeof(level_names[0]))

/* The only mutable state of base/: how this process writes its log. */
static enum log_level level_min = LOG_INFO;
static bool is_json_format;

void
log_setup(enum log_level level, bool is_json)
{
    level_min = level;
    is_json_format = is_json;
}

int
log_level_parse(const char *name)
{
    for (size_t i = 0; i < LEVEL_COUNT; i++) {
        if (strcmp(level_names[i], name) == 0)
            return (int)i;
    }
    return -1;
}

/* Bounded output: what does not fit into a line is left out. */
struct line {
    char text[LINE_BYTES_MAX];
    size_t bytes;
};

static void
put(struct line *line, char c)
{
    if (line->bytes < sizeof(line->text) - 3)
        line->text[line->bytes++] = c;
}

static void
put_str(struct line *line, const char *str)
{
    while (*str)
        put(line, *str++);
}

static void
put_escaped(struct line *line, unsigned char c)
{
    char hex[8];

    if (c < 0x20 || c == 0x7f) {
        if (snprintf(hex, sizeof(hex), is_json_format ? "\\u%04x" : "\\x%02x",
                     c) > 0) {
            put_str(line, hex);
        }
    } else {
        if (is_json_format && (c == '"' || c == '\\'))
            put(line, '\\');
        put(line, (char)c);
    }
}

/* Turns one `key=value` or `key="a value"` into a JSON member; returns what
 * follows it. */
static const char *
put_pair(struct line *line, const char *pair)
{
    bool is_quoted;

    put_str(line, ",\"");
    while (*pair && *pair != '=' && *pair != ' ')
        put_escaped(line, (unsigned char)*pair++);
    put_str(line, "\":\"");
    if (*pair == '=')
        pair++;
    is_quoted = *pair == '"';
    if (is_quoted)
        pair++;
    while (*pair && *pair != (is_quoted ? '"' : ' '))
        put_escaped(line, (unsigned char)*pair++);
    if (is_quoted && *pair)
        pair++;
    put(line, '"');
    while (*pair == ' ')
        pair++;
    return pair;
}

/* Its buffers are set to zero before the first line: whoever calls has seen that
 * the level is one that is written. */
static void
write_line(enum log_level level, const char *fmt, va_list args)
{
    char message[LINE_BYTES_MAX], time[CLOCK_TEXT_BYTES];
    struct line line = { .bytes = 0 };
    const char *rest = message;
    int saved_errno = errno;

    if (vsnprintf(message, sizeof(message), fmt, args) < 0)
        message[0] = '\0';
    clock_text(clock_wall_ms(), time);
    if (is_json_format) {
        put_str(&line, "{\"time\":\"");
        put_str(&line, time);
        put_str(&line, "\",\"level\":\"");
        put_str(&line, level_names[level]);
        put(&line, '"');
        while (*rest)
            rest = put_pair(&line, rest);
        line.text[line.bytes++] = '}';
    } else {
        put_str(&line, time);
        put(&line, ' ');
        put_str(&line, level_names[level]);
        put(&line, ' ');
        while (*rest)
            put_escaped(&line, (unsigned char)*rest++);
    }
    line.text[line.bytes++] = '\n';
    /* One write, so that lines of several processes do not mix. A log that
     * cannot be written has nowhere to complain. */
    if (write(STDERR_FILENO, line.text, line.bytes) < 0)
        errno = saved_errno;
    errno = saved_errno;
}

#define LOG_FUNCTION(name, level)         \
    void log_##name(const char *fmt, ...) \
    {                                     \
        va_list args;                     \
                                          \
        if (level < level_min)            \
            return;                       \
        va_start(args, fmt);              \
        write_line(level, fmt, args);     \
        va_end(args);                     \
    }

LOG_FUNCTION(debug, LOG_DEBUG)
LOG_FUNCTION(info, LOG_INFO)
LOG_FUNCTION(warn, LOG_WARN)
LOG_FUNCTION(error, LOG_ERROR)

void
log_fatal(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    write_line(LOG_FATAL, fmt, args);
    va_end(args);
    _exit(LOG_FATAL_EXIT);
}
