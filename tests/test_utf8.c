/* SPDX-License-Identifier: MIT */
#include "base/utf8.h"
#include "tests/ragged_text.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <unicode/ustring.h>

Test(utf8, utf8_is_told_from_what_is_none)
{
    static const struct {
        const char *text;
        bool want;
        size_t count;
    } cases[] = {
        { "", true, 0 },
        { "abc", true, 3 },
        { "Müller 北京 😀", true, 11 },
        { "\xF4\x8F\xBF\xBF", true, 1 },  /* U+10FFFF */
        { "\xF4\x90\x80\x80", false, 4 }, /* above it */
        { "\xED\xA0\x80", false, 3 },     /* a surrogate */
        { "\xC0\x80", false, 2 },         /* overlong */
        { "\xE0\x80\x80", false, 3 },     /* overlong */
        { "\xE2\x82", false, 1 },         /* cut off */
        { "\xF0\x9F\x98x", false, 2 },    /* cut off, then more */
        { "\x80", false, 1 },
        { "\xFF\xFF", false, 2 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct slice text = slice_of(cases[i].text);

        cr_expect_eq(utf8_is_valid(text), cases[i].want, "case %zu", i);
        cr_expect_eq(utf8_count(text), cases[i].count, "case %zu: got %zu", i,
                     utf8_count(text));
    }
}

Test(utf8, code_points_agree_with_the_library)
{
    char bytes[24];

    srand(1);
    for (int round = 0; round < 20000; round++) {
        struct slice text = ragged_text(bytes, sizeof(bytes)), rest = text;
        UChar units[64];
        UChar32 want[64];
        int32_t count = 0, at = 0, c, last = UTF8_END;
        UErrorCode status = U_ZERO_ERROR;

        u_strFromUTF8WithSub(units, 64, &count, text.data, (int32_t)text.bytes,
                             0xFFFD, NULL, &status);
        u_strToUTF32(want, 64, &count, units, count, &status);
        cr_assert(U_SUCCESS(status));
        for (; (c = utf8_next(&rest)) != UTF8_END; at++) {
            cr_assert_lt(at, count);
            cr_assert_eq(c, want[at], "round %d: got %x, want %x", round,
                         (unsigned)c, (unsigned)want[at]);
            last = c;
        }
        cr_assert_eq(at, count);
        cr_assert_eq(utf8_last(text), last, "round %d", round);
    }
}

Test(utf8, code_points_survive_a_round_trip)
{
    struct buf buf = { 0 };

    for (int32_t c = 0; c <= 0x10FFFF; c++) {
        if (c >= 0xD800 && c <= 0xDFFF)
            continue;
        buf_reset(&buf);
        utf8_add(&buf, c);
        cr_assert(utf8_is_valid(buf_slice(&buf)));
        cr_assert_eq(utf8_first(buf_slice(&buf)), c);
        cr_assert_eq(utf8_last(buf_slice(&buf)), c);
    }
    buf_fini(&buf);
}

Test(utf8, cuts_split_no_code_point)
{
    struct slice text = slice_of("aé北😀z"); /* 1, 2, 3, 4 and 1 bytes */
    static const size_t want[] = { 0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11 };

    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        struct slice cut = utf8_cut(text, i);

        cr_expect_eq(cut.bytes, want[i], "%zu: got %zu", i, cut.bytes);
    }
    cr_assert_eq(utf8_cut(slice_of("\x80\x80\x80\x80\x80"), 3).bytes, 3);
}
