/* SPDX-License-Identifier: MIT */
#include "worker/desk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define HEARD_NEVER INT64_MIN

/* Leases stand in a table of fixed places; `order` holds them in order, the
 * free ones behind those in use. */
struct desk {
    struct desk_lease *places;
    struct desk_lease **order;
    size_t size;
    size_t counts[DESK_STATE_COUNT];
    size_t unconfirmed_bytes;
    size_t loose; /* results that are not packed yet */
    size_t kept;  /* results that outlive the worker */
    int64_t lease_ms;
    int64_t run_max_ms;

    /* Heartbeats are numbered from 1. Those from `answered` + 1 to `sent` are
     * not answered; when each was sent is in a ring. */
    uint64_t sent;
    uint64_t answered;
    int64_t sent_ms[DESK_BEATS_UNANSWERED_MAX];
    int64_t heard_ms; /* when the last answered one was sent; or HEARD_NEVER */
};

struct desk *
desk_new(void)
{
    struct desk *desk = mem_zalloc(1, sizeof(*desk));

    desk->places = mem_zalloc(DESK_LEASES_MAX, sizeof(*desk->places));
    desk->order = mem_zalloc(DESK_LEASES_MAX, sizeof(struct desk_lease *));
    for (size_t i = 0; i < DESK_LEASES_MAX; i++)
        desk->order[i] = &desk->places[i];
    desk->heard_ms = HEARD_NEVER;
    return desk;
}

/* Its place is set to zero when the next lease comes there. */
static void
clear(struct desk_lease *lease)
{
    buf_fini(&lease->body);
    buf_fini(&lease->translated);
    reply_free(lease->reply);
    result_fini(&lease->result);
}

void
desk_free(struct desk *desk)
{
    if (!desk)
        return;
    for (size_t i = 0; i < desk->size; i++)
        clear(desk->order[i]);
    free(desk->order);
    free(desk->places);
    free(desk);
}

void
desk_set_lease_ms(struct desk *desk, int64_t lease_ms, int64_t run_max_ms)
{
    desk->lease_ms = lease_ms;
    desk->run_max_ms = run_max_ms;
}

static int64_t
end_of(const struct desk *desk, const struct desk_lease *lease, int64_t from_ms)
{
    int64_t end_ms =
        from_ms + (lease->timeout_ms > desk->lease_ms ? lease->timeout_ms
                                                      : desk->lease_ms);

    return end_ms < lease->end_ms ? end_ms : lease->end_ms;
}

/* The broker granted it after it had answered what we have an answer to, and
 * nobody knows how much later the message was read: it may have lain there while
 * this process was stopped. */
static void
begin(const struct desk *desk, struct desk_lease *lease, int64_t now_ms)
{
    int64_t from_ms = desk->heard_ms == HEARD_NEVER ? now_ms : desk->heard_ms;

    lease->first_beat = desk->sent + 1;
    lease->end_ms = from_ms + desk->run_max_ms;
    lease->deadline_ms = end_of(desk, lease, from_ms);
}

struct desk_lease *
desk_add(struct desk *desk, int64_t request, int64_t fence, int64_t timeout_ms,
         int64_t now_ms)
{
    struct desk_lease *lease;

    assert(!desk_find_live(desk, request));
    if (desk->size == DESK_LEASES_MAX)
        return NULL;
    lease = desk->order[desk->size++];
    desk->counts[DESK_WAITING]++;
    *lease = (struct desk_lease){
        .request = request,
        .fence = fence,
        .state = DESK_WAITING,
        .timeout_ms = timeout_ms,
    };
    begin(desk, lease, now_ms);
    return lease;
}

struct desk_lease *
desk_find(struct desk *desk, int64_t request, int64_t fence)
{
    for (size_t i = 0; i < desk->size; i++) {
        struct desk_lease *lease = desk->order[i];

        if (lease->request == request && lease->fence == fence)
            return lease;
    }
    return NULL;
}

struct desk_lease *
desk_find_live(struct desk *desk, int64_t request)
{
    for (size_t i = 0; i < desk->size; i++) {
        struct desk_lease *lease = desk->order[i];

        if (lease->request == request && lease->state != DESK_FINISHED)
            return lease;
    }
    return NULL;
}

void
desk_adopt(struct desk *desk, struct desk_lease *lease, int64_t fence,
           int64_t now_ms)
{
    assert(lease->state != DESK_FINISHED);
    lease->fence = fence;
    begin(desk, lease, now_ms);
}

struct desk_lease *
desk_at(struct desk *desk, size_t nth)
{
    return nth < desk->size ? desk->order[nth] : NULL;
}

size_t
desk_count(const struct desk *desk, enum desk_state state)
{
    return desk->counts[state];
}

size_t
desk_size(const struct desk *desk)
{
    return desk->size;
}

