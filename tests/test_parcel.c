/* SPDX-License-Identifier: MIT */
#include "queue/parcel.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

TestSuite(parcel, .timeout = 30);

#define ITEMS_MAX 5
#define WAIT_MS   10000

static struct link_context *context;
static struct link *links[2], *client, *other, *worker;
static struct parcels parcels;

static void
set_up(void)
{
    struct link_limits limits = { .frame_bytes_max = 1000, .queue_max = 100 };

    context = link_context_new();
    links[SIDE_CLIENTS] = link_bind(context, "inproc://clients", limits, NULL);
    links[SIDE_WORKERS] = link_bind(context, "inproc://workers", limits, NULL);
    client = link_connect(context, "inproc://clients", limits, NULL);
    other = link_connect(context, "inproc://clients", limits, NULL);
    cr_assert_not_null(links[SIDE_CLIENTS]);
    cr_assert_not_null(links[SIDE_WORKERS]);
    cr_assert_not_null(client);
    cr_assert_not_null(other);
    worker = link_connect(context, "inproc://workers", limits, NULL);
    cr_assert_not_null(worker);
}

static void
tear_down(void)
{
    parcels_fini(&parcels);
    link_close(client, 0);
    link_close(other, 0);
    link_close(worker, 0);
    link_close(links[SIDE_CLIENTS], 0);
    link_close(links[SIDE_WORKERS], 0);
    link_context_free(context);
}

static void
say(struct link *link, int count, const char *body)
{
    for (int i = 0; i < count; i++)
        cr_assert_eq(link_send(link, NULL, slice_of("{}"), slice_of(body)), 0);
}

/* Receives until so many wait. */
static void
receive(size_t count)
{
    struct pollfd fd = { link_fd(links[SIDE_CLIENTS]), POLLIN, 0 };

    cr_assert_eq(parcels_receive(&parcels, links), 0);
    while (parcels.waiting.count < count) {
        cr_assert_geq(poll(&fd, 1, WAIT_MS), 0);
        cr_assert_eq(parcels_receive(&parcels, links), 0);
    }
    cr_expect_eq(parcels.waiting.count, count, "got %zu",
                 parcels.waiting.count);
}

static void
expect_taken(size_t nth, const char *body)
{
    cr_assert_lt(nth, parcels.taken.count);
    cr_expect_str_eq(parcels.taken.list[nth]->body.data, body);
}

/* A line is a draft, so a message of two weighs twice. */
Test(parcel, takes_as_many_items_as_a_transaction_may_have, .init = set_up,
     .fini = tear_down)
{
    parcels_init(&parcels, ITEMS_MAX, 1000);
    say(client, 9, "a\nb");
    receive(5);
    cr_expect_not(parcels_have_room(&parcels));
    cr_expect_not(parcels_are_full(&parcels));
    parcels_take(&parcels);
    cr_expect_eq(parcels.taken.count, 3);
    cr_expect_eq(parcels.taken.items, 6);
    cr_expect(parcels_are_full(&parcels));
    /* As many messages wait beside it, and no more. */
    receive(5);
    cr_expect_not(parcels_have_room(&parcels));
    parcels_take(&parcels);
    cr_expect_eq(parcels.taken.count, 3, "there is no room");
    parcels_reset(&parcels);
    cr_expect_not(parcels_are_full(&parcels));
    parcels_take(&parcels);
    cr_expect_eq(parcels.taken.count, 3);
    cr_expect_eq(parcels.waiting.count, 2);
    receive(3);
    cr_expect(parcels_have_room(&parcels));
}

/* So does a turn of a worker's with two results; its starts weigh nothing. */
Test(parcel, weighs_the_results_in_a_message, .init = set_up, .fini = tear_down)
{
    static const char *const heads[] = {
        "{\"verb\":\"beat\",\"held\":[[1,2,0],[3,4,1]]}",
        "{\"verb\":\"turn\",\"started\":[[1,1],[2,1],[3,1]]}",
        "{\"verb\":\"turn\",\"results\":[{\"request\":1},{\"request\":2}]}",
    };

    parcels_init(&parcels, 100, 1000);
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(
            link_send(worker, NULL, slice_of(heads[i]), slice_of("a\nb\nc")),
            0);
    }
    while (parcels.waiting.count < 3) {
        struct pollfd fd = { link_fd(links[SIDE_WORKERS]), POLLIN, 0 };

        cr_assert_eq(poll(&fd, 1, WAIT_MS), 1);
        cr_assert_eq(parcels_receive(&parcels, links), 0);
    }
    cr_expect_eq(parcels.waiting.list[0]->items, 1);
    cr_expect_eq(parcels.waiting.list[1]->items, 1);
    cr_expect_geq(parcels.waiting.list[2]->items, 2);
    cr_expect_eq(parcels.waiting.items, 2 + parcels.waiting.list[2]->items);
}

