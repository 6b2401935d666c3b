/* SPDX-License-Identifier: MIT */
#include "store/verify_rows.h"

/* A run that is looked at: a row, or the tail of its batch. */
struct look {
    const struct batch *batch;
    bool has_batch; /* else its record is damaged, or gone */
    bool is_tail;
    struct run run;
};

static bool
is_same(const struct run *one, const struct run *other)
{
    return one->first.stem == other->first.stem &&
           one->first.number == other->first.number &&
           one->index == other->index && one->count == other->count;
}

void
compare_name(struct check *check, const struct draft *draft)
{
    struct batch batch;
    struct run run;

    if (store_batch_get(check->store, draft->batch, &batch) < 0)
        return; /* it may have the name */
    if (MEND(check, name_place(check->store, &batch, draft, &run) != E_NOTFOUND,
             "not found by its id")) {
        name_restore(check->store, draft);
    }
}

/* True if the run is the one by which the draft is found, or may be: the draft, or
 * what leads to it, is damaged. What is in a row as in the tail is the tail's. */
static bool
leads_to(struct check *check, const struct look *look,
         const struct draft *draft)
{
    struct run run;
    int rc = look->has_batch
                 ? name_place(check->store, look->batch, draft, &run)
                 : E_CORRUPT;

    if (rc != 0)
        return rc != E_NOTFOUND;
    return is_same(&run, &look->run) &&
           is_same(&run, &look->batch->tail) == look->is_tail;
}

/* The same for the draft at an index, which may not be there. *next is the index
 * behind it, or that of the next draft there is. */
static bool
has_name(struct check *check, const struct look *look, uint32_t index,
         uint64_t *next)
{
    struct draft draft;
    int rc = draft_next(check->store, look->batch->id, index, &draft);

    *next = (uint64_t)index + 1;
    if (rc == E_NOTFOUND)
        *next = UINT64_MAX;
    else if (rc < 0 && rc != E_CORRUPT)
        return true; /* the store has failed */
    else if (draft.index == index)
        return rc == E_CORRUPT || leads_to(check, look, &draft);
    else
        *next = draft.index;
    return false;
}

/* The first names of the run that are wrong, from the draft at *from to the one
 * before *end. False: none are. */
static bool
find_wrong(struct check *check, const struct look *look, uint64_t *from,
           uint64_t *end)
{
    uint64_t first = look->run.index, behind = first + look->run.count;
    uint64_t next;
    bool is_found = false;

    for (uint64_t at = first; at < behind && !check->is_ended; at = next) {
        bool is_wrong = !has_name(check, look, (uint32_t)at, &next);

        if (is_found && !is_wrong)
            break;
        if (!is_found)
            *from = at;
        *end = next < behind ? next : behind;
        is_found = is_wrong;
        ask(check, at - first);
    }
    return is_found && !check->is_ended;
}

/* What is before the wrong names stays, as does what is behind them: that is looked
 * at next. */
static void
cut(struct check *check, const struct look *look, uint64_t from, uint64_t end)
{
    struct run before = look->run, behind = look->run;
    uint32_t gone = (uint32_t)(end - look->run.index);

    before.count = (uint32_t)(from - look->run.index);
    behind.first.number += gone;
    behind.index += gone;
    behind.count -= gone;
    if (before.count > 0)
        run_put(check->store, look->batch->id, &before);
    else
        drop_row(check);
    if (behind.count > 0)
        run_put(check->store, look->batch->id, &behind);
}

void
verify_name(struct check *check, struct slice key, struct record *record)
{
    struct batch batch = { .id = key_get_u64(key, 0) };
    struct look look = { .batch = &batch,
                         .run.first = { key_get_u64(key, 8),
                                        key_get_u64(key, 16) } };
    uint64_t from, end;

    if (has_work(check, TIMER_DROP, batch.id))
        return; /* drafts go first */
    if (run_decode(record, &look.run) < 0) {
        if (stale(check, "damaged"))
            drop_row(check);
        return;
    }
    look.has_batch = store_batch_get(check->store, batch.id, &batch) == 0;
    if (find_wrong(check, &look, &from, &end) &&
        stale(check, "draft %llu has another, or is not there", (llu)from)) {
        cut(check, &look, from, end);
    }
}

void
compare_tail(struct check *check, struct batch *batch)
{
    struct look look = {
        .batch = batch, .has_batch = true, .is_tail = true, .run = batch->tail
    };
    struct draft draft;
    uint64_t from, end, number = RUN_NO_LIMIT;

    /* Where there is no draft, there is nothing to tell by what is wrong. */
    if (draft_next(check->store, batch->id, 0, &draft) == E_NOTFOUND)
        return;
    /* As a row it is mended like others. */
    if (find_wrong(check, &look, &from, &end) &&
        stale(check,
              "its newest names: draft %llu has another, or is not there",
              (llu)from)) {
        run_put(check->store, batch->id, &batch->tail);
        name_drop_tail(check->store, batch);
    }
    if (batch->tail_limit == 0)
        return;
    if (run_limit(check->store, batch->id, batch->tail.first, &number) == 0 &&
        MEND(check, batch->tail_limit <= number,
             "its newest names may go on into others")) {
        batch->tail_limit = 0;
        batch_put(check->store, batch);
    }
}
