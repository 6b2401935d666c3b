/*
 * fuzz_wire.c - any bytes at all are no header, or one that can be used
 *
 * Each member of a header is asked for as each type; what is accepted is within
 * its range. What is said about a bad one can be sent: it makes a header that
 * reads again.
 */
/* SPDX-License-Identifier: MIT */
#include "queue/wire.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Not assert(): must also hold where that is compiled away. */
static void
must(bool is_true)
{
    if (!is_true)
        abort();
}

/* An error with this message, as the broker sends it. */
static void
send_error(const char *message)
{
    cJSON *head = wire_new("error");
    struct buf text = { 0 };
    struct wire wire;

    wire_add_str(head, "message", message);
    wire_print(head, &text);
    must(wire_parse(&wire, buf_slice(&text), (struct slice){ 0 }, NULL) == 0);
    wire_fini(&wire);
    buf_fini(&text);
}

static void
ask(const struct wire *wire, const char *name)
{
    struct err err = { 0 };
    const char *text;
    int64_t value;
    bool is_true;

    if (wire_int(wire, name, wire_range(-5, 1000), &value, &err) == 0)
        must(value >= -5 && value <= 1000);
    else
        must(err.code == E_INVALID);
    if (wire_int(wire, name, wire_range_or(0, WIRE_INT_MAX, 0), &value, &err) ==
        0) {
        must(value >= 0 && value <= WIRE_INT_MAX);
    }
    if (wire_str(wire, name, TEXT_BYTES_MAX, NULL, &text, &err) == 0)
        must(strlen(text) <= TEXT_BYTES_MAX);
    else
        send_error(err.msg);
    (void)wire_bool(wire, name, false, &is_true, &err);
}

/* The parts that elements have of a body are what their lengths say, one behind
 * the other, and none goes beyond it. */
static void
ask_list(struct wire *wire, const char *name)
{
    static const char body[] = "0123456789";
    struct err err = { 0 };
    struct wire_list list;
    struct wire item;
    size_t at = 0;
    int rc;

    wire->body = (struct slice){ body, sizeof(body) - 1 };
    if (wire_list(wire, name, &list, &err) < 0) {
        send_error(err.msg);
        return;
    }
    while ((rc = wire_next_part(&list, &item, &err)) == 0) {
        int64_t tuple[3];

        must(item.body.bytes == 0 || item.body.data == body + at);
        at += item.body.bytes;
        must(at < sizeof(body));
        if (wire_integers(&item, 3, -1, tuple) == 0)
            must(tuple[0] >= -1 && tuple[1] >= -1 && tuple[2] >= -1);
        (void)wire_integers(&item, 2, 0, tuple);
        (void)wire_member(&item, name, &item);
    }
    must(rc == 1 || rc == E_INVALID);
    must(wire_next_part(&list, &item, &err) == 1);
}

/* A header read without a tree says the same as one with it. */
static void
ask_both(const struct wire *tree, const struct wire *plain, const char *name)
{
    int64_t one = 0, other = 0;
    const char *text = "", *its_text = "";
    bool is_true = false, its_true = false;
    struct wire_range any = wire_range(-WIRE_INT_MAX, WIRE_INT_MAX);

    must(wire_int(tree, name, any, &one, NULL) ==
         wire_int(plain, name, any, &other, NULL));
    must(one == other);
    must(wire_str(tree, name, TEXT_BYTES_MAX, NULL, &text, NULL) ==
         wire_str(plain, name, TEXT_BYTES_MAX, NULL, &its_text, NULL));
    must(strcmp(text, its_text) == 0);
    must(wire_bool(tree, name, true, &is_true, NULL) ==
         wire_bool(plain, name, true, &its_true, NULL));
    must(is_true == its_true);
    must(wire_has(tree, name) == wire_has(plain, name));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const char *const names[] = { "verb", "re",   "batch", "n",
                                         "held", "list", "",      "after" };
    struct slice head = { (const char *)data, bytes };
    struct err err = { 0 };
    struct wire wire, plain;
    const cJSON *item;

    if (wire_parse(&wire, head, (struct slice){ 0 }, &err) < 0) {
        must(err.code == E_PROTOCOL);
        must(wire.head == NULL);
        must(wire_read(&plain, head, (struct slice){ 0 }, NULL) == E_PROTOCOL);
        send_error(err.msg);
        return 0;
    }
    must(wire_read(&plain, head, (struct slice){ 0 }, &err) == 0);
    must(strlen(wire_verb(&wire)) <= bytes);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        ask(&wire, names[i]);
        ask_both(&wire, &plain, names[i]);
        ask_list(&plain, names[i]);
    }
    cJSON_ArrayForEach(item, wire.head)
    {
        ask(&wire, item->string);
        ask_both(&wire, &plain, item->string);
        ask_list(&plain, item->string);
    }
    wire_fini(&plain);
    wire_fini(&wire);
    return 0;
}
