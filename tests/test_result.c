/* SPDX-License-Identifier: MIT */
#include "worker/result.h"

#include <criterion/criterion.h>
#include <string.h>

/* What is reported of a reply of this class. */
static void
report(const char *body, enum outcome_class class, struct buf *out)
{
    struct extract extract = { 0 };
    struct outcome outcome;
    struct reply reply = { .http_status = 200 };
    struct result result = { 0 };

    (void)extract_read(&extract, slice_of(body), EXTRACT_CHAT, NULL);
    outcome_set(&outcome, class, "", "");
    buf_add_str(&reply.body, body);
    result_fill(&result, &outcome, &extract, &reply);
    buf_reset(out);
    result_print(&result, 1, 2, "test", out);
    result_fini(&result);
    extract_fini(&extract);
}

static const char answer[] =
    "{\"choices\":[{\"message\":{\"content\":\"x\"}}]}";

Test(result, leaves_out_what_an_answer_does_not_say_of_tokens)
{
    static const enum outcome_class classes[] = { OUTCOME_OK, OUTCOME_TRUNCATED,
                                                  OUTCOME_REFUSED };
    struct buf out = { 0 };

    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        report(answer, classes[i], &out);
        cr_expect_null(strstr(out.data, "_tokens"), "%s", out.data);
    }
    report("{\"data\":[],\"usage\":{\"prompt_tokens\":9}}", OUTCOME_OK, &out);
    cr_expect_not_null(strstr(out.data, "\"prompt_tokens\":9"));
    cr_expect_null(strstr(out.data, "completion_tokens"));
    cr_expect_null(strstr(out.data, "total_tokens"));
    buf_fini(&out);
}

Test(result, has_a_failure_use_nothing_unless_it_says_so)
{
    static const char *const bodies[] = { "", "<html>",
                                          "{\"error\":{\"message\":\"m\"}}",
                                          answer };
    struct buf out = { 0 };

    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        report(bodies[i], OUTCOME_RETRYABLE, &out);
        cr_expect_not_null(strstr(out.data,
                                  "\"prompt_tokens\":0,\"completion_tokens\":0,"
                                  "\"total_tokens\":0"),
                           "%s", out.data);
    }
    report("{\"choices\":[{\"message\":{}}],\"usage\":{\"prompt_tokens\":3}}",
           OUTCOME_RETRYABLE, &out);
    cr_expect_not_null(
        strstr(out.data, "\"prompt_tokens\":3,\"completion_tokens\":0"));
    buf_fini(&out);
}
