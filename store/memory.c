/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "store/engine.h"
#include "store/number.h"

/* A treap per table: a search tree by key that is a heap by a hash of the key,
 * and so balanced without chance. A transaction keeps the old values of what it
 * touched, newest last, and puts them back when it is forgotten. */
struct node {
    struct node *less, *more;
    uint64_t head; /* of the key, see head_of() */
    uint64_t rank;
    char *key, *value;
    size_t key_bytes, value_bytes;
};

struct undo {
    enum table table;
    char *key, *value; /* value is NULL if there was no such row */
    size_t key_bytes, value_bytes;
};

struct memory {
    struct engine engine; /* first: the engine is the memory */
    struct node *roots[TABLE_COUNT];
    struct undo *undos;
    size_t undo_count, undo_capacity;
    uint64_t rows[TABLE_COUNT];
    uint64_t bytes, bytes_max;
    bool is_open; /* in a transaction */
};

static struct memory *
memory_of(struct engine *engine)
{
    return (struct memory *)engine;
}

/* A key that is looked for. */
struct sought {
    uint64_t head;
    struct slice key;
};

static struct slice
node_key(const struct node *node)
{
    return (struct slice){ node->key, node->key_bytes };
}

/* The first bytes of a key as a number, as if it went on with zeroes. Keys of which
 * they differ are in the order of these, and most do: where a key lies in memory is
 * then of no interest. */
static uint64_t
head_of(struct slice key)
{
    unsigned char bytes[8] = { 0 };

    if (key.bytes > 0) {
        memcpy(bytes, key.data,
               key.bytes < sizeof(bytes) ? key.bytes : sizeof(bytes));
    }
    return number_get64(bytes);
}

static struct sought
sought_of(struct slice key)
{
    return (struct sought){ head_of(key), key };
}

/* Less than 0 if what is sought comes before the node. */
static int
compare(const struct sought *sought, const struct node *node)
{
    struct slice a = sought->key, b = node_key(node);
    size_t bytes = a.bytes < b.bytes ? a.bytes : b.bytes;
    int order;

    if (sought->head != node->head)
        return sought->head < node->head ? -1 : 1;
    order = bytes ? memcmp(a.data, b.data, bytes) : 0;
    if (order != 0)
        return order;
    return a.bytes < b.bytes ? -1 : a.bytes > b.bytes;
}

static void
node_free(struct node *node)
{
    free(node->key);
    free(node->value);
    free(node);
}

/* Splits a tree into keys below the one that is sought and the others. */
static void
split(struct node *tree, const struct sought *sought, struct node **less,
      struct node **more)
{
    if (!tree) {
        *less = *more = NULL;
    } else if (compare(sought, tree) > 0) {
        split(tree->more, sought, &tree->more, more);
        *less = tree;
    } else {
        split(tree->less, sought, less, &tree->less);
        *more = tree;
    }
}

static struct node *
merge(struct node *less, struct node *more)
{
    if (!less || !more)
        return less ? less : more;
    if (less->rank > more->rank) {
        less->more = merge(less->more, more);
        return less;
    }
    more->less = merge(less, more->less);
    return more;
}

static struct node *
find(struct memory *memory, enum table table, struct slice key)
{
    struct node *node = memory->roots[table];
    struct sought sought = sought_of(key);

    while (node) {
        int order = compare(&sought, node);

        if (order == 0)
            return node;
        node = order < 0 ? node->less : node->more;
    }
    return NULL;
}

static void
insert(struct memory *memory, enum table table, struct slice key,
       struct slice value)
{
    struct node *node = mem_zalloc(1, sizeof(*node)), *less, *more;
    struct sought sought = sought_of(key);

    node->head = sought.head;
    node->rank = digest_xxh(key.data, key.bytes, 0);
    node->key = mem_dup(key.data, key.bytes);
    node->key_bytes = key.bytes;
    node->value = mem_dup(value.data, value.bytes);
    node->value_bytes = value.bytes;
    split(memory->roots[table], &sought, &less, &more);
    memory->roots[table] = merge(merge(less, node), more);
    memory->bytes += key.bytes + value.bytes;
    memory->rows[table]++;
}

static void
take_out(struct memory *memory, enum table table, struct slice key)
{
    struct node **place = &memory->roots[table], *node;
    struct sought sought = sought_of(key);
    int order;

    while ((order = compare(&sought, *place)) != 0)
        place = order < 0 ? &(*place)->less : &(*place)->more;
    node = *place;
    *place = merge(node->less, node->more);
    memory->bytes -= node->key_bytes + node->value_bytes;
    memory->rows[table]--;
    node_free(node);
}

/* Remembers what is there for a key before it changes. */
static void
remember(struct memory *memory, enum table table, struct slice key)
{
    struct node *node = find(memory, table, key);
    struct undo *undo;

    assert(memory->is_open);
    if (memory->undo_count == memory->undo_capacity) {
        memory->undo_capacity = memory->undo_capacity * 2 + 64;
        memory->undos = mem_grow(memory->undos, memory->undo_capacity,
                                 sizeof(memory->undos[0]));
    }
    undo = &memory->undos[memory->undo_count++];
    *undo = (struct undo){ .table = table,
                           .key = mem_dup(key.data, key.bytes),
                           .key_bytes = key.bytes };
    if (node) {
        undo->value = mem_dup(node->value, node->value_bytes);
        undo->value_bytes = node->value_bytes;
    }
}

static void
set(struct memory *memory, enum table table, struct slice key,
    struct slice value)
{
    if (find(memory, table, key))
        take_out(memory, table, key);
    insert(memory, table, key, value);
}

