/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <uuid/uuid.h>

#include "tests/sim/world.h"

void
judge_loss(struct world *world, int64_t request)
{
    judge_request(world, request)->losses++;
}

void
judge_report(struct world *world, int64_t request)
{
    judge_request(world, request)->reports++;
}

void
judge_gone(struct world *world, int64_t request, int64_t fence)
{
    struct err err = { 0 };
    struct request row;

    if (store_begin(world->store, world->now_ms, &err) < 0)
        world_fail(world, "begin: %s", err.msg);
    if (store_request_get(world->store, (uint64_t)request, &row) == 0 &&
        row.state == REQUEST_LEASED && row.fence == fence) {
        world_fail(world,
                   "request %lld is leased to a worker that did not "
                   "list it",
                   (long long)request);
    }
    store_abort(world->store);
}

void
judge_slots(struct world *world, const char *uuid, int64_t kept)
{
    struct worker_row row;
    struct err err = { 0 };
    unsigned char after[16], *from = NULL;
    uuid_t id;

    if (uuid_parse(uuid, id) != 0 ||
        store_begin(world->store, world->now_ms, &err) < 0) {
        world_fail(world, "begin: %s", err.msg);
    }
    while (store_worker_after(world->store, from, &row) == 0) {
        if (memcmp(row.uuid, id, sizeof(row.uuid)) == 0 && row.slots != kept) {
            world_fail(world, "worker %s keeps %lld slots, and is lent %u",
                       uuid, (long long)kept, row.slots);
        }
        memcpy(after, row.uuid, sizeof(after));
        from = after;
    }
    store_abort(world->store);
}

/* A lease is not older than any may be: what the loop had missed is nobody's
 * fault, and once its leases were read anew each has its length again. */
static void
check_age(struct world *world, const struct lease *lease)
{
    const struct known_request *of =
        judge_request(world, (int64_t)lease->request);
    int64_t age_ms = world->now_ms - lease->granted_ms;
    int64_t read_ms = world->now_ms - world->read_ms;

    if (world->wake_ms < world->now_ms) /* its loop has not turned yet */
        return;
    age_ms -= world->stood_ms - of->stood_ms;
    read_ms -= world->stood_ms - world->read_stood_ms;
    if (age_ms > world->conf.lease_run_max_ms &&
        read_ms > world->conf.upstreams[0].request_timeout_ms +
                      CONF_LEASE_MARGIN_MS) {
        world_fail(world, "the lease on request %llu is %lld ms old",
                   (unsigned long long)lease->request, (long long)age_ms);
    }
}

void
judge_leases(struct world *world)
{
    struct lease *leases = world->judge.leases, lease = { 0 };
    size_t count = 0;
    uint64_t alone = 0;

    world->judge.is_alone = false;
    while (store_lease_after(world->store, lease.request, &lease) == 0) {
        if (count == JUDGE_LEASES_MAX)
            world_fail(world, "more than %d leases", JUDGE_LEASES_MAX);
        check_age(world, &lease);
        leases[count++] = lease;
    }
    for (size_t i = 0; i < count; i++) {
        struct request row;

        if (store_request_get(world->store, leases[i].request, &row) < 0 ||
            !(row.flags & REQUEST_SUSPECT)) {
            continue;
        }
        world->tally.alone++;
        world->judge.is_alone = true;
        if (alone != 0)
            world_fail(world, "two requests run alone");
        alone = row.id;
        for (size_t j = 0; j < count; j++) {
            if (j != i && memcmp(leases[j].worker, leases[i].worker, 16) == 0) {
                world_fail(world, "request %llu does not run alone",
                           (unsigned long long)row.id);
            }
        }
    }
}

/* Nothing is counted that has not happened: a drain, a release or a restart cost
 * no attempt, only calls that had started are lost, and as many requests are
 * delayed as are said to be. */
void
judge_counts(struct world *world)
{
    uint64_t delayed = 0;

    for (size_t id = 1; id < world->judge.request_count; id++) {
        const struct known_request *of = &world->judge.requests[id];
        struct request row;

        if (store_request_get(world->store, id, &row) < 0)
            continue;
        if (row.attempts > of->reports) {
            world_fail(world, "request %zu has %u attempts, after %u reports",
                       id, row.attempts, of->reports);
        }
        if (row.lost > of->losses) {
            world_fail(world, "request %zu has lost %u leases of %u", id,
                       row.lost, of->losses);
        }
        if (row.lost > (uint32_t)world->conf.lost_max + 1) {
            world_fail(world, "request %zu goes on after %u losses", id,
                       row.lost);
        }
        delayed += row.state == REQUEST_DELAYED;
    }
    if (store_usage(world->store).delayed != delayed) {
        world_fail(world, "%llu requests are delayed, %llu were counted",
                   (unsigned long long)delayed,
                   (unsigned long long)store_usage(world->store).delayed);
    }
}

void
judge_poison(struct world *world, const struct result_row *row)
{
    struct request request;

    if (!row->has_outcome || row->outcome.status != STATUS_ERROR ||
        !slice_is(row->outcome.code, "poison")) {
        return;
    }
    world->tally.poisoned++;
    if (store_request_get(world->store, row->draft.answered_by, &request) < 0)
        world_fail(world, "a poisoned request is gone");
    if (request.state == REQUEST_DONE &&
        request.lost <= (uint32_t)world->conf.lost_max) {
        world_fail(world, "request %llu is called poison after %u losses",
                   (unsigned long long)request.id, request.lost);
    }
}
