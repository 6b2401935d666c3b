/* SPDX-License-Identifier: MIT */
#include "queue/windows.h"

#include <stdlib.h>

#include "base/mem.h"

struct known {
    char *spec, *zone;
    struct window *window; /* NULL: they are none */
    uint64_t nth;          /* when it was asked for last; 0: never */
};

struct windows {
    struct known known[WINDOWS_MAX];
    uint64_t asked; /* how often */
};

struct windows *
windows_new(void)
{
    return mem_zalloc(1, sizeof(struct windows));
}

static void
forget(struct known *known)
{
    window_free(known->window);
    free(known->spec);
    free(known->zone);
}

void
windows_free(struct windows *windows)
{
    if (!windows)
        return;
    for (size_t i = 0; i < WINDOWS_MAX; i++)
        forget(&windows->known[i]);
    free(windows);
}

static struct known *
find(struct windows *windows, struct slice spec, struct slice zone)
{
    for (size_t i = 0; i < WINDOWS_MAX; i++) {
        struct known *known = &windows->known[i];

        if (known->nth != 0 && slice_is(spec, known->spec) &&
            slice_is(zone, known->zone)) {
            return known;
        }
    }
    return NULL;
}

/* Reads it into the place of the one that was not asked for the longest. */
static struct known *
add(struct windows *windows, struct slice spec, struct slice zone)
{
    struct known *known = &windows->known[0];

    for (size_t i = 1; i < WINDOWS_MAX; i++) {
        if (windows->known[i].nth < known->nth)
            known = &windows->known[i];
    }
    forget(known);
    *known = (struct known){ .spec = mem_dup(spec.data, spec.bytes),
                             .zone = mem_dup(zone.data, zone.bytes) };
    (void)window_parse(known->spec, known->zone, &known->window, NULL);
    return known;
}

const struct window *
windows_find(struct windows *windows, struct slice spec, struct slice zone)
{
    struct known *known = find(windows, spec, zone);

    if (!known)
        known = add(windows, spec, zone);
    known->nth = ++windows->asked;
    return known->window;
}
