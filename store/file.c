/* SPDX-License-Identifier: MIT */
#include "store/file.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"

static const struct {
    const char *name;
    unsigned to;
} states[FILE_STATE_COUNT] = {
#define FILE_ROW(name, text, to) [FILE_##name] = { text, to },
    FILE_STATES(FILE_ROW)
#undef FILE_ROW
};

static const char *const purposes[FILE_PURPOSE_COUNT] = {
    [FILE_BATCH] = "batch",
    [FILE_BATCH_OUTPUT] = "batch_output",
};

const char *
file_state_name(enum file_state state)
{
    assert(state < FILE_STATE_COUNT);
    return states[state].name;
}

const char *
file_purpose_name(enum file_purpose purpose)
{
    assert(purpose < FILE_PURPOSE_COUNT);
    return purposes[purpose];
}

int
file_purpose_parse(const char *name)
{
    for (int i = 0; i < FILE_PURPOSE_COUNT; i++) {
        if (strcmp(purposes[i], name) == 0)
            return i;
    }
    return -1;
}

void
file_move(struct file *file, enum file_state to)
{
    assert(states[file->state].to & (1u << to));
    file->state = to;
}

uint32_t
file_piece_count(const struct file *file)
{
    return (uint32_t)((file->received + FILE_PIECE_BYTES - 1) /
                      FILE_PIECE_BYTES);
}

size_t
file_piece_bytes(const struct file *file, uint32_t piece)
{
    uint64_t left = file->received - (uint64_t)piece * FILE_PIECE_BYTES;

    assert(piece < file_piece_count(file));
    return left < FILE_PIECE_BYTES ? (size_t)left : FILE_PIECE_BYTES;
}

void
file_chain(unsigned char chain[DIGEST_BYTES], struct slice piece)
{
    struct digest *digest = digest_new();

    digest_add(digest, chain, DIGEST_BYTES);
    digest_add(digest, piece.data, piece.bytes);
    digest_final(digest, chain);
    digest_free(digest);
}

void
file_encode(const struct file *file, struct buf *out)
{
    record_bytes(out, file->uuid, sizeof(file->uuid));
    record_u8(out, file->state);
    record_u8(out, file->purpose);
    record_i64(out, file->created_ms);
    record_i64(out, file->stored_ms);
    record_i64(out, file->ttl_ms);
    record_i64(out, file->end_ms);
    record_u64(out, file->bytes);
    record_u64(out, file->received);
    record_bytes(out, file->chain, sizeof(file->chain));
    record_bytes(out, file->batch, sizeof(file->batch));
    record_str(out, slice_of(file->client));
    record_str(out, slice_of(file->key));
    record_str(out, slice_of(file->name));
}

static int
get_text(struct record *record, char *out, size_t size)
{
    struct slice text = record_get_str(record);

    memset(out, 0, size);
    if (text.bytes >= size ||
        (text.bytes && memchr(text.data, '\0', text.bytes))) {
        return E_CORRUPT;
    }
    if (text.bytes)
        memcpy(out, text.data, text.bytes);
    return 0;
}

int
file_decode(struct record *record, struct file *file)
{
    unsigned state, purpose;

    record_get_bytes(record, file->uuid, sizeof(file->uuid));
    state = record_get_u8(record);
    purpose = record_get_u8(record);
    if (state >= FILE_STATE_COUNT || purpose >= FILE_PURPOSE_COUNT)
        return E_CORRUPT;
    file->state = state;
    file->purpose = purpose;
    file->created_ms = record_get_i64(record);
    file->stored_ms = record_get_i64(record);
    file->ttl_ms = record_get_i64(record);
    file->end_ms = record_get_i64(record);
    file->bytes = record_get_u64(record);
    file->received = record_get_u64(record);
    record_get_bytes(record, file->chain, sizeof(file->chain));
    record_get_bytes(record, file->batch, sizeof(file->batch));
    if (get_text(record, file->client, sizeof(file->client)) < 0 ||
        get_text(record, file->key, sizeof(file->key)) < 0 ||
        get_text(record, file->name, sizeof(file->name)) < 0 ||
        file->received > file->bytes || file->end_ms < 0 ||
        file->bytes / FILE_PIECE_BYTES >= UINT32_MAX) {
        return E_CORRUPT;
    }
    return record_end(record);
}
