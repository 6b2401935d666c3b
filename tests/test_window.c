/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* setenv, localtime_r */
#include "queue/window.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

#define MINUTE_MS    INT64_C(60000)
#define DAY_MINUTES  1440
#define SCAN_MINUTES (14 * DAY_MINUTES)
#define SCAN_AHEAD   (15 * DAY_MINUTES) /* more than any wait for an edge */
#define EDGE_STRIDE  7 /* the edges are looked for from each such minute */

static int64_t
at(const char *text)
{
    int64_t wall_ms = 0;

    cr_assert_eq(clock_parse(text, 0, &wall_ms), 0, "%s", text);
    return wall_ms;
}

static struct window *
parse(const char *spec, const char *zone)
{
    struct err err = { 0 };
    struct window *window = NULL;

    cr_assert_eq(window_parse(spec, zone, &window, &err), 0, "%s: %s", spec,
                 err.msg);
    return window;
}

/* Compares times as text, so that a failure can be read. */
static void
check_time(const char *what, const char *spec, int64_t got_ms, const char *want)
{
    char got[CLOCK_TEXT_BYTES], wanted[CLOCK_TEXT_BYTES];

    clock_text(got_ms, got);
    clock_text(at(want), wanted);
    cr_expect_str_eq(got, wanted, "%s of %s: got %s, want %s", what, spec, got,
                     wanted);
}

Test(window, refuses_a_bad_spec_with_its_column)
{
    static const struct {
        const char *spec;
        const char *want;
    } cases[] = {
        { "", "window, column 1: no day such as mon or 1" },
        { "  ", "window, column 3: no day such as mon or 1" },
        { "mon", "window, column 4: no blank and time behind the days" },
        { "mon ", "window, column 5: no time such as 08:00" },
        { "mon,", "window, column 5: no day such as mon or 1" },
        { "mon- 08:00-09:00", "window, column 5: no day such as mon or 1" },
        { "monday 08:00-09:00", "window, column 1: no day such as mon or 1" },
        { "mon08:00-09:00", "window, column 1: no day such as mon or 1" },
        { "0 08:00-09:00", "window, column 1: no day such as mon or 1" },
        { "8 08:00-09:00", "window, column 1: no day such as mon or 1" },
        { "12 08:00-09:00", "window, column 1: no day such as mon or 1" },
        { "mon 08:00", "window, column 10: no - between start and end" },
        { "08:00-", "window, column 7: no time such as 08:00" },
        { "08:0-09:00", "window, column 1: no time such as 08:00" },
        { "08:000-09:00", "window, column 1: no time such as 08:00" },
        { "008:00-09:00", "window, column 1: no time such as 08:00" },
        { "mon -8:00-9:00", "window, column 5: no time such as 08:00" },
        { "08:60-09:00", "window, column 1: no time of a day, 00:00 to 24:00" },
        { "08:00-24:01", "window, column 7: no time of a day, 00:00 to 24:00" },
        { "08:00-25:00", "window, column 7: no time of a day, 00:00 to 24:00" },
        { "24:00-08:00", "window, column 1: a span cannot start at 24:00" },
        { "mon 8:00-8:00", "window, column 5: start and end are the same" },
        { "08:00-09:00,", "window, column 13: no time such as 08:00" },
        { "08:00-09:00;", "window, column 13: no day such as mon or 1" },
        { "08:00-09:00 x", "window, column 13: no , or ; behind a span" },
        { "08:00-09:00\n", "window, column 12: no , or ; behind a span" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct window *window = (struct window *)cases;
        struct err err = { 0 };
        int rc = window_parse(cases[i].spec, "", &window, &err);

        cr_expect_eq(rc, E_INVALID, "\"%s\": got %d", cases[i].spec, rc);
        cr_expect_null(window);
        cr_expect_str_eq(err.msg, cases[i].want, "\"%s\": got %s",
                         cases[i].spec, err.msg);
    }
}

Test(window, refuses_a_spec_that_is_too_long)
{
    static const char rule[] = "08:00-09:00;";
    char spec[WINDOW_SPEC_BYTES_MAX + 16];
    struct window *window = NULL;
    size_t bytes = 0;

    while (bytes <= WINDOW_SPEC_BYTES_MAX) {
        memcpy(spec + bytes, rule, strlen(rule));
        bytes += strlen(rule);
    }
    spec[bytes - 1] = '\0'; /* the last ; */
    cr_expect_eq(window_parse(spec, "", &window, NULL), E_INVALID);
    spec[bytes - strlen(rule) - 1] = '\0';
    cr_expect_eq(window_parse(spec, "", &window, NULL), 0);
    window_free(window);
}

Test(window, refuses_a_zone_that_is_not_known)
{
    static const char *const zones[] = {
        "Europe/Atlantis",
        "europe/berlin",
        "Etc/Unknown",
        "GMT+3",
        "UTC+01:00",
        "\xc3\xa9",
        " ",
        "Berlin",
        "America/Argentina/ComodRivadavia/America/Argentina/ComodRivadavia/A",
    };

    for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
        struct window *window = NULL;
        struct err err = { 0 };
        int rc = window_parse("08:00-09:00", zones[i], &window, &err);

        cr_expect_eq(rc, E_INVALID, "%s: got %d", zones[i], rc);
        cr_expect_null(window);
        cr_expect(strncmp(err.msg, "time zone", 9) == 0, "got %s", err.msg);
    }
}

