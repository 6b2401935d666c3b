/*
 * complete.c - how fast a broker leases requests and takes their results
 *
 *   complete ENDPOINT WORKERS CAPACITY REQUESTS [REPLY_BYTES]
 *
 * So many workers, in one process and one thread, speak the protocol to a
 * running sheafd at its endpoint for workers. A call takes no time: what has a
 * slot is answered as soon as it is there, with a reply of REPLY_BYTES (1024).
 * As with the real worker, what was answered and is not confirmed is at most
 * twice what a worker can call at a time, and at least ten. Ends when REQUESTS
 * results are confirmed, and prints how many these were, the seconds from the
 * first lease to the last confirmation, and how many that is a second.
 */
/* SPDX-License-Identifier: MIT */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "queue/link.h"
#include "queue/wire.h"

#define WORKERS_MAX     64
#define CAPACITY_MAX    1024
#define REQUESTS_MAX    100000000
#define REPLY_BYTES     1024
#define REPLY_BYTES_MAX 1048576
#define LEASES_MAX      2048 /* in hand of one worker */
#define AT_RISK_MIN     10
#define FRAME_BYTES_MAX 16777216
#define QUEUE_MAX       10000
#define SILENCE_MS_MAX  30000 /* nothing is confirmed: the run has failed */
#define LOOK_MS         500
#define LINGER_MS       500
#define UPSTREAM_BYTES  65
#define UUID_TEXT_BYTES 37
#define SECOND_US       1e6

struct lease {
    int64_t request, fence;
    char upstream[UPSTREAM_BYTES];
};

struct worker {
    struct link *link;
    struct lease waiting[LEASES_MAX]; /* a ring */
    size_t first, count;
    size_t at_risk; /* answered and not confirmed */
    int64_t slots, heartbeat_ms, beat_ms;
    char uuid[UUID_TEXT_BYTES];
    bool is_welcome;
};

struct bench {
    struct worker *workers;
    size_t worker_count, capacity;
    int64_t requests, confirmed;
    struct buf reply, head, body, out;
    size_t text_at, text_bytes;
    int64_t first_us, last_us, heard_ms;
};

static int64_t
number(const char *text, const char *what, int64_t max)
{
    char *end;
    long long value = strtoll(text, &end, 10);

    if (*text == '\0' || *end || value < 1 || value > max) {
        log_fatal("event=usage reason=\"%s: %s: not a number from 1 to %lld\"",
                  what, text, (long long)max);
    }
    return value;
}

/* A chat completion whose text fills it up to its size. */
static void
make_reply(struct bench *bench, size_t bytes)
{
    static const char begin[] =
        "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"model\":"
        "\"bench\",\"choices\":[{\"index\":0,\"message\":{\"role\":"
        "\"assistant\",\"content\":\"";
    static const char end[] =
        "\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":200,"
        "\"completion_tokens\":100,\"total_tokens\":300}}";
    size_t frame = sizeof(begin) + sizeof(end) - 2;

    bench->text_at = sizeof(begin) - 1;
    bench->text_bytes = bytes > frame ? bytes - frame : 1;
    buf_add_str(&bench->reply, begin);
    for (size_t i = 0; i < bench->text_bytes; i++)
        buf_add_char(&bench->reply, (char)('a' + i % 23));
    buf_add_str(&bench->reply, end);
}

static void
send_head(struct bench *bench, struct worker *worker, cJSON *head,
          struct slice body)
{
    buf_reset(&bench->out);
    wire_print(head, &bench->out);
    if (link_send(worker->link, NULL, buf_slice(&bench->out), body) < 0)
        log_fatal("event=send_failed worker=%s", worker->uuid);
}

static void
say_hello(struct bench *bench, struct worker *worker)
{
    cJSON *head = wire_new("hello");

    wire_add_int(head, "protocol", WIRE_PROTOCOL);
    wire_add_str(head, "worker", worker->uuid);
    wire_add_str(head, "name", "bench");
    wire_add_str(head, "host", "");
    wire_add_int(head, "pid", getpid());
    wire_add_str(head, "lock", "");
    wire_add_str(head, "own", "");
    wire_add_int(head, "nth", 1);
    wire_add_int(head, "capacity", (int64_t)bench->capacity);
    wire_add_int(head, "slots", 0);
    wire_add_bool(head, "leaving", false);
    wire_add_array(head, "held");
    send_head(bench, worker, head, (struct slice){ NULL, 0 });
}

/* Lists what waits; what was answered and is not confirmed comes with its
 * confirmation. */
static void
beat(struct bench *bench, struct worker *worker, int64_t now_ms)
{
    cJSON *head = wire_new("beat");
    cJSON *held = wire_add_array(head, "held");

    for (size_t i = 0; i < worker->count; i++) {
        const struct lease *lease =
            &worker->waiting[(worker->first + i) % LEASES_MAX];

        wire_add_triple(held, lease->request, lease->fence, 0);
    }
    wire_add_int(head, "slots", worker->slots);
    wire_add_bool(head, "leaving", false);
    send_head(bench, worker, head, (struct slice){ NULL, 0 });
    worker->beat_ms = now_ms + worker->heartbeat_ms;
}

