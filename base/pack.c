/* SPDX-License-Identifier: MIT */
#include "base/pack.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/pack_dictionary.h"

/* The next level gains one part in a hundred of a reply, and takes a third
 * longer. */
#define LEVEL 1
/* 128 KiB: all of a reply but for the longest, of which memory is bounded. */
#define WINDOW_LOG 17
/* A longer text teaches itself what the dictionary knows: it would get a twentieth
 * shorter, and take half as long again. */
#define DICTIONARY_TEXT_MAX 4096
/* Places for what was seen, of the dictionary and of a text as long: with the
 * level's own 2^14 packed texts are as long, but the 64 KiB have to be fetched
 * from memory whenever some time has passed, which is most of what it takes then
 * (28 us instead of 21; 5 right after another one). */
#define DICTIONARY_HASH_LOG 12

static const unsigned char magic[] = { 0x28, 0xb5, 0x2f, 0xfd };

struct packer {
    ZSTD_CCtx *pack;
    ZSTD_CCtx *pack_known; /* has the dictionary */
    ZSTD_DCtx *unpack;
    ZSTD_DDict *unpack_known;
    bool has_dictionary; /* for packing */
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
    ZSTD_freeCCtx(packer->pack_known);
    ZSTD_freeDCtx(packer->unpack);
    ZSTD_freeDDict(packer->unpack_known);
    free(packer);
}

void
packer_set_dictionary(struct packer *packer, int64_t number)
{
    packer->has_dictionary = number == PACK_DICTIONARY;
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

/* There is no memory: the end of the process, as for mem.h. */
static void
must(const void *made)
{
    if (!made)
        log_fatal("event=zstd_failed reason=\"no context\"");
}

static ZSTD_CCtx *
new_pack(void)
{
    ZSTD_CCtx *pack = ZSTD_createCCtx();

    must(pack);
    check(ZSTD_CCtx_setParameter(pack, ZSTD_c_compressionLevel, LEVEL));
    check(ZSTD_CCtx_setParameter(pack, ZSTD_c_windowLog, WINDOW_LOG));
    return pack;
}

static ZSTD_CCtx *
new_pack_known(void)
{
    ZSTD_CCtx *pack = new_pack();

    check(ZSTD_CCtx_setParameter(pack, ZSTD_c_hashLog, DICTIONARY_HASH_LOG));
    check(
        ZSTD_CCtx_loadDictionary(pack, pack_dictionary, PACK_DICTIONARY_BYTES));
    return pack;
}

/* What packs a text of that length. */
static ZSTD_CCtx *
open_pack(struct packer *packer, size_t bytes)
{
    bool is_known = packer->has_dictionary && bytes <= DICTIONARY_TEXT_MAX;

    if (is_known && !packer->pack_known)
        packer->pack_known = new_pack_known();
    if (!is_known && !packer->pack)
        packer->pack = new_pack();
    return is_known ? packer->pack_known : packer->pack;
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
    bytes = ZSTD_compress2(open_pack(packer, text.bytes),
                           buf_reserve(out, room), room, text.data, text.bytes);
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

/* What opens a frame, and the dictionary that it names: NULL for none. False: it
 * names another one. */
static bool
open_unpack(struct packer *packer, struct slice packed, ZSTD_DDict **known)
{
    unsigned number = ZSTD_getDictID_fromFrame(packed.data, packed.bytes);

    *known = NULL;
    if (number != 0 && number != PACK_DICTIONARY)
        return false;
    if (!packer->unpack) {
        packer->unpack = ZSTD_createDCtx();
        must(packer->unpack);
    }
    if (number != 0 && !packer->unpack_known) {
        packer->unpack_known =
            ZSTD_createDDict(pack_dictionary, PACK_DICTIONARY_BYTES);
        must(packer->unpack_known);
    }
    if (number != 0)
        *known = packer->unpack_known;
    return true;
}

int
pack_open(struct packer *packer, struct slice packed, struct buf *out,
          struct slice *text)
{
    int64_t bytes = pack_bytes(packed);
    ZSTD_DDict *known;
    size_t got;

    if (!is_packed(packed)) {
        *text = packed;
        return 0;
    }
    if (bytes < 0 || !open_unpack(packer, packed, &known))
        return E_CORRUPT;
    buf_reset(out);
    got = ZSTD_decompress_usingDDict(
        packer->unpack, buf_reserve(out, (size_t)bytes), (size_t)bytes,
        packed.data, packed.bytes, known);
    if (ZSTD_isError(got) || got != (size_t)bytes)
        return E_CORRUPT;
    buf_commit(out, got);
    *text = buf_slice(out);
    return 0;
}
