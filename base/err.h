/*
 * err.h - the one error vocabulary of the project
 *
 * A function that can fail returns 0 or a negative code from this list. If a
 * person may have to read the reason, it also takes a struct err as its last
 * parameter and fills it in. Bugs are not errors: they are assert()s.
 *
 * The codes also travel: their wire names stand in error replies (see
 * queue/PROTOCOL.md), and submit/ turns them into exit codes.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_ERR_H
#define BASE_ERR_H

/*    name          code  wire name       text */
/* clang-format off */
#define ERR_LIST(X)                                                           \
    X(E_USAGE,       -1, "usage",         "wrong usage")                      \
    X(E_INVALID,     -2, "invalid",       "invalid input")                    \
    X(E_NOTFOUND,    -3, "not_found",     "no such thing")                    \
    X(E_TIMEOUT,     -4, "timeout",       "timed out")                        \
    X(E_UNREACHABLE, -5, "unreachable",   "the peer cannot be reached")       \
    X(E_FULL,        -6, "full",          "a configured limit is reached")    \
    X(E_DRAINING,    -7, "draining",      "the broker is shutting down")      \
    X(E_IO,          -8, "io",            "input/output error")               \
    X(E_CONFLICT,    -9, "conflict",      "in conflict with what exists")     \
    X(E_GAP,        -10, "gap",           "something in between is missing")  \
    X(E_CORRUPT,    -11, "corrupt",       "stored data is damaged")           \
    X(E_VERSION,    -12, "version",       "a version that is not understood") \
    X(E_INUSE,      -13, "in_use",        "in use by another process")        \
    X(E_STALE,      -14, "stale",         "granted again since")              \
    X(E_PROTOCOL,   -15, "protocol",      "not according to the protocol")    \
    X(E_TOOBIG,     -16, "too_big",       "above the size limit")
/* clang-format on */

#define ERR_ENUM(name, code, wire, text) name = (code),
enum err_code { ERR_LIST(ERR_ENUM) };
#undef ERR_ENUM

#define ERR_MSG_BYTES 512

struct err {
    int code; /* 0, or one of enum err_code */
    char msg[ERR_MSG_BYTES];
};

/* Fills in err and returns code, so that a caller can `return err_set(...)`.
 * err may be NULL when nobody will read the reason. */
int err_set(struct err *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the message that is already in err and returns its
 * code. err may be NULL; then E_INVALID is returned. */
int err_wrap(struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* What a call of the system that failed with errno `error` is: E_FULL where there
 * is no room, else E_IO. */
int err_of_errno(int error);

/* The fixed text of a code. Never NULL, never to be freed. */
const char *err_text(int code);

/* The wire name of a code, such as "not_found". "internal" if unknown. */
const char *err_name(int code);

/* The code of a wire name. E_PROTOCOL if no code has that name. */
int err_from_name(const char *name);

#endif
