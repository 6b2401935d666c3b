/*
 * churn.c - how large the store's file becomes while work comes and goes
 *
 *   churn [--drafts N] [--minutes M] [--kept-minutes K] [--table FILE]
 *
 * Batches are submitted to the real core over LMDB, in simulated time, so that
 * about N drafts are in the store (10,000): they are answered, kept for K
 * minutes (60) after their end, and purged; answers serve the cache for twice as
 * long. Texts and answers have 200 bytes to 50 KB, all magnitudes alike. One
 * batch in 16 is cancelled on its way, one draft in 16 repeats another. Twenty
 * calls at a time take 1 to 10 s each.
 *
 * For M minutes (600) it prints, and writes to the table: the time, the drafts,
 * the live bytes (keys and values of all rows there are), the bytes of the pages
 * in use, and the size of the file. Exit code 1 if the file is larger than twice
 * the live data at any time after the plateau is reached: when the first answers
 * have left the cache.
 *
 * Drafts are printable characters by chance, which are not worth packing: packed,
 * those of a few letters would be nothing, and the file what is not theirs.
 */
/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "store/table.h"
#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"
#include "tests/scratch.h"

#define SLOTS            20
#define MINUTE_MS        INT64_C(60000)
#define CALL_MS_MIN      1000
#define CALL_MS_MAX      10000
#define PART_BYTES_MIN   200
#define PART_BYTES_MAX   50000
#define NOISE_BYTES      (1 << 20)
#define BATCH_DRAFTS_MIN 20
#define BATCH_DRAFTS_MAX 200
#define ONE_IN           16 /* batches cancelled, drafts repeated */
#define RATIO_MAX        2
#define SAMPLES_A_KEPT   6 /* in the time that results are kept */
#define KEY_BYTES_MAX    512
#define STORE_BYTES      (UINT64_C(16) << 30)
#define ENDS_FIRST       1024

struct options {
    int64_t drafts, minutes, kept_minutes;
    const char *table;
};

struct sample {
    int64_t drafts;
    int64_t live, used, file; /* bytes */
};

struct churn {
    const struct options *options;
    struct bench bench;
    struct scratch scratch;
    struct hand *hand;
    uint64_t chance;
    int64_t start_ms;
    int64_t submitted; /* drafts so far */
    int batches;
    int64_t *ends_ms; /* of calls, by request; 0: it has not begun */
    size_t end_count;
    struct buf filler; /* of answers, which get shorter */
    struct buf noise;  /* of drafts, which do not */
    double worst;
    FILE *table; /* NULL: none is wanted */
};

/* ---- chance ---- */

/* The same numbers on every machine. */
static uint64_t
draw(struct churn *churn, uint64_t most)
{
    uint64_t x = churn->chance;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    churn->chance = x;
    return x % (most + 1);
}

/* A size of any magnitude: as many below 3 KB as above. */
static size_t
draw_bytes(struct churn *churn)
{
    size_t low = PART_BYTES_MIN, high;

    for (uint64_t doublings = draw(churn, 7); doublings > 0; doublings--)
        low *= 2;
    high = low * 2 < PART_BYTES_MAX ? low * 2 : PART_BYTES_MAX;
    return low + draw(churn, high - low);
}

/* ---- clients ---- */

static void
add_draft(struct churn *churn, struct buf *lines, int draft)
{
    size_t bytes = draw_bytes(churn), from = draw(churn, NOISE_BYTES - bytes);
    int64_t number = churn->submitted + draft;

    if (draw(churn, ONE_IN - 1) == 0) { /* of a kind of its own: 200 texts */
        number = -(int64_t)draw(churn, 200);
        bytes = PART_BYTES_MIN;
        from = 0;
    }
    buf_addf(lines, "{'id':'%d','text':'%lld ", draft, (long long)number);
    buf_add(lines, churn->noise.data + from, bytes);
    buf_add_str(lines, "'}\n");
}

