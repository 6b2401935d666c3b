/*
 * sheaf.h - the client library: talk to a Sheaf broker
 *
 * A connection sends messages (queue/PROTOCOL.md) to the broker and waits for
 * its answers. All of them may be repeated, and the library does: a message
 * that is not answered in time, or whose connection was made anew because the
 * broker was started again, is sent again with the same content. Only when
 * nothing at all was heard for `patience_ms` does a call give up, with
 * SHEAF_E_UNREACHABLE; the standing is unknown then, and the call may be made
 * again later.
 *
 *   struct sheaf_error error;
 *   struct sheaf_settings settings = { .endpoint = "ipc:///run/sheaf/clients" };
 *   struct sheaf *sheaf = sheaf_connect(&settings, &error);
 *   struct sheaf_upload *upload =
 *       sheaf_upload_open(sheaf, &submission, NULL, NULL, &error);
 *
 *   sheaf_upload_add(upload, "{\"id\":\"a\",\"text\":\"…\"}", 22, 1, &error);
 *   sheaf_upload_seal(upload, &error);
 *
 * This header needs nothing but the C library. Strings are UTF-8 and end with a
 * NUL, times are milliseconds since 1970 (UTC).
 *
 * Ownership: what a call lends (a reply, a page) stays until the next call on
 * the same connection. Threads: none; a connection belongs to one.
 * Out of memory ends the process.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SHEAF_H
#define SHEAF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* What functions return: 0, or one of these. */
enum sheaf_code {
    SHEAF_OK = 0,
    SHEAF_E_USAGE = -1,
    SHEAF_E_INVALID = -2,
    SHEAF_E_NOTFOUND = -3,
    SHEAF_E_TIMEOUT = -4,
    SHEAF_E_UNREACHABLE = -5,
    SHEAF_E_FULL = -6,
    SHEAF_E_DRAINING = -7,
    SHEAF_E_IO = -8,
    SHEAF_E_CONFLICT = -9,
    SHEAF_E_GAP = -10,
    SHEAF_E_CORRUPT = -11,
    SHEAF_E_VERSION = -12,
    SHEAF_E_INUSE = -13,
    SHEAF_E_STALE = -14,
    SHEAF_E_PROTOCOL = -15,
    SHEAF_E_TOOBIG = -16,
    SHEAF_E_STOPPED = -100, /* the idle function ended the call */
};

#define SHEAF_MESSAGE_BYTES    512
#define SHEAF_HEADER_BYTES_MAX 65536
#define SHEAF_UUID_BYTES       37 /* with its NUL */
#define SHEAF_VERSION_BYTES    32
#define SHEAF_STATE_BYTES      16

/* Filled in on failure. Functions accept NULL where it is not wanted. */
struct sheaf_error {
    int code;
    char message[SHEAF_MESSAGE_BYTES]; /* what was tried, on what, and why */
};

/* Called several times a second while a call waits. A value other than 0 ends
 * the call with SHEAF_E_STOPPED. It must not use the connection. */
typedef int sheaf_idle_fn(void *arg);

struct sheaf_settings {
    const char *endpoint;
    int connect_ms;      /* wait for the first connection; 0: 5000 */
    int answer_ms;       /* send again after this time; 0: 30000 */
    int patience_ms;     /* give up when nothing was heard; 0: 60000 */
    sheaf_idle_fn *idle; /* may be NULL */
    void *idle_arg;
};

struct sheaf; /* a connection */

/* An answer, lent until the next call. */
struct sheaf_reply {
    const char *header; /* JSON, ends with a NUL */
    size_t header_bytes;
    const char *body;
    size_t body_bytes;
};

/* What the broker says of itself. */
struct sheaf_welcome {
    char version[SHEAF_VERSION_BYTES];
    char store[SHEAF_UUID_BYTES];
    bool is_draining;
    int64_t chunk_bytes_max;
    int64_t chunk_drafts_max;
    int64_t line_bytes_max; /* of one draft; also fits into a chunk */
    int64_t window_bytes;
    int64_t group_chars_max; /* a group's characters stay below */
};

/* Prepares a connection; the broker need not be there yet. NULL:
 * SHEAF_E_USAGE, the endpoint is none. Closed with sheaf_close(). */
struct sheaf *sheaf_connect(const struct sheaf_settings *settings,
                            struct sheaf_error *error);

/* Ends the connection; NULL is fine. Its uploads are freed before. */
void sheaf_close(struct sheaf *sheaf);

/* Asks the broker for its version and limits. SHEAF_E_VERSION: it speaks
 * another protocol. */
int sheaf_hello(struct sheaf *sheaf, struct sheaf_welcome *welcome,
                struct sheaf_error *error);

/* Sends any message and waits for its answer. `header` is a JSON object with a
 * `verb` and without `re`; body may be NULL. An answer `error` becomes its
 * code. reply is filled in whenever an answer came and may be NULL. */
int sheaf_call(struct sheaf *sheaf, const char *header, const void *body,
               size_t body_bytes, struct sheaf_reply *reply,
               struct sheaf_error *error);

