/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "queue/keeper.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/program.h"
#include "base/runtime.h"
#include "queue/last_words.h"

#define RESTART_MS_FIRST 200 /* between deaths and starts, doubling */
#define RESTART_MS_MAX   30000
#define SETTLED_MS       10000 /* a worker that lived so long starts anew at once */
#define ARGUMENTS_MAX    24
#define DEAD_MAX         64 /* whose locks wait to be removed; more stay there */

struct keeper {
    struct keeper_terms terms;
    pid_t children[KEEPER_WORKERS_MAX]; /* 0: none */
    int64_t started_ms[KEEPER_WORKERS_MAX];
    int adopted; /* that an earlier broker started, and that stay */
    int leaving; /* of those, that drain and live yet; or that are dead, but may
                  * not have been heard to the end */
    bool is_proven;   /* one of ours has worked */
    bool is_hopeless; /* one could not, before that */
    int64_t restart_ms, not_before_ms;
    char *dead_locks[DEAD_MAX]; /* of workers that were found dead */
    size_t dead_count;
};

struct keeper *
keeper_new(const struct keeper_terms *terms)
{
    struct keeper *keeper = mem_zalloc(1, sizeof(*keeper));

    assert(terms->count <= KEEPER_WORKERS_MAX);
    keeper->terms = *terms;
    return keeper;
}

void
keeper_free(struct keeper *keeper)
{
    if (!keeper)
        return;
    for (size_t i = 0; i < keeper->dead_count; i++)
        free(keeper->dead_locks[i]);
    free(keeper);
}

/* ---- who lives ---- */

/* True if the worker is known to be dead: its lock can be taken. One that we
 * started was on this host: it is dead as well if the host was started anew, or
 * if its lock is gone, as it removes that at its end. For others, a lock that
 * cannot be seen says nothing. */
