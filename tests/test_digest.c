/* SPDX-License-Identifier: MIT */
#include "base/digest.h"

#include <criterion/criterion.h>

static void
expect_hmac(struct slice key, const char *data, const char *want)
{
    unsigned char digest[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];

    digest_hmac(key, slice_of(data), digest);
    digest_hex(digest, hex);
    cr_expect_str_eq(hex, want, "got %s want %s", hex, want);
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