/* What was said and called is of no use any more. */
static void
forget_talk(struct bench *bench)
{
    for (size_t i = 0; i < bench->answer_count; i++) {
        cJSON_Delete(bench->answers[i].head);
        buf_fini(&bench->answers[i].body);
    }
    bench->answer_count = 0;
    for (size_t i = 0; i < bench->call_count; i++)
        free(bench->calls[i]);
    bench->call_count = 0;
}

static void
send_chunk(struct churn *churn, const char *uuid, int n, struct buf *lines)
{
    const cJSON *head = bench_chunk(&churn->bench, uuid, n, lines->data);

    if (strcmp(at_str(head, "verb"), "stored") != 0) {
        (void)fprintf(stderr, "churn: a chunk was refused: %s\n",
                      at_str(head, "message"));
        exit(1);
    }
    buf_reset(lines);
}

static void
submit(struct churn *churn)
{
    int drafts = (int)(BATCH_DRAFTS_MIN +
                       draw(churn, BATCH_DRAFTS_MAX - BATCH_DRAFTS_MIN));
    size_t room = (size_t)churn->bench.conf.chunk_bytes_max;
    char key[24], uuid[BENCH_UUID_BYTES];
    struct buf lines = { 0 };
    int chunks = 0;

    (void)snprintf(key, sizeof(key), "%d", ++churn->batches);
    bench_open(&churn->bench, key, NULL, "", uuid);
    for (int i = 0; i < drafts; i++) {
        add_draft(churn, &lines, i);
        if (lines.bytes + PART_BYTES_MAX + PART_BYTES_MIN > room)
            send_chunk(churn, uuid, ++chunks, &lines);
    }
    if (lines.bytes)
        send_chunk(churn, uuid, ++chunks, &lines);
    bench_seal(&churn->bench, uuid, chunks, drafts);
    churn->submitted += drafts;
    if (draw(churn, ONE_IN - 1) == 0)
        bench_ask(&churn->bench, NULL, "'verb':'cancel','batch':'%s'", uuid);
    buf_fini(&lines);
    forget_talk(&churn->bench);
}

/* When the next batch comes, for the rate that keeps so many drafts. */
static int64_t
submit_due(struct churn *churn)
{
    const struct options *options = churn->options;
    int64_t ms_for_all = options->kept_minutes * MINUTE_MS, due_ms;

    for (;;) {
        due_ms =
            churn->start_ms + churn->submitted * ms_for_all / options->drafts;
        if (due_ms > churn->bench.now_ms)
            return due_ms;
        submit(churn);
    }
}

/* ---- calls ---- */

static int64_t *
end_of(struct churn *churn, const struct slip *slip)
{
    while (churn->end_count <= (size_t)slip->request) {
        size_t count = churn->end_count ? churn->end_count * 2 : ENDS_FIRST;

        churn->ends_ms =
            mem_grow(churn->ends_ms, count, sizeof(churn->ends_ms[0]));
        memset(churn->ends_ms + churn->end_count, 0,
               (count - churn->end_count) * sizeof(churn->ends_ms[0]));
        churn->end_count = count;
    }
    return &churn->ends_ms[slip->request];
}

/* Starts what can be; returns when the next call ends. */
static int64_t
start_calls(struct churn *churn)
{
    int64_t next_ms = INT64_MAX;
    struct slip *slip;

    hand_start(churn->hand);
    for (size_t i = 0; (slip = hand_slip(churn->hand, SLIP_RUNNING, i)); i++) {
        int64_t *end_ms = end_of(churn, slip);

        if (*end_ms == 0) {
            *end_ms = churn->bench.now_ms + CALL_MS_MIN +
                      (int64_t)draw(churn, CALL_MS_MAX - CALL_MS_MIN);
        }
        if (*end_ms < next_ms)
            next_ms = *end_ms;
    }
    return next_ms;
}

