/* SPDX-License-Identifier: MIT */
#include "queue/outbox.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define LOOK_BACK_MAX 64 /* workers that are written to in turn */

void
outbox_fini(struct outbox *outbox)
{
    for (size_t i = 0; i < outbox->capacity; i++) {
        buf_fini(&outbox->letters[i].head);
        buf_fini(&outbox->letters[i].body);
    }
    free(outbox->letters);
    *outbox = (struct outbox){ 0 };
}

static size_t
buffer_bytes(const struct letter *letter)
{
    return letter->head.capacity + letter->body.capacity;
}

void
outbox_reset(struct outbox *outbox)
{
    for (size_t i = 0; i < outbox->count; i++) {
        struct letter *letter = &outbox->letters[i];

        if (buffer_bytes(letter) > LETTER_KEEP_BYTES_MAX ||
            outbox->kept_bytes + buffer_bytes(letter) > OUTBOX_KEEP_BYTES_MAX) {
            buf_fini(&letter->head);
            buf_fini(&letter->body);
        }
        buf_reset(&letter->head);
        buf_reset(&letter->body);
        outbox->kept_bytes += buffer_bytes(letter);
    }
    outbox->count = 0;
}

struct letter *
outbox_open(struct outbox *outbox, enum side side, const struct link_peer *peer)
{
    struct letter *letter;

    if (outbox->count == outbox->capacity) {
        size_t capacity = outbox->capacity * 2 + 16;

        outbox->letters =
            mem_grow(outbox->letters, capacity, sizeof(outbox->letters[0]));
        for (size_t i = outbox->capacity; i < capacity; i++)
            outbox->letters[i] = (struct letter){ 0 };
        outbox->capacity = capacity;
    }
    letter = &outbox->letters[outbox->count++];
    outbox->kept_bytes -= buffer_bytes(letter);
    letter->side = side;
    letter->peer = *peer;
    letter->list = LETTER_NO_LIST;
    letter->items = 0;
    return letter;
}

struct letter *
outbox_last(struct outbox *outbox, enum side side, const struct link_peer *peer)
{
    for (size_t back = 1; back <= outbox->count && back <= LOOK_BACK_MAX;
         back++) {
        struct letter *letter = &outbox->letters[outbox->count - back];

        if (letter->side == side &&
            memcmp(&letter->peer, peer, sizeof(*peer)) == 0) {
            return letter;
        }
    }
    return NULL;
}

struct buf *
outbox_add(struct outbox *outbox, enum side side, const struct link_peer *peer,
           cJSON *head)
{
    struct letter *letter = outbox_open(outbox, side, peer);

    wire_print(head, &letter->head);
    return &letter->body;
}
