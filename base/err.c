/* SPDX-License-Identifier: MIT */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int code;
    const char *wire;
    const char *text;
} codes[] = {
#define ERR_ROW(name, code, wire, text) { code, wire, text },
    ERR_LIST(ERR_ROW)
#undef ERR_ROW
};

#define CODE_COUNT (sizeof(codes) / sizeof(codes[0]))

int
err_set(struct err *err, int code, const char *fmt, ...)
{
    va_list args;

    if (!err)
        return code;
    err->code = code;
    va_start(args, fmt);
    /* A reason that is too long is cut: it is for people. */
    if (vsnprintf(err->msg, sizeof(err->msg), fmt, args) < 0)
        err->msg[0] = '\0';
    va_end(args);
    return code;
}

int
err_wrap(struct err *err, const char *fmt, ...)
{
    char prefix[ERR_MSG_BYTES], rest[ERR_MSG_BYTES];
    va_list args;

    if (!err)
        return E_INVALID;
    va_start(args, fmt);
    if (vsnprintf(prefix, sizeof(prefix), fmt, args) < 0)
        prefix[0] = '\0';
    va_end(args);
    memcpy(rest, err->msg, sizeof(rest));
    return err_set(err, err->code, "%s: %s", prefix, rest);
}

int
err_of_errno(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EFBIG ? E_FULL : E_IO;
}

const char *
err_text(int code)
{
    for (size_t i = 0; i < CODE_COUNT; i++) {
        if (codes[i].code == code)
            return codes[i].text;
    }
    return code == 0 ? "no error" : "unknown error";
}

const char *
err_name(int code)
{
    for (size_t i = 0; i < CODE_COUNT; i++) {
        if (codes[i].code == code)
            return codes[i].wire;
    }
    return "internal";
}

int
err_from_name(const char *name)
{
    for (size_t i = 0; i < CODE_COUNT; i++) {
        if (strcmp(codes[i].wire, name) == 0)
            return codes[i].code;
    }
    return E_PROTOCOL;
}