static int
memory_begin(struct engine *engine, struct err *err)
{
    (void)err;
    assert(!memory_of(engine)->is_open);
    memory_of(engine)->is_open = true;
    return 0;
}

static void
end(struct memory *memory)
{
    for (size_t i = 0; i < memory->undo_count; i++) {
        free(memory->undos[i].key);
        free(memory->undos[i].value);
    }
    memory->undo_count = 0;
    memory->is_open = false;
}

static int
memory_commit(struct engine *engine, struct err *err)
{
    (void)err;
    assert(memory_of(engine)->is_open);
    end(memory_of(engine));
    return 0;
}

static void
memory_abort(struct engine *engine)
{
    struct memory *memory = memory_of(engine);

    for (size_t i = memory->undo_count; i > 0; i--) {
        struct undo *undo = &memory->undos[i - 1];
        struct slice key = { undo->key, undo->key_bytes };

        if (undo->value) {
            set(memory, undo->table, key,
                (struct slice){ undo->value, undo->value_bytes });
        } else if (find(memory, undo->table, key)) {
            take_out(memory, undo->table, key);
        }
    }
    end(memory);
}

static int
memory_get(struct engine *engine, enum table table, struct slice key,
           struct slice *value)
{
    struct node *node = find(memory_of(engine), table, key);

    assert(memory_of(engine)->is_open);
    if (!node)
        return E_NOTFOUND;
    if (value)
        *value = (struct slice){ node->value, node->value_bytes };
    return 0;
}

static int
memory_put(struct engine *engine, enum table table, struct slice key,
           struct slice value)
{
    struct memory *memory = memory_of(engine);
    const struct node *old = find(memory, table, key);
    size_t freed = old ? old->key_bytes + old->value_bytes : 0;

    if (memory->bytes - freed + key.bytes + value.bytes > memory->bytes_max)
        return E_FULL;
    remember(memory, table, key);
    set(memory, table, key, value);
    return 0;
}

static int
memory_del(struct engine *engine, enum table table, struct slice key)
{
    struct memory *memory = memory_of(engine);

    if (!find(memory, table, key))
        return E_NOTFOUND;
    remember(memory, table, key);
    take_out(memory, table, key);
    return 0;
}

static int
give(const struct node *node, struct slice *found, struct slice *value)
{
    if (!node)
        return E_NOTFOUND;
    if (found)
        *found = node_key(node);
    if (value)
        *value = (struct slice){ node->value, node->value_bytes };
    return 0;
}

static int
memory_seek(struct engine *engine, enum table table, struct slice key,
            struct slice *found, struct slice *value)
{
    struct node *node = memory_of(engine)->roots[table], *best = NULL;
    struct sought sought = sought_of(key);

    assert(memory_of(engine)->is_open);
    while (node) {
        if (compare(&sought, node) <= 0) {
            best = node;
            node = node->less;
        } else {
            node = node->more;
        }
    }
    return give(best, found, value);
}

static int
memory_before(struct engine *engine, enum table table, struct slice key,
              struct slice *found, struct slice *value)
{
    struct node *node = memory_of(engine)->roots[table], *best = NULL;
    struct sought sought = sought_of(key);

    assert(memory_of(engine)->is_open);
    while (node) {
        if (compare(&sought, node) > 0) {
            best = node;
            node = node->more;
        } else {
            node = node->less;
        }
    }
    return give(best, found, value);
}

static void
memory_usage(struct engine *engine, bool is_exact, struct engine_usage *usage)
{
    (void)is_exact; /* it always is */
    *usage = (struct engine_usage){ .bytes = memory_of(engine)->bytes,
                                    .bytes_max = memory_of(engine)->bytes_max,
                                    .disk_free = UINT64_MAX,
                                    .disk_bytes = UINT64_MAX };
}

static int
memory_reserve(struct engine *engine, size_t pages, struct err *err)
{
    (void)engine; /* it is all memory */
    (void)pages;
    (void)err;
    return 0;
}

static int
memory_snapshot(struct engine *engine, const struct pages *look,
                struct engine **snapshot, struct err *err)
{
    (void)engine;
    (void)look;
    (void)snapshot;
    return err_set(err, E_INVALID, "a store in memory has no snapshots");
}

static uint64_t
memory_rows(struct engine *engine, enum table table)
{
    return memory_of(engine)->rows[table];
}

static void
tree_free(struct node *node)
{
    if (!node)
        return;
    tree_free(node->less);
    tree_free(node->more);
    node_free(node);
}

static void
memory_close(struct engine *engine)
{
    struct memory *memory = memory_of(engine);

    if (memory->is_open)
        memory_abort(engine);
    for (int table = 0; table < TABLE_COUNT; table++)
        tree_free(memory->roots[table]);
    free(memory->undos);
    free(memory);
}

struct engine *
engine_open_memory(uint64_t max_bytes)
{
    static const struct engine_ops ops = {
        .begin = memory_begin,
        .commit = memory_commit,
        .abort = memory_abort,
        .get = memory_get,
        .put = memory_put,
        .append = memory_put,
        .del = memory_del,
        .seek = memory_seek,
        .before = memory_before,
        .usage = memory_usage,
        .reserve = memory_reserve,
        .snapshot = memory_snapshot,
        .rows = memory_rows,
        .close = memory_close,
    };
    struct memory *memory = mem_zalloc(1, sizeof(*memory));

    memory->engine.ops = &ops;
    memory->bytes_max = max_bytes;
    return &memory->engine;
}
