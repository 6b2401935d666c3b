/* SPDX-License-Identifier: MIT */
#include "tests/broker_event.h"

#include <criterion/criterion.h>
#include <string.h>

struct hand *
event_bench(struct bench *bench)
{
    struct hand *hand;

    bench_init(bench, BENCH_STORE_MAX);
    bench_webhook(bench, "all", NULL, NULL);
    bench_webhook(bench, "some", "batch.cancelled, batch.expired", "c, d");
    bench_start(bench);
    hand = hand_new(bench, 1);
    hand->beats = true;
    bench_run(bench);
    return hand;
}

void
event_bench_one(struct bench *bench)
{
    bench_init(bench, BENCH_STORE_MAX);
    bench_webhook(bench, "all", NULL, NULL);
    bench->conf.deliveries_max = 10;
    bench_start(bench);
}

void
event_finish(struct bench *bench, const char *key, char uuid[BENCH_UUID_BYTES])
{
    bench_submit(bench, key, NULL, EVENT_DRAFT, uuid);
    bench_advance(bench, bench->conf.group_window_ms);
    bench_work(bench);
    cr_assert_str_eq(bench_state(bench, uuid), "finished");
}

cJSON *
event_listed(struct bench *bench, int nth)
{
    const char *line;
    cJSON *row;

    bench_ask(bench, NULL, "'verb':'webhooks'");
    line = bench_body(bench).data;
    while (nth-- > 0)
        line = strchr(line, '\n') + 1;
    row = cJSON_ParseWithLength(line, strcspn(line, "\n"));
    cr_assert_not_null(row);
    return row;
}

void
event_expect(struct bench *bench, int nth, const char *state, int64_t attempts,
             int64_t status)
{
    cJSON *row = event_listed(bench, nth);

    cr_expect_str_eq(at_str(row, "state"), state, "got %s want %s",
                     at_str(row, "state"), state);
    cr_expect_eq(at_int(row, "attempts"), attempts);
    if (status > 0)
        cr_expect_eq(at_int(row, "http_status"), status);
    else
        cr_expect_str_eq(at_str(row, "http_status"), "(null)");
    cJSON_Delete(row);
}

int64_t
event_wait(struct hand *hand, int64_t most_ms)
{
    struct bench *bench = hand->bench;
    cJSON *row = event_listed(bench, 0);
    int64_t wait_ms = at_int(row, "next_at") - bench->now_ms;

    cJSON_Delete(row);
    cr_assert_gt(wait_ms, 0);
    cr_assert_leq(wait_ms, most_ms, "got %lld", (long long)wait_ms);
    bench_advance(bench, wait_ms - 1);
    cr_assert_eq(hand->parcel_count, 0, "it is too early");
    bench_advance(bench, 1);
    cr_assert_eq(hand->parcel_count, 1, "nothing to post");
    return wait_ms;
}
