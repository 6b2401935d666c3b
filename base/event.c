/* SPDX-License-Identifier: MIT */
#include "base/event.h"

#include <assert.h>

static const char *const names[EVENT_COUNT] = {
#define EVENT_ROW(name, text) [EVENT_##name] = text,
    EVENT_LIST(EVENT_ROW)
#undef EVENT_ROW
        [EVENT_TEST] = EVENT_TEST_NAME,
};

const char *
event_name(enum event event)
{
    assert(event < EVENT_COUNT);
    return names[event];
}

enum event
event_parse(struct slice name)
{
    for (enum event event = 0; event < EVENT_TEST; event++) {
        if (slice_is(name, names[event]))
            return event;
    }
    return EVENT_COUNT;
}
