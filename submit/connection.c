/* SPDX-License-Identifier: MIT */
#include "submit/connection.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define CONNECT_MS  5000
#define ANSWER_MS   30000
#define PATIENCE_MS 60000
#define TICK_MS     100 /* the connection is looked at this often */
#define QUEUE_MAX   1000

/* A page holds at least one result, whose reply may have been of the greatest
 * size that can be configured (256 MiB). */
#define FRAME_BYTES_MAX (INT64_C(320) << 20)

struct sheaf *
connection_new(const struct sheaf_settings *settings, struct err *err)
{
    struct link_limits limits = { .frame_bytes_max = FRAME_BYTES_MAX,
                                  .queue_max = QUEUE_MAX };
    struct sheaf *sheaf = mem_zalloc(1, sizeof(*sheaf));

    sheaf->endpoint = mem_dup_str(settings->endpoint);
    sheaf->connect_ms =
        settings->connect_ms ? settings->connect_ms : CONNECT_MS;
    sheaf->answer_ms = settings->answer_ms ? settings->answer_ms : ANSWER_MS;
    sheaf->patience_ms =
        settings->patience_ms ? settings->patience_ms : PATIENCE_MS;
    sheaf->idle = settings->idle;
    sheaf->idle_arg = settings->idle_arg;
    sheaf->context = link_context_new();
    sheaf->link = link_connect(sheaf->context, sheaf->endpoint, limits, err);
    if (!sheaf->link) {
        connection_free(sheaf);
        return NULL;
    }
    connection_begin(sheaf);
    return sheaf;
}

void
connection_free(struct sheaf *sheaf)
{
    if (!sheaf)
        return;
    assert(!sheaf->stray); /* an upload outlives its connection */
    link_close(sheaf->link, 0);
    link_context_free(sheaf->context);
    buf_fini(&sheaf->head);
    buf_fini(&sheaf->body);
    buf_fini(&sheaf->query);
    buf_fini(&sheaf->ahead);
    free(sheaf->endpoint);
    free(sheaf);
}

void
connection_begin(struct sheaf *sheaf)
{
    sheaf->heard_ms = clock_mono_ms();
}

static void
notice(struct sheaf *sheaf)
{
    if (link_was_connected(sheaf->link)) {
        sheaf->made_count++;
        sheaf->heard_ms = clock_mono_ms();
    }
}

bool
connection_send(struct sheaf *sheaf, struct slice head, struct slice body)
{
    notice(sheaf);
    sheaf->sent_count = sheaf->made_count;
    return link_send(sheaf->link, NULL, head, body) == 0;
}

bool
connection_share(struct sheaf *sheaf, struct slice head, struct link_body *body)
{
    notice(sheaf);
    sheaf->sent_count = sheaf->made_count;
    return link_share(sheaf->link, NULL, head, body) == 0;
}

/* Takes one message if there is one. 1: none. */
static int
receive(struct sheaf *sheaf, struct wire *wire, struct err *err)
{
    int rc = link_recv(sheaf->link, NULL, &sheaf->head, &sheaf->body);

    if (rc == 1)
        return 1;
    sheaf->heard_ms = clock_mono_ms();
    if (rc < 0)
        return err_set(err, rc, "%s: not a broker's message", sheaf->endpoint);
    rc =
        wire_parse(wire, buf_slice(&sheaf->head), buf_slice(&sheaf->body), err);
    return rc < 0 ? err_wrap(err, "answer of %s", sheaf->endpoint) : 0;
}

static int64_t
number_of(const struct wire *wire)
{
    int64_t number = -1;

    /* Another broker's message may have none, or no number. */
    if (wire_int(wire, "re", wire_range_or(0, WIRE_INT_MAX, -1), &number,
                 NULL) < 0) {
        return -1;
    }
    return number;
}

/* What was asked ahead is not waited for once somebody else got its answer. */
static void
note_lost(struct sheaf *sheaf, const struct wire *wire)
{
    if (sheaf->ahead.bytes && number_of(wire) == sheaf->ahead_re)
        buf_reset(&sheaf->ahead);
}

static int
check_patience(struct sheaf *sheaf, int64_t now_ms, int64_t extra_ms,
               struct err *err)
{
    int64_t silent_ms = now_ms - sheaf->heard_ms;

    if (sheaf->made_count == 0 && silent_ms >= sheaf->connect_ms) {
        return err_set(err, E_UNREACHABLE,
                       "connect to the broker at %s: nobody listens there",
                       sheaf->endpoint);
    }
    if (sheaf->made_count > 0 && silent_ms >= sheaf->patience_ms + extra_ms) {
        return err_set(err, E_UNREACHABLE,
                       "ask the broker at %s: no answer for %lld s",
                       sheaf->endpoint, (long long)(silent_ms / 1000));
    }
    return 0;
}

static int
call_idle(struct sheaf *sheaf, int64_t now_ms, struct err *err)
{
    if (!sheaf->idle || now_ms - sheaf->idled_ms < TICK_MS)
        return 0;
    sheaf->idled_ms = now_ms;
    if (sheaf->idle(sheaf->idle_arg) == 0)
        return 0;
    return err_set(err, SHEAF_E_STOPPED, "stopped");
}

/* Until there is a message, or the sign that the connection was made: it comes a
 * moment after the connection, and the first message cannot go before it. */
