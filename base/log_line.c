/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* strnlen */
#include "base/log_line.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

#define TAIL_BYTES_MAX   3 /* a quote, a brace and a newline always fit */
#define ESCAPE_BYTES_MAX 24
#define REPLACEMENT      "\xEF\xBF\xBD" /* U+FFFD */
#define NUMBER_BYTES_MAX 400            /* the largest double has 309 digits */

/* A value before it is known whether it has to be quoted. */
struct value {
    size_t bytes;
    char text[LOG_LINE_BYTES_MAX];
};

/* Puts all of it or, as anything after that, nothing. */
static void
put(struct log_line *line, const char *text, size_t bytes)
{
    if (line->bytes + bytes > sizeof(line->text) - TAIL_BYTES_MAX)
        line->is_full = true;
    if (line->is_full)
        return;
    memcpy(line->text + line->bytes, text, bytes);
    line->bytes += bytes;
}

static void
put_tail(struct log_line *line, char c)
{
    assert(line->bytes < sizeof(line->text));
    line->text[line->bytes++] = c;
}

/* Control characters of ASCII, DEL, and those of ISO 8859 (C1). */
static bool
is_control(int32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

/* What utf8_next() made of these bytes is no code point of theirs. */
static bool
is_ill_formed(int32_t c, struct slice bytes)
{
    return c == UTF8_REPLACEMENT && !slice_is(bytes, REPLACEMENT);
}

static bool
needs_quotes(const struct value *value)
{
    struct slice rest = { value->text, value->bytes };

    if (rest.bytes == 0)
        return true;
    while (rest.bytes > 0) {
        struct slice at = rest;
        int32_t c = utf8_next(&rest);

        at.bytes -= rest.bytes;
        if (c == ' ' || c == '"' || c == '=' || c == '\\' || is_control(c) ||
            is_ill_formed(c, at)) {
            return true;
        }
    }
    return false;
}

/* One code point as it stands between quotes. */
static void
put_point(struct log_line *line, int32_t c, struct slice at)
{
    char escape[ESCAPE_BYTES_MAX];
    size_t used = 0;

    if (c == '"' || c == '\\') {
        escape[used++] = '\\';
        escape[used++] = (char)c;
    } else if (line->is_json && is_ill_formed(c, at)) {
        used = sizeof(REPLACEMENT) - 1;
        memcpy(escape, REPLACEMENT, used);
    } else if (line->is_json && is_control(c)) {
        used = (size_t)snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)c);
    } else if (is_control(c) || is_ill_formed(c, at)) {
        for (size_t i = 0; i < at.bytes; i++) {
            used += (size_t)snprintf(escape + used, sizeof(escape) - used,
                                     "\\x%02x", (unsigned char)at.data[i]);
        }
    } else {
        put(line, at.data, at.bytes);
    }
    if (used > 0)
        put(line, escape, used);
}

/* A pair that does not even begin in the line is not there at all. */
static void
put_pair(struct log_line *line, struct slice key, struct slice value,
         bool is_quoted)
{
    size_t start = line->bytes;

    put(line, line->is_json ? ",\"" : " ", line->is_json ? 2 : 1);
    put(line, key.data, key.bytes);
    if (line->is_json)
        put(line, "\":\"", 3);
    else
        put(line, "=\"", is_quoted ? 2 : 1);
    if (line->is_full) {
        line->bytes = start;
        return;
    }
    while (value.bytes > 0 && !line->is_full) {
        struct slice at = value;
        int32_t c = utf8_next(&value);

        at.bytes -= value.bytes;
        put_point(line, c, at);
    }
    if (line->is_json || is_quoted)
        put_tail(line, '"');
}

static void
add(struct value *value, const char *text, size_t bytes)
{
    size_t room = sizeof(value->text) - value->bytes;

    if (bytes > room)
        bytes = room;
    memcpy(value->text + value->bytes, text, bytes);
    value->bytes += bytes;
}

struct spec {
    int precision; /* -1: none is given */
    int longs;     /* how many l */
    bool is_size;  /* a z */
    char type;
};

