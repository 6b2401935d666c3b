/* SPDX-License-Identifier: MIT */
#include "worker/head.h"

#include <criterion/criterion.h>
#include <string.h>

#define LONG_BYTES 5000

static struct head head;

static void
check(const struct curl_slist *line, const char *const *want, size_t count)
{
    for (size_t i = 0; i < count; i++, line = line->next) {
        cr_assert_not_null(line, "%zu lines, want %zu", i, count);
        cr_expect_str_eq(line->data, want[i]);
    }
    cr_expect_null(line, "there are more lines than %zu", count);
}

Test(head, lines_are_lent_in_their_order)
{
    static const char *const want[] = { "Accept: text/plain", "Expect:",
                                        "Authorization: Bearer k-1" };
    const char *key = "k-1, and more";

    cr_expect_null(head_lines(&head));
    head_add(&head, "Accept: text/plain", slice_of(""));
    head_add(&head, "Expect:", slice_of(""));
    head_add(&head, "Authorization: Bearer ", (struct slice){ key, 3 });
    check(head_lines(&head), want, 3);
    head_fini(&head);
}

/* As many as there may be, of which one is as long as keys get. */
Test(head, lines_do_not_move_while_others_are_written)
{
    static char value[LONG_BYTES + 1];
    const struct curl_slist *line;
    size_t count = 0;

    memset(value, 'v', LONG_BYTES);
    for (int i = 0; i < HEAD_LINES_MAX; i++)
        head_add(&head, "A: ", slice_of(i % 2 ? value : "x"));
    for (line = head_lines(&head); line; line = line->next, count++)
        cr_expect_eq(strlen(line->data), 3 + (count % 2 ? LONG_BYTES : 1));
    cr_expect_eq(count, HEAD_LINES_MAX);
    head_fini(&head);
}

Test(head, no_key_is_left_in_what_is_kept)
{
    static const char *const want[] = { "B: 2" };
    const struct curl_slist *line;
    const char *place;
    size_t bytes;

    head_add(&head, "Authorization: ", slice_of("sk-canary"));
    line = head_lines(&head);
    place = line->data;
    bytes = strlen(place);
    head_wipe(&head);
    for (size_t i = 0; i < bytes; i++)
        cr_expect_eq(place[i], '\0', "byte %zu is left", i);
    head_add(&head, "B: ", slice_of("2"));
    line = head_lines(&head);
    check(line, want, 1);
    cr_expect_eq(line->data, place, "its memory was not kept");
    head_fini(&head);
}
