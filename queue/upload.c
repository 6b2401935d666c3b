/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <uuid/uuid.h>

#include "queue/files.h"

/* An upload as its client describes it. */
struct upload {
    const char *client, *key, *name;
    int64_t bytes, ttl_ms;
};

static int
read_upload(struct call *call, struct upload *upload)
{
    const struct conf *conf = call->broker->env.conf;
    struct wire *wire = call->wire;

    if (files_read_client(call, &upload->client) < 0 ||
        wire_str(wire, "key", FILE_KEY_BYTES - 1, NULL, &upload->key,
                 call->err) < 0 ||
        wire_str(wire, "name", FILE_NAME_BYTES - 1, "", &upload->name,
                 call->err) < 0 ||
        wire_int(wire, "bytes", wire_range(0, WIRE_INT_MAX), &upload->bytes,
                 call->err) < 0 ||
        files_read_expiry(call, "expires_after", &upload->ttl_ms) < 0) {
        return E_INVALID;
    }
    if (!*upload->key)
        return err_set(call->err, E_INVALID, "key: must not be empty");
    if (upload->bytes > conf->file_bytes_max) {
        return err_set(call->err, E_TOOBIG,
                       "file of %lld bytes, at most %lld (file_bytes_max)",
                       (long long)upload->bytes,
                       (long long)conf->file_bytes_max);
    }
    return 0;
}

static void
answer_opened(struct call *call, const struct file *file, bool is_new)
{
    cJSON *head = core_answer(call, "file_opened");

    wire_add_bool(head, "created", is_new);
    wire_add_int(head, "piece_bytes", FILE_PIECE_BYTES);
    wire_add_int(head, "window_bytes",
                 call->broker->env.conf->chunk_bytes_max * CORE_WINDOW_CHUNKS);
    files_add(call->broker, wire_add_object(head, "file"), file);
    core_send(call, head);
}

/* What a client may have, and what the store may hold. */
static int
admit(struct call *call, const struct upload *upload)
{
    struct broker *broker = call->broker;
    const struct conf *conf = broker->env.conf;
    uint64_t count, bytes;
    int rc;

    if (broker->is_draining)
        return err_set(call->err, E_DRAINING, "the broker is shutting down");
    store_file_usage(broker->env.store, upload->client, &count, &bytes);
    if (count >= (uint64_t)conf->client_files_max) {
        return err_set(call->err, E_FULL,
                       "the client has %llu files, at most %lld "
                       "(client_files_max); delete some",
                       (unsigned long long)count,
                       (long long)conf->client_files_max);
    }
    if (bytes + (uint64_t)upload->bytes >
        (uint64_t)conf->client_files_bytes_max) {
        return err_set(call->err, E_FULL,
                       "the client's files have %llu bytes, and %lld more are "
                       "above %lld (client_files_bytes_max); delete some",
                       (unsigned long long)bytes, (long long)upload->bytes,
                       (long long)conf->client_files_bytes_max);
    }
    rc =
        store_admit_file(broker->env.store, (uint64_t)upload->bytes, call->err);
    if (rc < 0)
        retain_want_room(broker, call->now_ms);
    return rc;
}

static void
copy_text(char *out, size_t size, const char *text)
{
    size_t bytes = strlen(text);

    memset(out, 0, size);
    memcpy(out, text, bytes < size ? bytes : size - 1);
}

static void
create(struct call *call, const struct upload *upload)
{
    int64_t open_ms = call->broker->env.conf->open_ttl_ms;
    struct file file = { .state = FILE_OPEN,
                         .purpose = FILE_BATCH,
                         .created_ms = call->now_ms,
                         .ttl_ms = upload->ttl_ms,
                         .end_ms = call->now_ms + open_ms,
                         .bytes = (uint64_t)upload->bytes };

    uuid_generate_random(file.uuid);
    copy_text(file.client, sizeof(file.client), upload->client);
    copy_text(file.key, sizeof(file.key), upload->key);
    copy_text(file.name, sizeof(file.name), upload->name);
    store_file_add(call->broker->env.store, &file);
    answer_opened(call, &file, true);
}

int
upload_open(struct call *call)
{
    unsigned char digest[DIGEST_BYTES];
    struct upload upload;
    struct file file;
    int rc = read_upload(call, &upload);

    if (rc < 0)
        return rc;
    store_client_key(slice_of(upload.client), slice_of(upload.key), digest);
    rc = store_file_find_key(call->broker->env.store, digest, &file);
    if (rc == E_NOTFOUND) {
        rc = admit(call, &upload);
        if (rc == 0)
            create(call, &upload);
        return rc;
    }
    if (rc < 0)
        return rc;
    if (file.bytes != (uint64_t)upload.bytes ||
        strcmp(file.name, upload.name) != 0) {
        return err_set(call->err, E_CONFLICT,
                       "key %s was used for another file; use another key",
                       upload.key);
    }
    answer_opened(call, &file, false);
    return 0;
}

