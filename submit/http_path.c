/* SPDX-License-Identifier: MIT */
#include "submit/http_path.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/mem.h"

/* The byte that begins at text[*at], decoded; *at moves behind it. -1: an
 * escape that is none. */
static int
take_byte(struct slice text, size_t *at)
{
    int high, low;

    if (text.data[*at] != '%')
        return (unsigned char)text.data[(*at)++];
    if (text.bytes - *at < 3)
        return -1;
    high = hex_digit(text.data[*at + 1]);
    low = hex_digit(text.data[*at + 2]);
    if (high < 0 || low < 0)
        return -1;
    *at += 3;
    return high * 16 + low;
}

/* Decodes a segment as the path's next one, behind `to`, with a NUL. */
static int
decode_segment(struct slice raw, char *to, struct http_path *path,
               struct err *err)
{
    struct slice *segment = &path->segments[path->count];
    size_t bytes = 0, at = 0;

    while (at < raw.bytes) {
        int byte = take_byte(raw, &at);

        if (byte < 0)
            return err_set(err, E_INVALID, "the path holds a broken escape");
        if (byte < 0x20 || byte == 0x7f || byte == '\\')
            return err_set(err, E_INVALID,
                           "the path holds an escaped control character or "
                           "backslash");
        path->has_slash |= byte == '/';
        to[bytes++] = (char)byte;
    }
    to[bytes] = '\0';
    *segment = (struct slice){ to, bytes };
    if (bytes == 0 || slice_is(*segment, ".") || slice_is(*segment, ".."))
        return err_set(err, E_INVALID,
                       "the path holds an empty segment, or one of dots");
    return 0;
}

static int
check_bytes(struct slice uri, struct err *err)
{
    if (uri.bytes > HTTP_URI_BYTES_MAX)
        return err_set(err, E_TOOBIG, "a URI of %zu bytes, at most %d",
                       uri.bytes, HTTP_URI_BYTES_MAX);
    if (uri.bytes == 0 || uri.data[0] != '/')
        return err_set(err, E_INVALID, "the URI does not begin with a slash");
    for (size_t i = 0; i < uri.bytes; i++) {
        unsigned char c = (unsigned char)uri.data[i];

        if (c <= 0x20 || c >= 0x7f || strchr("#\"<>\\^`{|}", c))
            return err_set(err, E_INVALID,
                           "the URI holds a byte that must be escaped");
    }
    return 0;
}

static int
cut(struct http_path *path, struct slice raw, struct err *err)
{
    char *to = path->text;
    size_t start = 1;

    if (raw.bytes == 1)
        return 0;
    for (size_t at = 1; at <= raw.bytes; at++) {
        struct slice segment = { raw.data + start, at - start };
        int rc;

        if (at < raw.bytes && raw.data[at] != '/')
            continue;
        if (path->count == HTTP_PATH_SEGMENTS_MAX)
            return err_set(err, E_INVALID, "the path has too many segments");
        rc = decode_segment(segment, to, path, err);
        if (rc < 0)
            return rc;
        to += path->segments[path->count++].bytes + 1;
        start = at + 1;
    }
    return 0;
}

int
http_path_parse(struct http_path *path, struct slice uri, struct err *err)
{
    const char *mark;
    struct slice raw = uri;
    int rc = check_bytes(uri, err);

    *path = (struct http_path){ 0 };
    if (rc < 0)
        return rc;
    mark = memchr(uri.data, '?', uri.bytes);
    if (mark) {
        raw.bytes = (size_t)(mark - uri.data);
        path->query_bytes = uri.bytes - raw.bytes - 1;
        path->query = mem_dup(mark + 1, path->query_bytes);
    }
    path->text = mem_zalloc(raw.bytes + 1, 1);
    rc = cut(path, raw, err);
    if (rc < 0)
        http_path_fini(path);
    return rc;
}

void
http_path_join(struct http_path *path, size_t from)
{
    struct slice *joined = &path->segments[from];

    assert(from < path->count);
    for (size_t i = from + 1; i < path->count; i++) {
        path->text[path->segments[i].data - path->text - 1] = '/';
        joined->bytes += 1 + path->segments[i].bytes;
    }
    path->count = from + 1;
}

void
http_path_fini(struct http_path *path)
{
    free(path->text);
    free(path->query);
    *path = (struct http_path){ 0 };
}

static void
decode_value(struct slice raw, struct buf *value)
{
    size_t at = 0;

    while (at < raw.bytes) {
        size_t before = at;
        int byte = raw.data[at] == '+' ? ' ' : take_byte(raw, &at);

        if (byte < 0) /* a broken escape stands for itself */
            byte = (unsigned char)raw.data[at];
        if (at == before)
            at++;
        buf_add_char(value, (char)byte);
    }
}

bool
http_path_query(const struct http_path *path, const char *name,
                struct buf *value)
{
    struct slice rest = { path->query, path->query_bytes };
    size_t bytes = strlen(name);

    for (int pairs = 0; rest.bytes && pairs < HTTP_QUERY_PAIRS_MAX; pairs++) {
        const char *end = memchr(rest.data, '&', rest.bytes);
        size_t pair = end ? (size_t)(end - rest.data) : rest.bytes;
        size_t taken = pair + (end ? 1 : 0);

        if (pair >= bytes && memcmp(rest.data, name, bytes) == 0 &&
            (pair == bytes || rest.data[bytes] == '=')) {
            size_t at = pair == bytes ? bytes : bytes + 1;

            decode_value((struct slice){ rest.data + at, pair - at }, value);
            return true;
        }
        rest.data += taken;
        rest.bytes -= taken;
    }
    return false;
}
