/*
 * upstream_script.h - what the test upstream does to which call
 *
 * A script is a text file with one rule a line; empty lines and lines that
 * start with '#' are skipped. A rule is words `key=value` with blanks between:
 *
 *   match=flaky each=1 times=2 status=500
 *   match=busy times=3 status=429 header="Retry-After: 1"
 *   after=10 times=1 action=hang
 *   match='"model":"slow"' latency=200
 *
 * A value is bare (up to the next blank), or in '…' (taken as it stands), or in
 * "…" with the escapes \n \r \t \" \\.
 *
 *   match=TEXT     calls whose body holds TEXT, byte for byte; default: all
 *   after=N        skip the first N calls that match (0)
 *   times=N        then apply to N calls and to no more (all)
 *   each=1         count after= and times= apart for each distinct body
 *   beyond=N       only to calls that come when N calls got by in the last
 *   within=MS      MS milliseconds (1000); the others get by, and are counted
 *   latency=MS     wait before acting (--latency-ms)
 *   until=FILE     then wait until there is such a file
 *   status=N       the reply's status, 200 to 599 (200)
 *   header="N: V"  a header of the reply; may stand several times. In V,
 *                  {date+MS}, {rfc3339+MS}, {unix+MS} and {unix_ms+MS} are
 *                  MS milliseconds after the reply: upstream_moment.h
 *   body=TEXT      the reply's body; default: the answer for 200, an error
 *                  object for others
 *   file=FILE      the same, read from a file when the script is
 *   action=NAME    what to do (reply); the list is below
 *   size=KIB       how much is huge (65536; 1024 for huge_headers)
 *   every=MS       the pause between the bytes of drip (50)
 *
 * A call goes through the rules from the top. Each rule that matches counts it;
 * the first whose count is beyond after= and within times= is the one, and the
 * rules below it don't see the call. If there is none, the call is answered.
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UPSTREAM_SCRIPT_H
#define TESTS_UPSTREAM_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "tests/upstream_tally.h"

#define SCRIPT_BYTES_MAX 1048576
#define FILE_BYTES_MAX   16777216 /* of a body */
#define RULE_COUNT_MAX   1024
#define RULE_HEADER_MAX  16
#define RULE_BEYOND_MAX  256
#define RULE_ALL         (-1) /* times: no end; latency_ms: the default */

/*    name            script            what it does */
/* clang-format off */
#define ACTION_LIST(X)                                                        \
    X(REPLY,          "reply",          "status, headers and body")           \
    X(REFUSE,         "refuse",         "the model refuses: content is null") \
    X(LENGTH,         "length",         "the answer ran into max_tokens")     \
    X(HTML,           "html",           "a page instead of JSON")             \
    X(EMPTY,          "empty",          "no body")                            \
    X(TRUNCATED_JSON, "truncated_json", "half of the body, as if it were all")\
    X(HANG,           "hang",           "nothing until the client leaves")    \
    X(CUT_BEFORE,     "cut_before",     "close before any byte")              \
    X(RESET,          "reset",          "the same with a TCP reset")          \
    X(CUT_HEADERS,    "cut_headers",    "close within the headers")           \
    X(CUT_BODY,       "cut_body",       "close after half of the body")       \
    X(RESET_BODY,     "reset_body",     "a TCP reset after half of the body") \
    X(WRONG_LENGTH,   "wrong_length",   "Content-Length is half of the body") \
    X(GARBAGE,        "garbage",        "bytes that are not HTTP")            \
    X(DRIP,           "drip",           "the body byte by byte")              \
    X(HUGE,           "huge",           "an answer padded by size=")          \
    X(ENDLESS,        "endless",        "an answer that never ends")          \
    X(HUGE_HEADERS,   "huge_headers",   "headers of size= in all")
/* clang-format on */

#define ACTION_ENUM(name, script, text) ACTION_##name,
enum action { ACTION_LIST(ACTION_ENUM) ACTION_COUNT };
#undef ACTION_ENUM

struct rule_header {
    char *name;
    char *value;
};

struct rule {
    long line;    /* in the file, from 1; 0: no rule applied */
    char *match;  /* NULL: every call */
    char *until;  /* a file to wait for; NULL: none */
    long after;   /* calls */
    long times;   /* calls, or RULE_ALL */
    long each;    /* 1: count each distinct body apart */
    long beyond;  /* calls; 0: no matter how many get by */
    long within;  /* ms */
    long latency; /* ms, or RULE_ALL: the program's default */
    long status;  /* 200 to 599 */
    long size;    /* KiB; 0: the action's default */
    long every;   /* ms */
    /* No data: it is made for the status. */
    struct buf body;
    size_t headers; /* how many */
    struct rule_header header[RULE_HEADER_MAX];
    enum action action;
    uint64_t count;                  /* private: matching calls so far */
    struct tally seen;               /* private: the same for each body */
    long passed_ms[RULE_BEYOND_MAX]; /* private: when the newest ones got by */
};

struct script;

/* Reads a script; a NULL path gives one without rules. 0 and *script, which is
 * freed with script_free(); E_IO, or E_INVALID with file, line and reason. */
int script_open(const char *path, struct script **script, struct err *err)
    __attribute__((warn_unused_result));

/* Frees the script; NULL is fine. */
void script_close(struct script *script);

/* Counts a call with this body and digest of it, and returns what to do with
 * it, borrowed from the script. May be called by several threads at a time. */
const struct rule *script_pick(struct script *script, struct slice body,
                               const unsigned char digest[DIGEST_BYTES]);

/* Forgets all counts, as if the script had been read just now. */
void script_reset(struct script *script);

/* Reads a decimal number from min to max. 0 and *value, or E_INVALID. */
int script_number(const char *text, long min, long max, long *value)
    __attribute__((warn_unused_result));

#endif
