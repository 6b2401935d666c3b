/* SPDX-License-Identifier: MIT */
#include "queue/group.h"

#include <criterion/criterion.h>

static struct conf conf;
static struct groups *groups;
static uint64_t last_number;

static void
set_up(void)
{
    conf_init(&conf);
    groups = groups_new(&conf);
}

static void
tear_down(void)
{
    groups_free(groups);
    groups_free(NULL);
    conf_fini(&conf);
}

/* Places a member as the broker does. */
static struct place
put(uint64_t tag, uint64_t batch, size_t chars, int64_t now_ms)
{
    struct group_member member = { .tag = tag, .batch = batch, .chars = chars };
    struct place place;

    if (!groups_join(groups, &member, now_ms, &place))
        place = groups_open(groups, &member, ++last_number, now_ms);
    return place;
}

Test(group, stays_below_its_characters, .init = set_up, .fini = tear_down)
{
    struct place first = put(1, 1, 1000, 0);

    cr_expect_eq(put(1, 1, 2000, 0).group, first.group);
    cr_expect_neq(put(1, 1, 1000, 0).group, first.group, "4000 is too many");
    groups_reset(groups);
    first = put(1, 1, 1000, 0);
    cr_expect_eq(put(1, 1, 2999, 0).group, first.group);
    cr_expect_neq(put(1, 1, 1, 0).group, first.group);
}

Test(group, of_a_kind_follow_one_another_in_a_batch, .init = set_up,
     .fini = tear_down)
{
    struct place a = put(1, 1, 3000, 0), b = put(2, 1, 3000, 0);
    struct place next_a = put(1, 1, 3000, 0), next_b = put(2, 1, 3000, 0);

    cr_expect_eq(a.lead, a.group);
    cr_expect_neq(next_a.group, a.group);
    cr_expect_eq(next_a.lead, a.lead);
    cr_expect_eq(next_b.lead, b.lead);
    cr_expect_neq(a.lead, b.lead);
    /* Of another batch, it begins a run of its own. */
    cr_expect_neq(put(1, 2, 3000, 0).lead, a.lead);
}

Test(group, takes_other_batches_within_its_window, .init = set_up,
     .fini = tear_down)
{
    int64_t window_ms = conf.group_window_ms;
    struct place first = put(1, 1, 10, 1000);

    cr_expect_eq(put(1, 2, 10, 1000 + window_ms - 1).group, first.group);
    /* The batch that opened it goes on: it may take long to be uploaded. */
    cr_expect_eq(put(1, 1, 10, 1000 + window_ms * 9).group, first.group);
    cr_expect_neq(put(1, 2, 10, 1000 + window_ms).group, first.group);
}

Test(group, is_held_until_its_window_is_over_or_another_follows, .init = set_up,
     .fini = tear_down)
{
    int64_t window_ms = conf.group_window_ms;
    struct place first = put(1, 1, 10, 1000), second;

    cr_expect_eq(groups_held_until(groups, first.group, 1000),
                 1000 + window_ms);
    cr_expect_eq(groups_held_until(groups, first.group, 1000 + window_ms - 1),
                 1000 + window_ms);
    cr_expect_eq(groups_held_until(groups, first.group, 1000 + window_ms), 0);
    cr_expect_eq(groups_held_until(groups, 4711, 1000), 0);
    second = put(1, 1, 3995, 1100);
    cr_expect_eq(groups_held_until(groups, first.group, 1100), 0);
    /* One that follows a full one of its batch goes with it. */
    cr_expect_eq(groups_held_until(groups, second.group, 1100), 0);
    second = put(2, 1, 10, 1100);
    cr_expect_eq(groups_held_until(groups, second.group, 1100),
                 1100 + window_ms);
    groups_reset(groups);
    cr_expect_eq(groups_held_until(groups, second.group, 1100), 0);
}

Test(group, a_long_member_goes_alone, .init = set_up, .fini = tear_down)
{
    struct place before = put(1, 1, 10, 0), alone = put(1, 1, 4000, 0);

    cr_expect_neq(alone.group, before.group);
    cr_expect_eq(alone.lead, before.lead);
    cr_expect_eq(groups_held_until(groups, alone.group, 0), 0);
    cr_expect_eq(put(1, 1, 10, 0).group, before.group, "the others go on");
    cr_expect_neq(put(1, 2, 5000, 0).group, put(1, 2, 5000, 0).group);
}

Test(group, knows_the_batches_that_joined, .init = set_up, .fini = tear_down)
{
    struct place place = put(1, 50, 1, 0);

    cr_expect_eq(groups_next_batch(groups, place.group, 50, 0), 0);
    put(1, 70, 1, 0);
    put(1, 20, 1, 0);
    put(1, 70, 1, 0);
    cr_expect_eq(groups_next_batch(groups, place.group, 50, 0), 20);
    cr_expect_eq(groups_next_batch(groups, place.group, 50, 20), 70);
    cr_expect_eq(groups_next_batch(groups, place.group, 50, 70), 0);
    cr_expect_eq(groups_next_batch(groups, place.group, 70, 20), 50);
    cr_expect_eq(groups_next_batch(groups, 4711, 50, 0), 0);
    /* As many as there is room for; then another group. */
    for (uint64_t batch = 100; batch < 113; batch++)
        cr_expect_eq(put(1, batch, 1, 0).group, place.group);
    cr_expect_neq(put(1, 200, 1, 0).group, place.group);
}

Test(group, the_oldest_makes_room, .init = set_up, .fini = tear_down)
{
    struct place first, last;

    conf.groups_open_max = 3;
    groups_free(groups);
    groups = groups_new(&conf);
    first = put(1, 1, 1, 0);
    for (uint64_t tag = 2; tag <= 4; tag++)
        last = put(tag, 1, 1, 0);
    cr_expect_eq(groups_held_until(groups, first.group, 0), 0);
    cr_expect_neq(groups_held_until(groups, last.group, 0), 0);
    cr_expect_neq(put(1, 1, 1, 0).group, first.group);
}

/* Somebody waits for its answer: it is held by no window, and holds up none. */
Test(group, a_member_that_is_to_go_alone_waits_for_none, .init = set_up,
     .fini = tear_down)
{
    struct group_member member = {
        .tag = 1, .batch = 2, .chars = 10, .is_alone = true
    };
    struct place first = put(1, 1, 10, 0), place;

    cr_expect(!groups_join(groups, &member, 0, &place));
    place = groups_open(groups, &member, ++last_number, 0);
    cr_expect_eq(place.lead, place.group);
    cr_expect_eq(groups_held_until(groups, place.group, 0), 0);
    cr_expect_gt(groups_held_until(groups, first.group, 0), 0);
    cr_expect_eq(put(1, 1, 10, 0).group, first.group, "it takes more");
}
