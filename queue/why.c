/* SPDX-License-Identifier: MIT */
#include "queue/why.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"

static void
add(struct why *why, struct wait wait)
{
    if (wait.cause == WAIT_NOTHING)
        return;
    assert(why->wait_count < WHY_WAITS_MAX);
    why->waits[why->wait_count++] = wait;
}

static void
add_cause(struct why *why, enum wait_cause cause)
{
    add(why, (struct wait){ cause, SCHEDULE_NEVER });
}

/* True if a sweep that puts fallbacks back has still to come to the draft. */
static bool
is_to_be_retried(const struct batch *batch, const struct draft *draft)
{
    return batch_is_under_way(batch) && draft->index >= batch->retry_index &&
           batch->retry_mask & 1u << draft->status &&
           draft_improves(draft, STATUS_OK);
}

/* The batch in whose row the request gets on: the draft's own if that may start
 * now, or else the first that may. */
static struct wait
find_way(struct broker *broker, uint64_t own, int64_t now_ms, struct why *why)
{
    struct store *store = broker->env.store;
    struct wait best = dispatch_batch_wait(broker, own, now_ms);
    uint64_t id = 0;

    why->through = own;
    for (int i = 0; i < WHY_BATCHES_MAX && best.cause != WAIT_NOTHING; i++) {
        struct wait wait;

        id = store_request_wanted(store, why->request.id, id);
        if (id == 0)
            break;
        wait = dispatch_batch_wait(broker, id, now_ms);
        if (wait.cause == WAIT_NOTHING || wait.until_ms < best.until_ms) {
            best = wait;
            why->through = id;
        }
    }
    return best;
}

static void
explain_lease(struct broker *broker, struct why *why)
{
    const struct request *request = &why->request;
    struct wait wait = { WAIT_LEASE, SCHEDULE_NEVER };

    why->has_lease =
        store_lease_get(broker->env.store, request->id, &why->lease) == 0;
    if (why->has_lease)
        wait.until_ms = why->lease.deadline_ms;
    why->holder =
        sessions_find_holder(broker->sessions, request->id, request->fence);
    if (why->holder) {
        why->held = session_find(why->holder, request->id, request->fence);
        /* Heartbeats extend it in memory only. */
        wait.until_ms = why->held->deadline_ms;
        if (why->held->is_started)
            wait.cause = WAIT_ANSWER;
    }
    add(why, wait);
}

/* What keeps a request in the queue. */
static void
explain_queue(struct broker *broker, uint64_t own, int64_t now_ms,
              struct why *why)
{
    const struct request *request = &why->request;
    struct wait wait;

    add(why, find_way(broker, own, now_ms, why));
    if (request->state == REQUEST_DELAYED) {
        bool is_ours = why->attempt.wait_ms == 0 ||
                       slice_is(why->attempt.wait_from, ATTEMPT_BACKOFF);

        add(why, (struct wait){ is_ours ? WAIT_BACKOFF : WAIT_SERVER,
                                request->due_ms });
    }
    add(why, dispatch_group_wait(broker, request->place.group, now_ms));
    add(why, dispatch_upstream_wait(broker, request, now_ms));
    why->stopped = choice_stopped(broker, request, now_ms);
    if (request->state == REQUEST_READY)
        add(why, dispatch_alone_wait(request));
    if (!store_may_lease(broker->env.store))
        add_cause(why, WAIT_ROOM);
    wait = dispatch_worker_wait(broker);
    /* Slots count only for what could take one. If there are some, it is its
     * turn soon: the leases of this moment are given when all is answered. */
    if (wait.cause == WAIT_DRAIN || wait.cause == WAIT_WORKER)
        add(why, wait);
    else if (why->wait_count == 0)
        add_cause(why, WAIT_SLOT);
    why->before = store_ready_before(broker->env.store, why->through, request,
                                     WHY_BEFORE_MAX);
}

static void
explain(struct broker *broker, const struct batch *batch, int64_t now_ms,
        struct why *why)
{
    if (!batch_is_live(batch)) {
        add_cause(why, WAIT_SWEEP);
        return;
    }
    switch (why->request.state) {
    case REQUEST_LEASED:
        explain_lease(broker, why);
        break;
    case REQUEST_READY:
    case REQUEST_DELAYED:
        explain_queue(broker, batch->id, now_ms, why);
        break;
    default:
        add_cause(why, WAIT_SWEEP);
    }
}

int
why_find(struct broker *broker, const struct batch *batch,
         const struct draft *draft, int64_t now_ms, struct why *why)
{
    struct store *store = broker->env.store;
    bool is_done = draft->status != STATUS_NONE && !draft->is_retrying;
    uint64_t id =
        is_done && draft->answered_by ? draft->answered_by : draft->request;
    int rc = store_request_get(store, id, &why->request);

    *why = (struct why){ .request = why->request, .through = batch->id };
    why->has_request = rc == 0;
    if (rc == 0) {
        (void)store_attempt_before(store, &why->request, UINT32_MAX,
                                   &why->attempt);
    }
    if (is_done && is_to_be_retried(batch, draft))
        add_cause(why, WAIT_SWEEP);
    if (is_done)
        return 0;
    if (rc < 0)
        return E_CORRUPT;
    explain(broker, batch, now_ms, why);
    return 0;
}

/* ---- in words ---- */