/* How many calls have brought what the broker has not confirmed. */
static size_t
unconfirmed(const struct desk *desk)
{
    return desk->counts[DESK_ENDED] + desk->counts[DESK_FINISHED];
}

/* True if no call is to be started before some of that is confirmed. */
static bool
is_piled_up(const struct desk *desk)
{
    size_t bytes = desk->unconfirmed_bytes;

    for (size_t i = 0; desk->counts[DESK_ENDED] > 0 && i < desk->size; i++) {
        if (desk->order[i]->state == DESK_ENDED)
            bytes += desk->order[i]->reply->body.bytes;
    }
    return unconfirmed(desk) > DESK_UNCONFIRMED_MAX ||
           bytes > DESK_UNCONFIRMED_BYTES;
}

/* True if a result of the request is unconfirmed: perhaps it makes another call
 * needless. */
static bool
has_result(const struct desk *desk, int64_t request)
{
    if (unconfirmed(desk) == 0)
        return false;
    for (size_t i = 0; i < desk->size; i++) {
        const struct desk_lease *lease = desk->order[i];

        if (lease->request == request && lease->state >= DESK_ENDED)
            return true;
    }
    return false;
}

struct desk_lease *
desk_next_waiting(struct desk *desk, size_t *at)
{
    if (desk->counts[DESK_WAITING] == 0 || is_piled_up(desk))
        return NULL;
    while (*at < desk->size) {
        struct desk_lease *lease = desk->order[(*at)++];

        if (lease->state == DESK_WAITING && !has_result(desk, lease->request))
            return lease;
    }
    return NULL;
}

/* The one place where a lease changes its state. */
static void
move(struct desk *desk, struct desk_lease *lease, enum desk_state to)
{
    assert(to > lease->state ||
           (lease->state == DESK_RUNNING && to == DESK_WAITING));
    assert(desk->counts[lease->state] > 0);
    desk->counts[lease->state]--;
    desk->counts[to]++;
    lease->state = to;
}

bool
desk_has_time(const struct desk_lease *lease, int64_t now_ms)
{
    return now_ms + lease->timeout_ms <= lease->end_ms;
}

void
desk_start(struct desk *desk, struct desk_lease *lease)
{
    move(desk, lease, DESK_RUNNING);
    lease->is_told = false;
}

void
desk_told(struct desk *desk)
{
    for (size_t i = 0; i < desk->size; i++) {
        if (desk->order[i]->state == DESK_RUNNING)
            desk->order[i]->is_told = true;
    }
}

void
desk_again(struct desk *desk, struct desk_lease *lease)
{
    move(desk, lease, DESK_WAITING);
    buf_fini(&lease->translated);
    lease->call = NULL;
}

void
desk_end(struct desk *desk, struct desk_lease *lease, struct reply *reply,
         int64_t now_ms)
{
    move(desk, lease, DESK_ENDED);
    lease->ended_ms = now_ms;
    lease->call = NULL;
    lease->reply = reply;
}

struct desk_lease *
desk_next_unjudged(struct desk *desk)
{
    if (desk->counts[DESK_ENDED] == 0)
        return NULL;
    for (size_t i = 0; i < desk->size; i++) {
        if (desk->order[i]->state == DESK_ENDED)
            return desk->order[i];
    }
    return NULL;
}

void
desk_finish(struct desk *desk, struct desk_lease *lease, int64_t now_ms)
{
    if (lease->state != DESK_ENDED)
        lease->ended_ms = now_ms;
    move(desk, lease, DESK_FINISHED);
    reply_free(lease->reply);
    lease->reply = NULL;
    buf_fini(&lease->body);
    buf_fini(&lease->translated);
    lease->call = NULL;
    lease->resend_ms = 0;
    desk->unconfirmed_bytes += lease->result.body.bytes;
    desk->loose += lease->result.is_loose;
}

void
desk_pack(struct desk *desk, struct packer *packer, struct buf *room)
{
    for (size_t i = 0; desk->loose > 0; i++) {
        struct result *result;

        assert(i < desk->size);
        result = &desk->order[i]->result;
        if (!result->is_loose)
            continue;
        desk->unconfirmed_bytes -= result->body.bytes;
        result_pack(result, packer, room);
        desk->unconfirmed_bytes += result->body.bytes;
        desk->loose--;
    }
}

void
desk_keep(struct desk *desk, struct desk_lease *lease)
{
    assert(lease->state == DESK_FINISHED);
    desk->kept += !lease->is_kept;
    lease->is_kept = true;
}

size_t
desk_kept(const struct desk *desk)
{
    return desk->kept;
}