static void
end_calls(struct churn *churn)
{
    struct slip *slip;
    size_t i = 0;

    while ((slip = hand_slip(churn->hand, SLIP_RUNNING, i))) {
        struct buf text = { 0 };

        if (*end_of(churn, slip) > churn->bench.now_ms) {
            i++;
            continue;
        }
        buf_add(&text, churn->filler.data, draw_bytes(churn));
        hand_answer(churn->hand, slip, text.data);
        buf_fini(&text);
    }
    forget_talk(&churn->bench);
}

/* ---- measuring ---- */

/* Keys and values of all rows, as they are stored. */
static int64_t
live_bytes(struct store *store, int64_t by_table[TABLE_COUNT])
{
    const struct engine_ops *ops = store->engine->ops;
    char key[KEY_BYTES_MAX + 1];
    struct slice at, value;
    int64_t sum = 0;

    for (enum table table = 0; table < TABLE_COUNT; table++) {
        size_t bytes = 0;

        by_table[table] = 0;
        while (ops->seek(store->engine, table, (struct slice){ key, bytes },
                         &at, &value) == 0) {
            by_table[table] += (int64_t)(at.bytes + value.bytes);
            memcpy(key, at.data, at.bytes);
            key[at.bytes] = '\0'; /* the next key at the earliest */
            bytes = at.bytes + 1;
        }
        sum += by_table[table];
    }
    return sum;
}

static int64_t
file_bytes(const struct churn *churn)
{
    char *path = scratch_path(&churn->scratch, "store/data.mdb");
    struct stat st = { 0 };

    if (stat(path, &st) < 0)
        perror(path);
    free(path);
    return (int64_t)st.st_size;
}

static struct sample
measure(struct churn *churn)
{
    struct store *store = churn->bench.store;
    int64_t by_table[TABLE_COUNT];
    struct store_usage usage;
    struct sample sample;
    struct err err = { 0 };

    if (store_begin(store, churn->bench.now_ms, &err) < 0) {
        (void)fprintf(stderr, "churn: %s\n", err.msg);
        exit(1);
    }
    usage = store_usage(store);
    sample = (struct sample){ .drafts = (int64_t)usage.drafts,
                              .live = live_bytes(store, by_table),
                              .used = (int64_t)usage.bytes,
                              .file = file_bytes(churn) };
    store_abort(store);
    return sample;
}

static void
take_sample(struct churn *churn)
{
    int64_t minutes = (churn->bench.now_ms - churn->start_ms) / MINUTE_MS;
    struct sample sample = measure(churn);
    double ratio = (double)sample.file / (double)sample.live;
    bool is_plateau = minutes >= churn->options->kept_minutes * 5 / 2;

    printf("%4lld min %6lld drafts  live %7.1f  pages %7.1f  file %7.1f MiB  "
           "%.2f%s\n",
           (long long)minutes, (long long)sample.drafts,
           (double)sample.live / 1048576, (double)sample.used / 1048576,
           (double)sample.file / 1048576, ratio, is_plateau ? "" : " (grows)");
    (void)fflush(stdout);
    if (churn->table) {
        (void)fprintf(churn->table, "%.3f %lld %lld %lld %lld\n",
                      (double)minutes / 60, (long long)sample.drafts,
                      (long long)sample.live, (long long)sample.used,
                      (long long)sample.file);
    }
    if (is_plateau && ratio > churn->worst)
        churn->worst = ratio;
}

/* ---- the whole ---- */

