/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "base/mem.h"
#include "store/verify_rows.h"

/* ---- longer work ---- */

static int
compare_works(const void *left, const void *right)
{
    const struct work *a = left, *b = right;

    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

/* Timers of these kinds are due at times that nothing else tells: they are
 * noted, so that they need not be looked for. There are a few at a time. */
static bool
is_work(enum timer_kind kind)
{
    return kind == TIMER_ABANDON ||
           (kind >= TIMER_FAN_OUT && kind <= TIMER_DROP) ||
           (kind >= TIMER_FILE_READ && kind <= TIMER_FILE_DROP);
}

static int
note_work(struct check *check, size_t *capacity, struct work work,
          struct err *err)
{
    if (check->work_count == VERIFY_WORKS_MAX) {
        return err_set(err, E_FULL,
                       "more than %d longer works are on their way; let the "
                       "broker end them first",
                       VERIFY_WORKS_MAX);
    }
    if (check->work_count == *capacity) {
        *capacity = *capacity ? *capacity * 2 : 64;
        check->works =
            mem_grow(check->works, *capacity, sizeof(check->works[0]));
    }
    check->works[check->work_count++] = work;
    return 0;
}

/* The keys tell all, also where a value is damaged. */
int
works_note(struct check *check, struct err *err)
{
    struct key key = key_start();
    struct slice found;
    size_t capacity = 0;
    int rc = 0;

    while (rc == 0 &&
           table_seek(check->store, TABLE_TIMER, key, 0, &found, NULL) == 0) {
        struct work work = { .kind = (unsigned char)found.data[8],
                             .id = key_get_u64(found, 9) };

        key = key_u8(key_bytes(key_start(), found.data, found.bytes), 0);
        if (is_work(work.kind))
            rc = note_work(check, &capacity, work, err);
    }
    if (check->work_count > 0) {
        qsort(check->works, check->work_count, sizeof(check->works[0]),
              compare_works);
    }
    return rc;
}

void
works_forget(struct check *check)
{
    free(check->works);
    check->works = NULL;
    check->work_count = 0;
}

bool
has_work(const struct check *check, enum timer_kind kind, uint64_t id)
{
    const struct work work = { .id = id, .kind = kind };

    return check->work_count > 0 &&
           bsearch(&work, check->works, check->work_count,
                   sizeof(check->works[0]), compare_works);
}

bool
is_swept(const struct check *check, uint64_t batch)
{
    return has_work(check, TIMER_CANCEL, batch) ||
           has_work(check, TIMER_EXPIRE, batch) ||
           has_work(check, TIMER_RETRY, batch) ||
           has_work(check, TIMER_DROP, batch);
}

bool
has_timer(struct check *check, int64_t due_ms, enum timer_kind kind,
          uint64_t id)
{
    return has_row(
        check, TABLE_TIMER,
        key_u64(key_u8(key_u64(key_start(), (uint64_t)due_ms), kind), id));
}

void
set_work(struct check *check, enum timer_kind kind, uint64_t id)
{
    store_timer_set(check->store,
                    &(struct timer){ .due_ms = check->store->now_ms,
                                     .kind = kind,
                                     .id = id });
}

/* ---- rows ---- */

void
timer_restart(struct check *check)
{
    enum timer_kind kind = (unsigned char)check->key.data[8];
    uint64_t id = key_get_u64(check->key, 9);
    struct batch batch;
    struct buf *out;
    bool is_whole = kind == TIMER_DROP &&
                    store_batch_get(check->store, id, &batch) == 0 &&
                    batch.state == BATCH_PURGED;

    out = table_fields(check->store);
    record_u64(out, 0);
    record_u32(out, 0);
    record_u32(out, is_whole ? DROP_WHOLE : 0);
    table_put(check->store, TABLE_TIMER,
              key_bytes(key_start(), check->key.data, check->key.bytes));
}

/* The deadline of a batch that is to end at it. One that abandons a batch may be
 * left over: how long one may stay open is a matter of the configuration. */
static void
compare_deadline(struct check *check, const struct timer *timer)
{
    struct batch batch;
    int rc = store_batch_get(check->store, timer->id, &batch);

    if (MEND(check,
             rc == E_CORRUPT || (rc == 0 && batch_is_under_way(&batch) &&
                                 batch.deadline_ms == timer->due_ms),
             "no batch waits for it")) {
        drop_row(check);
    }
}

static void
compare_delay(struct check *check, const struct timer *timer)
{
    struct request request;
    int rc = store_request_get(check->store, timer->id, &request);

    if (MEND(check,
             rc == E_CORRUPT || (rc == 0 && request.state == REQUEST_DELAYED &&
                                 request.due_ms == timer->due_ms),
             "no request waits for it")) {
        drop_row(check);
    }
}

static void
compare_file_end(struct check *check, const struct timer *timer)
{
    struct file file;
    int rc = store_file_get(check->store, timer->id, &file);

    if (MEND(check,
             rc == E_CORRUPT || (rc == 0 && file.state != FILE_DELETED &&
                                 file.end_ms == timer->due_ms),
             "no file waits for it")) {
        drop_row(check);
    }
}

static void
compare_delivery(struct check *check, const struct timer *timer)
{
    struct delivery delivery;
    int rc = store_delivery_get(check->store, timer->id, &delivery);

    if (MEND(check,
             rc == E_CORRUPT || (rc == 0 && delivery.due_ms == timer->due_ms),
             "no delivery waits for it")) {
        drop_row(check);
    }
}

void
verify_timer(struct check *check, struct slice key, struct record *record)
{
    struct timer timer = { .due_ms = (int64_t)key_get_u64(key, 0),
                           .kind = (unsigned char)key.data[8],
                           .id = key_get_u64(key, 9) };

    (void)record_get_u64(record);
    (void)record_get_u32(record);
    (void)record_get_u32(record);
    if (MEND(check, record_end(record) == 0, "damaged"))
        timer_restart(check);
    if (MEND(check, timer.kind >= TIMER_REQUEST && timer.kind <= TIMER_LAST,
             "unknown")) {
        drop_row(check);
    }
    if (timer.kind == TIMER_DEADLINE)
        compare_deadline(check, &timer);
    else if (timer.kind == TIMER_REQUEST)
        compare_delay(check, &timer);
    else if (timer.kind == TIMER_FILE_END)
        compare_file_end(check, &timer);
    else if (timer.kind == TIMER_DELIVERY)
        compare_delivery(check, &timer);
}

/* ---- deliveries ---- */

void
verify_delivery(struct check *check, struct slice key, struct record *record)
{
    struct delivery delivery = { .id = key_get_u64(key, 0) };

    if (delivery_decode(record, &delivery) < 0) {
        if (MEND(check, false, "damaged"))
            drop_row(check);
        return;
    }
    if (MEND(check, delivery.id <= check->store->ids.delivery,
             "its number was not given out")) {
        raise_number(check, &check->store->ids.delivery, delivery.id);
    }
    if (MEND(check,
             has_timer(check, delivery.due_ms, TIMER_DELIVERY, delivery.id),
             "its timer is missing")) {
        delivery_place(check->store, &delivery);
        return;
    }
    if (MEND(check,
             delivery.state != DELIVERY_WAITING ||
                 has_row(check, TABLE_PENDING, key_pending(&delivery)),
             "it is not among those that wait")) {
        delivery_place(check->store, &delivery);
    }
}

void
verify_pending(struct check *check, struct slice key, struct record *record)
{
    uint64_t id = key_get_u64(key, 16);
    struct delivery delivery;
    struct key want = key_start();
    int rc;

    if (MEND(check, record_end(record) == 0, "damaged")) {
        drop_row(check);
        return;
    }
    rc = store_delivery_get(check->store, id, &delivery);
    if (rc == 0)
        want = key_pending(&delivery);
    if (MEND(check,
             rc == E_CORRUPT ||
                 (rc == 0 && delivery.state == DELIVERY_WAITING &&
                  slice_equal(key, key_slice(&want))),
             "no delivery waits there")) {
        drop_row(check);
    }
}
