/* SPDX-License-Identifier: MIT */
#include "queue/parcel.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define BODY_KEEP_BYTES_MAX 65536 /* a larger buffer is not kept for reuse */

struct message
parcel_message(const struct parcel *parcel)
{
    return (struct message){ .side = parcel->side,
                             .peer = &parcel->peer,
                             .head = buf_slice(&parcel->head),
                             .body = buf_slice(&parcel->body) };
}

void
parcels_init(struct parcels *parcels, size_t items_max, size_t bytes_max)
{
    assert(items_max > 0);
    *parcels =
        (struct parcels){ .items_max = items_max, .bytes_max = bytes_max };
    parcels->list = mem_zalloc(items_max, sizeof(parcels->list[0]));
}

void
parcels_fini(struct parcels *parcels)
{
    for (size_t i = 0; parcels->list && i < parcels->items_max; i++) {
        buf_fini(&parcels->list[i].head);
        buf_fini(&parcels->list[i].body);
    }
    free(parcels->list);
    *parcels = (struct parcels){ 0 };
}

/* Large buffers are given back, so that one burst does not stay for ever. */
void
parcels_reset(struct parcels *parcels)
{
    for (size_t i = 0; i < parcels->count; i++) {
        if (parcels->list[i].body.capacity > BODY_KEEP_BYTES_MAX)
            buf_fini(&parcels->list[i].body);
    }
    parcels->count = parcels->items = parcels->bytes = 0;
}

/* What a message weighs in a transaction: its drafts, one a line of its body; or
 * its results, each of which is an object in its header, and not the only one. */
static size_t
count_items(const struct parcel *parcel)
{
    bool is_client = parcel->side == SIDE_CLIENTS;
    struct slice text = buf_slice(is_client ? &parcel->body : &parcel->head);
    const char *at = is_client ? text.data : text.data + 1;
    const char *end = text.data + text.bytes;
    char mark = is_client ? '\n' : '{';
    size_t count = 1;

    for (; at < end; at++) {
        at = memchr(at, mark, (size_t)(end - at));
        if (!at)
            break;
        count++;
    }
    return count;
}

bool
parcels_are_full(const struct parcels *parcels)
{
    return parcels->items >= parcels->items_max ||
           parcels->bytes >= parcels->bytes_max;
}

size_t
parcels_receive(struct parcels *parcels, struct link *const links[2])
{
    size_t bad = 0;

    for (int side = 0; side < 2; side++) {
        while (!parcels_are_full(parcels)) {
            struct parcel *parcel = &parcels->list[parcels->count];
            int rc = link_recv(links[side], &parcel->peer, &parcel->head,
                               &parcel->body);

            if (rc == 1)
                break;
            if (rc < 0) {
                bad++;
                continue;
            }
            parcel->side = (enum side)side;
            parcels->bytes += parcel->head.bytes + parcel->body.bytes;
            parcel->items = count_items(parcel);
            parcels->items += parcel->items;
            parcels->count++;
        }
    }
    return bad;
}
