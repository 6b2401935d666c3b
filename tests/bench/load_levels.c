/* SPDX-License-Identifier: MIT */
#include "tests/bench/load_levels.h"

#include <stdio.h>

#include "queue/alerts.h"

#define PERCENT 100.0

enum verdict { HELD, MISSED, NOT_JUDGED };

struct level {
    const char *name;
    int64_t part, whole;
    double limit; /* percent */
    bool is_floor;
    bool needs_samples;
};

#define LEVEL_COUNT 6

/* ---- what the broker counted ---- */

static int64_t
number_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    return cJSON_IsNumber(item) ? (int64_t)item->valuedouble : 0;
}

/* A histogram's counts; the last number is the sum of the figures. */
static int64_t
histogram_count(const cJSON *list)
{
    int64_t count = 0;
    const cJSON *item;

    cJSON_ArrayForEach(item, list)
    {
        if (item->next)
            count += (int64_t)item->valuedouble;
    }
    return count;
}

/* The classes are counted as the alerts do it. */
static void
count_upstream(const cJSON *upstream, struct broker_counts *counts)
{
    static const char *const bad[] = { "retryable", "uncertain", "stop",
                                       "permanent", "lost" };
    static const char *const good[] = { "ok", "truncated", "refused" };
    const cJSON *classes =
        cJSON_GetObjectItemCaseSensitive(upstream, "classes");
    const cJSON *item;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        counts->errors += number_of(classes, bad[i]);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        counts->calls += number_of(classes, good[i]);
    cJSON_ArrayForEach(item,
                       cJSON_GetObjectItemCaseSensitive(upstream, "durations"))
        counts->timed += histogram_count(item);
}

static void
read_counts(const cJSON *stats, struct broker_counts *counts)
{
    const cJSON *item;

    *counts = (struct broker_counts){
        .uptime_ms = number_of(stats, "uptime_ms"),
        .above = { number_of(stats, "calls_above_t1"),
                   number_of(stats, "calls_above_t2"),
                   number_of(stats, "calls_above_t3"),
                   number_of(stats, "calls_above_t4") },
    };
    cJSON_ArrayForEach(item,
                       cJSON_GetObjectItemCaseSensitive(stats, "upstreams"))
        count_upstream(item, counts);
    counts->calls += counts->errors;
}

void
levels_note(struct levels *levels, const cJSON *stats)
{
    struct broker_counts now, *sum = &levels->sum, *seen = &levels->seen;

    read_counts(stats, &now);
    if (!levels->has_seen)
        *seen = now;
    if (now.uptime_ms < seen->uptime_ms)
        *seen = (struct broker_counts){ 0 }; /* another broker began anew */
    sum->calls += now.calls - seen->calls;
    sum->errors += now.errors - seen->errors;
    sum->timed += now.timed - seen->timed;
    for (size_t i = 0; i < STAGE_COUNT; i++)
        sum->above[i] += now.above[i] - seen->above[i];
    *seen = now;
    levels->has_seen = true;
}

/* ---- the verdict ---- */

static void
make_levels(const struct levels *levels, const struct tally *tally,
            struct level list[LEVEL_COUNT])
{
    const struct broker_counts *sum = &levels->sum;
    const struct conf *conf = levels->conf;

    list[0] = (struct level){ "hit_rate",
                              tally->reused,
                              tally->accepted,
                              (double)conf->alert_hit_percent,
                              true,
                              true };
    list[1] = (struct level){ "error_rate", sum->errors,
                              sum->calls,   (double)conf->alert_error_percent,
                              false,        true };
    list[2] = (struct level){ "latency_p50",  sum->above[1], sum->timed,
                              ALERT_SLOW_P50, false,         true };
    list[3] = (struct level){ "latency_p95",  sum->above[2], sum->timed,
                              ALERT_SLOW_P95, false,         true };
    list[4] =
        (struct level){ "fallbacks",     tally_fallbacks(tally),
                        tally->answered, (double)conf->alert_error_percent,
                        false,           true };
    list[5] = (struct level){
        "answered", tally->answered, tally->submitted, PERCENT, true, false
    };
}

