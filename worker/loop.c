/* SPDX-License-Identifier: MIT */
#include "worker/loop.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"
#include "worker/errand.h"
#include "worker/inbox.h"
#include "worker/report.h"

#define GO_ON       (-1) /* no exit code yet */
#define AT_RISK_MIN 10   /* for a worker of few slots */
#define LOOKS_MAX   2    /* for calls that have ended, in one turn */

void
worker_drain(struct worker *worker, const char *reason, int64_t now_ms)
{
    if (worker->is_draining)
        return;
    log_info("event=draining reason=%s running=%zu waiting=%zu", reason,
             desk_count(worker->desk, DESK_RUNNING),
             desk_count(worker->desk, DESK_WAITING));
    worker->is_draining = true;
    worker->drain_end_ms = DESK_NEVER;
    /* In this order, or the broker may lease to us what comes back. */
    if (worker->is_welcome)
        (void)report_beat(worker, now_ms);
    (void)report_release(worker);
}

/* A drain that somebody waits for, who is not the broker. */
static void
drain_soon(struct worker *worker, const char *reason, int64_t now_ms)
{
    worker_drain(worker, reason, now_ms);
    if (worker->drain_end_ms == DESK_NEVER)
        worker->drain_end_ms = now_ms + worker->drain_ms;
}

void
worker_reload(struct worker *worker, const char *reason)
{
    log_info("event=reload reason=%s", reason);
    keys_reload(worker->keys);
    if (hooks_reload(worker->hooks)) {
        worker->is_welcome = false; /* the broker learns it by a hello */
        worker->hello_ms = 0;
    }
    tokens_forgive(worker->tokens);
}

/* Says hello after each connection, and again while nobody answers. The sign of
 * a connection may come a moment after the connection itself, so while there is
 * none, hello is tried often; the sign that follows is no news then. (Should it
 * have stood for two connections, the broker asks for a hello.) */
static void
introduce(struct worker *worker, int64_t now_ms)
{
    if (link_was_connected(worker->link)) {
        if (!worker->is_ahead) {
            worker->is_welcome = false;
            worker->hello_ms = 0;
        }
        worker->is_ahead = false;
        worker->is_connected = true;
    }
    if (worker->is_welcome || now_ms < worker->hello_ms)
        return;
    if (report_hello(worker, now_ms) == 0) {
        worker->hello_ms = now_ms + WORKER_HELLO_REPEAT_MS;
        worker->is_ahead = !worker->is_connected;
    } else {
        worker->hello_ms = now_ms + WORKER_HELLO_RETRY_MS;
        worker->is_connected = false;
    }
}

/* Takes what has ended. What ends meanwhile comes into the same report, once:
 * there may be no end to it. */
static void
collect(struct worker *worker, int64_t now_ms)
{
    size_t running = desk_count(worker->desk, DESK_RUNNING);
    int64_t took_ms = 0;
    size_t left;
    const struct call *call;
    struct reply *reply;

    for (int look = 0; look < LOOKS_MAX; look++) {
        calls_perform(worker->calls);
        if (!calls_have_ended(worker->calls))
            break;
        while ((call = calls_take(worker->calls, &reply))) {
            if (tokens_end(worker->tokens, call, reply, now_ms) ||
                courier_end(worker->courier, call, reply)) {
                reply_free(reply);
            } else {
                if (reply->latency_ms > took_ms)
                    took_ms = reply->latency_ms;
                errand_end(worker, call, reply, now_ms);
            }
        }
    }
    left = desk_count(worker->desk, DESK_RUNNING);
    wave_add(&worker->wave, running - left, left, took_ms, now_ms);
}

/* Gives up what the broker must take for lost by now. */
static void
end_leases(struct worker *worker, int64_t now_ms)
{
    struct desk_lease *lease;

    while ((lease = desk_next_ended(worker->desk, now_ms))) {
        log_warn("event=lease_ended request=%lld fence=%lld running=%d",
                 (long long)lease->request, (long long)lease->fence,
                 lease->state == DESK_RUNNING);
        if (lease->state == DESK_RUNNING) {
            errand_abort(worker, lease, "lease_ended",
                         "the lease ended before the call did", now_ms);
        } else {
            desk_remove(worker->desk, lease);
        }
    }
}

