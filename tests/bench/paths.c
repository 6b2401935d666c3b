/*
 * paths.c - walks one hot path, again and again, for callgrind to count
 *
 *   paths              prints a line a path: its name, and what is counted
 *   paths PATH DIR     walks it, and prints how many units that were
 *
 * Everything before the walk (a store, a broker, the drafts that are waiting) is
 * made while callgrind looks away: it is to be started with --instr-atstart=no,
 * and with --toggle-collect for each function of the path's line, so that what
 * plays clients and workers is not counted either. instructions.py does so.
 *
 * The same instructions every time: drafts are numbered, times and seeds are
 * fixed, one thread does all, and nothing depends on an address. DIR is where a
 * store on LMDB is made; there must be none yet.
 */
/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <valgrind/callgrind.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/pack.h"
#include "base/pack_dictionary.h"
#include "queue/prompt.h"
#include "queue/retry.h"
#include "tests/bench/payload.h"
#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"
#include "tests/turns.h"
#include "worker/extract.h"

#define DRAFT_BYTES  1024
#define REPLY_BYTES  1024
#define ANSWER_BYTES 1400 /* of which the hand takes the text: above 1 KiB */
#define DRAFTS       800
#define CHUNK_DRAFTS 200    /* of one message */
#define BATCHES_MANY DRAFTS /* each of one draft */
#define PURE_UNITS   1000   /* of a path without a broker */
#define FAILURES     8      /* of a request, in turn: the cap is reached */
#define STORE_BYTES  (UINT64_C(64) << 20)
#define OPTIONS      "{\"goal\":\"Summarize this ticket\"}"

/*    name, over LMDB, per, what is counted, how it is walked */
/* clang-format off */
#define PATH_LIST(X)                                                      \
    X("parse", false, "draft", "line_read", walk_parse)                   \
    X("key", false, "draft", "prompt_make", walk_key)                     \
    X("key-own", false, "draft", "prompt_make", walk_key_own)             \
    X("key-line", false, "line", "prompt_make", walk_key_line)            \
    X("extract", false, "reply", "extract_read", walk_extract)            \
    X("backoff", false, "failure", "retry_decide", walk_backoff)          \
    X("accept", false, "draft", WHOLE_TURN, walk_accept)                  \
    X("lease", false, "request", "dispatch_run", walk_one_batch)              \
    X("lease-many", false, "request", "dispatch_run", walk_batches)    \
    X("complete", false, "request", NO_LEASE, walk_one_batch)                 \
    X("accept-lmdb", true, "draft", WHOLE_TURN, walk_accept)              \
    X("lease-lmdb", true, "request", "dispatch_run", walk_one_batch)          \
    X("complete-lmdb", true, "request", NO_LEASE, walk_one_batch)         \
    X("read-lmdb", true, "result", "broker_apply", walk_read)
/* clang-format on */

/* What sheafd's loop does with messages. A commit has what was leased in it, too:
 * it is counted where requests are completed. */
#define WHOLE_TURN "broker_apply broker_turn store_commit broker_settle"
#define NO_LEASE   "broker_apply store_commit broker_settle"

struct walk {
    struct bench bench;
    struct payload *payload;
    const char *dir;
    long units; /* of what was counted */
};

/* ---- what is walked ---- */

/* The fixture writes quotation marks for apostrophes. */
static void
add_line(const struct walk *walk, int number, struct buf *out)
{
    size_t start = out->bytes;

    payload_draft(walk->payload, number, number, DRAFT_BYTES, out);
    for (size_t i = start; i < out->bytes; i++) {
        if (out->data[i] == '\'')
            out->data[i] = '~';
    }
}

static void
must(int rc, const char *what)
{
    if (rc < 0)
        log_fatal("event=path_failed what=%s error=\"%s\"", what, err_text(rc));
}

/* What a draft is put into. */
struct form {
    const char *before, *behind; /* NULL: it stays as it is */
    bool has_key;
};

