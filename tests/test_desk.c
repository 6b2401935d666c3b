/* SPDX-License-Identifier: MIT */
#include "worker/desk.h"

#include <criterion/criterion.h>
#include <string.h>

#include "worker/slots.h"

#define LEASE_MS   60000
#define RUN_MAX_MS 1000000

static struct desk *
fresh(void)
{
    struct desk *desk = desk_new();

    desk_set_lease_ms(desk, LEASE_MS, RUN_MAX_MS);
    return desk;
}

static struct desk_lease *
first_waiting(struct desk *desk)
{
    size_t at = 0;

    return desk_next_waiting(desk, &at);
}

/* Finishes a lease with a body of so many bytes. */
static void
finish(struct desk *desk, struct desk_lease *lease, size_t bytes)
{
    desk_start(desk, lease);
    memset(buf_reserve(&lease->result.body, bytes), 'x', bytes);
    buf_commit(&lease->result.body, bytes);
    desk_finish(desk, lease, 0);
}

Test(desk, extends_no_lease_beyond_what_it_may_last)
{
    struct desk *desk = fresh();
    struct desk_lease *lease = desk_add(desk, 1, 1, 50000, 1000);

    for (int64_t now_ms = 2000; now_ms < 2 * RUN_MAX_MS; now_ms += 5000) {
        desk_beat_sent(desk, now_ms);
        desk_beat_answered(desk, 0);
        cr_expect_leq(lease->deadline_ms, 1000 + RUN_MAX_MS);
    }
    cr_expect_eq(lease->deadline_ms, 1000 + RUN_MAX_MS);
    /* A call that could not end in time is none to be started. */
    cr_expect(desk_has_time(lease, 1000 + RUN_MAX_MS - 50000));
    cr_expect_not(desk_has_time(lease, 1000 + RUN_MAX_MS - 49999));
    cr_expect_eq(desk_next_ended(desk, 1000 + RUN_MAX_MS), lease);
    desk_free(desk);
}

Test(desk, knows_which_calls_the_broker_was_told_of)
{
    struct desk *desk = fresh();
    struct desk_lease *first = desk_add(desk, 1, 1, 0, 0);
    struct desk_lease *second = desk_add(desk, 2, 1, 0, 0);

    desk_start(desk, first);
    cr_expect_not(first->is_told);
    desk_told(desk);
    cr_expect(first->is_told);
    desk_start(desk, second);
    cr_expect_not(second->is_told, "it started since");
    desk_again(desk, first);
    desk_told(desk);
    cr_expect(second->is_told);
    desk_start(desk, first);
    cr_expect_not(first->is_told, "this is another call");
    desk_free(desk);
}

Test(desk, keeps_what_came_until_it_is_judged)
{
    struct desk *desk = fresh();
    struct desk_lease *lease = desk_add(desk, 1, 1, 0, 0);
    struct desk_lease *left = desk_add(desk, 2, 1, 0, 0);
    struct reply *reply = reply_new();

    desk_start(desk, lease);
    desk_start(desk, left);
    buf_add_str(&reply->body, "what came");
    desk_end(desk, lease, reply, 0);
    desk_end(desk, left, reply_new(), 0);
    cr_expect_eq(desk_count(desk, DESK_RUNNING), 0, "its slot is free");
    cr_expect_null(desk_next_ended(desk, LEASE_MS), "it is late for nothing");
    cr_expect_null(desk_next_due(desk, &(size_t){ 0 }, LEASE_MS));
    cr_assert_eq(desk_next_unjudged(desk), lease);
    cr_expect_eq(lease->reply, reply);
    desk_finish(desk, lease, 0);
    cr_expect_null(lease->reply);
    cr_expect_eq(desk_next_due(desk, &(size_t){ 0 }, 0), lease);
    cr_expect_eq(desk_next_unjudged(desk), left);
    desk_free(desk);
}

