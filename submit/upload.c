/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "submit/connection.h"
#include "submit/opening.h"
#include "submit/refusals.h"
#include "submit/sheaf_error.h"
#include "submit/upload_chunk.h"

#define CHUNKS_MAX 64 /* on their way at one time, whatever their size */
/* A chunk is sent when another line exceeds a fourth of the window, within these.
 * Each takes some 80 us of the processors besides what its drafts take, most of
 * which is the waking of threads at both ends. */
#define CHUNK_BYTES_MIN 65536
#define CHUNK_BYTES_MAX 131072
#define WINDOW_CHUNKS   4
/* On their way, if the broker allows as many: one commit of a thousand drafts,
 * the next thousand, which are read meanwhile, and another thousand behind them,
 * as long as they have 1 KiB. With less, the broker flushes what little has been
 * read, and its disk decides the rate. */
#define WINDOW_BYTES 3145728
#define TICK_MS      100

#define KEY_SHOWN_BYTES 128 /* in an error; a longer key is none */

struct sheaf_upload {
    struct sheaf *sheaf;
    char batch[SHEAF_UUID_BYTES];
    char state[SHEAF_STATE_BYTES];
    struct sheaf_welcome limits;
    struct listener listener;
    int64_t stored; /* drafts when it was opened */
    struct sheaf_tally tally;
    int64_t n_next;     /* number of the chunk that is being filled */
    int64_t index_next; /* of the next draft */
    struct upload_chunk ring[CHUNKS_MAX];
    size_t first, count; /* chunks that were closed and are not done with */
    size_t window_bytes; /* of those not answered */
    struct err failed;   /* the first error that an answer brought */
};

static struct upload_chunk *
at(struct sheaf_upload *upload, size_t i)
{
    return &upload->ring[(upload->first + i) % CHUNKS_MAX];
}

/* The chunk that is being filled stands behind those in the ring. */
static struct upload_chunk *
filling(struct sheaf_upload *upload)
{
    assert(upload->count < CHUNKS_MAX);
    return at(upload, upload->count);
}

static int
take_stored(struct sheaf_upload *upload, struct upload_chunk *chunk,
            const struct wire *wire, struct err *err)
{
    const cJSON *list = wire_get(wire, "refused");
    int64_t accepted, joined, cached, refused;
    int64_t lines = (int64_t)(chunk->count - chunk->empties);

    if (wire_int(wire, "accepted", wire_range(0, lines), &accepted, err) ||
        wire_int(wire, "joined", wire_range_or(0, WIRE_INT_MAX, 0), &joined,
                 err) ||
        wire_int(wire, "cached", wire_range_or(0, WIRE_INT_MAX, 0), &cached,
                 err) ||
        wire_int(wire, "window_bytes",
                 wire_range_or(1, WIRE_INT_MAX, upload->limits.window_bytes),
                 &upload->limits.window_bytes, err)) {
        return err->code;
    }
    refused = lines - accepted;
    upload->tally.accepted += accepted;
    upload->tally.joined += joined;
    upload->tally.cached += cached;
    upload->tally.refused += refused;
    if (upload->tally.drafts < chunk->first + (int64_t)chunk->count)
        upload->tally.drafts = chunk->first + (int64_t)chunk->count;
    upload->window_bytes -= chunk->bytes;
    link_body_free(chunk->body);
    chunk->body = NULL;
    chunk->is_stored = true;
    /* A header is limited: of many, the rest is asked for page by page. */
    chunk->is_short = upload_chunk_count(chunk, list) < refused;
    if (!chunk->is_short)
        upload_chunk_tell_all(chunk, list, &upload->listener);
    return 0;
}

/* A chunk was left out: all from there on go again. */
static int
take_gap(struct sheaf_upload *upload, const struct wire *wire, struct err *err)
{
    int64_t expected;
    bool is_known = false;

    if (wire_int(wire, "expected", wire_range(1, WIRE_INT_MAX), &expected,
                 NULL) < 0) {
        return err_set(err, E_PROTOCOL, "the broker's gap has no number");
    }
    for (size_t i = 0; i < upload->count; i++) {
        struct upload_chunk *chunk = at(upload, i);

        if (chunk->n == expected && !chunk->is_stored)
            is_known = true;
        if (chunk->n >= expected && !chunk->is_stored)
            chunk->made = -1;
    }
    if (is_known)
        return 0;
    return err_set(err, E_GAP, "batch %s: the broker expects chunk %lld",
                   upload->batch, (long long)expected);
}

