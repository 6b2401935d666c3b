/* SPDX-License-Identifier: MIT */
#include "queue/parcel.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct message
parcel_message(const struct parcel *parcel)
{
    return (struct message){ .side = parcel->side,
                             .peer = &parcel->peer,
                             .head = buf_slice(&parcel->head),
                             .body = parcel->body,
                             .gathered = parcel->order
                                             ? &parcel->order->gathered
                                             : NULL };
}

void
parcel_close_order(struct parcel *parcel, struct reader *reader)
{
    if (parcel->order)
        reader_close(reader, parcel->order);
    parcel->order = NULL;
}

void
parcels_init(struct parcels *parcels, size_t items_max, size_t bytes_max)
{
    size_t all = 2 * items_max; /* each has an item at least */

    assert(items_max > 0);
    *parcels =
        (struct parcels){ .items_max = items_max, .bytes_max = bytes_max };
    parcels->all = mem_zalloc(all, sizeof(parcels->all[0]));
    parcels->spare = mem_zalloc(all, sizeof(struct parcel *));
    parcels->waiting.list = mem_zalloc(items_max, sizeof(struct parcel *));
    parcels->taken.list = mem_zalloc(items_max, sizeof(struct parcel *));
}

void
parcels_fini(struct parcels *parcels)
{
    for (size_t i = 0; i < parcels->used_count; i++) {
        buf_fini(&parcels->all[i].head);
        buf_fini(&parcels->all[i].small);
        link_body_free(parcels->all[i].large);
    }
    free(parcels->all);
    free(parcels->spare);
    free(parcels->waiting.list);
    free(parcels->taken.list);
    *parcels = (struct parcels){ 0 };
}

static size_t
buffer_bytes(const struct parcel *parcel)
{
    return parcel->head.capacity + parcel->small.capacity;
}

/* One with buffers, as long as there is any. */
static struct parcel *
open_parcel(struct parcels *parcels)
{
    struct parcel *parcel;

    if (parcels->spare_count == 0) {
        assert(parcels->used_count < 2 * parcels->items_max);
        return &parcels->all[parcels->used_count++];
    }
    parcel = parcels->spare[--parcels->spare_count];
    if (parcels->bare_count > parcels->spare_count)
        parcels->bare_count = parcels->spare_count;
    parcels->kept_bytes -= buffer_bytes(parcel);
    return parcel;
}

static void
close_parcel(struct parcels *parcels, struct parcel *parcel)
{
    struct parcel **spare = parcels->spare;

    assert(!parcel->order);
    parcel->body = (struct slice){ 0 };
    link_body_free(parcel->large);
    parcel->large = NULL;
    if (buffer_bytes(parcel) > PARCEL_KEEP_BYTES_MAX ||
        parcels->kept_bytes + buffer_bytes(parcel) > PARCELS_KEEP_BYTES_MAX) {
        buf_fini(&parcel->head);
        buf_fini(&parcel->small);
        spare[parcels->spare_count++] = spare[parcels->bare_count];
        spare[parcels->bare_count++] = parcel;
        return;
    }
    parcels->kept_bytes += buffer_bytes(parcel);
    spare[parcels->spare_count++] = parcel;
}

void
parcels_reset(struct parcels *parcels)
{
    struct parcel_row *taken = &parcels->taken;

    for (size_t i = taken->count; i > 0; i--)
        close_parcel(parcels, taken->list[i - 1]);
    taken->count = taken->items = taken->bytes = 0;
}

/* What a message weighs in a transaction: its drafts, one a line of its body;
 * or its results, each of which is an object in its header, and not the only
 * one. */
