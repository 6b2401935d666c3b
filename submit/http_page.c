/* SPDX-License-Identifier: MIT */
#include "submit/http_page.h"

#include <stdio.h>
#include <string.h>

#include "base/digest.h"

#define ETAG_BYTES (DIGEST_HEX_BYTES + 2) /* with its quotes */

/* The bytes of a file become those between two names. The path is looked for
 * where headers are; that the file has changed, the Makefile sees. */
#define EMBED(name, path)                                        \
    __asm__(".pushsection .rodata\n"                             \
            ".global page_" #name "_first, page_" #name "_end\n" \
            ".hidden page_" #name "_first, page_" #name "_end\n" \
            "page_" #name "_first:\n.incbin \"" path "\"\n"      \
            "page_" #name "_end:\n.byte 0\n.popsection\n");      \
    extern const char page_##name##_first[], page_##name##_end[]

EMBED(index, "submit/page/index.html");
EMBED(style, "submit/page/page.css");
EMBED(script, "submit/page/page.js");

/* True if the client has the file as it is now. Any of the tags may be it; one
 * that is weak is as good, as the bytes are compared whole. */
static bool
is_known(const struct http_request *request, const char *etag)
{
    const char *tags = request->kept[HTTP_KEPT_IF_NONE_MATCH];

    return tags && strstr(tags, etag) != NULL;
}

static void
reply_file(struct http_request *request, const char *type, const char *first,
           const char *end)
{
    struct slice file = { first, (size_t)(end - first) };
    unsigned char digest[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES], etag[ETAG_BYTES];

    digest_of(file.data, file.bytes, digest);
    digest_hex(digest, hex);
    (void)snprintf(etag, sizeof(etag), "\"%s\"", hex);
    http_reply_field(request, "ETag", etag);
    http_reply_field(request, "Cache-Control", "no-cache");
    http_reply_field(request, "Content-Security-Policy", HTTP_PAGE_POLICY);
    http_reply_field(request, "Referrer-Policy", "no-referrer");
    http_reply_field(request, "Cross-Origin-Opener-Policy", "same-origin");
    http_reply_field(request, "Cross-Origin-Resource-Policy", "same-origin");
    if (is_known(request, etag))
        http_reply(request, 304, type, (struct slice){ 0 });
    else
        http_reply(request, 200, type, file);
}

void
http_page_index(struct http_request *request)
{
    reply_file(request, "text/html; charset=utf-8", page_index_first,
               page_index_end);
}

void
http_page_style(struct http_request *request)
{
    reply_file(request, "text/css; charset=utf-8", page_style_first,
               page_style_end);
}

void
http_page_script(struct http_request *request)
{
    reply_file(request, "text/javascript; charset=utf-8", page_script_first,
               page_script_end);
}