void
desk_remove(struct desk *desk, struct desk_lease *lease)
{
    size_t at = 0;

    while (at < desk->size && desk->order[at] != lease)
        at++;
    assert(at < desk->size);
    desk->counts[lease->state]--;
    if (lease->state == DESK_FINISHED) {
        assert(desk->unconfirmed_bytes >= lease->result.body.bytes);
        desk->unconfirmed_bytes -= lease->result.body.bytes;
        desk->loose -= lease->result.is_loose;
        desk->kept -= lease->is_kept;
    }
    clear(lease);
    desk->size--;
    memmove(&desk->order[at], &desk->order[at + 1],
            (desk->size - at) * sizeof(struct desk_lease *));
    desk->order[desk->size] = lease;
}

uint64_t
desk_beat_number(const struct desk *desk)
{
    return desk->sent - desk->answered == DESK_BEATS_UNANSWERED_MAX
               ? 0
               : desk->sent + 1;
}

void
desk_beat_sent(struct desk *desk, int64_t now_ms)
{
    /* A broker that leaves so many unanswered hears no more from us in this:
     * later answers are taken for earlier ones, which only shortens leases. */
    if (desk_beat_number(desk) == 0)
        return;
    desk->sent++;
    desk->sent_ms[desk->sent % DESK_BEATS_UNANSWERED_MAX] = now_ms;
}

void
desk_beat_answered(struct desk *desk, uint64_t number)
{
    int64_t sent_ms;

    if (number == 0)
        number = desk->answered + 1;
    if (number <= desk->answered || number > desk->sent)
        return;
    desk->answered = number;
    sent_ms = desk->sent_ms[number % DESK_BEATS_UNANSWERED_MAX];
    desk->heard_ms = sent_ms;
    for (size_t i = 0; i < desk->size; i++) {
        struct desk_lease *lease = desk->order[i];
        int64_t end_ms = end_of(desk, lease, sent_ms);

        if (lease->first_beat <= desk->answered && end_ms > lease->deadline_ms)
            lease->deadline_ms = end_ms;
    }
}

void
desk_beats_forget(struct desk *desk)
{
    desk->answered = desk->sent;
}

struct desk_lease *
desk_next_ended(struct desk *desk, int64_t now_ms)
{
    for (size_t i = 0; i < desk->size; i++) {
        struct desk_lease *lease = desk->order[i];

        if (lease->state < DESK_ENDED && lease->deadline_ms <= now_ms)
            return lease;
    }
    return NULL;
}

struct desk_lease *
desk_find_call(struct desk *desk, const struct call *call)
{
    for (size_t i = 0; i < desk->size; i++) {
        struct desk_lease *lease = desk->order[i];

        if (lease->state == DESK_RUNNING && lease->call == call)
            return lease;
    }
    return NULL;
}

struct desk_lease *
desk_next_due(struct desk *desk, size_t *at, int64_t now_ms)
{
    if (desk->counts[DESK_FINISHED] == 0)
        return NULL;
    while (*at < desk->size) {
        struct desk_lease *lease = desk->order[(*at)++];

        if (lease->state == DESK_FINISHED && lease->resend_ms <= now_ms)
            return lease;
    }
    return NULL;
}

void
desk_sent(struct desk_lease *lease, int64_t now_ms)
{
    int64_t wait_ms = DESK_RESEND_MS;

    assert(lease->state == DESK_FINISHED);
    for (int i = 0; i < lease->times_sent && wait_ms < DESK_RESEND_MAX_MS; i++)
        wait_ms *= 2;
    lease->resend_ms = now_ms + wait_ms;
    lease->times_sent++;
}

void
desk_put_off(struct desk_lease *lease, int64_t now_ms)
{
    assert(lease->state == DESK_FINISHED);
    lease->resend_ms = now_ms + DESK_RESEND_MS;
}

bool
desk_is_fresh(const struct desk *desk, int64_t now_ms)
{
    if (unconfirmed(desk) == desk->kept)
        return true;
    for (size_t i = 0; i < desk->size; i++) {
        const struct desk_lease *lease = desk->order[i];

        if (lease->state >= DESK_ENDED && !lease->is_kept &&
            now_ms - lease->ended_ms > DESK_HEARD_MS) {
            return false;
        }
    }
    return true;
}

void
desk_resend_all(struct desk *desk)
{
    for (size_t i = 0; i < desk->size; i++)
        desk->order[i]->resend_ms = 0;
}

int64_t
desk_next_ms(const struct desk *desk)
{
    int64_t next_ms = DESK_NEVER;

    for (size_t i = 0; i < desk->size; i++) {
        const struct desk_lease *lease = desk->order[i];
        int64_t at_ms = lease->state == DESK_FINISHED ? lease->resend_ms
                                                      : lease->deadline_ms;

        if (at_ms < next_ms)
            next_ms = at_ms;
    }
    return next_ms;
}