/* In winter of 2026; 2026-01-05 is a Monday. */
static const struct {
    const char *spec, *zone, *now, *open, *close;
} winter_cases[] = {
    /* Start is inside, end is not. */
    { "09:00-18:00", "", "2026-01-05T08:59:59.999Z", "2026-01-05T09:00:00Z",
      "2026-01-05T08:59:59.999Z" },
    { "09:00-18:00", "", "2026-01-05T09:00:00Z", "2026-01-05T09:00:00Z",
      "2026-01-05T18:00:00Z" },
    { "09:00-18:00", "", "2026-01-05T17:59:59.999Z", "2026-01-05T17:59:59.999Z",
      "2026-01-05T18:00:00Z" },
    { "09:00-18:00", "", "2026-01-05T18:00:00Z", "2026-01-06T09:00:00Z",
      "2026-01-05T18:00:00Z" },
    { "9:00-18:00", "UTC", "2026-01-05T20:00:00.5Z", "2026-01-06T09:00:00Z",
      "2026-01-05T20:00:00.5Z" },
    /* Two spans; over the weekend. */
    { "mon-fri 08:00-12:00,14:00-18:00", "", "2026-01-09T12:30:00Z",
      "2026-01-09T14:00:00Z", "2026-01-09T12:30:00Z" },
    { "mon-fri 08:00-12:00,14:00-18:00", "", "2026-01-09T18:00:00Z",
      "2026-01-12T08:00:00Z", "2026-01-09T18:00:00Z" },
    { "1-5 8:00-12:00 , 14:00-18:00", "", "2026-01-09T18:00:00Z",
      "2026-01-12T08:00:00Z", "2026-01-09T18:00:00Z" },
    /* A span over midnight is of the day on which it opens. */
    { "mon-fri 23:00-06:00", "", "2026-01-10T05:59:00Z", "2026-01-10T05:59:00Z",
      "2026-01-10T06:00:00Z" },
    { "mon-fri 23:00-06:00", "", "2026-01-12T00:00:00Z", "2026-01-12T23:00:00Z",
      "2026-01-12T00:00:00Z" },
    { "sat,sun 23:00-06:00", "", "2026-01-11T12:00:00Z", "2026-01-11T23:00:00Z",
      "2026-01-11T12:00:00Z" },
    { "sat,sun 23:00-06:00", "", "2026-01-12T01:00:00Z", "2026-01-12T01:00:00Z",
      "2026-01-12T06:00:00Z" },
    { "sun 22:00-00:00", "", "2026-01-11T22:30:00Z", "2026-01-11T22:30:00Z",
      "2026-01-12T00:00:00Z" },
    /* Days round the week; spans that touch and overlap. */
    { "FRI-mon 00:00-24:00", "", "2026-01-06T00:00:00Z", "2026-01-09T00:00:00Z",
      "2026-01-06T00:00:00Z" },
    { "fri-mon 00:00-24:00", "", "2026-01-09T00:00:00Z", "2026-01-09T00:00:00Z",
      "2026-01-13T00:00:00Z" },
    { "mon 08:00-24:00; tue 00:00-08:00;mon 10:00-12:00", "",
      "2026-01-05T09:00:00Z", "2026-01-05T09:00:00Z", "2026-01-06T08:00:00Z" },
    { "7 10:00-11:00", "", "2026-01-11T11:00:00Z", "2026-01-18T10:00:00Z",
      "2026-01-11T11:00:00Z" },
    /* Zones ahead, behind, and by halves of an hour. */
    { "mon 00:00-01:00", "Asia/Kolkata", "2026-01-04T12:00:00Z",
      "2026-01-04T18:30:00Z", "2026-01-04T12:00:00Z" },
    { "mon 00:00-01:00", "Asia/Kathmandu", "2026-01-04T18:15:00Z",
      "2026-01-04T18:15:00Z", "2026-01-04T19:15:00Z" },
    { "sun 23:00-24:00", "America/Los_Angeles", "2026-01-12T00:00:00Z",
      "2026-01-12T07:00:00Z", "2026-01-12T00:00:00Z" },
    { "mon-fri 22:00-06:00", "Europe/Berlin", "2026-01-05T20:00:00Z",
      "2026-01-05T21:00:00Z", "2026-01-05T20:00:00Z" },
    { "00:30-08:30", "Asia/Shanghai", "2026-01-05T00:30:00Z",
      "2026-01-05T16:30:00Z", "2026-01-05T00:30:00Z" },
    /* Before 1970 on the wall: Wednesday 16:00 there. */
    { "wed 16:00-16:01", "America/Los_Angeles", "1970-01-01T00:00:30Z",
      "1970-01-01T00:00:30Z", "1970-01-01T00:01:00Z" },
};

