/* SPDX-License-Identifier: MIT */
#include "tests/broker_fixture.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/mem.h"
#include "queue/wire.h"
#include "tests/broker_hand.h"
#include "tests/turns.h"

#define TURNS_MAX 5000 /* without time passing: more is a broker that spins */
#define HOLD_MS   200  /* as sheafd has it */
#define CLIENT    1    /* the peer that asks */

static char *
format(const char *fmt, va_list args)
{
    va_list again;
    char *text;
    int bytes;

    va_copy(again, args);
    bytes = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    cr_assert_geq(bytes, 0);
    text = mem_zalloc((size_t)bytes + 1, 1);
    cr_assert_eq(vsnprintf(text, (size_t)bytes + 1, fmt, args), bytes);
    for (char *at = text; *at; at++) {
        if (*at == '\'')
            *at = '"';
    }
    return text;
}

static char *
quoted(const char *text)
{
    char *copy = mem_dup_str(text);

    for (char *at = copy; *at; at++) {
        if (*at == '\'')
            *at = '"';
    }
    return copy;
}

/* ---- life ---- */

static void
load_conf(struct conf *conf)
{
    static const char *const names[] = { "one", "two" };

    conf_init(conf);
    for (size_t i = 0; i < 2; i++) {
        struct conf_upstream *upstream = &conf->upstreams[i];

        *upstream = (struct conf_upstream){
            .name = mem_dup_str(names[i]),
            .base_url = mem_dup_str("https://api.example/v1"),
            .path = mem_dup_str("/chat/completions"),
            .model = mem_dup_str("m"),
            .request_timeout_ms = 600000,
            .connect_timeout_ms = 10000,
            .price_input_usd = 1,
            .price_output_usd = 2,
        };
    }
    conf->upstream_count = 2;
}

void
bench_init(struct bench *bench, uint64_t store_bytes)
{
    static const unsigned char uuid[STORE_UUID_BYTES] = "the bench's own";
    struct err err = { 0 };

    log_setup(LOG_FATAL, false);
    *bench = (struct bench){ .now_ms = BENCH_START_MS, .seed = 1 };
    load_conf(&bench->conf);
    bench->store = store_open_memory(store_bytes, uuid);
    bench->recipes = recipes_new();
    bench->packer = packer_new();
    bench->rules = text_rules_new(&err);
    cr_assert_not_null(bench->rules, "%s", err.msg);
}

void
bench_webhook(struct bench *bench, const char *name, const char *events,
              const char *clients)
{
    struct conf *conf = &bench->conf;
    struct conf_webhook *webhook = &conf->webhooks[conf->webhook_count++];

    *webhook = (struct conf_webhook){
        .name = mem_dup_str(name),
        .url = mem_dup_str("https://hooks.example/in"),
        .secret_env = mem_dup_str("SECRET"),
        .events = events ? mem_dup_str(events) : NULL,
        .clients = clients ? mem_dup_str(clients) : NULL,
        .timeout_ms = 15000,
        .posts_max = 2,
    };
}

void
bench_start(struct bench *bench)
{
    struct broker_env env = { .conf = &bench->conf,
                              .store = bench->store,
                              .rules = bench->rules,
                              .outbox = &bench->outbox,
                              .version = "1.2.3",
                              .host = BENCH_HOST,
                              .seed = bench->seed };
    struct err err = { 0 };

    bench->broker = broker_new(&env);
    cr_assert_eq(broker_recover(bench->broker, bench->now_ms, true, &err), 0,
                 "%s", err.msg);
}

void
bench_restart(struct bench *bench)
{
    broker_free(bench->broker);
    outbox_reset(&bench->outbox);
    bench->mail_count = 0;
    for (size_t i = 0; i < bench->hand_count; i++)
        hand_disconnect(bench->hands[i]);
    bench->seed++;
    bench_start(bench);
}

void
bench_fini(struct bench *bench)
{
    broker_free(bench->broker);
    for (size_t i = 0; i < bench->hand_count; i++)
        hand_free(bench->hands[i]);
    for (size_t i = 0; i < bench->mail_capacity; i++) {
        buf_fini(&bench->mails[i].head);
        buf_fini(&bench->mails[i].body);
        gather_fini(&bench->mails[i].gathered);
    }
    for (size_t i = 0; i < bench->answer_count; i++) {
        cJSON_Delete(bench->answers[i].head);
        buf_fini(&bench->answers[i].body);
    }
    for (size_t i = 0; i < bench->call_count; i++)
        free(bench->calls[i]);
    free(bench->calls);
    free(bench->fences);
    free(bench->mails);
    free(bench->answers);
    recipes_free(bench->recipes);
    line_fini(&bench->line);
    packer_free(bench->packer);
    outbox_fini(&bench->outbox);
    store_close(bench->store);
    text_rules_free(bench->rules);
    conf_fini(&bench->conf);
}