static int
rest(const struct sheaf *sheaf, int wait_ms, struct err *err)
{
    struct pollfd fds[] = {
        { .fd = link_fd(sheaf->link), .events = POLLIN },
        { .fd = link_sign_fd(sheaf->link), .events = POLLIN },
    };

    int rc = poll(fds, sizeof(fds) / sizeof(fds[0]), wait_ms);

    if (rc < 0 && errno != EINTR)
        return err_set(err, E_IO, "wait: %s", strerror(errno));
    /* After a wait for nothing, libzmq is asked all the same. */
    link_polled(sheaf->link, rc <= 0 || fds[0].revents,
                rc <= 0 || fds[1].revents);
    return 0;
}

int
connection_wait(struct sheaf *sheaf, int wait_ms, int64_t extra_ms,
                struct wire *wire, struct err *err)
{
    int64_t end_ms = clock_mono_ms() + wait_ms;

    *wire = (struct wire){ .head = NULL };
    for (;;) {
        int64_t now_ms = clock_mono_ms(), tick_ms = end_ms - now_ms;
        int rc = receive(sheaf, wire, err);

        if (rc == 0)
            note_lost(sheaf, wire);
        if (rc != 1)
            return rc;
        rc = call_idle(sheaf, now_ms, err);
        if (rc == 0)
            rc = check_patience(sheaf, now_ms, extra_ms, err);
        if (rc < 0)
            return rc;
        notice(sheaf);
        if (sheaf->made_count != sheaf->sent_count || tick_ms <= 0)
            return 1;
        if (tick_ms > TICK_MS)
            tick_ms = TICK_MS;
        rc = rest(sheaf, (int)tick_ms, err);
        if (rc < 0)
            return rc;
    }
}

int
connection_error(const struct wire *wire, struct err *err)
{
    const char *name, *message;
    int code;

    if (strcmp(wire_verb(wire), "error") != 0)
        return 0;
    if (wire_str(wire, "code", SHEAF_HEADER_BYTES_MAX, NULL, &name, err) < 0 ||
        wire_str(wire, "message", SHEAF_HEADER_BYTES_MAX, "", &message, err) <
            0) {
        return err_set(err, E_PROTOCOL, "the broker's error has no code");
    }
    code = err_from_name(name);
    return err_set(err, code, "%s", *message ? message : err_text(code));
}

/* Waits for the answer with number `re`; others go to the upload. 1: look
 * whether it must be sent again. */
static int
await(struct sheaf *sheaf, int64_t re, int64_t until_ms, int64_t extra_ms,
      struct wire *wire, struct err *err)
{
    for (;;) {
        int64_t left_ms = until_ms - clock_mono_ms();
        int rc = connection_wait(sheaf, left_ms > 0 ? (int)left_ms : 0,
                                 extra_ms, wire, err);

        if (rc != 0)
            return rc;
        if (number_of(wire) == re)
            return 0;
        if (sheaf->stray)
            sheaf->stray(sheaf->stray_arg, wire);
        wire_fini(wire);
    }
}

/* Prints a header as the query, without its number and its end. Frees it. */
static struct slice
print_query(struct sheaf *sheaf, cJSON *head)
{
    buf_reset(&sheaf->query);
    wire_print(head, &sheaf->query);
    sheaf->query.bytes--;
    return buf_slice(&sheaf->query);
}

static struct slice
end_query(struct sheaf *sheaf, int64_t re)
{
    wire_put_int(&sheaf->query, "re", re);
    wire_end(&sheaf->query);
    return buf_slice(&sheaf->query);
}

void
connection_ask_ahead(struct sheaf *sheaf, cJSON *head)
{
    buf_reset(&sheaf->ahead);
    buf_add_slice(&sheaf->ahead, print_query(sheaf, head));
    sheaf->ahead_re = ++sheaf->re_last;
    if (!connection_send(sheaf, end_query(sheaf, sheaf->ahead_re),
                         (struct slice){ NULL, 0 })) {
        buf_reset(&sheaf->ahead);
    }
    sheaf->ahead_count = sheaf->sent_count;
}

int
connection_call(struct sheaf *sheaf, cJSON *head, struct slice body,
                int64_t extra_ms, struct wire *wire, struct err *err)
{
    bool is_sent =
        slice_equal(print_query(sheaf, head), buf_slice(&sheaf->ahead)) &&
        body.bytes == 0;
    int64_t re = is_sent ? sheaf->ahead_re : ++sheaf->re_last;
    struct slice text = end_query(sheaf, re);
    int rc = 1;

    *wire = (struct wire){ .head = NULL };
    buf_reset(&sheaf->ahead);
    if (text.bytes > WIRE_HEADER_BYTES_MAX) {
        return err_set(err, E_TOOBIG, "a header of %zu bytes, at most %d",
                       text.bytes, WIRE_HEADER_BYTES_MAX);
    }
    connection_begin(sheaf);
    if (is_sent)
        sheaf->sent_count = sheaf->ahead_count;
    while (rc == 1) {
        int wait_ms = sheaf->answer_ms + (int)extra_ms;

        if (!is_sent && !connection_send(sheaf, text, body))
            wait_ms = TICK_MS;
        is_sent = false; /* the next time */
        rc = await(sheaf, re, clock_mono_ms() + wait_ms, extra_ms, wire, err);
    }
    return rc < 0 ? rc : connection_error(wire, err);
}
