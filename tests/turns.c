/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* memmem */
#include "tests/turns.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/pack.h"

#define RESULT  "{\"verb\":\"result\","
#define STARTED "{\"verb\":\"started\",\"held\":["

static struct turns_part *
add(struct turns *turns)
{
    struct turns_part *part;

    turns->parts =
        mem_grow(turns->parts, turns->count + 1, sizeof(turns->parts[0]));
    part = &turns->parts[turns->count++];
    *part = (struct turns_part){ 0 };
    return part;
}

static void
add_whole(struct turns *turns, struct slice head, struct slice body)
{
    struct turns_part *part = add(turns);

    buf_add_slice(&part->head, head);
    part->body = body;
}

/* The objects of a list, each with its part of the body. */
static void
add_objects(struct turns *turns, const struct json_doc *doc, const char *list,
            const char *verb, struct slice body)
{
    size_t at, used = 0;

    for (size_t nth = 0;
         (at = json_element(doc, json_member(doc, 0, list), nth)) != JSON_NONE;
         nth++) {
        struct turns_part *part = add(turns);
        struct slice raw = json_raw(doc, at);
        int64_t bytes = 0;

        (void)json_int(doc, json_member(doc, at, "bytes"), 0,
                       (int64_t)(body.bytes - used), &bytes);
        buf_addf(&part->head, "{\"verb\":\"%s\",", verb);
        buf_add(&part->head, raw.data + 1, raw.bytes - 1);
        part->body = (struct slice){ body.data + used, (size_t)bytes };
        used += (size_t)bytes;
    }
}

static void
add_confirmed(struct turns *turns, const struct json_doc *doc)
{
    size_t at;

    for (size_t nth = 0;
         (at = json_element(doc, json_member(doc, 0, "confirmed"), nth)) !=
         JSON_NONE;
         nth++) {
        struct turns_part *part = add(turns);
        struct slice request = json_raw(doc, json_element(doc, at, 0));
        struct slice fence = json_raw(doc, json_element(doc, at, 1));

        buf_addf(&part->head,
                 "{\"verb\":\"confirmed\",\"request\":%.*s,\"fence\":%.*s}",
                 (int)request.bytes, request.data, (int)fence.bytes,
                 fence.data);
    }
}

struct turns
turns_of(struct slice head, struct slice body)
{
    struct turns turns = { 0 };
    struct json_doc doc = { 0 };
    struct slice started;

    /* Most are none, and need not be read to see it. */
    if (!memmem(head.data, head.bytes, "\"turn\"", strlen("\"turn\"")) ||
        json_parse(&doc, head.data, head.bytes, JSON_INPUT, NULL) < 0 ||
        !json_is(&doc, json_member(&doc, 0, "verb"), "turn")) {
        add_whole(&turns, head, body);
        json_fini(&doc);
        return turns;
    }
    started = json_raw(&doc, json_member(&doc, 0, "started"));
    if (started.bytes > 0) {
        buf_addf(&add(&turns)->head, "{\"verb\":\"started\",\"held\":%.*s}",
                 (int)started.bytes, started.data);
    }
    add_objects(&turns, &doc, "results", "result", body);
    add_confirmed(&turns, &doc);
    add_objects(&turns, &doc, "leases", "lease", body);
    json_fini(&doc);
    return turns;
}

void
turns_fini(struct turns *turns)
{
    for (size_t i = 0; i < turns->count; i++)
        buf_fini(&turns->parts[i].head);
    free(turns->parts);
    *turns = (struct turns){ 0 };
}

static bool
begins_with(struct slice text, const char *start)
{
    return text.bytes >= strlen(start) &&
           memcmp(text.data, start, strlen(start)) == 0;
}

bool
fold_takes(struct slice head)
{
    return begins_with(head, RESULT) || begins_with(head, STARTED);
}

void
fold_add(struct fold *fold, struct slice head, struct slice body)
{
    struct buf *list =
        begins_with(head, RESULT) ? &fold->results : &fold->started;
    size_t before, bytes;

    fold->count++;
    if (list->bytes > 0)
        buf_add_char(list, ',');
    if (list == &fold->started) {
        /* What stands between its brackets. */
        buf_add(list, head.data + strlen(STARTED),
                head.bytes - strlen(STARTED) - 2);
        return;
    }
    before = fold->body.bytes;
    if (fold->packer)
        pack_add(fold->packer, body, &fold->body);
    else
        buf_add_slice(&fold->body, body);
    bytes = fold->body.bytes - before;
    buf_addf(list, "{\"bytes\":%zu,", bytes);
    if (bytes < body.bytes)
        buf_addf(list, "\"unpacked_bytes\":%zu,", body.bytes);
    buf_add(list, head.data + strlen(RESULT), head.bytes - strlen(RESULT));
}

void
fold_print(const struct fold *fold, struct buf *head)
{
    buf_add_str(head, "{\"verb\":\"turn\"");
    if (fold->started.bytes > 0)
        buf_addf(head, ",\"started\":[%s]", fold->started.data);
    if (fold->results.bytes > 0)
        buf_addf(head, ",\"results\":[%s]", fold->results.data);
    buf_add_char(head, '}');
}

void
fold_fini(struct fold *fold)
{
    buf_fini(&fold->started);
    buf_fini(&fold->results);
    buf_fini(&fold->body);
    *fold = (struct fold){ 0 };
}
