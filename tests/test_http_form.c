/* SPDX-License-Identifier: MIT */
#include "submit/http_form.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <string.h>

#include "tests/scratch.h"

#define FILE_PART "file\"; filename=\"a.jsonl"
#define BYTES_MAX 100

static struct http_spool_room room = { .bytes_max = 150 };
static struct scratch directory;

static void
set_up(void)
{
    directory = scratch_make();
    room.dir = directory.path;
}

static void
tear_down(void)
{
    cr_expect_eq(room.bytes, 0);
    scratch_remove(&directory);
}

/* Fields as "name=value", each a part; NULL behind the last. */
static int
read_fields(const char *const *fields, struct http_form **form,
            struct http_error *error)
{
    struct http_form_terms terms = { .type = "multipart/form-data; boundary=X",
                                     .room = &room,
                                     .file_bytes_max = BYTES_MAX };
    struct buf text = { 0 };
    int status;

    *error = (struct http_error){ 0 };
    *form = http_form_new(&terms, error);
    cr_assert_not_null(*form);
    for (; *fields; fields++) {
        const char *value = strrchr(*fields, '=');

        buf_addf(&text,
                 "--X\r\nContent-Disposition: form-data; "
                 "name=\"%.*s\"\r\n\r\n%s\r\n",
                 (int)(value - *fields), *fields, value + 1);
    }
    buf_add_str(&text, "--X--\r\n");
    status = http_form_take(*form, buf_slice(&text), error);
    if (status == 0)
        status = http_form_check(*form, error);
    buf_fini(&text);
    return status;
}

