/* SPDX-License-Identifier: MIT */
#include "base/buf.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

Test(buf, adds_numbers_of_every_length)
{
    struct buf got = { 0 };
    char want[32];

    for (uint64_t number = 1; number != 0; number <<= 1) {
        for (uint64_t near = number - 1; near <= number; near++) {
            buf_reset(&got);
            buf_add_u64(&got, near);
            (void)snprintf(want, sizeof(want), "%llu",
                           (unsigned long long)near);
            cr_expect_str_eq(got.data, want, "got %s want %s", got.data, want);
        }
    }
    buf_reset(&got);
    buf_add_str(&got, "n=");
    buf_add_u64(&got, UINT64_MAX);
    cr_expect_str_eq(got.data, "n=18446744073709551615");
    buf_fini(&got);
}

Test(buf, is_cut_at_its_end)
{
    struct buf buf = { 0 };

    buf_cut(&buf, 0);
    buf_add_str(&buf, "abc");
    buf_cut(&buf, 2);
    cr_expect_str_eq(buf.data, "a");
    buf_cut(&buf, 1);
    cr_expect_eq(buf.bytes, 0);
    cr_expect_str_eq(buf.data, "");
    buf_fini(&buf);
}

/* Whether a piece finds room or not; behind each there is a NUL. */
Test(buf, holds_what_was_added_piece_by_piece)
{
    static const char text[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    char want[8192];

    for (size_t step = 0; step < sizeof(text); step++) {
        struct buf buf = { 0 };
        size_t bytes = 0;

        buf_add(&buf, NULL, 0);
        cr_expect_str_eq(buf.data, "");
        while (bytes + sizeof(text) < sizeof(want)) {
            buf_add(&buf, text, step);
            memcpy(want + bytes, text, step);
            buf_add_char(&buf, '.');
            want[bytes + step] = '.';
            bytes += step + 1;
            want[bytes] = '\0';
            cr_assert_eq(buf.bytes, bytes);
            cr_assert_arr_eq(buf.data, want, bytes + 1);
        }
        buf_add_str(&buf, "");
        buf_add_slice(&buf, (struct slice){ 0 });
        cr_expect_str_eq(buf.data, want);
        buf_fini(&buf);
    }
}

/* Else the time to write a text would grow with the square of its length. */
Test(buf, moves_what_is_added_piece_by_piece_seldom)
{
    static const size_t steps[] = { 1, 7, 100, 5000 };
    const size_t bytes_max = 1 << 22;

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct buf buf = { 0 };
        size_t capacity = 0, moved = 0;

        while (buf.bytes + steps[i] < bytes_max) {
            (void)buf_reserve(&buf, steps[i]);
            buf_commit(&buf, steps[i]);
            if (buf.capacity == capacity)
                continue;
            moved += buf.bytes - steps[i];
            capacity = buf.capacity;
        }
        cr_expect_leq(moved, 3 * bytes_max, "in steps of %zu: %zu bytes moved",
                      steps[i], moved);
        buf_fini(&buf);
    }
}

/* Buffers that are kept for the next message have what it needs, and not half as
 * much again. */
Test(buf, has_what_comes_at_once_and_hardly_more)
{
    static const size_t sizes[] = { 100, 1000, 65535, 65536, 1 << 20 };

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct buf buf = { 0 };

        buf_add_str(&buf, "{}");
        buf_reset(&buf);
        (void)buf_reserve(&buf, sizes[i]);
        cr_expect_gt(buf.capacity, sizes[i]);
        cr_expect_leq(buf.capacity, sizes[i] + 32, "%zu bytes for %zu",
                      buf.capacity, sizes[i]);
        buf_commit(&buf, sizes[i]);
        buf_fini(&buf);
    }
}

Test(buf, swaps_contents_and_memory)
{
    struct buf left = { 0 }, right = { 0 };
    const char *data;

    buf_add_str(&left, "left");
    data = left.data;
    buf_swap(&left, &right);
    cr_expect_null(left.data);
    cr_expect_eq(left.bytes, 0);
    cr_expect_str_eq(right.data, "left");
    cr_expect_eq(right.data, data);
    buf_add_str(&left, "new");
    cr_expect_str_eq(left.data, "new");
    buf_fini(&left);
    buf_fini(&right);
}

Test(slice, finds_what_follows_a_name_in_a_whole_line)
{
    struct slice text =
        slice_of("pid 4711\nendpoint ipc://a b\nempty \nhalf 1");

    cr_expect(slice_is(slice_find_line(text, "pid "), "4711"));
    cr_expect(slice_is(slice_find_line(text, "endpoint "), "ipc://a b"));
    cr_expect(slice_is(slice_find_line(text, "empty "), ""));
    cr_expect_eq(slice_find_line(text, "half ").bytes, 0, "it has no end");
    cr_expect_eq(slice_find_line(text, "point ").bytes, 0, "no line begins so");
    cr_expect_eq(slice_find_line((struct slice){ NULL, 0 }, "pid ").bytes, 0);
}
