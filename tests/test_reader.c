/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* gettid */
#include "queue/reader.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

TestSuite(reader, .timeout = 30);

#define WAIT_MS 10000
#define LINES   50

static struct conf conf;
static struct reader *reader;
static struct buf bodies[READER_ORDERS_MAX];

static void
set_up(void)
{
    struct err err = { 0 };

    conf_init(&conf);
    reader = reader_new(&conf, &err);
    cr_assert_not_null(reader, "%s", err.msg);
}

static void
tear_down(void)
{
    reader_free(reader);
    for (size_t i = 0; i < READER_ORDERS_MAX; i++)
        buf_fini(&bodies[i]);
    conf_fini(&conf);
}

/* A chunk of a batch, whose drafts are named by its number. */
static struct order *
give(size_t nth, uint64_t batch, const char *options)
{
    struct order *order = reader_open(reader);

    cr_assert_not_null(order);
    buf_reset(&bodies[nth]);
    for (int i = 0; i < LINES; i++) {
        buf_addf(&bodies[nth], "{\"id\":\"%zu-%d\",\"text\":\"x\"}\n\n", nth,
                 i);
    }
    order->batch = batch;
    order->body = buf_slice(&bodies[nth]);
    buf_add_str(&order->options, options);
    reader_give(reader, order);
    return order;
}

static void
await(const struct order *order)
{
    struct pollfd fd = { reader_fd(reader), POLLIN, 0 };

    while (!order->is_read) {
        cr_assert_eq(poll(&fd, 1, WAIT_MS), 1, "it was not read in time");
        cr_assert(reader_take(reader), "woken up for nothing");
    }
}

static void
expect_read(const struct order *order, size_t nth)
{
    const struct gathering *gathered = &order->gathered;
    struct buf ids = { 0 };

    cr_expect(gather_is_whole(gathered));
    cr_expect_eq(gathered->batch, order->batch);
    cr_expect_eq(gathered->count, LINES);
    cr_expect_eq(gathered->fault_count, LINES);
    for (int i = 0; i < LINES; i++)
        buf_addf(&ids, "%zu-%d", nth, i);
    cr_expect_str_eq(gathered->ids.data, ids.data);
    buf_fini(&ids);
}

Test(reader, reads_as_many_as_there_are_orders, .init = set_up,
     .fini = tear_down)
{
    struct order *orders[READER_ORDERS_MAX];

    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < READER_ORDERS_MAX; i++)
            orders[i] = give(i, 1 + i % 3, "{\"goal\":\"Summarize\"}");
        cr_expect_null(reader_open(reader), "there are no more");
        await(orders[READER_ORDERS_MAX - 1]);
        for (size_t i = 0; i < READER_ORDERS_MAX; i++) {
            cr_assert(orders[i]->is_read, "they come back in order");
            expect_read(orders[i], i);
            reader_close(reader, orders[i]);
        }
        cr_expect_not(reader_take(reader));
    }
}

Test(reader, has_nothing_to_poll_for_when_all_was_taken, .init = set_up,
     .fini = tear_down)
{
    struct pollfd fd = { reader_fd(reader), POLLIN, 0 };
    struct order *order;

    cr_expect_eq(poll(&fd, 1, 0), 0);
    order = give(0, 1, "");
    await(order);
    cr_expect_eq(poll(&fd, 1, 0), 0);
    reader_close(reader, order);
}

/* The other thread of this process. */
static id_t
thread_of_reader(void)
{
    DIR *dir = opendir("/proc/self/task");
    struct dirent *entry;
    id_t found = 0;

    cr_assert_not_null(dir);
    while ((entry = readdir(dir))) {
        id_t thread = (id_t)strtoul(entry->d_name, NULL, 10);

        if (thread != 0 && thread != (id_t)gettid())
            found = thread;
    }
    closedir(dir);
    cr_assert_neq(found, 0);
    return found;
}

Test(reader, gives_way_to_the_loop, .init = set_up, .fini = tear_down)
{
    struct order *order = give(0, 1, "");
    int own = getpriority(PRIO_PROCESS, 0);

    await(order);
    cr_expect_eq(getpriority(PRIO_PROCESS, thread_of_reader()),
                 own + READER_NICE);
    cr_expect_eq(getpriority(PRIO_PROCESS, 0), own);
    reader_close(reader, order);
}

/* Each batch has its options, also where another one has had its number. */
Test(reader, reads_with_the_options_that_it_is_given, .init = set_up,
     .fini = tear_down)
{
    struct order *first = give(0, 1, "{\"goal\":\"First\"}");
    struct order *second = give(1, 1, "{\"goal\":\"Second\"}");
    struct order *again = give(2, 1, "{\"goal\":\"First\"}");

    await(again);
    cr_assert_eq(first->gathered.count, LINES);
    cr_expect_eq(memcmp(first->gathered.drafts[0].key,
                        again->gathered.drafts[0].key, DIGEST_BYTES),
                 0);
    cr_expect_neq(memcmp(first->gathered.drafts[0].key,
                         second->gathered.drafts[0].key, DIGEST_BYTES),
                  0);
}

Test(reader, leaves_what_it_cannot_read_to_the_chunk_s_turn, .init = set_up,
     .fini = tear_down)
{
    struct order *order = give(0, 1, "{\"id\":\"no option\"}");

    await(order);
    cr_expect_not(gather_is_whole(&order->gathered));
    cr_expect_eq(order->gathered.line_count, 0);
    reader_close(reader, order);
    conf.chunk_drafts_max = LINES;
    order = give(0, 1, "");
    await(order);
    cr_expect_not(gather_is_whole(&order->gathered));
    cr_expect_eq(order->gathered.line_count, 2 * LINES);
    cr_expect_eq(order->gathered.count, 0);
}

/* Whatever is still being read. */
Test(reader, ends_at_any_time)
{
    for (int round = 0; round < 20; round++) {
        set_up();
        for (int i = 0; i < round; i++)
            (void)give((size_t)i, 1, "");
        (void)reader_take(reader);
        tear_down();
    }
}
