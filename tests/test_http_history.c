/* SPDX-License-Identifier: MIT */
#include "submit/http_history.h"

#include <criterion/criterion.h>
#include <string.h>

static struct http_history *history;
static struct buf out;

static void
set_up(void)
{
    history = http_history_new();
}

static void
tear_down(void)
{
    http_history_free(history);
    buf_fini(&out);
}

static void
add(const char *stats_text, int64_t wall_ms)
{
    cJSON *stats = cJSON_Parse(stats_text);

    cr_assert_not_null(stats);
    http_history_add(history, stats, wall_ms);
    cJSON_Delete(stats);
}

/* A figure of a row of what is written behind a number; NULL: null. */
static const cJSON *
figure(cJSON *written, int row, const char *column)
{
    const cJSON *columns = cJSON_GetObjectItem(written, "columns");
    const cJSON *rows = cJSON_GetObjectItem(written, "rows");
    int at = 0;

    while (at < cJSON_GetArraySize(columns) &&
           strcmp(cJSON_GetArrayItem(columns, at)->valuestring, column) != 0)
        at++;
    cr_assert_lt(row, cJSON_GetArraySize(rows), "row %d", row);
    cr_assert_lt(at, cJSON_GetArraySize(columns), "%s", column);
    return cJSON_GetArrayItem(cJSON_GetArrayItem(rows, row), at);
}

static cJSON *
written(uint64_t after)
{
    cJSON *tree;

    buf_reset(&out);
    http_history_write(history, after, &out);
    tree = cJSON_Parse(out.data);
    cr_assert_not_null(tree, "%s", out.data);
    return tree;
}

Test(http_history, sums_over_upstreams_and_shows_the_slowest, .init = set_up,
     .fini = tear_down)
{
    cJSON *tree;

    add("{\"uptime_ms\":5000,\"calls\":7,\"drafts_accepted\":9,"
        "\"drafts_joined\":1,\"cache_memory_hits\":2,\"cache_store_hits\":3,"
        "\"requests_ready\":4,\"requests_delayed\":5,\"upstreams\":["
        "{\"p50_ms\":90,\"p95_ms\":100,\"prompt_tokens\":10,\"cost_usd\":0.25,"
        "\"in_flight\":1},"
        "{\"p50_ms\":80,\"p95_ms\":200,\"prompt_tokens\":20,\"cost_usd\":0.5,"
        "\"in_flight\":2},{\"name\":\"local\",\"prompt_tokens\":1}]}",
        1700000000123);
    tree = written(0);
    cr_expect_eq(figure(tree, 0, "at")->valuedouble, 1700000000123.0);
    cr_expect_eq(figure(tree, 0, "p50_ms")->valuedouble, 80);
    cr_expect_eq(figure(tree, 0, "p95_ms")->valuedouble, 200);
    cr_expect_eq(figure(tree, 0, "reused")->valuedouble, 6);
    cr_expect_eq(figure(tree, 0, "waiting")->valuedouble, 9);
    cr_expect_eq(figure(tree, 0, "in_flight")->valuedouble, 3);
    cr_expect_eq(figure(tree, 0, "prompt_tokens")->valuedouble, 31);
    cr_expect_eq(figure(tree, 0, "cost_usd")->valuedouble, 0.75);
    cJSON_Delete(tree);
}

Test(http_history, leaves_latencies_out_while_nothing_calls, .init = set_up,
     .fini = tear_down)
{
    static const struct {
        const char *name, *stats;
        bool has_latency;
    } rows[] = {
        { "the first", "{\"calls\":5,\"upstreams\":[{\"p95_ms\":9}]}", true },
        { "idle", "{\"calls\":5,\"upstreams\":[{\"p95_ms\":9}]}", false },
        { "in flight",
          "{\"calls\":5,\"upstreams\":[{\"p95_ms\":9,\"in_flight\":1}]}",
          true },
        { "a call more", "{\"calls\":6,\"upstreams\":[{\"p95_ms\":9}]}", true },
        { "none ever", "{\"calls\":7,\"upstreams\":[{}]}", false },
    };
    cJSON *tree;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        add(rows[i].stats, (int64_t)i);
    tree = written(0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_expect_eq(cJSON_IsNumber(figure(tree, (int)i, "p95_ms")),
                     rows[i].has_latency, "%s", rows[i].name);
    cJSON_Delete(tree);
}

Test(http_history, forgets_the_oldest_and_gives_what_is_new, .init = set_up,
     .fini = tear_down)
{
    const cJSON *rows;
    cJSON *tree;

    for (int64_t i = 1; i <= HTTP_HISTORY_MAX + 3; i++)
        add("{}", i);
    cr_expect_eq(http_history_last(history), HTTP_HISTORY_MAX + 3);
    tree = written(0);
    rows = cJSON_GetObjectItem(tree, "rows");
    cr_expect_eq(cJSON_GetArraySize(rows), HTTP_HISTORY_MAX);
    cr_expect_eq(figure(tree, 0, "at")->valuedouble, 4);
    cJSON_Delete(tree);
    tree = written(HTTP_HISTORY_MAX + 1);
    rows = cJSON_GetObjectItem(tree, "rows");
    cr_expect_eq(cJSON_GetArraySize(rows), 2);
    cr_expect_eq(figure(tree, 1, "at")->valuedouble, HTTP_HISTORY_MAX + 3);
    cJSON_Delete(tree);
    tree = written(HTTP_HISTORY_MAX + 3);
    cr_expect_eq(cJSON_GetArraySize(cJSON_GetObjectItem(tree, "rows")), 0);
    cJSON_Delete(tree);
}
