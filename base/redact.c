/* SPDX-License-Identifier: MIT */
#include "base/redact.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* Words between a name and its value: `API key provided: `. */
#define GAP_BYTES_MAX 32

/* Where a secret stands, behind where the search was. */
struct secret {
    size_t offset;
    size_t bytes; /* 0: no secret here */
};

static bool
is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9');
}

static bool
is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
is_quote(char c)
{
    return c == '"' || c == '\'' || c == '`' || c == '\\';
}

/* What a token is made of; `*` because some upstreams mask a part. */
static bool
is_token(char c)
{
    return is_alnum(c) || (c && strchr("-_.~+/=*%:", c));
}

static bool
starts_with(struct slice text, const char *word)
{
    size_t bytes = strlen(word);

    return text.bytes >= bytes && strncasecmp(text.data, word, bytes) == 0;
}

static size_t
token_bytes(struct slice text, size_t offset)
{
    size_t end = offset;

    while (end < text.bytes && is_token(text.data[end]))
        end++;
    while (end > offset && strchr(".:", text.data[end - 1]))
        end--; /* the message's full stop */
    return end - offset;
}

/* A value ends at a blank, a quote or a separator; a quoted one at its quote.
 * What is behind `https:` is no value. */
static size_t
value_bytes(struct slice text, size_t offset)
{
    size_t end = offset;
    char before = text.data[offset - 1];

    if (is_quote(before) && before != '\\') {
        while (end < text.bytes && text.data[end] != before)
            end++;
        return end - offset;
    }
    if (before == ':' && end < text.bytes && text.data[end] == '/')
        return 0;
    while (end < text.bytes && !is_blank(text.data[end]) &&
           !is_quote(text.data[end]) && !strchr(",;&<>{}()", text.data[end])) {
        end++;
    }
    if (end > offset && text.data[end - 1] == '.')
        end--;
    return end - offset;
}

/* Words that follow "bearer" when a message speaks of the scheme itself. */
static bool
is_plain_word(struct slice text)
{
    static const char *const words[] = {
        "auth",
        "authentication",
        "authorization",
        "credentials",
        "format",
        "header",
        "in",
        "is",
        "not",
        "or",
        "realm",
        "scheme",
        "token",
        "tokens",
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (text.bytes == strlen(words[i]) && starts_with(text, words[i]))
            return true;
    }
    return false;
}

/* Base64, not the next word of a sentence about something basic. */
static bool
is_encoded(struct slice text)
{
    bool is_mixed = false;

    for (size_t i = 0; i < text.bytes; i++) {
        char c = text.data[i];

        is_mixed = is_mixed || c == '=' || (c >= '0' && c <= '9') ||
                   (i > 0 && c >= 'A' && c <= 'Z');
    }
    return is_mixed;
}

static struct secret
find_scheme(struct slice text)
{
    struct secret secret = { 0 };
    struct slice token;
    bool is_bearer = starts_with(text, "bearer ");
    size_t at = strlen(is_bearer ? "bearer " : "basic ");

    if (!is_bearer && !starts_with(text, "basic "))
        return secret;
    while (at < text.bytes && is_blank(text.data[at]))
        at++;
    token.data = text.data + at;
    token.bytes = token_bytes(text, at);
    if (is_bearer ? is_plain_word(token) : !is_encoded(token))
        return secret;
    secret.offset = at;
    secret.bytes = token.bytes;
    return secret;
}

static struct secret
find_prefix(struct slice text)
{
    static const struct {
        const char *prefix;
        size_t bytes_min;
    } kinds[] = {
        { "sk-", 8 },   { "sk_", 8 },   { "pk-", 12 },  { "rk-", 12 },
        { "gsk_", 12 }, { "hf_", 12 },  { "xai-", 12 }, { "ghp_", 12 },
        { "AKIA", 20 }, { "AIza", 20 }, { "eyJ", 20 },
    };
    struct secret secret = { 0 };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (starts_with(text, kinds[i].prefix) &&
            token_bytes(text, 0) >= kinds[i].bytes_min) {
            secret.bytes = token_bytes(text, 0);
            break;
        }
    }
    return secret;
}

