/* SPDX-License-Identifier: MIT */
#include "tests/bench/load_tally.h"

#include <stdio.h>
#include <string.h>

#define PERCENT     100.0
#define TWICE_EXACT (INT64_C(2) * SPREAD_EXACT)

static const double percentiles[] = { 50, 90, 95, 99 };
#define PERCENTILE_COUNT (sizeof(percentiles) / sizeof(percentiles[0]))

static const char *const tier_names[TIER_COUNT] = {
#define TIER_NAME(name) [TIER_##name] = #name,
    TIER_LIST(TIER_NAME)
#undef TIER_NAME
};

/* ---- spreads ---- */

/* Each octave above the exact part has as many places as that. */
static size_t
place_of(int64_t ms)
{
    size_t octave = 0;

    if (ms < SPREAD_EXACT)
        return (size_t)ms;
    while (ms >= TWICE_EXACT && octave + 1 < SPREAD_OCTAVES) {
        ms /= 2;
        octave++;
    }
    if (ms >= TWICE_EXACT)
        ms = TWICE_EXACT - 1;
    return (octave + 1) * SPREAD_EXACT + (size_t)(ms - SPREAD_EXACT);
}

/* The longest time of a place. */
static int64_t
longest_of(size_t place)
{
    size_t octave;

    if (place < SPREAD_EXACT)
        return (int64_t)place;
    octave = place / SPREAD_EXACT - 1;
    return ((int64_t)(place % SPREAD_EXACT + SPREAD_EXACT + 1) << octave) - 1;
}

void
spread_add(struct spread *spread, int64_t ms)
{
    if (ms < 0)
        ms = 0;
    spread->counts[place_of(ms)]++;
    spread->count++;
    if (ms > spread->max_ms)
        spread->max_ms = ms;
}

int64_t
spread_percentile(const struct spread *spread, double percent)
{
    double wanted = (double)spread->count * percent / PERCENT;
    uint64_t seen = 0;

    for (size_t i = 0; i < SPREAD_COUNT; i++) {
        seen += spread->counts[i];
        if (seen > 0 && (double)seen >= wanted) {
            int64_t ms = longest_of(i);

            return ms < spread->max_ms ? ms : spread->max_ms;
        }
    }
    return 0;
}

/* ---- counts ---- */

static const char *
text_of(const cJSON *line, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(line, name);

    return cJSON_IsString(item) ? item->valuestring : "";
}

void
tally_result(struct tally *tally, const cJSON *line)
{
    const char *tier = text_of(line, "cache");

    tally->answered++;
    tally->statuses[status_parse(text_of(line, "status"))]++;
    for (size_t i = 0; i < TIER_COUNT; i++)
        tally->tiers[i] += strcmp(tier, tier_names[i]) == 0;
}

int64_t
tally_fallbacks(const struct tally *tally)
{
    return tally->answered - tally->statuses[STATUS_OK];
}

/* ---- telling ---- */

static double
per_second(const struct tally *tally, int64_t count)
{
    return tally->elapsed_ms > 0
               ? (double)count * 1000 / (double)tally->elapsed_ms
               : 0;
}

static double
share(int64_t part, int64_t whole)
{
    return whole > 0 ? PERCENT * (double)part / (double)whole : 0;
}

void
tally_print_progress(const struct tally *tally, int64_t waiting)
{
    (void)fprintf(
        stderr,
        "%6.1f s  submitted %lld  answered %lld  waiting %lld  %.1f/s  "
        "p50 %lld ms  p95 %lld ms  fallbacks %lld  hits %.1f %%\n",
        (double)tally->elapsed_ms / 1000, (long long)tally->submitted,
        (long long)tally->answered, (long long)waiting,
        per_second(tally, tally->answered),
        (long long)spread_percentile(&tally->answer, 50),
        (long long)spread_percentile(&tally->answer, 95),
        (long long)tally_fallbacks(tally),
        share(tally->reused, tally->accepted));
}

static void
print_spread(const char *name, const struct spread *spread)
{
    printf("%-16s", name);
    for (size_t i = 0; i < PERCENTILE_COUNT; i++) {
        printf(" %9lld", (long long)spread_percentile(spread, percentiles[i]));
    }
    printf(" %9lld\n", (long long)spread->max_ms);
}

void
tally_print(const struct tally *tally)
{
    printf("drafts           %lld submitted, %lld accepted, %lld answered, "
           "%lld unanswered, %lld refused\n",
           (long long)tally->submitted, (long long)tally->accepted,
           (long long)tally->answered, (long long)tally->unanswered,
           (long long)(tally->submitted - tally->accepted));
    if (*tally->refusal)
        printf("refused because  %s\n", tally->refusal);
    printf("throughput       %.1f results/s over %.1f s\n",
           per_second(tally, tally->answered),
           (double)tally->elapsed_ms / 1000);
    printf("times, ms       %10s%10s%10s%10s%10s\n", "p50", "p90", "p95", "p99",
           "max");
    print_spread("  submit", &tally->submit);
    print_spread("  answer", &tally->answer);
    printf("answers from    ");
    for (size_t i = 0; i < TIER_COUNT; i++) {
        printf(" %s %lld (%.1f %%)%s", tier_names[i],
               (long long)tally->tiers[i],
               share(tally->tiers[i], tally->answered),
               i + 1 < TIER_COUNT ? "," : "\n");
    }
    printf("statuses        ");
    for (enum status status = STATUS_OK; status < STATUS_COUNT; status++) {
        if (tally->statuses[status] > 0) {
            printf(" %s %lld", status_name(status),
                   (long long)tally->statuses[status]);
        }
    }
    printf("\n");
}

static void
add_spread(cJSON *object, const char *name, const struct spread *spread)
{
    cJSON *item = cJSON_AddObjectToObject(object, name);
    char member[16];

    for (size_t i = 0; i < PERCENTILE_COUNT; i++) {
        (void)snprintf(member, sizeof(member), "p%.0f", percentiles[i]);
        cJSON_AddNumberToObject(
            item, member, (double)spread_percentile(spread, percentiles[i]));
    }
    cJSON_AddNumberToObject(item, "max", (double)spread->max_ms);
}

cJSON *
tally_json(const struct tally *tally)
{
    cJSON *object = cJSON_CreateObject(), *item;
    const struct {
        const char *name;
        int64_t value;
    } counts[] = {
        { "submitted", tally->submitted },
        { "accepted", tally->accepted },
        { "answered", tally->answered },
        { "unanswered", tally->unanswered },
        { "elapsed_ms", tally->elapsed_ms },
    };

    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        cJSON_AddNumberToObject(object, counts[i].name,
                                (double)counts[i].value);
    }
    if (*tally->refusal)
        cJSON_AddStringToObject(object, "refusal", tally->refusal);
    cJSON_AddNumberToObject(object, "results_per_second",
                            per_second(tally, tally->answered));
    item = cJSON_AddObjectToObject(object, "times_ms");
    add_spread(item, "submit", &tally->submit);
    add_spread(item, "answer", &tally->answer);
    item = cJSON_AddObjectToObject(object, "answers_from");
    for (size_t i = 0; i < TIER_COUNT; i++)
        cJSON_AddNumberToObject(item, tier_names[i], (double)tally->tiers[i]);
    item = cJSON_AddObjectToObject(object, "statuses");
    for (enum status status = STATUS_OK; status < STATUS_COUNT; status++) {
        if (tally->statuses[status] > 0) {
            cJSON_AddNumberToObject(item, status_name(status),
                                    (double)tally->statuses[status]);
        }
    }
    return object;
}
