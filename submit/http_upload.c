/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "submit/http_files.h"
#include "submit/http_form.h"
#include "submit/http_gateway.h"
#include "submit/http_object.h"

#define PART_BYTES      1048576 /* to the broker at a time, at most */
#define PIECE_BYTES_MAX PART_BYTES
#define FILE_UUID_BYTES 37

struct upload {
    struct gateway *gateway;        /* borrowed */
    struct http_request *request;   /* NULL: the client has vanished */
    struct http_question *question; /* NULL: none is open */
    struct http_form *form;
    char client[HTTP_CLIENT_BYTES];
    char file[FILE_UUID_BYTES]; /* empty: it is not open yet */
    bool is_new;                /* it was made for this upload */
    int64_t at;                 /* so much was sent to the broker */
    size_t piece_bytes;         /* of the chained digest */
    unsigned char chain[DIGEST_BYTES];
    struct buf part;
};

static void
upload_free(struct upload *upload)
{
    assert(!upload->question);
    http_form_free(upload->form);
    buf_fini(&upload->part);
    free(upload);
}

/* A header about the file. */
static cJSON *
new_head(const struct upload *upload, const char *verb)
{
    cJSON *head = wire_new(verb);

    wire_add_str(head, "client", upload->client);
    if (*upload->file)
        wire_add_str(head, "file", upload->file);
    return head;
}

/* Takes back what the broker has of it. Should that fail, the broker drops what
 * is not closed by itself. */
static void
drop(struct upload *upload)
{
    struct gateway *gateway = upload->gateway;
    struct http_ask ask = { .is_patient = true };

    if (!upload->is_new)
        return;
    ask.head = new_head(upload, "file_delete");
    (void)http_broker_ask(gateway->broker, &ask, gateway->now_ms, NULL);
}

/* An answer is waited for: it may name what is to be taken back. */
static void
on_gone(void *arg)
{
    struct upload *upload = arg;

    upload->request = NULL;
    if (upload->question)
        return;
    drop(upload);
    upload_free(upload);
}

static void
fail(struct upload *upload, const struct http_error *error)
{
    if (upload->request) {
        http_on_gone(upload->request, NULL, NULL);
        http_reply_error(upload->request, error);
    }
    drop(upload);
    upload_free(upload);
}

static void
fail_by(struct upload *upload, const struct err *err)
{
    struct http_error error;

    http_error_of(&error, err);
    fail(upload, &error);
}

/* True if the upload goes on; else it is ended. */
static bool
goes_on(struct upload *upload, const struct wire *wire, const struct err *err)
{
    upload->question = NULL;
    if (wire && upload->request)
        return true;
    if (wire) {
        drop(upload);
        upload_free(upload);
    } else {
        fail_by(upload, err);
    }
    return false;
}

/* ---- to the broker ---- */

static void
ask(struct upload *upload, cJSON *head, http_answer_fn *answer)
{
    struct gateway *gateway = upload->gateway;
    struct http_ask ask = { .head = head,
                            .body = buf_slice(&upload->part),
                            .is_patient = true,
                            .answer = answer,
                            .arg = upload };
    struct err err = { 0 };

    upload->question =
        http_broker_ask(gateway->broker, &ask, gateway->now_ms, &err);
    buf_reset(&upload->part);
    if (!upload->question)
        fail_by(upload, &err);
}

static void
on_closed(void *arg, const struct wire *wire, const struct err *err)
{
    struct upload *upload = arg;
    struct err wrong = { 0 };
    struct buf out = { 0 };

    if (!goes_on(upload, wire, err))
        return;
    if (http_object_file(wire_get(wire, "file"), &out) == 0) {
        http_on_gone(upload->request, NULL, NULL);
        http_reply(upload->request, 200, HTTP_JSON, buf_slice(&out));
        upload_free(upload);
    } else {
        err_set(&wrong, E_PROTOCOL, "the broker tells of no file");
        fail_by(upload, &wrong);
    }
    buf_fini(&out);
}

static void
close_file(struct upload *upload)
{
    cJSON *head = new_head(upload, "file_close");
    char hex[DIGEST_HEX_BYTES];

    digest_hex(upload->chain, hex);
    wire_add_str(head, "digest", hex);
    ask(upload, head, on_closed);
}

/* Each piece is chained to those before it. */
static void
add_to_chain(struct upload *upload)
{
    struct digest *digest = digest_new();
    struct slice rest = buf_slice(&upload->part);

    while (rest.bytes > 0) {
        size_t bytes =
            rest.bytes < upload->piece_bytes ? rest.bytes : upload->piece_bytes;

        digest_add(digest, upload->chain, sizeof(upload->chain));
        digest_add(digest, rest.data, bytes);
        digest_final(digest, upload->chain);
        rest.data += bytes;
        rest.bytes -= bytes;
    }
    digest_free(digest);
}

/* Whole pieces, as many as the broker takes at a time. */
static size_t
part_bytes(const struct upload *upload)
{
    int64_t left = http_spool_bytes(http_form_file(upload->form)) - upload->at;
    int64_t max = http_broker_welcome(upload->gateway->broker)->chunk_bytes_max;

    if (max > PART_BYTES)
        max = PART_BYTES;
    max -= max % (int64_t)upload->piece_bytes;
    if (max == 0)
        max = (int64_t)upload->piece_bytes;
    return (size_t)(left < max ? left : max);
}