static bool
is_dead(const struct worker_view *view, bool is_ours)
{
    bool is_taken;
    int fd;

    if (!view->is_here)
        return is_ours;
    if (!*view->lock)
        return false;
    fd = open(view->lock, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return is_ours && errno == ENOENT;
    is_taken = flock(fd, LOCK_EX | LOCK_NB) == 0;
    (void)close(fd);
    return is_taken;
}

/* The lock is the proof that the worker is dead, and is needed until the store
 * has forgotten the worker: a broker that is killed before that commit would
 * leave its successor without one. */
static void
keep_lock(struct keeper *keeper, const char *lock)
{
    if (*lock && keeper->dead_count < DEAD_MAX)
        keeper->dead_locks[keeper->dead_count++] = mem_dup_str(lock);
}

static bool
has_lock(const struct broker *broker, const char *lock)
{
    struct worker_view view;

    for (size_t nth = 0; broker_worker_at(broker, nth, &view); nth++) {
        if (strcmp(view.lock, lock) == 0)
            return true;
    }
    return false;
}

/* Who is still there was not forgotten. */
void
keeper_remove_locks(struct keeper *keeper, const struct broker *broker)
{
    for (size_t i = 0; i < keeper->dead_count; i++) {
        if (!has_lock(broker, keeper->dead_locks[i]))
            (void)unlink(keeper->dead_locks[i]);
        free(keeper->dead_locks[i]);
    }
    keeper->dead_count = 0;
}

/* Takes note of children that ended. */
static void
reap(struct keeper *keeper, int64_t now_ms)
{
    for (int i = 0; i < keeper->terms.count; i++) {
        int status, code;
        pid_t pid = keeper->children[i];

        if (pid == 0 || waitpid(pid, &status, WNOHANG) != pid)
            continue;
        code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        if (code == 0)
            log_info("event=worker_exited pid=%d status=0", (int)pid);
        else
            log_warn("event=worker_exited pid=%d status=%d", (int)pid, code);
        if (code == PROGRAM_EXIT_USAGE && !keeper->is_proven)
            keeper->is_hopeless = true;
        keeper->children[i] = 0;
        if (now_ms - keeper->started_ms[i] > SETTLED_MS)
            keeper->restart_ms = 0;
        keeper->not_before_ms = now_ms + keeper->restart_ms;
        keeper->restart_ms =
            keeper->restart_ms ? keeper->restart_ms * 2 : RESTART_MS_FIRST;
        if (keeper->restart_ms > RESTART_MS_MAX)
            keeper->restart_ms = RESTART_MS_MAX;
    }
}

static bool
is_child(const struct keeper *keeper, uint32_t pid)
{
    for (int i = 0; i < keeper->terms.count; i++) {
        if (keeper->children[i] > 0 && (uint32_t)keeper->children[i] == pid)
            return true;
    }
    return false;
}

static int
count_children(const struct keeper *keeper)
{
    int count = 0;

    for (int i = 0; i < keeper->terms.count; i++)
        count += keeper->children[i] != 0;
    return count;
}

/* Takes what a dead worker has left in the file of its lock. Should that be a pipe
 * by now, it is not waited for. */
static void
hear_last(struct broker *broker, const struct worker_view *view, int64_t now_ms)
{
    struct buf head = { 0 }, body = { 0 };
    struct err err = { 0 };
    int fd = open(view->lock, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    int rc;

    if (fd < 0 && errno == ENOENT)
        return; /* it has removed it, and so has left nothing */
    rc = fd < 0 ? err_set(&err, E_IO, "open: %s", strerror(errno))
                : last_words_read(fd, &head, &body, &err);
    if (rc == 0) {
        broker_last_words(broker, view->uuid, buf_slice(&head),
                          buf_slice(&body), now_ms);
    } else if (rc < 0) {
        log_error("event=last_words_lost lock=%s reason=\"%s\"", view->lock,
                  err.msg);
    }
    if (fd >= 0)
        (void)close(fd);
    buf_fini(&head);
    buf_fini(&body);
}

/* Removes the dead from the broker and counts the living that are ours by
 * adoption. Of one whose link stands, the last words may not have been read:
 * that it leaves with all it had, or results that are paid for. It stays until
 * its link has ended; should that outlive it, until its time is over, as for one
 * that is silent. */
static void
look_round(struct keeper *keeper, struct broker *broker, int64_t now_ms)
{
    struct worker_view view;
    size_t nth = 0;

    keeper->adopted = keeper->leaving = 0;
    while (broker_worker_at(broker, nth, &view)) {
        bool is_ours = strcmp(view.own, keeper->terms.own) == 0;
        bool is_over = is_dead(&view, is_ours);

        keeper->is_proven |= is_ours && view.is_online;
        if (is_over && !view.is_online) {
            hear_last(broker, &view, now_ms);
            keep_lock(keeper, view.lock);
            broker_worker_died(broker, view.uuid, now_ms);
            continue; /* the next one has taken its place */
        }
        if (is_over)
            broker_knock(broker, view.uuid);
        if (is_ours && !is_child(keeper, view.pid)) {
            if (view.is_leaving || is_over)
                keeper->leaving++;
            else
                keeper->adopted++;
        }
        nth++;
    }
}

/* One worker too many: an earlier broker's, which died before it had heard of
 * it, so that another one was started. It goes again. */
static void
dismiss_surplus(struct keeper *keeper, struct broker *broker)
{
    int surplus =
        keeper->adopted + count_children(keeper) - keeper->terms.count;
    struct worker_view view;

    for (size_t nth = 0; surplus > 0 && broker_worker_at(broker, nth, &view);
         nth++) {
        if (strcmp(view.own, keeper->terms.own) == 0 && view.is_online &&
            !view.is_leaving && !is_child(keeper, view.pid)) {
            broker_dismiss(broker, view.uuid);
            keeper->adopted--;
            surplus--;
        }
    }
}

/* ---- starting ---- */

static size_t
add_option(char **arguments, size_t count, const char *name, const char *value)
{
    if (!value)
        return count;
    assert(count + 2 < ARGUMENTS_MAX);
    arguments[count++] = (char *)name; /* posix_spawn does not write */
    arguments[count++] = (char *)value;
    return count;
}

static void
start(struct keeper *keeper, int place, int64_t now_ms)
{
    const struct keeper_terms *terms = &keeper->terms;
    char *arguments[ARGUMENTS_MAX] = { NULL };
    char capacity[16];
    struct buf path = { 0 };
    struct err err = { 0 };
    size_t count = 0;
    int rc;

    if (runtime_find_program("sheaf-worker", &path, &err) < 0) {
        log_error("event=worker_not_started reason=\"%s\"", err.msg);
        keeper->not_before_ms = now_ms + RESTART_MS_MAX;
        buf_fini(&path);
        return;
    }
    (void)snprintf(capacity, sizeof(capacity), "%d", terms->capacity);
    arguments[count++] = path.data;
    count = add_option(arguments, count, "--broker", terms->endpoint);
    count = add_option(arguments, count, "--own", terms->own);
    count = add_option(arguments, count, "--capacity", capacity);
    count = add_option(arguments, count, "--config", terms->config);
    count = add_option(arguments, count, "--log-level", terms->log_level);
    count = add_option(arguments, count, "--log-format", terms->log_format);
    static_assert(CHILD_FD == 3, "the text below");
    if (terms->parent_fd != CHILD_NO_FD)
        add_option(arguments, count, "--parent-fd", "3");
    rc = child_start(
        &(struct child_terms){ .arguments = arguments, .fd = terms->parent_fd },
        &keeper->children[place]);
    if (rc == 0) {
        keeper->started_ms[place] = now_ms;
        log_info("event=worker_started pid=%d", (int)keeper->children[place]);
    } else {
        keeper->children[place] = 0;
        keeper->not_before_ms = now_ms + RESTART_MS_MAX;
        log_error("event=worker_not_started program=%s reason=\"%s\"",
                  path.data, strerror(rc));
    }
    buf_fini(&path);
}

void
keeper_look(struct keeper *keeper, struct broker *broker, bool is_draining,
            int64_t now_ms)
{
    int missing;

    reap(keeper, now_ms);
    look_round(keeper, broker, now_ms);
    if (!is_draining)
        dismiss_surplus(keeper, broker);
    if (is_draining || keeper->is_hopeless || now_ms < keeper->not_before_ms)
        return;
    missing = keeper->terms.count - count_children(keeper) - keeper->adopted;
    for (int i = 0; i < keeper->terms.count && missing > 0; i++) {
        if (keeper->children[i] != 0)
            continue;
        start(keeper, i, now_ms);
        missing--;
    }
}

bool
keeper_has_workers(const struct keeper *keeper)
{
    return count_children(keeper) + keeper->adopted + keeper->leaving > 0;
}

bool
keeper_is_hopeless(const struct keeper *keeper)
{
    return keeper->is_hopeless;
}