static size_t
count_items(const struct parcel *parcel)
{
    bool is_client = parcel->side == SIDE_CLIENTS;
    struct slice text = is_client ? parcel->body : buf_slice(&parcel->head);
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

static bool
is_full(const struct parcels *parcels, const struct parcel_row *row)
{
    return row->items >= parcels->items_max || row->bytes >= parcels->bytes_max;
}

bool
parcels_are_full(const struct parcels *parcels)
{
    return is_full(parcels, &parcels->taken);
}

bool
parcels_have_room(const struct parcels *parcels)
{
    const struct parcel_row *waiting = &parcels->waiting;

    return waiting->count < parcels->items_max &&
           waiting->bytes < parcels->bytes_max;
}

static void
add(struct parcel_row *row, struct parcel *parcel)
{
    row->list[row->count++] = parcel;
    row->items += parcel->items;
    row->bytes += parcel->head.bytes + parcel->body.bytes;
}

size_t
parcels_receive(struct parcels *parcels, struct link *const links[2])
{
    size_t bad = 0;

    parcels->is_workers_turn = !parcels->is_workers_turn;
    for (int i = 0; i < 2; i++) {
        int side = parcels->is_workers_turn ? !i : i;

        while (parcels_have_room(parcels)) {
            struct parcel *parcel = open_parcel(parcels);
            int rc = link_take(links[side], &parcel->peer, &parcel->head,
                               &parcel->small, &parcel->large);

            if (rc != 0) {
                close_parcel(parcels, parcel);
                if (rc == 1)
                    break;
                bad++;
                continue;
            }
            parcel->body = parcel->large ? link_body_text(parcel->large)
                                         : buf_slice(&parcel->small);
            parcel->side = (enum side)side;
            parcel->was_offered = false;
            parcel->items = count_items(parcel);
            add(&parcels->waiting, parcel);
        }
    }
    return bad;
}

/* False: the reader takes no more orders now. */
static bool
offer(struct parcel *parcel, struct reader *reader, struct broker *broker)
{
    struct message message = parcel_message(parcel);
    struct order *order;
    struct slice options;
    uint64_t batch;

    if (!broker_may_gather(broker, &message, &batch, &options) ||
        options.bytes > READER_OPTIONS_BYTES_MAX) {
        return true;
    }
    order = reader_open(reader);
    if (!order)
        return false;
    order->batch = batch;
    order->body = message.body;
    buf_add_slice(&order->options, options);
    parcel->order = order;
    reader_give(reader, order);
    return true;
}

void
parcels_offer(struct parcels *parcels, struct reader *reader,
              struct broker *broker)
{
    struct parcel_row *row = &parcels->waiting;

    /* Beside the only one there would be nothing to do but wait for it. */
    if (row->count == 1 && parcels->taken.count == 0)
        return;
    for (size_t i = 0; i < row->count; i++) {
        struct parcel *parcel = row->list[i];

        if (parcel->was_offered || parcel->side != SIDE_CLIENTS ||
            parcel->body.bytes < PARCEL_AHEAD_BYTES_MIN) {
            continue;
        }
        if (!offer(parcel, reader, broker))
            return;
        parcel->was_offered = true;
    }
}

static bool
is_sender(const struct parcel *a, const struct parcel *b)
{
    return a->side == b->side && a->peer.bytes == b->peer.bytes &&
           memcmp(a->peer.id, b->peer.id, a->peer.bytes) == 0;
}

/* True if it is being read, or comes after one of the first `count` that have
 * to wait. */
static bool
must_wait(const struct parcel_row *row, size_t count,
          const struct parcel *parcel)
{
    if (parcel->order && !parcel->order->is_read)
        return true;
    for (size_t i = 0; i < count; i++) {
        if (is_sender(row->list[i], parcel))
            return true;
    }
    return false;
}

/* Takes what there is room for of one sender, or what no reader has had of all
 * of them. */
static void
take_of(struct parcels *parcels, const struct parcel *sender)
{
    struct parcel_row *row = &parcels->waiting;
    size_t kept = 0;

    for (size_t i = 0; i < row->count; i++) {
        struct parcel *parcel = row->list[i];
        bool is_wanted = sender ? is_sender(sender, parcel) : !parcel->order;

        if (!is_wanted || parcels_are_full(parcels) ||
            must_wait(row, kept, parcel)) {
            row->list[kept++] = parcel;
            continue;
        }
        row->items -= parcel->items;
        row->bytes -= parcel->head.bytes + parcel->body.bytes;
        add(&parcels->taken, parcel);
    }
    row->count = kept;
}

/* The first that can be taken; NULL: none. */
static const struct parcel *
first_ready(const struct parcel_row *row)
{
    for (size_t i = 0; i < row->count; i++) {
        if (!must_wait(row, i, row->list[i]))
            return row->list[i];
    }
    return NULL;
}

void
parcels_take(struct parcels *parcels)
{
    const struct parcel *first;

    take_of(parcels, NULL);
    while (!parcels_are_full(parcels) &&
           (first = first_ready(&parcels->waiting)))
        take_of(parcels, first);
}
