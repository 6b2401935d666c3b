/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* POLLRDHUP */
#include "tests/upstream_ledger.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "tests/upstream_tally.h"

struct ledger {
    pthread_mutex_t lock;
    int log_fd;           /* -1: no log */
    uint64_t connections; /* since the start of the program, as the next */
    uint64_t started;     /* also the number of the latest call */
    uint64_t ended;
    uint64_t started_reset; /* what `started` was at the last reset */
    size_t in_flight_max;
    struct tally bodies; /* since the last reset */
    struct buf line;     /* the event that is being written */
    size_t count;        /* calls in progress; the first of both arrays */
    struct call *calls[LEDGER_CALL_MAX]; /* borrowed until they end */
    struct pollfd polls[LEDGER_CALL_MAX];
};

int
ledger_open(const char *path, struct ledger **ledger, struct err *err)
{
    int fd = -1;

    *ledger = NULL;
    if (path)
        fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (path && fd < 0)
        return err_set(err, E_IO, "open %s: %s", path, strerror(errno));
    *ledger = mem_zalloc(1, sizeof(**ledger));
    pthread_mutex_init(&(*ledger)->lock, NULL); /* cannot fail on Linux */
    (*ledger)->log_fd = fd;
    return 0;
}

void
ledger_close(struct ledger *ledger)
{
    if (!ledger)
        return;
    if (ledger->log_fd >= 0 && close(ledger->log_fd) < 0)
        log_error("event=log_close_failed reason=\"%s\"", strerror(errno));
    buf_fini(&ledger->line);
    tally_fini(&ledger->bodies);
    pthread_mutex_destroy(&ledger->lock);
    free(ledger);
}

/* A test that trusts an incomplete log proves nothing: the program ends. */
static void
write_line(struct ledger *ledger)
{
    ssize_t bytes;

    buf_add_str(&ledger->line, "}\n");
    do {
        bytes = write(ledger->log_fd, ledger->line.data, ledger->line.bytes);
    } while (bytes < 0 && errno == EINTR);
    if (bytes < 0 || (size_t)bytes != ledger->line.bytes)
        log_fatal("event=log_write_failed reason=\"%s\"",
                  bytes < 0 ? strerror(errno) : "short write");
}

static void
add_member(struct buf *line, const char *name, const char *text, size_t bytes)
{
    buf_addf(line, ",\"%s\":", name);
    json_write_string(line, text, bytes);
}

static void
write_start(struct ledger *ledger, const struct call *call)
{
    char hex[DIGEST_HEX_BYTES];
    struct buf *line = &ledger->line;

    if (ledger->log_fd < 0)
        return;
    digest_hex(call->digest, hex);
    buf_reset(line);
    buf_addf(line,
             "{\"event\":\"start\",\"n\":%" PRIu64 ",\"t_us\":%" PRId64
             ",\"in_flight\":%zu,\"conn\":%" PRIu64
             ",\"sha\":\"%.16s\",\"user\":\"%s\"",
             call->n, clock_mono_us(), ledger->count, call->conn, hex,
             call->user);
    add_member(line, "goal", call->goal.data, call->goal.bytes);
    add_member(line, "auth", call->auth, strlen(call->auth));
    add_member(line, "path", call->path, strlen(call->path));
    buf_addf(line, ",\"bytes\":%zu,\"rule\":%ld", call->bytes, call->rule);
    write_line(ledger);
}

static void
end_call(struct ledger *ledger, struct call *call, unsigned status,
         enum call_closer closer)
{
    size_t last = --ledger->count;

    assert(call->in_flight);
    assert(ledger->calls[call->index] == call);
    ledger->calls[call->index] = ledger->calls[last];
    ledger->calls[call->index]->index = call->index;
    call->in_flight = false;
    ledger->ended++;
    if (ledger->log_fd < 0)
        return;
    buf_reset(&ledger->line);
    buf_addf(&ledger->line,
             "{\"event\":\"end\",\"n\":%" PRIu64 ",\"t_us\":%" PRId64
             ",\"status\":%u,\"closed_by\":\"%s\"",
             call->n, clock_mono_us(), status,
             closer == BY_CLIENT ? "client" : "server");
    write_line(ledger);
}

/* Ends the calls whose client has left; their threads will find them ended.
 * The sockets are open: a thread ends its call before it closes its socket. */
static void
end_abandoned(struct ledger *ledger)
{
    size_t count = ledger->count;

    if (count == 0)
        return;
    for (size_t i = 0; i < count; i++)
        ledger->polls[i] =
            (struct pollfd){ .fd = ledger->calls[i]->fd, .events = POLLRDHUP };
    if (poll(ledger->polls, count, 0) <= 0)
        return;
    /* From the back: ending a call moves the last one into its place. */
    for (size_t i = count; i-- > 0;) {
        if (ledger->polls[i].revents)
            end_call(ledger, ledger->calls[i], 0, BY_CLIENT);
    }
}

uint64_t
ledger_connection(struct ledger *ledger)
{
    uint64_t number;

    pthread_mutex_lock(&ledger->lock);
    number = ++ledger->connections;
    pthread_mutex_unlock(&ledger->lock);
    return number;
}

int
ledger_start(struct ledger *ledger, struct call *call)
{
    int rc = 0;

    pthread_mutex_lock(&ledger->lock);
    end_abandoned(ledger);
    if (ledger->count == LEDGER_CALL_MAX) {
        rc = E_FULL;
    } else {
        call->n = ++ledger->started;
        call->index = ledger->count;
        call->in_flight = true;
        ledger->calls[ledger->count++] = call;
        if (ledger->count > ledger->in_flight_max)
            ledger->in_flight_max = ledger->count;
        tally_add(&ledger->bodies, call->digest);
        write_start(ledger, call);
    }
    pthread_mutex_unlock(&ledger->lock);
    return rc;
}

void
ledger_end(struct ledger *ledger, struct call *call, unsigned status,
           enum call_closer closer)
{
    pthread_mutex_lock(&ledger->lock);
    if (call->in_flight)
        end_call(ledger, call, status, closer);
    pthread_mutex_unlock(&ledger->lock);
}

uint64_t
ledger_ended(struct ledger *ledger)
{
    uint64_t ended;

    pthread_mutex_lock(&ledger->lock);
    ended = ledger->ended;
    pthread_mutex_unlock(&ledger->lock);
    return ended;
}

void
ledger_stats(struct ledger *ledger, struct buf *out)
{
    pthread_mutex_lock(&ledger->lock);
    end_abandoned(ledger);
    buf_addf(out,
             "{\"calls\":%" PRIu64 ",\"in_flight\":%zu,\"in_flight_max\":%zu"
             ",\"distinct\":%zu}\n",
             ledger->started - ledger->started_reset, ledger->count,
             ledger->in_flight_max, ledger->bodies.count);
    pthread_mutex_unlock(&ledger->lock);
}

void
ledger_reset(struct ledger *ledger)
{
    pthread_mutex_lock(&ledger->lock);
    end_abandoned(ledger);
    ledger->started_reset = ledger->started;
    ledger->in_flight_max = ledger->count;
    tally_fini(&ledger->bodies);
    pthread_mutex_unlock(&ledger->lock);
}
