/*
 * digest.h - SHA-256 for identity, XXH3 for damage
 *
 * SHA-256 (libcrypto) names things: request keys, chunk digests, client keys;
 * and, with a key, signs what goes to webhooks.
 * XXH3 (xxHash) finds damage in records and chooses slots in tables; it is
 * fast and proves nothing against an adversary.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define DIGEST_BYTES     32
#define DIGEST_HEX_BYTES (2 * DIGEST_BYTES + 1) /* with its NUL */

struct digest; /* a running SHA-256 */

/* A running digest; freed with digest_free(). Reusable: behind digest_final() it
 * begins anew. */
struct digest *digest_new(void);
void digest_free(struct digest *digest);

/* Adds bytes. */
void digest_add(struct digest *digest, const void *data, size_t bytes);

/* Writes the digest of all that was added since the last digest_final(). */
void digest_final(struct digest *digest, unsigned char out[DIGEST_BYTES]);

/* Forgets what was added. */
void digest_reset(struct digest *digest);

/* Lets a digest go on from where another is, which stays as it is: for many that
 * begin with the same bytes. What was added before is forgotten. */
void digest_copy(struct digest *digest, const struct digest *from);

/* The digest of one piece of memory. */
void digest_of(const void *data, size_t bytes, unsigned char out[DIGEST_BYTES]);

/* HMAC with SHA-256: what only somebody with the key can say of some bytes. */
void digest_hmac(struct slice key, struct slice data,
                 unsigned char out[DIGEST_BYTES]);

/* Lower-case hexadecimal of a digest, with a NUL. */
void digest_hex(const unsigned char digest[DIGEST_BYTES],
                char hex[DIGEST_HEX_BYTES]);

/* A digest from 64 hexadecimal characters. 0 or E_INVALID. */
int digest_from_hex(const char *hex, size_t bytes,
                    unsigned char digest[DIGEST_BYTES]);

/* True if they are the same; takes as long if they are not, wherever they
 * differ. */
bool digest_is_same(const unsigned char a[DIGEST_BYTES],
                    const unsigned char b[DIGEST_BYTES]);

/* XXH3 of one piece of memory, with a seed. */
uint64_t digest_xxh(const void *data, size_t bytes, uint64_t seed);

#endif