Test(desk, starts_leases_in_the_order_they_came)
{
    struct desk *desk = fresh();
    struct desk_lease *first = desk_add(desk, 7, 1, 0, 0);
    struct desk_lease *second = desk_add(desk, 3, 1, 0, 0);
    struct desk_lease *third = desk_add(desk, 5, 2, 0, 0);

    cr_expect_eq(first_waiting(desk), first);
    desk_start(desk, first);
    cr_expect_eq(first_waiting(desk), second);
    desk_remove(desk, second);
    cr_expect_eq(first_waiting(desk), third);
    cr_expect_eq(desk_find(desk, 5, 2), third);
    cr_expect_null(desk_find(desk, 5, 1));
    cr_expect_eq(desk_find_live(desk, 7), first);
    cr_expect_eq(desk_at(desk, 1), third);
    cr_expect_null(desk_at(desk, 2));
    cr_expect_eq(desk_count(desk, DESK_RUNNING), 1);
    cr_expect_eq(desk_count(desk, DESK_WAITING), 1);
    cr_expect_eq(desk_size(desk), 2);
    desk_free(desk);
}

Test(desk, walks_over_leases_that_cannot_start_yet)
{
    struct desk *desk = fresh();
    struct desk_lease *first = desk_add(desk, 7, 1, 0, 0);
    struct desk_lease *second = desk_add(desk, 3, 1, 0, 0);
    struct desk_lease *third = desk_add(desk, 5, 2, 0, 0);
    size_t at = 0;

    desk_start(desk, second);
    cr_expect_eq(desk_next_waiting(desk, &at), first);
    cr_expect_eq(desk_next_waiting(desk, &at), third);
    cr_expect_null(desk_next_waiting(desk, &at));
    desk_free(desk);
}

Test(desk, lets_a_call_be_made_again_in_its_place)
{
    struct desk *desk = fresh();
    struct desk_lease *first = desk_add(desk, 7, 1, 0, 0);

    desk_add(desk, 3, 1, 0, 0);
    desk_start(desk, first);
    desk_again(desk, first);
    cr_expect_eq(desk_count(desk, DESK_RUNNING), 0);
    cr_expect_eq(desk_count(desk, DESK_WAITING), 2);
    cr_expect_eq(first_waiting(desk), first);
    desk_free(desk);
}

Test(desk, is_full_at_its_limit_and_not_before)
{
    struct desk *desk = fresh();

    for (int64_t i = 0; i < DESK_LEASES_MAX; i++)
        cr_assert_not_null(desk_add(desk, i, 1, 0, 0));
    cr_expect_null(desk_add(desk, DESK_LEASES_MAX, 1, 0, 0));
    desk_remove(desk, desk_find(desk, 500, 1));
    cr_expect_not_null(desk_add(desk, DESK_LEASES_MAX, 1, 0, 0));
    cr_expect_eq(desk_at(desk, DESK_LEASES_MAX - 1)->request, DESK_LEASES_MAX);
    desk_free(desk);
}

Test(desk, extends_a_lease_from_when_the_answered_beat_was_sent)
{
    struct desk *desk = fresh();
    struct desk_lease *lease = desk_add(desk, 1, 1, 0, 1000);

    cr_expect_eq(lease->deadline_ms, 1000 + LEASE_MS);
    desk_beat_sent(desk, 5000);
    desk_beat_sent(desk, 10000);
    cr_expect_eq(lease->deadline_ms, 1000 + LEASE_MS); /* no answer yet */
    desk_beat_answered(desk, 0);
    cr_expect_eq(lease->deadline_ms, 5000 + LEASE_MS);
    desk_beat_answered(desk, 0);
    cr_expect_eq(lease->deadline_ms, 10000 + LEASE_MS);
    desk_beat_answered(desk, 0); /* an answer to nothing */
    cr_expect_eq(lease->deadline_ms, 10000 + LEASE_MS);
    cr_expect_null(desk_next_ended(desk, 10000 + LEASE_MS - 1));
    cr_expect_eq(desk_next_ended(desk, 10000 + LEASE_MS), lease);
    cr_expect_eq(desk_next_ms(desk), 10000 + LEASE_MS);
    desk_free(desk);
}

