/* SPDX-License-Identifier: MIT */
#include "submit/http_batches.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define UUID "0b51c2a4-1111-4222-8333-944455556666"
#define REQUIRED                                   \
    "\"input_file_id\":\"file-" UUID "\","         \
    "\"endpoint\":\"/v1/responses\",\"completion_" \
    "window\":\"24h\""
#define HEAD "\"file\":\"" UUID "\",\"endpoint\":\"/v1/responses\""

/* Checks what an `open` is made of a body. */
static void
expect_open(const char *body, const char *head_want, const char *options_want)
{
    cJSON *head = cJSON_CreateObject();
    struct http_error error = { 0 };
    struct buf options = { 0 };
    char *text;

    cr_assert_eq(
        http_batch_read(slice_of(body), 1000000, head, &options, &error), 0,
        "%s: %s", body, error.message);
    text = cJSON_PrintUnformatted(head);
    cr_expect_str_eq(text, head_want);
    cr_expect_str_eq(options.data, options_want);
    free(text);
    cJSON_Delete(head);
    buf_fini(&options);
}

Test(http_batches, makes_an_open_of_a_request)
{
    expect_open("{" REQUIRED "}", "{" HEAD ",\"completion_ms\":86400000}",
                "{}");
    expect_open("{" REQUIRED ",\"metadata\":{ \"a\": \"\\u00fc\" },"
                "\"output_expires_after\":{\"anchor\":\"created_at\","
                "\"seconds\":3600}}",
                "{" HEAD ",\"completion_ms\":86400000,\"metadata\":{\"a\":"
                "\"\xc3\xbc\"},\"output_expires_after\":3600000}",
                "{}");
    expect_open("{" REQUIRED ",\"metadata\":null,\"goal\":null}",
                "{" HEAD ",\"completion_ms\":86400000}", "{}");
}

/* What is no batch's is for the broker to judge, as it is written. */
Test(http_batches, passes_on_what_holds_for_all_drafts)
{
    expect_open("{\"goal\":\"S\\u00fcm\"," REQUIRED ",\"priority\":3,"
                "\"name\":\"n\",\"deadline\":\"+2h\",\"not_before\":\"+1h\","
                "\"window\":\"22:00-06:00\",\"tz\":\"UTC\","
                "\"temperature\":0.50,\"x\":[1, 2]}",
                "{" HEAD ",\"priority\":3,\"name\":\"n\",\"deadline\":8200000,"
                "\"not_before\":4600000,\"window\":\"22:00-06:00\","
                "\"tz\":\"UTC\"}",
                "{\"goal\":\"S\\u00fcm\",\"temperature\":0.50,\"x\":[1, 2]}");
}

Test(http_batches, names_what_is_wrong)
{
    static const struct {
        const char *body;
        int status;
        const char *code, *param;
    } rows[] = {
        { "", 400, "invalid_json", "" },
        { "[]", 400, "invalid_json", "" },
        { "{" REQUIRED "} x", 400, "invalid_json", "" },
        { "{}", 400, "missing_required_parameter", "input_file_id" },
        { "{\"input_file_id\":null}", 400, "missing_required_parameter",
          "input_file_id" },
        { "{\"input_file_id\":\"x\"}", 400, "missing_required_parameter",
          "endpoint" },
        { "{\"input_file_id\":\"x\",\"endpoint\":\"e\"}", 400,
          "missing_required_parameter", "completion_window" },
        { "{\"input_file_id\":\"x\",\"endpoint\":\"e\","
          "\"completion_window\":\"24h\"}",
          404, "", "input_file_id" },
        { "{\"input_file_id\":\"batch_" UUID "\",\"endpoint\":\"e\","
          "\"completion_window\":\"24h\"}",
          404, "", "input_file_id" },
        { "{\"input_file_id\":7,\"endpoint\":\"e\","
          "\"completion_window\":\"24h\"}",
          400, "invalid_value", "input_file_id" },
        { "{" REQUIRED ",\"metadata\":[]}", 400, "invalid_value", "metadata" },
        { "{" REQUIRED ",\"priority\":4}", 400, "invalid_value", "priority" },
        { "{" REQUIRED ",\"priority\":\"1\"}", 400, "invalid_value",
          "priority" },
        { "{" REQUIRED ",\"name\":{}}", 400, "invalid_value", "name" },
        { "{" REQUIRED ",\"deadline\":\"soon\"}", 400, "invalid_value",
          "deadline" },
        { "{" REQUIRED ",\"output_expires_after\":{\"anchor\":\"now\","
          "\"seconds\":3600}}",
          400, "invalid_value", "output_expires_after" },
        { "{" REQUIRED ",\"output_expires_after\":{\"anchor\":\"created_at\","
          "\"seconds\":2592001}}",
          400, "invalid_value", "output_expires_after" },
        { "{" REQUIRED ",\"output_expires_after\":3600}", 400, "invalid_value",
          "output_expires_after" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cJSON *head = cJSON_CreateObject();
        struct http_error error = { 0 };
        struct buf options = { 0 };

        cr_expect_eq(
            http_batch_read(slice_of(rows[i].body), 0, head, &options, &error),
            rows[i].status, "%s", rows[i].body);
        cr_expect_str_eq(error.code, rows[i].code, "%s", rows[i].body);
        cr_expect_str_eq(error.param, rows[i].param, "%s", rows[i].body);
        cJSON_Delete(head);
        buf_fini(&options);
    }
}

Test(http_batches, reads_completion_windows)
{
    static const struct {
        const char *text;
        int64_t want;
    } rows[] = {
        { "24h", 86400000 }, { "1m", 60000 },
        { "7d", 604800000 }, { "365d", HTTP_COMPLETION_MS_MAX },
        { "366d", -1 },      { "0h", -1 },
        { "24", -1 },        { "h", -1 },
        { "", -1 },          { "-1h", -1 },
        { "24hh", -1 },      { "24s", -1 },
        { "1.5h", -1 },      { "99999999999999999999h", -1 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_expect_eq(http_batch_window_ms(rows[i].text), rows[i].want, "%s",
                     rows[i].text);
}
