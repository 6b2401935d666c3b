/* SPDX-License-Identifier: MIT */
#include "tests/sim/fair.h"

#define PERCENT  100
#define PERMILLE 1000

/* What is to be bounded, and the bound: in thousandths of it, to be counted. */
static void
weigh(uint64_t *worst, int64_t seen, int64_t bound)
{
    uint64_t part = (uint64_t)(seen * PERMILLE / bound);

    if (part > *worst)
        *worst = part;
}

static int64_t
larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* ---- those who take turns (2) ---- */

/* By how much a member may be ahead of where the ring is, by weight. */
static int64_t
ahead(const struct member *member)
{
    return (member->largest + ledger_slack(member)) * FAIR_SCALE /
           member->weight;
}

/* Others may have come before one that is late, by as much as all that was there
 * when it was chosen were ahead. */
static int64_t
late(const struct world *world, const struct member *member, int64_t most)
{
    return member->is_late ? world->conf.turn_tokens * FAIR_SCALE + most : 0;
}

static int64_t
apart(const struct member *one, int64_t one_paid, const struct member *other,
      int64_t other_paid)
{
    return one_paid * FAIR_SCALE / one->weight -
           other_paid * FAIR_SCALE / other->weight;
}

/* True if their difference was within bounds while both had something to give,
 * and took turns. */
static bool
check_pair(struct world *world, const struct fair *fair, struct pair *pair,
           const struct member *one, const struct member *other, int64_t most)
{
    int64_t now = apart(one, one->paid, other, other->paid);
    int64_t bound = 2 * world->conf.turn_tokens * FAIR_SCALE + ahead(one) +
                    ahead(other) + late(world, one, most) +
                    late(world, other, most);
    bool is_known = one->is_steady && other->is_steady && !one->is_shaken &&
                    !other->is_shaken;
    bool is_rising = one->is_rising || other->is_rising;
    bool has_risen = one->has_risen || other->has_risen;
    bool goes_on = pair->is_on && is_known && !is_rising && !has_risen;

    if (pair->is_on && !goes_on && fair->granted > pair->leases)
        world->tally.fair_pairs++;
    if (!goes_on) {
        pair->is_on = one->is_waiting && other->is_waiting && !is_rising;
        pair->low = pair->high = now;
        pair->leases = fair->granted;
    }
    /* What was chosen as the one rose is of this interval, in this very turn. */
    if (is_known && has_risen)
        pair->low = pair->high = apart(one, one->before, other, other->before);
    if (now < pair->low)
        pair->low = now;
    if (now > pair->high)
        pair->high = now;
    weigh(&world->tally.worst_pair, pair->high - pair->low, bound);
    return pair->high - pair->low <= bound;
}

static void
check_clients(struct world *world, struct fair *fair)
{
    for (int class = 0; class < SCHEDULE_CLASSES; class ++) {
        struct member *seats = fair->seats[class];
        int64_t most = 0;

        for (int i = 0; i < world->client_count; i++)
            most = larger(most, ahead(&seats[i]));
        for (int i = 0; i < world->client_count; i++) {
            for (int j = 0; j < i; j++) {
                struct pair *pair = &fair->seat_pairs[class][i][j];

                if (!check_pair(world, fair, pair, &seats[i], &seats[j],
                                most)) {
                    world_fail(world,
                               "clients %d and %d of class %d are apart by "
                               "%lld tokens",
                               i, j, class,
                               (long long)(pair->high - pair->low) /
                                   FAIR_SCALE);
                }
            }
        }
    }
}

static void
check_batches(struct world *world, struct fair *fair)
{
    int64_t most = 0;

    for (int i = 0; i < world->plan_count; i++)
        most = larger(most, ahead(&fair->stands[i].member));
    for (int i = 0; i < world->plan_count; i++) {
        for (int j = i % world->client_count; j < i; j += world->client_count) {
            struct pair *pair = &fair->stand_pairs[i][j];
            struct member one = fair->stands[i].member;

            one.is_waiting &= fair->stands[i].class == fair->stands[j].class;
            one.is_steady &= one.is_waiting;
            if (!check_pair(world, fair, pair, &one, &fair->stands[j].member,
                            most)) {
                world_fail(world,
                           "batches %llu and %llu are apart by %lld tokens",
                           (unsigned long long)fair->stands[i].batch,
                           (unsigned long long)fair->stands[j].batch,
                           (long long)(pair->high - pair->low) / FAIR_SCALE);
            }
        }
    }
}