/* Waits at the broker until the batch is finished, or has a result with a `seq`
 * above `after` (below 0: does not matter), or wait_ms (at most 60000) are
 * over. The reply is a status. */
int sheaf_wait(struct sheaf *sheaf, const char *batch, int64_t after,
               int wait_ms, struct sheaf_reply *reply,
               struct sheaf_error *error);

/* The same, but for a batch that can go nowhere until somebody resumes an upstream:
 * that is answered, too, with a member `stalled` in the status. */
int sheaf_wait_or_stall(struct sheaf *sheaf, const char *batch, int64_t after,
                        int wait_ms, struct sheaf_reply *reply,
                        struct sheaf_error *error);

/* A place in a sequence of lines at the broker. */
struct sheaf_query {
    const char *verb;  /* "results", "refusals" or "export" */
    const char *batch; /* NULL for export */
    const char
        *order;       /* of results: "completion" or "input"; NULL: the first */
    int64_t cursor;   /* 0 at the beginning; sheaf_page() moves it */
    int limit;        /* lines of a page, at most 10000; 0: 500 */
    bool asks_ahead;  /* for the next page as soon as this one is there, so that
                        the broker looks it up meanwhile: for a caller that asks
                        for nothing else in between */
    const char *file; /* of results: the lines of OpenAI's "output" or "error"
                         file, or of "both"; NULL: result lines */
};

/* One page of them, lent until the next call. */
struct sheaf_page {
    const char *lines; /* each a JSON object and its newline */
    size_t bytes;
    int64_t count;
    bool has_more; /* false: there is nothing further now; true also of a page
                      that is empty: the next one goes on behind it */
};

/* Takes the next page and moves the query's cursor behind it. */
int sheaf_page(struct sheaf *sheaf, struct sheaf_query *query,
               struct sheaf_page *page, struct sheaf_error *error);

/* What makes a batch. Members left 0 have the defaults of the protocol. */
struct sheaf_submission {
    const char *key;      /* names it within the client; required */
    const char *client;   /* required */
    const char *name;     /* may be NULL, as all below */
    const char *metadata; /* a JSON object */
    const char *options;  /* a JSON object: members for all drafts */
    const char *window;
    const char *tz;
    int64_t not_before_ms;
    int64_t deadline_ms;
    int priority; /* 0 to 3, as it is: 1 is the usual one */
    bool is_early;
    bool adopts_terms; /* goes on with a batch that has the key, whatever name,
                          metadata, priority and window that has */
};

/* A draft that the broker does not take. All strings are lent for the call. */
struct sheaf_refusal {
    int64_t index;  /* of the draft in the batch, from 0 */
    uint64_t place; /* as given to sheaf_upload_add() */
    const char *field;
    const char *code;
    const char *message;
};

/* Called for each of them, in order within a chunk. It must not use the
 * upload or its connection. */
typedef void sheaf_refused_fn(void *arg, const struct sheaf_refusal *refusal);

/* What the broker has confirmed since the upload was opened. */
struct sheaf_tally {
    int64_t drafts; /* indexes so far, over the whole life of the batch */
    int64_t accepted;
    int64_t refused; /* by the broker */
    int64_t joined;
    int64_t cached;
};

struct sheaf_upload;

/* Opens a batch, or finds it again by its client and key. One upload at a time
 * for each connection. `refused` may be NULL. Ended with sheaf_upload_free(). */
struct sheaf_upload *sheaf_upload_open(
    struct sheaf *sheaf, const struct sheaf_submission *submission,
    sheaf_refused_fn *refused, void *arg, struct sheaf_error *error);

/* Frees the upload; NULL is fine. What was not confirmed may be lost: the batch
 * stays open, and the same submission goes on with it. */
void sheaf_upload_free(struct sheaf_upload *upload);

/* The batch's id and its state when it was opened. Lent while the upload
 * lives. */
const char *sheaf_upload_batch(const struct sheaf_upload *upload);
const char *sheaf_upload_state(const struct sheaf_upload *upload);

/* What the broker said of itself when it was opened; a hello of the caller's own
 * would only be one more. Lent while the upload lives. */
const struct sheaf_welcome *
sheaf_upload_welcome(const struct sheaf_upload *upload);

/* How many drafts the batch had when it was opened: a caller that resumes
 * leaves out as many lines of the same input. */
int64_t sheaf_upload_stored(const struct sheaf_upload *upload);

/* Adds one draft, without its newline. Lines travel in chunks; it waits while
 * the broker's window is full. `place` comes back if the draft is refused. No
 * bytes: a draft that the caller has refused itself; it takes an index.
 * SHEAF_E_TOOBIG: longer than the broker takes; nothing was added. */
int sheaf_upload_add(struct sheaf_upload *upload, const char *line,
                     size_t bytes, uint64_t place, struct sheaf_error *error);

/* Sends what is left, waits until all of it is on the broker's disk, and seals
 * the batch. Afterwards its state is "sealed" or later, or "empty" if the
 * broker accepted no draft and removed the batch. */
int sheaf_upload_seal(struct sheaf_upload *upload, struct sheaf_error *error);

/* The counts so far. */
struct sheaf_tally sheaf_upload_tally(const struct sheaf_upload *upload);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
