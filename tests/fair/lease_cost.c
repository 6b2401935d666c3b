/*
 * lease_cost.c - what a lease costs, by the number of live batches
 *
 *   valgrind --tool=callgrind --collect-atstart=no \
 *       --toggle-collect=dispatch_run lease_cost BATCHES
 *
 * 10,000 drafts in so many batches, of which 1000 are leased and answered. The
 * instructions that were collected, divided by the leases printed, are the cost.
 */
/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

#define DRAFTS 10000
#define CALLS  1000
#define CHUNK  1000

static void
submit(struct bench *bench, int batch, int drafts)
{
    char uuid[BENCH_UUID_BYTES], key[16];
    int chunks = 0;

    (void)snprintf(key, sizeof(key), "%d", batch);
    bench_open(bench, key, NULL, "", uuid);
    for (int first = 0; first < drafts; first += CHUNK) {
        struct buf lines = { 0 };

        for (int i = first; i < drafts && i < first + CHUNK; i++) {
            buf_addf(&lines, "{'id':'%d','text':'the text %d of %d'}\n", i, i,
                     batch);
        }
        bench_chunk(bench, uuid, ++chunks, lines.data);
        buf_fini(&lines);
    }
    bench_seal(bench, uuid, chunks, drafts);
    /* Answers are looked for from the newest on; there are many. */
    for (size_t i = 0; i < bench->answer_count; i++) {
        cJSON_Delete(bench->answers[i].head);
        buf_fini(&bench->answers[i].body);
    }
    bench->answer_count = 0;
}

int
main(int argc, char **argv)
{
    int batches = argc == 2 ? (int)strtol(argv[1], NULL, 10) : 0;
    struct bench bench;
    struct hand *hand;

    if (batches < 1 || batches > DRAFTS) {
        (void)fprintf(stderr, "usage: lease_cost BATCHES\n");
        return 2;
    }
    bench_init(&bench, BENCH_STORE_MAX);
    bench.conf.group_chars_max = 1; /* each goes alone */
    bench_start(&bench);
    for (int i = 0; i < batches; i++)
        submit(&bench, i, DRAFTS / batches);
    hand = hand_new(&bench, (uint32_t)bench.conf.slots_max);
    while (bench.call_count < CALLS) {
        struct slip *slip;

        bench_run(&bench);
        hand_start(hand);
        while ((slip = hand_slip(hand, SLIP_RUNNING, 0)))
            hand_answer(hand, slip, "answer");
    }
    printf("leases %lld\n", (long long)bench_stat(&bench, "leases"));
    bench_fini(&bench);
    return 0;
}
