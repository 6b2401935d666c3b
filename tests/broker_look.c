/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/broker_fixture.h"

static const cJSON *
at_path(const cJSON *head, const char *path)
{
    char name[64];
    const cJSON *item = head;
    const char *rest = path;

    while (item && *rest) {
        size_t bytes = strcspn(rest, ".");

        cr_assert_lt(bytes, sizeof(name));
        memcpy(name, rest, bytes);
        name[bytes] = '\0';
        item = cJSON_IsArray(item)
                   ? cJSON_GetArrayItem(item, (int)strtol(name, NULL, 10))
                   : cJSON_GetObjectItemCaseSensitive(item, name);
        rest += bytes + (rest[bytes] == '.');
    }
    if (!item) {
        char *text = head ? cJSON_PrintUnformatted(head) : NULL;

        cr_assert_fail("no %s in %s", path, text ? text : "no answer");
    }
    return item;
}

int64_t
at_int(const cJSON *head, const char *path)
{
    const cJSON *item = at_path(head, path);

    if (cJSON_IsBool(item))
        return cJSON_IsTrue(item);
    cr_assert(cJSON_IsNumber(item), "%s is no number", path);
    return (int64_t)item->valuedouble;
}

const char *
at_str(const cJSON *head, const char *path)
{
    const cJSON *item = at_path(head, path);

    if (cJSON_IsNull(item))
        return "(null)";
    cr_assert(cJSON_IsString(item), "%s is no string", path);
    return item->valuestring;
}

void
expect_error(const cJSON *head, const char *code)
{
    cr_assert_str_eq(at_str(head, "verb"), "error");
    cr_expect_str_eq(at_str(head, "code"), code, "%s: %s", at_str(head, "code"),
                     at_str(head, "message"));
}

int64_t
bench_status(struct bench *bench, const char *uuid, const char *path)
{
    return at_int(bench_ask(bench, NULL, "'verb':'status','batch':'%s'", uuid),
                  path);
}

const char *
bench_state(struct bench *bench, const char *uuid)
{
    return at_str(bench_ask(bench, NULL, "'verb':'status','batch':'%s'", uuid),
                  "state");
}

int64_t
bench_stat(struct bench *bench, const char *name)
{
    const cJSON *head = bench_ask(bench, NULL, "'verb':'stats'");

    return at_int(cJSON_GetObjectItemCaseSensitive(head, "stats"), name);
}

static void
add_lines(cJSON *array, struct slice lines)
{
    const char *at = lines.data, *end = lines.data + lines.bytes;

    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        cJSON *row;

        cr_assert_not_null(stop);
        row = cJSON_ParseWithLength(at, (size_t)(stop - at));
        cr_assert_not_null(row, "no JSON: %.*s", (int)(stop - at), at);
        cJSON_AddItemToArray(array, row);
        at = stop + 1;
    }
}

cJSON *
bench_results(struct bench *bench, const char *uuid, int64_t after)
{
    cJSON *results = cJSON_CreateArray();
    bool has_more = true;

    while (has_more) {
        const cJSON *head = bench_ask(
            bench, NULL, "'verb':'results','batch':'%s','after':%lld,'limit':7",
            uuid, (long long)after);

        cr_assert_str_eq(at_str(head, "verb"), "results");
        add_lines(results, bench_body(bench));
        after = at_int(head, "cursor");
        has_more = at_int(head, "more") != 0;
    }
    return results;
}

const cJSON *
result_of(const cJSON *results, const char *id)
{
    const cJSON *row, *found = NULL;

    cJSON_ArrayForEach(row, results)
    {
        if (strcmp(at_str(row, "custom_id"), id) == 0)
            found = row;
    }
    return found;
}

const char *
result_str(struct bench *bench, const char *uuid, const char *id,
           const char *member)
{
    static char text[256];
    cJSON *results = bench_results(bench, uuid, 0);
    const cJSON *row = result_of(results, id);

    (void)snprintf(text, sizeof(text), "%s",
                   row ? at_str(row, member) : "(none)");
    cJSON_Delete(results);
    return text;
}

int64_t
result_int(struct bench *bench, const char *uuid, const char *id,
           const char *member)
{
    cJSON *results = bench_results(bench, uuid, 0);
    int64_t number = at_int(result_of(results, id), member);

    cJSON_Delete(results);
    return number;
}

const char *
bench_call_order(const struct bench *bench)
{
    static char order[256];
    size_t count = 0;

    for (size_t i = 0; i < bench->call_count && count < sizeof(order) - 1;
         i++) {
        const char *end = strstr(bench->calls[i], "\"}]");

        cr_assert_not_null(end);
        order[count++] = end[-1];
    }
    order[count] = '\0';
    return order;
}
