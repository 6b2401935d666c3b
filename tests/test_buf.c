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
