/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "queue/wire.h"
#include "tests/sim/fair.h"

#define NO_PLAN (-1)

struct fair *
ledger_of(struct world *world)
{
    if (!world->judge.fair)
        world->judge.fair = mem_zalloc(1, sizeof(struct fair));
    return world->judge.fair;
}

struct member *
ledger_seat(struct fair *fair, const struct stand *stand)
{
    return &fair->seats[stand->class][stand->client];
}

bool
ledger_is_older(const struct stand *one, const struct stand *other)
{
    if (one->since_ms != other->since_ms)
        return one->since_ms < other->since_ms;
    return one->batch < other->batch;
}

static int64_t
least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t
ledger_slack(const struct member *member)
{
    int64_t most = member->held_max * (FAIR_USAGE_MAX - 1);

    return least(member->back, member->held_max) + least(member->more, most) +
           member->odd;
}

/* ---- what happens ---- */

void
judge_fair_started(struct world *world)
{
    memset(ledger_of(world)->is_troubled, 0, sizeof(bool) * WORLD_UPSTREAMS);
}

void
judge_fair_forget(struct world *world)
{
    struct fair *fair = ledger_of(world), kept = *fair;

    *fair = (struct fair){ .opened = kept.opened,
                           .granted = kept.granted,
                           .run_plan = NO_PLAN };
    memcpy(fair->is_troubled, kept.is_troubled, sizeof(kept.is_troubled));
    for (int i = 0; i < world->plan_count; i++)
        fair->stands[i].batch = kept.stands[i].batch;
}

void
judge_fair_trouble(struct world *world, int where)
{
    ledger_of(world)->is_troubled[where] = true;
}

void
judge_fair_placed(struct world *world)
{
    ledger_of(world)->placed_ms = world->now_ms;
}

void
judge_fair_opened(struct world *world, uint64_t batch)
{
    struct fair *fair = ledger_of(world);
    const struct plan *plan = judge_plan(world, batch);

    fair->opened++;
    fair->stands[plan->number] =
        (struct stand){ .batch = batch, .client = plan->client };
}

static struct fair_lease *
find_lease(struct fair *fair, int64_t request, int64_t fence)
{
    for (size_t i = 0; i < fair->lease_count; i++) {
        if (fair->leases[i].request == (uint64_t)request &&
            fair->leases[i].fence == (uint32_t)fence) {
            return &fair->leases[i];
        }
    }
    return NULL;
}

static int64_t
int_of(struct world *world, const struct wire *wire, const char *name)
{
    int64_t value;

    if (wire_int(wire, name, wire_range_or(0, WIRE_INT_MAX, 0), &value, NULL) <
        0) {
        world_fail(world, "a message with an odd %s", name);
    }
    return value;
}

void
judge_fair_report(struct world *world, const struct wire *wire, bool is_lie)
{
    struct fair *fair = ledger_of(world);
    int64_t request = int_of(world, wire, "request");
    struct fair_lease *lease =
        find_lease(fair, request, int_of(world, wire, "fence"));
    int where = judge_request(world, request)->where;
    const char *class_name;

    if (wire_str(wire, "class", 20, "", &class_name, NULL) < 0)
        world_fail(world, "a report without a class");
    for (int i = 0; i < WORLD_UPSTREAMS; i++) {
        if (is_lie || (i == where && strcmp(class_name, "ok") != 0))
            fair->is_troubled[i] = true;
    }
    if (!lease)
        return;
    lease->is_doubtful |= is_lie;
    if (lease->is_told)
        return;
    lease->is_told = true;
    lease->usage = int_of(world, wire, "total_tokens");
    if (strcmp(class_name, "aborted") == 0)
        lease->usage = -1;
}

void
judge_fair_letter(struct world *world, const struct wire *wire)
{
    struct fair *fair = ledger_of(world);
    int64_t request = int_of(world, wire, "request");
    int64_t fence = int_of(world, wire, "fence");
    uint64_t nth = judge_request(world, request)->nth_lent;
    struct fair_lease *lease;
    size_t at;

    if (strcmp(wire_verb(wire), "confirmed") == 0) {
        lease = find_lease(fair, request, fence);
        if (lease)
            lease->is_confirmed = true;
        return;
    }
    if (fair->lease_count == FAIR_LEASES_MAX)
        world_fail(world, "more than %d leases", FAIR_LEASES_MAX);
    /* In the order in which they were chosen: a turn has all of one worker's. */
    at = fair->lease_count++;
    while (
        at > 0 && fair->leases[at - 1].is_new &&
        judge_request(world, (int64_t)fair->leases[at - 1].request)->nth_lent >
            nth) {
        fair->leases[at] = fair->leases[at - 1];
        at--;
    }
    fair->leases[at] = (struct fair_lease){ .request = (uint64_t)request,
                                            .fence = (uint32_t)fence,
                                            .plan = NO_PLAN,
                                            .is_new = true };
}

/* ---- accounts ---- */

