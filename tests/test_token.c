/* SPDX-License-Identifier: MIT */
#include "worker/token.h"

#include <criterion/criterion.h>
#include <string.h>

#define NOW      INT64_C(1000000)
#define PATIENCE 30000
#define TTL      2700000 /* 45 minutes */

static struct token token;
static struct err err;

static void
tear_down(void)
{
    token_fini(&token);
}

TestSuite(token, .fini = tear_down);

static enum token_state
ask(int64_t now_ms)
{
    return token_ask(&token, PATIENCE, now_ms);
}

static void
come(const char *value, int64_t expires_ms, int64_t now_ms)
{
    cr_assert(token_is_due(&token, now_ms));
    token_fetch(&token, now_ms);
    cr_assert_eq(token_came(&token, slice_of(value), expires_ms, TTL, &err), 0,
                 "%s", err.msg);
}

/* Uses the token and returns its id. */
static uint64_t
use(const char *want, bool is_first)
{
    uint64_t id;
    bool got_first;

    cr_expect(slice_is(token_use(&token, &id, &got_first), want));
    cr_expect_eq(got_first, is_first);
    return id;
}

Test(token, is_fetched_when_somebody_asks)
{
    cr_expect_not(token_is_due(&token, NOW));
    cr_expect_eq(token_next_ms(&token, PATIENCE, NOW), TOKEN_NEVER);
    cr_expect_eq(ask(NOW), TOKEN_AWAITED);
    cr_expect_leq(token_next_ms(&token, PATIENCE, NOW), NOW);
    come("one", TOKEN_NO_EXPIRY, NOW);
    cr_expect_eq(ask(NOW), TOKEN_READY);
    cr_expect_eq(use("one", true), 1);
    cr_expect_eq(use("one", false), 1);
}

Test(token, is_fetched_once_at_a_time)
{
    cr_expect_eq(ask(NOW), TOKEN_AWAITED);
    token_fetch(&token, NOW);
    for (int i = 0; i < 5; i++) {
        cr_expect_eq(ask(NOW + i), TOKEN_AWAITED);
        cr_expect_not(token_is_due(&token, NOW + i));
    }
}