Test(window, opens_and_closes_where_the_spec_says)
{
    for (size_t i = 0; i < sizeof(winter_cases) / sizeof(winter_cases[0]);
         i++) {
        struct window *window =
            parse(winter_cases[i].spec, winter_cases[i].zone);
        int64_t now_ms = at(winter_cases[i].now);

        check_time("opening", winter_cases[i].spec,
                   window_next_open(window, now_ms), winter_cases[i].open);
        check_time("closing", winter_cases[i].spec,
                   window_next_close(window, now_ms), winter_cases[i].close);
        cr_expect_eq(window_is_open(window, now_ms),
                     now_ms == at(winter_cases[i].open), "%s at %s",
                     winter_cases[i].spec, winter_cases[i].now);
        window_free(window);
    }
}

/* Berlin: 2026-03-29 02:00 becomes 03:00, 2026-10-25 03:00 becomes 02:00.
 * New York: 2026-03-08 02:00 becomes 03:00, 2026-11-01 02:00 becomes 01:00. */
static const struct {
    const char *spec, *zone, *now, *open, *close;
} change_cases[] = {
    /* The same hours of the wall are other hours of UTC. */
    { "08:00-09:00", "Europe/Berlin", "2026-03-28T12:00:00Z",
      "2026-03-29T06:00:00Z", "2026-03-28T12:00:00Z" },
    { "08:00-09:00", "Europe/Berlin", "2026-10-24T12:00:00Z",
      "2026-10-25T07:00:00Z", "2026-10-24T12:00:00Z" },
    { "sun 08:00-09:00", "America/New_York", "2026-03-02T00:00:00Z",
      "2026-03-08T12:00:00Z", "2026-03-02T00:00:00Z" },
    { "sun 08:00-09:00", "America/New_York", "2026-10-26T00:00:00Z",
      "2026-11-01T13:00:00Z", "2026-10-26T00:00:00Z" },
    /* A night is an hour shorter, or longer. */
    { "22:00-06:00", "Europe/Berlin", "2026-03-28T21:00:00Z",
      "2026-03-28T21:00:00Z", "2026-03-29T04:00:00Z" },
    { "22:00-06:00", "Europe/Berlin", "2026-10-24T20:00:00Z",
      "2026-10-24T20:00:00Z", "2026-10-25T05:00:00Z" },
    { "22:00-06:00", "America/New_York", "2026-03-08T03:00:00Z",
      "2026-03-08T03:00:00Z", "2026-03-08T10:00:00Z" },
    { "22:00-06:00", "America/New_York", "2026-11-01T02:00:00Z",
      "2026-11-01T02:00:00Z", "2026-11-01T11:00:00Z" },
    /* Half of the span does not happen: it opens with the change. */
    { "02:30-03:30", "Europe/Berlin", "2026-03-29T00:00:00Z",
      "2026-03-29T01:00:00Z", "2026-03-29T00:00:00Z" },
    { "02:30-03:30", "Europe/Berlin", "2026-03-29T01:00:00Z",
      "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z" },
    /* It would close in the hour that is left out. */
    { "01:00-02:30", "America/New_York", "2026-03-08T06:00:00Z",
      "2026-03-08T06:00:00Z", "2026-03-08T07:00:00Z" },
    /* All of the span is left out: the next day, or the next week. */
    { "02:15-02:45", "Europe/Berlin", "2026-03-29T00:00:00Z",
      "2026-03-30T00:15:00Z", "2026-03-29T00:00:00Z" },
    { "sun 02:15-02:45", "America/New_York", "2026-03-02T12:00:00Z",
      "2026-03-15T06:15:00Z", "2026-03-02T12:00:00Z" },
    /* The hour that comes twice: 02:15 to 02:45, first and second. */
    { "02:15-02:45", "Europe/Berlin", "2026-10-25T00:00:00Z",
      "2026-10-25T00:15:00Z", "2026-10-25T00:00:00Z" },
    { "02:15-02:45", "Europe/Berlin", "2026-10-25T00:45:00Z",
      "2026-10-25T01:15:00Z", "2026-10-25T00:45:00Z" },
    { "02:15-02:45", "Europe/Berlin", "2026-10-25T01:15:00Z",
      "2026-10-25T01:15:00Z", "2026-10-25T01:45:00Z" },
    { "01:00-02:00", "America/New_York", "2026-11-01T05:00:00Z",
      "2026-11-01T05:00:00Z", "2026-11-01T07:00:00Z" },
    /* Lord Howe changes by half an hour: 02:00 becomes 01:30. */
    { "01:30-02:00", "Australia/Lord_Howe", "2026-04-04T14:30:00Z",
      "2026-04-04T14:30:00Z", "2026-04-04T15:30:00Z" },
};

