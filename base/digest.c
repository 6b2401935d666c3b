/* SPDX-License-Identifier: MIT */
/* OpenSSL 3 would have all digests go through EVP. Before its first one that
 * reads the library's configuration and gathers all its algorithms, which takes
 * a command as long as the digest of a whole chunk. */
#define OPENSSL_API_COMPAT 0x10101000L
#include "base/digest.h"

#include <assert.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <xxhash.h>
#ifdef __x86_64__
#include <xxh_x86dispatch.h> /* takes the widest registers that there are */
#endif

#include "base/err.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/mem.h"

struct digest {
    SHA256_CTX sha;
    bool is_running; /* begun, and not ended yet */
};

static void
check(int ok)
{
    if (ok != 1)
        log_fatal("event=digest_failed reason=\"libcrypto refused SHA-256\"");
}

struct digest *
digest_new(void)
{
    return mem_zalloc(1, sizeof(struct digest));
}

void
digest_free(struct digest *digest)
{
    free(digest);
}

static void
begin(struct digest *digest)
{
    if (!digest->is_running)
        check(SHA256_Init(&digest->sha));
    digest->is_running = true;
}

void
digest_add(struct digest *digest, const void *data, size_t bytes)
{
    begin(digest);
    if (bytes)
        check(SHA256_Update(&digest->sha, data, bytes));
}

void
digest_final(struct digest *digest, unsigned char out[DIGEST_BYTES])
{
    begin(digest);
    check(SHA256_Final(out, &digest->sha));
    digest->is_running = false;
}

void
digest_reset(struct digest *digest)
{
    digest->is_running = false;
}

void
digest_copy(struct digest *digest, const struct digest *from)
{
    *digest = *from;
}

void
digest_of(const void *data, size_t bytes, unsigned char out[DIGEST_BYTES])
{
    struct digest digest = { 0 };

    digest_add(&digest, data, bytes);
    digest_final(&digest, out);
}

void
digest_hmac(struct slice key, struct slice data,
            unsigned char out[DIGEST_BYTES])
{
    unsigned bytes = 0;

    assert(key.bytes <= INT_MAX);
    check(HMAC(EVP_sha256(), key.data, (int)key.bytes,
               (const unsigned char *)data.data, data.bytes, out,
               &bytes) != NULL);
    assert(bytes == DIGEST_BYTES);
}

void
digest_hex(const unsigned char digest[DIGEST_BYTES], char hex[DIGEST_HEX_BYTES])
{
    hex_write(digest, DIGEST_BYTES, hex);
}

int
digest_from_hex(const char *hex, size_t bytes,
                unsigned char digest[DIGEST_BYTES])
{
    if (bytes != DIGEST_HEX_BYTES - 1)
        return E_INVALID;
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);

        if (high < 0 || low < 0)
            return E_INVALID;
        digest[i] = (unsigned char)(high << 4 | low);
    }
    return 0;
}

bool
digest_is_same(const unsigned char a[DIGEST_BYTES],
               const unsigned char b[DIGEST_BYTES])
{
    return CRYPTO_memcmp(a, b, DIGEST_BYTES) == 0;
}

uint64_t
digest_xxh(const void *data, size_t bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, bytes, seed);
}
