/*
 * weather.h - upstreams, and how they are
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SIM_WEATHER_H
#define TESTS_SIM_WEATHER_H

#include <stdbool.h>
#include <stdint.h>

#define WORLD_UPSTREAMS 2

struct slip;
struct world;

/* How an upstream is, for a while. */
enum weather_kind { WEATHER_BUSY, WEATHER_DOWN, WEATHER_STOP };

struct weather {
    enum weather_kind kind;
    int64_t until_ms; /* then it is well again */
};

/* How the upstream answers a call. */
struct call_fate {
    const char *class_name;
    int http_status;
    int64_t wait_ms;
    int64_t end_ms; /* when it answers */
};

extern const char *const weather_names[WORLD_UPSTREAMS];

/* The index of an upstream's name; -1: it is none of them. */
int weather_find(const char *name);

/* One of them is unwell from now on, for a while. */
void weather_change(struct world *world);

/* True if a call meets an upstream that is: then that is its fate. */
bool weather_strikes(struct world *world, int where, struct call_fate *fate);

/* How the upstream of a call, or the sampler, answers it. */
struct call_fate weather_answer(struct world *world, struct slip *slip);

/* A lease was sent; a report was taken; it is to be asked again; a commit. */
void weather_lease(struct world *world, const char *name, int64_t request);
void weather_report(struct world *world, int where, const char *class_name,
                    int http_status, int64_t wait_ms);
void weather_resume(struct world *world, int where);
void weather_check(struct world *world);

#endif
