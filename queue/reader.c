/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* gettid */
#include "queue/reader.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

/* Orders in the order in which they came. */
struct row {
    struct order *first, **end;
};

struct reader {
    const struct conf *conf; /* borrowed */
    /* The loop's. */
    struct order orders[READER_ORDERS_MAX];
    struct order *spare;
    pthread_t thread;
    bool is_started;
    /* The thread's. */
    struct recipes *recipes;
    struct line line;
    struct packer *packer;
    /* Both threads', under the lock. An eventfd is readable while `done` holds
     * something. */
    pthread_mutex_t lock;
    pthread_cond_t given;
    struct row unread, done;
    bool is_ending;
    int fd;
};

static void
row_reset(struct row *row)
{
    row->first = NULL;
    row->end = &row->first;
}

static void
row_push(struct row *row, struct order *order)
{
    order->next = NULL;
    *row->end = order;
    row->end = &order->next;
}

static struct order *
row_pull(struct row *row)
{
    struct order *order = row->first;

    if (!order)
        return NULL;
    row->first = order->next;
    if (!row->first)
        row_reset(row);
    return order;
}

/* Locks of this kind fail only where they are misused. */
static void
check(int rc)
{
    assert(rc == 0);
    (void)rc;
}

/* ---- in the thread ---- */

/* Options that cannot be read leave nothing: when the chunk's turn comes, that
 * is found again, and said. */
static void
read_order(struct reader *reader, struct order *order)
{
    struct gathering *gathered = &order->gathered;
    struct line_fault fault;

    gathered->conf = reader->conf;
    gathered->line = &reader->line;
    gathered->packer = reader->packer;
    gathered->recipe = recipes_read(reader->recipes, reader->conf, order->batch,
                                    buf_slice(&order->options), &fault);
    if (gathered->recipe)
        gather_ahead(gathered, order->body);
}

/* Waits for an order; NULL: for no more. */
static struct order *
next_order(struct reader *reader)
{
    struct order *order = NULL;

    check(pthread_mutex_lock(&reader->lock));
    while (!reader->is_ending && !reader->unread.first)
        check(pthread_cond_wait(&reader->given, &reader->lock));
    if (!reader->is_ending)
        order = row_pull(&reader->unread);
    check(pthread_mutex_unlock(&reader->lock));
    return order;
}

static void
hand_back(struct reader *reader, struct order *order)
{
    check(pthread_mutex_lock(&reader->lock));
    if (!reader->done.first)
        check(eventfd_write(reader->fd, 1));
    row_push(&reader->done, order);
    check(pthread_mutex_unlock(&reader->lock));
}

static void *
run(void *arg)
{
    struct reader *reader = arg;
    struct order *order;
    id_t own = (id_t)gettid();

    /* Where this is refused, it shares the processor with the loop as an equal. */
    (void)setpriority(PRIO_PROCESS, own,
                      getpriority(PRIO_PROCESS, own) + READER_NICE);
    while ((order = next_order(reader))) {
        read_order(reader, order);
        hand_back(reader, order);
    }
    return NULL;
}

/* ---- in the loop ---- */

struct reader *
reader_new(const struct conf *conf, struct err *err)
{
    struct reader *reader = mem_zalloc(1, sizeof(*reader));
    int rc;

    reader->conf = conf;
    reader->recipes = recipes_new();
    reader->packer = packer_new();
    for (size_t i = 0; i < READER_ORDERS_MAX; i++)
        reader_close(reader, &reader->orders[i]);
    row_reset(&reader->unread);
    row_reset(&reader->done);
    check(pthread_mutex_init(&reader->lock, NULL));
    check(pthread_cond_init(&reader->given, NULL));
    reader->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    rc = reader->fd < 0 ? errno
                        : pthread_create(&reader->thread, NULL, run, reader);
    reader->is_started = rc == 0;
    if (rc == 0)
        return reader;
    err_set(err, E_IO, "start the thread that reads chunks: %s", strerror(rc));
    reader_free(reader);
    return NULL;
}

void
reader_free(struct reader *reader)
{
    if (!reader)
        return;
    if (reader->is_started) {
        check(pthread_mutex_lock(&reader->lock));
        reader->is_ending = true;
        check(pthread_cond_signal(&reader->given));
        check(pthread_mutex_unlock(&reader->lock));
        check(pthread_join(reader->thread, NULL));
    }
    for (size_t i = 0; i < READER_ORDERS_MAX; i++) {
        buf_fini(&reader->orders[i].options);
        gather_fini(&reader->orders[i].gathered);
    }
    recipes_free(reader->recipes);
    line_fini(&reader->line);
    packer_free(reader->packer);
    check(pthread_cond_destroy(&reader->given));
    check(pthread_mutex_destroy(&reader->lock));
    if (reader->fd >= 0)
        (void)close(reader->fd);
    free(reader);
}

struct order *
reader_open(struct reader *reader)
{
    struct order *order = reader->spare;

    if (!order)
        return NULL;
    reader->spare = order->next;
    order->is_read = false;
    return order;
}

void
reader_close(struct reader *reader, struct order *order)
{
    buf_reset(&order->options);
    gather_reset(&order->gathered);
    order->body = (struct slice){ 0 };
    order->next = reader->spare;
    reader->spare = order;
}

void
reader_give(struct reader *reader, struct order *order)
{
    check(pthread_mutex_lock(&reader->lock));
    row_push(&reader->unread, order);
    check(pthread_cond_signal(&reader->given));
    check(pthread_mutex_unlock(&reader->lock));
}

bool
reader_take(struct reader *reader)
{
    struct order *order;
    eventfd_t count;

    check(pthread_mutex_lock(&reader->lock));
    order = reader->done.first;
    row_reset(&reader->done);
    if (order)
        check(eventfd_read(reader->fd, &count));
    check(pthread_mutex_unlock(&reader->lock));
    if (!order)
        return false;
    for (; order; order = order->next)
        order->is_read = true;
    return true;
}

int
reader_fd(const struct reader *reader)
{
    return reader->fd;
}