Test(desk, does_not_extend_a_lease_that_the_beat_did_not_list)
{
    struct desk *desk = fresh();
    struct desk_lease *lease;

    desk_beat_sent(desk, 5000);
    lease = desk_add(desk, 1, 1, 0, 1000);
    desk_beat_answered(desk, 0);
    cr_expect_eq(lease->deadline_ms, 1000 + LEASE_MS);
    desk_free(desk);
}

/* It lay in the socket while the worker was stopped: the broker may have taken it
 * back long ago, and lent its slot to another one. */
Test(desk, takes_a_lease_that_is_read_late_for_as_old_as_it_may_be)
{
    struct desk *desk = fresh();
    struct desk_lease *late, *adopted;

    desk_beat_sent(desk, 5000);
    desk_beat_answered(desk, 0);
    adopted = desk_add(desk, 1, 1, 0, 6000);
    cr_expect_eq(adopted->deadline_ms, 5000 + LEASE_MS);
    desk_beat_sent(desk, 10000); /* has no answer yet */
    late = desk_add(desk, 2, 1, 2 * LEASE_MS, 5000 + LEASE_MS);
    desk_adopt(desk, adopted, 2, 5000 + LEASE_MS);
    cr_expect_eq(desk_next_ended(desk, 5000 + LEASE_MS), adopted);
    cr_expect_eq(late->deadline_ms, 5000 + 2 * LEASE_MS);
    desk_beat_answered(desk, 0);
    cr_expect_eq(desk_add(desk, 3, 1, 0, 2 * LEASE_MS)->deadline_ms,
                 10000 + LEASE_MS);
    desk_free(desk);
}

Test(desk, takes_no_answer_for_a_beat_of_a_lost_connection)
{
    struct desk *desk = fresh();
    struct desk_lease *lease = desk_add(desk, 1, 1, 0, 0);

    desk_beat_sent(desk, 5000);
    desk_beats_forget(desk);
    desk_beat_sent(desk, 9000);
    desk_beat_answered(desk, 0);
    cr_expect_eq(lease->deadline_ms, 9000 + LEASE_MS);
    desk_beat_answered(desk, 0);
    cr_expect_eq(lease->deadline_ms, 9000 + LEASE_MS);
    desk_free(desk);
}

Test(desk, never_extends_too_far_when_many_beats_are_unanswered)
{
    struct desk *desk = fresh();
    struct desk_lease *lease = desk_add(desk, 1, 1, 0, 0);

    for (int i = 1; i <= 3 * DESK_BEATS_UNANSWERED_MAX; i++)
        desk_beat_sent(desk, i * 1000);
    for (int i = 1; i <= DESK_BEATS_UNANSWERED_MAX; i++) {
        desk_beat_answered(desk, 0);
        cr_expect_eq(lease->deadline_ms, i * 1000 + LEASE_MS);
    }
    desk_beat_answered(desk, 0);
    cr_expect_eq(lease->deadline_ms,
                 DESK_BEATS_UNANSWERED_MAX * 1000 + LEASE_MS);
    desk_free(desk);
}

/* One that found no room in a full store, say. */
Test(desk, takes_no_answer_for_that_to_a_beat_which_has_none)
{
    struct desk *desk = fresh();
    struct desk_lease *lease = desk_add(desk, 1, 1, 0, 0);
    uint64_t first = desk_beat_number(desk), second;

    desk_beat_sent(desk, 5000);
    second = desk_beat_number(desk);
    cr_expect_neq(first, second);
    desk_beat_sent(desk, 10000);
    desk_beat_answered(desk, desk_beat_number(desk)); /* not sent yet */
    cr_expect_eq(lease->deadline_ms, LEASE_MS);
    desk_beat_answered(desk, second);
    cr_expect_eq(lease->deadline_ms, 10000 + LEASE_MS);
    desk_beat_answered(desk, first);
    cr_expect_eq(lease->deadline_ms, 10000 + LEASE_MS);
    desk_beat_sent(desk, 15000);
    desk_beat_answered(desk, 0);
    cr_expect_eq(lease->deadline_ms, 15000 + LEASE_MS);
    desk_free(desk);
}

