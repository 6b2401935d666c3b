/* SPDX-License-Identifier: MIT */
#include "queue/retry.h"

#include <criterion/criterion.h>

#define NOW_MS INT64_C(1800000000000)

static struct conf conf;

static void
set_up(void)
{
    conf_init(&conf);
}

static void
tear_down(void)
{
    conf_fini(&conf);
}

static struct retry_verdict
decide(struct request *request, struct call_end end)
{
    return retry_decide(request, &end, &conf, NOW_MS, INT64_MAX, 0);
}

/* DESIGN.md's table, row by row. */
Test(retry, every_end_has_its_status_and_its_action, .init = set_up,
     .fini = tear_down)
{
    static const struct {
        struct call_end end;
        enum retry_action action;
        enum status status;
    } cases[] = {
        { { .class = CLASS_OK, .http_status = 200 }, RETRY_DONE, STATUS_OK },
        { { .class = CLASS_THROTTLED, .http_status = 429, .wait_ms = 1000 },
          RETRY_READY,
          STATUS_RATE_LIMITED },
        { { .class = CLASS_STOP,
            .http_status = 401,
            .says_stop = true,
            .other_ms = INT64_MAX },
          RETRY_DONE,
          STATUS_AUTH_ERROR },
        { { .class = CLASS_UNCERTAIN }, RETRY_DELAY, STATUS_ERROR },
        { { .class = CLASS_RETRYABLE, .http_status = 429 },
          RETRY_DELAY,
          STATUS_RATE_LIMITED },
        { { .class = CLASS_PERMANENT, .http_status = 429 },
          RETRY_DONE,
          STATUS_RATE_LIMITED },
        { { .class = CLASS_PERMANENT, .http_status = 401 },
          RETRY_DONE,
          STATUS_AUTH_ERROR },
        { { .class = CLASS_PERMANENT, .http_status = 400 },
          RETRY_DONE,
          STATUS_BAD_REQUEST },
        { { .class = CLASS_PERMANENT, .http_status = 404 },
          RETRY_DONE,
          STATUS_NOT_FOUND },
        { { .class = CLASS_PERMANENT, .http_status = 422 },
          RETRY_DONE,
          STATUS_UNPROCESSABLE },
        { { .class = CLASS_PERMANENT, .http_status = 403 },
          RETRY_DONE,
          STATUS_PERMISSION_DENIED },
        { { .class = CLASS_RETRYABLE, .http_status = 500 },
          RETRY_DELAY,
          STATUS_SERVER_ERROR },
        { { .class = CLASS_RETRYABLE, .http_status = 599 },
          RETRY_DELAY,
          STATUS_SERVER_ERROR },
        { { .class = CLASS_PERMANENT, .http_status = 501 },
          RETRY_DONE,
          STATUS_SERVER_ERROR },
        { { .class = CLASS_RETRYABLE }, RETRY_DELAY, STATUS_ERROR },
        { { .class = CLASS_UNCERTAIN }, RETRY_DELAY, STATUS_ERROR },
        { { .class = CLASS_STOP, .http_status = 401 },
          RETRY_DONE,
          STATUS_AUTH_ERROR },
        { { .class = CLASS_STOP, .http_status = 429 },
          RETRY_DONE,
          STATUS_RATE_LIMITED },
        { { .class = CLASS_RETRYABLE, .http_status = 408 },
          RETRY_DELAY,
          STATUS_ERROR },
        { { .class = CLASS_RETRYABLE, .http_status = 200 },
          RETRY_DELAY,
          STATUS_ERROR },
        { { .class = CLASS_PERMANENT, .http_status = 418 },
          RETRY_DONE,
          STATUS_ERROR },
        { { .class = CLASS_PERMANENT, .http_status = 600 },
          RETRY_DONE,
          STATUS_ERROR },
        { { .class = CLASS_TRUNCATED, .http_status = 200 },
          RETRY_DONE,
          STATUS_ERROR },
        { { .class = CLASS_TRUNCATED, .http_status = 200, .can_enlarge = true },
          RETRY_READY,
          STATUS_ERROR },
        { { .class = CLASS_REFUSED, .http_status = 200 },
          RETRY_DONE,
          STATUS_ERROR },
        { { .class = CLASS_ABORTED }, RETRY_READY, STATUS_ERROR },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct request request = { 0 };
        struct retry_verdict verdict = decide(&request, cases[i].end);

        cr_expect_eq(verdict.action, cases[i].action, "case %zu", i);
        cr_expect_eq(verdict.status, cases[i].status, "case %zu: %s", i,
                     status_name(verdict.status));
        cr_expect_eq(retry_status(cases[i].end.class, cases[i].end.http_status),
                     cases[i].status);
    }
}

