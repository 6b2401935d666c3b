/* SPDX-License-Identifier: MIT */
#include "submit/http_multipart.h"

#include <criterion/criterion.h>
#include <string.h>

#define TYPE "multipart/form-data; boundary=XX"

/* What the sink was told, as text: <name|filename>content… */
static struct buf told;
static int sink_code;
static struct err why; /* the body was refused */

static int
begin(void *arg, const char *name, const char *filename)
{
    cr_expect_eq(arg, &told);
    buf_addf(&told, "<%s|%s>", name, filename);
    return 0;
}

static int
take(void *arg, struct slice piece)
{
    cr_expect_eq(arg, &told);
    cr_expect_gt(piece.bytes, 0);
    buf_add_slice(&told, piece);
    return sink_code;
}

static const struct http_multipart_sink sink = { begin, take, &told };

/* Reads a body in pieces of so many bytes; the code of the first that fails. */
static int
read_form(const char *type, struct slice body, size_t bytes, bool *is_whole)
{
    struct err err = { 0 };
    struct http_multipart *form = http_multipart_new(type, &sink, &err);
    int rc = 0;

    buf_reset(&told);
    buf_add_str(&told, "");
    cr_assert_not_null(form, "%s: %s", type, err.msg);
    for (size_t at = 0; rc == 0 && at < body.bytes; at += bytes) {
        size_t left = body.bytes - at;

        rc = http_multipart_take(
            form, (struct slice){ body.data + at, left < bytes ? left : bytes },
            &err);
    }
    why = err;
    *is_whole = http_multipart_is_whole(form);
    http_multipart_free(form);
    return rc;
}

static const char body[] =
    "--XX\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\n"
    "batch\r\n"
    "--XX\r\ncontent-type: application/json\r\n"
    "content-disposition:form-data;filename=\"a%22b\\\"c.jsonl\" ; name=file"
    "\r\n\r\n"
    "one\r\n--X\r\n--\r\n\r\n--XY two\r\n\r\n"
    "--XX\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n"
    "--XX--\r\n";

Test(http_multipart, hands_on_the_parts_wherever_the_body_is_cut)
{
    for (size_t bytes = 1; bytes < sizeof(body); bytes++) {
        bool is_whole;

        cr_assert_eq(read_form(TYPE, slice_of(body), bytes, &is_whole), 0);
        cr_expect(is_whole);
        cr_assert_str_eq(told.data,
                         "<purpose|>batch<file|a\"b\"c.jsonl>"
                         "one\r\n--X\r\n--\r\n\r\n--XY two\r\n<empty|>",
                         "in pieces of %zu bytes", bytes);
    }
    buf_fini(&told);
}

Test(http_multipart, is_not_whole_before_its_last_boundary)
{
    for (size_t bytes = 0; bytes < sizeof(body) - 1; bytes++) {
        struct slice part = { body, bytes };
        bool is_whole;

        cr_expect_eq(read_form(TYPE, part, bytes + 1, &is_whole), 0);
        cr_expect_eq(is_whole, bytes >= sizeof(body) - 3, "of %zu bytes",
                     bytes);
    }
    buf_fini(&told);
}

#define DISPOSITION "Content-Disposition: form-data; name=a"