/* Those that are sent then have no number, and their answers make room. */
Test(desk, knows_beats_again_when_many_were_unanswered)
{
    struct desk *desk = fresh();
    struct desk_lease *lease = desk_add(desk, 1, 1, 0, 0);
    int64_t now_ms = 0;
    uint64_t number;

    while (desk_beat_number(desk) != 0)
        desk_beat_sent(desk, now_ms += 1000);
    desk_beat_sent(desk, now_ms += 1000);
    desk_beat_answered(desk, 0);
    cr_expect_eq(lease->deadline_ms, 1000 + LEASE_MS);
    number = desk_beat_number(desk);
    cr_assert_neq(number, 0);
    desk_beat_sent(desk, now_ms += 1000);
    desk_beat_answered(desk, number);
    cr_expect_eq(lease->deadline_ms, now_ms + LEASE_MS);
    desk_free(desk);
}

Test(desk, lets_a_lease_last_as_long_as_its_call)
{
    struct desk *desk = fresh();
    struct desk_lease *lease = desk_add(desk, 1, 1, 600000, 0);

    cr_expect_null(desk_next_ended(desk, 599999));
    cr_expect_eq(desk_next_ended(desk, 600000), lease);
    desk_free(desk);
}

static struct desk_lease *
first_due(struct desk *desk, int64_t now_ms)
{
    size_t at = 0;

    return desk_next_due(desk, &at, now_ms);
}

Test(desk, never_ends_a_finished_lease_but_offers_its_result_again)
{
    struct desk *desk = fresh();
    struct desk_lease *lease = desk_add(desk, 1, 1, 0, 0);

    finish(desk, lease, 10);
    cr_expect_null(desk_next_ended(desk, 1000 * LEASE_MS));
    cr_expect_eq(first_due(desk, 5), lease);
    desk_sent(lease, 5);
    cr_expect_null(first_due(desk, 5 + DESK_RESEND_MS - 1));
    cr_expect_eq(first_due(desk, 5 + DESK_RESEND_MS), lease);
    cr_expect_eq(desk_next_ms(desk), 5 + DESK_RESEND_MS);
    desk_resend_all(desk);
    cr_expect_eq(first_due(desk, 6), lease);
    for (int i = 1; i < 10; i++)
        desk_sent(lease, 5);
    cr_expect_eq(lease->resend_ms, 5 + DESK_RESEND_MAX_MS);
    desk_put_off(lease, 5);
    cr_expect_eq(lease->resend_ms, 5 + DESK_RESEND_MS);
    cr_expect_eq(lease->times_sent, 10);
    desk_remove(desk, lease);
    cr_expect_null(first_due(desk, INT64_MAX));
    cr_expect_eq(desk_next_ms(desk), DESK_NEVER);
    desk_free(desk);
}

Test(desk, gives_all_results_that_are_due_in_order)
{
    struct desk *desk = fresh();
    struct desk_lease *leases[4];
    size_t at = 0;

    for (int i = 0; i < 4; i++) {
        leases[i] = desk_add(desk, i, 1, 100, 0);
        desk_start(desk, leases[i]);
    }
    for (int i = 3; i >= 0; i--) {
        if (i != 1)
            desk_finish(desk, leases[i], 0);
    }
    desk_sent(leases[2], 0);
    cr_expect_eq(desk_next_due(desk, &at, 1), leases[0]);
    cr_expect_eq(desk_next_due(desk, &at, 1), leases[3],
                 "not one that runs, nor one that was sent");
    cr_expect_null(desk_next_due(desk, &at, 1));
    desk_free(desk);
}

