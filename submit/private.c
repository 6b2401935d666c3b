/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* canonicalize_file_name, pipe2 */
#include "submit/private.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/runtime.h"

#define PROGRAM        "sheafd"
#define LOCK_FILE      "lock"
#define LOCK_BYTES_MAX 4096
#define PID_LINE       "pid "
#define ENDPOINT_LINE  "endpoint "
#define TICK_MS        50
#define READY_MS       10000 /* a broker that we start answers by then */
#define GREET_MS       2000  /* a broker that lives answers by then */
#define IN_USE_MS      40000 /* a broker that drains is gone by then */
#define FIXED_ARGS     20
#define CHILD_KILLED   1 /* greet() */

static bool
is_stopped(const struct private_broker *broker)
{
    const struct private_settings *settings = &broker->settings;

    return settings->idle && settings->idle(settings->idle_arg) != 0;
}

static void
pause_ms(long ms)
{
    struct timespec span = { .tv_nsec = ms * 1000000 };

    /* A signal may cut it short: the callers look again anyway. */
    (void)nanosleep(&span, NULL);
}

/* The code that leads to the exit code with which the broker has ended. */
static int
code_of_exit(int exit_code)
{
    switch (exit_code) {
    case 2:
        return E_USAGE;
    case 6:
        return E_FULL;
    case 9:
        return E_CORRUPT;
    case 10:
        return E_INUSE;
    default:
        return E_IO;
    }
}

static int
describe_end(const struct private_broker *broker, int status, struct err *err)
{
    if (WIFSIGNALED(status)) {
        return err_set(err, E_IO, "the broker of %s was killed by signal %d",
                       broker->store, WTERMSIG(status));
    }
    return err_set(err, code_of_exit(WEXITSTATUS(status)),
                   "the broker of %s ended with exit code %d", broker->store,
                   WEXITSTATUS(status));
}