/* Answers that the broker has not confirmed are paid for again if this worker
 * dies and the broker is not there to have them, like the calls that run. However
 * long it is away, they are no more than twice what the worker can call at a
 * time, and, of calls that are shorter than that, what ended before its silence
 * was noticed: of longer ones a slot ends one in that time at most. What is kept
 * for the broker is not at risk. */
static bool
may_risk_more(const struct worker *worker, int64_t now_ms)
{
    size_t at_risk = desk_count(worker->desk, DESK_RUNNING) +
                     desk_count(worker->desk, DESK_ENDED) +
                     desk_count(worker->desk, DESK_FINISHED) -
                     desk_kept(worker->desk);
    size_t most = 2 * (size_t)worker->slots.capacity;

    return at_risk < (most > AT_RISK_MIN ? most : AT_RISK_MIN) ||
           (worker->is_welcome && now_ms - worker->heard_ms <= DESK_HEARD_MS &&
            desk_is_fresh(worker->desk, now_ms));
}

/* Starts what may start. The sampler of `local` works inline: after one of its
 * answers, messages and heartbeats get their turn first. True if it did. */
static bool
start(struct worker *worker, int64_t now_ms)
{
    struct desk_lease *lease;
    bool is_local = false;
    size_t at = 0;

    while (!worker->is_draining && !worker->is_told_to_wait && !is_local &&
           may_risk_more(worker, now_ms) &&
           slots_free(&worker->slots,
                      (int64_t)desk_count(worker->desk, DESK_RUNNING)) > 0 &&
           (lease = desk_next_waiting(worker->desk, &at))) {
        if (!desk_has_time(lease, now_ms)) {
            log_warn("event=lease_too_old request=%lld fence=%lld",
                     (long long)lease->request, (long long)lease->fence);
            (void)report_refuse(worker, lease->request, lease->fence);
            desk_remove(worker->desk, lease);
            at--; /* the next one has taken its place */
            continue;
        }
        /* It keeps its place and takes no slot. */
        if (!errand_may_start(worker, lease, now_ms))
            continue;
        is_local = strcmp(lease->upstream, CONF_LOCAL) == 0;
        report_start(worker, lease);
        if (is_local) /* it works at once */
            (void)report_turn(worker, now_ms);
        errand_start(worker, lease, now_ms);
    }
    if (!worker->is_draining)
        (void)tokens_turn(worker->tokens, now_ms);
    return is_local;
}

/* True if a round of short calls waits for the next one from now on. There must be
 * leases for the round after that, and what waits is kept for the broker: else a
 * kill would cost more than the calls that run and those of one round. */
static bool
goes_on(struct worker *worker, int64_t now_ms)
{
    size_t running = desk_count(worker->desk, DESK_RUNNING);

    if (!wave_may_go_on(&worker->wave, worker->window_ms) || running == 0 ||
        desk_count(worker->desk, DESK_WAITING) < running ||
        desk_kept(worker->desk) > 0 || report_keep(worker, now_ms) < 0) {
        return false;
    }
    wave_go_on(&worker->wave, running, worker->window_ms, now_ms);
    return true;
}

/* True if the report is to wait for what others are about to bring. Only with
 * leases to go on with: the next ones come by the broker's answer, and so does
 * leave to start them, where too much is at risk. That an upstream is to be left
 * alone is news for all workers. */
static bool
holds_back(struct worker *worker, int64_t now_ms)
{
    return !worker->is_told_to_wait &&
           desk_count(worker->desk, DESK_WAITING) > 0 &&
           (worker->wave.state != WAVE_NEXT || may_risk_more(worker, now_ms)) &&
           (wave_waits(&worker->wave, now_ms) || goes_on(worker, now_ms));
}

