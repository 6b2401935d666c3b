/* SPDX-License-Identifier: MIT */
#include "base/buf.h"

#include <criterion/criterion.h>
#include <stdio.h>

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
