/* SPDX-License-Identifier: MIT */
#include "queue/window.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unicode/ucal.h>
#include <unicode/ustring.h>

#include "base/mem.h"

#define MINUTE_MS   INT64_C(60000)
#define DAY_MINUTES 1440
#define WEEK_DAYS   7
#define WEEK        10080 /* in minutes */

/* 1970-01-01 was a Thursday, three days after the start of a week. */
#define EPOCH_MINUTES 4320

/* Changes of a zone's offset that may come between a moment and the next edge
 * of a window. An edge comes every week and offsets change every few months. */
#define HOPS_MAX 32

struct window {
    UCalendar *calendar;       /* only to ask about the zone */
    bool is_open_minute[WEEK]; /* of the wall clock, from Monday 00:00 */
};

/* Where the reading is. */
struct cursor {
    const char *spec;
    const char *at;
    struct err *err;
};

static int
refuse(const struct cursor *cursor, const char *reason)
{
    return err_set(cursor->err, E_INVALID, "window, column %zu: %s",
                   (size_t)(cursor->at - cursor->spec) + 1, reason);
}

static void
skip_blanks(struct cursor *cursor)
{
    while (*cursor->at == ' ')
        cursor->at++;
}

/* Steps over one character if it is the next. */
static bool
skip(struct cursor *cursor, char c)
{
    if (*cursor->at != c)
        return false;
    cursor->at++;
    return true;
}

/* "mon" or "1"; 0 is Monday. */
static int
read_day(struct cursor *cursor, int *day)
{
    static const char *const names[WEEK_DAYS] = { "mon", "tue", "wed", "thu",
                                                  "fri", "sat", "sun" };
    char first = *cursor->at;

    if (first >= '1' && first <= '7' &&
        !isdigit((unsigned char)cursor->at[1])) {
        *day = first - '1';
        cursor->at++;
        return 0;
    }
    for (int i = 0; i < WEEK_DAYS; i++) {
        if (strncasecmp(cursor->at, names[i], 3) == 0 &&
            !isalnum((unsigned char)cursor->at[3])) {
            *day = i;
            cursor->at += 3;
            return 0;
        }
    }
    return refuse(cursor, "no day such as mon or 1");
}

/* "mon-fri,sun": a bit for each day. */
static int
read_days(struct cursor *cursor, unsigned *days)
{
    *days = 0;
    do {
        int first, final;

        skip_blanks(cursor);
        if (read_day(cursor, &first) < 0)
            return E_INVALID;
        final = first;
        if (skip(cursor, '-') && read_day(cursor, &final) < 0)
            return E_INVALID;
        for (; first != final; first = (first + 1) % WEEK_DAYS)
            *days |= 1U << first;
        *days |= 1U << final;
    } while (skip(cursor, ','));
    if (*cursor->at != ' ')
        return refuse(cursor, "no blank and time behind the days");
    return 0;
}

/* "8:00", "08:00" or "24:00", as minutes. */
static int
read_time(struct cursor *cursor, int *minutes)
{
    const char *at = cursor->at;
    int hour = 0, digits = 0;

    for (; isdigit((unsigned char)*at) && digits < 2; digits++)
        hour = hour * 10 + (*at++ - '0');
    if (digits == 0 || at[0] != ':' || !isdigit((unsigned char)at[1]) ||
        !isdigit((unsigned char)at[2]) || isdigit((unsigned char)at[3])) {
        return refuse(cursor, "no time such as 08:00");
    }
    *minutes = hour * 60 + (at[1] - '0') * 10 + (at[2] - '0');
    if (at[1] > '5' || *minutes > DAY_MINUTES)
        return refuse(cursor, "no time of a day, 00:00 to 24:00");
    cursor->at = at + 3;
    return 0;
}

/* "22:00-06:00", and opens the window there on each of the days. */
static int
read_span(struct cursor *cursor, unsigned days, struct window *window)
{
    struct cursor begin;
    int start = 0, end = 0;

    skip_blanks(cursor);
    begin = *cursor;
    if (read_time(cursor, &start) < 0)
        return E_INVALID;
    if (start == DAY_MINUTES)
        return refuse(&begin, "a span cannot start at 24:00");
    if (!skip(cursor, '-'))
        return refuse(cursor, "no - between start and end");
    if (read_time(cursor, &end) < 0)
        return E_INVALID;
    if (start == end)
        return refuse(&begin, "start and end are the same");
    if (end < start)
        end += DAY_MINUTES;
    for (int day = 0; day < WEEK_DAYS; day++) {
        for (int i = start; i < end && days & 1U << day; i++)
            window->is_open_minute[(day * DAY_MINUTES + i) % WEEK] = true;
    }
    return 0;
}

/* A time has a colon behind its first digits, a day has not. */
static bool
is_at_time(const struct cursor *cursor)
{
    size_t digits = strspn(cursor->at, "0123456789");

    return digits > 0 && cursor->at[digits] == ':';
}

static int
read_rule(struct cursor *cursor, struct window *window)
{
    unsigned days = (1U << WEEK_DAYS) - 1;

    skip_blanks(cursor);
    if (!is_at_time(cursor) && read_days(cursor, &days) < 0)
        return E_INVALID;
    do {
        if (read_span(cursor, days, window) < 0)
            return E_INVALID;
        skip_blanks(cursor);
    } while (skip(cursor, ','));
    return 0;
}

static int
read_spec(const char *spec, struct window *window, struct err *err)
{
    struct cursor cursor = { spec, spec, err };

    if (strlen(spec) > WINDOW_SPEC_BYTES_MAX) {
        return err_set(err, E_INVALID, "window: longer than %d bytes",
                       WINDOW_SPEC_BYTES_MAX);
    }
    do {
        if (read_rule(&cursor, window) < 0)
            return E_INVALID;
    } while (skip(&cursor, ';'));
    return *cursor.at ? refuse(&cursor, "no , or ; behind a span") : 0;
}

