/* SPDX-License-Identifier: MIT */
#include "store/keyentry.h"

#include <criterion/criterion.h>
#include <stdlib.h>

TestSuite(keyentry, .timeout = 60);

#define PREFIXES 400 /* that entries of a history choose from */
#define ROUNDS   2000
#define NEWER    60 /* that a merge brings, at most */

/* A request for each prefix that may have one. */
struct model {
    bool is_there[PREFIXES];
    uint64_t requests[PREFIXES];
};

static uint64_t
prefix_of(size_t i)
{
    return key_entry_first(5) + (uint64_t)i * 1000003;
}

static struct buf
row_of(const struct model *model)
{
    struct buf row = { 0 };

    for (size_t i = 0; i < PREFIXES; i++) {
        if (model->is_there[i])
            key_entry_put(
                &row, (struct key_entry){ prefix_of(i), model->requests[i] });
    }
    return row;
}

/* What a merge brings: some prefixes that stand alone and some in a run, each third
 * of them removed. */
static void
draw(struct model *newer)
{
    size_t count = (size_t)rand() % NEWER, at = (size_t)rand() % PREFIXES;

    *newer = (struct model){ 0 };
    for (size_t i = 0; i < count; i++) {
        at = rand() % 3 ? (size_t)rand() % PREFIXES : (at + 1) % PREFIXES;
        newer->is_there[at] = true;
        newer->requests[at] = rand() % 3 ? (uint64_t)rand() + 1 : 0;
    }
}

/* The same, entry by entry. */
static void
merge(struct model *model, const struct model *newer, bool with_removed)
{
    for (size_t i = 0; i < PREFIXES; i++) {
        if (!newer->is_there[i])
            continue;
        model->requests[i] = newer->requests[i];
        model->is_there[i] = with_removed || newer->requests[i] != 0;
    }
}

static void
agree(bool with_removed)
{
    static struct model model, newer;
    size_t most = 0;

    srand(1);
    for (int round = 0; round < ROUNDS; round++) {
        struct buf older_row, newer_row, want, got = { 0 };

        if (round % 100 == 0)
            model = (struct model){ 0 };
        draw(&newer);
        older_row = row_of(&model);
        newer_row = row_of(&newer);
        key_entry_merge(&got, buf_slice(&older_row), buf_slice(&newer_row),
                        with_removed);
        merge(&model, &newer, with_removed);
        want = row_of(&model);
        cr_assert(slice_equal(buf_slice(&got), buf_slice(&want)),
                  "round %d: %zu bytes, not %zu", round, got.bytes, want.bytes);
        if (key_entry_count(buf_slice(&got)) > most)
            most = key_entry_count(buf_slice(&got));
        buf_fini(&older_row);
        buf_fini(&newer_row);
        buf_fini(&want);
        buf_fini(&got);
    }
    cr_expect_gt(most, PREFIXES / 2, "the rows had few entries");
}

Test(keyentry, merges_rows_by_runs_as_entry_by_entry)
{
    agree(true);
}

Test(keyentry, leaves_out_what_a_merge_removes)
{
    agree(false);
}

Test(keyentry, cuts_a_row_and_finds_what_is_in_it)
{
    static struct model model;
    struct buf row;
    struct slice part;
    uint64_t request = 0;

    for (size_t i = 0; i < PREFIXES; i += 2) {
        model.is_there[i] = true;
        model.requests[i] = i + 1;
    }
    row = row_of(&model);
    cr_assert_eq(key_entry_count(buf_slice(&row)), PREFIXES / 2);
    part = key_entry_cut(buf_slice(&row), 10, 20);
    cr_assert_eq(key_entry_count(part), 10);
    cr_expect_eq(key_entry_prefix_at(part, 0), prefix_of(20));
    cr_expect_eq(key_entry_prefix_at(part, 9), prefix_of(38));
    cr_expect(key_entry_find(part, prefix_of(38), &request));
    cr_expect_eq(request, 39);
    cr_expect_not(key_entry_find(part, prefix_of(18), &request));
    cr_expect_not(key_entry_find(part, prefix_of(25), &request));
    cr_expect_not(key_entry_find(part, prefix_of(40), &request));
    buf_fini(&row);
}
