/* SPDX-License-Identifier: MIT */
#include "queue/wait.h"

#include <assert.h>

static const char *const names[WAIT_COUNT] = {
#define WAIT_ROW(name, text) [WAIT_##name] = text,
    WAIT_LIST(WAIT_ROW)
#undef WAIT_ROW
};

const char *
wait_name(enum wait_cause cause)
{
    assert(cause < WAIT_COUNT);
    return names[cause];
}
