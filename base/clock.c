/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* timegm */
#include "base/clock.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"

#define BOOT_PATH       "/proc/sys/kernel/random/boot_id"
#define BOOT_TEXT_BYTES 64
#define HEX             "0123456789abcdef"
#define DAY_MS          86400000
#define YEAR_10000_MS   INT64_C(253402300800000)
#define RELATIVE_MS_MAX (INT64_C(3650) * 86400 * 1000) /* ten years */

static int64_t
read_us(clockid_t id)
{
    struct timespec now = { 0 };

    /* Cannot fail for the clocks that every Linux has. */
    (void)clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t
clock_wall_ms(void)
{
    return read_us(CLOCK_REALTIME) / 1000;
}

int64_t
clock_mono_ms(void)
{
    return read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t
clock_mono_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

/* Zeros if it cannot be read: then every start is one after a boot. */
static void
read_boot(unsigned char boot[CLOCK_BOOT_BYTES])
{
    char text[BOOT_TEXT_BYTES] = "";
    int fd = open(BOOT_PATH, O_RDONLY | O_CLOEXEC);
    ssize_t bytes = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
    size_t digits = 0;

    if (fd >= 0)
        (void)close(fd);
    memset(boot, 0, CLOCK_BOOT_BYTES);
    for (ssize_t i = 0; i < bytes && digits / 2 < CLOCK_BOOT_BYTES; i++) {
        const char *at = text[i] ? strchr(HEX, text[i]) : NULL;

        if (!at)
            continue;
        boot[digits / 2] = (unsigned char)(boot[digits / 2] << 4 | (at - HEX));
        digits++;
    }
}

static bool
is_same_boot(const struct clock_mark *a, const struct clock_mark *b)
{
    static const unsigned char unknown[CLOCK_BOOT_BYTES] = { 0 };

    return memcmp(a->boot, b->boot, sizeof(a->boot)) == 0 &&
           memcmp(a->boot, unknown, sizeof(a->boot)) != 0;
}

int64_t
clock_resume_ms(const struct clock_mark *then, int64_t latest_ms,
                const struct clock_mark *now)
{
    int64_t passed_ms = now->wall_ms - then->wall_ms;

    if (then->wall_ms == 0)
        return now->wall_ms > latest_ms ? now->wall_ms : latest_ms;
    /* Of a machine that was put back to an earlier state, it shows less. */
    if (is_same_boot(then, now) && now->boot_ms >= then->boot_ms)
        passed_ms = now->boot_ms - then->boot_ms;
    return latest_ms + (passed_ms > 0 ? passed_ms : 0);
}

struct clock_mark
clock_look(const struct clock *clock)
{
    struct clock_mark mark = { .boot_ms = read_us(CLOCK_BOOTTIME) / 1000,
                               .wall_ms = clock_wall_ms() };

    memcpy(mark.boot, clock->boot, sizeof(mark.boot));
    return mark;
}

int64_t
clock_at_ms(const struct clock *clock, const struct clock_mark *mark)
{
    return mark->boot_ms + clock->ahead_ms;
}

struct clock
clock_start(const struct clock_mark *then, int64_t latest_ms)
{
    static const struct clock_mark none = { .wall_ms = 0 };
    struct clock clock = { .ahead_ms = 0 };
    struct clock_mark now;

    read_boot(clock.boot);
    now = clock_look(&clock);
    clock.ahead_ms =
        clock_resume_ms(then ? then : &none, latest_ms, &now) - now.boot_ms;
    return clock;
}

int64_t
clock_now_ms(const struct clock *clock)
{
    return read_us(CLOCK_BOOTTIME) / 1000 + clock->ahead_ms;
}

/* Writes a number in `count` digits. Returns the place behind them. */
static char *
put_digits(char *to, int count, int number)
{
    for (int i = count - 1; i >= 0; i--, number /= 10)
        to[i] = (char)('0' + number % 10);
    return to + count;
}

static bool
is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days from the first of the year 1 to the first of this one. */
static int
days_before(int year)
{
    int past = year - 1;

    return 365 * past + past / 4 - past / 100 + past / 400;
}

/* Writes a day, by its number since 1970. */
static char *
put_date(char *to, int day)
{
    static const int lengths[] = { 31, 28, 31, 30, 31, 30,
                                   31, 31, 30, 31, 30, 31 };
    int days = day + days_before(1970);
    int year = days / 366 + 1, month = 0; /* it is never a later one */

    year += (days - days_before(year)) / 366;
    while (days_before(year + 1) <= days)
        year++;
    days -= days_before(year);
    for (; days >= lengths[month] + (month == 1 && is_leap(year)); month++)
        days -= lengths[month] + (month == 1 && is_leap(year));
    to = put_digits(to, 4, year);
    *to++ = '-';
    to = put_digits(to, 2, month + 1);
    *to++ = '-';
    return put_digits(to, 2, days + 1);
}

/* Writes a time of those from 1970 on whose years have four digits. strftime
 * takes as long as all the rest of a result's line. */
static void
put_time(char *to, int64_t wall_ms)
{
    int of_day = (int)(wall_ms % DAY_MS);

    to = put_date(to, (int)(wall_ms / DAY_MS));
    *to++ = 'T';
    to = put_digits(to, 2, of_day / 3600000);
    *to++ = ':';
    to = put_digits(to, 2, of_day / 60000 % 60);
    *to++ = ':';
    to = put_digits(to, 2, of_day / 1000 % 60);
    *to++ = '.';
    to = put_digits(to, 3, of_day % 1000);
    memcpy(to, "Z", sizeof("Z"));
}

void
clock_text(int64_t wall_ms, char text[CLOCK_TEXT_BYTES])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    int fraction = (int)(wall_ms % 1000);
    struct tm tm = { 0 };
    char date[CLOCK_TEXT_BYTES - 8] = "";

    if (wall_ms >= 0 && wall_ms < YEAR_10000_MS) {
        put_time(text, wall_ms);
        return;
    }
    if (fraction < 0) {
        fraction += 1000;
        seconds--;
    }
    if (!gmtime_r(&seconds, &tm) ||
        strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
        date[0] = '\0';
    }
    if (snprintf(text, CLOCK_TEXT_BYTES, "%s.%03dZ", date, fraction) < 0)
        text[0] = '\0';
}

/* Reads exactly `count` digits. */
static const char *
read_digits(const char *text, int count, int *value)
{
    *value = 0;
    for (; count > 0; count--, text++) {
        if (!isdigit((unsigned char)*text))
            return NULL;
        *value = *value * 10 + (*text - '0');
    }
    return text;
}

static int64_t
unit_ms(char unit)
{
    switch (unit) {
    case 's':
        return 1000;
    case 'm':
        return INT64_C(60) * 1000;
    case 'h':
        return INT64_C(3600) * 1000;
    case 'd':
        return INT64_C(86400) * 1000;
    default:
        return 0;
    }
}

/* "2h30m", behind the plus sign. */
static int
parse_relative(const char *text, int64_t now_ms, int64_t *wall_ms)
{
    int64_t sum_ms = 0;

    if (!*text)
        return E_INVALID;
    while (*text) {
        int64_t value = 0;

        if (!isdigit((unsigned char)*text))
            return E_INVALID;
        for (; isdigit((unsigned char)*text); text++) {
            value = value * 10 + (*text - '0');
            if (value > RELATIVE_MS_MAX)
                return E_INVALID;
        }
        if (unit_ms(*text) == 0 || value > RELATIVE_MS_MAX / unit_ms(*text))
            return E_INVALID;
        sum_ms += value * unit_ms(*text++);
        if (sum_ms > RELATIVE_MS_MAX)
            return E_INVALID;
    }
    *wall_ms = now_ms + sum_ms;
    return 0;
}

/* "Z", "+02:00" or "-0530" as milliseconds to subtract. */
static int
parse_offset(const char *text, int64_t *offset_ms)
{
    int sign, hours, minutes;

    *offset_ms = 0;
    if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
        return 0;
    if (*text != '+' && *text != '-')
        return E_INVALID;
    sign = *text++ == '-' ? -1 : 1;
    text = read_digits(text, 2, &hours);
    if (!text)
        return E_INVALID;
    if (*text == ':')
        text++;
    text = read_digits(text, 2, &minutes);
    if (!text || *text || hours > 23 || minutes > 59)
        return E_INVALID;
    *offset_ms = sign * (hours * INT64_C(60) + minutes) * 60000;
    return 0;
}

/* Fills in the fields up to the seconds; returns what follows them. */
static const char *
parse_date(const char *text, struct tm *tm)
{
    static const struct {
        int digits;
        char after; /* the character that must follow; 0 for none */
        int min, max;
    } fields[] = { { 4, '-', 1970, 9999 }, { 2, '-', 1, 12 }, { 2, 'T', 1, 31 },
                   { 2, ':', 0, 23 },      { 2, ':', 0, 59 }, { 2, 0, 0, 59 } };
    int *places[] = { &tm->tm_year, &tm->tm_mon, &tm->tm_mday,
                      &tm->tm_hour, &tm->tm_min, &tm->tm_sec };

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        text = read_digits(text, fields[i].digits, places[i]);
        if (!text || *places[i] < fields[i].min || *places[i] > fields[i].max)
            return NULL;
        if (fields[i].after &&
            toupper((unsigned char)*text++) != fields[i].after)
            return NULL;
    }
    tm->tm_year -= 1900;
    tm->tm_mon -= 1;
    return text;
}

int
clock_parse(const char *text, int64_t now_ms, int64_t *wall_ms)
{
    struct tm tm = { 0 };
    int64_t offset_ms, fraction_ms = 0;
    int day, scale = 100;
    time_t seconds;

    if (*text == '+')
        return parse_relative(text + 1, now_ms, wall_ms);
    text = parse_date(text, &tm);
    if (!text)
        return E_INVALID;
    if (*text == '.') {
        text++;
        if (!isdigit((unsigned char)*text))
            return E_INVALID;
        for (; isdigit((unsigned char)*text); text++, scale /= 10)
            fraction_ms += (int64_t)(*text - '0') * scale;
    }
    if (parse_offset(text, &offset_ms) < 0)
        return E_INVALID;
    day = tm.tm_mday;
    seconds = timegm(&tm);
    if (tm.tm_mday != day) /* 31 April was turned into 1 May */
        return E_INVALID;
    *wall_ms = (int64_t)seconds * 1000 + fraction_ms - offset_ms;
    return 0;
}