/* ---- turns ---- */

static struct message
message_of(struct mail *mail)
{
    return (struct message){ .side = mail->side,
                             .peer = &mail->peer,
                             .head = buf_slice(&mail->head),
                             .body = buf_slice(&mail->body),
                             .gathered =
                                 mail->is_gathered ? &mail->gathered : NULL };
}

/* In a transaction of its own: what was found of the batch then may be old when
 * the chunk's turn comes. */
static void
read_ahead(struct bench *bench, struct mail *mail)
{
    struct message message = message_of(mail);
    struct line_fault fault;
    struct slice options;
    struct err err = { 0 };
    uint64_t batch;

    cr_assert_eq(store_begin(bench->store, bench->now_ms, &err), 0);
    if (broker_may_gather(bench->broker, &message, &batch, &options)) {
        mail->gathered.conf = &bench->conf;
        mail->gathered.line = &bench->line;
        mail->gathered.packer = bench->packer;
        mail->gathered.recipe =
            recipes_read(bench->recipes, &bench->conf, batch, options, &fault);
        cr_assert_not_null(mail->gathered.recipe);
        gather_ahead(&mail->gathered, message.body);
        mail->is_gathered = true;
        bench->gathered_count++;
    }
    store_abort(bench->store);
}

void
bench_post(struct bench *bench, enum side side, const struct link_peer *peer,
           struct slice head, struct slice body)
{
    struct mail *mail;

    if (bench->mail_count == bench->mail_capacity) {
        size_t capacity = bench->mail_capacity * 2 + 16;

        bench->mails =
            mem_grow(bench->mails, capacity, sizeof(bench->mails[0]));
        for (size_t i = bench->mail_capacity; i < capacity; i++)
            bench->mails[i] = (struct mail){ 0 };
        bench->mail_capacity = capacity;
    }
    mail = &bench->mails[bench->mail_count++];
    mail->side = side;
    mail->peer = *peer;
    buf_reset(&mail->head);
    buf_reset(&mail->body);
    buf_add_slice(&mail->head, head);
    buf_add_slice(&mail->body, body);
    if (bench->reads_ahead)
        read_ahead(bench, mail);
}

static void
keep_answer(struct bench *bench, const struct letter *letter)
{
    struct wire wire;
    struct err err = { 0 };
    struct answer *answer;
    int64_t re;

    /* A client reads it as strictly as the broker does. */
    cr_assert_eq(wire_parse(&wire, buf_slice(&letter->head),
                            buf_slice(&letter->body), &err),
                 0, "%s", err.msg);
    cr_assert_eq(wire_int(&wire, "re", wire_range(0, WIRE_INT_MAX), &re, &err),
                 0, "%s", err.msg);
    cr_assert_null(bench_answer(bench, re), "two answers to %lld",
                   (long long)re);
    if (bench->answer_count == bench->answer_capacity) {
        bench->answer_capacity = bench->answer_capacity * 2 + 16;
        bench->answers = mem_grow(bench->answers, bench->answer_capacity,
                                  sizeof(bench->answers[0]));
    }
    answer = &bench->answers[bench->answer_count++];
    *answer = (struct answer){ .re = re, .head = wire.head };
    buf_add_slice(&answer->body, buf_slice(&letter->body));
}

static struct hand *
hand_of(const struct bench *bench, const struct link_peer *peer)
{
    for (size_t i = 0; i < bench->hand_count; i++) {
        struct hand *hand = bench->hands[i];

        if (hand->is_connected && memcmp(&hand->peer, peer, sizeof(*peer)) == 0)
            return hand;
    }
    return NULL;
}

/* A lease's fence is above all that were given for its request. */
static void
note_fence(struct bench *bench, struct slice head)
{
    struct wire wire;
    int64_t request, fence;

    cr_assert_eq(wire_read(&wire, head, (struct slice){ 0 }, NULL), 0);
    if (strcmp(wire_verb(&wire), "lease") == 0) {
        cr_assert_eq(
            wire_int(&wire, "request", wire_range(1, 1 << 20), &request, NULL),
            0);
        cr_assert_eq(
            wire_int(&wire, "fence", wire_range(1, WIRE_INT_MAX), &fence, NULL),
            0);
        while ((int64_t)bench->fence_count <= request) {
            bench->fences = mem_grow(bench->fences, bench->fence_count + 1,
                                     sizeof(bench->fences[0]));
            bench->fences[bench->fence_count++] = 0;
        }
        cr_assert_gt(fence, bench->fences[request]);
        bench->fences[request] = fence;
    }
    wire_fini(&wire);
}