static double
value_of(const struct level *level)
{
    return level->whole > 0
               ? PERCENT * (double)level->part / (double)level->whole
               : 0;
}

static enum verdict
judge(const struct levels *levels, const struct level *level)
{
    double value = value_of(level);

    if (level->needs_samples && level->whole < levels->conf->alert_samples_min)
        return NOT_JUDGED;
    if (level->is_floor)
        return value < level->limit ? MISSED : HELD;
    return value > level->limit ? MISSED : HELD;
}

static void
print_stages(const struct levels *levels)
{
    const struct conf *conf = levels->conf;
    const int64_t bounds[STAGE_COUNT] = { conf->t1_ms, conf->t2_ms, conf->t3_ms,
                                          conf->t4_ms };

    printf("calls            %lld, %lld failed; of %lld whose time is known:",
           (long long)levels->sum.calls, (long long)levels->sum.errors,
           (long long)levels->sum.timed);
    for (size_t i = 0; i < STAGE_COUNT; i++) {
        printf("%s above t%zu (%lld ms) %lld", i ? "," : "", i + 1,
               (long long)bounds[i], (long long)levels->sum.above[i]);
    }
    printf("\n");
}

bool
levels_print(const struct levels *levels, const struct tally *tally)
{
    static const char *const words[] = {
        [HELD] = "held", [MISSED] = "MISSED", [NOT_JUDGED] = "too few to judge"
    };
    struct level list[LEVEL_COUNT];
    bool is_good = true;

    make_levels(levels, tally, list);
    print_stages(levels);
    for (size_t i = 0; i < LEVEL_COUNT; i++) {
        enum verdict verdict = judge(levels, &list[i]);

        printf("%-16s %6.2f %% of %lld, %s %.0f %%: %s\n", list[i].name,
               value_of(&list[i]), (long long)list[i].whole,
               list[i].is_floor ? "at least" : "at most", list[i].limit,
               words[verdict]);
        is_good = is_good && verdict != MISSED;
    }
    printf("verdict          %s\n", is_good ? "the service levels are met"
                                            : "the service levels are NOT met");
    return is_good;
}

bool
levels_add_json(const struct levels *levels, const struct tally *tally,
                cJSON *object)
{
    struct level list[LEVEL_COUNT];
    cJSON *calls = cJSON_AddObjectToObject(object, "calls");
    cJSON *array = cJSON_AddArrayToObject(object, "levels");
    bool is_good = true;
    char name[16];

    make_levels(levels, tally, list);
    cJSON_AddNumberToObject(calls, "count", (double)levels->sum.calls);
    cJSON_AddNumberToObject(calls, "failed", (double)levels->sum.errors);
    cJSON_AddNumberToObject(calls, "timed", (double)levels->sum.timed);
    for (size_t i = 0; i < STAGE_COUNT; i++) {
        (void)snprintf(name, sizeof(name), "above_t%zu", i + 1);
        cJSON_AddNumberToObject(calls, name, (double)levels->sum.above[i]);
    }
    for (size_t i = 0; i < LEVEL_COUNT; i++) {
        enum verdict verdict = judge(levels, &list[i]);
        cJSON *item = cJSON_CreateObject();

        cJSON_AddStringToObject(item, "level", list[i].name);
        cJSON_AddNumberToObject(item, "percent", value_of(&list[i]));
        cJSON_AddNumberToObject(item, "limit", list[i].limit);
        cJSON_AddNumberToObject(item, "samples", (double)list[i].whole);
        if (verdict == NOT_JUDGED)
            cJSON_AddNullToObject(item, "held");
        else
            cJSON_AddBoolToObject(item, "held", verdict == HELD);
        cJSON_AddItemToArray(array, item);
        is_good = is_good && verdict != MISSED;
    }
    cJSON_AddBoolToObject(object, "met", is_good);
    return is_good;
}