/* Takes the answer to a chunk. An error is kept for the caller's next call. */
static void
take(void *arg, const struct wire *wire)
{
    struct sheaf_upload *upload = arg;
    struct upload_chunk *chunk = NULL;
    struct err err = { 0 };
    int64_t re;
    int rc;

    if (wire_int(wire, "re", wire_range(0, WIRE_INT_MAX), &re, NULL) < 0)
        return;
    for (size_t i = 0; i < upload->count && !chunk; i++) {
        if (at(upload, i)->re == re && !at(upload, i)->is_stored)
            chunk = at(upload, i);
    }
    if (!chunk)
        return;
    rc = connection_error(wire, &err);
    if (rc == E_GAP)
        rc = take_gap(upload, wire, &err);
    else if (rc == 0)
        rc = take_stored(upload, chunk, wire, &err);
    if (rc < 0 && !upload->failed.code) {
        err_wrap(&err, "batch %s, chunk %lld", upload->batch,
                 (long long)chunk->n);
        upload->failed = err;
    }
}

/* Asks for what was refused of a chunk, when its answer could not hold it. */
static int
ask_refused(struct sheaf_upload *upload, struct upload_chunk *chunk,
            struct err *err)
{
    int64_t end = chunk->first + (int64_t)chunk->count;
    struct sheaf_refusal refusal = { .index = -1 };
    struct refusals refusals;
    int rc;

    refusals_init(&refusals, upload->sheaf, upload->batch, chunk->first);
    do {
        rc = refusals_next(&refusals, &refusal, err);
        if (rc == 0)
            upload_chunk_tell(chunk, &refusal, &upload->listener);
    } while (rc == 0 && refusal.index < end);
    refusals_fini(&refusals);
    chunk->is_short = false;
    return rc < 0 ? rc : 0;
}

/* Lets go of the chunks at the front that are done with. */
static int
settle(struct sheaf_upload *upload, struct err *err)
{
    while (upload->count > 0 && at(upload, 0)->is_stored) {
        struct upload_chunk *chunk = at(upload, 0);
        int rc = chunk->is_short ? ask_refused(upload, chunk, err) : 0;

        if (rc < 0)
            return rc;
        upload->first = (upload->first + 1) % CHUNKS_MAX;
        upload->count--;
        /* Kept, the memory of a slot would stay with each of them. */
        upload_chunk_fini(chunk);
    }
    if (upload->failed.code) {
        *err = upload->failed;
        return err->code;
    }
    return 0;
}