static void on_part(void *arg, const struct wire *wire, const struct err *err);

static void
send_part(struct upload *upload)
{
    size_t bytes = part_bytes(upload);
    unsigned char digest[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    struct err err = { 0 };
    cJSON *head;

    if (bytes == 0) {
        close_file(upload);
        return;
    }
    if (http_spool_read(http_form_file(upload->form), upload->at, bytes,
                        &upload->part, &err) < 0) {
        fail_by(upload, &err);
        return;
    }
    add_to_chain(upload);
    digest_of(upload->part.data, bytes, digest);
    digest_hex(digest, hex);
    head = new_head(upload, "file_part");
    wire_add_int(head, "at", upload->at);
    wire_add_str(head, "digest", hex);
    upload->at += (int64_t)bytes;
    ask(upload, head, on_part);
}

static void
on_part(void *arg, const struct wire *wire, const struct err *err)
{
    struct upload *upload = arg;

    if (goes_on(upload, wire, err))
        send_part(upload);
}

/* A file that was there before, under the same key, is compared as it is sent
 * again. */
static void
on_opened(void *arg, const struct wire *wire, const struct err *err)
{
    struct upload *upload = arg;
    struct err wrong = { 0 };
    int64_t piece_bytes = 0;
    const char *file;
    bool is_new = false;

    if (wire) {
        const cJSON *told = wire_get(wire, "file");

        file = cJSON_GetStringValue(
            cJSON_GetObjectItemCaseSensitive(told, "file"));
        if (!file || strlen(file) >= sizeof(upload->file) ||
            wire_bool(wire, "created", false, &is_new, NULL) < 0 ||
            wire_int(wire, "piece_bytes", wire_range(1, PIECE_BYTES_MAX),
                     &piece_bytes, NULL) < 0) {
            err_set(&wrong, E_PROTOCOL, "the broker tells of no file");
            wire = NULL;
            err = &wrong;
        } else {
            (void)snprintf(upload->file, sizeof(upload->file), "%s", file);
        }
    }
    upload->is_new = is_new;
    upload->piece_bytes = (size_t)piece_bytes;
    if (goes_on(upload, wire, err))
        send_part(upload);
}

/* ---- the request ---- */

size_t
http_upload_bytes_max(const struct gateway *gateway)
{
    int64_t bytes = http_broker_welcome(gateway->broker)->file_bytes_max;

    /* Of a broker that was never there nobody knows: it is refused for that. */
    return bytes > 0 ? (size_t)bytes + HTTP_FORM_BYTES_MAX : SIZE_MAX;
}

/* Before the first piece: nothing is read for a broker that is away. */
static struct upload *
begin(struct http_request *request)
{
    struct gateway *gateway = request->gateway;
    const char *type = request->kept[HTTP_KEPT_CONTENT_TYPE];
    struct http_form_terms terms = {
        .type = type ? type : "",
        .room = &gateway->spool,
        .file_bytes_max = http_broker_welcome(gateway->broker)->file_bytes_max
    };
    struct http_error error;
    struct http_form *form = NULL;
    struct upload *upload;

    if (http_broker_is_up(gateway->broker))
        form = http_form_new(&terms, &error);
    else
        http_error_set(&error, 503, "unreachable", "the broker is away");
    if (!form) {
        http_reply_error(request, &error);
        return NULL;
    }
    upload = mem_zalloc(1, sizeof(*upload));
    upload->gateway = gateway;
    upload->request = request;
    upload->form = form;
    (void)snprintf(upload->client, sizeof(upload->client), "%s",
                   request->grant.client);
    request->state = upload;
    http_on_gone(request, on_gone, upload);
    return upload;
}

size_t
http_upload_take(struct http_request *request, struct slice piece)
{
    struct upload *upload = request->state;
    struct http_error error;

    if (!upload)
        upload = begin(request);
    if (!upload)
        return 0;
    if (http_form_take(upload->form, piece, &error) == 0)
        return piece.bytes;
    fail(upload, &error);
    return 0;
}

void
http_upload(struct http_request *request)
{
    struct upload *upload = request->state;
    const char *key = request->kept[HTTP_KEPT_IDEMPOTENCY_KEY];
    struct http_error error;
    cJSON *head;

    if (!upload) { /* without any byte of a body */
        http_error_set(&error, 400, "invalid_form", "the form is empty");
        http_reply_error(request, &error);
        return;
    }
    if (http_form_check(upload->form, &error) != 0) {
        fail(upload, &error);
        return;
    }
    head = new_head(upload, "file_open");
    wire_add_str(head, "key", key && *key ? key : request->id);
    wire_add_str(head, "name", http_form_filename(upload->form));
    wire_add_int(head, "bytes", http_spool_bytes(http_form_file(upload->form)));
    wire_add_int(head, "expires_after", http_form_expires_ms(upload->form));
    ask(upload, head, on_opened);
}