Test(http_multipart, refuses_what_may_be_read_in_several_ways)
{
    static const char *const rows[] = {
        "x--XX\r\n" DISPOSITION "\r\n\r\n\r\n--XX--",
        "\r\n--XX\r\n" DISPOSITION "\r\n\r\n\r\n--XX--",
        "--XY\r\n" DISPOSITION "\r\n\r\n\r\n--XX--",
        "--XX \r\n" DISPOSITION "\r\n\r\n\r\n--XX--",
        "--XX\n" DISPOSITION "\n\n\n--XX--",
        "--XX\r\n\r\n\r\n--XX--",
        "--XX\r\nContent-Type: text/plain\r\n\r\n\r\n--XX--",
        "--XX\r\n" DISPOSITION "\r\n" DISPOSITION "\r\n\r\n\r\n--XX--",
        "--XX\r\n" DISPOSITION "; name=b\r\n\r\n\r\n--XX--",
        "--XX\r\n" DISPOSITION "; filename=\"b\r\n\r\n\r\n--XX--",
        "--XX\r\n" DISPOSITION "; filename=\"\x01\"\r\n\r\n\r\n--XX--",
        "--XX\r\n" DISPOSITION "; filename=\"\xff\"\r\n\r\n\r\n--XX--",
        "--XX\r\nContent-Disposition: attachment; name=a\r\n\r\n\r\n--XX--",
        "--XX\r\nContent-Disposition: form-data; nam=a\r\n\r\n\r\n--XX--",
        "--XX\r\n" DISPOSITION "\r\n\r\n\r\n--XXYZ",
        "--XX\r\n" DISPOSITION "\r\n\r\n\r\n--XX--\r\nmore",
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool is_whole;

        cr_expect_eq(read_form(TYPE, slice_of(rows[i]), 1, &is_whole),
                     E_INVALID, "%s", rows[i]);
        cr_expect_eq(read_form(TYPE, slice_of(rows[i]), 1000, &is_whole),
                     E_INVALID, "%s", rows[i]);
    }
    buf_fini(&told);
}

Test(http_multipart, keeps_to_its_limits)
{
    struct buf text = { 0 };
    bool is_whole;

    buf_add_str(&text, "--XX\r\n");
    while (text.bytes <= HTTP_MULTIPART_HEADER_BYTES_MAX + 6)
        buf_add_str(&text, "A: b\r\n");
    cr_expect_eq(read_form(TYPE, buf_slice(&text), 100, &is_whole), E_TOOBIG);
    buf_reset(&text);
    buf_addf(&text, "--XX\r\n" DISPOSITION "; filename=\"%0*d.jsonl\"\r\n\r\n",
             HTTP_PART_NAME_BYTES_MAX, 1);
    cr_expect_eq(read_form(TYPE, buf_slice(&text), 100, &is_whole), E_INVALID);
    cr_expect(strstr(why.msg, "longer than 255 bytes"), "%s", why.msg);
    buf_reset(&text);
    for (int i = 0; i <= HTTP_MULTIPART_PARTS_MAX; i++)
        buf_add_str(&text, "--XX\r\n" DISPOSITION "\r\n\r\n\r\n");
    cr_expect_eq(read_form(TYPE, buf_slice(&text), 100, &is_whole), E_TOOBIG);
    buf_fini(&text);
    buf_fini(&told);
}

Test(http_multipart, ends_when_its_sink_has_enough)
{
    bool is_whole;

    sink_code = E_FULL;
    cr_expect_eq(read_form(TYPE, slice_of(body), 7, &is_whole), E_FULL);
    buf_fini(&told);
}

Test(http_multipart, reads_the_boundary_of_a_type)
{
    static const struct {
        const char *type, *boundary; /* NULL: there is none */
    } rows[] = {
        { "multipart/form-data; boundary=a", "a" },
        { "multipart/form-data;BOUNDARY=\"a b\"; charset=utf-8", "a b" },
        { "multipart/form-data; x=\"boundary=q\"; boundary=a", "a" },
        { "multipart/form-data; boundary=----formdata-undici-0123",
          "----formdata-undici-0123" },
        { "multipart/form-data", NULL },
        { "multipart/form-data; boundary=", NULL },
        { "multipart/form-data; boundary=\"a", NULL },
        { "multipart/form-data; boundary=\"a \"", NULL },
        { "multipart/form-data; boundary=a; boundary=b", NULL },
        { "multipart/form-data; boundary=a{", NULL },
        { "multipart/form-data; boundary="
          "01234567890123456789012345678901234567890123456789012345678901234567"
          "890",
          NULL },
        { "", NULL },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_multipart *form =
            http_multipart_new(rows[i].type, &sink, NULL);
        struct buf text = { 0 };

        cr_assert_eq(form != NULL, rows[i].boundary != NULL, "%s",
                     rows[i].type);
        if (form) {
            buf_addf(&text, "--%s--", rows[i].boundary);
            cr_expect_eq(http_multipart_take(form, buf_slice(&text), NULL), 0);
            cr_expect(http_multipart_is_whole(form), "%s", rows[i].type);
        }
        buf_fini(&text);
        http_multipart_free(form);
    }
}
