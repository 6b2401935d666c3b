/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <uuid/uuid.h>

#include "base/log.h"
#include "queue/filing.h"

#define LIST_MAX        10000
#define LIST_DEFAULT    1000
#define EXPIRES_MS_MIN  3600000
#define EXPIRES_MS_MAX  2592000000
#define OLDEST_SCAN_MAX 1000 /* files looked at for the oldest that is stored */
#define READ_MS         60000 /* a file that is read stays so much longer */

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

int
files_read_client(struct call *call, const char **client)
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

int
files_of(struct call *call, struct file *file)
{
    const char *client;
    int rc = files_read_client(call, &client);

    return rc < 0 ? rc : files_find(call, client, file);
}

void
files_add(const struct broker *broker, cJSON *object, const struct file *file)
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

void
files_answer(struct call *call, const struct file *file)
{
    cJSON *head = core_answer(call, "file");

    files_add(call->broker, wire_add_object(head, "file"), file);
    core_send(call, head);
}

/* ---- looking ---- */

int
files_look(struct call *call)
{
    struct file file;
    int rc = files_of(call, &file);

    if (rc == 0)
        files_answer(call, &file);
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
    int rc = files_of(call, &file);

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
        buf_swap(core_send(call, head), &out);
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

    if (files_read_client(call, &list->client) < 0 ||
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

        files_add(call->broker, object, &file);
        wire_print(object, &list.lines);
        buf_add_char(&list.lines, '\n');
        list.count++;
    }
    head = core_answer(call, "file_list");
    wire_add_int(head, "count", list.count);
    wire_add_bool(head, "more", has_more);
    buf_swap(core_send(call, head), &list.lines);
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
    int rc = files_read_client(call, &client);

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
    if (end_ms <= now_ms && filing_reads(broker, file.id, now_ms))
        end_ms = now_ms + READ_MS;
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
        if (rc < 0 || file.state == FILE_OPEN ||
            filing_reads(broker, file.id, now_ms)) {
            continue;
        }
        /* One at a time: what it frees is known when it is gone. */
        if (file.state == FILE_STORED)
            drop(broker, &file, now_ms);
        return true;
    }
    return false;
}
