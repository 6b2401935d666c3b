/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "store/rows.h"
#include "tests/store_play.h"

/* Anything at all, against an array of it. */

#define BATCHES  3
#define PLACES   24
#define REQUESTS 30
#define SPOTS    (BATCHES * PLACES * REQUESTS)

struct model {
    struct play *play;
    uint64_t random;
    bool has[SPOTS], committed[SPOTS]; /* in order */
};

static uint64_t
pick(struct model *model, uint64_t below)
{
    model->random = model->random * 6364136223846793005u + 1442695040888963407u;
    return (model->random >> 33) % below;
}

static uint64_t
batch_at(size_t at)
{
    return at / (PLACES * REQUESTS) + 1;
}

static struct spot
spot_at(size_t at)
{
    uint64_t place = at / REQUESTS % PLACES + 1;

    return (struct spot){ { (place + 1) / 2, place }, at % REQUESTS + 1 };
}

static void
compare_next(struct model *model, size_t at)
{
    struct spot spot = spot_at(at), found = { 0 }, want;
    uint64_t batch = batch_at(at);
    int rc = ready_seek(model->play->store, batch, &spot, &found);

    while (at < SPOTS && batch_at(at) == batch && !model->has[at])
        at++;
    if (at == SPOTS || batch_at(at) != batch) {
        cr_assert_eq(rc, E_NOTFOUND);
        return;
    }
    want = spot_at(at);
    cr_assert_eq(rc, 0);
    cr_assert_eq(spot_compare(&found, &want), 0);
}

static void
compare_all(struct model *model)
{
    uint64_t total = 0;

    for (size_t at = 0; at < SPOTS; at++) {
        struct spot spot = spot_at(at);

        cr_assert_eq(ready_find(model->play->store, batch_at(at), &spot),
                     model->has[at] ? 0 : E_NOTFOUND);
        total += model->has[at];
    }
    cr_assert_eq(store_usage(model->play->store).ready, total);
}

/* A few requests that follow each other, or any one. */
static void
change(struct model *model, bool is_add)
{
    struct store *store = model->play->store;
    size_t at = pick(model, SPOTS), count = 1;

    if (pick(model, 2))
        count = 1 + pick(model, 60);
    for (; count > 0 && at < SPOTS; count--, at++) {
        struct spot spot = spot_at(at);

        if (is_add)
            ready_add(store, batch_at(at), &spot);
        else
            ready_cut(store, batch_at(at), &spot, 1);
        model->has[at] = is_add;
    }
}

/* Rows of the old form, here and there. */
static void
begin_older(struct model *model)
{
    struct store *store = model->play->store;

    play_begin(model->play);
    for (size_t at = 0; at < SPOTS; at++) {
        struct spot spot = spot_at(at);

        if (pick(model, 4) != 0)
            continue;
        table_fields(store);
        table_put(store, TABLE_READY, ready_key(batch_at(at), &spot));
        model->has[at] = model->committed[at] = true;
    }
    cr_assert_eq(ready_count(store), 0);
    play_commit(model->play);
}

static void
try_steps(struct play *play, uint64_t seed, int steps)
{
    struct model model = { .play = play, .random = seed };

    if (seed % 2)
        begin_older(&model);
    play_begin(play);
    for (int step = 0; step < steps; step++) {
        change(&model, pick(&model, 100) < (step / 100 % 2 ? 35u : 65u));
        compare_next(&model, pick(&model, SPOTS));
        if (pick(&model, 10) != 0)
            continue;
        if (pick(&model, 4) == 0) {
            store_abort(play->store);
            memcpy(model.has, model.committed, sizeof(model.has));
        } else {
            play_commit(play);
            memcpy(model.committed, model.has, sizeof(model.has));
        }
        if (pick(&model, 20) == 0)
            play_reopen(play);
        play_begin(play);
        compare_all(&model);
    }
    store_abort(play->store);
}

Test(store_ready_model, agrees_with_a_naive_model, .timeout = 120)
{
    struct play play;

    for (uint64_t seed = 1; seed <= 20; seed++) {
        enum play_kind kind = seed <= 16 ? PLAY_MEMORY : PLAY_LMDB;

        play_start(&play, kind);
        try_steps(&play, seed, 600);
        store_close(play.store);
        if (kind == PLAY_LMDB)
            scratch_remove(&play.scratch);
    }
}
