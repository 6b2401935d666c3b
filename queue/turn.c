/* SPDX-License-Identifier: MIT */
#include "queue/turn.h"

#include <assert.h>

#include "queue/wire.h"

/* A header ends so while a list is open in it. */
#define LIST_END     "]}"
#define LIST_BYTES   2
#define HEADER_BYTES 1

static bool
has_room(const struct letter *letter, enum letter_list list, size_t body_bytes)
{
    return letter->list != LETTER_NO_LIST && letter->list <= list &&
           letter->items < WIRE_TURN_ITEMS_MAX &&
           letter->head.bytes + WIRE_ITEM_BYTES_MAX <= WIRE_HEADER_BYTES_MAX &&
           letter->body.bytes + body_bytes <= WIRE_TURN_BYTES_MAX;
}

/* Makes room for an element of a list, at the end of the header. */
static struct letter *
open_list(struct outbox *outbox, const struct session *session,
          enum letter_list list, const char *name, size_t body_bytes)
{
    struct letter *letter = outbox_last(outbox, SIDE_WORKERS, &session->peer);

    /* To one that has just gone offline it is lost, as it would be on the way.
     */
    assert(session->has_peer);
    if (!letter || !has_room(letter, list, body_bytes)) {
        letter = outbox_open(outbox, SIDE_WORKERS, &session->peer);
        wire_begin(&letter->head, "turn");
    } else {
        buf_cut(&letter->head,
                letter->list == list ? LIST_BYTES : HEADER_BYTES);
    }
    if (letter->list == list) {
        buf_add_char(&letter->head, ',');
    } else {
        wire_put_name(&letter->head, name);
        buf_add_char(&letter->head, '[');
    }
    letter->list = list;
    letter->items++;
    return letter;
}

void
turn_confirm(struct outbox *outbox, const struct session *session,
             int64_t request, int64_t fence)
{
    struct letter *letter =
        open_list(outbox, session, LETTER_CONFIRMED, "confirmed", 0);

    wire_put_pair(&letter->head, request, fence);
    buf_add_str(&letter->head, LIST_END);
}

struct letter *
turn_begin_lease(struct outbox *outbox, const struct session *session,
                 int64_t request, size_t body_bytes)
{
    struct letter *letter =
        open_list(outbox, session, LETTER_LEASES, "leases", body_bytes);

    wire_begin_item(&letter->head, "request", request);
    return letter;
}

void
turn_end_lease(struct letter *letter, struct slice body)
{
    wire_put_int(&letter->head, "bytes", (int64_t)body.bytes);
    wire_end(&letter->head);
    buf_add_str(&letter->head, LIST_END);
    buf_add_slice(&letter->body, body);
}
