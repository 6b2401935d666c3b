/* SPDX-License-Identifier: MIT */
#include "queue/muster.h"

#include <criterion/criterion.h>

TestSuite(muster, .timeout = 30);

static struct muster muster;

static struct link_peer
peer_of(int number)
{
    return (struct link_peer){ .id = { (unsigned char)number,
                                       (unsigned char)(number >> 8) },
                               .bytes = 2 };
}

static void
write_in(int first, int last)
{
    for (int number = first; number <= last; number++) {
        struct link_peer peer = peer_of(number);

        muster_note(&muster, &peer);
    }
}

static void
commit_of(int first, int last)
{
    write_in(first, last);
    muster_close(&muster, false, 0);
}

/* True if a commit of that client would wait. */
static bool
would_wait(int client)
{
    write_in(client, client);
    return muster_missing(&muster) > 0;
}

Test(muster, a_client_that_is_alone_waits_for_nobody)
{
    for (int i = 0; i < 10; i++) {
        write_in(1, 1);
        write_in(1, 1);
        cr_assert_eq(muster_missing(&muster), 0);
        muster_close(&muster, false, 0);
    }
}

Test(muster, nobody_is_waited_for_before_anything_is_to_be_written)
{
    commit_of(1, 8);
    cr_assert_eq(muster_missing(&muster), 0);
}

Test(muster, those_of_the_last_commit_are_waited_for)
{
    commit_of(1, 8);
    write_in(3, 3);
    cr_assert_eq(muster_missing(&muster), 7);
    write_in(1, 8);
    cr_assert_eq(muster_missing(&muster), 0);
}

Test(muster, two_halves_that_came_by_turns_become_one)
{
    commit_of(1, 4);
    commit_of(5, 8);
    write_in(1, 4);
    cr_assert_eq(muster_missing(&muster), 4);
}

Test(muster, one_that_has_left_is_forgotten_after_two_commits)
{
    commit_of(1, 2);
    commit_of(1, 1);
    write_in(1, 1);
    cr_assert_eq(muster_missing(&muster), 1);
    muster_close(&muster, false, 0);
    write_in(1, 1);
    cr_assert_eq(muster_missing(&muster), 0);
}

Test(muster, commits_that_no_client_writes_in_do_not_count)
{
    commit_of(1, 2);
    for (int i = 0; i < 10; i++)
        muster_close(&muster, false, 0);
    write_in(1, 1);
    cr_assert_eq(muster_missing(&muster), 1);
}

/* Two clients by turns, who never come together. */
Test(muster, waits_in_vain_are_left_out_ever_more)
{
    int turn = 0;

    commit_of(1, 1);
    for (unsigned skips = 1; skips <= MUSTER_SKIP_MAX * 2; skips *= 2) {
        cr_assert(would_wait(turn++ % 2));
        muster_close(&muster, true, 1);
        for (unsigned i = 0; i < skips && i < MUSTER_SKIP_MAX; i++) {
            cr_assert_not(would_wait(turn++ % 2), "%u of %u", i, skips);
            muster_close(&muster, false, 0);
        }
    }
}

Test(muster, a_wait_that_brought_somebody_is_repeated)
{
    commit_of(1, 3);
    cr_assert(would_wait(1));
    muster_close(&muster, true, 1);
    commit_of(1, 3);
    for (int i = 0; i < 10; i++) {
        cr_assert(would_wait(1));
        write_in(2, 2);
        muster_close(&muster, true, 1);
        cr_assert(would_wait(3));
        write_in(1, 1);
        muster_close(&muster, true, 1);
    }
}

Test(muster, more_writers_than_it_knows_do_no_harm)
{
    commit_of(1, MUSTER_WRITERS_MAX + 100);
    write_in(1, MUSTER_WRITERS_MAX + 100);
    cr_assert_eq(muster_missing(&muster), 0);
    cr_assert_eq(muster.count, MUSTER_WRITERS_MAX);
    muster_close(&muster, false, 0);
    commit_of(200, 200);
    commit_of(200, 200);
    commit_of(200, 200);
    commit_of(200, 200);
    cr_assert_eq(muster.count, 1);
}
