/* SPDX-License-Identifier: MIT */
#include "tests/bench/payload.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#define POOL_BYTES   ((size_t)1 << 20)
#define STEP_BYTES   UINT64_C(1048583) /* a prime: neighbours lie far apart */
#define NUMBER_BYTES 13                /* in front of a text: twelve digits */
#define REPLY_END                                                        \
    "\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":256," \
    "\"completion_tokens\":200,\"total_tokens\":456}}"

struct payload {
    char *pool;
    struct slice *lines; /* of the file; they lie in `file` */
    size_t line_count;
    struct buf file;
};

/* Printable ASCII but for the two that JSON escapes. */
static void
fill_pool(char *pool, size_t bytes)
{
    uint64_t state = 88172645463325252U;

    for (size_t i = 0; i < bytes; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        pool[i] = (char)('!' + (state >> 32) % 93);
        if (pool[i] == '"' || pool[i] == '\\')
            pool[i] = '~';
    }
}

static void
read_lines(struct payload *payload, const char *path)
{
    FILE *file = fopen(path, "re");
    size_t got, at = 0;

    if (!file)
        log_fatal("event=no_texts file=%s error=\"%s\"", path, strerror(errno));
    do {
        got = fread(buf_reserve(&payload->file, 65536), 1, 65536, file);
        buf_commit(&payload->file, got);
    } while (got > 0);
    if (ferror(file))
        log_fatal("event=no_texts file=%s error=\"%s\"", path, strerror(errno));
    (void)fclose(file);
    while (at < payload->file.bytes) {
        const char *line = payload->file.data + at;
        const char *end = memchr(line, '\n', payload->file.bytes - at);
        size_t bytes = end ? (size_t)(end - line) : payload->file.bytes - at;

        payload->lines = mem_grow(payload->lines, payload->line_count + 1,
                                  sizeof(payload->lines[0]));
        payload->lines[payload->line_count++] = (struct slice){ line, bytes };
        at += bytes + 1;
    }
    if (payload->line_count == 0)
        log_fatal("event=no_texts file=%s error=empty", path);
}

struct payload *
payload_new(const char *path)
{
    struct payload *payload = mem_zalloc(1, sizeof(*payload));

    if (path) {
        read_lines(payload, path);
        return payload;
    }
    payload->pool = mem_zalloc(POOL_BYTES, 1);
    fill_pool(payload->pool, POOL_BYTES);
    return payload;
}

void
payload_free(struct payload *payload)
{
    free(payload->pool);
    free(payload->lines);
    buf_fini(&payload->file);
    free(payload);
}

void
payload_text(const struct payload *payload, int64_t number, size_t bytes,
             struct buf *out)
{
    uint64_t n = (uint64_t)number;
    size_t rest = bytes - NUMBER_BYTES;

    if (payload->lines) {
        buf_add_slice(out, payload->lines[n % payload->line_count]);
        return;
    }
    assert(rest < POOL_BYTES);
    buf_addf(out, "%012" PRId64 " ", number);
    buf_add(out, payload->pool + n * STEP_BYTES % (POOL_BYTES - rest), rest);
}

void
payload_draft(const struct payload *payload, int64_t id, int64_t text,
              size_t bytes, struct buf *out)
{
    size_t start = out->bytes;

    buf_addf(out, "{\"id\":\"d-%012" PRId64 "\",\"text\":\"", id);
    assert(bytes >= PAYLOAD_BYTES_MIN);
    payload_text(payload, text, bytes - (out->bytes - start) - 2, out);
    buf_add_str(out, "\"}");
}

void
payload_reply(const struct payload *payload, int64_t number, size_t bytes,
              struct buf *out, struct slice *text)
{
    size_t start = out->bytes, head, end, room = 0;

    buf_addf(out,
             "{\"id\":\"chatcmpl-%" PRId64 "\",\"object\":\"chat.completion\","
             "\"created\":0,\"model\":\"bench\",\"choices\":[{\"index\":0,"
             "\"message\":{\"role\":\"assistant\",\"content\":\"",
             number);
    head = out->bytes;
    if (bytes > head - start + strlen(REPLY_END))
        room = bytes - (head - start) - strlen(REPLY_END);
    payload_text(payload, number, room > NUMBER_BYTES ? room : NUMBER_BYTES,
                 out);
    end = out->bytes;
    buf_add_str(out, REPLY_END);
    *text = (struct slice){ out->data + head, end - head };
}
