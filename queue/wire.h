/*
 * wire.h - the headers of messages, as PROTOCOL.md has them
 *
 * A message is a header (one JSON object) and a body (bytes). Headers are ours
 * and small: they are checked by the strict reader, which finds their members,
 * and held by cJSON where lists and objects in them are looked at. Bodies are
 * somebody else's and never pass through cJSON.
 *
 * Getters report what is wrong in the words of the protocol, with the name of
 * the member, so that a handler can send the error back as it is.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_WIRE_H
#define QUEUE_WIRE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define WIRE_PROTOCOL         1
#define WIRE_HEADER_BYTES_MAX 65536
#define WIRE_INT_MAX          (INT64_C(1) << 53)

/* What names a submission. */
#define WIRE_CLIENT_BYTES_MAX 64
#define WIRE_KEY_BYTES_MAX    128

/* The code of a result whose upstream has not the model that is asked for. */
#define WIRE_NO_MODEL "model_not_found"

/* Of a `turn`: what is leased, or reported, in it, and its body, which is longer
 * only if it is that of one item; and the members of one. */
#define WIRE_TURN_ITEMS_MAX 256
#define WIRE_TURN_BYTES_MAX 262144
#define WIRE_ITEM_BYTES_MAX 16384

struct wire_text;

/* A message that was received. The body is borrowed from the receiver's
 * buffer. */
struct wire {
    cJSON *head;            /* NULL after wire_read() */
    struct wire_text *text; /* private; NULL after wire_parse() */
    size_t at;              /* private: where the object stands in it */
    struct slice body;
};

/* A list in a header that was read: its elements, one after another, and the
 * body of which each may have a part. */
struct wire_list {
    struct wire whole; /* borrowed */
    size_t at, end;    /* private, as is: */
    size_t body_at;    /* what is left of the body begins there */
};

/* Reads a header. E_PROTOCOL: not a JSON object, too long, no verb. On success
 * the caller ends the message with wire_fini(). */
int wire_parse(struct wire *wire, struct slice head, struct slice body,
               struct err *err) __attribute__((warn_unused_result));

/* The same, for those who read many: the tree is made when wire_get() asks for
 * it, and `head` is not filled. */
int wire_read(struct wire *wire, struct slice head, struct slice body,
              struct err *err) __attribute__((warn_unused_result));

/* Frees the header; the message is empty and may be ended again. */
void wire_fini(struct wire *wire);

/* The verb, never NULL; valid while the message is. */
const char *wire_verb(const struct wire *wire);

/* What an integer member may be, and what stands for one that is absent. */
struct wire_range {
    int64_t min, max;
    bool is_required;
    int64_t absent; /* if not required */
};

/* A range for a member that must be there, and for one that need not. */
struct wire_range wire_range(int64_t min, int64_t max);
struct wire_range wire_range_or(int64_t min, int64_t max, int64_t absent);

/* An integer member within a range. E_INVALID if it is not, or if it is absent
 * and required. */
int wire_int(const struct wire *wire, const char *name, struct wire_range range,
             int64_t *value, struct err *err)
    __attribute__((warn_unused_result));

/* A string member of at most bytes_max bytes, borrowed. When it is absent:
 * `absent`, or E_INVALID if that is NULL. */
int wire_str(const struct wire *wire, const char *name, size_t bytes_max,
             const char *absent, const char **value, struct err *err)
    __attribute__((warn_unused_result));

/* A boolean member; `absent` when it is not there. */
int wire_bool(const struct wire *wire, const char *name, bool absent,
              bool *value, struct err *err) __attribute__((warn_unused_result));

/* A member of any type, borrowed; NULL if there is none. Of the header itself, not
 * of what stands in it. */
const cJSON *wire_get(const struct wire *wire, const char *name);

/* True if there is such a member. */
bool wire_has(const struct wire *wire, const char *name);

/* The look-ups below are for headers of wire_read(). What they give is borrowed
 * from the message, and is asked for members as the header is. */

/* A member of any type, most likely an object. False if there is none. */
bool wire_member(const struct wire *wire, const char *name, struct wire *item);

/* A list; one that is absent is empty. E_INVALID: the member is none. */
int wire_list(const struct wire *wire, const char *name, struct wire_list *list,
              struct err *err) __attribute__((warn_unused_result));

/* The next element, of any type. False behind the last one. */
bool wire_next(struct wire_list *list, struct wire *item);

/* The same for elements that have parts of the body, one behind the other, each as
 * long as its `bytes` says: the item's body. 1 behind the last one. E_INVALID:
 * the body is not so long; nobody knows where the next one begins. */
int wire_next_part(struct wire_list *list, struct wire *item, struct err *err)
    __attribute__((warn_unused_result));

/* Reads an array of `count` integers from min on. 0 or E_INVALID. */
int wire_integers(const struct wire *item, int count, int64_t min,
                  int64_t *values) __attribute__((warn_unused_result));

/* A new header with its verb, for the caller to fill in and print. */
cJSON *wire_new(const char *verb);

/* Add a member to a header (or any object). What is no UTF-8 in a string is
 * replaced by U+FFFD; an integer is at most WIRE_INT_MAX. */
void wire_add_int(cJSON *head, const char *name, int64_t value);
void wire_add_str(cJSON *head, const char *name, const char *value);
void wire_add_slice(cJSON *head, const char *name, struct slice value);
void wire_add_bool(cJSON *head, const char *name, bool value);
void wire_add_double(cJSON *head, const char *name, double value);
void wire_add_null(cJSON *head, const char *name);

/* Adds an empty object or array and returns it, borrowed from the header. */
cJSON *wire_add_object(cJSON *head, const char *name);
cJSON *wire_add_array(cJSON *head, const char *name);

/* Appends [a,b] or [a,b,c] to an array of leases. */
void wire_add_pair(cJSON *array, int64_t first, int64_t second);
void wire_add_triple(cJSON *array, int64_t first, int64_t second,
                     int64_t third);

/* The length of an object's text. */
size_t wire_bytes(const cJSON *object);

/* Appends the header's text to out and frees the header. */
void wire_print(cJSON *head, struct buf *out);

/* Write a header without a tree, where many are sent: its beginning, members
 * one after another, its end. Values as for wire_add_…, but no string is NULL;
 * behind a name alone the caller writes the value. */
void wire_begin(struct buf *out, const char *verb);
void wire_put_name(struct buf *out, const char *name);
void wire_put_int(struct buf *out, const char *name, int64_t value);
void wire_put_str(struct buf *out, const char *name, const char *value);
void wire_put_slice(struct buf *out, const char *name, struct slice value);
void wire_end(struct buf *out);

/* Begins an object in a list, with its first member; wire_end() ends it. And
 * writes [a,b]. */
void wire_begin_item(struct buf *out, const char *name, int64_t value);
void wire_put_pair(struct buf *out, int64_t first, int64_t second);

#endif
