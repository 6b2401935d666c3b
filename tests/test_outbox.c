/* SPDX-License-Identifier: MIT */
#include "queue/outbox.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define LARGE_BYTES 100000

Test(outbox, keeps_letters_in_order_until_they_are_sent)
{
    struct outbox outbox = { 0 };
    char want[64];

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++) {
            struct link_peer peer = { .id = { (unsigned char)i }, .bytes = 1 };
            cJSON *head = wire_new("beat");
            struct buf *body;

            wire_add_int(head, "n", i);
            body = outbox_add(&outbox, i % 2 ? SIDE_WORKERS : SIDE_CLIENTS,
                              &peer, head);
            cr_expect_eq(body->bytes, 0, "no bytes of an earlier letter");
            buf_addf(body, "body %d", i);
            for (int j = 0; i == 7 && j < LARGE_BYTES; j++)
                buf_add_char(body, 'x');
        }
        cr_assert_eq(outbox.count, 100);
        for (int i = 0; i < 100; i++) {
            const struct letter *letter = &outbox.letters[i];

            (void)snprintf(want, sizeof(want), "{\"verb\":\"beat\",\"n\":%d}",
                           i);
            cr_expect_str_eq(letter->head.data, want);
            (void)snprintf(want, sizeof(want), "body %d", i);
            cr_expect_eq(strncmp(letter->body.data, want, strlen(want)), 0);
            cr_expect_eq(letter->peer.id[0], i);
            cr_expect_eq(letter->side, i % 2 ? SIDE_WORKERS : SIDE_CLIENTS);
        }
        outbox_reset(&outbox);
        cr_expect_eq(outbox.count, 0);
        cr_expect_lt(outbox.letters[7].body.capacity, LARGE_BYTES,
                     "a large buffer is not kept");
    }
    outbox_fini(&outbox);
    outbox_fini(&outbox);
}

/* To somebody who is written to once in a while a new one is no loss. */
Test(outbox, finds_the_newest_letter_to_a_peer)
{
    struct outbox outbox = { 0 };
    struct link_peer peers[] = { { .id = { 1 }, .bytes = 1 },
                                 { .id = { 2 }, .bytes = 1 } };

    cr_expect_null(outbox_last(&outbox, SIDE_WORKERS, &peers[0]));
    (void)outbox_open(&outbox, SIDE_WORKERS, &peers[0]);
    (void)outbox_open(&outbox, SIDE_WORKERS, &peers[0]);
    (void)outbox_open(&outbox, SIDE_CLIENTS, &peers[0]);
    (void)outbox_open(&outbox, SIDE_WORKERS, &peers[1]);
    cr_expect_eq(outbox_last(&outbox, SIDE_WORKERS, &peers[0]),
                 &outbox.letters[1]);
    cr_expect_eq(outbox_last(&outbox, SIDE_CLIENTS, &peers[0]),
                 &outbox.letters[2]);
    cr_expect_null(outbox_last(&outbox, SIDE_CLIENTS, &peers[1]));
    for (int i = 0; i < 1000; i++)
        (void)outbox_open(&outbox, SIDE_CLIENTS, &peers[1]);
    cr_expect_null(outbox_last(&outbox, SIDE_WORKERS, &peers[0]));
    outbox_reset(&outbox);
    cr_expect_null(outbox_last(&outbox, SIDE_CLIENTS, &peers[1]));
    outbox_fini(&outbox);
}

/* What is kept is counted, whichever letters it is in. */
Test(outbox, keeps_buffers_up_to_a_limit)
{
    struct link_peer peer = { .id = { 1 }, .bytes = 1 };
    struct outbox outbox = { 0 };
    size_t kept;

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++) {
            struct letter *letter = outbox_open(&outbox, SIDE_CLIENTS, &peer);

            (void)buf_reserve(&letter->body, i % 2 ? 10000 : LARGE_BYTES);
            (void)buf_reserve(&letter->head, i == 99 ? LARGE_BYTES : 100);
        }
        outbox_reset(&outbox);
        kept = 0;
        for (size_t i = 0; i < outbox.capacity; i++) {
            const struct letter *letter = &outbox.letters[i];

            cr_expect_leq(letter->head.capacity + letter->body.capacity,
                          LETTER_KEEP_BYTES_MAX, "letter %zu", i);
            kept += letter->head.capacity + letter->body.capacity;
        }
        cr_expect_leq(kept, OUTBOX_KEEP_BYTES_MAX, "got %zu", kept);
        cr_expect_gt(kept, OUTBOX_KEEP_BYTES_MAX / 2, "got %zu", kept);
    }
    outbox_fini(&outbox);
}
