/* SPDX-License-Identifier: MIT */
#include "submit/http_object.h"

#include <criterion/criterion.h>
#include <string.h>

#define UUID_1 "0b51c2a4-1111-4222-8333-944455556666"
#define UUID_2 "7d1e90ff-1111-4222-8333-944455556666"
#define UUID_3 "00000000-1111-4222-8333-944455556666"

Test(http_object, finds_the_uuid_in_an_id)
{
    static const struct {
        const char *id;
        bool is_one;
    } rows[] = {
        { "file-" UUID_1, true },
        { "file-", false },
        { "", false },
        { UUID_1, false },
        { "batch_" UUID_1, false },
        { "file-" UUID_1 "0", false },
        { "FILE-" UUID_1, false },
        { "file- " UUID_1, false },
        { "file-0B51C2A4-1111-4222-8333-944455556666", false },
        { "file-0b51c2a4a1111-4222-8333-944455556666", false },
        { "file-0b51c2a-41111-4222-8333-944455556666", false },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *uuid = http_object_uuid(rows[i].id, HTTP_FILE_PREFIX);

        cr_expect_eq(uuid != NULL, rows[i].is_one, "%s", rows[i].id);
        if (uuid)
            cr_expect_str_eq(uuid, UUID_1);
    }
}

static void
expect_text(int rc, struct buf *out, const char *want)
{
    cr_assert_eq(rc, 0);
    cr_expect_str_eq(out->data, want);
    buf_fini(out);
}

static const char file_text[] =
    "{\"file\":\"" UUID_1 "\",\"state\":\"stored\",\"purpose\":\"batch\","
    "\"name\":\"a\\\"b.jsonl\",\"bytes\":12,\"received\":12,\"created_at\":"
    "1700000000999,\"stored_at\":1,\"expires_at\":0,\"batch\":null}";
static const char file_want[] =
    "{\"id\":\"file-" UUID_1 "\",\"object\":\"file\",\"bytes\":12,"
    "\"created_at\":1700000000,\"expires_at\":null,"
    "\"filename\":\"a\\\"b.jsonl\",\"purpose\":\"batch\","
    "\"status\":\"processed\",\"status_details\":null}";

Test(http_object, shows_a_file)
{
    cJSON *file = cJSON_Parse(file_text);
    struct buf out = { 0 };

    expect_text(http_object_file(file, &out), &out, file_want);
    cr_expect_eq(http_object_file(NULL, &out), E_PROTOCOL);
    cJSON_Delete(file);
}

/* A batch as the broker tells it. */
static cJSON *
new_status(const char *status, const char *more)
{
    struct buf text = { 0 };
    cJSON *head;

    buf_addf(&text,
             "{\"batch\":\"" UUID_2 "\",\"metadata\":{\"a\":\"b\"},\"usage\":"
             "{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3},"
             "\"from_file\":{\"status\":\"%s\",\"endpoint\":\"/v1/responses\","
             "\"input_file\":\"" UUID_1 "\",\"created_at\":1000,"
             "\"expires_at\":5401000,\"in_progress_at\":2999,"
             "\"errors\":[{\"code\":\"c\",\"message\":\"m\",\"param\":null,"
             "\"line\":7}],\"request_counts\":{\"total\":5,\"completed\":3,"
             "\"failed\":2}%s}}",
             status, more);
    head = cJSON_Parse(text.data);
    cr_assert_not_null(head);
    buf_fini(&text);
    return head;
}

#define BATCH(errors, status, output, error, completed, failed)                \
    "{\"id\":\"batch_" UUID_2 "\",\"object\":\"batch\",\"endpoint\":"          \
    "\"/v1/responses\",\"errors\":" errors ",\"input_file_id\":\"file-" UUID_1 \
    "\",\"completion_window\":\"90m\",\"status\":\"" status                    \
    "\",\"output_file_id\":" output ",\"error_file_id\":" error                \
    ",\"created_at\":1,\"in_progress_at\":2,\"expires_at\":5401,"              \
    "\"finalizing_at\":null,\"completed_at\":" completed                       \
    ",\"failed_at\":" failed ",\"expired_at\":null,\"cancelling_at\":null"     \
    ",\"cancelled_at\":null,\"request_counts\":{\"total\":5,"                  \
    "\"completed\":3,\"failed\":2},\"usage\":{\"input_tokens\":1,"             \
    "\"input_tokens_details\":{\"cached_tokens\":0},\"output_tokens\":2,"      \
    "\"output_tokens_details\":{\"reasoning_tokens\":0},"                      \
    "\"total_tokens\":3},\"metadata\":{\"a\":\"b\"}}"

Test(http_object, shows_a_batch)
{
    static const struct {
        const char *status, *more, *want;
    } rows[] = {
        { "in_progress", ",\"output_file\":null,\"completed_at\":0",
          BATCH("null", "in_progress", "null", "null", "null", "null") },
        { "completed",
          ",\"output_file\":null,\"error_file\":\"" UUID_3
          "\",\"completed_at\":9999",
          BATCH("null", "completed", "null", "\"file-" UUID_3 "\"", "9",
                "null") },
        { "failed", ",\"failed_at\":3000",
          BATCH("{\"object\":\"list\",\"data\":[{\"code\":\"c\",\"message\":"
                "\"m\",\"param\":null,\"line\":7}]}",
                "failed", "null", "null", "null", "3") },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cJSON *status = new_status(rows[i].status, rows[i].more);
        struct buf out = { 0 };

        expect_text(http_object_batch(status, &out), &out, rows[i].want);
        cJSON_Delete(status);
    }
}

Test(http_object, shows_no_batch_that_is_made_from_no_file)
{
    cJSON *status = cJSON_Parse("{\"batch\":\"" UUID_2 "\"}");
    struct buf out = { 0 };

    cr_expect_eq(http_object_batch(status, &out), E_PROTOCOL);
    cr_expect_eq(out.bytes, 0);
    cJSON_Delete(status);
}

Test(http_object, writes_lists_with_both_ends)
{
    cJSON *file = cJSON_Parse(file_text);
    cJSON *batch = new_status("validating", "");
    struct http_object_list list;
    struct buf out = { 0 };

    http_object_list_begin(&list, &out);
    http_object_list_end(&list, false);
    expect_text(0, &out,
                "{\"object\":\"list\",\"data\":[],\"first_id\":null,"
                "\"last_id\":null,\"has_more\":false}\n");
    http_object_list_begin(&list, &out);
    cr_expect_eq(http_object_list_file(&list, file), 0);
    cr_expect_eq(http_object_list_file(&list, NULL), E_PROTOCOL);
    cr_expect_eq(http_object_list_batch(&list, batch), 0);
    http_object_list_end(&list, true);
    cr_expect(
        strncmp(out.data, "{\"object\":\"list\",\"data\":[{\"id\":", 30) == 0);
    cr_expect(strstr(out.data, "},{\"id\":\"batch_"));
    cr_expect(strstr(out.data, "],\"first_id\":\"file-" UUID_1
                               "\",\"last_id\":\"batch_" UUID_2
                               "\",\"has_more\":true}\n"));
    buf_fini(&out);
    cJSON_Delete(file);
    cJSON_Delete(batch);
}