/* A calendar in that zone. ICU takes a name that it does not know for GMT, and
 * makes up zones such as GMT+3: only names of its own table are let through. */
static int
open_zone(const char *zone, UCalendar **calendar, struct err *err)
{
    UChar name[WINDOW_ZONE_BYTES_MAX + 1], canonical[WINDOW_ZONE_BYTES_MAX + 1];
    size_t bytes = strlen(zone);
    UErrorCode status = U_ZERO_ERROR;
    UBool is_known = 0;

    if (bytes > WINDOW_ZONE_BYTES_MAX) {
        return err_set(err, E_INVALID, "time zone: longer than %d bytes",
                       WINDOW_ZONE_BYTES_MAX);
    }
    for (size_t i = 0; i < bytes; i++) {
        if (!isalnum((unsigned char)zone[i]) && !strchr("/_+-", zone[i]))
            return err_set(err, E_INVALID, "time zone: not a name");
    }
    u_charsToUChars(zone, name, (int32_t)bytes);
    (void)ucal_getCanonicalTimeZoneID(name, (int32_t)bytes, canonical,
                                      WINDOW_ZONE_BYTES_MAX + 1, &is_known,
                                      &status);
    if (U_FAILURE(status) || !is_known)
        return err_set(err, E_INVALID, "time zone %s is not known", zone);
    *calendar = ucal_open(name, (int32_t)bytes, "en", UCAL_GREGORIAN, &status);
    if (U_FAILURE(status)) {
        return err_set(err, E_IO, "time zone %s: %s", zone,
                       u_errorName(status));
    }
    return 0;
}

int
window_parse(const char *spec, const char *zone, struct window **window,
             struct err *err)
{
    struct window *fresh = mem_zalloc(1, sizeof(*fresh));
    int rc;

    *window = NULL;
    rc = read_spec(spec, fresh, err);
    if (rc == 0)
        rc = open_zone(*zone ? zone : "UTC", &fresh->calendar, err);
    if (rc < 0) {
        window_free(fresh);
        return rc;
    }
    *window = fresh;
    return 0;
}

void
window_free(struct window *window)
{
    if (!window)
        return;
    if (window->calendar)
        ucal_close(window->calendar);
    free(window);
}

/* Milliseconds that the wall clock is ahead of UTC. With the zone's name and a
 * time in range, ICU has nothing to fail on. */
static int64_t
offset_at(const struct window *window, int64_t now_ms)
{
    UErrorCode status = U_ZERO_ERROR;
    int64_t offset_ms;

    ucal_setMillis(window->calendar, (UDate)now_ms, &status);
    offset_ms = ucal_get(window->calendar, UCAL_ZONE_OFFSET, &status);
    offset_ms += ucal_get(window->calendar, UCAL_DST_OFFSET, &status);
    assert(U_SUCCESS(status));
    return offset_ms;
}

/* When the zone's offset changes after the time that offset_at() was asked for
 * last. WINDOW_NEVER if it does not. */
static int64_t
next_change(const struct window *window)
{
    UErrorCode status = U_ZERO_ERROR;
    UDate change;
    UBool has_change = ucal_getTimeZoneTransitionDate(
        window->calendar, UCAL_TZ_TRANSITION_NEXT, &change, &status);

    assert(U_SUCCESS(status));
    return has_change ? (int64_t)change : WINDOW_NEVER;
}

/* The minute of the week that a wall time lies in. */
static int
minute_of_week(int64_t wall_ms)
{
    int64_t minute = wall_ms / MINUTE_MS - (wall_ms % MINUTE_MS < 0);

    minute = (minute + EPOCH_MINUTES) % WEEK;
    return (int)(minute < 0 ? minute + WEEK : minute);
}

bool
window_is_open(const struct window *window, int64_t now_ms)
{
    int64_t wall_ms;

    assert(now_ms >= 0);
    assert(now_ms <= WINDOW_TIME_MS_MAX);
    wall_ms = now_ms + offset_at(window, now_ms);
    return window->is_open_minute[minute_of_week(wall_ms)];
}

/* The first moment from now_ms on at which is_open holds or not, as wanted. As
 * long as the offset stays the same, the wall clock runs evenly and the answer
 * is a matter of counting minutes; where it changes, the counting starts over
 * from there. */
static int64_t
next_moment(const struct window *window, int64_t now_ms, bool is_wanted_open)
{
    assert(now_ms >= 0);
    assert(now_ms <= WINDOW_TIME_MS_MAX);
    for (int hop = 0; hop < HOPS_MAX; hop++) {
        int64_t wall_ms = now_ms + offset_at(window, now_ms);
        int64_t change_ms = next_change(window), found_ms;
        int64_t into_ms = (wall_ms % MINUTE_MS + MINUTE_MS) % MINUTE_MS;
        int minute = minute_of_week(wall_ms), ahead = 0;

        while (ahead < WEEK &&
               window->is_open_minute[(minute + ahead) % WEEK] !=
                   is_wanted_open) {
            ahead++;
        }
        if (ahead == WEEK)
            return WINDOW_NEVER;
        found_ms = ahead == 0 ? now_ms : now_ms - into_ms + ahead * MINUTE_MS;
        if (found_ms < change_ms)
            return found_ms;
        now_ms = change_ms;
    }
    return WINDOW_NEVER;
}

int64_t
window_next_open(const struct window *window, int64_t now_ms)
{
    return next_moment(window, now_ms, true);
}

int64_t
window_next_close(const struct window *window, int64_t now_ms)
{
    return next_moment(window, now_ms, false);
}