/* ---- the oldest (3) ---- */

/* The oldest of the sealed batches that may have something to give. NULL if it
 * has to wait, for all that is known. */
static const struct stand *
find_oldest(const struct world *world, const struct fair *fair)
{
    const struct stand *oldest = NULL;

    for (int i = 0; i < world->plan_count; i++) {
        const struct stand *stand = &fair->stands[i];

        if (stand->may_give && stand->is_sealed &&
            (!oldest || ledger_is_older(stand, oldest)))
            oldest = stand;
    }
    return oldest && oldest->is_ready ? oldest : NULL;
}

static void
check_oldest(struct world *world, struct fair *fair)
{
    const struct stand *stand = find_oldest(world, fair);
    int64_t share = world->conf.oldest_share_percent, owed, bound;
    bool goes_on = stand && stand->batch == fair->oldest && stand->was_ready &&
                   !fair->is_oldest_shaken;

    fair->is_oldest_shaken = false;
    if (fair->oldest != 0 && !goes_on && share > 0 &&
        fair->granted > fair->oldest_leases)
        world->tally.fair_shares++;
    if (!goes_on) {
        fair->oldest = stand ? stand->batch : 0;
        fair->oldest_total = fair->oldest_got = fair->oldest_low = 0;
        fair->oldest_leases = fair->granted;
        return;
    }
    owed = share * fair->oldest_total - PERCENT * fair->oldest_got;
    if (owed < fair->oldest_low)
        fair->oldest_low = owed;
    if (share == 0)
        return;
    bound = PERCENT * SCHEDULE_SURPLUS_TURNS * world->conf.turn_tokens +
            share * (fair->largest + fair->more) +
            2 * PERCENT * ledger_slack(&stand->member);
    weigh(&world->tally.worst_share, owed - fair->oldest_low, bound);
    if (owed - fair->oldest_low > bound) {
        world_fail(world, "batch %llu, the oldest, has got %lld of %lld tokens",
                   (unsigned long long)stand->batch,
                   (long long)fair->oldest_got, (long long)fair->oldest_total);
    }
}

/* ---- nobody starves (4) ---- */

/* What may be leased in a class in turn before a batch there is served. */
static int64_t
longest_wait(const struct world *world, const struct fair *fair,
             const struct stand *stand)
{
    int64_t turn = world->conf.turn_tokens;
    int64_t most = fair->largest + fair->held_max * FAIR_USAGE_MAX;
    int64_t news = (int64_t)(fair->opened - stand->news);
    int64_t weight = fair->seats[0][stand->client].weight;
    int64_t batches = world->plan_count / world->client_count + news;
    int64_t own, sum = 0;

    for (int i = 0; i < world->plan_count; i++)
        most += fair->stands[i].member.odd;
    own = (batches + 1) * (2 * turn + 2 * most);
    for (int i = 0; i < world->client_count; i++) {
        int64_t other = fair->seats[0][i].weight;

        sum += other * (most + own) / weight;
        sum += (1 + news) * (3 * turn * other + 2 * most);
    }
    return sum;
}

static void
check_waiting(struct world *world, struct fair *fair)
{
    for (int i = 0; i < world->plan_count; i++) {
        struct stand *stand = &fair->stands[i];
        int64_t bound;

        if (!stand->is_ready || !stand->was_ready) {
            stand->waited = 0;
            stand->news = fair->opened;
            continue;
        }
        if (stand->waited == 0)
            continue;
        bound = longest_wait(world, fair, stand);
        weigh(&world->tally.worst_wait, stand->waited, bound);
        if (stand->waited > bound) {
            world_fail(
                world, "batch %llu starves: %lld tokens were served before it",
                (unsigned long long)stand->batch, (long long)stand->waited);
        }
    }
}

void
judge_fair(struct world *world)
{
    struct fair *fair = ledger_of(world);

    ledger_turn(world, fair);
    check_clients(world, fair);
    check_batches(world, fair);
    check_oldest(world, fair);
    check_waiting(world, fair);
}
