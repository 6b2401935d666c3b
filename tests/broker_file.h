/*
 * broker_file.h - clients' files on the bench, and batches made from them
 *
 * All for client `c`; contents have ' for ".
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BROKER_FILE_H
#define TESTS_BROKER_FILE_H

#include "tests/broker_fixture.h"

/* Asks for an upload; uuid is filled in if it was opened. */
const cJSON *file_ask_open(struct bench *bench, const char *client,
                           const char *key, size_t bytes,
                           char uuid[BENCH_UUID_BYTES]);

/* Sends a part; closes with the digest of a content. */
const cJSON *file_ask_part(struct bench *bench, const char *uuid, size_t at,
                           const char *bytes);
const cJSON *file_ask_close(struct bench *bench, const char *uuid,
                            const char *content);

/* Uploads a file in parts of 100,000 bytes. */
void file_upload(struct bench *bench, const char *key, const char *content,
                 char uuid[BENCH_UUID_BYTES]);

/* All bytes of a stored file, for the caller to free. */
char *file_download(struct bench *bench, const char *uuid);

/* Opens a batch from a file for chat completions; its uuid. */
void file_batch(struct bench *bench, const char *key, const char *file,
                char uuid[BENCH_UUID_BYTES]);

/* Uploads a file, opens a batch from it, and does all that is due. */
void file_make(struct bench *bench, const char *content,
               char file[BENCH_UUID_BYTES], char batch[BENCH_UUID_BYTES]);

/* The status of a batch. Fails the test if `from_file.status` in it is not as
 * wanted. */
const cJSON *file_status(struct bench *bench, const char *batch);
void file_expect_status(struct bench *bench, const char *batch,
                        const char *want);

/* Appends a line of a file: a chat completion with a text. */
void file_add_line(struct buf *content, const char *id, const char *text);

/* Fails the test if store_verify() finds anything. */
void bench_verify(struct bench *bench);

#endif
