/* SPDX-License-Identifier: MIT */
#include "base/status.h"

#include <assert.h>
#include <string.h>

static const struct {
    const char *name;
    enum status_keep keep;
} rows[STATUS_COUNT] = { [STATUS_NONE] = { "", STATUS_KEEP_NOTHING },
#define STATUS_ROW(name, text, keep) [STATUS_##name] = { text, keep },
                         STATUS_LIST(STATUS_ROW)
#undef STATUS_ROW
};

const char *
status_name(enum status status)
{
    assert(status < STATUS_COUNT);
    return rows[status].name;
}

enum status
status_parse(const char *name)
{
    for (enum status status = STATUS_OK; status < STATUS_COUNT; status++) {
        if (strcmp(rows[status].name, name) == 0)
            return status;
    }
    return STATUS_NONE;
}

enum status_keep
status_keep(enum status status)
{
    assert(status < STATUS_COUNT);
    return rows[status].keep;
}