/* The place behind a `:` or `=` that follows the name, over quotes, blanks and,
 * if the name may be part of a phrase, plain words. 0 if there is none. */
static size_t
skip_to_value(struct slice text, size_t at, bool is_phrase)
{
    size_t end =
        at + GAP_BYTES_MAX < text.bytes ? at + GAP_BYTES_MAX : text.bytes;

    while (at < end && text.data[at] != ':' && text.data[at] != '=') {
        char c = text.data[at];

        if (!is_blank(c) && !is_quote(c) && c != ']' &&
            !(is_phrase && is_alnum(c))) {
            return 0;
        }
        at++;
    }
    if (at == end)
        return 0;
    while (at < text.bytes &&
           (is_blank(text.data[at]) || is_quote(text.data[at]) ||
            strchr(":=", text.data[at]))) {
        at++;
    }
    return at;
}

static struct secret
find_named(struct slice text)
{
    static const struct {
        const char *name;
        bool is_phrase;
    } names[] = {
        { "api key", true },        { "api-key", true },
        { "api_key", true },        { "apikey", true },
        { "x-api-key", false },     { "access_token", false },
        { "auth_token", false },    { "refresh_token", false },
        { "id_token", false },      { "token", false },
        { "client_secret", false }, { "secret", false },
        { "secret_key", false },    { "password", false },
        { "passwd", false },        { "authorization", false },
    };
    struct secret secret = { 0 };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t at = strlen(names[i].name);

        if (!starts_with(text, names[i].name))
            continue;
        at = skip_to_value(text, at, names[i].is_phrase);
        if (at == 0)
            continue;
        secret.offset = at;
        secret.bytes = value_bytes(text, at);
        break;
    }
    /* `?key=...`; the word alone is too common in other places. */
    if (secret.bytes == 0 && starts_with(text, "key=")) {
        secret.offset = strlen("key=");
        secret.bytes = value_bytes(text, secret.offset);
    }
    return secret;
}

/* `user:password@` behind `://`. */
static struct secret
find_userinfo(struct slice text)
{
    struct secret secret = { 0 };
    size_t end = 3;

    if (!starts_with(text, "://"))
        return secret;
    while (end < text.bytes && !is_blank(text.data[end]) &&
           !strchr("/?#@\"'<>", text.data[end])) {
        end++;
    }
    if (end < text.bytes && text.data[end] == '@') {
        secret.offset = 3;
        secret.bytes = end - 3;
    }
    return secret;
}

/* `authorization: Bearer x`: the scheme is not the secret, x is. */
static struct secret
skip_scheme(struct slice text, struct secret secret)
{
    struct slice rest = { text.data + secret.offset,
                          text.bytes - secret.offset };
    struct secret inner = find_scheme(rest);

    if (inner.bytes) {
        secret.offset += inner.offset;
        secret.bytes = inner.bytes;
    }
    return secret;
}

static struct secret
find_secret(struct slice text, bool is_word_start)
{
    struct secret secret = find_userinfo(text);

    if (secret.bytes || !is_word_start)
        return secret;
    secret = find_scheme(text);
    if (secret.bytes == 0)
        secret = find_prefix(text);
    if (secret.bytes == 0) {
        secret = find_named(text);
        if (secret.bytes)
            secret = skip_scheme(text, secret);
    }
    return secret;
}

void
redact(struct slice text, struct buf *out)
{
    bool is_word_start = true;

    while (text.bytes) {
        struct secret secret = find_secret(text, is_word_start);
        size_t kept = secret.bytes ? secret.offset : 1;

        is_word_start = !is_alnum(text.data[0]) || secret.bytes;
        buf_add(out, text.data, kept);
        if (secret.bytes)
            buf_add_str(out, REDACT_MARK);
        text.data += kept + secret.bytes;
        text.bytes -= kept + secret.bytes;
    }
}