Test(window, keeps_to_the_wall_clock_when_it_is_put_forward_and_back)
{
    for (size_t i = 0; i < sizeof(change_cases) / sizeof(change_cases[0]);
         i++) {
        struct window *window =
            parse(change_cases[i].spec, change_cases[i].zone);
        int64_t now_ms = at(change_cases[i].now);

        check_time("opening", change_cases[i].spec,
                   window_next_open(window, now_ms), change_cases[i].open);
        check_time("closing", change_cases[i].spec,
                   window_next_close(window, now_ms), change_cases[i].close);
        window_free(window);
    }
}

Test(window, never_closes_if_it_covers_the_week)
{
    struct window *whole = parse("00:00-24:00", "Europe/Berlin");
    struct window *almost =
        parse("mon-sat 00:00-24:00; sun 00:00-23:59", "Europe/Berlin");
    int64_t now_ms = at("2026-03-28T12:00:00Z");

    cr_expect_eq(window_next_close(whole, now_ms), WINDOW_NEVER);
    cr_expect_eq(window_next_open(whole, now_ms), now_ms);
    check_time("closing", "almost the week", window_next_close(almost, now_ms),
               "2026-03-29T21:59:00Z");
    window_free(whole);
    window_free(almost);
    window_free(NULL);
}

Test(window, holds_at_the_ends_of_time)
{
    struct window *window = parse("mon 08:00-09:00", "America/New_York");
    const int64_t ends[] = { 0, WINDOW_TIME_MS_MAX };

    for (int i = 0; i < 2; i++) {
        int64_t open_ms = window_next_open(window, ends[i]);

        cr_expect_geq(open_ms, ends[i]);
        cr_expect_leq(open_ms, ends[i] + SCAN_MINUTES * MINUTE_MS);
    }
    window_free(window);
}

