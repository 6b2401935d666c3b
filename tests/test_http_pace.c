/* SPDX-License-Identifier: MIT */
#include "submit/http_pace.h"

#include <criterion/criterion.h>

#define NOW_MS 5000

Test(http_pace, gives_each_phase_its_time)
{
    static const struct {
        enum http_phase phase;
        bool is_reused;
        int64_t bytes;
        int64_t want_ms; /* -1: no end */
    } rows[] = {
        { HTTP_PHASE_HEADER, false, 0, HTTP_HEADER_MS },
        { HTTP_PHASE_HEADER, true, 0, HTTP_IDLE_MS + HTTP_HEADER_MS },
        { HTTP_PHASE_IDLE, true, 0, HTTP_IDLE_MS + HTTP_HEADER_MS },
        { HTTP_PHASE_BODY, false, 0, HTTP_BODY_GRACE_MS },
        { HTTP_PHASE_BODY, true, 10 * HTTP_RATE_BYTES_MIN,
          HTTP_BODY_GRACE_MS + 10000 },
        { HTTP_PHASE_REPLY, false, HTTP_RATE_BYTES_MIN / 2,
          HTTP_BODY_GRACE_MS + 500 },
        { HTTP_PHASE_ANSWER, false, 0, -1 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_pace pace = { .is_reused = rows[i].is_reused };

        http_pace_enter(&pace, rows[i].phase, NOW_MS);
        pace.bytes = rows[i].bytes;
        cr_expect_eq(http_pace_end_ms(&pace),
                     rows[i].want_ms < 0 ? HTTP_PACE_NEVER
                                         : NOW_MS + rows[i].want_ms,
                     "%s", http_phase_name(rows[i].phase));
    }
}

Test(http_pace, does_not_count_what_a_connection_rests)
{
    struct http_pace pace = { .is_reused = false };

    http_pace_enter(&pace, HTTP_PHASE_BODY, NOW_MS);
    http_pace_rest(&pace, NOW_MS + 4000);
    cr_expect_eq(http_pace_end_ms(&pace), HTTP_PACE_NEVER);
    http_pace_resume(&pace, NOW_MS + 64000);
    cr_expect_eq(http_pace_end_ms(&pace), NOW_MS + 60000 + HTTP_BODY_GRACE_MS);
    http_pace_enter(&pace, HTTP_PHASE_REPLY, NOW_MS + 70000);
    cr_expect_eq(http_pace_end_ms(&pace), NOW_MS + 70000 + HTTP_BODY_GRACE_MS);
}

Test(http_pace, an_idle_connection_was_used_before)
{
    struct http_pace pace = { .is_reused = false };

    http_pace_enter(&pace, HTTP_PHASE_IDLE, NOW_MS);
    cr_expect(pace.is_reused);
}
