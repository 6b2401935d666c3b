/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "base/mem.h"
#include "base/pack.h"
#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

TestSuite(broker_replies, .timeout = 30);

static struct bench bench;
static struct hand *hand;
static char uuid[BENCH_UUID_BYTES];

static void
set_up(void)
{
    bench_init(&bench, BENCH_STORE_MAX);
}

static void
tear_down(void)
{
    bench_fini(&bench);
}

/* One draft for each upstream, both of them started. */
static void
start(void)
{
    bench_start(&bench);
    hand = hand_new(&bench, 5);
    bench_submit(&bench, "k", NULL,
                 "{'id':'a','text':'for one'}\n"
                 "{'id':'b','text':'for two','upstream':'two'}\n",
                 uuid);
    bench_advance(&bench, bench.conf.group_window_ms);
    cr_assert_eq(hand_start(hand), 2);
}

static void
say_shape(const char *text, const char *shape)
{
    struct slip *slip = hand_find(hand, text);

    hand_say(hand,
             "{'verb':'result','request':%lld,'fence':%lld,'class':'ok',"
             "'http_status':200,'shape':'%s'}",
             (long long)slip->request, (long long)slip->fence, shape);
    bench_run(&bench);
}

Test(broker_replies, are_counted_by_their_shape, .init = set_up,
     .fini = tear_down)
{
    bench.conf.upstreams[1].dialect = mem_dup_str("anthropic");
    start();
    say_shape("for one", "anthropic");
    cr_expect_eq(bench_stat(&bench, "replies_anthropic"), 1);
    cr_expect_eq(bench_stat(&bench, "replies_fallback_path"), 1);
    cr_expect_eq(bench_stat(&bench, "replies_fallback_percent"), 100);
    say_shape("for two", "anthropic");
    cr_expect_eq(bench_stat(&bench, "replies_anthropic"), 2);
    cr_expect_eq(bench_stat(&bench, "replies_priority_path"), 1);
    cr_expect_eq(bench_stat(&bench, "replies_fallback_percent"), 50);
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 2);
}

Test(broker_replies, of_a_shape_that_nobody_knows_are_taken, .init = set_up,
     .fini = tear_down)
{
    start();
    say_shape("for one", "of tomorrow");
    cr_expect_eq(bench_stat(&bench, "replies_fallback_path"), 1);
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 1);
}

Test(broker_replies, that_never_came_are_counted_apart_and_tried_again,
     .init = set_up, .fini = tear_down)
{
    bench.conf.attempts_max = 2;
    start();
    hand_end(hand, hand_find(hand, "for one"), "uncertain", 0, 0);
    bench_run(&bench);
    cr_expect_eq(bench_stat(&bench, "calls_uncertain"), 1);
    cr_expect_eq(bench_status(&bench, uuid, "counts.done"), 0);
    bench_advance(&bench, bench.conf.backoff_cap_ms);
    cr_assert_eq(hand_start(hand), 1);
    hand_end(hand, hand_find(hand, "for one"), "uncertain", 0, 0);
    bench_run(&bench);
    cr_expect_eq(bench_status(&bench, uuid, "counts.error"), 1);
}

Test(broker_replies, that_stop_an_upstream_end_their_draft, .init = set_up,
     .fini = tear_down)
{
    start();
    hand_end(hand, hand_find(hand, "for two"), "stop", 401, 0);
    bench_run(&bench);
    cr_expect_eq(bench_status(&bench, uuid, "counts.auth_error"), 1);
    cr_expect_eq(bench_status(&bench, uuid, "counts.done"), 1);
}

Test(broker_replies, cut_off_by_the_upstreams_limit_get_more_room,
     .init = set_up, .fini = tear_down)
{
    bench.conf.upstreams[0].max_tokens_default = 100;
    start();
    cr_expect_not_null(
        strstr(hand_find(hand, "for one")->body, "\"max_tokens\":100}"));
    hand_end(hand, hand_find(hand, "for one"), "truncated", 200, 0);
    hand_end(hand, hand_find(hand, "for two"), "truncated", 200, 0);
    bench_run(&bench);
    /* Without a limit of ours, more room would change nothing. */
    cr_expect_eq(bench_status(&bench, uuid, "counts.error"), 1);
    cr_assert_eq(hand_start(hand), 1);
    cr_expect_not_null(
        strstr(hand_find(hand, "for one")->body, "\"max_tokens\":200}"));
    hand_end(hand, hand_find(hand, "for one"), "truncated", 200, 0);
    bench_run(&bench);
    cr_expect_eq(bench_status(&bench, uuid, "counts.error"), 2);
}

