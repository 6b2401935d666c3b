/* SPDX-License-Identifier: MIT */
#include "queue/call_news.h"

#include <criterion/criterion.h>

#define NOW_MS INT64_C(1800000000000)

static struct conf conf;
static struct upstreams *upstreams;
static const struct route both = { .count = 2, .members = { 0, 1 } };

static void
set_up(void)
{
    static char *names[] = { "one", "two" };

    conf_init(&conf);
    for (size_t i = 0; i < 2; i++) {
        conf.upstreams[i] = (struct conf_upstream){
            .name = names[i],
            .priority = 1,
            .weight = 1,
            .request_timeout_ms = 600000,
        };
    }
    conf.upstream_count = 2;
    conf.slots_max = 8;
}

static void
begin(void)
{
    upstreams = upstreams_new(&conf);
}

static void
tear_down(void)
{
    upstreams_free(upstreams);
    conf.upstream_count = 0; /* their names are not on the heap */
    conf_fini(&conf);
}

static struct bound
bound_to(int where)
{
    return (struct bound){ .where = where, .tokens = 100, .leased_ms = NOW_MS };
}

static void
lease(int where, int64_t now_ms)
{
    struct bound bound = bound_to(where);

    upstreams_leased(upstreams, &bound, "m", now_ms);
}

/* A call that was leased there ends. */
static unsigned
tell(int where, struct call_news news, int64_t now_ms)
{
    struct bound bound = bound_to(where);

    bound.leased_ms = now_ms;
    news.wait_from = news.wait_from ? news.wait_from : "";
    news.code = news.code ? news.code : "";
    news.message = news.message ? news.message : "";
    for (int i = 0; i < 3; i++) {
        if (news.request_limits[i] == 0)
            news.request_limits[i] = -1;
        if (news.token_limits[i] == 0)
            news.token_limits[i] = -1;
    }
    return call_news_apply(upstreams, &bound, &news, now_ms);
}

static struct wait
wait_at(int where, int64_t now_ms)
{
    struct bound bound = bound_to(where);

    return upstreams_wait(upstreams, &bound, now_ms);
}

/* Which of both is chosen; -1: none. */
static int
choose(int last, int64_t now_ms)
{
    struct bound bound = bound_to(BOUND_LOCAL);

    (void)upstreams_choose(upstreams, &both, last, &bound, now_ms);
    return bound.where;
}

/* Ten calls of three requests fail. */
static void
break_down(int where, int64_t now_ms)
{
    for (uint64_t i = 0; i < 10; i++) {
        (void)tell(where,
                   (struct call_news){ .request = 1 + i % 3,
                                       .class = CLASS_RETRYABLE,
                                       .http_status = 500 },
                   now_ms);
    }
}

Test(upstreams, a_wait_that_is_named_suspends_and_is_not_shortened,
     .init = set_up, .fini = tear_down)
{
    struct call_news news = { .class = CLASS_THROTTLED,
                              .http_status = 429,
                              .wait_ms = 5000,
                              .wait_from = "retry-after",
                              .code = "rate_limit_exceeded" };

    begin();
    cr_expect_eq(tell(0, news, NOW_MS), NEWS_SUSPENDED);
    cr_expect_eq(wait_at(0, NOW_MS).cause, WAIT_COOLDOWN);
    cr_expect_eq(wait_at(0, NOW_MS).until_ms, NOW_MS + 5000);
    cr_expect_eq(wait_at(1, NOW_MS).cause, WAIT_NOTHING);
    news.wait_ms = 100;
    (void)tell(0, news, NOW_MS + 10);
    cr_expect_eq(wait_at(0, NOW_MS + 4999).cause, WAIT_COOLDOWN);
    cr_expect_eq(wait_at(0, NOW_MS + 5000).cause, WAIT_NOTHING);
    cr_expect_str_eq(upstreams->list[0].row.source, "retry-after");
}