/* How long a token is used, and when the next one is fetched. */
Test(token, lasts_as_long_as_the_shorter_word_says)
{
    static const struct {
        int64_t expires_ms, end_ms, refresh_ms;
    } cases[] = {
        { TOKEN_NO_EXPIRY, TTL, TTL - TOKEN_AHEAD_MS },
        { 2 * TTL, TTL, TTL - TOKEN_AHEAD_MS },
        { TTL, TTL - TOKEN_MARGIN_MS, TTL - TOKEN_MARGIN_MS - TOKEN_AHEAD_MS },
        { 600000, 570000, 510000 },
        { 100000, 90000, 72000 },
        { 1000, 900, 720 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_expect_eq(ask(NOW), TOKEN_AWAITED);
        come("one", cases[i].expires_ms, NOW);
        use("one", true);
        cr_expect_eq(token.refresh_ms - NOW, cases[i].refresh_ms,
                     "case %zu: got %lld", i,
                     (long long)(token.refresh_ms - NOW));
        cr_expect_eq(ask(NOW + cases[i].end_ms - 1), TOKEN_READY);
        cr_expect_eq(ask(NOW + cases[i].end_ms), TOKEN_AWAITED);
        token_fini(&token);
    }
}

Test(token, is_refreshed_while_the_old_one_serves)
{
    int64_t refresh_ms = NOW + TTL - TOKEN_AHEAD_MS;

    ask(NOW);
    come("one", TOKEN_NO_EXPIRY, NOW);
    use("one", true);
    cr_expect_eq(token_next_ms(&token, PATIENCE, NOW), refresh_ms);
    cr_expect_not(token_is_due(&token, refresh_ms - 1));
    cr_expect(token_is_due(&token, refresh_ms));
    token_fetch(&token, refresh_ms);
    cr_expect_eq(ask(refresh_ms + 1), TOKEN_READY);
    use("one", false);
    cr_expect_eq(
        token_came(&token, slice_of("two"), TOKEN_NO_EXPIRY, TTL, &err), 0);
    cr_expect_eq(ask(refresh_ms + 2), TOKEN_READY);
    cr_expect_eq(use("two", true), 2);
}

Test(token, counts_its_time_from_when_it_was_asked_for)
{
    ask(NOW);
    token_fetch(&token, NOW);
    cr_assert_eq(ask(NOW + 20000), TOKEN_AWAITED);
    cr_assert_eq(token_came(&token, slice_of("one"), 100000, TTL, &err), 0);
    cr_expect_eq(token.end_ms, NOW + 90000);
}

Test(token, that_nobody_used_is_not_refreshed)
{
    ask(NOW);
    come("one", TOKEN_NO_EXPIRY, NOW);
    cr_expect_eq(token_next_ms(&token, PATIENCE, NOW), TOKEN_NEVER);
    cr_expect_not(token_is_due(&token, NOW + TTL));
    cr_expect_eq(ask(NOW + TTL), TOKEN_AWAITED);
    cr_expect(token_is_due(&token, NOW + TTL));
}

Test(token, fetches_that_fail_wait_twice_as_long_each_time)
{
    int64_t now_ms = NOW, waits[8];

    for (int i = 0; i < 8; i++) {
        ask(now_ms);
        cr_assert(token_is_due(&token, now_ms), "round %d", i);
        token_fetch(&token, now_ms);
        token_failed(&token, "why", 0, now_ms);
        ask(now_ms);
        waits[i] = token.fetch_ms - now_ms;
        cr_expect_not(token_is_due(&token, token.fetch_ms - 1));
        now_ms = token.fetch_ms;
    }
    cr_expect_eq(waits[0], TOKEN_BACKOFF_MS);
    cr_expect_eq(waits[1], 2 * TOKEN_BACKOFF_MS);
    cr_expect_eq(waits[7], TOKEN_BACKOFF_MAX_MS);
    cr_expect_str_eq(token.reason, "why");
    token_fetch(&token, now_ms);
    token_failed(&token, "busy", 90000, now_ms);
    cr_expect_eq(token.fetch_ms, now_ms + 90000);
    token_forgive(&token);
    ask(now_ms);
    cr_expect(token_is_due(&token, now_ms));
}

Test(token, is_missing_after_a_time)
{
    cr_expect_eq(ask(NOW), TOKEN_AWAITED);
    token_fetch(&token, NOW);
    cr_expect_eq(token_next_ms(&token, PATIENCE, NOW), NOW + PATIENCE);
    cr_expect_eq(ask(NOW + PATIENCE - 1), TOKEN_AWAITED);
    cr_expect_eq(ask(NOW + PATIENCE), TOKEN_MISSING);
    cr_expect_eq(token_next_ms(&token, PATIENCE, NOW + PATIENCE), TOKEN_NEVER);
    /* Those who come next are told at once. */
    cr_expect_eq(ask(NOW + 2 * PATIENCE), TOKEN_MISSING);
    /* After a long silence, hope is back. */
    cr_expect_eq(ask(NOW + 4 * PATIENCE), TOKEN_AWAITED);
    token_failed(&token, "why", 0, NOW + 4 * PATIENCE);
    cr_expect_eq(ask(NOW + 5 * PATIENCE), TOKEN_MISSING);
    come("one", TOKEN_NO_EXPIRY, NOW + 5 * PATIENCE);
    cr_expect_eq(ask(NOW + 5 * PATIENCE), TOKEN_READY);
}

Test(token, nobody_asks_for_is_not_fetched_again)
{
    ask(NOW);
    token_fetch(&token, NOW);
    token_failed(&token, "why", 0, NOW);
    cr_expect_not(token_is_due(&token, NOW + 600000));
    cr_expect_neq(token_next_ms(&token, PATIENCE, NOW + 600000), NOW + 600000);
}

Test(token, that_was_refused_is_thrown_away_once_a_minute)
{
    uint64_t first, second;

    ask(NOW);
    come("one", TOKEN_NO_EXPIRY, NOW);
    first = use("one", true);
    cr_expect(token_refused(&token, first, NOW + 5));
    cr_expect(token_refused(&token, first, NOW + 6), "another call with it");
    cr_expect_eq(ask(NOW + 6), TOKEN_AWAITED);
    come("two", TOKEN_NO_EXPIRY, NOW + 6);
    cr_expect(token_refused(&token, first, NOW + 7), "there is a new one");
    cr_expect_eq(ask(NOW + 7), TOKEN_READY);
    second = use("two", true);
    cr_expect_not(token_refused(&token, second, NOW + 8));
    cr_expect_eq(ask(NOW + 8), TOKEN_READY);
    cr_expect(token_refused(&token, second, NOW + 5 + TOKEN_REFUSAL_MS));
}

Test(token, that_is_none_leaves_the_fetch_to_fail)
{
    ask(NOW);
    token_fetch(&token, NOW);
    cr_expect_eq(token_came(&token, slice_of("a\nb"), 1000, TTL, &err),
                 E_INVALID);
    token_failed(&token, err.msg, 0, NOW);
    cr_expect_eq(ask(NOW), TOKEN_AWAITED);
}

Test(token, keeps_as_much_of_a_reason_as_it_can)
{
    char reason[2 * TOKEN_REASON_BYTES_MAX];

    memset(reason, 'x', sizeof(reason));
    reason[sizeof(reason) - 1] = '\0';
    ask(NOW);
    token_fetch(&token, NOW);
    token_failed(&token, reason, 0, NOW);
    cr_expect_eq(strlen(token.reason), TOKEN_REASON_BYTES_MAX);
}