Test(parcel, takes_as_many_bytes_as_a_transaction_may_have, .init = set_up,
     .fini = tear_down)
{
    parcels_init(&parcels, 100, 20);
    say(client, 4, "12345678");
    receive(2);
    parcels_take(&parcels);
    cr_expect_eq(parcels.taken.count, 2);
    cr_expect(parcels_are_full(&parcels));
    receive(2);
    cr_expect_not(parcels_have_room(&parcels));
}

/* Results, and signs of life, would else wait for as long as drafts come in. */
Test(parcel, lets_workers_in_beside_clients_that_never_rest, .init = set_up,
     .fini = tear_down)
{
    struct pollfd fd = { link_fd(links[SIDE_WORKERS]), POLLIN, 0 };
    int workers = 0;

    parcels_init(&parcels, ITEMS_MAX, 1000);
    say(client, 30, "a\nb");
    say(worker, 1, "beat");
    cr_assert_eq(poll(&fd, 1, WAIT_MS), 1);
    for (int turn = 0; turn < 4; turn++) {
        parcels_reset(&parcels);
        cr_assert_eq(parcels_receive(&parcels, links), 0);
        parcels_take(&parcels);
        for (size_t i = 0; i < parcels.taken.count; i++)
            workers += parcels.taken.list[i]->side == SIDE_WORKERS;
    }
    cr_expect_eq(workers, 1);
}

/* An order of nobody's, which stands for one that the reader has. */
static struct order order;

static void
give_to_reader(size_t nth)
{
    order = (struct order){ .batch = 1 };
    parcels.waiting.list[nth]->order = &order;
}

/* Pages are written once for all of them, and in the order in which they were
 * sent. Nobody waits twice: who was first has its next ones behind the others. */
Test(parcel, takes_chunks_by_senders_behind_small_messages, .init = set_up,
     .fini = tear_down)
{
    parcels_init(&parcels, ITEMS_MAX, 1000);
    say(client, 1, "1a\n");
    receive(1);
    say(other, 1, "2a");
    receive(2);
    say(client, 1, "1b");
    receive(3);
    for (size_t i = 0; i < 3; i++)
        give_to_reader(i);
    order.is_read = true;
    say(client, 1, "behind it");
    receive(4);
    say(worker, 1, "small");
    receive(5);
    parcels_take(&parcels);
    cr_assert_eq(parcels.taken.count, 4);
    expect_taken(0, "small");
    expect_taken(1, "1a\n");
    expect_taken(2, "1b");
    expect_taken(3, "behind it");
    cr_expect_eq(parcels.waiting.count, 1);
    for (size_t i = 1; i < 3; i++)
        parcels.taken.list[i]->order = NULL;
    parcels.waiting.list[0]->order = NULL;
}

Test(parcel, goes_past_what_is_read_but_for_its_sender, .init = set_up,
     .fini = tear_down)
{
    parcels_init(&parcels, 100, 1000);
    say(client, 1, "first");
    receive(1);
    say(client, 1, "chunk");
    receive(2);
    say(client, 1, "behind it");
    receive(3);
    say(other, 1, "another's");
    receive(4);
    give_to_reader(1);
    parcels_take(&parcels);
    cr_assert_eq(parcels.taken.count, 2);
    expect_taken(0, "first");
    expect_taken(1, "another's");
    cr_expect_eq(parcels.waiting.count, 2);
    parcels_take(&parcels);
    cr_expect_eq(parcels.taken.count, 2, "it is still being read");
    order.is_read = true;
    parcels_take(&parcels);
    cr_assert_eq(parcels.taken.count, 4);
    expect_taken(2, "chunk");
    expect_taken(3, "behind it");
    cr_expect_eq(parcel_message(parcels.taken.list[2]).gathered,
                 &order.gathered);
    parcels.taken.list[2]->order = NULL;
}

Test(parcel, what_waits_is_counted_until_it_is_taken, .init = set_up,
     .fini = tear_down)
{
    parcels_init(&parcels, 100, 1000);
    say(client, 2, "a\nb");
    receive(2);
    give_to_reader(1);
    cr_expect_eq(parcels.waiting.items, 4);
    cr_expect_eq(parcels.waiting.bytes, 10);
    parcels_take(&parcels);
    cr_expect_eq(parcels.waiting.items, 2);
    cr_expect_eq(parcels.waiting.bytes, 5);
    cr_expect_eq(parcels.taken.bytes, 5);
    order.is_read = true;
    parcels_take(&parcels);
    cr_expect_eq(parcels.waiting.items, 0);
    cr_expect_eq(parcels.taken.items, 4);
    parcels.taken.list[1]->order = NULL;
    parcels_reset(&parcels);
    cr_expect_eq(parcels.taken.bytes, 0);
}

