/* SPDX-License-Identifier: MIT */
#include "submit/metrics.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

static struct buf out;

/* Writes from a text with ' for ". */
static const char *
written(const char *text)
{
    char *json = mem_dup_str(text);
    cJSON *stats;

    for (char *at = json; *at; at++)
        *at = *at == '\'' ? '"' : *at;
    stats = cJSON_Parse(json);
    cr_assert_not_null(stats, "no JSON: %s", json);
    buf_reset(&out);
    cr_assert_eq(metrics_write(stats, &out), 0);
    cJSON_Delete(stats);
    free(json);
    return out.data;
}

static void
expect_line(const char *text, const char *line)
{
    struct buf want = { 0 };

    buf_addf(&want, "\n%s\n", line);
    cr_expect_not_null(strstr(text, want.data), "no line %s in:\n%s", line,
                       text);
    buf_fini(&want);
}

static void
tear_down(void)
{
    buf_fini(&out);
}

Test(metrics, times_are_seconds_and_counters_end_in_total, .fini = tear_down)
{
    const char *text = written("{'version':'1.2.3','protocol':1,"
                               "'store_format':3,'uptime_ms':90500,"
                               "'leases_lost':4,'slots':5}");

    expect_line(text, "sheaf_build_info{version=\"1.2.3\",protocol=\"1\","
                      "store_format=\"3\"} 1");
    expect_line(text, "sheaf_uptime_seconds 90.5");
    expect_line(text, "# TYPE sheaf_leases_lost_total counter");
    expect_line(text, "sheaf_leases_lost_total 4");
    expect_line(text, "sheaf_slots 5");
    cr_expect_null(strstr(text, "sheaf_workers"), "what is not told");
}

Test(metrics, buckets_are_cumulative_and_end_with_all, .fini = tear_down)
{
    const char *text =
        written("{'bounds':{'duration_ms':[100,2500]},'upstreams':[{'name':"
                "'one','durations':{'ok':[3,4,5,61500]}}]}");

    expect_line(text, "sheaf_request_duration_seconds_bucket{upstream=\"one\","
                      "status=\"ok\",le=\"0.1\"} 3");
    expect_line(text, "sheaf_request_duration_seconds_bucket{upstream=\"one\","
                      "status=\"ok\",le=\"2.5\"} 7");
    expect_line(text, "sheaf_request_duration_seconds_bucket{upstream=\"one\","
                      "status=\"ok\",le=\"+Inf\"} 12");
    expect_line(text, "sheaf_request_duration_seconds_sum{upstream=\"one\","
                      "status=\"ok\"} 61.5");
    expect_line(text, "sheaf_request_duration_seconds_count{upstream=\"one\","
                      "status=\"ok\"} 12");
}

Test(metrics, a_histogram_that_does_not_fit_its_bounds_is_left_out,
     .fini = tear_down)
{
    const char *text =
        written("{'bounds':{'duration_ms':[100,2500]},'upstreams':[{'name':"
                "'one','durations':{'ok':[3,4,61500]}}]}");

    cr_expect_null(strstr(text, "_bucket"), "%s", text);
}

Test(metrics, lookups_tell_each_tier_once, .fini = tear_down)
{
    const char *text = written("{'drafts_accepted':100,'drafts_joined':20,"
                               "'cache_memory_hits':7,'cache_store_hits':3}");

    expect_line(text, "sheaf_cache_lookups_total{tier=\"memory\"} 7");
    expect_line(text, "sheaf_cache_lookups_total{tier=\"store\"} 3");
    expect_line(text, "sheaf_cache_lookups_total{tier=\"joined\"} 20");
    expect_line(text, "sheaf_cache_lookups_total{tier=\"none\"} 70");
}

Test(metrics, an_upstream_is_in_one_state, .fini = tear_down)
{
    const char *text =
        written("{'upstreams':[{'name':'one','state':'broken'}]}");

    expect_line(text,
                "sheaf_upstream_state{upstream=\"one\",state=\"broken\"} 1");
    expect_line(text,
                "sheaf_upstream_state{upstream=\"one\",state=\"ready\"} 0");
}

Test(metrics, labels_are_quoted, .fini = tear_down)
{
    const char *text = written("{'upstreams':[{'name':'a\\u0022\\\\b\\nc',"
                               "'in_flight':1}]}");

    expect_line(text, "sheaf_calls_in_flight{upstream=\"a\\\"\\\\b\\nc\"} 1");
}

Test(metrics, large_numbers_stay_exact, .fini = tear_down)
{
    const char *text = written("{'store_bytes':274877906944}");

    expect_line(text, "sheaf_store_used_bytes 274877906944");
}

Test(metrics, what_is_no_object_is_refused, .fini = tear_down)
{
    cJSON *list = cJSON_CreateArray();

    cr_expect_eq(metrics_write(NULL, &out), E_PROTOCOL);
    cr_expect_eq(metrics_write(list, &out), E_PROTOCOL);
    cr_expect_eq(out.bytes, 0);
    cJSON_Delete(list);
}