/* Sends one chunk. False: not now. */
static bool
send_chunk(struct sheaf_upload *upload, struct upload_chunk *chunk)
{
    struct slice body = link_body_text(chunk->body);
    cJSON *head = wire_new("chunk");
    unsigned char digest[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    struct buf text = { 0 };
    bool is_sent;

    /* A new number for each time, so that the answer to an earlier one, a gap
     * perhaps, is not taken for the answer to this one. */
    chunk->re = ++upload->sheaf->re_last;
    digest_of(body.data, body.bytes, digest);
    digest_hex(digest, hex);
    wire_add_int(head, "re", chunk->re);
    wire_add_str(head, "batch", upload->batch);
    wire_add_int(head, "n", chunk->n);
    wire_add_str(head, "digest", hex);
    wire_print(head, &text);
    is_sent = connection_share(upload->sheaf, buf_slice(&text), chunk->body);
    buf_fini(&text);
    chunk->made = is_sent ? upload->sheaf->made_count : -1;
    chunk->sent_ms = clock_mono_ms();
    return is_sent;
}

/* Sends, in order, what was not sent over this connection or not answered in
 * time. */
static void
send_due(struct sheaf_upload *upload)
{
    int64_t now_ms = clock_mono_ms();

    for (size_t i = 0; i < upload->count; i++) {
        struct upload_chunk *chunk = at(upload, i);
        bool is_due = chunk->made != upload->sheaf->made_count ||
                      now_ms - chunk->sent_ms >= upload->sheaf->answer_ms;

        if (!chunk->is_stored && is_due && !send_chunk(upload, chunk))
            return;
    }
}

/* Sends and takes answers until at most `count_max` chunks and `bytes_max`
 * bytes wait for theirs. */
static int
pump(struct sheaf_upload *upload, size_t count_max, size_t bytes_max,
     struct err *err)
{
    connection_begin(upload->sheaf);
    for (;;) {
        struct wire wire = { .head = NULL };
        bool is_full;
        int rc = settle(upload, err);

        if (rc < 0)
            return rc;
        send_due(upload);
        is_full = upload->count > count_max || upload->window_bytes > bytes_max;
        rc = connection_wait(upload->sheaf, is_full ? TICK_MS : 0, 0, &wire,
                             err);
        if (rc < 0)
            return err_wrap(err, "batch %s", upload->batch);
        if (rc == 0) {
            take(upload, &wire);
            wire_fini(&wire);
        } else if (!is_full) {
            return 0;
        }
    }
}

/* How much may be on its way. */
static size_t
window_of(const struct sheaf_upload *upload)
{
    return upload->limits.window_bytes < WINDOW_BYTES
               ? (size_t)upload->limits.window_bytes
               : WINDOW_BYTES;
}

/* Closes the chunk that is being filled, sends it, and starts another one. */
static int
close_chunk(struct sheaf_upload *upload, struct err *err)
{
    struct upload_chunk *chunk = filling(upload);
    size_t window_bytes = window_of(upload), others = 0;
    int rc;

    if (chunk->count == 0)
        return 0;
    if (window_bytes > chunk->text.bytes)
        others = window_bytes - chunk->text.bytes;
    /* Room first: for its bytes in the window, and for one more in the ring,
     * where the chunk to be filled next stands. */
    rc = pump(upload, CHUNKS_MAX - 2, others, err);
    if (rc < 0)
        return rc;
    chunk->n = upload->n_next++;
    chunk->made = -1;
    chunk->bytes = chunk->text.bytes;
    chunk->body = link_body_new(&chunk->text);
    upload->window_bytes += chunk->bytes;
    upload->count++;
    return pump(upload, CHUNKS_MAX - 1, window_bytes, err);
}

static int
read_opened(struct sheaf_upload *upload, const struct wire *wire,
            struct err *err)
{
    const char *batch, *state;

    if (wire_str(wire, "batch", SHEAF_UUID_BYTES - 1, NULL, &batch, err) ||
        wire_str(wire, "state", SHEAF_STATE_BYTES - 1, NULL, &state, err) ||
        wire_int(wire, "next_chunk", wire_range(1, WIRE_INT_MAX),
                 &upload->n_next, err) ||
        wire_int(wire, "drafts", wire_range(0, WIRE_INT_MAX), &upload->stored,
                 err) ||
        wire_int(wire, "window_bytes",
                 wire_range_or(1, WIRE_INT_MAX, upload->limits.window_bytes),
                 &upload->limits.window_bytes, err)) {
        return err->code;
    }
    memcpy(upload->batch, batch, strlen(batch) + 1);
    memcpy(upload->state, state, strlen(state) + 1);
    upload->index_next = upload->stored;
    upload->tally.drafts = upload->stored;
    return 0;
}

/* Says whose opening failed, and leaves room for why. */
static void
name_key(const char *key, struct err *err)
{
    struct slice shown = utf8_cut(slice_of(key), KEY_SHOWN_BYTES);

    err_wrap(err, "open a batch with key '%.*s%s'", (int)shown.bytes,
             shown.data, key[shown.bytes] ? "..." : "");
}

static int
open_batch(struct sheaf_upload *upload,
           const struct sheaf_submission *submission, struct err *err)
{
    cJSON *head = opening_header(submission, err);
    struct wire wire;
    int rc;

    if (!head)
        return err->code;
    rc = connection_call(upload->sheaf, head, slice_of(submission->options), 0,
                         &wire, err);
    if (rc == 0)
        rc = read_opened(upload, &wire, err);
    wire_fini(&wire);
    if (rc < 0 && rc != E_UNREACHABLE && rc != SHEAF_E_STOPPED)
        name_key(submission->key, err);
    return rc;
}

struct sheaf_upload *
sheaf_upload_open(struct sheaf *sheaf,
                  const struct sheaf_submission *submission,
                  sheaf_refused_fn *refused, void *arg,
                  struct sheaf_error *error)
{
    struct sheaf_upload *upload = mem_zalloc(1, sizeof(*upload));
    struct err err = { 0 };

    assert(!sheaf->stray); /* one upload at a time */
    upload->sheaf = sheaf;
    upload->listener = (struct listener){ refused, arg };
    if (sheaf_hello(sheaf, &upload->limits, error) < 0) {
        free(upload);
        return NULL;
    }
    if (open_batch(upload, submission, &err) < 0) {
        sheaf_error_give(error, &err);
        free(upload);
        return NULL;
    }
    sheaf->stray = take;
    sheaf->stray_arg = upload;
    return upload;
}

void
sheaf_upload_free(struct sheaf_upload *upload)
{
    if (!upload)
        return;
    upload->sheaf->stray = NULL;
    for (size_t i = 0; i < CHUNKS_MAX; i++)
        upload_chunk_fini(&upload->ring[i]);
    free(upload);
}

const struct sheaf_welcome *
sheaf_upload_welcome(const struct sheaf_upload *upload)
{
    return &upload->limits;
}

const char *
sheaf_upload_batch(const struct sheaf_upload *upload)
{
    return upload->batch;
}

const char *
sheaf_upload_state(const struct sheaf_upload *upload)
{
    return upload->state;
}

int64_t
sheaf_upload_stored(const struct sheaf_upload *upload)
{
    return upload->stored;
}

struct sheaf_tally
sheaf_upload_tally(const struct sheaf_upload *upload)
{
    return upload->tally;
}

static size_t
chunk_bytes_max(const struct sheaf_upload *upload)
{
    size_t bytes = window_of(upload) / WINDOW_CHUNKS;

    if (bytes > CHUNK_BYTES_MAX)
        bytes = CHUNK_BYTES_MAX;
    if (bytes < CHUNK_BYTES_MIN)
        bytes = CHUNK_BYTES_MIN;
    return upload->limits.chunk_bytes_max < (int64_t)bytes
               ? (size_t)upload->limits.chunk_bytes_max
               : bytes;
}

static int
add(struct sheaf_upload *upload, struct slice line, uint64_t place,
    struct err *err)
{
    size_t bytes_max = chunk_bytes_max(upload);
    size_t drafts_max = (size_t)upload->limits.chunk_drafts_max;
    struct upload_chunk *chunk = filling(upload);

    if (line.bytes > (size_t)upload->limits.line_bytes_max) {
        return err_set(err, E_TOOBIG, "a draft of %zu bytes, at most %lld",
                       line.bytes, (long long)upload->limits.line_bytes_max);
    }
    /* A longer line makes a chunk of its own. */
    if (chunk->count == drafts_max ||
        (chunk->count > 0 && chunk->text.bytes + line.bytes + 1 > bytes_max)) {
        int rc = close_chunk(upload, err);

        if (rc < 0)
            return rc;
        chunk = filling(upload);
    }
    if (chunk->count == 0)
        upload_chunk_open(chunk, upload->index_next, drafts_max, bytes_max);
    upload_chunk_add(chunk, line, place);
    upload->index_next++;
    return 0;
}

int
sheaf_upload_add(struct sheaf_upload *upload, const char *line, size_t bytes,
                 uint64_t place, struct sheaf_error *error)
{
    struct err err = { 0 };
    int rc = add(upload, (struct slice){ line, bytes }, place, &err);

    return rc < 0 ? sheaf_error_give(error, &err) : 0;
}

/* True if nothing was accepted: then the batch is gone with its seal, and whoever
 * has to ask again, as the answer was lost, finds none. */
static bool
is_empty(const struct sheaf_upload *upload)
{
    return upload->stored == 0 && upload->tally.accepted == 0;
}

static int
seal(struct sheaf_upload *upload, struct err *err)
{
    const char *state = "empty";
    struct wire wire;
    cJSON *head;
    int rc = close_chunk(upload, err);

    if (rc == 0)
        rc = pump(upload, 0, 0, err);
    if (rc < 0)
        return rc;
    head = wire_new("seal");
    wire_add_str(head, "batch", upload->batch);
    wire_add_int(head, "chunks", upload->n_next - 1);
    wire_add_int(head, "drafts", upload->index_next);
    rc = connection_call(upload->sheaf, head, (struct slice){ NULL, 0 }, 0,
                         &wire, err);
    if (rc == 0)
        rc = wire_str(&wire, "state", SHEAF_STATE_BYTES - 1, NULL, &state, err);
    else if (rc == E_NOTFOUND && is_empty(upload))
        rc = 0;
    if (rc == 0)
        memcpy(upload->state, state, strlen(state) + 1);
    wire_fini(&wire);
    return rc < 0 ? err_wrap(err, "seal batch %s", upload->batch) : 0;
}

int
sheaf_upload_seal(struct sheaf_upload *upload, struct sheaf_error *error)
{
    struct err err = { 0 };
    int rc = seal(upload, &err);

    return rc < 0 ? sheaf_error_give(error, &err) : 0;
}