static void
set_up(struct churn *churn)
{
    static const unsigned char uuid[STORE_UUID_BYTES] = "the churned one";
    struct bench *bench = &churn->bench;
    struct err err = { 0 };
    char *dir;

    churn->scratch = scratch_make();
    dir = scratch_path(&churn->scratch, "store");
    if (mkdir(dir, 0700) < 0)
        perror(dir);
    bench_init(bench, BENCH_STORE_MAX);
    store_close(bench->store);
    bench->store = store_open(dir, STORE_BYTES, uuid, &err);
    free(dir);
    if (!bench->store) {
        (void)fprintf(stderr, "churn: %s\n", err.msg);
        exit(1);
    }
    bench->conf.slots_max = SLOTS;
    bench->conf.results_ttl_ms = churn->options->kept_minutes * MINUTE_MS;
    bench->conf.cache_ttl_ms = 2 * bench->conf.results_ttl_ms;
    bench_start(bench);
    churn->hand = hand_new(bench, SLOTS);
    churn->start_ms = bench->now_ms;
    churn->chance = UINT64_C(0x9E3779B97F4A7C15);
    for (int i = 0; i < PART_BYTES_MAX; i++)
        buf_add_char(&churn->filler, (char)('a' + i % 26));
    for (int i = 0; i < NOISE_BYTES; i++) {
        char c = (char)('(' + draw(churn, '~' - '('));

        buf_add_char(&churn->noise, c == '\\' ? '~' : c);
    }
}

static void
tear_down(struct churn *churn)
{
    free(churn->ends_ms);
    buf_fini(&churn->filler);
    buf_fini(&churn->noise);
    bench_fini(&churn->bench);
    scratch_remove(&churn->scratch);
}

static void
run(struct churn *churn)
{
    const struct options *options = churn->options;
    int64_t every_ms = options->kept_minutes * MINUTE_MS / SAMPLES_A_KEPT;
    int64_t end_ms = churn->start_ms + options->minutes * MINUTE_MS;
    int64_t sample_ms = churn->start_ms + every_ms;

    while (churn->bench.now_ms < end_ms) {
        int64_t next_ms = submit_due(churn), call_ms;

        bench_run(&churn->bench);
        call_ms = start_calls(churn);
        next_ms = call_ms < next_ms ? call_ms : next_ms;
        next_ms = sample_ms < next_ms ? sample_ms : next_ms;
        bench_advance(&churn->bench, next_ms - churn->bench.now_ms);
        end_calls(churn);
        if (churn->bench.now_ms >= sample_ms) {
            take_sample(churn);
            sample_ms += every_ms;
        }
    }
}

static int
parse(struct options *options, int argc, char **argv)
{
    static const struct option names[] = {
        { "drafts", required_argument, NULL, 'd' },
        { "minutes", required_argument, NULL, 'm' },
        { "kept-minutes", required_argument, NULL, 'k' },
        { "table", required_argument, NULL, 't' },
        { NULL, 0, NULL, 0 },
    };
    int key;

    while ((key = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (key) {
        case 'd':
            options->drafts = strtol(optarg, NULL, 10);
            break;
        case 'm':
            options->minutes = strtol(optarg, NULL, 10);
            break;
        case 'k':
            options->kept_minutes = strtol(optarg, NULL, 10);
            break;
        case 't':
            options->table = optarg;
            break;
        default:
            return -1;
        }
    }
    return optind == argc && options->drafts > 0 && options->minutes > 0 &&
                   options->kept_minutes > 0
               ? 0
               : -1;
}

int
main(int argc, char **argv)
{
    struct options options = { .drafts = 10000,
                               .minutes = 600,
                               .kept_minutes = 60 };
    struct churn *churn = mem_zalloc(1, sizeof(*churn));
    bool is_well;

    if (parse(&options, argc, argv) < 0) {
        (void)fprintf(stderr, "usage: churn [--drafts N] [--minutes M] "
                              "[--kept-minutes K] [--table FILE]\n");
        return 2;
    }
    churn->options = &options;
    if (options.table && !(churn->table = fopen(options.table, "w"))) {
        perror(options.table);
        return 1;
    }
    set_up(churn);
    run(churn);
    is_well = churn->worst > 0 && churn->worst <= RATIO_MAX;
    printf("the file is at most %.2f times the live data%s\n", churn->worst,
           is_well ? "" : ": too much");
    if (churn->table && fclose(churn->table) != 0) {
        perror(options.table);
        is_well = false;
    }
    tear_down(churn);
    free(churn);
    return is_well ? 0 : 1;
}
