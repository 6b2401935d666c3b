/* SPDX-License-Identifier: MIT */
#include "submit/http_page.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "submit/http_route.h"

#define ETAG_BYTES (DIGEST_HEX_BYTES + 2) /* with its quotes */

/* The bytes of a file become those between two names. The path is looked for
 * where headers are; that the file has changed, the Makefile sees. */
#define EMBED(name, url, path, type)                             \
    __asm__(".pushsection .rodata\n"                             \
            ".hidden page_" #name "_first, page_" #name "_end\n" \
            ".global page_" #name "_first, page_" #name "_end\n" \
            "page_" #name "_first:\n.incbin \"" path "\"\n"      \
            "page_" #name "_end:\n.byte 0\n.popsection\n");      \
    extern const char page_##name##_first[], page_##name##_end[];
HTTP_PAGE_FILES(EMBED)
#undef EMBED

#define FILE_ROW(name, url, path, type) \
    { url, type "; charset=utf-8", page_##name##_first, page_##name##_end },
static const struct file {
    const char *url, *type;
    const char *first, *end;
} files[] = { HTTP_PAGE_FILES(FILE_ROW) };
#undef FILE_ROW

static const struct file *
file_of(const struct http_request *request)
{
    size_t i = 0;

    while (strcmp(files[i].url, request->route->pattern) != 0) {
        i++;
        assert(i < sizeof(files) / sizeof(files[0]));
    }
    return &files[i];
}

/* True if the client has the file as it is now. Any of its tags may be it; one
 * that is weak is as good, as the bytes are compared whole. */
static bool
is_known(const struct http_request *request, const char *etag)
{
    const char *tags = request->kept[HTTP_KEPT_IF_NONE_MATCH];

    return tags && strstr(tags, etag) != NULL;
}

void
http_page(struct http_request *request)
{
    const struct file *file = file_of(request);
    struct slice bytes = { file->first, (size_t)(file->end - file->first) };
    unsigned char digest[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES], etag[ETAG_BYTES];

    digest_of(bytes.data, bytes.bytes, digest);
    digest_hex(digest, hex);
    (void)snprintf(etag, sizeof(etag), "\"%s\"", hex);
    http_reply_field(request, "ETag", etag);
    http_reply_field(request, "Cache-Control", "no-cache");
    http_reply_field(request, "Content-Security-Policy", HTTP_PAGE_POLICY);
    http_reply_field(request, "Referrer-Policy", "no-referrer");
    http_reply_field(request, "Cross-Origin-Opener-Policy", "same-origin");
    http_reply_field(request, "Cross-Origin-Resource-Policy", "same-origin");
    if (is_known(request, etag))
        http_reply(request, 304, file->type, (struct slice){ 0 });
    else
        http_reply(request, 200, file->type, bytes);
}
