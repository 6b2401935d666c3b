/* SPDX-License-Identifier: MIT */
#include "submit/sheaf.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "queue/wire.h"
#include "submit/connection.h"
#include "submit/sheaf_error.h"

#define WAIT_MS_MAX       60000
#define PAGE_LIMIT        500
#define BYTES_MAX_DEFAULT 1048576
#define DRAFTS_DEFAULT    1000
#define WINDOW_DEFAULT    4194304
#define GROUP_DEFAULT     4000

/* sheaf.h stands alone, so its list is a copy; this holds them together. */
#define SAME(name, code, wire, text) \
    static_assert(SHEAF_##name == (code), "sheaf.h and err.h differ");
ERR_LIST(SAME)
#undef SAME

int
sheaf_error_give(struct sheaf_error *error, const struct err *err)
{
    if (!error)
        return err->code;
    error->code = err->code;
    /* A longer message is cut: it is for people. */
    if (snprintf(error->message, sizeof(error->message), "%s", err->msg) < 0)
        error->message[0] = '\0';
    return err->code;
}

struct sheaf *
sheaf_connect(const struct sheaf_settings *settings, struct sheaf_error *error)
{
    struct err err = { 0 };
    struct sheaf *sheaf = connection_new(settings, &err);

    if (!sheaf)
        sheaf_error_give(error, &err);
    return sheaf;
}

void
sheaf_close(struct sheaf *sheaf)
{
    connection_free(sheaf);
}

static int
read_welcome(const struct wire *wire, struct sheaf_welcome *welcome,
             struct err *err)
{
    const cJSON *limits = wire_get(wire, "limits");
    struct wire inner = { .head = NULL };
    const char *version, *store;
    const struct {
        const char *name;
        int64_t absent;
        int64_t *value;
    } fields[] = {
        { "chunk_bytes_max", BYTES_MAX_DEFAULT, &welcome->chunk_bytes_max },
        { "chunk_drafts_max", DRAFTS_DEFAULT, &welcome->chunk_drafts_max },
        { "line_bytes_max", BYTES_MAX_DEFAULT, &welcome->line_bytes_max },
        { "window_bytes", WINDOW_DEFAULT, &welcome->window_bytes },
        { "group_chars_max", GROUP_DEFAULT, &welcome->group_chars_max },
    };
    int rc = 0;

    if (wire_str(wire, "version", SHEAF_VERSION_BYTES - 1, "", &version, err) ||
        wire_str(wire, "store", SHEAF_UUID_BYTES - 1, "", &store, err) ||
        wire_bool(wire, "draining", false, &welcome->is_draining, err)) {
        return E_PROTOCOL;
    }
    memcpy(welcome->version, version, strlen(version) + 1);
    memcpy(welcome->store, store, strlen(store) + 1);
    /* The getters look into any object that is passed off as a header. */
    inner.head = (cJSON *)limits;
    for (size_t i = 0; rc == 0 && i < sizeof(fields) / sizeof(fields[0]); i++) {
        *fields[i].value = fields[i].absent;
        if (cJSON_IsObject(limits)) {
            rc = wire_int(&inner, fields[i].name,
                          wire_range_or(1, WIRE_INT_MAX, fields[i].absent),
                          fields[i].value, err);
        }
    }
    /* A chunk holds the line and its newline. */
    if (welcome->line_bytes_max > welcome->chunk_bytes_max - 1)
        welcome->line_bytes_max = welcome->chunk_bytes_max - 1;
    return rc < 0 ? E_PROTOCOL : 0;
}

int
sheaf_hello(struct sheaf *sheaf, struct sheaf_welcome *welcome,
            struct sheaf_error *error)
{
    cJSON *head = wire_new("hello");
    struct wire wire;
    struct err err = { 0 };
    int rc;

    wire_add_int(head, "protocol", WIRE_PROTOCOL);
    rc =
        connection_call(sheaf, head, (struct slice){ NULL, 0 }, 0, &wire, &err);
    *welcome = (struct sheaf_welcome){ .version = "" };
    if (rc == 0)
        rc = read_welcome(&wire, welcome, &err);
    wire_fini(&wire);
    return rc < 0 ? sheaf_error_give(error, &err) : 0;
}

/* Lends the last message that came. */
static void
fill(struct sheaf *sheaf, struct sheaf_reply *reply)
{
    if (!reply)
        return;
    *reply = (struct sheaf_reply){ .header = sheaf->head.data,
                                   .header_bytes = sheaf->head.bytes,
                                   .body = sheaf->body.data,
                                   .body_bytes = sheaf->body.bytes };
}

/* Makes a call and throws its parsed answer away: the caller wants its text. */
static int
call(struct sheaf *sheaf, cJSON *head, struct slice body, int64_t extra_ms,
     struct sheaf_reply *reply, struct err *err)
{
    struct wire wire;
    int rc = connection_call(sheaf, head, body, extra_ms, &wire, err);

    if (reply)
        *reply = (struct sheaf_reply){ .header = NULL };
    if (wire.head)
        fill(sheaf, reply);
    wire_fini(&wire);
    return rc;
}

int
sheaf_call(struct sheaf *sheaf, const char *header, const void *body,
           size_t body_bytes, struct sheaf_reply *reply,
           struct sheaf_error *error)
{
    struct wire given;
    struct err err = { 0 };
    int rc =
        wire_parse(&given, slice_of(header), (struct slice){ NULL, 0 }, &err);

    if (rc == 0) {
        rc = call(sheaf, given.head, (struct slice){ body, body_bytes }, 0,
                  reply, &err);
    }
    return rc < 0 ? sheaf_error_give(error, &err) : 0;
}

static int
wait_for(struct sheaf *sheaf, cJSON *head, int64_t after, int wait_ms,
         struct sheaf_reply *reply, struct sheaf_error *error)
{
    struct err err = { 0 };
    int rc;

    if (wait_ms > WAIT_MS_MAX)
        wait_ms = WAIT_MS_MAX;
    if (after >= 0)
        wire_add_int(head, "after", after);
    wire_add_int(head, "timeout", wait_ms);
    rc = call(sheaf, head, (struct slice){ NULL, 0 }, wait_ms, reply, &err);
    return rc < 0 ? sheaf_error_give(error, &err) : 0;
}

int
sheaf_wait(struct sheaf *sheaf, const char *batch, int64_t after, int wait_ms,
           struct sheaf_reply *reply, struct sheaf_error *error)
{
    cJSON *head = wire_new("wait");

    wire_add_str(head, "batch", batch);
    return wait_for(sheaf, head, after, wait_ms, reply, error);
}

int
sheaf_wait_or_stall(struct sheaf *sheaf, const char *batch, int64_t after,
                    int wait_ms, struct sheaf_reply *reply,
                    struct sheaf_error *error)
{
    cJSON *head = wire_new("wait");

    wire_add_str(head, "batch", batch);
    wire_add_bool(head, "stalled", true);
    return wait_for(sheaf, head, after, wait_ms, reply, error);
}

static cJSON *
page_head(const struct sheaf_query *query)
{
    cJSON *head = wire_new(query->verb);

    if (query->batch)
        wire_add_str(head, "batch", query->batch);
    if (query->order)
        wire_add_str(head, "order", query->order);
    if (query->file)
        wire_add_str(head, "file", query->file);
    wire_add_int(head, "after", query->cursor);
    wire_add_int(head, "limit", query->limit ? query->limit : PAGE_LIMIT);
    return head;
}

static int
read_page(const struct wire *wire, struct sheaf_query *query,
          struct sheaf_page *page, struct err *err)
{
    int64_t cursor = query->cursor;
    int rc =
        wire_int(wire, "count", wire_range(0, WIRE_INT_MAX), &page->count, err);

    if (rc == 0)
        rc = wire_bool(wire, "more", false, &page->has_more, err);
    /* An empty page has gone on, too, if there is more. */
    if (rc == 0 && (page->count > 0 || page->has_more))
        rc =
            wire_int(wire, "cursor",
                     wire_range(query->cursor + 1, WIRE_INT_MAX), &cursor, err);
    if (rc == 0)
        query->cursor = cursor;
    page->lines = wire->body.data;
    page->bytes = wire->body.bytes;
    return rc;
}

int
sheaf_page(struct sheaf *sheaf, struct sheaf_query *query,
           struct sheaf_page *page, struct sheaf_error *error)
{
    struct slice body = { NULL, 0 };
    struct wire wire;
    struct err err = { 0 };
    int rc = connection_call(sheaf, page_head(query), body, 0, &wire, &err);

    *page = (struct sheaf_page){ .lines = NULL };
    if (rc == 0)
        rc = read_page(&wire, query, page, &err);
    if (rc == 0 && query->asks_ahead && page->has_more)
        connection_ask_ahead(sheaf, page_head(query));
    wire_fini(&wire);
    return rc < 0 ? sheaf_error_give(error, &err) : 0;
}