Test(http_form, spools_the_file_whatever_the_order, .init = set_up,
     .fini = tear_down)
{
    static const char *const rows[][6] = {
        { "purpose=batch", FILE_PART "=content" },
        { FILE_PART "=content", "purpose=batch" },
        { "expires_after[seconds]=3600", FILE_PART "=content", "purpose=batch",
          "expires_after[anchor]=created_at" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_error error;
        struct http_form *form;
        struct buf got = { 0 };

        cr_assert_eq(read_fields(rows[i], &form, &error), 0, "%s",
                     error.message);
        cr_expect_str_eq(http_form_filename(form), "a.jsonl");
        cr_expect_eq(http_form_expires_ms(form), i == 2 ? 3600000 : 0);
        cr_expect_eq(http_spool_bytes(http_form_file(form)), 7);
        cr_expect_eq(room.bytes, 7);
        cr_expect_eq(http_spool_read(http_form_file(form), 3, 4, &got, NULL),
                     0);
        cr_expect_str_eq(got.data, "tent");
        cr_expect_eq(http_spool_read(http_form_file(form), 3, 5, &got, NULL),
                     E_IO);
        buf_fini(&got);
        http_form_free(form);
    }
}

Test(http_form, leaves_no_name_in_the_spool, .init = set_up, .fini = tear_down)
{
    static const char *const fields[] = { FILE_PART "=x", "purpose=batch",
                                          NULL };
    struct http_error error;
    struct http_form *form;
    struct dirent *entry;
    DIR *dir;

    cr_assert_eq(read_fields(fields, &form, &error), 0);
    dir = opendir(directory.path);
    cr_assert_not_null(dir);
    while ((entry = readdir(dir)))
        cr_expect_eq(*entry->d_name, '.', "%s", entry->d_name);
    closedir(dir);
    http_form_free(form);
}

Test(http_form, refuses_what_is_no_upload, .init = set_up, .fini = tear_down)
{
    static const char long_value[] =
        "expires_after[anchor]="
        "0123456789012345678901234567890123456789012345678901234567890123456789"
        "012345678901234567890123456789012345678901234567890123456789012345678"
        "9";
    static const struct {
        const char *fields[6];
        int status;
        const char *code, *param;
    } rows[] = {
        { { "purpose=batch" }, 400, "missing_required_parameter", "file" },
        { { FILE_PART "=x" }, 400, "missing_required_parameter", "purpose" },
        { { FILE_PART "=x", "purpose=vision" },
          400,
          "invalid_value",
          "purpose" },
        { { "file\"; filename=\"a.txt=x" }, 400, "", "file" },
        { { "file\"; filename=\".jsonl=x" }, 400, "", "file" },
        { { "file=x" }, 400, "", "file" },
        { { FILE_PART "=x", FILE_PART "=y" },
          400,
          "duplicate_parameter",
          "file" },
        { { "colour=red" }, 400, "unknown_parameter", "colour" },
        { { FILE_PART "=x", "purpose=batch", "expires_after[anchor]=now",
            "expires_after[seconds]=3600" },
          400,
          "invalid_value",
          "expires_after[anchor]" },
        { { FILE_PART "=x", "purpose=batch", "expires_after[seconds]=3600" },
          400,
          "invalid_value",
          "expires_after[anchor]" },
        { { FILE_PART "=x", "purpose=batch", "expires_after[anchor]=created_at",
            "expires_after[seconds]=3599" },
          400,
          "invalid_value",
          "expires_after[seconds]" },
        { { FILE_PART "=x", "purpose=batch", "expires_after[anchor]=created_at",
            "expires_after[seconds]=36000h" },
          400,
          "invalid_value",
          "expires_after[seconds]" },
        { { FILE_PART "=x", "purpose=batch", "expires_after[anchor]=created_at",
            "expires_after[seconds]=2592001" },
          400,
          "invalid_value",
          "expires_after[seconds]" },
        { { FILE_PART "=x", "purpose=batch", long_value },
          400,
          "invalid_value",
          "expires_after[anchor]" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_error error;
        struct http_form *form;

        cr_expect_eq(read_fields(rows[i].fields, &form, &error), rows[i].status,
                     "row %zu: %s", i, error.message);
        cr_expect_str_eq(error.code, rows[i].code, "row %zu", i);
        cr_expect_str_eq(error.param, rows[i].param, "row %zu", i);
        http_form_free(form);
    }
}

/* A part of a file, of so many bytes, of a form that goes on. */
static int
take_bytes(size_t bytes, struct http_form **form, struct http_error *error)
{
    struct http_form_terms terms = { .type = "multipart/form-data; boundary=X",
                                     .room = &room,
                                     .file_bytes_max = BYTES_MAX };
    struct buf text = { 0 };
    int status;

    *form = http_form_new(&terms, error);
    buf_add_str(&text,
                "--X\r\nContent-Disposition: form-data; name=\"" FILE_PART
                "\"\r\n\r\n");
    for (size_t i = 0; i < bytes; i++)
        buf_add_char(&text, 'x');
    buf_add_str(&text, "\r\n--X");
    status = http_form_take(*form, buf_slice(&text), error);
    buf_fini(&text);
    return status;
}

Test(http_form, bounds_a_file_and_all_of_them_together, .init = set_up,
     .fini = tear_down)
{
    struct http_error error;
    struct http_form *first, *second, *third;

    cr_expect_eq(take_bytes(BYTES_MAX + 1, &first, &error), 413);
    http_form_free(first);
    cr_expect_eq(take_bytes(BYTES_MAX, &first, &error), 0);
    cr_expect_eq(take_bytes(BYTES_MAX, &second, &error), 503);
    cr_expect(error.is_worth_retry);
    cr_expect_eq(take_bytes(50, &third, &error), 0);
    http_form_free(first);
    http_form_free(second);
    http_form_free(third);
}

Test(http_form, says_which_spool_cannot_be_used)
{
    struct http_error error;
    struct http_form *form;

    room.dir = "/nowhere";
    cr_expect_eq(take_bytes(1, &form, &error), 503);
    cr_expect_str_eq(error.code, "io");
    cr_expect(strstr(error.message, "/nowhere"));
    http_form_free(form);
}
