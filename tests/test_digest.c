/* SPDX-License-Identifier: MIT */
#include "base/digest.h"

#include <criterion/criterion.h>
#include <string.h>

static void
expect_hmac(struct slice key, const char *data, const char *want)
{
    unsigned char digest[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];

    digest_hmac(key, slice_of(data), digest);
    digest_hex(digest, hex);
    cr_expect_str_eq(hex, want, "got %s want %s", hex, want);
}

Test(digest, goes_on_from_where_another_is_as_often_as_wanted)
{
    struct digest *begun = digest_new(), *digest = digest_new();
    unsigned char want[DIGEST_BYTES], got[DIGEST_BYTES];
    char text[200];

    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i <= sizeof(text); i++) {
        digest_of(text, sizeof(text), want);
        digest_reset(begun);
        digest_add(begun, text, i);
        digest_add(digest, "forgotten", 9);
        for (int again = 0; again < 2; again++) {
            digest_copy(digest, begun);
            digest_add(digest, text + i, sizeof(text) - i);
            digest_final(digest, got);
            cr_expect_arr_eq(got, want, DIGEST_BYTES, "%zu", i);
        }
        digest_final(begun, got);
        digest_of(text, i, want);
        cr_expect_arr_eq(got, want, DIGEST_BYTES, "%zu", i);
        digest_copy(digest, begun);
        digest_final(digest, got);
        digest_of("", 0, want);
        cr_expect_arr_eq(got, want, DIGEST_BYTES, "one that has ended");
    }
    digest_free(begun);
    digest_free(digest);
}

/* RFC 4231, cases 1, 2 and 6. */
Test(digest, makes_the_hmacs_of_the_standard)
{
    char twenty[20], longer[131];

    for (size_t i = 0; i < sizeof(twenty); i++)
        twenty[i] = 0x0b;
    for (size_t i = 0; i < sizeof(longer); i++)
        longer[i] = (char)0xaa;
    expect_hmac((struct slice){ twenty, sizeof(twenty) }, "Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b"
                "881dc200c9833da726e9376c2e32cff7");
    expect_hmac(slice_of("Jefe"), "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c7"
                "5a003f089d2739839dec58b964ec3843");
    expect_hmac((struct slice){ longer, sizeof(longer) },
                "Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f"
                "8e0bc6213728c5140546040f0ee37f54");
}