Test(upstreams, a_stop_lasts_until_it_is_resumed, .init = set_up,
     .fini = tear_down)
{
    begin();
    cr_expect_eq(tell(0,
                      (struct call_news){ .class = CLASS_STOP,
                                          .http_status = 429,
                                          .code = "insufficient_quota",
                                          .message = "pay first" },
                      NOW_MS),
                 NEWS_SUSPENDED | NEWS_STOPPED);
    cr_expect_eq(wait_at(0, NOW_MS + INT64_C(1) * 86400000 * 365).cause,
                 WAIT_COOLDOWN);
    cr_expect(upstreams_has_stopped(upstreams));
    cr_expect_str_eq(upstreams->list[0].row.message, "pay first");
    upstreams_resume(upstreams, 0);
    cr_expect_eq(wait_at(0, NOW_MS).cause, WAIT_NOTHING);
    cr_expect_str_eq(upstreams->list[0].row.code, "");
    /* Of a quota for the day, the end is known. */
    (void)tell(0,
               (struct call_news){ .class = CLASS_STOP,
                                   .http_status = 429,
                                   .wait_ms = 3600000 },
               NOW_MS);
    cr_expect_eq(wait_at(0, NOW_MS).until_ms, NOW_MS + 3600000);
}

Test(upstreams, nothing_found_stops_one_that_never_answered, .init = set_up,
     .fini = tear_down)
{
    struct call_news lost = { .class = CLASS_PERMANENT, .http_status = 404 };

    begin();
    (void)tell(0, (struct call_news){ .class = CLASS_OK, .http_status = 200 },
               NOW_MS);
    cr_expect_eq(tell(0, lost, NOW_MS), 0, "it has answered before");
    cr_expect_eq(tell(1, lost, NOW_MS), NEWS_SUSPENDED | NEWS_STOPPED);
}

Test(upstreams, other_answers_suspend_nothing, .init = set_up,
     .fini = tear_down)
{
    static const struct call_news others[] = {
        { .class = CLASS_OK, .http_status = 200 },
        { .class = CLASS_PERMANENT, .http_status = 400 },
        { .class = CLASS_PERMANENT, .http_status = 403 },
        { .class = CLASS_RETRYABLE, .http_status = 500, .wait_ms = 100 },
        { .class = CLASS_RETRYABLE, .http_status = 503 },
        { .class = CLASS_REFUSED, .http_status = 200 },
    };

    begin();
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        cr_expect_eq(tell(0, others[i], NOW_MS), 0, "case %zu", i);
}

Test(upstreams, a_broken_one_is_probed_by_one, .init = set_up,
     .fini = tear_down)
{
    begin();
    break_down(0, NOW_MS);
    cr_expect_eq(wait_at(0, NOW_MS).cause, WAIT_BREAKER);
    cr_expect_eq(wait_at(0, NOW_MS).until_ms, NOW_MS + conf.breaker_pause_ms);
    lease(0, NOW_MS + conf.breaker_pause_ms);
    cr_expect_eq(upstreams->list[0].breaker.state, BREAKER_PROBING);
    cr_expect_eq(wait_at(0, NOW_MS + 60000).cause, WAIT_BREAKER, "one at most");
    /* It was given back: another one may try. */
    upstreams_forget_held(upstreams);
    cr_expect_eq(wait_at(0, NOW_MS + 60000).cause, WAIT_NOTHING);
    lease(0, NOW_MS + 60000);
    upstreams_forget_held(upstreams);
    cr_expect_eq(
        tell(0, (struct call_news){ .class = CLASS_OK, .http_status = 200 },
             NOW_MS + 60001),
        NEWS_MENDED);
    cr_expect_eq(wait_at(0, NOW_MS + 60001).cause, WAIT_NOTHING);
    lease(0, NOW_MS + 60001);
    cr_expect_eq(wait_at(0, NOW_MS + 60001).cause, WAIT_LANE,
                 "it begins with one");
}

Test(upstreams, what_was_called_before_is_over_before_a_probe, .init = set_up,
     .fini = tear_down)
{
    begin();
    lease(0, NOW_MS);
    break_down(0, NOW_MS);
    cr_expect_eq(wait_at(0, NOW_MS + 60000).cause, WAIT_BREAKER);
    cr_expect_eq(wait_at(0, NOW_MS + 60000).until_ms, SCHEDULE_NEVER);
}

