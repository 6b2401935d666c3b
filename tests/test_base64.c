/* SPDX-License-Identifier: MIT */
#include "base/base64.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/err.h"

/* RFC 4648, section 10. */
static const struct {
    const char *bytes, *text;
} pairs[] = {
    { "", "" },
    { "f", "Zg==" },
    { "fo", "Zm8=" },
    { "foo", "Zm9v" },
    { "foob", "Zm9vYg==" },
    { "fooba", "Zm9vYmE=" },
    { "foobar", "Zm9vYmFy" },
};

Test(base64, goes_there_and_back)
{
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct buf text = { 0 }, bytes = { 0 };

        base64_add(&text, slice_of(pairs[i].bytes));
        cr_expect(slice_is(buf_slice(&text), pairs[i].text), "got %.*s want %s",
                  (int)text.bytes, text.data, pairs[i].text);
        cr_expect_eq(base64_decode(slice_of(pairs[i].text), &bytes), 0);
        cr_expect(slice_is(buf_slice(&bytes), pairs[i].bytes));
        buf_fini(&text);
        buf_fini(&bytes);
    }
}

Test(base64, keeps_every_byte)
{
    unsigned char all[256];
    struct buf text = { 0 }, bytes = { 0 };

    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (unsigned char)i;
    base64_add(&text, (struct slice){ (const char *)all, sizeof(all) });
    cr_assert_eq(base64_decode(buf_slice(&text), &bytes), 0);
    cr_assert_eq(bytes.bytes, sizeof(all));
    cr_expect_eq(memcmp(bytes.data, all, sizeof(all)), 0);
    buf_fini(&text);
    buf_fini(&bytes);
}

Test(base64, refuses_what_is_none)
{
    static const char *const texts[] = { "Zg",       "Zg=",    "Z===", "====",
                                         "Zh==",     "Zm9=",   "Zm-v", "Zm 9v",
                                         "Zg==Zg==", "Zm9v\n", "=Zm9", "Zm=v" };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct buf bytes = { 0 };

        cr_expect_eq(base64_decode(slice_of(texts[i]), &bytes), E_INVALID,
                     "%s was taken", texts[i]);
        buf_fini(&bytes);
    }
}
