/* Drafts in spans, as a plain array has them. */
/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/rows.h"
#include "tests/store_expect.h"

TestSuite(store_lmdb, .timeout = 60);
TestSuite(store_memory, .timeout = 60);

#define MODEL_BATCHES 3
#define MODEL_INDEXES 160
#define MODEL_STEPS   20000
#define MODEL_END     (UINT32_MAX - MODEL_INDEXES + 1) /* the last there are */

/* Revisions by batch and index; 0: there is no draft. */
typedef uint32_t model_rows[MODEL_BATCHES][MODEL_INDEXES];

struct model {
    struct play *play;
    uint64_t random;
    model_rows now, committed;
};

static uint32_t
pick(struct model *model, uint32_t below)
{
    model->random ^= model->random << 13;
    model->random ^= model->random >> 7;
    model->random ^= model->random << 17;
    return (uint32_t)(model->random >> 33) % below;
}

/* The last batch has the last indexes. */
static uint32_t
base_of(uint32_t batch)
{
    return batch == MODEL_BATCHES - 1 ? MODEL_END : 0;
}

static void
change(struct model *model, uint32_t batch, uint32_t at, bool is_kept)
{
    struct draft draft = { .batch = batch + 1,
                           .index = base_of(batch) + at,
                           .request = 1 };
    uint32_t *row = &model->now[batch][at];

    if (is_kept) {
        *row = 1 + pick(model, 1000);
        draft.revision = *row;
        draft_put(model->play->store, &draft);
    } else {
        *row = 0;
        draft_del(model->play->store, &draft);
    }
}

static void
compare(struct model *model, uint32_t batch, uint32_t at)
{
    uint32_t base = base_of(batch), next = at;
    struct draft draft;
    int rc = store_draft_get(model->play->store, batch + 1, base + at, &draft);

    cr_assert_eq(rc, model->now[batch][at] ? 0 : E_NOTFOUND);
    if (rc == 0)
        cr_assert_eq(draft.revision, model->now[batch][at]);
    while (next < MODEL_INDEXES && model->now[batch][next] == 0)
        next++;
    rc = draft_next(model->play->store, batch + 1, base + at, &draft);
    cr_assert_eq(rc, next < MODEL_INDEXES ? 0 : E_NOTFOUND);
    if (rc == 0) {
        cr_assert_eq(draft.index, base + next);
        cr_assert_eq(draft.revision, model->now[batch][next]);
    }
}

static uint64_t
total(const struct model *model)
{
    uint64_t sum = 0;

    for (size_t batch = 0; batch < MODEL_BATCHES; batch++) {
        for (size_t at = 0; at < MODEL_INDEXES; at++)
            sum += model->now[batch][at] != 0;
    }
    return sum;
}

/* Ends the transaction, in one way or the other, and begins another. */
static void
turn_over(struct model *model)
{
    bool is_kept = pick(model, 3) > 0;

    cr_assert_eq(store_usage(model->play->store).drafts, total(model));
    if (is_kept)
        play_commit(model->play);
    else
        store_abort(model->play->store);
    memcpy(is_kept ? model->committed : model->now,
           is_kept ? model->now : model->committed, sizeof(model_rows));
    if (pick(model, 20) == 0)
        play_reopen(model->play);
    play_begin(model->play);
}

CLAIM(it_agrees_with_a_plain_array)
{
    struct model *model = mem_zalloc(1, sizeof(*model));

    model->play = play;
    model->random = 5;
    play_begin(play);
    for (int step = 0; step < MODEL_STEPS; step++) {
        uint32_t batch = pick(model, MODEL_BATCHES);
        uint32_t at = pick(model, MODEL_INDEXES), run = 1 + pick(model, 8);
        bool is_sweep = pick(model, 20) == 0; /* of whole rows */

        if (is_sweep)
            run = MODEL_INDEXES;
        for (; run > 0 && at < MODEL_INDEXES; run--, at++) {
            if (is_sweep || pick(model, 2))
                change(model, batch, at, !is_sweep && pick(model, 5) < 3);
            compare(model, batch, pick(model, 2) ? at : pick(model, at + 1));
        }
        if (pick(model, 10) == 0)
            turn_over(model);
    }
    for (uint32_t batch = 0; batch < MODEL_BATCHES; batch++) {
        cr_expect_not(span_drop(play->store, batch + 1));
        memset(model->now[batch], 0, sizeof(model->now[batch]));
        compare(model, batch, 0);
        cr_expect_eq(store_usage(play->store).drafts, total(model));
    }
    play_commit(play);
    free(model);
}