Test(upstreams, priority_comes_before_weight, .init = set_up, .fini = tear_down)
{
    conf.upstreams[1].priority = 2;
    conf.upstreams[0].weight = 1000;
    begin();
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(choose(BOUND_LOCAL, NOW_MS), 1);
        lease(1, NOW_MS);
        upstreams_forget_held(upstreams);
    }
    (void)tell(1,
               (struct call_news){ .class = CLASS_THROTTLED,
                                   .http_status = 429,
                                   .wait_ms = 1000 },
               NOW_MS);
    cr_expect_eq(choose(BOUND_LOCAL, NOW_MS), 0, "the other takes over");
    cr_expect_eq(choose(BOUND_LOCAL, NOW_MS + 1000), 1);
}

Test(upstreams, weights_are_shares, .init = set_up, .fini = tear_down)
{
    int count[2] = { 0 };

    conf.upstreams[0].weight = 3;
    begin();
    for (int i = 0; i < 400; i++) {
        int where = choose(BOUND_LOCAL, NOW_MS);

        cr_assert_geq(where, 0);
        count[where]++;
        lease(where, NOW_MS);
        upstreams_forget_held(upstreams);
    }
    cr_expect_eq(count[0], 300, "%d and %d", count[0], count[1]);
}

/* One that was away does not get all that it missed. */
Test(upstreams, absence_saves_nothing_up, .init = set_up, .fini = tear_down)
{
    int count[2] = { 0 };

    begin();
    (void)tell(0, (struct call_news){ .class = CLASS_STOP, .http_status = 401 },
               NOW_MS);
    for (int i = 0; i < 100; i++) {
        lease(choose(BOUND_LOCAL, NOW_MS), NOW_MS);
        upstreams_forget_held(upstreams);
    }
    upstreams_resume(upstreams, 0);
    for (int i = 0; i < 10; i++) {
        int where = choose(BOUND_LOCAL, NOW_MS);

        count[where]++;
        lease(where, NOW_MS);
        upstreams_forget_held(upstreams);
    }
    cr_expect_leq(count[0], 6, "%d of 10", count[0]);
    cr_expect_geq(count[1], 4);
}

Test(upstreams, the_last_one_comes_after_all_others, .init = set_up,
     .fini = tear_down)
{
    conf.upstreams[0].priority = 9;
    begin();
    cr_expect_eq(choose(BOUND_LOCAL, NOW_MS), 0);
    cr_expect_eq(choose(0, NOW_MS), 1);
    (void)tell(1, (struct call_news){ .class = CLASS_STOP, .http_status = 401 },
               NOW_MS);
    cr_expect_eq(choose(0, NOW_MS), 0, "it is better than none");
}

Test(upstreams, a_route_opens_when_its_first_member_does, .init = set_up,
     .fini = tear_down)
{
    begin();
    cr_expect_eq(upstreams_open_ms(upstreams, &both, BOUND_LOCAL, NOW_MS), 0);
    (void)tell(0, (struct call_news){ .class = CLASS_STOP, .http_status = 401 },
               NOW_MS);
    cr_expect_eq(upstreams_open_ms(upstreams, &both, 1, NOW_MS),
                 UPSTREAM_STOPPED);
    (void)tell(1,
               (struct call_news){ .class = CLASS_THROTTLED,
                                   .http_status = 429,
                                   .wait_ms = 7000 },
               NOW_MS);
    cr_expect_eq(upstreams_open_ms(upstreams, &both, BOUND_LOCAL, NOW_MS),
                 NOW_MS + 7000);
}

Test(upstreams, calls_max_is_not_passed, .init = set_up, .fini = tear_down)
{
    conf.upstreams[0].calls_max = 2;
    begin();
    lease(0, NOW_MS);
    cr_expect_eq(wait_at(0, NOW_MS).cause, WAIT_NOTHING);
    lease(0, NOW_MS);
    cr_expect_eq(wait_at(0, NOW_MS).cause, WAIT_LANE);
}

Test(upstreams, budgets_hold_and_are_settled, .init = set_up, .fini = tear_down)
{
    conf.upstreams[0].tokens_per_minute = 2400; /* 120 at once */
    begin();
    lease(0, NOW_MS);
    cr_expect_eq(wait_at(0, NOW_MS).cause, WAIT_PACE);
    (void)tell(0,
               (struct call_news){
                   .class = CLASS_OK, .http_status = 200, .tokens = 10 },
               NOW_MS);
    cr_expect_eq(wait_at(0, NOW_MS).cause, WAIT_NOTHING, "only 10 were used");
}