/* What came already must be what was stored. */
static int
compare_stored(struct call *call, const struct file *file, uint64_t at,
               struct slice bytes)
{
    while (bytes.bytes > 0) {
        struct slice stored;
        int rc = store_file_read(call->broker->env.store, file, at, &stored);

        if (rc < 0)
            return err_set(call->err, rc, "file: byte %llu cannot be read",
                           (unsigned long long)at);
        if (stored.bytes > bytes.bytes)
            stored.bytes = bytes.bytes;
        if (memcmp(stored.data, bytes.data, stored.bytes) != 0) {
            return err_set(call->err, E_CONFLICT,
                           "other bytes were stored from byte %llu on",
                           (unsigned long long)at);
        }
        at += stored.bytes;
        bytes.data += stored.bytes;
        bytes.bytes -= stored.bytes;
    }
    return 0;
}

static int
read_part(struct call *call, const struct file *file, int64_t *at)
{
    const struct conf *conf = call->broker->env.conf;
    struct slice body = call->wire->body;
    unsigned char said[DIGEST_BYTES], digest[DIGEST_BYTES];
    const char *hex;

    if (wire_int(call->wire, "at", wire_range(0, WIRE_INT_MAX), at, call->err) <
            0 ||
        wire_str(call->wire, "digest", DIGEST_HEX_BYTES - 1, NULL, &hex,
                 call->err) < 0) {
        return E_INVALID;
    }
    if (digest_from_hex(hex, strlen(hex), said) < 0)
        return err_set(call->err, E_INVALID, "digest: not 64 hex digits");
    if (body.bytes == 0)
        return err_set(call->err, E_INVALID, "part: has no bytes");
    if (body.bytes > (size_t)conf->chunk_bytes_max) {
        return err_set(call->err, E_TOOBIG, "part of %zu bytes, at most %lld",
                       body.bytes, (long long)conf->chunk_bytes_max);
    }
    digest_of(body.data, body.bytes, digest);
    if (memcmp(digest, said, sizeof(digest)) != 0)
        return err_set(call->err, E_INVALID, "digest: is not that of the body");
    if ((uint64_t)*at > file->received) {
        call->expected = (int64_t)file->received;
        return err_set(call->err, E_GAP, "byte %lld: %lld is expected",
                       (long long)*at, (long long)file->received);
    }
    if ((uint64_t)*at + body.bytes > file->bytes) {
        return err_set(call->err, E_TOOBIG,
                       "%zu bytes from byte %lld on, and the file was to have "
                       "%llu",
                       body.bytes, (long long)*at,
                       (unsigned long long)file->bytes);
    }
    return 0;
}

/* Adds what is new of a part. */
static int
append(struct call *call, struct file *file, struct slice fresh)
{
    struct broker *broker = call->broker;
    int rc;

    if (broker->is_draining)
        return err_set(call->err, E_DRAINING, "the broker is shutting down");
    rc = store_admit_part(broker->env.store, fresh.bytes, call->err);
    if (rc < 0) {
        retain_want_room(broker, call->now_ms);
        return rc;
    }
    store_file_append(broker->env.store, file, fresh);
    broker->counters.file_parts++;
    return 0;
}

int
upload_part(struct call *call)
{
    struct slice body = call->wire->body, known = body;
    char uuid[CORE_UUID_TEXT_BYTES];
    struct file file = { 0 };
    cJSON *head;
    int64_t at = 0;
    int rc = files_of(call, &file);

    if (rc == 0)
        rc = read_part(call, &file, &at);
    if (rc < 0)
        return rc;
    if ((uint64_t)at + known.bytes > file.received)
        known.bytes = (size_t)(file.received - (uint64_t)at);
    rc = compare_stored(call, &file, (uint64_t)at, known);
    if (rc == 0 && known.bytes < body.bytes) {
        rc = append(call, &file,
                    (struct slice){ body.data + known.bytes,
                                    body.bytes - known.bytes });
    }
    if (rc < 0)
        return rc;
    core_uuid_text(file.uuid, uuid);
    head = core_answer(call, "file_part");
    wire_add_str(head, "file", uuid);
    wire_add_int(head, "at", at);
    wire_add_int(head, "received", (int64_t)file.received);
    core_send(call, head);
    return 0;
}

int
upload_close(struct call *call)
{
    struct store *store = call->broker->env.store;
    unsigned char said[DIGEST_BYTES], digest[DIGEST_BYTES];
    struct file file;
    const char *hex;
    int rc = files_of(call, &file);

    if (rc < 0)
        return rc;
    if (wire_str(call->wire, "digest", DIGEST_HEX_BYTES - 1, NULL, &hex,
                 call->err) < 0) {
        return E_INVALID;
    }
    if (digest_from_hex(hex, strlen(hex), said) < 0)
        return err_set(call->err, E_INVALID, "digest: not 64 hex digits");
    if (file.received < file.bytes) {
        call->expected = (int64_t)file.received;
        return err_set(call->err, E_GAP, "%llu of %llu bytes came",
                       (unsigned long long)file.received,
                       (unsigned long long)file.bytes);
    }
    rc = store_file_digest(store, &file, digest);
    if (rc < 0)
        return err_set(call->err, rc, "file: its last piece cannot be read");
    if (memcmp(said, digest, sizeof(digest)) != 0) {
        return err_set(call->err, E_CONFLICT,
                       "the bytes that came have another digest");
    }
    if (file.state == FILE_OPEN) {
        store_file_close(store, &file, digest, call->now_ms);
        call->broker->counters.files_stored++;
    }
    files_answer(call, &file);
    return 0;
}
