/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <uuid/uuid.h>

#include "base/log.h"
#include "queue/core.h"
#include "store/file.h"

#define LIST_MAX        10000
#define LIST_DEFAULT    1000
#define EXPIRES_MS_MIN  3600000
#define EXPIRES_MS_MAX  2592000000
#define OLDEST_SCAN_MAX 1000 /* files looked at for the oldest that is stored */

/* ---- what all verbs share ---- */

int
files_read_expiry(struct call *call, const char *name, int64_t *ttl_ms)
{
    int64_t asked_ms;
    int rc = wire_int(call->wire, name, wire_range_or(0, EXPIRES_MS_MAX, 0),
                      &asked_ms, call->err);

    if (rc == 0 && asked_ms > 0 && asked_ms < EXPIRES_MS_MIN) {
        rc = err_set(call->err, E_INVALID, "%s: %lld is below %d", name,
                     (long long)asked_ms, EXPIRES_MS_MIN);
    }
    *ttl_ms = asked_ms ? asked_ms : call->broker->env.conf->file_ttl_ms;
    return rc;
}

static int
read_client(struct call *call, const char **client)
{
    int rc = wire_str(call->wire, "client", FILE_CLIENT_BYTES - 1, NULL, client,
                      call->err);

    if (rc == 0 && !**client)
        rc = err_set(call->err, E_INVALID, "client: must not be empty");
    return rc;
}

static int
file_even_deleted(struct call *call, const char *client, struct file *file)
{
    const char *text;
    uuid_t uuid;
    int rc;

    *file = (struct file){ 0 };
    if (wire_str(call->wire, "file", CORE_UUID_TEXT_BYTES - 1, NULL, &text,
                 call->err) < 0) {
        return E_INVALID;
    }
    if (uuid_parse(text, uuid) != 0)
        return err_set(call->err, E_INVALID, "file: not a UUID");
    rc = store_file_find(call->broker->env.store, uuid, file);
    if (rc == E_CORRUPT)
        log_error("event=file_damaged file=%s", text);
    /* Whose it is must not be told, nor that it is somebody's. */
    if (rc == E_CORRUPT || (rc == 0 && strcmp(file->client, client) != 0))
        rc = E_NOTFOUND;
    return rc < 0 ? err_set(call->err, rc, "no file %s", text) : 0;
}

int
files_find(struct call *call, const char *client, struct file *file)
{
    int rc = file_even_deleted(call, client, file);
    char text[CORE_UUID_TEXT_BYTES];

    if (rc == 0 && file->state == FILE_DELETED) {
        core_uuid_text(file->uuid, text);
        rc = err_set(call->err, E_NOTFOUND, "no file %s", text);
    }
    return rc;
}

/* The file that a message names. */
static int
file_of(struct call *call, struct file *file)
{
    const char *client;
    int rc = read_client(call, &client);

    return rc < 0 ? rc : files_find(call, client, file);
}

static void
add_file(const struct broker *broker, cJSON *object, const struct file *file)
{
    static const unsigned char none[FILE_UUID_BYTES] = { 0 };
    char uuid[CORE_UUID_TEXT_BYTES], hex[DIGEST_HEX_BYTES] = "";

    core_uuid_text(file->uuid, uuid);
    wire_add_str(object, "file", uuid);
    wire_add_str(object, "state", file_state_name(file->state));
    wire_add_str(object, "purpose", file_purpose_name(file->purpose));
    wire_add_str(object, "name", file->name);
    wire_add_int(object, "bytes", (int64_t)file->bytes);
    wire_add_int(object, "received", (int64_t)file->received);
    wire_add_int(object, "created_at", file->created_ms);
    wire_add_int(object, "stored_at", file->stored_ms);
    wire_add_int(object, "expires_at",
                 file->state == FILE_STORED && file->end_ms
                     ? core_to_wall_ms(broker, file->end_ms)
                     : 0);
    if (file->state == FILE_STORED)
        digest_hex(file->chain, hex);
    wire_add_str(object, "digest", hex);
    if (memcmp(file->batch, none, sizeof(none)) == 0) {
        wire_add_null(object, "batch");
    } else {
        core_uuid_text(file->batch, uuid);
        wire_add_str(object, "batch", uuid);
    }
}

static void
answer_file(struct call *call, const struct file *file)
{
    cJSON *head = core_answer(call, "file");

    add_file(call->broker, wire_add_object(head, "file"), file);
    core_send(call, head);
}