/* True if a lease may have waited for a slot since it was chosen. */
static bool
may_be_late(const struct fair *fair, const struct request *row)
{
    int where = weather_find(row->upstream);

    return fair->is_kept_free || (where >= 0 && fair->is_troubled[where]);
}

/* What a batch's client was charged, or in which class, is not known: some may
 * have been given back, some may be odd. */
static void
shake(struct fair *fair, struct stand *stand, int64_t back, int64_t odd)
{
    stand->member.is_shaken = true;
    stand->member.back += back;
    stand->member.odd += odd;
    for (int c = 0; c < SCHEDULE_CLASSES; c++) {
        struct member *seat = &fair->seats[c][stand->client];

        seat->is_shaken = true;
        seat->back += back;
        seat->odd += odd;
    }
}

static void
settle(struct member *member, int64_t tokens, int64_t more)
{
    member->held -= tokens;
    member->paid += more;
    if (more < 0)
        member->back -= more;
    else
        member->more += more;
}

/* Nobody knows how a lease has ended. */
static void
lose_lease(struct fair *fair, const struct fair_lease *lease)
{
    fair->is_oldest_shaken = true;
    for (int i = 0; i < WORLD_PLANS; i++) {
        if (lease->plan == NO_PLAN || lease->plan == i)
            shake(fair, &fair->stands[i], lease->tokens, 0);
    }
}

/* True if it is known how it has ended, and was charged to whom. */
static bool
is_heard(const struct fair *fair, const struct fair_lease *lease)
{
    const struct stand *stand;

    if (lease->plan == NO_PLAN)
        return false;
    stand = &fair->stands[lease->plan];
    return lease->is_told && lease->is_confirmed && !lease->is_doubtful &&
           stand->is_live && stand->batch == lease->batch;
}

static void
end_lease(struct fair *fair, const struct fair_lease *lease)
{
    struct stand *stand;
    int64_t more = 0, back;

    fair->held -= lease->tokens;
    if (!is_heard(fair, lease))
        lose_lease(fair, lease);
    else if (lease->usage != 0)
        more = (lease->usage > 0 ? lease->usage : 0) - lease->tokens;
    if (lease->plan == NO_PLAN)
        return;
    back = more < 0 ? -more : 0;
    stand = &fair->stands[lease->plan];
    fair->more += more + back;
    fair->oldest_total += more;
    settle(&fair->seats[lease->class][stand->client], lease->tokens, more);
    if (stand->batch != lease->batch)
        return;
    settle(&stand->member, lease->tokens, more);
    if (lease->batch == fair->oldest)
        fair->oldest_got += more;
    if (lease->is_odd || stand->class != lease->class)
        shake(fair, stand, back, more + back);
}

static void
end_leases(struct world *world, struct fair *fair)
{
    size_t kept = 0;

    for (size_t i = 0; i < fair->lease_count; i++) {
        const struct fair_lease *lease = &fair->leases[i];
        struct request row;

        if (!lease->is_new &&
            (store_request_get(world->store, lease->request, &row) < 0 ||
             row.state != REQUEST_LEASED || row.fence != lease->fence)) {
            end_lease(fair, lease);
            continue;
        }
        fair->leases[kept++] = *lease;
    }
    fair->lease_count = kept;
}

static void
charge(struct member *member, int64_t tokens, bool is_run)
{
    member->paid += tokens;
    member->run = is_run ? member->run + tokens : tokens;
    if (member->run > member->largest)
        member->largest = member->run;
    member->held += tokens;
    if (member->held > member->held_max)
        member->held_max = member->held;
}

/* True if no older batch certainly has something to give. */
static bool
is_oldest(const struct world *world, const struct fair *fair,
          const struct stand *stand)
{
    for (int i = 0; i < world->plan_count; i++) {
        const struct stand *other = &fair->stands[i];

        if (other->is_ready && ledger_is_older(other, stand))
            return false;
    }
    return true;
}

/* Nobody is served while somebody of a higher class waits. */
static void
check_class(struct world *world, const struct fair *fair,
            const struct stand *stand)
{
    for (int i = 0; i < world->plan_count; i++) {
        const struct stand *other = &fair->stands[i];

        if (other->is_ready && other->class > stand->class) {
            world_fail(world,
                       "batch %llu is served in class %u, while batch %llu "
                       "waits in class %u",
                       (unsigned long long)stand->batch, stand->class,
                       (unsigned long long)other->batch, other->class);
        }
    }
    world->tally.turns_checked++;
}

static void
rise(struct member *member)
{
    member->before = member->paid;
    member->has_risen = member->is_rising;
    member->is_rising = false;
}

/* A group is chosen. With the first one of a turn, what was due to rise has risen,
 * and takes turns; while the group before went on, it had none in its new class. */
static void
note_choice(struct fair *fair)
{
    if (fair->has_chosen)
        return;
    fair->has_chosen = true;
    for (int i = 0; i < WORLD_PLANS; i++)
        rise(&fair->stands[i].member);
    for (int i = 0; i < SCHEDULE_CLASSES * WORLD_CLIENTS; i++)
        rise(&fair->seats[i / WORLD_CLIENTS][i % WORLD_CLIENTS]);
}