/* A letter to a hand, which takes the parts of a turn one by one. */
static void
hand_over(struct bench *bench, const struct letter *letter)
{
    struct hand *hand = hand_of(bench, &letter->peer);
    struct turns turns =
        turns_of(buf_slice(&letter->head), buf_slice(&letter->body));

    if (!hand)
        broker_lost(bench->broker, SIDE_WORKERS, &letter->peer);
    for (size_t i = 0; i < turns.count; i++) {
        struct slice head = buf_slice(&turns.parts[i].head);

        note_fence(bench, head);
        if (hand)
            hand_take(hand, head, turns.parts[i].body);
    }
    turns_fini(&turns);
}

static void
hand_out(struct bench *bench)
{
    for (size_t i = 0; i < bench->outbox.count; i++) {
        struct letter *letter = &bench->outbox.letters[i];

        if (letter->side == SIDE_CLIENTS)
            keep_answer(bench, letter);
        else
            hand_over(bench, letter);
    }
    outbox_reset(&bench->outbox);
    for (size_t i = 0; i < bench->hand_count && !bench->is_slow; i++)
        hand_read(bench->hands[i]);
}

/* As sheafd's loop does it. */
static int
transact(struct bench *bench, struct mail *mails, size_t count,
         void (*work)(struct broker *, int64_t))
{
    struct err err = { 0 };
    int rc;

    cr_assert_eq(store_begin(bench->store, bench->now_ms, &err), 0);
    for (size_t i = 0; i < count; i++) {
        struct message message = message_of(&mails[i]);

        broker_apply(bench->broker, &message, bench->now_ms);
        gather_fini(&mails[i].gathered);
        mails[i].is_gathered = false;
    }
    bench->patience_ms = broker_patience_ms(bench->broker);
    work(bench->broker, bench->now_ms);
    if (bench->fails > 0) {
        store_abort(bench->store);
        bench->fails--;
        rc = E_FULL;
    } else {
        rc = store_commit(bench->store, &err);
    }
    if (rc < 0) {
        cr_assert_eq(rc, E_FULL, "%s", err.msg);
        outbox_reset(&bench->outbox);
        cr_assert_eq(broker_recover(bench->broker, bench->now_ms, false, &err),
                     0, "%s", err.msg);
        return rc;
    }
    cr_assert_eq(store_begin(bench->store, bench->now_ms, &err), 0);
    broker_settle(bench->broker, bench->now_ms);
    store_abort(bench->store);
    return 0;
}

void
bench_turn(struct bench *bench)
{
    struct mail *mails = bench->mails;
    size_t count = bench->mail_count, capacity = bench->mail_capacity;

    bench->turn_count++;
    /* What hands say meanwhile is for the next turn. */
    bench->mails = NULL;
    bench->mail_count = bench->mail_capacity = 0;
    bench->commit_rc = transact(bench, mails, count, broker_turn);
    if (bench->commit_rc == 0)
        hand_out(bench);
    if (bench->commit_rc < 0)
        broker_hold(bench->broker, bench->now_ms + 1);
    for (size_t i = 0; i < count && bench->commit_rc < 0; i++) {
        int rc = transact(bench, &mails[i], 1, broker_turn);

        if (rc < 0) {
            struct message message = message_of(&mails[i]);

            broker_refuse(bench->broker, &message, rc, err_text(rc));
        }
        hand_out(bench);
    }
    if (bench->commit_rc < 0) {
        broker_hold(bench->broker, bench->now_ms);
        if (transact(bench, NULL, 0, broker_turn) < 0) {
            broker_hold(bench->broker, bench->now_ms + HOLD_MS);
            (void)transact(bench, NULL, 0, broker_relieve);
        }
        hand_out(bench);
    }
    for (size_t i = 0; i < capacity; i++) {
        buf_fini(&mails[i].head);
        buf_fini(&mails[i].body);
    }
    free(mails);
}

void
bench_run(struct bench *bench)
{
    int turns = 0;

    do {
        bench_turn(bench);
        cr_assert_lt(turns++, TURNS_MAX, "the broker spins");
    } while (bench->mail_count > 0 ||
             broker_next_ms(bench->broker) <= bench->now_ms);
}