/* Reads a conversion behind its %; returns what follows it. */
static const char *
spec_read(struct spec *spec, const char *fmt)
{
    *spec = (struct spec){ .precision = -1 };
    if (*fmt == '.') {
        for (spec->precision = 0, fmt++; *fmt >= '0' && *fmt <= '9'; fmt++) {
            spec->precision = spec->precision * 10 + (*fmt - '0');
            assert(spec->precision < LOG_LINE_BYTES_MAX);
        }
    }
    for (; *fmt == 'l'; fmt++)
        spec->longs++;
    if (*fmt == 'z') {
        spec->is_size = true;
        fmt++;
    }
    spec->type = *fmt;
    assert(spec->type);
    return fmt + 1;
}

/* The arguments are handed on by address: each conversion takes its own. */
struct arguments {
    va_list list;
};

static long long
take_signed(const struct spec *spec, struct arguments *arguments)
{
    if (spec->longs == 2)
        return va_arg(arguments->list, long long);
    if (spec->longs == 1)
        return va_arg(arguments->list, long);
    return va_arg(arguments->list, int);
}

static unsigned long long
take_unsigned(const struct spec *spec, struct arguments *arguments)
{
    if (spec->is_size)
        return va_arg(arguments->list, size_t);
    if (spec->longs == 2)
        return va_arg(arguments->list, unsigned long long);
    if (spec->longs == 1)
        return va_arg(arguments->list, unsigned long);
    return va_arg(arguments->list, unsigned);
}

static void
add_number(struct value *value, const struct spec *spec,
           struct arguments *arguments)
{
    char number[NUMBER_BYTES_MAX];
    int bytes = 0;

    switch (spec->type) {
    case 'd':
        assert(!spec->is_size);
        bytes = snprintf(number, sizeof(number), "%lld",
                         take_signed(spec, arguments));
        break;
    case 'u':
        bytes = snprintf(number, sizeof(number), "%llu",
                         take_unsigned(spec, arguments));
        break;
    case 'f':
        bytes = snprintf(number, sizeof(number), "%.*f", spec->precision,
                         va_arg(arguments->list, double));
        break;
    default:
        assert(!"a conversion that log_line.h names");
    }
    if (bytes > 0)
        add(value, number, strnlen(number, sizeof(number)));
}

static void
add_argument(struct value *value, const struct spec *spec,
             struct arguments *arguments)
{
    const char *str;

    if (spec->type != 's') {
        add_number(value, spec, arguments);
        return;
    }
    str = va_arg(arguments->list, const char *);
    if (!str)
        str = "(null)";
    add(value, str,
        strnlen(str, spec->precision < 0 ? LOG_LINE_BYTES_MAX
                                         : (size_t)spec->precision));
}

/* Reads the value of a pair up to the byte of the template that ends it. */
static const char *
read_value(struct value *value, const char *fmt, char end,
           struct arguments *arguments)
{
    struct spec spec;

    value->bytes = 0;
    while (*fmt && *fmt != end) {
        if (*fmt != '%') {
            add(value, fmt++, 1);
            continue;
        }
        fmt = spec_read(&spec, fmt + 1);
        add_argument(value, &spec, arguments);
    }
    return fmt;
}

/* Every pair is read, also those that do not fit any more. */
static void
put_pairs(struct log_line *line, const char *fmt, struct arguments *arguments)
{
    struct value value;

    while (*fmt) {
        struct slice key = { fmt, strcspn(fmt, "= ") };
        bool is_quoted;

        fmt += key.bytes;
        assert(*fmt == '=');
        is_quoted = *++fmt == '"';
        fmt = read_value(&value, fmt + is_quoted, is_quoted ? '"' : ' ',
                         arguments);
        if (is_quoted) {
            assert(*fmt == '"');
            fmt++;
        }
        put_pair(line, key, (struct slice){ value.text, value.bytes },
                 is_quoted || needs_quotes(&value));
        fmt += strspn(fmt, " ");
    }
}

void
log_line_make(struct log_line *line, bool is_json, const char *time,
              const char *level, const char *fmt, va_list args)
{
    struct arguments arguments;

    line->is_json = is_json;
    line->is_full = false;
    line->bytes = 0;
    if (is_json) {
        put(line, "{\"time\":\"", 9);
        put(line, time, strlen(time));
        put(line, "\",\"level\":\"", 11);
        put(line, level, strlen(level));
        put(line, "\"", 1);
    } else {
        put(line, time, strlen(time));
        put(line, " ", 1);
        put(line, level, strlen(level));
    }
    va_copy(arguments.list, args);
    put_pairs(line, fmt, &arguments);
    va_end(arguments.list);
    if (is_json)
        put_tail(line, '}');
    put_tail(line, '\n');
}