/* A spec as a naive reader sees it: spans of minutes on days, 0 is Monday. */
struct span {
    unsigned days;
    int start, end; /* over midnight if end is not above start */
};

struct sample {
    const char *spec;
    struct span spans[4];
    size_t span_count;
};

static const struct sample samples[] = {
    { "mon-fri 22:00-06:00", { { 0x1f, 1320, 360 } }, 1 },
    { "mon-fri 08:00-12:00,14:00-18:00",
      { { 0x1f, 480, 720 }, { 0x1f, 840, 1080 } },
      2 },
    { "sat,sun 23:00-06:00; wed 00:00-24:00",
      { { 0x60, 1380, 360 }, { 0x04, 0, 1440 } },
      2 },
    { "fri-mon 02:10-02:50,00:00-00:20",
      { { 0x71, 130, 170 }, { 0x71, 0, 20 } },
      2 },
    { "01:30-03:15", { { 0x7f, 90, 195 } }, 1 },
    { "sun 01:59-01:58", { { 0x40, 119, 118 } }, 1 },
};

/* By the C library's idea of the wall clock. */
static bool
naive_is_open(const struct sample *sample, int64_t now_ms)
{
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm tm;
    int day, minute;

    cr_assert_not_null(localtime_r(&seconds, &tm));
    day = (tm.tm_wday + 6) % 7;
    minute = tm.tm_hour * 60 + tm.tm_min;
    for (size_t i = 0; i < sample->span_count; i++) {
        const struct span *span = &sample->spans[i];
        bool is_today = span->days >> day & 1;
        bool is_yesterday = span->days >> (day + 6) % 7 & 1;

        if (span->end > span->start) {
            if (is_today && minute >= span->start && minute < span->end)
                return true;
        } else if ((is_today && minute >= span->start) ||
                   (is_yesterday && minute < span->end)) {
            return true;
        }
    }
    return false;
}

/* Every minute of two weeks, against the minutes that the scan has seen. */
static void
check_scan(const struct sample *sample, const char *zone, int64_t start_ms)
{
    enum { TOTAL = SCAN_MINUTES + SCAN_AHEAD };
    struct window *window = parse(sample->spec, zone);
    int64_t next_ms[2] = { WINDOW_NEVER, WINDOW_NEVER }; /* closed, open */

    for (int i = TOTAL - 1; i >= 0; i--) {
        int64_t now_ms = start_ms + i * MINUTE_MS;
        bool is_open = naive_is_open(sample, now_ms);

        next_ms[is_open] = now_ms;
        if (i >= SCAN_MINUTES)
            continue;
        cr_assert_eq(window_is_open(window, now_ms), is_open,
                     "%s in %s, minute %d", sample->spec, zone, i);
        if (i % EDGE_STRIDE != 0)
            continue;
        cr_assert_eq(window_next_open(window, now_ms), next_ms[1],
                     "opening of %s in %s, minute %d", sample->spec, zone, i);
        cr_assert_eq(window_next_close(window, now_ms), next_ms[0],
                     "closing of %s in %s, minute %d", sample->spec, zone, i);
    }
    window_free(window);
}

Test(window, agrees_with_a_scan_of_every_minute)
{
    static const struct {
        const char *zone, *start; /* a week before the clock changes */
    } scans[] = {
        { "UTC", "2026-01-01T00:00:00Z" },
        { "Europe/Berlin", "2026-03-22T00:00:00Z" },
        { "Europe/Berlin", "2026-10-18T00:00:00Z" },
        { "America/New_York", "2026-03-01T00:00:00Z" },
        { "America/New_York", "2026-10-25T00:00:00Z" },
        { "Asia/Kathmandu", "2026-05-01T00:00:00Z" },
        { "Australia/Lord_Howe", "2026-03-29T00:00:00Z" },
        { "Australia/Lord_Howe", "2026-09-27T00:00:00Z" },
    };

    for (size_t i = 0; i < sizeof(scans) / sizeof(scans[0]); i++) {
        cr_assert_eq(setenv("TZ", scans[i].zone, 1), 0);
        tzset();
        for (size_t j = 0; j < sizeof(samples) / sizeof(samples[0]); j++)
            check_scan(&samples[j], scans[i].zone, at(scans[i].start));
    }
}
