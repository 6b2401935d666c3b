/* SPDX-License-Identifier: MIT */
#include "worker/delay.h"

#include <criterion/criterion.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* 2026-10-21T07:27:00Z: one minute before the dates in the table. */
#define NOW_MS INT64_C(1792567620000)

struct row {
    const char *value;
    int64_t want_ms;
};

static void
check(const struct row *row, int64_t got_ms)
{
    cr_expect_eq(got_ms, row->want_ms, "%s: got %lld, want %lld", row->value,
                 (long long)got_ms, (long long)row->want_ms);
}

Test(delay, reads_every_notation_of_a_header)
{
    static const struct row rows[] = {
        /* Go durations */
        { "1s", 1000 },
        { "6m0s", 360000 },
        { "12ms", 12 },
        { "1h2m3.5s", 3723500 },
        { "1m30.951s", 90951 },
        { "8.71s", 8710 },
        { "100us", 1 },
        { "100\xc2\xb5s", 1 },
        { "100\xce\xbcs", 1 },
        { "1ns", 1 },
        { ".5s", 500 },
        { "1.s", 1000 },
        /* seconds */
        { "17", 17000 },
        { "0.5", 500 },
        { "0.0001", 1 },
        { " 20 ", 20000 },
        { "999999999", DELAY_NONE }, /* 31 years */
        /* Unix times */
        { "1792567680", 60000 },
        { "1792567680000", 60000 },
        { "1792567620", DELAY_NONE }, /* now */
        { "1000000000", DELAY_NONE }, /* 2001 */
        /* dates */
        { "2026-10-21T07:28:00Z", 60000 },
        { "2026-10-21T09:28:00.250+02:00", 60250 },
        { "2026-10-21T07:26:00Z", DELAY_NONE },
        { "Wed, 21 Oct 2026 07:28:00 GMT", 60000 },
        { "Wednesday, 21-Oct-26 07:28:00 GMT", 60000 },
        { "Wed Oct 21 07:28:00 2026", 60000 },
        { "Wed, 21 Oct 2026 07:26:00 GMT", DELAY_NONE },
        { "Wed, 21 Oct 2026 07:28:00 GMTx", DELAY_NONE },
        /* nothing, or nonsense */
        { "", DELAY_NONE },
        { "0", DELAY_NONE },
        { "-1", DELAY_NONE },
        { "+5", DELAY_NONE },
        { "0s", DELAY_NONE },
        { "1s2", DELAY_NONE },
        { "1s ", 1000 },
        { "1 s", DELAY_NONE },
        { "1x", DELAY_NONE },
        { "s", DELAY_NONE },
        { ".", DELAY_NONE },
        { "nan", DELAY_NONE },
        { "inf", DELAY_NONE },
        { "1e3", DELAY_NONE },
        { "9223372036854775807", DELAY_NONE },
        { "99999999999999999999999s", DELAY_NONE },
        { "9000h", DELAY_NONE },
        { "8784h", 8784LL * 3600000 },
        { "8784h1ms", DELAY_NONE },
        { "0000000000000000000000000000000000000000000000000000000000000001",
          1000 },
        { "00000000000000000000000000000000000000000000000000000000000000001",
          DELAY_NONE },
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        check(&rows[i], delay_parse(rows[i].value, NOW_MS));
}

Test(delay, reads_milliseconds_and_rounds_them_up)
{
    static const struct row rows[] = {
        { "1500", 1500 },      { "0.5", 1 },
        { "20.25", 21 },       { "0", DELAY_NONE },
        { "5ms", DELAY_NONE }, { "", DELAY_NONE },
        { "-3", DELAY_NONE },  { "99999999999999", DELAY_NONE },
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        check(&rows[i], delay_parse_ms(rows[i].value));
}

Test(delay, finds_the_wait_in_a_sentence)
{
    static const struct row rows[] = {
        { "Rate limit reached for m on tokens per min (TPM): Limit 30000. "
          "Please try again in 8.71s. Visit x",
          8710 },
        { "Please try again in 20ms.", 20 },
        { "TRY AGAIN IN 1m12s", 72000 },
        { "Please retry in 45.837906927s.", 45838 },
        { "Please retry after 26 seconds.", 26000 },
        { "Try again in 2 minutes", 120000 },
        { "try again in 2 days", DELAY_NONE },
        { "try again in 999999999999999 minutes", DELAY_NONE },
        { "try again in a moment", DELAY_NONE },
        { "try again in ", DELAY_NONE },
        { "try again later", DELAY_NONE },
        { "", DELAY_NONE },
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        check(&rows[i], delay_find(rows[i].value));
}
