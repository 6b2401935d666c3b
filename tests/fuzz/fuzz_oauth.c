/*
 * fuzz_oauth.c - a token server's reply of any bytes
 *
 * The first byte chooses the status. Whatever comes, there is a token that can
 * stand in a header and a time that is in range, or a reason that is UTF-8 and
 * no token.
 */
/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/utf8.h"
#include "worker/oauth.h"

#define NOW_MS INT64_C(1792567620000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void
check_token(const struct oauth_grant *grant)
{
    struct slice token = secret_peek(&grant->token);

    assert(token.bytes > 0);
    assert(token.bytes <= SECRET_BYTES_MAX);
    for (size_t i = 0; i < token.bytes; i++) {
        unsigned char c = (unsigned char)token.data[i];

        assert(c >= 0x20);
        assert(c != 0x7f);
    }
    assert(grant->expires_ms == TOKEN_NO_EXPIRY || grant->expires_ms >= 1000);
    assert(grant->expires_ms <= 1000 * OAUTH_EXPIRES_S_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const int statuses[] = { 200, 200, 400, 503 };
    struct reply reply = { .end = REPLY_COMPLETE };
    struct oauth_grant grant;
    struct err err = { 0 };

    if (bytes == 0)
        return 0;
    reply.http_status = statuses[data[0] % 4];
    buf_add(&reply.body, data + 1, bytes - 1);
    if (oauth_read(&reply, NOW_MS, &grant, &err) == 0) {
        check_token(&grant);
        assert(reply.http_status == 200);
    } else {
        assert(grant.token.bytes == 0);
        assert(err.msg[0]);
        assert(utf8_is_valid(slice_of(err.msg)));
        assert(grant.wait_ms >= 0);
    }
    secret_fini(&grant.token);
    buf_fini(&reply.body);
    return 0;
}
