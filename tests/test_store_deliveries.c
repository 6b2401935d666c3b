/* Events on their way, as they stand in the store. */
/* SPDX-License-Identifier: MIT */
#include "store/delivery.h"

#include <criterion/criterion.h>
#include <string.h>

#include "store/verify.h"
#include "tests/store_play.h"

TestSuite(store_deliveries, .timeout = 30);

static struct play play;

static void
set_up(void)
{
    play_start(&play, PLAY_LMDB);
}

static void
tear_down(void)
{
    play_check(&play);
    play_end(&play);
}

static void
put_text(char *out, const char *text)
{
    memcpy(out, text, strlen(text) + 1);
}

/* Adds one for a webhook, that is to be tried at a time. */
static uint64_t
add(const char *webhook, int64_t next_ms)
{
    struct delivery delivery = { .type = "batch.completed",
                                 .created_ms = play.now_ms,
                                 .next_ms = next_ms,
                                 .due_ms = next_ms + 1000,
                                 .body = slice_of("{\"id\":\"evt_1\"}") };

    put_text(delivery.webhook, webhook);
    play_begin(&play);
    store_delivery_add(play.store, &delivery);
    play_commit(&play);
    return delivery.id;
}

/* Writes what `change` makes of one. */
static void
alter(uint64_t id, void (*change)(struct delivery *delivery))
{
    struct delivery delivery;

    play_begin(&play);
    cr_assert_eq(store_delivery_get(play.store, id, &delivery), 0);
    change(&delivery);
    store_delivery_put(play.store, &delivery);
    play_commit(&play);
}

/* The one that waits for a webhook first; 0: none. */
static uint64_t
first(const char *webhook)
{
    struct delivery delivery;
    int rc;

    play_begin(&play);
    rc = store_delivery_first(play.store, webhook, &delivery);
    store_abort(play.store);
    return rc == 0 ? delivery.id : 0;
}

static void
give(struct delivery *delivery)
{
    delivery_move(delivery, DELIVERY_GIVEN);
    delivery->attempts = 1;
    delivery->given_ms = 5;
    delivery->due_ms = 77;
}

static void
put_off(struct delivery *delivery)
{
    delivery_move(delivery, DELIVERY_WAITING);
    delivery->next_ms = 9000;
    delivery->due_ms = 9999;
    delivery->failures = 1;
    delivery->http_status = 503;
    put_text(delivery->code, "http_503");
    put_text(delivery->message, "not now");
}

Test(store_deliveries, are_found_in_the_order_of_their_time_by_webhook,
     .init = set_up, .fini = tear_down)
{
    uint64_t late = add("a", 300), early = add("a", 200), other = add("b", 100);

    cr_expect_eq(first("a"), early);
    cr_expect_eq(first("b"), other);
    cr_expect_eq(first("c"), 0);
    alter(early, give);
    cr_expect_eq(first("a"), late, "one that is given does not wait");
    alter(early, put_off);
    cr_expect_eq(first("a"), late);
    alter(late, give);
    cr_expect_eq(first("a"), early);
}

Test(store_deliveries, keep_all_they_have_over_a_restart, .init = set_up,
     .fini = tear_down)
{
    uint64_t id = add("a", 200);
    struct delivery delivery;
    struct timer timer;

    alter(id, give);
    alter(id, put_off);
    play_reopen(&play);
    play_begin(&play);
    cr_assert_eq(store_delivery_get(play.store, id, &delivery), 0);
    cr_expect_eq(delivery.state, DELIVERY_WAITING);
    cr_expect_str_eq(delivery.webhook, "a");
    cr_expect_str_eq(delivery.type, "batch.completed");
    cr_expect_eq(delivery.next_ms, 9000);
    cr_expect_eq(delivery.attempts, 1);
    cr_expect_eq(delivery.failures, 1);
    cr_expect_eq(delivery.http_status, 503);
    cr_expect_str_eq(delivery.code, "http_503");
    cr_expect_str_eq(delivery.message, "not now");
    cr_expect(slice_is(delivery.body, "{\"id\":\"evt_1\"}"));
    cr_assert_eq(store_timer_first(play.store, &timer), 0);
    cr_expect_eq(timer.kind, TIMER_DELIVERY);
    cr_expect_eq(timer.due_ms, 9999, "it has one timer, the newest");
    cr_expect_eq(store_timer_after(play.store, &timer), E_NOTFOUND);
    store_abort(play.store);
    cr_expect_gt(add("a", 1), id, "no number is given out twice");
}

Test(store_deliveries, leave_nothing_when_they_are_removed, .init = set_up,
     .fini = tear_down)
{
    uint64_t id = add("a", 200), kept = add("a", 100);
    struct delivery delivery;
    struct timer timer;

    play_begin(&play);
    cr_expect_eq(store_delivery_count(play.store), 2);
    cr_assert_eq(store_delivery_before(play.store, UINT64_MAX, &delivery), 0);
    cr_expect_eq(delivery.id, kept);
    cr_assert_eq(store_delivery_before(play.store, kept, &delivery), 0);
    cr_expect_eq(delivery.id, id);
    store_delivery_drop(play.store, kept);
    store_delivery_drop(play.store, id);
    store_delivery_drop(play.store, id);
    play_commit(&play);
    play_begin(&play);
    cr_expect_eq(store_delivery_count(play.store), 0);
    cr_expect_eq(store_timer_first(play.store, &timer), E_NOTFOUND);
    cr_expect_eq(store_delivery_after(play.store, 0, &delivery), E_NOTFOUND);
    store_abort(play.store);
    cr_expect_eq(first("a"), 0);
}

Test(store_deliveries, are_there_again_when_a_transaction_is_lost,
     .init = set_up, .fini = tear_down)
{
    uint64_t id = add("a", 200);
    struct delivery delivery;

    play_begin(&play);
    cr_assert_eq(store_delivery_get(play.store, id, &delivery), 0);
    give(&delivery);
    store_delivery_put(play.store, &delivery);
    store_abort(play.store);
    cr_expect_eq(first("a"), id);
}
