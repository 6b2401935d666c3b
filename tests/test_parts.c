/* Bodies that are cut into parts, and what of these is packed. */
/* SPDX-License-Identifier: MIT */
#include "store/parts.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/err.h"

/* What a part holds at most, unless its first line is longer. */
#define PART_MAX (8 * 4096)

static struct packer *packer;
static struct parts parts;
static struct parts_trial trial;
static struct buf body;

static void
set_up(void)
{
    packer = packer_new();
}

static void
tear_down(void)
{
    parts_fini(&parts);
    packer_free(packer);
    buf_fini(&body);
}

static void
add_text_lines(size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_addf(&body,
                 "{\"id\":\"%zu\",\"text\":\"the %zuth line of a text that "
                 "says little, and says it again\"}\n",
                 i, i * 7919 % 1000);
}

/* By chance, of 64 characters: a fourth of it could go, if at all. */
static void
add_noise_lines(size_t count, size_t bytes)
{
    srand(1);
    for (size_t i = 0; i < count; i++) {
        for (size_t n = 0; n + 1 < bytes; n++)
            buf_add_char(&body, (char)(' ' + rand() % 94));
        buf_add_char(&body, '\n');
    }
}

/* Cuts the body, and puts it together again. How many parts are packed. */
static size_t
cut(void)
{
    struct slice packed, text;
    struct buf out = { 0 }, whole = { 0 };
    size_t at = 0, count = 0;

    parts_cut(&parts, buf_slice(&body), packer, &trial);
    packed = buf_slice(&parts.packed);
    for (size_t i = 0; i < parts.count; i++) {
        const struct part_cut *one = &parts.cuts[i];
        struct slice as_it_is = { body.data + at, one->bytes };

        at += one->bytes;
        cr_assert_leq(at, body.bytes);
        if (one->bytes > 0 && at < body.bytes)
            cr_expect_eq(body.data[at - 1], '\n', "a line is cut in two");
        if (one->packed_bytes == 0) {
            buf_add_slice(&whole, as_it_is);
            continue;
        }
        count++;
        packed.bytes = one->packed_bytes;
        cr_expect_geq(one->bytes, PART_PACK_BYTES_MIN);
        cr_expect_leq(packed.bytes, one->bytes / 4 * 3);
        cr_assert_eq(pack_open(packer, packed, &out, &text), 0);
        cr_expect_eq(text.bytes, one->bytes);
        buf_add_slice(&whole, text);
        packed.data += packed.bytes;
    }
    cr_expect_eq(packed.data, parts.packed.data + parts.packed.bytes);
    cr_expect(slice_equal(buf_slice(&whole), buf_slice(&body)));
    buf_fini(&out);
    buf_fini(&whole);
    return count;
}

Test(parts, body_without_lines_has_an_empty_part, .init = set_up,
     .fini = tear_down)
{
    cr_expect_eq(cut(), 0);
    cr_assert_eq(parts.count, 1);
    cr_expect_eq(parts.cuts[0].bytes, 0);
}

Test(parts, lines_of_text_are_packed_and_whole, .init = set_up,
     .fini = tear_down)
{
    add_text_lines(5000);
    cr_expect_eq(cut(), parts.count);
    cr_expect_geq(parts.count, body.bytes / PART_MAX);
    for (size_t i = 0; i + 1 < parts.count; i++) {
        cr_expect_leq(parts.cuts[i].bytes, PART_MAX);
        cr_expect_geq(parts.cuts[i].bytes, PART_MAX - 1000);
    }
    cr_expect_lt(parts.packed.bytes, body.bytes / 3);
}

Test(parts, what_does_not_get_shorter_is_tried_once, .init = set_up,
     .fini = tear_down)
{
    add_noise_lines(200, 1000);
    add_text_lines(5000);
    cr_expect_eq(cut(), 0);
    cr_expect_gt(parts.count, 10);
}

Test(parts, what_follows_one_that_does_not_is_not_tried, .init = set_up,
     .fini = tear_down)
{
    add_text_lines(1000);
    add_noise_lines(200, 1000);
    add_text_lines(5000);
    cr_expect_geq(cut(), 2);
    cr_expect_eq(parts.cuts[parts.count - 2].packed_bytes, 0);
}

Test(parts, short_ones_stay_as_they_are, .init = set_up, .fini = tear_down)
{
    add_text_lines(20);
    cr_assert_lt(body.bytes, PART_PACK_BYTES_MIN);
    cr_expect_eq(cut(), 0);
    buf_reset(&body);
    add_text_lines(60);
    cr_assert_geq(body.bytes, PART_PACK_BYTES_MIN);
    cr_expect_eq(cut(), 1);
}

Test(parts, line_that_is_longer_has_one_of_its_own, .init = set_up,
     .fini = tear_down)
{
    add_text_lines(1);
    for (size_t i = 0; i < 10000; i++)
        buf_addf(&body, "word %zu ", i);
    buf_add_char(&body, '\n');
    add_text_lines(1);
    cr_expect_eq(cut(), 1);
    cr_assert_eq(parts.count, 3);
    cr_expect_gt(parts.cuts[1].bytes, PART_MAX);
    cr_expect_gt(parts.cuts[1].packed_bytes, 0);
}

Test(parts, without_a_packer_nothing_is_packed, .fini = tear_down)
{
    add_text_lines(1000);
    cr_expect_eq(cut(), 0);
    cr_expect_eq(parts.packed.bytes, 0);
}

/* The second body is no longer than the first, and none of that is left. */
Test(parts, cut_anew_they_are_of_the_new_body, .init = set_up,
     .fini = tear_down)
{
    add_text_lines(5000);
    cut();
    buf_reset(&body);
    add_text_lines(1000);
    cut();
    parts_reset(&parts);
    cr_expect_eq(parts.count, 0);
    cr_expect_eq(parts.packed.bytes, 0);
}

/* Text behind so many bodies that do not get shorter. */
Test(parts, kind_that_gets_no_shorter_is_tried_ever_more_rarely, .init = set_up,
     .fini = tear_down)
{
    int untried = 0, most = 0;

    add_noise_lines(20, 1000);
    for (int i = 0; i < 1000; i++) {
        cr_assert_eq(cut(), 0);
        most = trial.left > (uint32_t)most ? (int)trial.left : most;
        untried += trial.left < trial.pause;
    }
    cr_expect_eq(most, PARTS_PAUSE_MAX);
    cr_expect_geq(untried, 960);
    buf_reset(&body);
    add_text_lines(100);
    for (untried = 0; cut() == 0; untried++)
        cr_assert_leq(untried, PARTS_PAUSE_MAX);
    for (int i = 0; i < 10; i++)
        cr_expect_eq(cut(), 1);
}

Test(parts, short_bodies_tell_nothing_of_their_kind, .init = set_up,
     .fini = tear_down)
{
    struct parts_trial before;

    add_noise_lines(20, 1000);
    cr_expect_eq(cut(), 0);
    before = trial;
    cr_expect_eq(before.left, PARTS_PAUSE_MIN);
    buf_reset(&body);
    add_text_lines(20);
    cr_expect_eq(cut(), 0);
    cr_expect_eq(trial.left, before.left);
    cr_expect_eq(trial.pause, before.pause);
}
