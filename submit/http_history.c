/* SPDX-License-Identifier: MIT */
#include "submit/http_history.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define COLUMN_ENUM(name) COLUMN_##name,
enum column { HTTP_HISTORY_COLUMNS(COLUMN_ENUM) COLUMN_COUNT };
#undef COLUMN_ENUM

struct sample {
    double values[COLUMN_COUNT]; /* NAN: null */
};

struct http_history {
    struct sample ring[HTTP_HISTORY_MAX];
    uint64_t last; /* sample n stands at (n - 1) % HTTP_HISTORY_MAX */
};

struct http_history *
http_history_new(void)
{
    return mem_zalloc(1, sizeof(struct http_history));
}

void
http_history_free(struct http_history *history)
{
    free(history);
}

uint64_t
http_history_last(const struct http_history *history)
{
    return history->last;
}

static struct sample *
sample_at(const struct http_history *history, uint64_t number)
{
    return (struct sample *)&history->ring[(number - 1) % HTTP_HISTORY_MAX];
}

/* A number among the members, or what stands for its absence. */
static double
number(const cJSON *object, const char *name, double absent)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    return cJSON_IsNumber(item) ? item->valuedouble : absent;
}

static void
add_upstreams(const cJSON *stats, struct sample *sample)
{
    const cJSON *upstreams =
        cJSON_GetObjectItemCaseSensitive(stats, "upstreams");
    const cJSON *item;

    cJSON_ArrayForEach(item, upstreams)
    {
        double p95_ms = number(item, "p95_ms", NAN);

        sample->values[COLUMN_prompt_tokens] +=
            number(item, "prompt_tokens", 0);
        sample->values[COLUMN_completion_tokens] +=
            number(item, "completion_tokens", 0);
        sample->values[COLUMN_cost_usd] += number(item, "cost_usd", 0);
        sample->values[COLUMN_in_flight] += number(item, "in_flight", 0);
        if (!isnan(p95_ms) && !(sample->values[COLUMN_p95_ms] >= p95_ms)) {
            sample->values[COLUMN_p50_ms] = number(item, "p50_ms", NAN);
            sample->values[COLUMN_p95_ms] = p95_ms;
        }
    }
}

/* The broker tells the latencies of calls that are long over, too. */
static bool
is_idle(const struct http_history *history, const struct sample *sample)
{
    return sample->values[COLUMN_in_flight] == 0 && history->last > 0 &&
           sample_at(history, history->last)->values[COLUMN_calls] ==
               sample->values[COLUMN_calls];
}

void
http_history_add(struct http_history *history, const cJSON *stats,
                 int64_t wall_ms)
{
    struct sample sample = { 0 };

    sample.values[COLUMN_at] = (double)wall_ms;
    sample.values[COLUMN_uptime_ms] = number(stats, "uptime_ms", 0);
    sample.values[COLUMN_p50_ms] = sample.values[COLUMN_p95_ms] = NAN;
    sample.values[COLUMN_calls] = number(stats, "calls", 0);
    sample.values[COLUMN_calls_failed] = number(stats, "calls_failed", 0);
    sample.values[COLUMN_drafts] = number(stats, "drafts_accepted", 0);
    sample.values[COLUMN_reused] = number(stats, "drafts_joined", 0) +
                                   number(stats, "cache_memory_hits", 0) +
                                   number(stats, "cache_store_hits", 0);
    sample.values[COLUMN_waiting] = number(stats, "requests_ready", 0) +
                                    number(stats, "requests_delayed", 0);
    add_upstreams(stats, &sample);
    if (is_idle(history, &sample))
        sample.values[COLUMN_p50_ms] = sample.values[COLUMN_p95_ms] = NAN;
    *sample_at(history, ++history->last) = sample;
}

static void
write_row(const struct sample *sample, struct buf *out)
{
    for (int i = 0; i < COLUMN_COUNT; i++) {
        buf_add_char(out, i == 0 ? '[' : ',');
        if (isnan(sample->values[i]))
            buf_add_str(out, "null");
        else
            buf_addf(out, "%.15g", sample->values[i]);
    }
    buf_add_char(out, ']');
}

void
http_history_write(const struct http_history *history, uint64_t after,
                   struct buf *out)
{
    uint64_t oldest =
        history->last > HTTP_HISTORY_MAX ? history->last - HTTP_HISTORY_MAX : 0;
    const char *separator = "";

#define COLUMN_NAME(name) ",\"" #name "\""
    static const char columns[] = HTTP_HISTORY_COLUMNS(COLUMN_NAME);
#undef COLUMN_NAME

    buf_addf(out, "{\"every_ms\":%d,\"max\":%d,\"columns\":[%s],\"rows\":[",
             HTTP_HISTORY_MS, HTTP_HISTORY_MAX, columns + 1);
    for (uint64_t n = (after > oldest ? after : oldest) + 1; n <= history->last;
         n++) {
        buf_add_str(out, separator);
        write_row(sample_at(history, n), out);
        separator = ",";
    }
    buf_add_str(out, "]}");
}
