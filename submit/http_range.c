/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "submit/http_request.h"

#define UNIT       "bytes="
#define DIGITS_MAX 15 /* no body has more bytes than that */

/* Takes a number off the text; -1 if there is none. */
static int64_t
take_number(struct slice *text)
{
    int64_t number = -1;
    size_t digits = 0;

    while (text->bytes && *text->data >= '0' && *text->data <= '9' &&
           digits++ < DIGITS_MAX) {
        number = (number < 0 ? 0 : number * 10) + (*text->data - '0');
        text->data++;
        text->bytes--;
    }
    return number;
}

/* One range: "first-last", "first-" or "-count"; false: it is another thing,
 * which is to be passed over. */
static bool
read_range(struct slice text, int64_t *first, int64_t *last)
{
    size_t unit = strlen(UNIT);

    if (text.bytes <= unit || memcmp(text.data, UNIT, unit) != 0)
        return false;
    text.data += unit;
    text.bytes -= unit;
    *first = take_number(&text);
    if (text.bytes == 0 || *text.data != '-')
        return false;
    text.data++;
    text.bytes--;
    *last = take_number(&text);
    return text.bytes == 0 && (*first >= 0 || *last >= 0) &&
           (*first < 0 || *last < 0 || *first <= *last);
}

int
http_range(struct http_request *request, int64_t bytes, int64_t *from,
           int64_t *count)
{
    char text[96];
    int64_t first, last;

    *from = 0;
    *count = bytes;
    if (!read_range(slice_of(request->kept[HTTP_KEPT_RANGE]), &first, &last))
        return 200;
    if (first < 0) { /* so many from the end */
        first = last < bytes ? bytes - last : 0;
        last = last > 0 ? bytes - 1 : -1;
    } else if (last < 0 || last >= bytes) {
        last = bytes - 1;
    }
    if (first >= bytes || last < first) {
        (void)snprintf(text, sizeof(text), "bytes */%lld", (long long)bytes);
        http_reply_field(request, "Content-Range", text);
        *count = 0;
        return 416;
    }
    (void)snprintf(text, sizeof(text), "bytes %lld-%lld/%lld", (long long)first,
                   (long long)last, (long long)bytes);
    http_reply_field(request, "Content-Range", text);
    *from = first;
    *count = last - first + 1;
    return 206;
}