Test(desk, is_fresh_while_results_are_confirmed_soon)
{
    struct desk *desk = fresh();
    struct desk_lease *first = desk_add(desk, 1, 1, 0, 0);
    struct desk_lease *second = desk_add(desk, 2, 1, 0, 0);

    cr_expect(desk_is_fresh(desk, 1000));
    desk_start(desk, first);
    desk_start(desk, second);
    cr_expect(desk_is_fresh(desk, 1000), "they run");
    desk_end(desk, first, reply_new(), 1000);
    cr_expect(desk_is_fresh(desk, 1000 + DESK_HEARD_MS));
    cr_expect_not(desk_is_fresh(desk, 1001 + DESK_HEARD_MS),
                  "it is not judged");
    desk_finish(desk, first, 1010);
    cr_expect_not(desk_is_fresh(desk, 1001 + DESK_HEARD_MS), "nor sent");
    desk_sent(first, 1020);
    cr_expect_not(desk_is_fresh(desk, 1020), "nor confirmed");
    desk_finish(desk, second, 1020);
    desk_keep(desk, first);
    cr_expect(desk_is_fresh(desk, 1020 + DESK_HEARD_MS), "one is kept");
    cr_expect_not(desk_is_fresh(desk, 1021 + DESK_HEARD_MS));
    desk_remove(desk, second);
    cr_expect(desk_is_fresh(desk, 1021 + DESK_HEARD_MS), "it is confirmed");
    desk_free(desk);
}

Test(desk, starts_nothing_while_too_many_results_are_unconfirmed)
{
    struct desk *desk = fresh();
    struct desk_lease *first = NULL, *waiting;

    for (int64_t i = 0; i <= DESK_UNCONFIRMED_MAX; i++) {
        struct desk_lease *lease = desk_add(desk, i, 1, 0, 0);

        first = first ? first : lease;
        cr_assert_not_null(first_waiting(desk), "result %lld", (long long)i);
        finish(desk, lease, 1);
    }
    waiting = desk_add(desk, 1000, 1, 0, 0);
    cr_expect_null(first_waiting(desk));
    desk_remove(desk, first);
    cr_expect_eq(first_waiting(desk), waiting);
    desk_free(desk);
}

Test(desk, starts_nothing_while_unconfirmed_results_are_too_large)
{
    struct desk *desk = fresh();
    struct desk_lease *large = desk_add(desk, 1, 1, 0, 0), *waiting;

    finish(desk, large, DESK_UNCONFIRMED_BYTES);
    waiting = desk_add(desk, 2, 1, 0, 0);
    cr_expect_eq(first_waiting(desk), waiting);
    finish(desk, waiting, 1);
    waiting = desk_add(desk, 3, 1, 0, 0);
    cr_expect_null(first_waiting(desk));
    desk_remove(desk, large);
    cr_expect_eq(first_waiting(desk), waiting);
    desk_free(desk);
}

Test(desk, starts_nothing_while_too_much_waits_to_be_judged)
{
    struct desk *desk = fresh();
    struct desk_lease *large = desk_add(desk, 1, 1, 0, 0), *waiting;
    struct reply *reply = reply_new();

    memset(buf_reserve(&reply->body, DESK_UNCONFIRMED_BYTES), 'x',
           DESK_UNCONFIRMED_BYTES);
    buf_commit(&reply->body, DESK_UNCONFIRMED_BYTES);
    desk_start(desk, large);
    desk_end(desk, large, reply, 0);
    waiting = desk_add(desk, 2, 1, 0, 0);
    cr_expect_eq(first_waiting(desk), waiting);
    buf_add_char(&reply->body, 'x');
    cr_expect_null(first_waiting(desk));
    desk_free(desk);
}

