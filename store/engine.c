/* SPDX-License-Identifier: MIT */
#include "store/engine.h"

#include <assert.h>

static const char *const table_names[TABLE_COUNT] = {
#define TABLE_NAME(name, text) [TABLE_##name] = text,
    TABLE_LIST(TABLE_NAME)
#undef TABLE_NAME
};

const char *
table_name(enum table table)
{
    assert(table < TABLE_COUNT);
    return table_names[table];
}

int
engine_code(const struct engine *engine, int rc)
{
    return rc == E_IO && engine->is_damaged ? E_CORRUPT : rc;
}
