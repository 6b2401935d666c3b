/* SPDX-License-Identifier: MIT */
#include "tests/room.h"

#include <assert.h>

#include "base/err.h"

/* The operations that an engine has are the first of the room's. */
static struct room *
room_of(const struct engine *engine)
{
    return (struct room *)(void *)engine->ops;
}

static bool
takes_row(struct room *room)
{
    if (room->rows == 0)
        room->is_over = true;
    else
        room->rows--;
    return !room->is_over;
}

static int
put(struct engine *engine, enum table table, struct slice key,
    struct slice value)
{
    struct room *room = room_of(engine);

    return takes_row(room) ? room->own->put(engine, table, key, value) : E_FULL;
}

static int
append(struct engine *engine, enum table table, struct slice key,
       struct slice value)
{
    struct room *room = room_of(engine);

    return takes_row(room) ? room->own->append(engine, table, key, value)
                           : E_FULL;
}

static int
del(struct engine *engine, enum table table, struct slice key)
{
    struct room *room = room_of(engine);

    return takes_row(room) ? room->own->del(engine, table, key) : E_FULL;
}

static int
get(struct engine *engine, enum table table, struct slice key,
    struct slice *value)
{
    struct room *room = room_of(engine);

    return room->is_over ? E_IO : room->own->get(engine, table, key, value);
}

static int
seek(struct engine *engine, enum table table, struct slice key,
     struct slice *found, struct slice *value)
{
    struct room *room = room_of(engine);

    return room->is_over ? E_IO
                         : room->own->seek(engine, table, key, found, value);
}

static int
before(struct engine *engine, enum table table, struct slice key,
       struct slice *found, struct slice *value)
{
    struct room *room = room_of(engine);

    return room->is_over ? E_IO
                         : room->own->before(engine, table, key, found, value);
}

static uint64_t
rows(struct engine *engine, enum table table)
{
    struct room *room = room_of(engine);

    return room->is_over ? 0 : room->own->rows(engine, table);
}

void
room_limit(struct room *room, struct store *store, uint64_t count)
{
    assert(!room->own);
    room->own = store->engine->ops;
    room->ops = *room->own;
    room->ops.put = put;
    room->ops.append = append;
    room->ops.del = del;
    room->ops.get = get;
    room->ops.seek = seek;
    room->ops.before = before;
    room->ops.rows = rows;
    room->rows = count;
    room->is_over = false;
    store->engine->ops = &room->ops;
}

bool
room_restore(struct room *room, struct store *store)
{
    if (!room->own)
        return false;
    store->engine->ops = room->own;
    room->own = NULL;
    return room->is_over;
}
