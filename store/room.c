/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "store/table.h"

/* A disk keeps the same share free as the store does, but no more than one of
 * this size would. */
#define DISK_BYTES_MAX (2ull << 30)

#define DRAFT_BYTES 512   /* its rows, beside its line */
#define STEP_BYTES  16384 /* pages that a row of a slice may rewrite */
#define STEPS_MIN   8
#define MIB         1048576.0

/* How much there is, and where the limits are; all in bytes. */
struct room {
    struct store_usage usage;
    uint64_t end;    /* no byte can be written beyond */
    uint64_t by_end; /* the end as the disk has it */
};

static uint64_t
add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t
sub(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static uint64_t
least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Where the store has reached a share of its size, or its disk of its own. */
static uint64_t
mark(const struct room *room, unsigned percent, uint64_t disk_bytes)
{
    uint64_t disk = least(disk_bytes, DISK_BYTES_MAX);

    return least(room->usage.bytes_max / 100 * percent,
                 sub(room->by_end, disk / 100 * (100 - percent)));
}

static uint64_t
count_drafts(struct store *store)
{
    return add(store->engine->ops->rows(store->engine, TABLE_DRAFT),
               store->ids.drafts);
}

/* Counting what the store has takes longer than all else that a result does to
 * it: first it is asked whether there is room though it may be more than it is,
 * and only if there is not, exactly. */
static struct room
measure(struct store *store, bool is_exact)
{
    const struct engine_ops *ops = store->engine->ops;
    struct room room = { .usage = { .bytes_max = store->bytes_max } };
    struct engine_usage engine;
    uint64_t drafts, results;

    assert(store->is_open);
    ops->usage(store->engine, is_exact, &engine);
    drafts = count_drafts(store);
    results = ops->rows(store->engine, TABLE_RESULT);
    room.usage.bytes = engine.bytes;
    room.usage.disk_free = engine.disk_free;
    room.usage.bytes_promised = sub(drafts, results) * STORE_RESULT_BYTES;
    room.by_end = add(engine.bytes, engine.disk_free);
    room.end = least(engine.bytes_max, room.by_end);
    room.usage.bytes_soft = mark(&room, store->soft_percent, engine.disk_bytes);
    room.usage.bytes_hard = mark(&room, store->hard_percent, engine.disk_bytes);
    return room;
}

struct store_usage
store_usage(struct store *store)
{
    const struct engine_ops *ops = store->engine->ops;
    struct store_usage usage = measure(store, true).usage;

    usage.batches = ops->rows(store->engine, TABLE_BATCH);
    usage.drafts = count_drafts(store);
    usage.requests = ops->rows(store->engine, TABLE_REQUEST);
    usage.ready = store->ready_count;
    usage.delayed = store->delayed;
    usage.leases = ops->rows(store->engine, TABLE_LEASE);
    usage.results = ops->rows(store->engine, TABLE_RESULT);
    usage.files = ops->rows(store->engine, TABLE_FILE);
    usage.outcomes = ops->rows(store->engine, TABLE_ANSWER) +
                     ops->rows(store->engine, TABLE_REPLY);
    return usage;
}

uint64_t
store_bytes(struct store *store)
{
    struct engine_usage usage;

    assert(store->is_open);
    store->engine->ops->usage(store->engine, true, &usage);
    return usage.bytes;
}

void
store_set_marks(struct store *store, unsigned soft_percent,
                unsigned hard_percent)
{
    assert(soft_percent <= hard_percent && hard_percent <= 100);
    store->soft_percent = soft_percent;
    store->hard_percent = hard_percent;
}

/* True if `coming` bytes more would not pass a mark. */
static bool
has_room(const struct room *room, bool is_soft, uint64_t coming)
{
    const struct store_usage *usage = &room->usage;
    uint64_t most = is_soft ? usage->bytes_soft : usage->bytes_hard;

    return add(add(usage->bytes, usage->bytes_promised), coming) <= most;
}

/* Refuses them if they would. */
static int
admit(struct store *store, const char *what, bool is_soft, uint64_t coming,
      struct err *err)
{
    struct room room = measure(store, false);
    const struct store_usage *usage = &room.usage;
    unsigned percent = is_soft ? store->soft_percent : store->hard_percent;
    uint64_t most;
    bool is_disk;

    if (has_room(&room, is_soft, coming))
        return 0;
    room = measure(store, true);
    if (has_room(&room, is_soft, coming))
        return 0;
    most = is_soft ? usage->bytes_soft : usage->bytes_hard;
    is_disk = most < usage->bytes_max / 100 * percent;
    return err_set(
        err, E_FULL,
        "the store is full: %.1f MiB are used and %.1f MiB kept for results "
        "to come; the %s limit, for %s, is %.1f MiB (%u %% of %s); purge "
        "batches, or %s",
        (double)usage->bytes / MIB, (double)usage->bytes_promised / MIB,
        is_soft ? "soft" : "hard", what, (double)most / MIB, percent,
        is_disk ? "its disk" : "store_bytes_max",
        is_disk ? "make room on the disk" : "raise store_bytes_max");
}

int
store_admit_batch(struct store *store, struct err *err)
{
    return admit(store, "new batches", true, 0, err);
}

int
store_admit_chunk(struct store *store, size_t bytes, size_t drafts,
                  struct err *err)
{
    return admit(store, "more drafts", false,
                 bytes + drafts * (DRAFT_BYTES + STORE_RESULT_BYTES), err);
}

int
store_admit_file(struct store *store, uint64_t bytes, struct err *err)
{
    return admit(store, "new files", true, bytes, err);
}

int
store_admit_part(struct store *store, uint64_t bytes, struct err *err)
{
    return admit(store, "parts of files", false, bytes, err);
}

/* True if one lease more leaves enough to those that there are. */
static bool
has_room_to_lease(struct store *store, bool is_exact)
{
    struct room room = measure(store, is_exact);
    uint64_t leases = store->engine->ops->rows(store->engine, TABLE_LEASE);
    uint64_t kept = sub(room.end, room.usage.bytes_hard) / 2;

    return add(room.usage.bytes, (leases + 1) * STORE_RESULT_BYTES) <=
           sub(room.end, kept);
}

bool
store_may_lease(struct store *store)
{
    return has_room_to_lease(store, false) || has_room_to_lease(store, true);
}

/* How many rows of a slice there is room for. */
static uint64_t
steps_left(struct store *store, bool is_exact)
{
    struct room room = measure(store, is_exact);

    return sub(room.end, room.usage.bytes) / STEP_BYTES;
}

size_t
store_slice(struct store *store)
{
    uint64_t steps = steps_left(store, false);

    if (steps < STORE_SLICE_MAX)
        steps = steps_left(store, true);
    if (steps < STEPS_MIN)
        return STEPS_MIN;
    return steps < STORE_SLICE_MAX ? (size_t)steps : STORE_SLICE_MAX;
}
