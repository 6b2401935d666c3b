/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* strptime, timegm, strcasestr */
#include "worker/delay.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"

#define VALUE_BYTES_MAX  64
#define COUNT(a)         (sizeof(a) / sizeof((a)[0]))
#define NS_PER_MS        INT64_C(1000000)
#define MICRO            INT64_C(1000000)
#define WHOLE_MAX        INT64_C(1000000000000000)
#define UNIX_SECONDS_MIN INT64_C(1000000000)
#define UNIX_MS_MIN      INT64_C(10000000000)

/* What stands before a wait in an error's message. */
static const char *const phrases[] = { "try again in ", "retry in ",
                                       "retry after " };

/* A number: digits, and perhaps a fraction, of which six digits count. */
struct number {
    int64_t whole;
    int64_t micro;
};

static int64_t
bounded(int64_t wait_ms)
{
    return wait_ms > 0 && wait_ms <= DELAY_MAX_MS ? wait_ms : DELAY_NONE;
}

/* Reads a number and returns what follows it; NULL if there is none, or one
 * that is beyond all sense. */
static const char *
read_number(const char *at, struct number *number)
{
    int64_t scale = MICRO / 10;
    bool has_digits = false;

    *number = (struct number){ 0 };
    for (; isdigit((unsigned char)*at); at++) {
        number->whole = number->whole * 10 + (*at - '0');
        if (number->whole > WHOLE_MAX)
            return NULL;
        has_digits = true;
    }
    if (*at == '.') {
        for (at++; isdigit((unsigned char)*at); at++, scale /= 10) {
            number->micro += (*at - '0') * scale;
            has_digits = true;
        }
    }
    return has_digits ? at : NULL;
}

/* Reads a unit of a Go duration, at most two bytes but for "µs". */
static const char *
read_unit(const char *at, int64_t *unit_ns)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {
        /* "ms" before "m" */
        { "ms", 1000000 },
        { "us", 1000 },
        { "\xc2\xb5s", 1000 }, /* micro sign */
        { "\xce\xbcs", 1000 }, /* Greek mu */
        { "ns", 1 },
        { "h", INT64_C(3600000000000) },
        { "m", INT64_C(60000000000) },
        { "s", 1000000000 },
    };

    for (size_t i = 0; i < COUNT(units); i++) {
        size_t bytes = strlen(units[i].name);

        if (strncmp(at, units[i].name, bytes) == 0) {
            *unit_ns = units[i].ns;
            return at + bytes;
        }
    }
    return NULL;
}

/* A wait is never rounded down: we would come too early. */
static int64_t
to_ms(int64_t ns)
{
    return (ns + NS_PER_MS - 1) / NS_PER_MS;
}

int64_t
delay_parse_duration(const char *at)
{
    int64_t sum_ns = 0, unit_ns;
    struct number number;

    if (!*at)
        return DELAY_NONE;
    while (*at) {
        at = read_number(at, &number);
        if (at)
            at = read_unit(at, &unit_ns);
        if (!at || number.whole > DELAY_MAX_MS * NS_PER_MS / unit_ns)
            return DELAY_NONE;
        sum_ns += number.whole * unit_ns + number.micro * unit_ns / MICRO;
        if (sum_ns > DELAY_MAX_MS * NS_PER_MS)
            return DELAY_NONE;
    }
    return bounded(to_ms(sum_ns));
}

static int64_t
parse_seconds(const struct number *number, int64_t now_ms)
{
    if (number->whole >= UNIX_MS_MIN)
        return bounded(number->whole - now_ms);
    if (number->whole >= UNIX_SECONDS_MIN)
        return bounded(number->whole * 1000 - now_ms);
    return bounded(number->whole * 1000 + (number->micro + 999) / 1000);
}

static int64_t
parse_http_date(const char *value, int64_t now_ms)
{
    static const char *const forms[] = {
        "%a, %d %b %Y %H:%M:%S GMT",
        "%A, %d-%b-%y %H:%M:%S GMT",
        "%a %b %e %H:%M:%S %Y",
    };

    for (size_t i = 0; i < COUNT(forms); i++) {
        struct tm tm = { 0 };
        const char *end = strptime(value, forms[i], &tm);

        if (end && !*end)
            return bounded((int64_t)timegm(&tm) * 1000 - now_ms);
    }
    return DELAY_NONE;
}

/* Copies a value without the blanks around it. False if it does not fit. */
static bool
trim(struct slice value, char text[VALUE_BYTES_MAX + 1])
{
    while (value.bytes && isspace((unsigned char)value.data[0])) {
        value.data++;
        value.bytes--;
    }
    while (value.bytes && isspace((unsigned char)value.data[value.bytes - 1]))
        value.bytes--;
    if (value.bytes > VALUE_BYTES_MAX)
        return false;
    if (value.bytes)
        memcpy(text, value.data, value.bytes);
    text[value.bytes] = '\0';
    return true;
}

/* "26 seconds" or "8.71s." at the beginning of a text. */
static int64_t
parse_spoken(const char *at)
{
    char text[VALUE_BYTES_MAX + 1] = { 0 };
    size_t bytes = 0;
    struct number number;
    const char *rest = read_number(at, &number);

    if (rest && *rest == ' ') {
        if (number.whole > DELAY_MAX_MS)
            return DELAY_NONE;
        if (strncasecmp(rest + 1, "min", 3) == 0)
            return bounded((number.whole * 60 + number.micro * 60 / MICRO) *
                           1000);
        if (strncasecmp(rest + 1, "sec", 3) == 0)
            return parse_seconds(&number, 0);
        return DELAY_NONE;
    }
    for (; bytes < VALUE_BYTES_MAX; bytes++) {
        unsigned char c = (unsigned char)at[bytes];

        if (!isalnum(c) && c != '.' && c < 0x80)
            break;
        text[bytes] = (char)c;
    }
    while (bytes && text[bytes - 1] == '.')
        bytes--;
    text[bytes] = '\0';
    return delay_parse_duration(text);
}

int64_t
delay_parse(const char *value, int64_t now_ms)
{
    char text[VALUE_BYTES_MAX + 1];
    struct number number;
    const char *rest;
    int64_t at_ms;

    if (!trim(slice_of(value), text))
        return DELAY_NONE;
    rest = read_number(text, &number);
    if (rest && !*rest)
        return parse_seconds(&number, now_ms);
    if (!rest)
        return parse_http_date(text, now_ms);
    if (*rest == '-' && clock_parse(text, now_ms, &at_ms) == 0)
        return bounded(at_ms - now_ms);
    return delay_parse_duration(text);
}

int64_t
delay_parse_ms(const char *value)
{
    struct number number;
    const char *rest = read_number(value, &number);

    if (!rest || *rest)
        return DELAY_NONE;
    return bounded(number.whole + (number.micro > 0));
}

int64_t
delay_find(const char *message)
{
    for (size_t i = 0; i < COUNT(phrases); i++) {
        const char *at = strcasestr(message, phrases[i]);
        int64_t wait_ms =
            at ? parse_spoken(at + strlen(phrases[i])) : DELAY_NONE;

        if (wait_ms != DELAY_NONE)
            return wait_ms;
    }
    return DELAY_NONE;
}