/* A body of one letter, of so many bytes. */
static void
say_much(char letter, size_t bytes)
{
    char *body = malloc(bytes + 1);

    cr_assert_not_null(body);
    memset(body, letter, bytes);
    body[bytes] = '\0';
    say(client, 1, body);
    free(body);
}

/* Whether it lies in a buffer or where libzmq has put it. */
Test(parcel, has_a_body_whole_until_it_is_forgotten, .init = set_up,
     .fini = tear_down)
{
    static const size_t sizes[] = { 1, 8192, 8193, 65536, 300000 };
    const size_t count = sizeof(sizes) / sizeof(sizes[0]);

    parcels_init(&parcels, 100, 1 << 20);
    for (int turn = 0; turn < 3; turn++) {
        for (size_t i = 0; i < count; i++) {
            say_much((char)('a' + i), sizes[i]);
            receive(i + 1);
        }
        parcels_take(&parcels);
        cr_assert_eq(parcels.taken.count, count);
        say(client, 10, "what comes behind them");
        receive(10);
        for (size_t i = 0; i < count; i++) {
            struct slice body = parcel_message(parcels.taken.list[i]).body;

            cr_expect_eq(body.bytes, sizes[i], "got %zu", body.bytes);
            for (size_t j = 0; j < body.bytes; j++)
                cr_assert_eq(body.data[j], 'a' + (char)i);
        }
        parcels_reset(&parcels);
        parcels_take(&parcels);
        parcels_reset(&parcels);
    }
}

/* Counts what parcels keep that nothing is in. */
static size_t
count_kept(void)
{
    size_t kept = 0;

    for (size_t i = 0; i < parcels.spare_count; i++) {
        const struct parcel *parcel = parcels.spare[i];

        cr_expect_null(parcel->large, "a large body is kept");
        cr_expect_leq(parcel->head.capacity + parcel->small.capacity,
                      PARCEL_KEEP_BYTES_MAX);
        kept += parcel->head.capacity + parcel->small.capacity;
    }
    return kept;
}

/* And whoever comes next finds them. */
Test(parcel, keeps_buffers_up_to_a_limit, .init = set_up, .fini = tear_down)
{
    const size_t each = 8000, count = 3 * PARCELS_KEEP_BYTES_MAX / each;

    parcels_init(&parcels, count, SIZE_MAX);
    for (size_t turn = 0; turn < 4; turn++) {
        size_t kept;

        for (size_t i = 0; i < count; i++) {
            say_much((char)('a' + i % 26), (i + turn) % 2 ? each : 8 * each);
            receive(i + 1);
        }
        parcels_take(&parcels);
        for (size_t i = 0; i < count; i++)
            cr_expect_eq(parcels.taken.list[i]->body.data[0],
                         'a' + (int)i % 26);
        parcels_reset(&parcels);
        cr_assert_eq(parcels.spare_count, parcels.used_count);
        kept = count_kept();
        cr_expect_leq(kept, PARCELS_KEEP_BYTES_MAX, "got %zu", kept);
        cr_expect_geq(kept, PARCELS_KEEP_BYTES_MAX - 2 * each, "got %zu", kept);
        cr_expect_eq(parcels.kept_bytes, kept);
        say_much('a', each);
        receive(1);
        cr_expect_lt(count_kept(), kept, "no buffer was found");
        parcels_take(&parcels);
        parcels_reset(&parcels);
        cr_expect_leq(count_kept(), PARCELS_KEEP_BYTES_MAX);
        cr_expect_eq(parcels.kept_bytes, count_kept());
    }
}

/* The next one would be as large no sooner than in a long time. */
Test(parcel, gives_back_a_large_header, .init = set_up, .fini = tear_down)
{
    size_t bytes = PARCEL_KEEP_BYTES_MAX + 1;
    char *head = calloc(1, bytes);

    cr_assert_not_null(head);
    parcels_init(&parcels, 100, SIZE_MAX);
    cr_assert_eq(link_send(client, NULL, (struct slice){ head, bytes },
                           (struct slice){ 0 }),
                 0);
    receive(1);
    parcels_take(&parcels);
    parcels_reset(&parcels);
    cr_expect_eq(parcels.kept_bytes, 0);
    free(head);
}