static void
sweep_detail(const struct batch *batch, const struct draft *draft,
             struct buf *out)
{
    if (draft->status != STATUS_NONE && !draft->is_retrying)
        buf_add_str(out, "it is to be tried again");
    else if (batch_is_live(batch))
        buf_add_str(out, "its request has ended");
    else
        buf_addf(out, "its batch is %s", batch_state_name(batch->state));
}

/* "503", or a code where there was no HTTP answer. */
static void
add_end(const struct attempt *attempt, struct buf *out)
{
    if (attempt->http_status)
        buf_addf(out, "%u", attempt->http_status);
    else if (attempt->code.bytes)
        buf_add_slice(out, attempt->code);
    else
        buf_add_str(out, call_class_name(attempt->class));
}

static void
delay_detail(const struct broker *broker, const struct why *why,
             struct buf *out)
{
    const struct attempt *attempt = &why->attempt;
    const struct request *request = &why->request;

    if (attempt->number == 0)
        return;
    if (attempt->class == CLASS_THROTTLED) {
        buf_addf(out,
                 "told to wait %u of at most %lld times: ", request->throttled,
                 (long long)broker->env.conf->throttle_max);
    } else {
        buf_addf(out, "after attempt %u of %lld: ", request->failures,
                 (long long)broker->env.conf->attempts_max);
    }
    add_end(attempt, out);
    if (attempt->wait_from.bytes &&
        !slice_is(attempt->wait_from, ATTEMPT_BACKOFF)) {
        buf_add_str(out, ", ");
        buf_add_slice(out, attempt->wait_from);
    }
}

static void
window_detail(struct broker *broker, const struct why *why, struct buf *out)
{
    struct spec spec;

    if (store_spec_get(broker->env.store, why->through, &spec) < 0)
        return;
    buf_add_slice(out, spec.window);
    buf_add_char(out, ' ');
    buf_add_slice(out, spec.tz);
}

/* Where it may go, and what nobody but the reader can end. */
static void
cooldown_detail(const struct why *why, struct buf *out)
{
    const struct upstream_row *row;

    if (!why->stopped) {
        buf_add_str(out, why->request.route);
        return;
    }
    row = &why->stopped->row;
    buf_addf(out,
             "%s, which said stop (%s%s%s): only 'upstreams resume %s' lets it "
             "be asked again",
             row->name, row->code, *row->code && *row->message ? ": " : "",
             row->message, row->name);
}

static void
slot_detail(const struct broker *broker, const struct why *why, struct buf *out)
{
    buf_addf(out, "%lld slot%s, %u lent; ",
             (long long)broker->env.conf->slots_max,
             broker->env.conf->slots_max == 1 ? "" : "s",
             sessions_lent(broker->sessions));
    if (why->before == 0) {
        buf_add_str(out, "it is the next of its batch");
    } else {
        buf_addf(out, "%zu%s of its batch %s first", why->before,
                 why->before == WHY_BEFORE_MAX ? " or more" : "",
                 why->before == 1 ? "comes" : "come");
    }
}

static void
lease_detail(const struct why *why, struct buf *out)
{
    char uuid[CORE_UUID_TEXT_BYTES];

    if (!why->holder)
        return;
    buf_addf(out, "worker %s", core_worker_name(why->holder, uuid));
    if (!why->holder->is_online)
        buf_add_str(out, ", which is not connected");
}

/* True if the draft will not see the end of a wait. A lease is none: an answer
 * that comes late counts all the same. */
static bool
is_too_long(const struct batch *batch, const struct wait *wait)
{
    return batch->deadline_ms > 0 && wait->until_ms != SCHEDULE_NEVER &&
           wait->until_ms >= batch->deadline_ms && wait->cause != WAIT_LEASE &&
           wait->cause != WAIT_ANSWER;
}

static void
add_expiry(const struct broker *broker, const struct batch *batch,
           struct buf *out)
{
    char deadline[CLOCK_TEXT_BYTES];

    clock_text(core_to_wall_ms(broker, batch->deadline_ms), deadline);
    buf_addf(out, "%sbut its batch expires before that, at %s",
             out->bytes ? ", " : "", deadline);
}

static void
cause_detail(struct broker *broker, const struct batch *batch,
             const struct draft *draft, const struct why *why,
             const struct wait *wait, struct buf *out)
{
    switch (wait->cause) {
    case WAIT_SWEEP:
        sweep_detail(batch, draft, out);
        break;
    case WAIT_WINDOW:
        window_detail(broker, why, out);
        break;
    case WAIT_BACKOFF:
    case WAIT_SERVER:
        delay_detail(broker, why, out);
        break;
    case WAIT_COOLDOWN:
        cooldown_detail(why, out);
        break;
    case WAIT_BREAKER:
    case WAIT_PACE:
    case WAIT_LANE:
        buf_add_str(out, why->request.route);
        break;
    case WAIT_ALONE:
        buf_addf(out, "lost %u time%s", why->request.lost,
                 why->request.lost == 1 ? "" : "s");
        break;
    case WAIT_ROOM:
        buf_add_str(out, "purge batches, raise store_bytes_max, or make room "
                         "on the disk");
        break;
    case WAIT_SLOT:
        slot_detail(broker, why, out);
        break;
    case WAIT_LEASE:
    case WAIT_ANSWER:
        lease_detail(why, out);
        break;
    default:
        break;
    }
}

void
why_detail(struct broker *broker, const struct batch *batch,
           const struct draft *draft, const struct why *why,
           const struct wait *wait, struct buf *out)
{
    cause_detail(broker, batch, draft, why, wait, out);
    if (is_too_long(batch, wait))
        add_expiry(broker, batch, out);
}
