/*
 * survey.c - tells what is in a store, for a test to compare
 *
 *   survey <DIRECTORIES >REPORT
 *
 * Reads the name of a store's directory a line and answers each with lines of
 * words, the last of which is `end`. It opens a store as the broker does, but
 * without taking its lock and without a commit: what it finds is what a broker
 * would begin with. Texts that a user or an upstream chose are in hexadecimal,
 * long ones are told by their SHA-256:
 *
 *   batch UUID STATE CLIENT KEY OPTIONS NEXT_CHUNK DRAFTS REFUSED LAST_SEQ DONE
 *         OK
 *   chunk UUID N DIGEST BODY FIRST DRAFTS ACCEPTED JOINED CACHED REFUSED
 *   refusal UUID INDEX LINE FIELD CODE MESSAGE
 *   draft UUID INDEX REQUEST SEQ REVISION STATUS LINE RESULT
 *   request ID STATE FENCE STATUS REPLY
 *   worker UUID
 *   fault TEXT          something that does not hold in a sound store
 *   refused TEXT        the store cannot be opened
 *
 * A fault does not end it, a damaged page may: that is for the caller to see.
 */
/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* getline */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "base/log.h"
#include "queue/core.h"
#include "store/chunk_rows.h"
#include "store/rows.h"
#include "store/verify.h"

#define MAP_BYTES (1u << 28)

typedef unsigned long long llu;

static void
print_hex(struct slice text)
{
    putchar(' ');
    if (text.bytes == 0)
        putchar('-');
    for (size_t i = 0; i < text.bytes; i++)
        printf("%02x", (unsigned char)text.data[i]);
}

static void
print_digest(struct slice text)
{
    unsigned char digest[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];

    digest_of(text.data, text.bytes, digest);
    digest_hex(digest, hex);
    printf(" %s", hex);
}

static void
print_fault(const char *what, int rc)
{
    printf("fault %s: %s\n", what, err_text(rc));
}

/* ---- one batch ---- */

static void
print_batch(struct store *store, const struct batch *batch, const char *uuid)
{
    struct spec spec;
    int rc = store_spec_get(store, batch->id, &spec);

    if (rc < 0) {
        print_fault("a batch's spec", rc);
        return;
    }
    printf("batch %s %s", uuid, batch_state_name(batch->state));
    print_hex(spec.client);
    print_hex(spec.key);
    print_digest(spec.options);
    printf(" %u %u %u %llu %u %u\n", batch->chunk_next, batch->draft_count,
           batch->refused_count, (llu)batch->last_seq, batch_done_count(batch),
           batch->status_count[STATUS_OK]);
}

static void
print_chunk(struct store *store, uint64_t batch, const struct chunk *chunk,
            const char *uuid)
{
    char hex[DIGEST_HEX_BYTES];
    struct slice body = { 0 };
    int rc = part_get(store, batch, chunk->n, chunk->part_first, &body);

    if (rc < 0)
        print_fault("a chunk's body", rc);
    digest_hex(chunk->digest, hex);
    printf("chunk %s %u %s", uuid, chunk->n, hex);
    print_digest(body);
    printf(" %u %u %u %u %u %u\n", chunk->index_first, chunk->draft_count,
           chunk->accepted, chunk->joined, chunk->cached, chunk->refused);
}

static void
print_chunks(struct store *store, const struct batch *batch, const char *uuid)
{
    struct chunk chunk;

    for (uint32_t n = 1; n < batch->chunk_next; n++) {
        int rc = store_chunk_get(store, batch->id, n, &chunk);

        if (rc == 0)
            print_chunk(store, batch->id, &chunk, uuid);
        else
            print_fault("a chunk", rc);
    }
}

static void
print_refusals(struct store *store, uint64_t batch, const char *uuid)
{
    struct refusal refusal = { 0 };
    int rc;

    while ((rc = store_refusal_next(store, batch, refusal.index, &refusal)) ==
           0) {
        printf("refusal %s %u %u", uuid, refusal.index, refusal.line);
        print_hex(refusal.field);
        print_hex(refusal.code);
        print_hex(refusal.message);
        putchar('\n');
        refusal.index++;
    }
    if (rc != E_NOTFOUND)
        print_fault("a refusal", rc);
}

