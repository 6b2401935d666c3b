/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log_line.h"

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

/* Its buffers are set to zero before the first line: whoever calls has seen that
 * the level is one that is written. */
static void
write_line(enum log_level level, const char *fmt, va_list args)
{
    char time[CLOCK_TEXT_BYTES];
    struct log_line line;
    int saved_errno = errno;

    clock_text(clock_wall_ms(), time);
    log_line_make(&line, is_json_format, time, level_names[level], fmt, args);
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