/* Says what the broker is to know. */
static void
speak(struct worker *worker, int64_t now_ms)
{
    struct parcel *parcel;

    if (!holds_back(worker, now_ms)) {
        wave_end(&worker->wave);
        (void)report_turn(worker, now_ms);
    }
    report_forget(worker);
    if (!worker->is_welcome)
        return;
    while ((parcel = courier_next_due(worker->courier, now_ms)))
        (void)report_posted(worker, parcel, now_ms);
    /* It has the result by now, and will hold back what this gives back. */
    if (worker->is_told_to_wait)
        (void)report_release(worker);
    worker->is_told_to_wait = false;
    if (slots_is_news(&worker->slots,
                      (int64_t)desk_count(worker->desk, DESK_RUNNING))) {
        (void)report_slots(worker);
    }
    if (now_ms >= worker->beat_ms) {
        (void)report_beat(worker, now_ms);
        worker->beat_ms = now_ms + worker->heartbeat_ms;
    }
}

/* A drain ends when all is confirmed; what still runs at its end is given up,
 * and its results get a little time more. */
static bool
is_drained(struct worker *worker, int64_t now_ms)
{
    struct desk_lease *lease;
    size_t at = 0;

    if (!worker->is_draining)
        return false;
    if (desk_size(worker->desk) == 0 && !courier_at(worker->courier, 0))
        return true;
    if (now_ms < worker->drain_end_ms)
        return false;
    courier_abort(worker->courier, "drained", "the worker has to go");
    if (now_ms >= worker->drain_end_ms + LOOP_REPORT_MS_MAX)
        return true;
    while ((lease = desk_at(worker->desk, at++))) {
        if (lease->state == DESK_RUNNING)
            errand_abort(worker, lease, "drained", "the worker has to go",
                         now_ms);
    }
    speak(worker, now_ms);
    return false;
}

/* What is kept and not confirmed stays where it is. Then the broker is to find
 * this worker dead: by a bye it would have done with it, and hear no words. */
static int
leave(struct worker *worker, const char *reason, int code)
{
    bool leaves_words = desk_kept(worker->desk) > 0;
    struct desk_lease *lease;

    (void)report_release(worker);
    while ((lease = desk_at(worker->desk, 0))) {
        log_warn("event=lease_left request=%lld fence=%lld finished=%d",
                 (long long)lease->request, (long long)lease->fence,
                 lease->state == DESK_FINISHED);
        if (lease->state == DESK_FINISHED)
            desk_remove(worker->desk, lease);
        else
            errand_forget(worker, lease);
    }
    worker->identity.leaves_words = leaves_words;
    if (!leaves_words)
        (void)report_bye(worker);
    log_info("event=worker_stopped reason=%s", reason);
    return code;
}

/* The first signal asks for an end, the second demands it; SIGHUP only says
 * that keys have changed. */
static int
take_signals(struct worker *worker, int signal_fd, int64_t now_ms)
{
    struct signalfd_siginfo info;

    while (read(signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGHUP) {
            worker_reload(worker, "signal");
            continue;
        }
        if (worker->is_signalled) {
            (void)report_turn(worker, now_ms); /* what waits for others */
            return leave(worker, "second_signal",
                         LOOP_EXIT_SIGNAL + (int)info.ssi_signo);
        }
        worker->is_signalled = true;
        drain_soon(worker, "signal", now_ms);
    }
    return GO_ON;
}

/* Returns the descriptor that is to be watched from now on. */
static int
watch_parent(struct worker *worker, int parent_fd, int64_t now_ms)
{
    char ignored[64];
    ssize_t bytes;

    do
        bytes = read(parent_fd, ignored, sizeof(ignored));
    while (bytes > 0);
    if (bytes < 0 && (errno == EAGAIN || errno == EINTR))
        return parent_fd;
    drain_soon(worker, "parent_gone", now_ms);
    return LOOP_NO_FD;
}

