/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* memmem */
#include "submit/http_search.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/utf8.h"
#include "submit/http_gateway.h"
#include "submit/http_ui.h"

#define PAGE_RESULTS 1000 /* asked for at a time while something is sought */
#define FALLBACK     "fallback"

struct search {
    struct http_request *request;
    struct http_question *question;
    struct buf status; /* empty: any */
    struct buf text;   /* folded; empty: any */
    int64_t cursor;
    int64_t matches, matches_max, searched;
    bool has_more;
    struct buf found; /* objects, with commas between them */
    struct json_doc doc;
    struct buf decoded, folded; /* of the member that is looked at */
};

static void
search_free(struct search *search)
{
    buf_fini(&search->status);
    buf_fini(&search->text);
    buf_fini(&search->found);
    buf_fini(&search->decoded);
    buf_fini(&search->folded);
    json_fini(&search->doc);
    free(search);
}

static void
on_gone(void *arg)
{
    struct search *search = arg;

    http_broker_forget(search->request->gateway->broker, search->question);
    search_free(search);
}

static void
fail(struct search *search, const struct http_error *error)
{
    http_reply_error(search->request, error);
    search_free(search);
}

static void
fail_by(struct search *search, const struct err *err)
{
    struct http_error error;

    http_error_of(&error, err);
    fail(search, &error);
}

/* ---- does it match? ---- */

static bool
has_status(const struct search *search)
{
    size_t status = json_member(&search->doc, 0, "status");

    if (search->status.bytes == 0)
        return true;
    if (slice_is(buf_slice(&search->status), FALLBACK))
        return !json_is(&search->doc, status, "ok") &&
               !json_is(&search->doc, status, "cancelled");
    return json_is(&search->doc, status, search->status.data);
}

static bool
has_text(struct search *search)
{
    static const char *const names[] = { "custom_id", "text", "essence" };

    if (search->text.bytes == 0)
        return true;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        buf_reset(&search->decoded);
        json_decode(&search->doc, json_member(&search->doc, 0, names[i]),
                    &search->decoded);
        text_fold(search->request->gateway->text_rules,
                  buf_slice(&search->decoded), &search->folded);
        if (search->folded.bytes > 0 &&
            memmem(search->folded.data, search->folded.bytes, search->text.data,
                   search->text.bytes)) {
            return true;
        }
    }
    return false;
}

/* ---- what is shown of it ---- */

static void
write_text(struct search *search, size_t text)
{
    struct slice whole, shown;

    buf_reset(&search->decoded);
    json_decode(&search->doc, text, &search->decoded);
    whole = buf_slice(&search->decoded);
    shown = utf8_cut(whole, HTTP_SEARCH_SHOWN_BYTES);
    json_write_string(&search->found, shown.data, shown.bytes);
    buf_addf(&search->found, ",\"text_bytes\":%zu", whole.bytes);
}

/* All members as they stand there, but the text, which may be megabytes, and
 * what says the same for each result. */
static void
write_result(struct search *search)
{
    const struct json_doc *doc = &search->doc;
    struct buf *out = &search->found;
    const char *separator = "{";

    if (out->bytes)
        buf_add_char(out, ',');
    for (size_t key = 1; key < doc->tokens[0].next;
         key = doc->tokens[key].next) {
        bool is_text = json_is(doc, key, "text") &&
                       doc->tokens[key + 1].type == JSON_STRING;

        if (json_is(doc, key, "batch") || json_is(doc, key, "metadata"))
            continue;
        buf_add_str(out, separator);
        buf_add_slice(out, json_raw(doc, key));
        buf_add_char(out, ':');
        if (is_text)
            write_text(search, key + 1);
        else
            buf_add_slice(out, json_raw(doc, key + 1));
        separator = ",";
    }
    buf_add_char(out, '}');
}

static void
reply(struct search *search)
{
    struct buf out = { 0 };

    buf_add_str(&out, "{\"results\":[");
    buf_add_slice(&out, buf_slice(&search->found));
    buf_addf(&out, "],\"cursor\":%lld,\"more\":%s,\"searched\":%lld}",
             (long long)search->cursor, search->has_more ? "true" : "false",
             (long long)search->searched);
    http_reply(search->request, 200, HTTP_JSON, buf_slice(&out));
    buf_fini(&out);
    search_free(search);
}

/* ---- pages ---- */

