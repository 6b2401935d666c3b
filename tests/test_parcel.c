/* SPDX-License-Identifier: MIT */
#include "queue/parcel.h"

#include <criterion/criterion.h>
#include <poll.h>

TestSuite(parcel, .timeout = 30);

#define ITEMS_MAX 5
#define WAIT_MS   10000

static struct link_context *context;
static struct link *links[2], *client;
static struct parcels parcels;

static void
set_up(void)
{
    struct link_limits limits = { .frame_bytes_max = 1000, .queue_max = 100 };

    context = link_context_new();
    links[SIDE_CLIENTS] = link_bind(context, "inproc://clients", limits, NULL);
    links[SIDE_WORKERS] = link_bind(context, "inproc://workers", limits, NULL);
    client = link_connect(context, "inproc://clients", limits, NULL);
    cr_assert_not_null(links[SIDE_CLIENTS]);
    cr_assert_not_null(links[SIDE_WORKERS]);
    cr_assert_not_null(client);
}

static void
tear_down(void)
{
    parcels_fini(&parcels);
    link_close(client, 0);
    link_close(links[SIDE_CLIENTS], 0);
    link_close(links[SIDE_WORKERS], 0);
    link_context_free(context);
}

static void
say(int count, const char *body)
{
    for (int i = 0; i < count; i++)
        cr_assert_eq(link_send(client, NULL, slice_of("{}"), slice_of(body)),
                     0);
}

/* Waits until the clients' link may have something. */
static void
receive(void)
{
    struct pollfd fd = { link_fd(links[SIDE_CLIENTS]), POLLIN, 0 };

    cr_assert_geq(poll(&fd, 1, WAIT_MS), 0);
    cr_assert_eq(parcels_receive(&parcels, links), 0);
}

/* A line is a draft, so a message of two weighs twice. */
Test(parcel, takes_as_many_items_as_a_transaction_may_have, .init = set_up,
     .fini = tear_down)
{
    parcels_init(&parcels, ITEMS_MAX, 1000);
    say(4, "a\nb");
    receive();
    cr_expect_eq(parcels.count, 3);
    cr_expect_eq(parcels.items, 6);
    cr_expect(parcels_are_full(&parcels));
    receive();
    cr_expect_eq(parcels.count, 3, "there is no room");
    parcels_reset(&parcels);
    cr_expect_not(parcels_are_full(&parcels));
    receive();
    cr_expect_eq(parcels.count, 1, "what had no room waits for the next one");
    cr_expect_not(parcels_are_full(&parcels));
}

/* So does a turn of a worker's with two results; its starts weigh nothing. */
Test(parcel, weighs_the_results_in_a_message, .init = set_up, .fini = tear_down)
{
    static const char *const heads[] = {
        "{\"verb\":\"beat\",\"held\":[[1,2,0],[3,4,1]]}",
        "{\"verb\":\"turn\",\"started\":[[1,1],[2,1],[3,1]]}",
        "{\"verb\":\"turn\",\"results\":[{\"request\":1},{\"request\":2}]}",
    };
    struct link *worker = link_connect(
        context, "inproc://workers",
        (struct link_limits){ .frame_bytes_max = 1000, .queue_max = 100 },
        NULL);

    cr_assert_not_null(worker);
    parcels_init(&parcels, 100, 1000);
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(
            link_send(worker, NULL, slice_of(heads[i]), slice_of("a\nb\nc")),
            0);
    }
    while (parcels.count < 3) {
        struct pollfd fd = { link_fd(links[SIDE_WORKERS]), POLLIN, 0 };

        cr_assert_eq(poll(&fd, 1, WAIT_MS), 1);
        cr_assert_eq(parcels_receive(&parcels, links), 0);
    }
    cr_expect_eq(parcels.list[0].items, 1);
    cr_expect_eq(parcels.list[1].items, 1);
    cr_expect_geq(parcels.list[2].items, 2);
    cr_expect_eq(parcels.items, 2 + parcels.list[2].items);
    link_close(worker, 0);
}

Test(parcel, takes_as_many_bytes_as_a_transaction_may_have, .init = set_up,
     .fini = tear_down)
{
    parcels_init(&parcels, 100, 20);
    say(4, "12345678");
    receive();
    cr_expect_eq(parcels.count, 2);
    cr_expect(parcels_are_full(&parcels));
}