/* ---- uploading ---- */

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

    if (read_client(call, &upload->client) < 0 ||
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
    add_file(call->broker, wire_add_object(head, "file"), file);
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
files_open(struct call *call)
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
files_part(struct call *call)
{
    struct slice body = call->wire->body, known = body;
    char uuid[CORE_UUID_TEXT_BYTES];
    struct file file = { 0 };
    cJSON *head;
    int64_t at = 0;
    int rc = file_of(call, &file);

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
files_close(struct call *call)
{
    struct store *store = call->broker->env.store;
    unsigned char said[DIGEST_BYTES], digest[DIGEST_BYTES];
    struct file file;
    const char *hex;
    int rc = file_of(call, &file);

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
    answer_file(call, &file);
    return 0;
}

/* ---- looking ---- */

int
files_look(struct call *call)
{
    struct file file;
    int rc = file_of(call, &file);

    if (rc == 0)
        answer_file(call, &file);
    return rc;
}

int
files_read(struct call *call)
{
    const struct conf *conf = call->broker->env.conf;
    char uuid[CORE_UUID_TEXT_BYTES];
    struct buf out = { 0 };
    int64_t at, length;
    struct slice bytes;
    struct file file;
    cJSON *head;
    int rc = file_of(call, &file);

    if (rc < 0)
        return rc;
    if (file.state == FILE_OPEN)
        return err_set(call->err, E_CONFLICT, "the file is open, not stored");
    if (wire_int(call->wire, "at", wire_range_or(0, (int64_t)file.bytes, 0),
                 &at, call->err) < 0 ||
        wire_int(call->wire, "length",
                 wire_range(1, conf->results_page_bytes_max), &length,
                 call->err) < 0) {
        return E_INVALID;
    }
    while (out.bytes < (size_t)length) {
        size_t left = (size_t)length - out.bytes;

        rc = store_file_read(call->broker->env.store, &file,
                             (uint64_t)at + out.bytes, &bytes);
        if (rc < 0)
            break;
        buf_add(&out, bytes.data, bytes.bytes < left ? bytes.bytes : left);
    }
    if (rc == 0 || rc == E_NOTFOUND) {
        rc = 0;
        core_uuid_text(file.uuid, uuid);
        head = core_answer(call, "file_read");
        wire_add_str(head, "file", uuid);
        wire_add_int(head, "at", at);
        wire_add_int(head, "count", (int64_t)out.bytes);
        wire_add_int(head, "bytes", (int64_t)file.bytes);
        wire_add_bool(head, "more", (uint64_t)at + out.bytes < file.bytes);
        buf_add_slice(core_send(call, head), buf_slice(&out));
    } else {
        err_set(call->err, rc,
                "file: byte %zu from byte %lld on cannot be read", out.bytes,
                (long long)at);
    }
    buf_fini(&out);
    return rc;
}

/* What a list is to have, and what it has. */
struct list {
    const char *client;
    int purpose; /* -1: any */
    bool is_descending;
    uint64_t after;
    int64_t limit, count;
    struct buf lines;
};

static int
read_list(struct call *call, struct list *list)
{
    const char *purpose, *order, *after;
    struct file file;
    uuid_t uuid;

    if (read_client(call, &list->client) < 0 ||
        wire_str(call->wire, "purpose", 32, "", &purpose, call->err) < 0 ||
        wire_str(call->wire, "order", 8, "desc", &order, call->err) < 0 ||
        wire_str(call->wire, "after", CORE_UUID_TEXT_BYTES - 1, "", &after,
                 call->err) < 0 ||
        wire_int(call->wire, "limit", wire_range_or(1, LIST_MAX, LIST_DEFAULT),
                 &list->limit, call->err) < 0) {
        return E_INVALID;
    }
    list->is_descending = strcmp(order, "desc") == 0;
    if (!list->is_descending && strcmp(order, "asc") != 0)
        return err_set(call->err, E_INVALID, "order: asc or desc");
    list->purpose = *purpose ? file_purpose_parse(purpose) : -1;
    if (*purpose && list->purpose < 0)
        return err_set(call->err, E_INVALID, "purpose: batch or batch_output");
    list->after = list->is_descending ? UINT64_MAX : 0;
    if (!*after)
        return 0;
    if (uuid_parse(after, uuid) != 0)
        return err_set(call->err, E_INVALID, "after: not a UUID");
    if (store_file_find(call->broker->env.store, uuid, &file) < 0 ||
        strcmp(file.client, list->client) != 0) {
        return err_set(call->err, E_NOTFOUND, "no file %s", after);
    }
    list->after = file.id;
    return 0;
}

/* The next file that is to be listed. */
static bool
next_listed(struct broker *broker, struct list *list, struct file *file)
{
    int rc;

    do {
        rc = store_file_owned(broker->env.store, list->client, list->after,
                              list->is_descending, file);
        if (rc == 0 || rc == E_CORRUPT)
            list->after = file->id;
        if (rc == 0 && file->state == FILE_STORED &&
            (list->purpose < 0 || (int)file->purpose == list->purpose)) {
            return true;
        }
        /* A damaged one is passed over; `verify` names it. */
    } while (rc == 0 || rc == E_CORRUPT);
    return false;
}

int
files_list(struct call *call)
{
    size_t most = (size_t)call->broker->env.conf->results_page_bytes_max;
    struct list list = { 0 };
    struct file file;
    cJSON *head;
    bool has_more;
    int rc = read_list(call, &list);

    if (rc < 0)
        return rc;
    while ((has_more = next_listed(call->broker, &list, &file)) &&
           list.count < list.limit && list.lines.bytes < most) {
        cJSON *object = cJSON_CreateObject();

        add_file(call->broker, object, &file);
        wire_print(object, &list.lines);
        buf_add_char(&list.lines, '\n');
        list.count++;
    }
    head = core_answer(call, "file_list");
    wire_add_int(head, "count", list.count);
    wire_add_bool(head, "more", has_more);
    buf_add_slice(core_send(call, head), buf_slice(&list.lines));
    buf_fini(&list.lines);
    return 0;
}

/* ---- going ---- */

static void
drop(struct broker *broker, struct file *file, int64_t now_ms)
{
    char uuid[CORE_UUID_TEXT_BYTES];

    core_uuid_text(file->uuid, uuid);
    log_info("event=file_deleted file=%s bytes=%llu", uuid,
             (unsigned long long)file->bytes);
    store_file_delete(broker->env.store, file, now_ms);
    broker->counters.files_deleted++;
}

int
files_delete(struct call *call)
{
    char uuid[CORE_UUID_TEXT_BYTES];
    const char *client;
    struct file file = { 0 };
    cJSON *head;
    int rc = read_client(call, &client);

    if (rc == 0)
        rc = file_even_deleted(call, client, &file);
    if (rc < 0)
        return rc;
    if (file.state != FILE_DELETED)
        drop(call->broker, &file, call->now_ms);
    core_uuid_text(file.uuid, uuid);
    head = core_answer(call, "file_deleted");
    wire_add_str(head, "file", uuid);
    core_send(call, head);
    return 0;
}

void
files_end(struct broker *broker, const struct timer *timer, int64_t now_ms)
{
    const struct conf *conf = broker->env.conf;
    struct file file;
    int64_t end_ms;

    if (store_file_get(broker->env.store, timer->id, &file) < 0 ||
        file.state == FILE_DELETED || file.end_ms != timer->due_ms) {
        return;
    }
    end_ms = core_grace_ms(broker, file.end_ms,
                           file.state == FILE_OPEN ? conf->open_ttl_ms
                                                   : file.ttl_ms);
    if (end_ms > now_ms)
        store_file_end_at(broker->env.store, &file, end_ms);
    else
        drop(broker, &file, now_ms);
}

void
files_remove(struct broker *broker, const struct timer *timer, int64_t now_ms)
{
    struct timer next = *timer;
    struct file file;

    if (store_file_get(broker->env.store, timer->id, &file) < 0 ||
        file.state != FILE_DELETED) {
        return;
    }
    if (store_file_drop(broker->env.store, &file)) {
        next.due_ms = now_ms;
        store_timer_set(broker->env.store, &next);
    }
}

bool
files_make_room(struct broker *broker, int64_t now_ms)
{
    struct file file = { 0 };

    for (int i = 0; i < OLDEST_SCAN_MAX; i++) {
        int rc = store_file_after(broker->env.store, file.id, &file);

        if (rc < 0 && rc != E_CORRUPT)
            return false;
        if (rc < 0 || file.state == FILE_OPEN)
            continue;
        /* One at a time: what it frees is known when it is gone. */
        if (file.state == FILE_STORED)
            drop(broker, &file, now_ms);
        return true;
    }
    return false;
}