/* Puts a draft's text, which is the end of it, into another form. */
static void
wrap(const struct form *form, struct buf *draft, struct buf *text)
{
    const char *first = strstr(draft->data, "\"text\":");

    if (!first)
        log_fatal("event=path_failed what=draft error=\"no text\"");
    buf_reset(text);
    buf_add_str(text, form->before);
    buf_add_str(text, first + strlen("\"text\":"));
    text->bytes--; /* the brace of the draft */
    buf_add_str(text, form->behind);
    buf_swap(text, draft);
}

static void
walk_drafts(struct walk *walk, const struct form *form)
{
    struct line line = { 0 }, options = { 0 };
    struct prompt prompt = { 0 };
    struct line_fault fault;
    struct buf text = { 0 }, wrapped = { 0 };

    must(line_read_options(&options, &walk->bench.conf, slice_of(OPTIONS),
                           &fault),
         "options");
    CALLGRIND_START_INSTRUMENTATION;
    for (; walk->units < PURE_UNITS; walk->units++) {
        buf_reset(&text);
        add_line(walk, (int)walk->units, &text);
        if (form->before)
            wrap(form, &text, &wrapped);
        must(line_read(&line, &walk->bench.conf, buf_slice(&text), &fault),
             "line");
        if (form->has_key) {
            must(prompt_make(&prompt, &line, &options, &walk->bench.conf,
                             &fault),
                 "prompt");
        }
    }
    CALLGRIND_STOP_INSTRUMENTATION;
    prompt_fini(&prompt);
    line_fini(&line);
    line_fini(&options);
    buf_fini(&text);
    buf_fini(&wrapped);
}

static void
walk_parse(struct walk *walk)
{
    walk_drafts(walk, &(struct form){ 0 });
}

static void
walk_key(struct walk *walk)
{
    walk_drafts(walk, &(struct form){ .has_key = true });
}

/* Drafts that say something themselves. */
static void
walk_key_own(struct walk *walk)
{
    walk_drafts(walk, &(struct form){ "{\"id\":\"d\",\"temperature\":0.2,"
                                      "\"seed\":7,\"text\":",
                                      "}", true });
}

/* Lines of OpenAI's batches. */
static void
walk_key_line(struct walk *walk)
{
    walk_drafts(
        walk, &(struct form){ "{\"custom_id\":\"d\",\"method\":\"POST\","
                              "\"url\":\"/v1/chat/completions\",\"body\":"
                              "{\"model\":\"m\",\"messages\":[{\"role\":"
                              "\"system\",\"content\":\"Be terse.\"},{\"role\":"
                              "\"user\",\"content\":",
                              "}],\"temperature\":0.2}}", true });
}

static void
walk_extract(struct walk *walk)
{
    struct extract extract = { 0 };
    struct buf reply = { 0 };
    struct slice text;

    CALLGRIND_START_INSTRUMENTATION;
    for (; walk->units < PURE_UNITS; walk->units++) {
        buf_reset(&reply);
        payload_reply(walk->payload, walk->units, REPLY_BYTES, &reply, &text);
        must(extract_read(&extract, buf_slice(&reply), EXTRACT_CHAT, NULL),
             "reply");
    }
    CALLGRIND_STOP_INSTRUMENTATION;
    if (!extract.has_text)
        log_fatal("event=path_failed what=reply error=\"no text was found\"");
    extract_fini(&extract);
    buf_fini(&reply);
}

static void
walk_backoff(struct walk *walk)
{
    const struct call_end end = { .class = CLASS_RETRYABLE,
                                  .http_status = 503,
                                  .was_sent = true,
                                  .members = 1 };
    struct conf *conf = &walk->bench.conf;

    conf->attempts_max = FAILURES + 1;
    CALLGRIND_START_INSTRUMENTATION;
    for (; walk->units < PURE_UNITS; walk->units++) {
        struct request request = { .failures =
                                       (uint32_t)(walk->units % FAILURES) };
        struct retry_verdict verdict =
            retry_decide(&request, &end, conf, BENCH_START_MS, INT64_MAX, 0.5);

        if (verdict.action != RETRY_DELAY)
            log_fatal("event=path_failed what=backoff error=\"no delay\"");
    }
    CALLGRIND_STOP_INSTRUMENTATION;
}

