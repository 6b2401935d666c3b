/*
 * filing.h - from which file a batch is made, and in which files it ends
 *
 *              sealed             ended                 files stored
 *   reading ──────────► running ─────────► making ─────────────────► filed
 *      │                   ▲                 │                         │
 *      │                   └────── retry ────┴─────────────────────────┘
 *      └──► over: failed or cancelled before it was sealed
 *
 * A batch that is made from a file has one besides its record: how far the file
 * is read, and how far the output and error files are made. Each slice of both
 * writes it in the transaction of what it did.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_FILING_H
#define STORE_FILING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "store/file.h"
#include "store/record.h"

#define FILING_FAULTS_MAX 100 /* bad lines of a file that are remembered */

/* The endpoints that a file's lines may be for. The order is the format. */
#define FILING_ENDPOINTS(X)           \
    X(CHAT, "/v1/chat/completions")   \
    X(RESPONSES, "/v1/responses")     \
    X(COMPLETIONS, "/v1/completions") \
    X(EMBEDDINGS, "/v1/embeddings")

#define FILING_ENUM(name, text) ENDPOINT_##name,
enum filing_endpoint { FILING_ENDPOINTS(FILING_ENUM) ENDPOINT_COUNT };
#undef FILING_ENUM

/* clang-format off */
#define FILING_TO(phase) (1u << FILING_##phase)
/*    name     the phases it may move to. The order is the format. */
#define FILING_PHASES(X)                                                      \
    X(READING, FILING_TO(RUNNING) | FILING_TO(OVER))                          \
    X(RUNNING, FILING_TO(MAKING))                                             \
    X(MAKING,  FILING_TO(FILED) | FILING_TO(RUNNING))                         \
    X(FILED,   FILING_TO(RUNNING))                                            \
    X(OVER,    0)
/* clang-format on */

#define FILING_PHASE(name, to) FILING_##name,
enum filing_phase { FILING_PHASES(FILING_PHASE) FILING_PHASE_COUNT };
#undef FILING_PHASE

/* The two files. */
enum filing_side { FILING_OUTPUT, FILING_ERROR };
#define FILING_SIDES 2

struct filing {
    uint64_t batch;
    enum filing_phase phase;
    enum filing_endpoint endpoint;
    bool is_skipping; /* what is read next is the rest of a line too long */
    uint64_t input;   /* the file it is made from; it may be gone */
    unsigned char input_uuid[FILE_UUID_BYTES];
    uint64_t read_at; /* the bytes of it that were read */
    uint32_t lines;   /* physical ones of these */
    uint32_t inputs;  /* reading: embeddings that they ask for */
    int64_t ttl_ms;   /* of the files that it ends in; 0: none */
    int64_t made_ms;  /* when making began, for the last time; 0: not yet */
    int64_t filed_ms; /* when they were stored; 0: not yet */
    uint32_t make_at; /* making: the draft where it goes on */
    uint64_t making[FILING_SIDES]; /* files that are being made; 0: none */
    unsigned char made[FILING_SIDES][FILE_UUID_BYTES]; /* stored; 0: none */
};

/* The text of an endpoint; its number, or -1. */
const char *filing_endpoint_name(enum filing_endpoint endpoint);
int filing_endpoint_parse(const char *name);

/* Changes the phase. A move that the table does not have is a bug. */
void filing_move(struct filing *filing, enum filing_phase to);

/* Fields to bytes and back; decoding reports E_CORRUPT. */
void filing_encode(const struct filing *filing, struct buf *out);
int filing_decode(struct record *record, struct filing *filing);

/* ---- in a store's transaction ---- */

struct store;

/* The filing of a batch. E_NOTFOUND: it is not made from a file. */
int store_filing_get(struct store *store, uint64_t batch,
                     struct filing *filing);
void store_filing_put(struct store *store, const struct filing *filing);

#endif
