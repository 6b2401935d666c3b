/*
 * drive.h - what the drivers of the benchmark share
 *
 *   drive_X VERB TARGET [--clients N] [--count N] [--window N] [--first N]
 *           [--distinct N] [--bytes N] [--texts FILE]
 *
 * A driver puts a load on one system. Its clients are threads, each with a
 * connection of its own; they connect, wait for each other, and share --count
 * items. The time from then until the last of them is done is printed, with the
 * size of what they sent, as {"items":N,"bytes":N,"seconds":S}. What goes wrong
 * ends the process.
 *
 * --window is how many items may be under way for each client, or belong to one
 * transaction. The items are numbered from --first on; of their texts,
 * --distinct are different (0: all). --bytes is the size of an item.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BENCH_DRIVE_H
#define BENCH_DRIVE_H

#include <stdint.h>

#include "tests/bench/payload.h"

#define DRIVE_CLIENTS_MAX 256
#define DRIVE_COUNT_MAX   1000000000
#define DRIVE_WINDOW_MAX  100000
#define DRIVE_BYTES_MAX   1048576
#define DRIVE_PATIENCE_MS 60000 /* nothing that is waited for takes longer */

struct drive {
    const char *verb;
    const char *target; /* of the system: a port, a path, an endpoint */
    int64_t clients;
    int64_t count;
    int64_t window;
    int64_t first;
    int64_t distinct;
    int64_t bytes;
    struct payload *payload;
    struct drive_start *start; /* private */
};

struct drive_client {
    const struct drive *drive;
    int number;    /* from 0 */
    int64_t first; /* its share: items first to first + count - 1 */
    int64_t count;
    int64_t end_us; /* 0, or when it was done, if before it returned */
    int64_t bytes;  /* of items or results that it made */
};

/* Does a client's share. Calls drive_ready() once, when it is connected. */
typedef void drive_fn(struct drive_client *client);

struct drive_verb {
    const char *name;
    drive_fn *run;
};

/* Reads the command line, runs the verb (the table ends with a NULL name) with
 * all clients, and prints the figure. For main() to return. */
int drive_main(int argc, char **argv, const struct drive_verb *verbs);

/* Waits until all clients are ready; the time begins. */
void drive_ready(struct drive_client *client);

/* Empties out and writes the nth item of the client's share there, from 0. */
void drive_item(struct drive_client *client, int64_t n, struct buf *out);

/* The same for the result of any number. */
void drive_result(struct drive_client *client, int64_t number, struct buf *out,
                  struct slice *text);

/* How many of a client's items the next message or transaction takes. */
int64_t drive_next(const struct drive_client *client, int64_t done);

#endif