Test(upstreams, replies_tell_when_to_slow_down, .init = set_up,
     .fini = tear_down)
{
    begin();
    (void)tell(0,
               (struct call_news){ .class = CLASS_OK,
                                   .http_status = 200,
                                   .request_limits = { 60, 1, 10000 } },
               NOW_MS);
    cr_expect(upstreams_is_exact(upstreams, &(struct bound){ 0 }, NOW_MS));
    lease(0, NOW_MS);
    cr_expect_eq(wait_at(0, NOW_MS).cause, WAIT_PACE);
    cr_expect_eq(wait_at(0, NOW_MS + 10000).cause, WAIT_NOTHING);
}

Test(upstreams, models_have_lanes_of_their_own, .init = set_up,
     .fini = tear_down)
{
    struct bound slow = { .where = 0, .model = 1, .leased_ms = NOW_MS };
    struct bound fast = { .where = 0, .model = 2, .leased_ms = NOW_MS };

    begin();
    upstreams_leased(upstreams, &slow, "slow", NOW_MS);
    for (int i = 0; i < 10; i++)
        lane_overloaded(upstreams_lane(upstreams, &slow), NOW_MS + i,
                        NOW_MS + i);
    cr_expect_eq(upstreams_wait(upstreams, &slow, NOW_MS).cause, WAIT_LANE);
    cr_expect_eq(upstreams_wait(upstreams, &fast, NOW_MS).cause, WAIT_NOTHING);
}

/* However many models there are, the table is as large as it is. */
Test(upstreams, more_models_than_lanes_are_survived, .init = set_up,
     .fini = tear_down)
{
    begin();
    for (uint32_t model = 1; model <= 3 * UPSTREAMS_LANES_MAX; model++) {
        struct bound bound = { .where = 1, .model = model };

        upstreams_leased(upstreams, &bound, "m", NOW_MS + model);
        cr_assert_not_null(upstreams_lane(upstreams, &bound));
    }
    cr_expect_eq(upstreams->lane_count, UPSTREAMS_LANES_MAX);
}

Test(upstreams, a_lease_that_was_not_called_gives_back, .init = set_up,
     .fini = tear_down)
{
    struct bound bound = bound_to(0);

    conf.upstreams[0].requests_per_minute = 20; /* one at once */
    begin();
    upstreams_leased(upstreams, &bound, "m", NOW_MS);
    cr_expect_eq(wait_at(0, NOW_MS).cause, WAIT_PACE);
    upstreams_returned(upstreams, &bound, NOW_MS);
    cr_expect_eq(wait_at(0, NOW_MS).cause, WAIT_NOTHING);
}

Test(upstreams, the_store_remembers_what_matters, .init = set_up,
     .fini = tear_down)
{
    static const unsigned char uuid[STORE_UUID_BYTES] = "a store of own";
    struct store *store = store_open_memory(16777216, uuid);
    struct err err = { 0 };

    begin();
    break_down(0, NOW_MS);
    (void)tell(1,
               (struct call_news){ .class = CLASS_STOP,
                                   .http_status = 401,
                                   .code = "invalid_api_key" },
               NOW_MS);
    cr_assert_eq(store_begin(store, NOW_MS, &err), 0);
    upstreams_save(upstreams, store);
    cr_assert_eq(store_commit(store, &err), 0);
    upstreams_free(upstreams);
    begin();
    cr_assert_eq(store_begin(store, NOW_MS, &err), 0);
    cr_assert_eq(upstreams_load(upstreams, store, &err), 0, "%s", err.msg);
    store_abort(store);
    cr_expect_eq(wait_at(0, NOW_MS).until_ms, NOW_MS + conf.breaker_pause_ms);
    cr_expect_eq(wait_at(1, NOW_MS).until_ms, SCHEDULE_NEVER);
    cr_expect_str_eq(upstreams->list[1].row.code, "invalid_api_key");
    store_close(store);
}