/* ---- through the broker ---- */

/* Answers are looked for from the newest on; there are many. */
static void
forget_answers(struct bench *bench)
{
    for (size_t i = 0; i < bench->answer_count; i++) {
        cJSON_Delete(bench->answers[i].head);
        buf_fini(&bench->answers[i].body);
    }
    bench->answer_count = 0;
}

static void
send_drafts(struct walk *walk, const char *uuid, int chunk, int first,
            int drafts)
{
    struct buf lines = { 0 };
    const cJSON *head;

    for (int i = first; i < first + drafts; i++) {
        add_line(walk, i, &lines);
        buf_add_char(&lines, '\n');
    }
    head = bench_chunk(&walk->bench, uuid, chunk, lines.data);
    if (strcmp(at_str(head, "verb"), "stored") != 0)
        log_fatal("event=path_failed what=chunk error=\"%s\"",
                  at_str(head, "message"));
    buf_fini(&lines);
    forget_answers(&walk->bench);
}

/* So many batches with all drafts between them, each a request of its own. */
static void
submit(struct walk *walk, int batches, bool is_counted)
{
    int drafts = DRAFTS / batches;
    int in_chunk = drafts < CHUNK_DRAFTS ? drafts : CHUNK_DRAFTS;

    for (int batch = 0; batch < batches; batch++) {
        char key[16], uuid[BENCH_UUID_BYTES];

        (void)snprintf(key, sizeof(key), "%d", batch);
        bench_open(&walk->bench, key, OPTIONS, "", uuid);
        if (is_counted)
            CALLGRIND_START_INSTRUMENTATION;
        for (int i = 0; i * in_chunk < drafts; i++) {
            send_drafts(walk, uuid, i + 1, batch * drafts + i * in_chunk,
                        in_chunk);
        }
        if (is_counted)
            CALLGRIND_STOP_INSTRUMENTATION;
        bench_seal(&walk->bench, uuid, drafts / in_chunk, drafts);
        forget_answers(&walk->bench);
    }
}

static void
walk_accept(struct walk *walk)
{
    bench_start(&walk->bench);
    submit(walk, 1, true);
    walk->units = DRAFTS;
}

/* Makes one message of what the worker has said of its calls, and packs replies,
 * as sheaf-worker does. What else it has said comes before it. */
static void
fold_calls(struct bench *bench, struct fold *fold)
{
    struct link_peer peer = { 0 };
    struct buf head = { 0 };
    size_t kept = 0;

    buf_reset(&fold->started);
    buf_reset(&fold->results);
    buf_reset(&fold->body);
    fold->count = 0;
    for (size_t i = 0; i < bench->mail_count; i++) {
        struct mail mail = bench->mails[i];

        if (fold_takes(buf_slice(&mail.head))) {
            peer = mail.peer;
            fold_add(fold, buf_slice(&mail.head), buf_slice(&mail.body));
        } else {
            bench->mails[i] = bench->mails[kept];
            bench->mails[kept++] = mail;
        }
    }
    bench->mail_count = kept;
    if (fold->count > 0) {
        fold_print(fold, &head);
        bench_post(bench, SIDE_WORKERS, &peer, buf_slice(&head),
                   buf_slice(&fold->body));
    }
    buf_fini(&head);
}

static void
answer(struct walk *walk, struct hand *hand, struct slip *slip)
{
    struct buf reply = { 0 };
    struct slice text;
    char *copy;

    payload_reply(walk->payload, walk->units, ANSWER_BYTES, &reply, &text);
    copy = mem_dup(text.data, text.bytes);
    hand_answer(hand, slip, copy);
    free(copy);
    buf_fini(&reply);
}

