/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <uuid/uuid.h>

#include "base/log.h"
#include "queue/filing.h"

/* A slice of a batch's files. */
struct making {
    struct broker *broker;
    struct batch batch;
    struct filing filing;
    struct buf lines[FILING_SIDES];
    bool is_last;
    int64_t now_ms;
};

/* Puts results into lines, from where the last slice ended: as many as a page of
 * results may have, and one at least. */
static void
make_lines(struct making *making)
{
    struct store *store = making->broker->env.store;
    struct filing *filing = &making->filing;
    size_t most = store_slice(store);
    size_t bytes_max = (size_t)making->broker->env.conf->results_page_bytes_max;

    for (size_t i = 0;
         i < most &&
         making->lines[0].bytes + making->lines[1].bytes < bytes_max;
         i++) {
        struct result_row row;
        int rc = store_result_at(store, filing->batch, filing->make_at, &row);

        if (rc == E_CORRUPT)
            log_error("event=draft_damaged batch=%llu index=%u",
                      (unsigned long long)filing->batch, row.draft.index);
        if (rc < 0 && rc != E_CORRUPT) {
            making->is_last = true;
            return;
        }
        if (rc == 0) {
            openai_line(&making->lines[openai_side(&row)], &row,
                        making->broker->env.conf);
        }
        filing->make_at = row.draft.index + 1;
    }
}

/* A new file for one side. */
static int
add_file(struct making *making, int side, struct file *file)
{
    struct store *store = making->broker->env.store;
    char uuid[CORE_UUID_TEXT_BYTES];
    struct spec spec;
    int rc = store_spec_get(store, making->batch.id, &spec);

    if (rc < 0)
        return rc;
    *file = (struct file){ .state = FILE_OPEN,
                           .purpose = FILE_BATCH_OUTPUT,
                           .created_ms = making->now_ms,
                           .ttl_ms = making->filing.ttl_ms };
    uuid_generate_random(file->uuid);
    memcpy(file->batch, making->batch.uuid, sizeof(file->batch));
    core_uuid_text(making->batch.uuid, uuid);
    (void)snprintf(file->client, sizeof(file->client), "%.*s",
                   (int)spec.client.bytes, spec.client.data);
    (void)snprintf(file->name, sizeof(file->name), "batch_%s_%s.jsonl", uuid,
                   side == FILING_OUTPUT ? "output" : "error");
    store_file_add(store, file);
    making->filing.making[side] = file->id;
    return 0;
}

/* Adds the lines of one side to its file, and closes that behind the last. */
static int
write_side(struct making *making, int side)
{
    struct store *store = making->broker->env.store;
    struct filing *filing = &making->filing;
    unsigned char digest[DIGEST_BYTES];
    struct file file;
    int rc;

    if (filing->making[side] == 0 && making->lines[side].bytes == 0) {
        memset(filing->made[side], 0, sizeof(filing->made[side]));
        return 0;
    }
    rc = filing->making[side]
             ? store_file_get(store, filing->making[side], &file)
             : add_file(making, side, &file);
    if (rc < 0)
        return rc;
    store_file_append(store, &file, buf_slice(&making->lines[side]));
    if (!making->is_last)
        return 0;
    rc = store_file_digest(store, &file, digest);
    if (rc < 0)
        return rc;
    store_file_close(store, &file, digest, making->now_ms);
    memcpy(filing->made[side], file.uuid, sizeof(file.uuid));
    filing->making[side] = 0;
    making->broker->counters.files_made++;
    return 0;
}

/* What is damaged stays as it is, with no timer: `verify` names it. */
static int
write_slice(struct making *making)
{
    struct store *store = making->broker->env.store;
    int rc = 0;

    for (int side = 0; side < FILING_SIDES && rc == 0; side++)
        rc = write_side(making, side);
    if (rc < 0) {
        log_error("event=files_damaged batch=%llu reason=\"%s\"",
                  (unsigned long long)making->batch.id, err_text(rc));
        return rc;
    }
    if (making->is_last) {
        filing_move(&making->filing, FILING_FILED);
        making->filing.filed_ms = making->now_ms;
        making->broker->has_results = true;
        deliveries_batch_ended(making->broker, &making->batch);
        log_info("event=batch_filed batch=%llu",
                 (unsigned long long)making->batch.id);
    }
    store_filing_put(store, &making->filing);
    return 0;
}

void
making_run(struct broker *broker, const struct timer *timer, int64_t now_ms)
{
    struct making making = { .broker = broker, .now_ms = now_ms };
    struct timer next = *timer;
    struct err err = { 0 };
    bool goes_on;

    if (store_batch_get(broker->env.store, timer->id, &making.batch) < 0 ||
        making.batch.state == BATCH_PURGED ||
        store_filing_get(broker->env.store, timer->id, &making.filing) < 0 ||
        making.filing.phase != FILING_MAKING) {
        return;
    }
    make_lines(&making);
    next.due_ms = now_ms;
    if (store_admit_part(broker->env.store,
                         making.lines[0].bytes + making.lines[1].bytes,
                         &err) < 0) {
        log_warn("event=files_wait batch=%llu reason=\"%s\"",
                 (unsigned long long)timer->id, err.msg);
        retain_want_room(broker, now_ms);
        next.due_ms = now_ms + FILING_WAIT_MS;
        goes_on = true;
    } else {
        goes_on = write_slice(&making) == 0 && !making.is_last;
    }
    if (goes_on)
        store_timer_set(broker->env.store, &next);
    for (int side = 0; side < FILING_SIDES; side++)
        buf_fini(&making.lines[side]);
}
