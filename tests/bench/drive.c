/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* barriers */
#include "tests/bench/drive.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define USAGE                                                        \
    "usage: %s VERB TARGET [--clients N] [--count N] [--window N]\n" \
    "       [--first N] [--distinct N] [--bytes N] [--texts FILE]\n"

struct drive_start {
    pthread_barrier_t ready; /* all are connected */
    pthread_barrier_t go;    /* and the clock was read */
};

struct runner {
    pthread_t thread;
    struct drive_client client;
    drive_fn *run;
};

static int64_t
read_number(const char *name, const char *text, int64_t max)
{
    char *end;
    long long value;

    errno = 0;
    value = strtoll(text, &end, 10);
    if (errno || end == text || *end || value < 0 || value > max) {
        log_fatal("event=usage option=%s value=\"%s\" max=%lld", name, text,
                  (long long)max);
    }
    return value;
}

static void
read_options(struct drive *drive, int argc, char **argv)
{
    static const struct option options[] = {
        { "clients", required_argument, NULL, 'c' },
        { "count", required_argument, NULL, 'n' },
        { "window", required_argument, NULL, 'w' },
        { "first", required_argument, NULL, 'f' },
        { "distinct", required_argument, NULL, 'd' },
        { "bytes", required_argument, NULL, 'b' },
        { "texts", required_argument, NULL, 't' },
        { NULL, 0, NULL, 0 },
    };
    const struct {
        int option;
        int64_t *value, max;
    } numbers[] = { { 'c', &drive->clients, DRIVE_CLIENTS_MAX },
                    { 'n', &drive->count, DRIVE_COUNT_MAX },
                    { 'w', &drive->window, DRIVE_WINDOW_MAX },
                    { 'f', &drive->first, DRIVE_COUNT_MAX },
                    { 'd', &drive->distinct, DRIVE_COUNT_MAX },
                    { 'b', &drive->bytes, DRIVE_BYTES_MAX } };
    const char *texts = NULL;
    int option, at = 0;

    while ((option = getopt_long(argc, argv, "", options, &at)) != -1) {
        if (option == 't')
            texts = optarg;
        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
            if (option == numbers[i].option) {
                *numbers[i].value =
                    read_number(options[at].name, optarg, numbers[i].max);
            }
        }
        if (option == '?')
            exit(2);
    }
    drive->payload = payload_new(texts);
}

static void *
run_client(void *arg)
{
    struct runner *runner = arg;

    runner->run(&runner->client);
    if (runner->client.end_us == 0)
        runner->client.end_us = clock_mono_us();
    return NULL;
}

/* Starts the clients, and says how long they took and what they made. */
static double
run_all(struct drive *drive, drive_fn *run, int64_t *bytes)
{
    struct runner *runners =
        mem_zalloc((size_t)drive->clients, sizeof(*runners));
    int64_t first = drive->first, begin_us, end_us;
    struct drive_start start;
    unsigned all = (unsigned)drive->clients + 1;

    drive->start = &start;
    pthread_barrier_init(&start.ready, NULL, all);
    pthread_barrier_init(&start.go, NULL, all);
    for (int i = 0; i < drive->clients; i++) {
        struct drive_client *client = &runners[i].client;

        client->drive = drive;
        client->number = i;
        client->first = first;
        client->count =
            drive->count / drive->clients + (i < drive->count % drive->clients);
        first += client->count;
        runners[i].run = run;
        if (pthread_create(&runners[i].thread, NULL, run_client, &runners[i]))
            log_fatal("event=no_thread");
    }
    pthread_barrier_wait(&start.ready);
    begin_us = end_us = clock_mono_us();
    pthread_barrier_wait(&start.go);
    for (int i = 0; i < drive->clients; i++) {
        pthread_join(runners[i].thread, NULL);
        if (runners[i].client.end_us > end_us)
            end_us = runners[i].client.end_us;
        *bytes += runners[i].client.bytes;
    }
    pthread_barrier_destroy(&start.ready);
    pthread_barrier_destroy(&start.go);
    free(runners);
    return (double)(end_us - begin_us) / 1e6;
}

int
drive_main(int argc, char **argv, const struct drive_verb *verbs)
{
    struct drive drive = {
        .clients = 1, .count = 1000, .window = 1000, .bytes = 1024
    };
    int64_t bytes = 0;
    double seconds;

    if (argc < 3 || argv[1][0] == '-') {
        (void)fprintf(stderr, USAGE, argv[0]);
        return 2;
    }
    drive.verb = argv[1];
    drive.target = argv[2];
    while (verbs->name && strcmp(verbs->name, drive.verb) != 0)
        verbs++;
    if (!verbs->name) {
        (void)fprintf(stderr, "%s: %s: no such verb\n", argv[0], drive.verb);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    read_options(&drive, argc - 2, argv + 2);
    if (drive.clients < 1 || drive.window < 1) {
        (void)fprintf(stderr, USAGE, argv[0]);
        return 2;
    }
    seconds = run_all(&drive, verbs->run, &bytes);
    payload_free(drive.payload);
    printf("{\"items\":%lld,\"bytes\":%lld,\"seconds\":%.6f}\n",
           (long long)drive.count, (long long)bytes, seconds);
    return 0;
}

void
drive_ready(struct drive_client *client)
{
    pthread_barrier_wait(&client->drive->start->ready);
    pthread_barrier_wait(&client->drive->start->go);
}

void
drive_item(struct drive_client *client, int64_t n, struct buf *out)
{
    const struct drive *drive = client->drive;
    int64_t number = client->first + n;
    int64_t text = drive->distinct ? number % drive->distinct : number;

    buf_reset(out);
    payload_draft(drive->payload, number, text, (size_t)drive->bytes, out);
    client->bytes += (int64_t)out->bytes;
}

void
drive_result(struct drive_client *client, int64_t number, struct buf *out,
             struct slice *text)
{
    const struct drive *drive = client->drive;

    buf_reset(out);
    payload_reply(drive->payload, number, (size_t)drive->bytes, out, text);
    client->bytes += (int64_t)out->bytes;
}

int64_t
drive_next(const struct drive_client *client, int64_t done)
{
    int64_t left = client->count - done;

    return left < client->drive->window ? left : client->drive->window;
}