/* A batch is served in turn. */
static void
serve(struct world *world, struct fair *fair, struct fair_lease *lease,
      bool is_run, bool is_late)
{
    struct stand *stand = &fair->stands[lease->plan];

    lease->batch = stand->batch;
    lease->class = stand->class;
    if (!is_run) {
        fair->run_class = stand->class;
        fair->is_run_by_share = world->conf.oldest_share_percent > 0 &&
                                (is_late || is_oldest(world, fair, stand));
        if (!fair->is_run_by_share && !is_late)
            check_class(world, fair, stand);
    }
    /* A group that goes on stays in the class in which it was begun. */
    if (fair->run_class != stand->class || !stand->is_sealed)
        shake(fair, stand, 0, lease->tokens);
    else if (fair->is_run_by_share)
        shake(fair, stand, 0, 0);
    lease->is_odd = fair->run_class != stand->class || !stand->is_sealed ||
                    fair->is_run_by_share;
    stand->member.is_late |= is_late;
    ledger_seat(fair, stand)->is_late |= is_late;
    charge(&stand->member, lease->tokens, is_run);
    charge(ledger_seat(fair, stand), lease->tokens, is_run);
    for (int i = 0; i < world->plan_count; i++) {
        struct stand *other = &fair->stands[i];

        if (other->class == stand->class && !lease->is_odd)
            other->waited += lease->tokens;
    }
    stand->waited = 0;
    stand->news = fair->opened;
}

/* The plan whose batch alone wants a request; NO_PLAN: several do. All that want
 * it may have been charged for it, out of turn, if it is odd. */
static int
who_wants(struct world *world, struct fair *fair, uint64_t request,
          int64_t tokens, bool is_odd)
{
    uint64_t one = store_request_wanted(world->store, request, 0);
    bool is_one =
        !is_odd && store_request_wanted(world->store, request, one) == 0;
    int plan = NO_PLAN;

    for (; one != 0; one = store_request_wanted(world->store, request, one)) {
        for (int i = 0; i < world->plan_count; i++) {
            if (fair->stands[i].batch != one)
                continue;
            plan = i;
            if (!is_one) {
                shake(fair, &fair->stands[i], 0, tokens);
                fair->is_oldest_shaken |= fair->oldest == one;
            }
        }
    }
    return is_one ? plan : NO_PLAN;
}

static void
note_oldest(struct fair *fair, const struct fair_lease *lease)
{
    const struct stand *stand;

    fair->oldest_total += lease->tokens;
    if (lease->plan == NO_PLAN)
        return;
    stand = &fair->stands[lease->plan];
    if (stand->batch == fair->oldest) {
        fair->oldest_got += lease->tokens;
        return;
    }
    for (int i = 0; i < WORLD_PLANS; i++) {
        if (fair->stands[i].batch == fair->oldest &&
            ledger_is_older(stand, &fair->stands[i])) {
            fair->is_oldest_shaken = true;
        }
    }
}

static void
begin_lease(struct world *world, struct fair *fair, struct fair_lease *lease)
{
    struct request row;
    bool is_run, is_alone;
    int plan;

    lease->is_new = false;
    if (store_request_get(world->store, lease->request, &row) < 0)
        world_fail(world, "a lease on no request");
    lease->tokens = row.tokens > 0 ? row.tokens : 1;
    is_alone = (row.flags & REQUEST_SUSPECT) != 0;
    is_run = !is_alone && row.place.group == fair->run_group;
    plan = who_wants(world, fair, lease->request, lease->tokens, is_alone);
    if (is_run && plan != NO_PLAN && plan != fair->run_plan) {
        shake(fair, &fair->stands[plan], 0, lease->tokens);
        plan = NO_PLAN;
    }
    lease->plan = plan;
    if (plan == NO_PLAN && !is_alone)
        fair->is_oldest_shaken = true;
    if (!is_run && !is_alone)
        note_choice(fair);
    if (plan != NO_PLAN)
        serve(world, fair, lease, is_run, may_be_late(fair, &row));
    if (!is_alone) {
        fair->is_kept_free &= is_run;
        fair->run_group = row.place.group;
        fair->run_plan = plan;
    }
    fair->granted++;
    fair->run = is_run || is_alone ? fair->run + lease->tokens : lease->tokens;
    if (fair->run > fair->largest)
        fair->largest = fair->run;
    fair->held += lease->tokens;
    if (fair->held > fair->held_max)
        fair->held_max = fair->held;
    note_oldest(fair, lease);
}

void
ledger_turn(struct world *world, struct fair *fair)
{
    stands_look(world, fair);
    fair->is_kept_free |= world->judge.is_alone || fair->has_suspect;
    end_leases(world, fair);
    for (size_t i = 0; i < fair->lease_count; i++) {
        if (fair->leases[i].is_new)
            begin_lease(world, fair, &fair->leases[i]);
    }
    /* It may have been found behind the last of these leases: then what was chosen
     * next waits for the worker that is kept free for it. */
    fair->is_kept_free |= fair->has_suspect;
}