void
bench_advance(struct bench *bench, int64_t ms)
{
    int64_t until_ms = bench->now_ms + ms;

    bench_run(bench);
    while (bench->now_ms < until_ms) {
        int64_t next_ms = broker_next_ms(bench->broker);

        for (size_t i = 0; i < bench->hand_count; i++) {
            if (bench->hands[i]->beats && bench->hands[i]->beat_ms < next_ms)
                next_ms = bench->hands[i]->beat_ms;
        }
        if (next_ms > until_ms)
            next_ms = until_ms;
        if (next_ms > bench->now_ms)
            bench->now_ms = next_ms;
        for (size_t i = 0; i < bench->hand_count; i++)
            hand_tick(bench->hands[i]);
        bench_run(bench);
    }
}

/* ---- clients ---- */

static int64_t
post_question(struct bench *bench, struct slice body, const char *members)
{
    struct link_peer peer = { .id = { CLIENT }, .bytes = 5 };
    struct buf head = { 0 };

    buf_addf(&head, "{\"re\":%lld,%s}", (long long)++bench->re, members);
    bench_post(bench, SIDE_CLIENTS, &peer, buf_slice(&head), body);
    buf_fini(&head);
    return bench->re;
}

static int64_t
ask(struct bench *bench, const char *body, const char *fmt, va_list args)
{
    char *members = format(fmt, args);
    char *text = body ? quoted(body) : NULL;
    int64_t re = post_question(bench, slice_of(text), members);

    free(members);
    free(text);
    return re;
}

int64_t
bench_ask_later(struct bench *bench, const char *body, const char *fmt, ...)
{
    va_list args;
    int64_t re;

    va_start(args, fmt);
    re = ask(bench, body, fmt, args);
    va_end(args);
    return re;
}

const struct answer *
bench_answer(const struct bench *bench, int64_t re)
{
    for (size_t i = bench->answer_count; i > 0; i--) {
        if (bench->answers[i - 1].re == re)
            return &bench->answers[i - 1];
    }
    return NULL;
}

static const cJSON *
head_of(const struct bench *bench, int64_t re)
{
    const struct answer *answer = bench_answer(bench, re);

    return answer ? answer->head : NULL;
}

const cJSON *
bench_ask(struct bench *bench, const char *body, const char *fmt, ...)
{
    va_list args;
    int64_t re;

    va_start(args, fmt);
    re = ask(bench, body, fmt, args);
    va_end(args);
    bench_run(bench);
    return head_of(bench, re);
}

struct slice
bench_body(const struct bench *bench)
{
    const struct answer *answer = bench_answer(bench, bench->re);

    cr_assert_not_null(answer);
    return buf_slice(&answer->body);
}

void
bench_open(struct bench *bench, const char *key, const char *options,
           const char *more, char uuid[BENCH_UUID_BYTES])
{
    const cJSON *head =
        bench_ask(bench, options, "'verb':'open','client':'c','key':'%s'%s%s",
                  key, *more ? "," : "", more);

    cr_assert_str_eq(at_str(head, "verb"), "opened");
    cr_assert_eq(snprintf(uuid, BENCH_UUID_BYTES, "%s", at_str(head, "batch")),
                 BENCH_UUID_BYTES - 1);
}

int64_t
bench_chunk_later(struct bench *bench, const char *uuid, int n,
                  const char *lines)
{
    unsigned char digest[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    char *body = quoted(lines);
    int64_t re;

    digest_of(body, strlen(body), digest);
    digest_hex(digest, hex);
    re = bench_ask_later(bench, lines,
                         "'verb':'chunk','batch':'%s','n':%d,'digest':'%s'",
                         uuid, n, hex);
    free(body);
    return re;
}

const cJSON *
bench_chunk(struct bench *bench, const char *uuid, int n, const char *lines)
{
    int64_t re = bench_chunk_later(bench, uuid, n, lines);

    bench_run(bench);
    return head_of(bench, re);
}

const cJSON *
bench_seal(struct bench *bench, const char *uuid, int chunks, int drafts)
{
    const cJSON *head = bench_ask(
        bench, NULL, "'verb':'seal','batch':'%s','chunks':%d,'drafts':%d", uuid,
        chunks, drafts);

    cr_assert_str_eq(at_str(head, "verb"), "sealed");
    return head;
}

void
bench_submit(struct bench *bench, const char *key, const char *options,
             const char *lines, char uuid[BENCH_UUID_BYTES])
{
    const cJSON *head;

    bench_open(bench, key, options, "", uuid);
    head = bench_chunk(bench, uuid, 1, lines);
    cr_assert_str_eq(at_str(head, "verb"), "stored");
    bench_seal(bench, uuid, 1, (int)at_int(head, "drafts"));
}