Test(retry, counters_say_what_happened, .init = set_up, .fini = tear_down)
{
    static const struct {
        struct call_end end;
        uint32_t attempts, failures, throttled, uncertain;
    } cases[] = {
        { { .class = CLASS_OK, .http_status = 200 }, 1, 0, 0, 0 },
        { { .class = CLASS_RETRYABLE, .http_status = 500, .was_sent = true },
          1,
          1,
          0,
          0 },
        { { .class = CLASS_UNCERTAIN, .was_sent = true }, 1, 1, 0, 1 },
        { { .class = CLASS_STOP, .http_status = 401 }, 1, 0, 0, 0 },
        { { .class = CLASS_RETRYABLE }, 1, 1, 0, 0 },
        { { .class = CLASS_THROTTLED, .http_status = 429 }, 1, 0, 1, 0 },
        { { .class = CLASS_PERMANENT, .http_status = 400 }, 1, 0, 0, 0 },
        { { .class = CLASS_TRUNCATED, .http_status = 200 }, 1, 0, 0, 0 },
        { { .class = CLASS_REFUSED, .http_status = 200 }, 1, 0, 0, 0 },
        { { .class = CLASS_ABORTED, .was_sent = true }, 0, 0, 0, 1 },
        { { .class = CLASS_ABORTED }, 0, 0, 0, 0 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct request request = { 0 };

        (void)decide(&request, cases[i].end);
        cr_expect_eq(request.attempts, cases[i].attempts, "case %zu", i);
        cr_expect_eq(request.failures, cases[i].failures, "case %zu", i);
        cr_expect_eq(request.throttled, cases[i].throttled, "case %zu", i);
        cr_expect_eq(request.uncertain, cases[i].uncertain, "case %zu", i);
    }
}

Test(retry, backoff_doubles_up_to_its_cap, .init = set_up, .fini = tear_down)
{
    static const int64_t want_ms[] = { 500,   1000,  2000,  4000,  8000,
                                       16000, 32000, 60000, 60000, 60000 };

    for (uint32_t i = 0; i < sizeof(want_ms) / sizeof(want_ms[0]); i++) {
        int64_t most_ms = retry_backoff_ms(i + 1, &conf, 0.999999);

        cr_expect_eq(retry_backoff_ms(i + 1, &conf, 0), want_ms[i]);
        cr_expect_geq(most_ms, want_ms[i] * 3 / 2 - 1);
        cr_expect_leq(most_ms, want_ms[i] * 3 / 2);
    }
    cr_expect_eq(retry_backoff_ms(UINT32_MAX, &conf, 0), 60000);
    conf.backoff_base_ms = 3600000;
    conf.backoff_cap_ms = 86400000;
    cr_expect_eq(retry_backoff_ms(UINT32_MAX, &conf, 0), 86400000);
    conf.backoff_cap_ms = 1;
    cr_expect_eq(retry_backoff_ms(1, &conf, 0), 1);
}

Test(retry, attempts_end, .init = set_up, .fini = tear_down)
{
    struct request request = { 0 };
    struct call_end end = { .class = CLASS_RETRYABLE, .http_status = 503 };

    for (int64_t i = 1; i < conf.attempts_max; i++) {
        struct retry_verdict verdict = decide(&request, end);

        cr_expect_eq(verdict.action, RETRY_DELAY);
        cr_expect_eq(verdict.due_ms,
                     NOW_MS + retry_backoff_ms((uint32_t)i, &conf, 0));
    }
    cr_expect_eq(decide(&request, end).action, RETRY_DONE);
    conf.attempts_max = 1;
    request = (struct request){ 0 };
    cr_expect_eq(decide(&request, end).action, RETRY_DONE);
}

/* However often it is told to wait, it has all its attempts still. */
Test(retry, throttling_spends_no_attempts, .init = set_up, .fini = tear_down)
{
    struct request request = { 0 };
    struct call_end throttled = { .class = CLASS_THROTTLED,
                                  .http_status = 429,
                                  .wait_ms = 1 };
    struct call_end failed = { .class = CLASS_RETRYABLE, .http_status = 500 };

    for (int64_t i = 1; i < conf.throttle_max; i++)
        cr_expect_eq(decide(&request, throttled).action, RETRY_READY);
    for (int64_t i = 1; i < conf.attempts_max; i++)
        cr_expect_eq(decide(&request, failed).action, RETRY_DELAY);
    cr_expect_eq(request.failures, (uint32_t)conf.attempts_max - 1);
    cr_expect_eq(decide(&request, throttled).action, RETRY_DONE);
}

Test(retry, a_wait_is_never_shortened, .init = set_up, .fini = tear_down)
{
    static const enum call_class classes[] = { CLASS_THROTTLED,
                                               CLASS_RETRYABLE };
    static const int64_t waits_ms[] = { 1, 400, 60001, 900001, 86400000 };

    for (size_t i = 0; i < sizeof(waits_ms) / sizeof(waits_ms[0]); i++) {
        for (size_t j = 0; j < 2; j++) {
            for (int tenths = 0; tenths < 10; tenths++) {
                struct request request = { 0 };
                struct call_end end = { .class = classes[j],
                                        .http_status = 429,
                                        .wait_ms = waits_ms[i] };
                struct retry_verdict verdict = retry_decide(
                    &request, &end, &conf, NOW_MS, INT64_MAX, tenths / 10.0);

                /* The upstream is held, or else the request. */
                cr_expect_eq(verdict.action, classes[j] == CLASS_THROTTLED
                                                 ? RETRY_READY
                                                 : RETRY_DELAY);
                cr_expect_geq(verdict.due_ms, NOW_MS + waits_ms[i]);
                cr_expect_leq(verdict.due_ms,
                              NOW_MS + waits_ms[i] + conf.backoff_base_ms / 2);
            }
        }
    }
}

Test(retry, a_wait_beyond_the_deadline_ends_now, .init = set_up,
     .fini = tear_down)
{
    struct call_end end = { .class = CLASS_THROTTLED,
                            .http_status = 429,
                            .wait_ms = 1000,
                            .members = 1,
                            .route_ms = NOW_MS + 1000,
                            .other_ms = INT64_MAX };

    for (int64_t left_ms = 998; left_ms < 1004; left_ms++) {
        struct request request = { 0 };
        struct retry_verdict verdict =
            retry_decide(&request, &end, &conf, NOW_MS, NOW_MS + left_ms, 0);

        cr_expect_eq(verdict.action, left_ms > 1000 ? RETRY_READY : RETRY_DONE,
                     "%lld", (long long)left_ms);
        cr_expect_eq(verdict.status, STATUS_RATE_LIMITED);
    }
}

/* Somebody may resume the upstream in time, and else it expires. */
Test(retry, a_wait_at_one_that_is_stopped_ends_nothing, .init = set_up,
     .fini = tear_down)
{
    struct request request = { 0 };
    struct call_end end = { .class = CLASS_THROTTLED,
                            .http_status = 429,
                            .wait_ms = 1000,
                            .members = 1,
                            .route_ms = INT64_MAX,
                            .other_ms = INT64_MAX };

    for (int64_t i = 1; i < conf.throttle_max; i++) {
        cr_expect_eq(
            retry_decide(&request, &end, &conf, NOW_MS, NOW_MS + 60000, 0)
                .action,
            RETRY_READY);
    }
    cr_expect_eq(request.failures, 0);
    cr_expect_eq(
        retry_decide(&request, &end, &conf, NOW_MS, NOW_MS + 60000, 0).action,
        RETRY_DONE, "throttle_max");
}

/* Each member of a route is tried at once, and a pause comes behind the last. */
Test(retry, a_failure_goes_to_the_other_upstreams_first, .init = set_up,
     .fini = tear_down)
{
    static const enum retry_action actions[] = { RETRY_READY, RETRY_READY,
                                                 RETRY_DELAY, RETRY_READY };
    struct request request = { 0 };
    struct call_end end = { .class = CLASS_RETRYABLE,
                            .http_status = 500,
                            .members = 3,
                            .other_ms = NOW_MS };

    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        cr_expect_eq(decide(&request, end).action, actions[i], "failure %zu",
                     i + 1);
        cr_expect_eq((request.flags & REQUEST_ELSEWHERE) != 0,
                     actions[i] == RETRY_READY, "failure %zu", i + 1);
    }
    cr_expect_eq(decide(&request, end).action, RETRY_DONE, "the fifth");
    request = (struct request){ 0 };
    end.other_ms = NOW_MS + 1;
    cr_expect_eq(decide(&request, end).action, RETRY_DELAY, "none can");
}