/* What is unconfirmed is counted as it is kept: packed, once it is. */
Test(desk, packs_each_result_once)
{
    struct desk *desk = fresh();
    struct packer *packer = packer_new();
    struct desk_lease *none = desk_add(desk, 1, 1, 0, 0);
    struct desk_lease *large = desk_add(desk, 2, 1, 0, 0);
    struct desk_lease *gone = desk_add(desk, 3, 1, 0, 0);
    struct buf room = { 0 };
    size_t bytes;

    large->result.is_loose = gone->result.is_loose = true;
    finish(desk, none, 5000);
    finish(desk, large, DESK_UNCONFIRMED_BYTES);
    finish(desk, gone, 5000);
    (void)desk_add(desk, 4, 1, 0, 0);
    cr_expect_null(first_waiting(desk));
    desk_remove(desk, gone);
    desk_pack(desk, packer, &room);
    cr_expect_not_null(first_waiting(desk));
    cr_expect_eq(large->result.unpacked_bytes, DESK_UNCONFIRMED_BYTES);
    cr_expect_eq(none->result.body.bytes, 5000, "it had no body of a reply");
    bytes = large->result.body.bytes;
    cr_expect_lt(bytes, DESK_UNCONFIRMED_BYTES / 100);
    desk_pack(desk, packer, &room);
    cr_expect_eq(large->result.body.bytes, bytes);
    desk_remove(desk, large);
    packer_free(packer);
    buf_fini(&room);
    desk_free(desk);
}

Test(desk, keeps_a_running_call_under_a_new_fence)
{
    struct desk *desk = fresh();
    struct desk_lease *lease = desk_add(desk, 1, 1, 0, 0);

    desk_start(desk, lease);
    desk_beat_sent(desk, 1000);
    desk_adopt(desk, lease, 5, 2000);
    cr_expect_null(desk_find(desk, 1, 1));
    cr_expect_eq(desk_find(desk, 1, 5), lease);
    cr_expect_eq(lease->state, DESK_RUNNING);
    cr_expect_eq(lease->deadline_ms, 2000 + LEASE_MS);
    desk_free(desk);
}

Test(desk, holds_a_request_back_while_its_result_is_unconfirmed)
{
    struct desk *desk = fresh();
    struct desk_lease *old = desk_add(desk, 1, 1, 0, 0), *again;

    finish(desk, old, 1);
    cr_expect_null(desk_find_live(desk, 1));
    again = desk_add(desk, 1, 2, 0, 0);
    cr_expect_null(first_waiting(desk));
    desk_remove(desk, old);
    cr_expect_eq(first_waiting(desk), again);
    desk_free(desk);
}

struct slots_step {
    int64_t lend; /* -1: the broker says nothing */
    int64_t in_flight;
    int64_t free, kept;
    bool is_news; /* before it is told */
};

Test(slots, gives_back_only_what_no_call_needs)
{
    static const struct slots_step steps[] = {
        { -1, 0, 0, 0, false }, /* nothing is lent */
        { 3, 0, 3, 3, true },   { -1, 2, 1, 3, false },
        { 3, 2, 1, 3, true }, /* lent again: answered again */
        { -1, 3, 0, 3, false }, { 1, 3, 0, 3, true },
        { -1, 2, 0, 2, true }, /* one has ended: said at once */
        { -1, 2, 0, 2, false }, { -1, 1, 0, 1, true },
        { -1, 0, 1, 1, false }, { 0, 0, 0, 0, true },
        { 9, 0, 5, 5, true }, /* never above the capacity */
    };
    struct slots slots = { .capacity = 5 };

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        const struct slots_step *step = &steps[i];
        int64_t kept;

        if (step->lend >= 0)
            slots_lend(&slots, step->lend, 1);
        kept = slots_kept(&slots, step->in_flight);
        cr_expect_eq(slots_free(&slots, step->in_flight), step->free,
                     "step %zu", i);
        cr_expect_eq(kept, step->kept, "step %zu", i);
        cr_expect_eq(slots_is_news(&slots, step->in_flight), step->is_news,
                     "step %zu", i);
        slots_tell(&slots, kept);
    }
}
