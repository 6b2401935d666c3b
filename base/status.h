/*
 * status.h - how a draft can end, and what is kept then
 *
 * One table for everybody: the broker that decides it, the store that keeps it
 * (by number: never reorder), the command line that prints it.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

/* What is kept of a draft that was not answered. */
enum status_keep {
    STATUS_KEEP_ANSWER,
    STATUS_KEEP_ESSENCE, /* up to 8 tokens of the input */
    STATUS_KEEP_ERROR,   /* the upstream's own words */
    STATUS_KEEP_NOTHING,
};

/* clang-format off */
#define STATUS_LIST(X)                                        \
    X(OK,                "ok",                STATUS_KEEP_ANSWER)  \
    X(RATE_LIMITED,      "rate_limited",      STATUS_KEEP_ESSENCE) \
    X(AUTH_ERROR,        "auth_error",        STATUS_KEEP_ERROR)   \
    X(BAD_REQUEST,       "bad_request",       STATUS_KEEP_ERROR)   \
    X(NOT_FOUND,         "not_found",         STATUS_KEEP_ERROR)   \
    X(UNPROCESSABLE,     "unprocessable",     STATUS_KEEP_ERROR)   \
    X(PERMISSION_DENIED, "permission_denied", STATUS_KEEP_ERROR)   \
    X(SERVER_ERROR,      "server_error",      STATUS_KEEP_ESSENCE) \
    X(ERROR,             "error",             STATUS_KEEP_ESSENCE) \
    X(EXPIRED,           "expired",           STATUS_KEEP_ESSENCE) \
    X(CANCELLED,         "cancelled",         STATUS_KEEP_NOTHING)
/* clang-format on */

#define STATUS_ENUM(name, text, keep) STATUS_##name,
enum status { STATUS_NONE, STATUS_LIST(STATUS_ENUM) STATUS_COUNT };
#undef STATUS_ENUM

/* The name of a status as in result lines; "" for STATUS_NONE. */
const char *status_name(enum status status);

/* The status of a name; STATUS_NONE if it is none. */
enum status status_parse(const char *name);

/* What is kept for it. */
enum status_keep status_keep(enum status status);

#endif
