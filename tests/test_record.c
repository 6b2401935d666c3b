/* SPDX-License-Identifier: MIT */
#include "store/record.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct slice
text(const char *str)
{
    return slice_of(str);
}

Test(record, gives_back_what_was_written)
{
    static const uint64_t numbers[] = { 0, 1, 0x0102030405060708, UINT64_MAX };
    struct buf out = { 0 };
    struct record record;
    char bytes[3];

    for (size_t i = 0; i < COUNT(numbers); i++) {
        uint64_t n = numbers[i];
        struct slice str;

        buf_reset(&out);
        record_u8(&out, (uint8_t)n);
        record_u16(&out, (uint16_t)n);
        record_u32(&out, (uint32_t)n);
        record_u64(&out, n);
        record_i64(&out, -(int64_t)(n >> 1));
        record_bytes(&out, "abc", 3);
        record_str(&out, text("text"));
        record_str(&out, (struct slice){ 0 });
        record_seal(&out, 7, text("key"));
        cr_assert_eq(record_open(&record, 7, text("key"), buf_slice(&out)), 0);
        cr_expect_eq(record_get_u8(&record), (uint8_t)n);
        cr_expect_eq(record_get_u16(&record), (uint16_t)n);
        cr_expect_eq(record_get_u32(&record), (uint32_t)n);
        cr_expect_eq(record_get_u64(&record), n);
        cr_expect_eq(record_get_i64(&record), -(int64_t)(n >> 1));
        record_get_bytes(&record, bytes, sizeof(bytes));
        cr_expect(memcmp(bytes, "abc", 3) == 0);
        str = record_get_str(&record);
        cr_expect(slice_is(str, "text"));
        cr_expect_eq(record_get_str(&record).bytes, 0);
        cr_expect_eq(record_end(&record), 0);
    }
    buf_fini(&out);
}

Test(record, writes_big_endian)
{
    static const char want[] = "\x01\x02\x03\x04\xff\xff\xff\xff\xff\xff\xff"
                               "\xfe\x00\x00\x00\x01x";
    struct buf out = { 0 };

    record_u32(&out, 0x01020304);
    record_i64(&out, -2);
    record_str(&out, text("x"));
    cr_assert_eq(out.bytes, sizeof(want) - 1);
    cr_expect(memcmp(out.data, want, out.bytes) == 0);
    buf_fini(&out);
}

Test(record, seal_finds_every_flipped_bit)
{
    struct buf out = { 0 };
    struct record record;

    record_u64(&out, 42);
    record_str(&out, text("some bytes that may rot"));
    record_seal(&out, 3, text("key"));
    for (size_t bit = 0; bit < out.bytes * 8; bit++) {
        out.data[bit / 8] ^= (char)(1 << bit % 8);
        cr_expect_eq(record_open(&record, 3, text("key"), buf_slice(&out)),
                     E_CORRUPT, "bit %zu", bit);
        out.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    cr_expect_eq(record_open(&record, 3, text("key"), buf_slice(&out)), 0);
    buf_fini(&out);
}

Test(record, seal_finds_what_is_not_in_its_place)
{
    struct buf out = { 0 };
    struct record record;

    record_u64(&out, 42);
    record_seal(&out, 3, text("key"));
    cr_expect_eq(record_open(&record, 4, text("key"), buf_slice(&out)),
                 E_CORRUPT);
    cr_expect_eq(record_open(&record, 3, text("kex"), buf_slice(&out)),
                 E_CORRUPT);
    for (size_t bytes = 0; bytes < out.bytes; bytes++) {
        cr_expect_eq(record_open(&record, 3, text("key"),
                                 (struct slice){ out.data, bytes }),
                     E_CORRUPT, "%zu bytes", bytes);
    }
    buf_fini(&out);
}

Test(record, reading_behind_the_end_gives_zeroes_and_is_remembered)
{
    struct record record = { .at = (const unsigned char *)"\x01\x02",
                             .left = 2 };
    unsigned char bytes[2] = { 9, 9 };

    cr_expect_eq(record_get_u32(&record), 0);
    cr_expect_eq(record_end(&record), E_CORRUPT);
    cr_expect_eq(record_get_u8(&record), 0, "nothing is read after that");
    record_get_bytes(&record, bytes, sizeof(bytes));
    cr_expect_eq(bytes[0] + bytes[1], 0);
    cr_expect_eq(record_get_str(&record).bytes, 0);
    cr_expect_eq(record_end(&record), E_CORRUPT);
}

Test(record, string_longer_than_the_record_is_refused)
{
    struct record record = { .at = (const unsigned char *)"\xff\xff\xff\xffxy",
                             .left = 6 };
    struct slice str = record_get_str(&record);

    cr_expect_eq(str.bytes, 0);
    cr_expect_eq(record_end(&record), E_CORRUPT);
}

Test(record, keys_sort_as_their_numbers_do)
{
    static const uint64_t numbers[] = { 0,          1,         255,
                                        256,        65535,     UINT32_MAX,
                                        1ull << 40, INT64_MAX, UINT64_MAX };

    for (size_t i = 0; i + 1 < COUNT(numbers); i++) {
        struct key less = key_u64(key_start(), numbers[i]);
        struct key more = key_u64(key_start(), numbers[i + 1]);

        cr_expect_lt(memcmp(less.bytes, more.bytes, 8), 0);
        cr_expect_eq(key_get_u64(key_slice(&less), 0), numbers[i]);
    }
}

Test(record, keys_are_put_together_in_order)
{
    struct key key = key_u8(key_start(), 0xab);

    key = key_bytes(key_u32(key, 0x01020304), "xy", 2);
    cr_expect_eq(key.count, 7);
    cr_expect(memcmp(key.bytes, "\xab\x01\x02\x03\x04xy", 7) == 0);
    cr_expect_eq(key_get_u32(key_slice(&key), 1), 0x01020304);
}