static void
tell_slots(struct bench *bench, struct worker *worker, const struct wire *wire)
{
    struct err err = { 0 };
    int64_t word;
    cJSON *head = wire_new("slots");

    if (wire_int(wire, wire_has(wire, "slots") ? "slots" : "count",
                 wire_range(0, WIRE_INT_MAX), &worker->slots, &err) < 0 ||
        wire_int(wire, "word", wire_range(0, WIRE_INT_MAX), &word, &err) < 0) {
        log_fatal("event=bad_slots reason=\"%s\"", err.msg);
    }
    wire_add_int(head, "count", worker->slots);
    wire_add_int(head, "word", word);
    send_head(bench, worker, head, (struct slice){ NULL, 0 });
}

static void
take_lease(struct bench *bench, struct worker *worker, const struct wire *wire)
{
    struct err err = { 0 };
    struct lease *lease =
        &worker->waiting[(worker->first + worker->count) % LEASES_MAX];
    const char *upstream;

    if (worker->count == LEASES_MAX)
        log_fatal("event=too_many_leases worker=%s", worker->uuid);
    if (wire_int(wire, "request", wire_range(1, WIRE_INT_MAX), &lease->request,
                 &err) < 0 ||
        wire_int(wire, "fence", wire_range(1, UINT32_MAX), &lease->fence,
                 &err) < 0 ||
        wire_str(wire, "upstream", UPSTREAM_BYTES - 1, NULL, &upstream, &err) <
            0) {
        log_fatal("event=bad_lease reason=\"%s\"", err.msg);
    }
    memcpy(lease->upstream, upstream, strlen(upstream) + 1);
    worker->count++;
    if (bench->first_us == 0)
        bench->first_us = clock_mono_us();
}

static void
take(struct bench *bench, struct worker *worker, int64_t now_ms)
{
    struct err err = { 0 };
    struct wire wire = { 0 };
    const char *verb;

    if (wire_read(&wire, buf_slice(&bench->head), buf_slice(&bench->body),
                  &err) < 0) {
        log_fatal("event=bad_message reason=\"%s\"", err.msg);
    }
    verb = wire_verb(&wire);
    if (strcmp(verb, "lease") == 0) {
        take_lease(bench, worker, &wire);
    } else if (strcmp(verb, "confirmed") == 0) {
        worker->at_risk--;
        bench->confirmed++;
        bench->last_us = clock_mono_us();
        bench->heard_ms = now_ms;
    } else if (strcmp(verb, "welcome") == 0) {
        if (wire_int(&wire, "heartbeat_ms", wire_range(1, WIRE_INT_MAX),
                     &worker->heartbeat_ms, &err) < 0) {
            log_fatal("event=bad_welcome reason=\"%s\"", err.msg);
        }
        worker->is_welcome = true;
        worker->beat_ms = now_ms + worker->heartbeat_ms;
        tell_slots(bench, worker, &wire);
    } else if (strcmp(verb, "slots") == 0) {
        tell_slots(bench, worker, &wire);
    } else if (strcmp(verb, "beat") != 0) {
        log_fatal("event=unexpected verb=%s", verb);
    }
    wire_fini(&wire);
}

static void
send_out(struct bench *bench, struct worker *worker, struct slice body)
{
    if (link_send(worker->link, NULL, buf_slice(&bench->out), body) < 0)
        log_fatal("event=send_failed worker=%s", worker->uuid);
}

static void
send_result(struct bench *bench, struct worker *worker,
            const struct lease *lease)
{
    struct buf *out = &bench->out;

    buf_reset(out);
    wire_begin(out, "result");
    wire_put_int(out, "request", lease->request);
    wire_put_int(out, "fence", lease->fence);
    wire_put_str(out, "upstream", lease->upstream);
    wire_put_str(out, "class", "ok");
    wire_put_int(out, "http_status", 200);
    wire_put_str(out, "shape", "chat");
    wire_put_str(out, "model", "bench");
    wire_put_str(out, "finish", "stop");
    wire_put_int(out, "prompt_tokens", 200);
    wire_put_int(out, "completion_tokens", 100);
    wire_put_int(out, "total_tokens", 300);
    wire_put_int(out, "latency_ms", 1);
    wire_put_int(out, "text_at", (int64_t)bench->text_at);
    wire_put_int(out, "text_bytes", (int64_t)bench->text_bytes);
    wire_put_int(out, "sent", 1);
    wire_end(out);
    send_out(bench, worker, buf_slice(&bench->reply));
}

/* Says of the first `count` that wait that their calls are started. */
static void
send_started(struct bench *bench, struct worker *worker, size_t count)
{
    struct buf *out = &bench->out;

    buf_reset(out);
    wire_begin(out, "started");
    wire_put_name(out, "held");
    for (size_t i = 0; i < count; i++) {
        const struct lease *lease =
            &worker->waiting[(worker->first + i) % LEASES_MAX];

        buf_addf(out, "%c[%lld,%lld]", i == 0 ? '[' : ',',
                 (long long)lease->request, (long long)lease->fence);
    }
    buf_add_char(out, ']');
    wire_end(out);
    send_out(bench, worker, (struct slice){ NULL, 0 });
}

