/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* gmtime_r */
#include "tests/upstream_moment.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static int64_t
whole_seconds(int64_t wall_ms)
{
    return (wall_ms + 999) / 1000;
}

static void
add_date(int64_t wall_ms, struct buf *out)
{
    time_t seconds = (time_t)whole_seconds(wall_ms);
    char text[64];
    struct tm tm;
    size_t bytes;

    gmtime_r(&seconds, &tm);
    bytes = strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
    assert(bytes > 0);
    buf_add(out, text, bytes);
}

static void
add_rfc3339(int64_t wall_ms, struct buf *out)
{
    char text[CLOCK_TEXT_BYTES];

    clock_text(wall_ms, text);
    buf_add_str(out, text);
}

static void
add_unix(int64_t wall_ms, struct buf *out)
{
    buf_addf(out, "%" PRId64, whole_seconds(wall_ms));
}

static void
add_unix_ms(int64_t wall_ms, struct buf *out)
{
    buf_addf(out, "%" PRId64, wall_ms);
}

static const struct form {
    const char *start;
    void (*add)(int64_t wall_ms, struct buf *out);
} forms[] = {
    { "{date+", add_date },
    { "{rfc3339+", add_rfc3339 },
    { "{unix+", add_unix },
    { "{unix_ms+", add_unix_ms },
};

/* Reads a moment, and returns what is behind it; NULL if it is none. */
static const char *
read_moment(const char *at, const struct form **form, int64_t *ms)
{
    for (size_t i = 0; i < COUNT(forms); i++) {
        size_t bytes = strlen(forms[i].start);
        char *end = NULL;

        if (strncmp(at, forms[i].start, bytes) != 0)
            continue;
        errno = 0;
        *form = &forms[i];
        *ms = strtoll(at + bytes, &end, 10);
        if (errno == 0 && end > at + bytes && *end == '}' && *ms >= 0 &&
            *ms <= MOMENT_MS_MAX) {
            return end + 1;
        }
    }
    return NULL;
}

void
moment_fill(const char *text, int64_t wall_ms, struct buf *out)
{
    const char *at = text;

    buf_reserve(out, 0)[0] = '\0'; /* a string, even if it is empty */
    while (*at) {
        const struct form *form = NULL;
        int64_t ms = 0;
        const char *rest = read_moment(at, &form, &ms);

        if (rest) {
            form->add(wall_ms + ms, out);
            at = rest;
        } else {
            buf_add_char(out, *at++);
        }
    }
}
