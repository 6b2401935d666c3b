/* SPDX-License-Identifier: MIT */
#include "worker/signature.h"

#include <criterion/criterion.h>
#include <string.h>

/* The example of the Standard Webhooks' own libraries. */
Test(signature, is_that_of_standard_webhooks)
{
    struct buf got = { 0 };

    signature_add(slice_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
                  "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
                  slice_of("{\"test\": 2432232314}"), &got);
    cr_expect(slice_is(buf_slice(&got),
                       "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
              "got %.*s", (int)got.bytes, got.data);
    buf_fini(&got);
}

Test(signature, covers_id_time_and_body)
{
    static const char secret[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    static const struct {
        const char *id;
        int64_t time_s;
        const char *body;
    } all[] = { { "a", 1, "b" },
                { "c", 1, "b" },
                { "a", 2, "b" },
                { "a", 1, "c" },
                { "a", 1, "" } };
    enum { COUNT = sizeof(all) / sizeof(all[0]) };
    struct buf got[COUNT] = { { 0 } };

    for (size_t i = 0; i < COUNT; i++) {
        signature_add(slice_of(secret), all[i].id, all[i].time_s,
                      slice_of(all[i].body), &got[i]);
        for (size_t j = 0; j < i; j++)
            cr_expect_not(slice_equal(buf_slice(&got[i]), buf_slice(&got[j])));
    }
    for (size_t i = 0; i < COUNT; i++)
        buf_fini(&got[i]);
}

Test(signature, refuses_secrets_that_are_none)
{
    static const struct {
        const char *secret, *why;
    } bad[] = {
        { "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "does not begin with whsec_" },
        { "whsec", "does not begin with whsec_" },
        { "whsec_", "is the Base64 of 0 bytes, not of 24 to 64" },
        { "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
          "is not Base64 behind whsec_" },
        { "whsec_c2hvcnQ=", "is the Base64 of 5 bytes, not of 24 to 64" },
    };
    struct err err = { 0 };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_expect_eq(signature_check(slice_of(bad[i].secret), &err), E_INVALID);
        cr_expect_str_eq(err.msg, bad[i].why, "got %s", err.msg);
    }
    cr_expect_eq(signature_check(
                     slice_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), &err),
                 0);
}
