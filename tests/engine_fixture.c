/* SPDX-License-Identifier: MIT */
#include "tests/engine_fixture.h"

struct fixture
fixture_open(enum kind kind)
{
    struct fixture fixture = { .kind = kind };
    struct err err = { 0 };

    if (kind == MEMORY) {
        fixture.engine = engine_open_memory(FIXTURE_MAP_BYTES);
    } else {
        fixture.scratch = scratch_make();
        fixture.engine = engine_open_lmdb(fixture.scratch.path, true,
                                          FIXTURE_MAP_BYTES, &err);
    }
    cr_assert_not_null(fixture.engine, "%s", err.msg);
    fixture.ops = fixture.engine->ops;
    return fixture;
}

void
fixture_close(struct fixture *fixture)
{
    fixture->ops->close(fixture->engine);
    if (fixture->kind == LMDB)
        scratch_remove(&fixture->scratch);
}

void
fixture_begin(struct fixture *fixture)
{
    struct err err = { 0 };

    cr_assert_eq(fixture->ops->begin(fixture->engine, &err), 0, "%s", err.msg);
}

void
fixture_commit(struct fixture *fixture)
{
    struct err err = { 0 };

    cr_assert_eq(fixture->ops->commit(fixture->engine, &err), 0, "%s", err.msg);
}