/* True if a living broker holds the lock; what it has written there is appended. */
static bool
is_served(const struct private_broker *broker, struct buf *text)
{
    char bytes[LOCK_BYTES_MAX];
    struct buf path = { 0 };
    ssize_t count;
    int fd;

    buf_addf(&path, "%s/" LOCK_FILE, broker->store);
    fd = open(path.data, O_RDONLY | O_CLOEXEC);
    buf_fini(&path);
    if (fd < 0)
        return false;
    if (flock(fd, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK) {
        close(fd);
        return false;
    }
    count = pread(fd, bytes, sizeof(bytes), 0);
    close(fd);
    if (count > 0)
        buf_add(text, bytes, (size_t)count);
    return true;
}

/* True while a broker lives that serves the store. */
static bool
holds_lock(const struct private_broker *broker)
{
    struct buf text = { 0 };
    bool is_held = is_served(broker, &text);

    buf_fini(&text);
    return is_held;
}

/* True if the broker that serves the store is our child. */
static bool
is_ours(const struct private_broker *broker)
{
    struct buf text = { 0 }, line = { 0 };
    bool is_child;

    buf_addf(&line, "%ld", (long)broker->pid);
    is_child = is_served(broker, &text) &&
               slice_equal(slice_find_line(buf_slice(&text), PID_LINE),
                           buf_slice(&line));
    buf_fini(&text);
    buf_fini(&line);
    return is_child;
}

/* What greet() must watch: the caller's wishes, and whether the broker, our
 * child or somebody's, is still there. */
struct watch {
    struct private_broker *broker;
    int status; /* of the child, when is_ended */
    bool is_ended, is_gone, is_stopped;
};

static int
watch_broker(void *arg)
{
    struct watch *watch = arg;
    struct private_broker *broker = watch->broker;

    if (broker->pid == 0) {
        watch->is_gone = !holds_lock(broker);
    } else if (waitpid(broker->pid, &watch->status, WNOHANG) > 0) {
        broker->pid = 0;
        watch->is_ended = true;
    }
    watch->is_stopped = is_stopped(broker);
    return watch->is_ended || watch->is_gone || watch->is_stopped;
}

/* Says hello. E_DRAINING: it lives and is about to end; E_UNREACHABLE: it does
 * not answer, or has just ended; CHILD_KILLED, with the reason. */
static int
greet(struct private_broker *broker, const char *endpoint, int wait_ms,
      struct err *err)
{
    struct watch watch = { .broker = broker };
    struct sheaf_settings settings = { .endpoint = endpoint,
                                       .connect_ms = wait_ms,
                                       .patience_ms = wait_ms,
                                       .idle = watch_broker,
                                       .idle_arg = &watch };
    struct sheaf_welcome welcome;
    struct sheaf_error error = { 0 };
    struct sheaf *sheaf = sheaf_connect(&settings, &error);
    int rc = error.code;

    if (sheaf) {
        rc = sheaf_hello(sheaf, &welcome, &error);
        if (rc == 0 && welcome.is_draining)
            rc = err_set(err, E_DRAINING, "it is shutting down");
        sheaf_close(sheaf);
    }
    /* One that answers at once was not watched. */
    if (rc == 0 || rc == E_DRAINING)
        (void)watch_broker(&watch);
    if (watch.is_ended) {
        rc = describe_end(broker, watch.status, err);
        return WIFSIGNALED(watch.status) ? CHILD_KILLED : rc;
    }
    if (watch.is_stopped)
        return err_set(err, SHEAF_E_STOPPED, "stopped");
    if (watch.is_gone)
        return err_set(err, E_UNREACHABLE, "it has ended");
    if (rc < 0 && rc != E_DRAINING)
        err_set(err, rc, "%s", error.message);
    return rc;
}

/* RUNTIME/run-HASH, which differs for each store: a path inside the store may
 * be too long for a socket. */
static int
name_folder(const struct private_broker *broker, struct buf *folder,
            struct err *err)
{
    uint64_t hash = digest_xxh(broker->store, strlen(broker->store), 0);
    int rc = runtime_dir(folder, err);

    if (rc == 0)
        buf_addf(folder, "/run-%016llx", (unsigned long long)hash);
    return rc;
}

static int
make_endpoints(struct private_broker *broker, struct err *err)
{
    struct buf folder = { 0 };
    int rc = name_folder(broker, &folder, err);

    if (rc < 0) {
        buf_fini(&folder);
        return rc;
    }
    if (mkdir(folder.data, 0700) < 0 && errno != EEXIST)
        rc = err_set(err, E_IO, "make %s: %s", folder.data, strerror(errno));
    buf_reset(&broker->endpoint);
    buf_reset(&broker->workers);
    buf_addf(&broker->endpoint, "ipc://%s/clients", folder.data);
    buf_addf(&broker->workers, "ipc://%s/workers", folder.data);
    buf_fini(&folder);
    return rc;
}

/* True if the broker at our endpoint is one that a command has started: it ends
 * with that, and does not come back there. */
static bool
is_passing(const struct private_broker *broker)
{
    struct buf folder = { 0 }, endpoint = { 0 };
    bool is_equal = false;

    if (name_folder(broker, &folder, NULL) == 0) {
        buf_addf(&endpoint, "ipc://%s/clients", folder.data);
        is_equal = strcmp(endpoint.data, broker->endpoint.data) == 0;
    }
    buf_fini(&folder);
    buf_fini(&endpoint);
    return is_equal;
}

/* The arguments of sheafd; the array is the caller's, the texts are not. */
static char **
make_arguments(const struct private_broker *broker, char *program)
{
    const struct private_settings *settings = &broker->settings;
    const char *const fixed[] = { program,
                                  "--store",
                                  broker->store,
                                  "--private",
                                  "--parent-fd",
                                  "3",
                                  "--listen",
                                  broker->endpoint.data,
                                  "--listen-workers",
                                  broker->workers.data,
                                  "--log-level",
                                  settings->log_level,
                                  "--workers",
                                  settings->has_worker ? "1" : "0" };
    size_t count = sizeof(fixed) / sizeof(fixed[0]);
    char **argv =
        mem_zalloc(FIXED_ARGS + 2 * settings->set_count, sizeof(char *));

    static_assert(CHILD_FD == 3, "the text above");
    memcpy(argv, fixed, sizeof(fixed));
    if (settings->is_json) {
        argv[count++] = "--json";
        argv[count++] = "--log-format";
        argv[count++] = "json";
    }
    if (settings->config) {
        argv[count++] = "--config";
        argv[count++] = (char *)settings->config;
    }
    for (size_t i = 0; i < settings->set_count; i++) {
        argv[count++] = "--set";
        argv[count++] = (char *)settings->sets[i];
    }
    return argv;
}

/* An interrupt at the terminal is ours to handle, and standard output for our
 * data only. */
static int
spawn_with(struct private_broker *broker, char *program, struct err *err)
{
    char **argv = make_arguments(broker, program);
    struct child_terms terms = { .arguments = argv,
                                 .fd = broker->reader_fd,
                                 .is_apart = true };
    pid_t pid = 0;
    int rc = child_start(&terms, &pid);

    free(argv);
    if (rc != 0)
        return err_set(err, E_IO, "start %s: %s", program, strerror(rc));
    broker->pid = pid;
    return 0;
}

/* One pipe serves all brokers that are started one after the other: a worker
 * that outlived its broker reads from it, too, and must not see its end. */
static int
open_pipe(struct private_broker *broker, struct err *err)
{
    int ends[2];

    if (broker->pipe_fd >= 0)
        return 0;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_set(err, E_IO, "make a pipe: %s", strerror(errno));
    broker->reader_fd = ends[0];
    broker->pipe_fd = ends[1];
    return 0;
}

static int
start(struct private_broker *broker, struct err *err)
{
    struct buf program = { 0 };
    int rc;

    assert(broker->pid == 0);
    rc = runtime_find_program(PROGRAM, &program, err);
    if (rc == 0)
        rc = open_pipe(broker, err);
    if (rc == 0)
        rc = spawn_with(broker, program.data, err);
    buf_fini(&program);
    return rc;
}

/* Uses the broker that holds the lock. 1: it cannot be used now; look again. */
static int
join(struct private_broker *broker, struct slice endpoint, struct err *err)
{
    int rc;

    if (!endpoint.bytes) /* it has not written it yet */
        return 1;
    buf_reset(&broker->endpoint);
    buf_add_slice(&broker->endpoint, endpoint);
    rc = greet(broker, broker->endpoint.data, GREET_MS, err);
    broker->is_passing = rc == 0 && is_passing(broker);
    return rc == E_DRAINING || rc == E_UNREACHABLE ? 1 : rc;
}

/* Remembers a death. False: there were too many in the last minute. */
static bool
may_restart(struct private_broker *broker, int64_t now_ms)
{
    size_t kept = 0;

    for (size_t i = 0; i < broker->deaths; i++) {
        if (now_ms - broker->deaths_ms[i] < PRIVATE_DEATHS_MS)
            broker->deaths_ms[kept++] = broker->deaths_ms[i];
    }
    broker->deaths = kept;
    if (kept == PRIVATE_DEATHS_MAX)
        return false;
    broker->deaths_ms[broker->deaths++] = now_ms;
    return true;
}

/* Starts what has died once more, unless it does so too often. */
static int
start_again(struct private_broker *broker, int64_t now_ms, struct err *err)
{
    if (!may_restart(broker, now_ms))
        return err_wrap(err, "died %d times in a minute", PRIVATE_DEATHS_MAX);
    fprintf(stderr, "sheaf: %s; starting it again\n", err ? err->msg : "");
    return start(broker, err);
}

/* Who answers may be the broker of a command that was faster, or was killed: all
 * of them listen there. Ours ends then, as it cannot have the lock. */
static int
start_and_wait(struct private_broker *broker, struct err *err)
{
    int64_t end_ms = clock_mono_ms() + IN_USE_MS;
    int rc = make_endpoints(broker, err);

    if (rc == 0)
        rc = start(broker, err);
    while (rc == 0) {
        rc = greet(broker, broker->endpoint.data, READY_MS, err);
        if (rc == 0 && is_ours(broker))
            return 0;
        if (rc == CHILD_KILLED) {
            rc = start_again(broker, clock_mono_ms(), err);
        } else if ((rc == 0 || rc == E_DRAINING) && clock_mono_ms() < end_ms) {
            pause_ms(TICK_MS);
            rc = 0;
        } else if (rc == 0) {
            rc = err_set(err, E_UNREACHABLE, "another one is in its place");
        }
    }
    /* Another command was faster: its broker will do as well. */
    if (rc == E_INUSE)
        return 1;
    return err_wrap(err, "start a broker over %s", broker->store);
}

/* Uses the broker that is there, or starts one. 1: neither can be done now. */
static int
look(struct private_broker *broker, struct err *err)
{
    struct buf text = { 0 };
    int rc;

    if (is_served(broker, &text))
        rc =
            join(broker, slice_find_line(buf_slice(&text), ENDPOINT_LINE), err);
    else
        rc = start_and_wait(broker, err);
    buf_fini(&text);
    return rc;
}

int
private_open(struct private_broker *broker,
             const struct private_settings *settings, struct err *err)
{
    int64_t end_ms = clock_mono_ms() + IN_USE_MS;
    bool was_said = false;

    *broker = (struct private_broker){ .settings = *settings,
                                       .pipe_fd = -1,
                                       .reader_fd = -1 };
    broker->store = canonicalize_file_name(settings->store);
    if (!broker->store) {
        return err_set(err, errno == ENOENT ? E_NOTFOUND : E_IO,
                       "open the store %s: %s", settings->store,
                       strerror(errno));
    }
    for (;;) {
        int rc = look(broker, err);

        if (rc != 1)
            return rc;
        if (clock_mono_ms() >= end_ms) {
            return err_set(err, E_INUSE,
                           "use the store %s: another broker holds it and does "
                           "not answer",
                           broker->store);
        }
        if (!was_said) {
            was_said = true;
            fprintf(stderr,
                    "sheaf: waiting for the broker of %s, which is starting "
                    "or shutting down\n",
                    broker->store);
        }
        if (is_stopped(broker))
            return err_set(err, SHEAF_E_STOPPED, "stopped");
        pause_ms(TICK_MS);
    }
}

int
private_check(struct private_broker *broker, int64_t now_ms, struct err *err)
{
    int status, rc;

    if (broker->is_passing && !holds_lock(broker)) {
        return err_set(err, E_UNREACHABLE, "the broker of %s has ended",
                       broker->store);
    }
    if (broker->pid == 0 || waitpid(broker->pid, &status, WNOHANG) <= 0)
        return 0;
    broker->pid = 0;
    rc = describe_end(broker, status, err);
    if (rc == E_USAGE || rc == E_CORRUPT)
        return rc;
    if (rc == E_INUSE) { /* started again, by somebody who was faster */
        return err_set(err, E_UNREACHABLE,
                       "the broker of %s died, and another has the store",
                       broker->store);
    }
    return start_again(broker, now_ms, err);
}

void
private_close(struct private_broker *broker)
{
    int64_t end_ms = clock_mono_ms() + IN_USE_MS;
    bool was_said = false;

    if (broker->pipe_fd >= 0) {
        close(broker->pipe_fd);
        close(broker->reader_fd);
    }
    broker->pipe_fd = broker->reader_fd = -1;
    while (broker->pid > 0 && waitpid(broker->pid, NULL, WNOHANG) == 0) {
        int64_t left_ms = end_ms - clock_mono_ms();

        if (left_ms <= 0 || is_stopped(broker))
            break;
        if (!was_said && left_ms < IN_USE_MS - 2000) {
            was_said = true;
            fprintf(stderr, "sheaf: waiting for calls that are running\n");
        }
        pause_ms(TICK_MS);
    }
    broker->pid = 0;
    free(broker->store);
    broker->store = NULL;
    buf_fini(&broker->endpoint);
    buf_fini(&broker->workers);
}

int
private_make_store(const char *path, struct err *err)
{
    char *copy = mem_dup_str(path);
    size_t bytes = strlen(copy);
    struct stat st;
    int rc = 0;

    for (size_t i = 1; rc == 0 && i <= bytes; i++) {
        if (copy[i] != '/' && copy[i] != '\0')
            continue;
        copy[i] = '\0';
        if (mkdir(copy, 0700) < 0 && errno != EEXIST)
            rc = err_set(err, E_IO, "make %s: %s", copy, strerror(errno));
        copy[i] = i < bytes ? '/' : '\0';
    }
    free(copy);
    if (rc == 0 && (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)))
        rc = err_set(err, E_IO, "use the store %s: not a directory", path);
    return rc;
}
