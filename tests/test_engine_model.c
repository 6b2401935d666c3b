/* Both engines beside a sorted array. */
/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/engine_fixture.h"

#define KEYS      200
#define STEPS     20000
#define TABLES    3
#define VALUE_MAX 9000 /* some on pages of their own */

struct row {
    char key[16];
    char *value; /* NULL: no such row */
    size_t bytes;
};

struct model {
    struct row rows[TABLES][KEYS]; /* by key, in order */
};

static void
model_copy(struct model *to, const struct model *from)
{
    for (int table = 0; table < TABLES; table++) {
        for (int i = 0; i < KEYS; i++) {
            const struct row *row = &from->rows[table][i];

            free(to->rows[table][i].value);
            to->rows[table][i] = *row;
            if (!row->value)
                continue;
            to->rows[table][i].value = malloc(row->bytes + 1);
            memcpy(to->rows[table][i].value, row->value, row->bytes);
        }
    }
}

static void
model_init(struct model *model)
{
    memset(model, 0, sizeof(*model));
    for (int table = 0; table < TABLES; table++) {
        for (int i = 0; i < KEYS; i++)
            snprintf(model->rows[table][i].key, 16, "key-%06d", i * 7);
    }
}

static void
model_fini(struct model *model)
{
    for (int table = 0; table < TABLES; table++) {
        for (int i = 0; i < KEYS; i++)
            free(model->rows[table][i].value);
    }
}

/* The first row at or after i, or the last one before it. */
static struct row *
model_find(struct model *model, int table, int i, bool is_before)
{
    if (is_before) {
        for (i--; i >= 0; i--) {
            if (model->rows[table][i].value)
                return &model->rows[table][i];
        }
        return NULL;
    }
    for (; i < KEYS; i++) {
        if (model->rows[table][i].value)
            return &model->rows[table][i];
    }
    return NULL;
}

static void
expect_same(int rc, struct slice key, struct slice value, const struct row *row)
{
    if (!row || !row->value) {
        cr_assert_eq(rc, E_NOTFOUND);
        return;
    }
    cr_assert_eq(rc, 0);
    if (key.data)
        cr_assert(slice_is(key, row->key), "got %.*s, want %s", (int)key.bytes,
                  key.data, row->key);
    cr_assert(slice_equal(value, (struct slice){ row->value, row->bytes }));
}

static void
change(struct fixture *fixture, struct model *model, int table, int i)
{
    struct row *row = &model->rows[table][i];
    struct slice key = slice_of(row->key);
    int rc;

    if (rand() % 3 == 0) {
        rc = fixture->ops->del(fixture->engine, table, key);
        cr_assert_eq(rc, row->value ? 0 : E_NOTFOUND);
        free(row->value);
        row->value = NULL;
        return;
    }
    free(row->value);
    row->bytes = (size_t)(rand() % 10 ? rand() % 100 : rand() % VALUE_MAX);
    row->value = malloc(row->bytes + 1);
    memset(row->value, rand(), row->bytes);
    rc = fixture->ops->put(fixture->engine, table, key,
                           (struct slice){ row->value, row->bytes });
    cr_assert_eq(rc, 0);
}

static void
look(struct fixture *fixture, struct model *model, int table, int i)
{
    const char *key = model->rows[table][i].key;
    struct slice found = { 0 }, value = { 0 };
    int rc;

    switch (rand() % 3) {
    case 0:
        rc = fixture->ops->get(fixture->engine, table, slice_of(key), &value);
        expect_same(rc, found, value, &model->rows[table][i]);
        break;
    case 1:
        rc = fixture->ops->seek(fixture->engine, table, slice_of(key), &found,
                                &value);
        expect_same(rc, found, value, model_find(model, table, i, false));
        break;
    default:
        rc = fixture->ops->before(fixture->engine, table, slice_of(key), &found,
                                  &value);
        expect_same(rc, found, value, model_find(model, table, i, true));
    }
}

CLAIM(random_histories_agree_with_a_sorted_array)
{
    static struct model now, committed;

    srand(1);
    model_init(&now);
    model_init(&committed);
    fixture_begin(fixture);
    for (int step = 0; step < STEPS; step++) {
        int table = rand() % TABLES, i = rand() % KEYS;

        if (rand() % 2)
            change(fixture, &now, table, i);
        else
            look(fixture, &now, table, i);
        if (rand() % 50 == 0) {
            if (rand() % 3) {
                fixture_commit(fixture);
                model_copy(&committed, &now);
            } else {
                fixture->ops->abort(fixture->engine);
                model_copy(&now, &committed);
            }
            fixture_begin(fixture);
        }
        /* From full to empty and back, now and then. */
        if (step % 5000 == 4999) {
            for (int k = 0; k < KEYS; k++) {
                fixture->ops->del(fixture->engine, table,
                                  slice_of(now.rows[table][k].key));
                free(now.rows[table][k].value);
                now.rows[table][k].value = NULL;
            }
        }
    }
    for (int table = 0; table < TABLES; table++) {
        for (int i = 0; i < KEYS; i++)
            look(fixture, &now, table, i);
    }
    fixture->ops->abort(fixture->engine);
    model_fini(&now);
    model_fini(&committed);
}