/* A worker with the usual slots takes all there is and answers it. */
static void
work(struct walk *walk, int batches, bool is_counted)
{
    struct bench *bench = &walk->bench;
    struct fold fold = { .packer = packer_new() };
    struct hand *hand;

    packer_set_dictionary(fold.packer, PACK_DICTIONARY);
    bench_start(&walk->bench);
    submit(walk, batches, false);
    bench_advance(bench, bench->conf.group_window_ms);
    if (is_counted)
        CALLGRIND_START_INSTRUMENTATION;
    hand = hand_new(bench, (uint32_t)bench->conf.slots_max);
    while (walk->units < DRAFTS) {
        struct slip *slip;
        long before = walk->units;

        fold_calls(bench, &fold);
        bench_run(bench);
        hand_start(hand);
        while ((slip = hand_slip(hand, SLIP_RUNNING, 0))) {
            answer(walk, hand, slip);
            walk->units++;
        }
        if (walk->units == before)
            log_fatal("event=path_failed what=work error=\"nothing leased\"");
    }
    fold_calls(bench, &fold);
    bench_run(bench);
    if (is_counted)
        CALLGRIND_STOP_INSTRUMENTATION;
    packer_free(fold.packer);
    fold_fini(&fold);
}

static void
walk_one_batch(struct walk *walk)
{
    work(walk, 1, true);
}

static void
walk_batches(struct walk *walk)
{
    work(walk, BATCHES_MANY, true);
}

static void
walk_read(struct walk *walk)
{
    int64_t after = 0, count;

    work(walk, 1, false);
    walk->units = 0;
    CALLGRIND_START_INSTRUMENTATION;
    do {
        const cJSON *head =
            bench_ask(&walk->bench, NULL, "'verb':'export','after':%lld",
                      (long long)after);

        after = at_int(head, "cursor");
        count = at_int(head, "count");
        walk->units += count;
    } while (count > 0);
    CALLGRIND_STOP_INSTRUMENTATION;
    if (walk->units != DRAFTS)
        log_fatal("event=path_failed what=read error=\"not all was read\"");
}

/* ---- the whole ---- */

struct path {
    const char *name;
    bool is_lmdb;
    const char *unit;
    const char *counted;
    void (*walk)(struct walk *);
};

#define PATH_ROW(name, is_lmdb, unit, counted, walk) \
    { name, is_lmdb, unit, counted, walk },
static const struct path paths[] = { PATH_LIST(PATH_ROW) };
#undef PATH_ROW

#define PATH_COUNT (sizeof(paths) / sizeof(paths[0]))

static void
use_lmdb(struct walk *walk)
{
    static const unsigned char uuid[STORE_UUID_BYTES] = "the counted one";
    struct bench *bench = &walk->bench;
    struct err err = { 0 };

    if (mkdir(walk->dir, 0700) < 0)
        log_fatal("event=no_directory dir=%s error=\"%s\"", walk->dir,
                  strerror(errno));
    store_close(bench->store);
    bench->store = store_open(walk->dir, STORE_BYTES, uuid, &err);
    if (!bench->store)
        log_fatal("event=no_store error=\"%s\"", err.msg);
}

static int
walk_path(const struct path *path, const char *dir)
{
    struct walk walk = { .dir = dir };

    bench_init(&walk.bench, BENCH_STORE_MAX);
    walk.payload = payload_new(NULL);
    if (path->is_lmdb)
        use_lmdb(&walk);
    path->walk(&walk);
    printf("%ld\n", walk.units);
    bench_fini(&walk.bench);
    payload_free(walk.payload);
    return 0;
}

int
main(int argc, char **argv)
{
    if (argc == 1) {
        for (size_t i = 0; i < PATH_COUNT; i++) {
            printf("%s %s %s\n", paths[i].name, paths[i].unit,
                   paths[i].counted);
        }
        return 0;
    }
    for (size_t i = 0; i < PATH_COUNT && argc == 3; i++) {
        if (strcmp(paths[i].name, argv[1]) == 0)
            return walk_path(&paths[i], argv[2]);
    }
    (void)fprintf(stderr, "usage: paths [PATH DIR]\n");
    return 2;
}