Test(retry, what_met_a_stop_goes_where_it_can_in_time, .init = set_up,
     .fini = tear_down)
{
    static const struct {
        int64_t other_ms, deadline_ms;
        enum retry_action action;
    } cases[] = {
        { INT64_MAX, INT64_MAX, RETRY_DONE },
        { NOW_MS, NOW_MS + 1000, RETRY_READY },
        { NOW_MS + 999, NOW_MS + 1000, RETRY_READY },
        { NOW_MS + 1000, NOW_MS + 1000, RETRY_DONE },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct request request = { 0 };
        struct call_end end = { .class = CLASS_STOP,
                                .http_status = 402,
                                .says_stop = true,
                                .members = 2,
                                .other_ms = cases[i].other_ms };

        cr_expect_eq(
            retry_decide(&request, &end, &conf, NOW_MS, cases[i].deadline_ms, 0)
                .action,
            cases[i].action, "case %zu", i);
        cr_expect_eq(request.failures, 0);
        cr_expect_eq(request.attempts, 1);
    }
}

Test(retry, what_was_never_asked_waits_for_whom_is_stopped, .init = set_up,
     .fini = tear_down)
{
    struct request request = { 0 };
    struct call_end end = { .class = CLASS_STOP,
                            .says_stop = true,
                            .members = 1,
                            .other_ms = INT64_MAX };

    cr_expect_eq(decide(&request, end).action, RETRY_READY);
    cr_expect_eq(request.failures, 0);
    end.was_sent = true;
    cr_expect_eq(decide(&request, end).action, RETRY_DONE);
}

Test(retry, more_room_is_given_once, .init = set_up, .fini = tear_down)
{
    struct request request = { 0 };
    struct call_end end = { .class = CLASS_TRUNCATED,
                            .http_status = 200,
                            .can_enlarge = true };

    cr_expect_eq(decide(&request, end).action, RETRY_READY);
    cr_expect(request.flags & REQUEST_ENLARGED);
    cr_expect_eq(decide(&request, end).action, RETRY_DONE);
}

Test(retry, classes_have_names)
{
    for (int class = 0; class < CLASS_COUNT; class ++) {
        cr_expect_eq(
            retry_class_parse(call_class_name((enum call_class) class)),
            class == CLASS_LOST ? -1 : class);
    }
    cr_expect_eq(retry_class_parse("stop"), CLASS_STOP);
    cr_expect_eq(retry_class_parse("uncertain"), CLASS_UNCERTAIN);
    cr_expect_eq(retry_class_parse("lost"), -1, "no worker reports that");
    cr_expect_eq(retry_class_parse(""), -1);
    cr_expect_eq(retry_class_parse("OK"), -1);
}