static int
take_line(struct search *search, struct slice line, struct err *err)
{
    struct json_doc *doc = &search->doc;
    int64_t seq = 0;
    int rc = json_parse(doc, line.data, line.bytes, JSON_REPLY, err);

    if (rc == 0)
        rc = json_int(doc, json_member(doc, 0, "seq"), 0, WIRE_INT_MAX, &seq);
    if (rc < 0)
        return err_set(err, E_PROTOCOL, "a result that cannot be read");
    search->cursor = seq;
    search->searched++;
    if (has_status(search) && has_text(search)) {
        search->matches++;
        write_result(search);
    }
    return 0;
}

/* Looks at a page; stops behind the last match that is wanted. */
static int
take_page(struct search *search, const struct wire *wire, struct err *err)
{
    struct slice rest = wire->body;

    if (wire_bool(wire, "more", false, &search->has_more, err) < 0)
        return err->code;
    while (rest.bytes > 0) {
        const char *end = memchr(rest.data, '\n', rest.bytes);
        size_t bytes = end ? (size_t)(end - rest.data) : rest.bytes;

        if (search->matches == search->matches_max) {
            search->has_more = true;
            return 0;
        }
        if (take_line(search, (struct slice){ rest.data, bytes }, err) < 0)
            return err->code;
        bytes += end != NULL;
        rest = (struct slice){ rest.data + bytes, rest.bytes - bytes };
    }
    /* Of an empty page as well: it has gone on. */
    return wire_int(wire, "cursor", wire_range(search->cursor, WIRE_INT_MAX),
                    &search->cursor, err);
}

static void ask_page(struct search *search);

static void
on_page(void *arg, const struct wire *wire, const struct err *err)
{
    struct search *search = arg;
    struct err wrong = { 0 };

    search->question = NULL;
    if (!wire)
        fail_by(search, err);
    else if (take_page(search, wire, &wrong) < 0)
        fail_by(search, &wrong);
    else if (search->has_more && search->matches < search->matches_max &&
             search->searched < HTTP_SEARCH_RESULTS_MAX)
        ask_page(search);
    else
        reply(search);
}

/* Where all match, no more is asked for than is shown. */
static void
ask_page(struct search *search)
{
    struct gateway *gateway = search->request->gateway;
    struct http_ask ask = { .head = wire_new("results"),
                            .answer = on_page,
                            .arg = search };
    bool is_sought = search->status.bytes > 0 || search->text.bytes > 0;
    struct err err = { 0 };

    http_ui_add_batch(search->request, ask.head);
    wire_add_int(ask.head, "after", search->cursor);
    wire_add_int(ask.head, "limit",
                 is_sought ? PAGE_RESULTS
                           : search->matches_max - search->matches);
    search->question =
        http_broker_ask(gateway->broker, &ask, gateway->now_ms, &err);
    if (!search->question)
        fail_by(search, &err);
    else
        http_on_gone(search->request, on_gone, search);
}

static int
read_query(struct search *search, struct http_error *error)
{
    const struct http_request *request = search->request;
    struct buf text = { 0 };
    int status = http_ui_number(request, "after", 0, &search->cursor, error);

    if (status == 0)
        status = http_ui_number(request, "limit", HTTP_SEARCH_MATCHES,
                                &search->matches_max, error);
    if (status == 0 && (search->matches_max < 1 ||
                        search->matches_max > HTTP_SEARCH_MATCHES_MAX))
        status = http_error_set(error, 400, "invalid", "limit is 1 to %d",
                                HTTP_SEARCH_MATCHES_MAX);
    (void)http_path_query(&request->path, "status", &search->status);
    if (http_path_query(&request->path, "text", &text) && text.bytes > 0)
        text_fold(request->gateway->text_rules, buf_slice(&text),
                  &search->text);
    if (status == 0 && text.bytes > HTTP_SEARCH_TEXT_BYTES_MAX)
        status = http_error_set(error, 400, "invalid",
                                "text has %zu bytes, at most %d", text.bytes,
                                HTTP_SEARCH_TEXT_BYTES_MAX);
    buf_fini(&text);
    return status;
}

void
http_search(struct http_request *request)
{
    struct search *search = mem_zalloc(1, sizeof(*search));
    struct http_error error;

    search->request = request;
    if (read_query(search, &error) != 0)
        fail(search, &error);
    else
        ask_page(search);
}
