/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "store/rows.h"
#include "tests/store_play.h"

TestSuite(store_late, .timeout = 60);

static struct play play;
static uint64_t first, second;

static void
set_up(void)
{
    play_start(&play, PLAY_MEMORY);
    first = play_batch(&play, "k1", "a");
    second = play_batch(&play, "k2", "b");
}

static void
tear_down(void)
{
    play_end(&play);
}

static void
set_tokens(uint64_t id, uint64_t tokens)
{
    struct batch batch;

    cr_assert_eq(store_batch_get(play.store, id, &batch), 0);
    batch.total_tokens = tokens;
    (void)store_batch_put(play.store, &batch, play.now_ms);
}

static uint64_t
tokens_of(uint64_t id)
{
    struct batch batch;

    cr_assert_eq(store_batch_get(play.store, id, &batch), 0);
    return batch.total_tokens;
}

Test(store_late, what_was_put_is_got_before_and_after_the_commit,
     .init = set_up, .fini = tear_down)
{
    play_begin(&play);
    set_tokens(first, 1);
    set_tokens(second, 2);
    set_tokens(first, 3);
    cr_expect_eq(tokens_of(first), 3);
    cr_expect_eq(tokens_of(second), 2);
    play_commit(&play);
    play_begin(&play);
    cr_expect_eq(tokens_of(first), 3);
    cr_expect_eq(tokens_of(second), 2);
    store_abort(play.store);
}

Test(store_late, what_goes_from_batch_to_batch_finds_it, .init = set_up,
     .fini = tear_down)
{
    struct batch batch;

    play_begin(&play);
    set_tokens(second, 2);
    cr_assert_eq(store_batch_after(play.store, first, &batch), 0);
    cr_expect_eq(batch.total_tokens, 2);
    set_tokens(second, 3);
    cr_assert_eq(store_batch_before(play.store, second + 1, &batch), 0);
    cr_expect_eq(batch.total_tokens, 3);
    set_tokens(first, 4);
    cr_assert_eq(store_batch_find(play.store, batch.uuid, &batch), 0);
    store_abort(play.store);
}

Test(store_late, what_is_forgotten_is_not_written_later, .init = set_up,
     .fini = tear_down)
{
    play_begin(&play);
    set_tokens(first, 5);
    store_abort(play.store);
    play_begin(&play);
    cr_expect_eq(tokens_of(first), 0);
    set_tokens(second, 1);
    play_commit(&play);
    play_begin(&play);
    cr_expect_eq(tokens_of(first), 0);
    store_abort(play.store);
}

Test(store_late, a_row_that_is_removed_stays_away, .init = set_up,
     .fini = tear_down)
{
    struct batch batch;

    play_begin(&play);
    set_tokens(first, 5);
    batch_remove(play.store, first);
    cr_expect_eq(store_batch_get(play.store, first, &batch), E_NOTFOUND);
    play_commit(&play);
    play_begin(&play);
    cr_expect_eq(store_batch_get(play.store, first, &batch), E_NOTFOUND);
    store_abort(play.store);
}

/* Alone in its transaction. */
Test(store_late, it_makes_the_transaction_dirty, .init = set_up,
     .fini = tear_down)
{
    play_begin(&play);
    cr_expect_not(store_is_dirty(play.store));
    set_tokens(first, 7);
    cr_expect(store_is_dirty(play.store));
    play_commit(&play);
    play_begin(&play);
    cr_expect_eq(tokens_of(first), 7);
    store_abort(play.store);
}