static void
print_draft(struct store *store, const struct draft *draft, const char *uuid)
{
    struct result_row row = { 0 };
    struct buf result = { 0 };
    struct slice line;
    int rc = store_draft_line(store, draft, &line);

    if (rc == 0 && draft->seq)
        rc = store_result_at(store, draft->batch, draft->index, &row);
    if (rc < 0) {
        print_fault("a draft", rc);
        return;
    }
    printf("draft %s %u %llu %llu %u %s", uuid, draft->index,
           (llu)draft->request, (llu)draft->seq, draft->revision,
           draft->seq ? status_name(draft->status) : "-");
    print_digest(line);
    if (draft->seq) {
        result_line(&result, &row, uuid);
        print_digest(buf_slice(&result));
    }
    putchar('\n');
    buf_fini(&result);
}

static void
print_drafts(struct store *store, const struct batch *batch, const char *uuid)
{
    struct draft draft;

    for (uint32_t index = 0; index < batch->draft_count; index++) {
        int rc = store_draft_get(store, batch->id, index, &draft);

        if (rc == 0)
            print_draft(store, &draft, uuid);
        else if (rc != E_NOTFOUND) /* one that was refused is not there */
            print_fault("a draft", rc);
    }
}

static void
print_batches(struct store *store)
{
    struct batch batch = { 0 };
    char uuid[CORE_UUID_TEXT_BYTES];
    int rc;

    while ((rc = store_batch_after(store, batch.id, &batch)) == 0) {
        core_uuid_text(batch.uuid, uuid);
        print_batch(store, &batch, uuid);
        /* What is being removed is there in part. */
        if (batch.state == BATCH_PURGED || batch.state == BATCH_ABANDONED)
            continue;
        print_chunks(store, &batch, uuid);
        print_refusals(store, batch.id, uuid);
        print_drafts(store, &batch, uuid);
    }
    if (rc != E_NOTFOUND)
        print_fault("a batch", rc);
}

/* ---- requests and workers ---- */

static void
print_requests(struct store *store)
{
    for (uint64_t id = 1; id <= store->ids.request; id++) {
        struct outcome outcome = { 0 };
        struct request request;
        struct slice reply = { 0 };
        int rc = store_request_get(store, id, &request);

        if (rc == E_NOTFOUND)
            continue;
        if (rc == 0 && request.status != STATUS_NONE)
            rc = store_answer_get(store, &request, &outcome, &reply);
        if (rc < 0 && rc != E_NOTFOUND) {
            print_fault("a request", rc);
            continue;
        }
        printf("request %llu %s %u %s", (llu)id,
               request_state_name(request.state), request.fence,
               request.status ? status_name(request.status) : "-");
        print_digest(reply);
        putchar('\n');
    }
}

static void
print_workers(struct store *store)
{
    struct worker_row row;
    unsigned char last[16];
    char uuid[CORE_UUID_TEXT_BYTES];
    int rc = store_worker_after(store, NULL, &row);

    while (rc == 0) {
        core_uuid_text(row.uuid, uuid);
        printf("worker %s\n", uuid);
        memcpy(last, row.uuid, sizeof(last));
        rc = store_worker_after(store, last, &row);
    }
    if (rc != E_NOTFOUND)
        print_fault("a worker", rc);
}

/* ---- a store ---- */

static void
print_faults(struct store *store)
{
    struct buf report = { 0 };
    struct verify verify = { .report = &report };
    struct err err = { 0 };
    char *rest, *line = NULL;

    if (store_verify(store, &verify, &err) != 0)
        printf("fault it cannot be verified: %s\n", err.msg);
    if (verify.findings)
        line = strtok_r(report.data, "\n", &rest);
    for (; line; line = strtok_r(NULL, "\n", &rest))
        printf("fault %s\n", line);
    buf_fini(&report);
}

static void
survey(const char *dir)
{
    static const unsigned char uuid[STORE_UUID_BYTES] = "a power loss";
    struct err err = { 0 };
    struct store *store = store_open(dir, MAP_BYTES, uuid, &err);

    if (!store || store_begin(store, store_latest_ms(store), &err) < 0) {
        printf("refused %s\n", err.msg);
    } else {
        print_faults(store);
        print_batches(store);
        print_requests(store);
        print_workers(store);
        store_abort(store);
    }
    store_close(store);
    puts("end");
    fflush(stdout);
}

int
main(void)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t bytes;

    log_setup(LOG_ERROR, false);
    while ((bytes = getline(&line, &room, stdin)) > 0) {
        if (line[bytes - 1] == '\n')
            line[bytes - 1] = '\0';
        survey(line);
    }
    free(line);
    return 0;
}