/* Answers what waits, a slot each at a time, as the real worker would if its
 * upstream took no time. */
static void
answer(struct bench *bench, struct worker *worker)
{
    size_t most = 2 * bench->capacity;

    if (most < AT_RISK_MIN)
        most = AT_RISK_MIN;
    while (worker->slots > 0 && worker->count > 0 && worker->at_risk < most) {
        size_t count = most - worker->at_risk;

        if (count > (size_t)worker->slots)
            count = (size_t)worker->slots;
        if (count > worker->count)
            count = worker->count;
        send_started(bench, worker, count);
        for (; count > 0; count--) {
            send_result(bench, worker, &worker->waiting[worker->first]);
            worker->first = (worker->first + 1) % LEASES_MAX;
            worker->count--;
            worker->at_risk++;
        }
    }
}

/* True if there was anything to take. */
static bool
turn(struct bench *bench, struct worker *worker, int64_t now_ms)
{
    bool is_any = false;

    while (link_recv(worker->link, NULL, &bench->head, &bench->body) == 0) {
        take(bench, worker, now_ms);
        is_any = true;
    }
    answer(bench, worker);
    if (worker->is_welcome && now_ms >= worker->beat_ms)
        beat(bench, worker, now_ms);
    return is_any;
}

static void
connect_all(struct bench *bench, struct link_context *context,
            const char *endpoint)
{
    struct link_limits limits = { .frame_bytes_max = FRAME_BYTES_MAX,
                                  .queue_max = QUEUE_MAX };
    struct err err = { 0 };

    for (size_t i = 0; i < bench->worker_count; i++) {
        struct worker *worker = &bench->workers[i];
        uuid_t uuid;

        uuid_generate_random(uuid);
        uuid_unparse_lower(uuid, worker->uuid);
        worker->link = link_connect(context, endpoint, limits, &err);
        if (!worker->link)
            log_fatal("event=connect_failed reason=\"%s\"", err.msg);
    }
    for (size_t i = 0; i < bench->worker_count; i++) {
        struct pollfd fd = { link_fd(bench->workers[i].link), POLLIN, 0 };

        while (!link_was_connected(bench->workers[i].link)) {
            if (poll(&fd, 1, LOOK_MS) < 0)
                log_fatal("event=poll_failed");
            if (clock_mono_ms() > bench->heard_ms + SILENCE_MS_MAX)
                log_fatal("event=unreachable endpoint=%s", endpoint);
        }
        say_hello(bench, &bench->workers[i]);
    }
}

static void
run(struct bench *bench)
{
    struct pollfd fds[WORKERS_MAX];

    while (bench->confirmed < bench->requests) {
        int64_t now_ms = clock_mono_ms();
        bool is_any = false;

        for (size_t i = 0; i < bench->worker_count; i++) {
            is_any = turn(bench, &bench->workers[i], now_ms) || is_any;
            fds[i] =
                (struct pollfd){ link_fd(bench->workers[i].link), POLLIN, 0 };
        }
        if (!is_any && poll(fds, bench->worker_count, LOOK_MS) < 0)
            log_fatal("event=poll_failed");
        if (now_ms > bench->heard_ms + SILENCE_MS_MAX) {
            log_fatal("event=silence confirmed=%lld",
                      (long long)bench->confirmed);
        }
    }
}

int
main(int argc, char **argv)
{
    struct bench bench = { 0 };
    struct link_context *context;
    double seconds;

    if (argc < 5 || argc > 6) {
        log_fatal("event=usage reason=\"complete ENDPOINT WORKERS CAPACITY "
                  "REQUESTS [REPLY_BYTES]\"");
    }
    bench.worker_count = (size_t)number(argv[2], "WORKERS", WORKERS_MAX);
    bench.capacity = (size_t)number(argv[3], "CAPACITY", CAPACITY_MAX);
    bench.requests = number(argv[4], "REQUESTS", REQUESTS_MAX);
    make_reply(&bench, argc == 6 ? (size_t)number(argv[5], "REPLY_BYTES",
                                                  REPLY_BYTES_MAX)
                                 : REPLY_BYTES);
    bench.workers = mem_zalloc(bench.worker_count, sizeof(bench.workers[0]));
    bench.heard_ms = clock_mono_ms();
    context = link_context_new();
    connect_all(&bench, context, argv[1]);
    run(&bench);
    seconds = (double)(bench.last_us - bench.first_us) / SECOND_US;
    printf("%lld results, %.3f s, %.0f a second\n", (long long)bench.confirmed,
           seconds, (double)bench.confirmed / seconds);
    for (size_t i = 0; i < bench.worker_count; i++) {
        send_head(&bench, &bench.workers[i], wire_new("bye"),
                  (struct slice){ NULL, 0 });
        link_close(bench.workers[i].link, LINGER_MS);
    }
    link_context_free(context);
    free(bench.workers);
    buf_fini(&bench.reply);
    buf_fini(&bench.head);
    buf_fini(&bench.body);
    buf_fini(&bench.out);
    return 0;
}