/* A reply whose text is its inside, packed as a worker does it. */
static void
make_packed(struct buf *reply, struct buf *packed)
{
    struct packer *packer = packer_new();

    buf_add_str(reply, "{\"content\":\"");
    for (int i = 0; i < 300; i++)
        buf_addf(reply, "word %d ", i % 7);
    buf_add_str(reply, "\"}");
    pack_add(packer, buf_slice(reply), packed);
    cr_assert_lt(packed->bytes, reply->bytes);
    packer_free(packer);
}

static void
say_packed(const struct slip *slip, struct slice body, size_t unpacked_bytes,
           size_t text_bytes)
{
    struct buf head = { 0 };

    buf_addf(&head,
             "{\"verb\":\"result\",\"request\":%lld,\"fence\":%lld,\"class\":"
             "\"ok\",\"http_status\":200,\"text_at\":12,\"text_bytes\":%zu,"
             "\"unpacked_bytes\":%zu}",
             (long long)slip->request, (long long)slip->fence, text_bytes,
             unpacked_bytes);
    bench_post(&bench, SIDE_WORKERS, &hand->peer, buf_slice(&head), body);
    bench_run(&bench);
    buf_fini(&head);
}

Test(broker_replies, may_come_packed, .init = set_up, .fini = tear_down)
{
    struct buf reply = { 0 }, packed = { 0 }, want = { 0 };
    const struct slip *slip;

    start();
    make_packed(&reply, &packed);
    slip = hand_find(hand, "for one");
    say_packed(slip, buf_slice(&packed), reply.bytes, reply.bytes - 14);
    cr_expect_eq(bench_stat(&bench, "bad_messages"), 0);
    cr_expect_eq(hand->confirm_count, 1);
    bench_ask(&bench, NULL, "'verb':'reply','batch':'%s','index':0", uuid);
    cr_expect(slice_equal(bench_body(&bench), buf_slice(&reply)));
    bench_ask(&bench, NULL, "'verb':'results','batch':'%s'", uuid);
    buf_addf(&want, "\"text\":\"%.*s\",", (int)reply.bytes - 14,
             reply.data + 12);
    cr_expect_not_null(strstr(bench_body(&bench).data, want.data), "%s",
                       bench_body(&bench).data);
    buf_fini(&reply);
    buf_fini(&packed);
    buf_fini(&want);
}

/* What is stored as it came can be unpacked, whatever a worker says. */
Test(broker_replies, that_cannot_be_unpacked_are_refused, .init = set_up,
     .fini = tear_down)
{
    struct buf reply = { 0 }, packed = { 0 };
    size_t most, text;
    const struct slip *slip;
    struct slice cut;
    int64_t bad = 0;

    bench.conf.reply_bytes_max = 1024;
    start();
    make_packed(&reply, &packed);
    text = reply.bytes - 14;
    most = 2 * (size_t)bench.conf.reply_bytes_max;
    cr_assert_gt(reply.bytes, most);
    slip = hand_find(hand, "for one");
    say_packed(slip, buf_slice(&packed), reply.bytes, text);
    cr_expect_eq(bench_stat(&bench, "bad_messages"), ++bad, "it is too long");
    bench.conf.reply_bytes_max = 1 << 20;
    say_packed(slip, buf_slice(&packed), reply.bytes - 1, text - 1);
    cr_expect_eq(bench_stat(&bench, "bad_messages"), ++bad, "it has more");
    say_packed(slip, buf_slice(&packed), reply.bytes + 1, text);
    cr_expect_eq(bench_stat(&bench, "bad_messages"), ++bad, "it has less");
    say_packed(slip, buf_slice(&reply), reply.bytes, text);
    cr_expect_eq(bench_stat(&bench, "bad_messages"), ++bad, "not packed");
    say_packed(slip, buf_slice(&packed), reply.bytes, text + 14);
    cr_expect_eq(bench_stat(&bench, "bad_messages"), ++bad, "no such text");
    for (cut = buf_slice(&packed); cut.bytes > 8; cut.bytes -= 7) {
        if (cut.bytes == packed.bytes)
            continue;
        say_packed(slip, cut, reply.bytes, text);
        cr_expect_eq(bench_stat(&bench, "bad_messages"), ++bad, "cut to %zu",
                     cut.bytes);
    }
    packed.data[packed.bytes / 2] ^= 0x55;
    buf_add_str(&packed, "and more");
    say_packed(slip, buf_slice(&packed), reply.bytes, text);
    cr_expect_eq(bench_stat(&bench, "bad_messages"), ++bad, "damaged");
    cr_expect_eq(hand->confirm_count, 0);
    cr_expect_eq(bench_status(&bench, uuid, "counts.done"), 0);
    buf_fini(&reply);
    buf_fini(&packed);
}
