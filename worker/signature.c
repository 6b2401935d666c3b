/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* explicit_bzero */
#include "worker/signature.h"

#include <assert.h>
#include <string.h>

#include "base/base64.h"
#include "base/digest.h"

static const char prefix[] = "whsec_";

static void
wipe(struct buf *buf)
{
    if (buf->data)
        explicit_bzero(buf->data, buf->bytes);
    buf_fini(buf);
}

/* The key that a secret stands for. */
static int
read_key(struct slice secret, struct buf *key, struct err *err)
{
    const size_t skipped = sizeof(prefix) - 1;

    if (secret.bytes < skipped || memcmp(secret.data, prefix, skipped) != 0)
        return err_set(err, E_INVALID, "does not begin with %s", prefix);
    secret.data += skipped;
    secret.bytes -= skipped;
    /* Room for all at once: growing would leave copies of it behind. */
    buf_reserve(key, secret.bytes + 1);
    if (base64_decode(secret, key) < 0) {
        return err_set(err, E_INVALID, "is not Base64 behind %s", prefix);
    }
    if (key->bytes < SIGNATURE_KEY_BYTES_MIN ||
        key->bytes > SIGNATURE_KEY_BYTES_MAX) {
        return err_set(
            err, E_INVALID, "is the Base64 of %zu bytes, not of %d to %d",
            key->bytes, SIGNATURE_KEY_BYTES_MIN, SIGNATURE_KEY_BYTES_MAX);
    }
    return 0;
}

int
signature_check(struct slice secret, struct err *err)
{
    struct buf key = { 0 };
    int rc = read_key(secret, &key, err);

    wipe(&key);
    return rc;
}

void
signature_add(struct slice secret, const char *id, int64_t time_s,
              struct slice body, struct buf *out)
{
    unsigned char digest[DIGEST_BYTES];
    struct buf key = { 0 }, text = { 0 };
    int rc = read_key(secret, &key, NULL);

    assert(rc == 0);
    (void)rc;
    buf_addf(&text, "%s.%lld.", id, (long long)time_s);
    buf_add_slice(&text, body);
    digest_hmac(buf_slice(&key), buf_slice(&text), digest);
    buf_add_str(out, "v1,");
    base64_add(out, (struct slice){ (const char *)digest, sizeof(digest) });
    wipe(&key);
    buf_fini(&text);
}
