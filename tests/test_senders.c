/* SPDX-License-Identifier: MIT */
#include "queue/senders.h"

#include <criterion/criterion.h>

#include "tests/broker_fixture.h"

#define WINDOW  4194304
#define NOW_MS  1000000
#define LINE(c) "{'id':'" c "','text':'" c "'}\n"

TestSuite(senders, .timeout = 30);

static struct senders senders;

static void
note(uint64_t first, uint64_t last, int64_t now_ms)
{
    for (uint64_t batch = first; batch <= last; batch++)
        senders_note(&senders, batch, now_ms);
}

Test(senders, one_that_sends_alone_has_the_whole_window)
{
    cr_expect_eq(senders_share(&senders, WINDOW, NOW_MS), WINDOW);
    note(7, 7, NOW_MS);
    note(7, 7, NOW_MS + 1);
    cr_expect_eq(senders_share(&senders, WINDOW, NOW_MS + 1), WINDOW);
}

Test(senders, those_that_send_at_the_same_time_share_two)
{
    note(1, 8, NOW_MS);
    cr_expect_eq(senders_share(&senders, WINDOW, NOW_MS), 2 * WINDOW / 8);
    note(1, 3, NOW_MS + SENDERS_MS);
    cr_expect_eq(senders_share(&senders, WINDOW, NOW_MS + SENDERS_MS),
                 2 * WINDOW / 3);
    senders_drop(&senders, 1);
    cr_expect_eq(senders_share(&senders, WINDOW, NOW_MS + SENDERS_MS), WINDOW);
    senders_drop(&senders, 2);
    senders_drop(&senders, 3000);
    cr_expect_eq(senders_share(&senders, WINDOW, NOW_MS + SENDERS_MS), WINDOW);
}

Test(senders, a_share_is_no_smaller_than_a_usual_chunk)
{
    note(1, SENDERS_MAX, NOW_MS);
    cr_expect_eq(senders_share(&senders, WINDOW / 4, NOW_MS),
                 SENDERS_BYTES_MIN);
    cr_expect_eq(senders_share(&senders, 4096, NOW_MS), 4096);
}

Test(senders, of_too_many_those_are_forgotten_that_were_silent_longest)
{
    note(1, SENDERS_MAX, NOW_MS);
    note(2, SENDERS_MAX, NOW_MS + 1);
    note(SENDERS_MAX + 1, SENDERS_MAX + 1, NOW_MS + 1);
    for (uint64_t batch = 2; batch <= SENDERS_MAX; batch++)
        senders_drop(&senders, batch);
    cr_expect_eq(senders_share(&senders, WINDOW, NOW_MS + 1), WINDOW);
}

static struct bench bench;

static void
set_up(void)
{
    bench_init(&bench, BENCH_STORE_MAX);
    bench_start(&bench);
}

static void
tear_down(void)
{
    bench_fini(&bench);
}

Test(senders, an_answer_tells_how_much_may_be_sent_ahead_now, .init = set_up,
     .fini = tear_down)
{
    char first[BENCH_UUID_BYTES], second[BENCH_UUID_BYTES],
        third[BENCH_UUID_BYTES];
    const cJSON *head;

    bench_open(&bench, "first", NULL, "", first);
    head = bench_chunk(&bench, first, 1, LINE("a"));
    cr_expect_eq(at_int(head, "window_bytes"), WINDOW);
    bench_open(&bench, "second", NULL, "", second);
    bench_open(&bench, "third", NULL, "", third);
    head = bench_chunk(&bench, first, 2, LINE("d"));
    cr_expect_eq(at_int(head, "window_bytes"), 2 * WINDOW / 3);
    head = bench_chunk(&bench, second, 1, LINE("b"));
    cr_expect_eq(at_int(head, "window_bytes"), 2 * WINDOW / 3);
    bench_seal(&bench, first, 2, 2);
    head = bench_chunk(&bench, second, 2, LINE("c"));
    cr_expect_eq(at_int(head, "window_bytes"), WINDOW);
}
