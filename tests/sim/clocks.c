/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/clock.h"
#include "tests/sim/world.h"

#define HOUR_MS INT64_C(3600000)
#define IN_1970 INT64_C(5000000)
#define IN_2099 INT64_C(4070908800000)
#define UP_MS   20000 /* from the boot to the start of the broker */

static int64_t
wall_ms(const struct world *world)
{
    return world->now_ms + world->wall_ahead_ms;
}

static struct clock_mark
mark_of(const struct world *world)
{
    struct clock_mark mark = { .boot = "boot",
                               .boot_ms = world->now_ms - world->booted_ms,
                               .wall_ms = wall_ms(world) };

    memcpy(&mark.boot[8], &world->boot, sizeof(world->boot));
    return mark;
}

static bool
is_near(int64_t a_ms, int64_t b_ms)
{
    return a_ms - b_ms < BROKER_WALL_MS_MIN && b_ms - a_ms < BROKER_WALL_MS_MIN;
}

/* What the broker may take for the difference: small changes are none. */
static void
settle(struct world *world)
{
    int64_t ahead_ms = world->wall_ahead_ms;

    if (is_near(ahead_ms, world->settled_ms))
        return;
    world->settled_ms = is_near(ahead_ms, 0) ? 0 : ahead_ms;
}

void
clocks_read(struct world *world)
{
    struct clock_mark mark = mark_of(world);

    store_mark(world->store, &mark);
    settle(world);
    broker_note_wall(world->broker, world->wall_ahead_ms);
}

/* A clock that was right shows something else. */
static int64_t
wrong(struct world *world, int64_t right_ms)
{
    switch (dice_roll(&world->dice, 6)) {
    case 0:
        return right_ms - HOUR_MS;
    case 1:
        return right_ms + 25 * HOUR_MS;
    case 2:
        return IN_1970;
    case 3:
        return IN_2099;
    default:
        return right_ms;
    }
}

void
clocks_jump(struct world *world)
{
    world->tally.clock_jumps++;
    world->now_ms++;
    world->wall_ahead_ms = wrong(world, world->now_ms) - world->now_ms;
    world_tell(world, "the wall clock is set: %lld s ahead",
               (long long)world->wall_ahead_ms / 1000);
}

void
clocks_boot(struct world *world)
{
    int64_t down_ms = dice_between(&world->dice, 30000, 300000);

    world->tally.reboots++;
    world->boot++;
    world->wall_ahead_ms =
        wrong(world, wall_ms(world) + down_ms) - world->now_ms;
    world->booted_ms = world->now_ms - UP_MS;
    world_tell(world, "the host is started again");
}

void
clocks_resume(struct world *world)
{
    struct clock_mark now = mark_of(world);
    int64_t latest_ms = store_latest_ms(world->store), got_ms, want_ms;

    if (latest_ms != world->kept_ms)
        world_fail(world, "the store's latest time is %lld, not %lld",
                   (long long)latest_ms, (long long)world->kept_ms);
    got_ms = clock_resume_ms(store_latest_mark(world->store), latest_ms, &now);
    want_ms = world->kept_ms;
    if (world->kept_ms == 0)
        want_ms = now.wall_ms;
    else if (world->kept_boot == world->boot)
        want_ms = world->now_ms;
    else if (now.wall_ms > world->kept_wall_ms)
        want_ms += now.wall_ms - world->kept_wall_ms;
    if (got_ms != want_ms) {
        world_fail(world, "the broker's time goes on at %lld, not at %lld",
                   (long long)got_ms, (long long)want_ms);
    }
    world->wall_ahead_ms -= got_ms - world->now_ms;
    world->booted_ms += got_ms - world->now_ms;
    world->now_ms = got_ms;
    world->settled_ms = 0;
}

void
clocks_note_commit(struct world *world)
{
    struct clock_mark mark = mark_of(world);
    const struct clock_mark *kept = store_latest_mark(world->store);

    /* Not all transactions write something. */
    if (store_latest_ms(world->store) != world->now_ms ||
        kept->boot_ms != mark.boot_ms || kept->wall_ms != mark.wall_ms ||
        memcmp(kept->boot, mark.boot, sizeof(mark.boot)) != 0) {
        return;
    }
    world->kept_ms = world->now_ms;
    world->kept_wall_ms = wall_ms(world);
    world->kept_boot = world->boot;
}
