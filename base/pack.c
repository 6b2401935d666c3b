/* SPDX-License-Identifier: MIT */
#include "base/pack.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

/* The next level gains one part in a hundred of a reply, and takes a third
 * longer. */
#define LEVEL 1
/* 128 KiB: all of a reply but for the longest, of which memory is bounded. */
#define WINDOW_LOG 17

static const unsigned char magic[] = { 0x28, 0xb5, 0x2f, 0xfd };

struct packer {
    ZSTD_CCtx *pack;
    ZSTD_DCtx *unpack;
};

struct packer *
packer_new(void)
{
    return mem_zalloc(1, sizeof(struct packer));
}

void
packer_free(struct packer *packer)
{
    if (!packer)
        return;
    ZSTD_freeCCtx(packer->pack); /* NULL is fine */
    ZSTD_freeDCtx(packer->unpack);
    free(packer);
}

static bool
is_packed(struct slice text)
{
    return text.bytes >= sizeof(magic) &&
           memcmp(text.data, magic, sizeof(magic)) == 0;
}

static void
check(size_t rc)
{
    if (ZSTD_isError(rc))
        log_fatal("event=zstd_failed reason=\"%s\"", ZSTD_getErrorName(rc));
}

static ZSTD_CCtx *
open_pack(struct packer *packer)
{
    if (packer->pack)
        return packer->pack;
    packer->pack = ZSTD_createCCtx();
    if (!packer->pack)
        log_fatal("event=zstd_failed reason=\"no context\"");
    check(ZSTD_CCtx_setParameter(packer->pack, ZSTD_c_compressionLevel, LEVEL));
    check(ZSTD_CCtx_setParameter(packer->pack, ZSTD_c_windowLog, WINDOW_LOG));
    return packer->pack;
}

void
pack_add(struct packer *packer, struct slice text, struct buf *out)
{
    size_t room, bytes;

    if (text.bytes < PACK_BYTES_MIN && !is_packed(text)) {
        buf_add_slice(out, text);
        return;
    }
    room = ZSTD_compressBound(text.bytes);
    bytes = ZSTD_compress2(open_pack(packer), buf_reserve(out, room), room,
                           text.data, text.bytes);
    check(bytes);
    if (bytes < text.bytes || is_packed(text))
        buf_commit(out, bytes);
    else
        buf_add_slice(out, text);
}

int64_t
pack_bytes(struct slice packed)
{
    unsigned long long bytes;

    if (!is_packed(packed))
        return -1;
    bytes = ZSTD_getFrameContentSize(packed.data, packed.bytes);
    /* Its errors are above, too. */
    return bytes > PACK_BYTES_MAX ? -1 : (int64_t)bytes;
}

int
pack_open(struct packer *packer, struct slice packed, struct buf *out,
          struct slice *text)
{
    int64_t bytes = pack_bytes(packed);
    size_t got;

    if (!is_packed(packed)) {
        *text = packed;
        return 0;
    }
    if (bytes < 0)
        return E_CORRUPT;
    if (!packer->unpack)
        packer->unpack = ZSTD_createDCtx();
    if (!packer->unpack)
        log_fatal("event=zstd_failed reason=\"no context\"");
    buf_reset(out);
    got = ZSTD_decompressDCtx(packer->unpack, buf_reserve(out, (size_t)bytes),
                              (size_t)bytes, packed.data, packed.bytes);
    if (ZSTD_isError(got) || got != (size_t)bytes)
        return E_CORRUPT;
    buf_commit(out, got);
    *text = buf_slice(out);
    return 0;
}