/* A broker that is there is heard with each heartbeat. */
static bool
is_orphan(const struct worker *worker, int64_t now_ms)
{
    int64_t silence_ms = 3 * worker->heartbeat_ms;

    if (worker->orphan_ttl_ms > silence_ms)
        silence_ms = worker->orphan_ttl_ms;
    return now_ms >= worker->heard_ms + silence_ms;
}

static int
wait_ms(const struct worker *worker, int64_t now_ms)
{
    int64_t next_ms = now_ms + LOOP_WAIT_MS_MAX;
    /* What is held back is due already by the desk's word. */
    int64_t desk_ms = worker->wave.state != WAVE_CLOSED
                          ? worker->wave.end_ms
                          : desk_next_ms(worker->desk);
    int64_t tokens_ms = tokens_next_ms(worker->tokens, now_ms);

    if (desk_ms < next_ms)
        next_ms = desk_ms;
    if (!worker->is_draining && tokens_ms < next_ms)
        next_ms = tokens_ms;
    if (worker->is_welcome && worker->beat_ms < next_ms)
        next_ms = worker->beat_ms;
    if (worker->is_welcome && courier_next_ms(worker->courier) < next_ms)
        next_ms = courier_next_ms(worker->courier);
    if (!worker->is_welcome && worker->hello_ms < next_ms)
        next_ms = worker->hello_ms;
    if (worker->is_draining && worker->drain_end_ms > now_ms &&
        worker->drain_end_ms < next_ms) {
        next_ms = worker->drain_end_ms;
    }
    return next_ms > now_ms ? (int)(next_ms - now_ms) : 0;
}

/* One turn. True if the next one is to follow at once. */
static bool
turn(struct worker *worker, int64_t now_ms)
{
    bool is_busy;

    (void)inbox_take(worker, now_ms);
    introduce(worker, now_ms);
    collect(worker, now_ms);
    end_leases(worker, now_ms);
    is_busy = start(worker, now_ms);
    calls_perform(worker->calls);
    errand_judge(worker, now_ms);
    speak(worker, now_ms);
    /* A send may have eaten the edge that says that messages are there. */
    return inbox_take(worker, now_ms) > 0 || is_busy;
}

enum { FD_LINK, FD_SIGN, FD_SIGNALS, FD_PARENT, FD_COUNT };

int
loop_run(struct worker *worker, int signal_fd, int parent_fd)
{
    struct pollfd fds[FD_COUNT] = {
        [FD_LINK] = { link_fd(worker->link), POLLIN, 0 },
        [FD_SIGN] = { link_sign_fd(worker->link), POLLIN, 0 },
        [FD_SIGNALS] = { signal_fd, POLLIN, 0 },
        [FD_PARENT] = { parent_fd, POLLIN, 0 },
    };

    worker->heard_ms = clock_now_ms(&worker->clock);
    for (;;) {
        int64_t now_ms = clock_now_ms(&worker->clock);
        bool is_busy = turn(worker, now_ms), asks;
        int code = GO_ON;

        if (fds[FD_SIGNALS].revents)
            code = take_signals(worker, signal_fd, now_ms);
        if (code != GO_ON)
            return code;
        if (fds[FD_PARENT].revents)
            fds[FD_PARENT].fd = watch_parent(worker, parent_fd, now_ms);
        if (worker->is_broken)
            return leave(worker, "version", LOOP_EXIT_VERSION);
        if (is_drained(worker, now_ms))
            return leave(worker, "drained", 0);
        if (is_orphan(worker, now_ms))
            return leave(worker, "orphaned", LOOP_EXIT_UNREACHABLE);
        asks = !calls_wait(worker->calls, fds, FD_COUNT,
                           is_busy ? 0 : wait_ms(worker, now_ms)) &&
               !is_busy;
        /* After a wait for nothing, libzmq is asked all the same. */
        link_polled(worker->link, asks || fds[FD_LINK].revents,
                    asks || fds[FD_SIGN].revents);
    }
}
