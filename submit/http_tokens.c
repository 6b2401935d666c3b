/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* getrandom, strncasecmp, O_NOFOLLOW */
#include "submit/http_tokens.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/hex.h"
#include "base/mem.h"

#define OTHERS             0077 /* permissions of group and others */
#define WORDS              4
#define NEVER              INT64_MAX
#define TOKEN_PREFIX       "sk-sheaf-" /* what masks keys in logs knows "sk-" */
#define TOKEN_RANDOM_BYTES 24
#define BEARER             "bearer "

struct row {
    unsigned char digest[DIGEST_BYTES];
    int64_t end_ms; /* by the wall clock */
    struct http_grant grant;
};

struct http_tokens {
    struct row *rows;
    size_t count;
};

const char *
http_scope_name(enum http_scope scope)
{
#define HTTP_SCOPE_TEXT(name, text) text,
    static const char *const names[] = { HTTP_SCOPES(HTTP_SCOPE_TEXT) };
#undef HTTP_SCOPE_TEXT

    return names[scope];
}

static bool
is_client(struct slice name)
{
    for (size_t i = 0; i < name.bytes; i++) {
        unsigned char c = (unsigned char)name.data[i];

        if (c <= ' ' || c >= 0x7f || c == '"')
            return false;
    }
    return name.bytes >= 1 && name.bytes <= HTTP_CLIENT_BYTES_MAX;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Cuts a line into words; returns how many there are, one more than the most if
 * there are too many. */
static int
cut_words(struct slice line, struct slice words[WORDS])
{
    size_t at = 0;
    int count = 0;

    for (;;) {
        size_t start;

        while (at < line.bytes && is_blank(line.data[at]))
            at++;
        if (at == line.bytes || (count == 0 && line.data[at] == '#'))
            return count;
        if (count == WORDS)
            return WORDS + 1;
        for (start = at; at < line.bytes && !is_blank(line.data[at]);)
            at++;
        words[count++] = (struct slice){ line.data + start, at - start };
    }
}

static int
read_end(struct slice word, int64_t *end_ms)
{
    char text[CLOCK_TEXT_BYTES];

    *end_ms = NEVER;
    if (slice_is(word, "never"))
        return 0;
    /* Not from now on: a file means the same whenever it is read. */
    if (word.bytes >= sizeof(text) || word.data[0] == '+')
        return E_INVALID;
    memcpy(text, word.data, word.bytes);
    text[word.bytes] = '\0';
    return clock_parse(text, 0, end_ms);
}

static int
read_row(struct slice words[WORDS], struct row *row, struct err *err)
{
    *row = (struct row){ 0 };
    if (digest_from_hex(words[0].data, words[0].bytes, row->digest) < 0)
        return err_set(err, E_INVALID, "the first word is not 64 hex digits");
    if (!is_client(words[1]))
        return err_set(err, E_INVALID,
                       "a client's name has 1 to %d printable ASCII characters",
                       HTTP_CLIENT_BYTES_MAX);
    memcpy(row->grant.client, words[1].data, words[1].bytes);
    for (enum http_scope scope = HTTP_SCOPE_READ; scope < HTTP_SCOPE_COUNT;
         scope++) {
        if (slice_is(words[2], http_scope_name(scope)))
            row->grant.scope = scope;
    }
    if (row->grant.scope == HTTP_SCOPE_OPEN)
        return err_set(err, E_INVALID, "a scope is read, submit or admin");
    if (read_end(words[3], &row->end_ms) < 0)
        return err_set(err, E_INVALID,
                       "the end is never, or a time such as "
                       "2027-01-31T00:00:00Z");
    return 0;
}

static int
read_line(struct http_tokens *tokens, struct slice line, struct err *err)
{
    struct slice words[WORDS];
    int count = cut_words(line, words);

    if (count == 0)
        return 0;
    if (count != WORDS)
        return err_set(err, E_INVALID, "a row is: digest, client, scope, end");
    if (tokens->count == HTTP_TOKENS_MAX)
        return err_set(err, E_TOOBIG, "more than %d tokens", HTTP_TOKENS_MAX);
    tokens->rows =
        mem_grow(tokens->rows, tokens->count + 1, sizeof(tokens->rows[0]));
    return read_row(words, &tokens->rows[tokens->count++], err);
}

struct http_tokens *
http_tokens_parse(struct slice text, struct err *err)
{
    struct http_tokens *tokens = mem_zalloc(1, sizeof(*tokens));

    for (int number = 1; text.bytes; number++) {
        const char *end = memchr(text.data, '\n', text.bytes);
        size_t bytes = end ? (size_t)(end - text.data) : text.bytes;
        size_t taken = bytes + (end ? 1 : 0);

        if (read_line(tokens, (struct slice){ text.data, bytes }, err) < 0) {
            err_wrap(err, "line %d", number);
            http_tokens_free(tokens);
            return NULL;
        }
        text.data += taken;
        text.bytes -= taken;
    }
    return tokens;
}

static int
check_file(int fd, struct err *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return err_set(err, E_IO, "%s", strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(err, E_INVALID, "not a regular file");
    if (st.st_mode & OTHERS)
        return err_set(err, E_INVALID,
                       "others have access to it (mode %04o); it must be 0600 "
                       "or 0400",
                       (unsigned)(st.st_mode & ALLPERMS));
    if (st.st_size > HTTP_TOKENS_FILE_BYTES_MAX)
        return err_set(err, E_TOOBIG, "larger than %d bytes",
                       HTTP_TOKENS_FILE_BYTES_MAX);
    return 0;
}

static int
read_all(int fd, struct buf *text, struct err *err)
{
    for (;;) {
        ssize_t got = read(fd, buf_reserve(text, BUFSIZ), BUFSIZ);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set(err, E_IO, "%s", strerror(errno));
        if (got == 0)
            return 0;
        buf_commit(text, (size_t)got);
        if (text->bytes > HTTP_TOKENS_FILE_BYTES_MAX)
            return err_set(err, E_TOOBIG, "larger than %d bytes",
                           HTTP_TOKENS_FILE_BYTES_MAX);
    }
}

struct http_tokens *
http_tokens_load(const char *path, struct err *err)
{
    struct http_tokens *tokens = NULL;
    struct buf text = { 0 };
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0) {
        err_set(err, E_IO, "open %s: %s", path, strerror(errno));
        return NULL;
    }
    if (check_file(fd, err) == 0 && read_all(fd, &text, err) == 0)
        tokens = http_tokens_parse(buf_slice(&text), err);
    if (!tokens)
        err_wrap(err, "tokens in %s", path);
    buf_fini(&text);
    (void)close(fd);
    return tokens;
}

void
http_tokens_free(struct http_tokens *tokens)
{
    if (!tokens)
        return;
    free(tokens->rows);
    free(tokens);
}

size_t
http_tokens_count(const struct http_tokens *tokens)
{
    return tokens->count;
}

int
http_tokens_find(const struct http_tokens *tokens, struct slice token,
                 int64_t wall_ms, struct http_grant *grant)
{
    unsigned char digest[DIGEST_BYTES];
    const struct row *found = NULL;

    digest_of(token.data, token.bytes, digest);
    for (size_t i = 0; i < tokens->count; i++) {
        if (digest_is_same(tokens->rows[i].digest, digest))
            found = &tokens->rows[i];
    }
    if (!found || wall_ms >= found->end_ms)
        return E_NOTFOUND;
    *grant = found->grant;
    return 0;
}

struct slice
http_tokens_bearer(struct slice field)
{
    static const struct slice none = { 0 };
    size_t bytes = strlen(BEARER);

    if (field.bytes <= bytes || strncasecmp(field.data, BEARER, bytes) != 0)
        return none;
    field.data += bytes;
    field.bytes -= bytes;
    while (field.bytes && is_blank(field.data[0])) {
        field.data++;
        field.bytes--;
    }
    while (field.bytes && is_blank(field.data[field.bytes - 1]))
        field.bytes--;
    if (field.bytes < HTTP_TOKEN_BYTES_MIN ||
        field.bytes > HTTP_TOKEN_BYTES_MAX) {
        return none;
    }
    for (size_t i = 0; i < field.bytes; i++) {
        if (field.data[i] <= ' ' || field.data[i] >= 0x7f)
            return none;
    }
    return field;
}

int
http_tokens_make(const char *client, char token[HTTP_TOKEN_TEXT_BYTES],
                 struct buf *row, struct err *err)
{
    unsigned char random[TOKEN_RANDOM_BYTES], digest[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];

    if (!is_client(slice_of(client)) || *client == '#')
        return err_set(
            err, E_INVALID,
            "client %s: a name has 1 to %d printable ASCII characters, no "
            "blanks and no quotes",
            client, HTTP_CLIENT_BYTES_MAX);
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return err_set(err, E_IO, "getrandom: %s", strerror(errno));
    memcpy(token, TOKEN_PREFIX, sizeof(TOKEN_PREFIX));
    hex_write(random, sizeof(random), token + sizeof(TOKEN_PREFIX) - 1);
    digest_of(token, strlen(token), digest);
    digest_hex(digest, hex);
    buf_addf(row, "%s %s %s never\n", hex, client,
             http_scope_name(HTTP_SCOPE_SUBMIT));
    return 0;
}
