/* Parts that were unpacked, and which of them are kept. */
/* SPDX-License-Identifier: MIT */
#include "store/opened.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/err.h"

static struct packer *packer;
static struct opened *opened;
static struct buf packed;

static void
set_up(void)
{
    packer = packer_new();
    opened = opened_new();
}

static void
tear_down(void)
{
    opened_free(opened);
    packer_free(packer);
    buf_fini(&packed);
}

/* The lines of a part, which are its number, often. */
static void
write_lines(uint64_t part, struct buf *lines)
{
    for (int i = 0; i < 500; i++)
        buf_addf(lines, "%llu\n", (unsigned long long)part);
}

static int
add(uint64_t part)
{
    struct buf text = { 0 };
    const struct buf *lines;
    int rc;

    write_lines(part, &text);
    buf_reset(&packed);
    pack_add(packer, buf_slice(&text), &packed);
    rc = opened_add(opened, part, buf_slice(&packed), packer, &lines);
    cr_expect(rc < 0 || slice_equal(buf_slice(lines), buf_slice(&text)));
    buf_fini(&text);
    return rc;
}

static bool
has(uint64_t part)
{
    const struct buf *lines = opened_find(opened, part);
    struct buf want = { 0 };

    write_lines(part, &want);
    cr_expect(!lines || slice_equal(buf_slice(lines), buf_slice(&want)));
    buf_fini(&want);
    return lines != NULL;
}

Test(opened, keeps_those_that_were_wanted_last, .init = set_up,
     .fini = tear_down)
{
    cr_expect_not(has(1));
    for (uint64_t part = 1; part <= OPENED_MAX; part++)
        cr_assert_eq(add(part), 0);
    for (uint64_t part = 1; part <= OPENED_MAX; part++)
        cr_expect(has(part));
    cr_expect(has(1));
    cr_assert_eq(add(100), 0);
    cr_expect(has(1));
    cr_expect_not(has(2));
    cr_expect(has(3));
    cr_expect(has(100));
}

Test(opened, forgets_all, .init = set_up, .fini = tear_down)
{
    cr_assert_eq(add(1), 0);
    cr_assert_eq(add(2), 0);
    opened_reset(opened);
    cr_expect_not(has(1));
    cr_expect_not(has(2));
    cr_assert_eq(add(2), 0);
    cr_expect(has(2));
}

Test(opened, what_cannot_be_unpacked_is_not_kept, .init = set_up,
     .fini = tear_down)
{
    const struct buf *lines;

    cr_expect_eq(opened_add(opened, 1, slice_of("no frame"), packer, &lines),
                 E_CORRUPT);
    cr_assert_eq(add(2), 0);
    packed.bytes /= 2;
    cr_expect_eq(opened_add(opened, 1, buf_slice(&packed), packer, &lines),
                 E_CORRUPT);
    cr_expect_not(has(1));
    cr_expect(has(2));
    cr_assert_eq(add(1), 0);
    cr_expect(has(1));
}

/* A part of one long line takes its place, and gives back what it took. */
Test(opened, memory_of_a_long_line_is_given_back, .init = set_up,
     .fini = tear_down)
{
    struct buf text = { 0 };
    const struct buf *lines;

    for (int i = 0; i < OPENED_KEEP_BYTES; i++)
        buf_add_str(&text, "long ");
    pack_add(packer, buf_slice(&text), &packed);
    cr_assert_eq(opened_add(opened, 1000, buf_slice(&packed), packer, &lines),
                 0);
    cr_expect(slice_equal(buf_slice(lines), buf_slice(&text)));
    cr_expect_gt(lines->capacity, OPENED_KEEP_BYTES);
    for (uint64_t part = 1; part <= 2 * OPENED_MAX; part++) {
        cr_assert_eq(add(part), 0);
        lines = opened_find(opened, part);
        cr_expect_leq(lines->capacity, OPENED_KEEP_BYTES);
    }
    buf_fini(&text);
}
