/*
 * drive_sheaf.c - submits to Sheaf, as its client library does it
 *
 * put: a batch for each client, from its opening to its seal. single: the same
 * with one draft a message, each sent when the one before is on the disk.
 * TARGET is the endpoint for clients.
 */
/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/log.h"
#include "submit/sheaf.h"
#include "tests/bench/drive.h"

#define KEY_BYTES    64
#define HEADER_BYTES 256

static struct sheaf *
connect_to(const struct drive *drive)
{
    struct sheaf_settings settings = { .endpoint = drive->target };
    struct sheaf_error error = { 0 };
    struct sheaf_welcome welcome;
    struct sheaf *sheaf = sheaf_connect(&settings, &error);

    if (!sheaf || sheaf_hello(sheaf, &welcome, &error) < 0)
        log_fatal("event=no_broker error=\"%s\"", error.message);
    return sheaf;
}

static struct sheaf_upload *
open_batch(struct sheaf *sheaf, const struct drive_client *client)
{
    char key[KEY_BYTES];
    struct sheaf_submission submission = { .key = key,
                                           .client = "bench",
                                           .priority = 1 };
    struct sheaf_error error = { 0 };
    struct sheaf_upload *upload;

    (void)snprintf(key, sizeof(key), "%lld-%d-%d",
                   (long long)client->drive->first, client->number, getpid());
    upload = sheaf_upload_open(sheaf, &submission, NULL, NULL, &error);
    if (!upload)
        log_fatal("event=not_opened error=\"%s\"", error.message);
    return upload;
}

/* All were taken, or the figure would be of something else. */
static void
seal(struct sheaf_upload *upload, int64_t count)
{
    struct sheaf_error error = { 0 };

    if (sheaf_upload_seal(upload, &error) < 0)
        log_fatal("event=not_sealed error=\"%s\"", error.message);
    if (sheaf_upload_tally(upload).accepted != count) {
        log_fatal("event=refused accepted=%lld sent=%lld",
                  (long long)sheaf_upload_tally(upload).accepted,
                  (long long)count);
    }
}

static void
run_put(struct drive_client *client)
{
    struct sheaf *sheaf = connect_to(client->drive);
    struct sheaf_error error = { 0 };
    struct sheaf_upload *upload;
    struct buf line = { 0 };

    drive_ready(client);
    upload = open_batch(sheaf, client);
    for (int64_t i = 0; i < client->count; i++) {
        drive_item(client, i, &line);
        if (sheaf_upload_add(upload, line.data, line.bytes, (uint64_t)i,
                             &error) < 0) {
            log_fatal("event=not_added error=\"%s\"", error.message);
        }
    }
    seal(upload, client->count);
    sheaf_upload_free(upload);
    sheaf_close(sheaf);
    buf_fini(&line);
}

static void
send_chunk(struct sheaf *sheaf, const char *batch, int64_t n,
           const struct buf *line)
{
    unsigned char digest[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES], header[HEADER_BYTES];
    struct sheaf_reply reply;
    struct sheaf_error error = { 0 };

    digest_of(line->data, line->bytes, digest);
    digest_hex(digest, hex);
    (void)snprintf(header, sizeof(header),
                   "{\"verb\":\"chunk\",\"batch\":\"%s\",\"n\":%lld,"
                   "\"digest\":\"%s\"}",
                   batch, (long long)n, hex);
    if (sheaf_call(sheaf, header, line->data, line->bytes, &reply, &error) < 0)
        log_fatal("event=not_stored error=\"%s\"", error.message);
    if (!strstr(reply.header, "\"accepted\":1"))
        log_fatal("event=refused answer=\"%s\"", reply.header);
}

static void
run_single(struct drive_client *client)
{
    struct sheaf *sheaf = connect_to(client->drive);
    struct sheaf_upload *upload = open_batch(sheaf, client);
    const char *batch = sheaf_upload_batch(upload);
    struct buf line = { 0 };

    drive_ready(client);
    for (int64_t i = 0; i < client->count; i++) {
        drive_item(client, i, &line);
        buf_add_char(&line, '\n');
        send_chunk(sheaf, batch, i + 1, &line);
    }
    sheaf_upload_free(upload);
    sheaf_close(sheaf);
    buf_fini(&line);
}

int
main(int argc, char **argv)
{
    static const struct drive_verb verbs[] = { { "put", run_put },
                                               { "single", run_single },
                                               { NULL, NULL } };

    return drive_main(argc, argv, verbs);
}
