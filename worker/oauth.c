/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* explicit_bzero */
#include "worker/oauth.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/base64.h"
#include "base/json.h"
#include "base/utf8.h"
#include "worker/hint.h"

#define WORD_BYTES_MAX   64  /* of an error's name, or a token's type */
#define REASON_BYTES_MAX 200 /* of a server's explanation */

/* Makes room for a value that is put in piece by piece: growing would leave
 * copies of a secret behind. */
static void
reserve(struct buf *out, const struct oauth_client *client)
{
    size_t bytes = strlen(client->id) + client->secret.bytes;

    if (client->scope)
        bytes += strlen(client->scope);
    if (client->audience)
        bytes += strlen(client->audience);
    buf_reserve(out, 4 * bytes + 256);
}

static void
add_encoded(struct buf *out, struct slice value)
{
    for (size_t i = 0; i < value.bytes; i++) {
        unsigned char c = (unsigned char)value.data[i];

        if ((c < 0x80 && isalnum(c)) || c == '-' || c == '.' || c == '_')
            buf_add_char(out, (char)c);
        else
            buf_addf(out, "%%%02X", c);
    }
}

static void
add_field(struct buf *out, const char *name, struct slice value)
{
    buf_add_char(out, '&');
    buf_add_str(out, name);
    buf_add_char(out, '=');
    add_encoded(out, value);
}

void
oauth_body(const struct oauth_client *client, struct buf *out)
{
    reserve(out, client);
    buf_add_str(out, "grant_type=client_credentials");
    if (client->scope)
        add_field(out, "scope", slice_of(client->scope));
    if (client->audience)
        add_field(out, "audience", slice_of(client->audience));
    if (client->is_in_body) {
        add_field(out, "client_id", slice_of(client->id));
        add_field(out, "client_secret", client->secret);
    }
}

void
oauth_basic(const struct oauth_client *client, struct buf *out)
{
    struct buf pair = { 0 };

    if (client->is_in_body)
        return;
    reserve(&pair, client);
    add_encoded(&pair, slice_of(client->id));
    buf_add_char(&pair, ':');
    add_encoded(&pair, client->secret);
    buf_reserve(out, 2 * pair.bytes + 4);
    base64_add(out, buf_slice(&pair));
    explicit_bzero(pair.data, pair.bytes);
    buf_fini(&pair);
}

/* A member that is a string, cut to bytes_max and ended by a NUL; "" if it is
 * none. It goes into messages, so no character is cut in two. */
static void
copy_member(const struct json_doc *doc, const char *name, char *text,
            size_t bytes_max)
{
    size_t at = json_member(doc, 0, name);
    struct buf value = { 0 };
    struct slice kept;

    text[0] = '\0';
    if (at == JSON_NONE)
        return;
    json_decode(doc, at, &value);
    kept = utf8_cut(buf_slice(&value), bytes_max);
    if (kept.bytes > 0)
        memcpy(text, kept.data, kept.bytes);
    text[kept.bytes] = '\0';
    buf_fini(&value);
}

/* Azure writes the number as a string. */
static int
read_expiry(const struct json_doc *doc, int64_t *expires_ms, struct err *err)
{
    size_t at = json_member(doc, 0, "expires_in");
    char text[WORD_BYTES_MAX + 1];
    struct json_doc inner = { 0 };
    int64_t seconds;
    int rc;

    *expires_ms = TOKEN_NO_EXPIRY;
    if (at == JSON_NONE || doc->tokens[at].type == JSON_NULL)
        return 0;
    rc = json_int(doc, at, 1, OAUTH_EXPIRES_S_MAX, &seconds);
    if (rc < 0) {
        copy_member(doc, "expires_in", text, WORD_BYTES_MAX);
        rc = json_parse(&inner, text, strlen(text), JSON_REPLY, NULL);
        if (rc == 0)
            rc = json_int(&inner, 0, 1, OAUTH_EXPIRES_S_MAX, &seconds);
        json_fini(&inner);
    }
    if (rc < 0) {
        return err_set(err, E_INVALID,
                       "its expires_in is no number of seconds");
    }
    *expires_ms = seconds * 1000;
    return 0;
}

static int
read_token(const struct json_doc *doc, struct oauth_grant *grant,
           struct err *err)
{
    size_t at = json_member(doc, 0, "access_token");
    char type[WORD_BYTES_MAX + 1];
    struct buf token = { 0 };
    int rc;

    copy_member(doc, "token_type", type, WORD_BYTES_MAX);
    if (type[0] && strcasecmp(type, "bearer") != 0) {
        return err_set(err, E_INVALID,
                       "its token is of the type \"%s\", not \"Bearer\"", type);
    }
    rc = read_expiry(doc, &grant->expires_ms, err);
    if (rc < 0)
        return rc;
    if (at == JSON_NONE || doc->tokens[at].type != JSON_STRING)
        return err_set(err, E_INVALID, "its reply holds no access_token");
    buf_reserve(&token, json_raw(doc, at).bytes);
    json_decode(doc, at, &token);
    rc = secret_set(&grant->token, buf_slice(&token), err);
    if (rc < 0)
        rc = err_wrap(err, "the token that it gave");
    if (token.bytes > 0)
        explicit_bzero(token.data, token.bytes);
    buf_fini(&token);
    return rc;
}

/* The reason that stands in an error reply. */
static int
refuse(const struct reply *reply, const struct json_doc *doc, struct err *err)
{
    char error[WORD_BYTES_MAX + 1] = "", text[REASON_BYTES_MAX + 1] = "";

    if (doc->count > 0) {
        copy_member(doc, "error", error, WORD_BYTES_MAX);
        copy_member(doc, "error_description", text, REASON_BYTES_MAX);
    }
    return err_set(err, E_INVALID, "it answered with status %d%s%s%s%s",
                   reply->http_status, error[0] ? ", " : "", error,
                   text[0] ? ": " : "", text);
}

static int64_t
find_wait(const struct reply *reply, const struct json_doc *doc, int64_t now_ms)
{
    struct hint_reply hints = { .headers = &reply->headers,
                                .doc = doc,
                                .message = "" };
    const char *source;
    int64_t wait_ms = hint_wait_ms(&hints, true, now_ms, &source);

    return wait_ms == DELAY_NONE ? 0 : wait_ms;
}

int
oauth_read(const struct reply *reply, int64_t now_ms, struct oauth_grant *grant,
           struct err *err)
{
    struct json_doc doc = { 0 };
    struct err reason = { 0 };
    int rc;

    *grant = (struct oauth_grant){ .expires_ms = TOKEN_NO_EXPIRY };
    if (reply->end != REPLY_COMPLETE) {
        return err_set(err, E_UNREACHABLE, "no reply came: %s",
                       reply->reason[0] ? reply->reason
                                        : reply_end_text(reply->end));
    }
    rc = json_parse(&doc, reply->body.data, reply->body.bytes, JSON_REPLY,
                    &reason);
    if (reply->http_status != 200) {
        grant->wait_ms = find_wait(reply, &doc, now_ms);
        rc = refuse(reply, &doc, err);
    } else if (rc < 0 || doc.tokens[0].type != JSON_OBJECT) {
        rc = err_set(err, E_INVALID, "its reply is no JSON object%s%s",
                     rc < 0 ? ": " : "", rc < 0 ? reason.msg : "");
    } else {
        rc = read_token(&doc, grant, err);
    }
    json_fini(&doc);
    return rc;
}
