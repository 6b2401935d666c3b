/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "queue/filing.h"

#define PAGE_ROWS_MAX     10000
#define PAGE_ROWS_DEFAULT 1000
#define PAGE_LOOKS_MAX    10000  /* rows that one page looks at */
#define PAGE_PASSED_MAX   100000 /* others' results that one page passes over */

#define SIDE_NONE (-1) /* result lines */
#define SIDE_BOTH (-2) /* each result as the line of its file */

/* What a page may hold, and where it begins. */
struct page {
    int64_t after, limit;
    int side; /* lines of that file of a batch; or one of those below */
    struct buf lines;
    int64_t count, cursor, looks, passed;
    bool has_more;
};

static int
read_page(struct call *call, struct page *page)
{
    if (wire_int(call->wire, "after", wire_range_or(0, WIRE_INT_MAX, 0),
                 &page->after, call->err) < 0 ||
        wire_int(call->wire, "limit",
                 wire_range_or(1, PAGE_ROWS_MAX, PAGE_ROWS_DEFAULT),
                 &page->limit, call->err) < 0) {
        return E_INVALID;
    }
    page->cursor = page->after;
    page->side = SIDE_NONE;
    return 0;
}

/* A place behind the last result is of another store, or from before this one was
 * restored: what comes next would stand in front of it, and never be read. */
static int
check_seq(struct call *call, const struct page *page)
{
    uint64_t last = store_last_seq(call->broker->env.store);

    if ((uint64_t)page->after <= last)
        return 0;
    return err_set(call->err, E_CONFLICT,
                   "after: no result has the seq %lld, the last one has %llu: "
                   "the cursor is another store's, or from before this one was "
                   "restored from a backup; begin again without it",
                   (long long)page->after, (unsigned long long)last);
}

static bool
is_full(const struct call *call, const struct page *page)
{
    return page->count == page->limit || page->looks == PAGE_LOOKS_MAX ||
           page->passed >= PAGE_PASSED_MAX ||
           page->lines.bytes >=
               (size_t)call->broker->env.conf->results_page_bytes_max;
}

static void
send_page(struct call *call, struct page *page, const char *verb,
          const struct batch *batch)
{
    cJSON *head = core_answer(call, verb);
    char uuid[CORE_UUID_TEXT_BYTES];

    if (batch) {
        core_uuid_text(batch->uuid, uuid);
        wire_add_str(head, "batch", uuid);
        wire_add_str(head, "state", batch_state_name(batch->state));
    }
    wire_add_int(head, "count", page->count);
    wire_add_int(head, "cursor", page->cursor);
    wire_add_bool(head, "more", page->has_more);
    buf_swap(core_send(call, head), &page->lines);
    buf_fini(&page->lines);
}

/* Adds a row unless it is too much for the page: it may be added alone. */
static bool
add_row(struct call *call, struct page *page, const struct result_row *row,
        const char *uuid)
{
    size_t before = page->lines.bytes;

    if (page->side >= 0 && (int)openai_side(row) != page->side)
        return true;
    if (page->side != SIDE_NONE)
        openai_line(&page->lines, row, call->broker->env.conf);
    else
        result_line(&page->lines, row, uuid);
    if (page->count > 0 &&
        page->lines.bytes >
            (size_t)call->broker->env.conf->results_page_bytes_max) {
        page->lines.bytes = before;
        return false;
    }
    page->count++;
    return true;
}

static void
fill_by_seq(struct call *call, struct page *page, const struct batch *batch)
{
    struct store *store = call->broker->env.store;
    struct batch of = { 0 };
    char uuid[CORE_UUID_TEXT_BYTES] = "";
    struct result_row row;
    int rc;

    for (;;) {
        rc = store_result_after(store, batch ? batch->id : 0,
                                (uint64_t)page->cursor, &row);
        if (rc < 0 && rc != E_CORRUPT)
            return;
        page->passed += row.passed;
        if (is_full(call, page))
            break;
        page->looks++;
        if (rc == 0 && of.id != row.draft.batch) {
            if (store_batch_get(store, row.draft.batch, &of) < 0)
                rc = E_CORRUPT;
            else
                core_uuid_text(of.uuid, uuid);
        }
        if (rc == 0 && of.state == BATCH_PURGED)
            rc = E_NOTFOUND;
        if (rc == 0 && !add_row(call, page, &row, uuid))
            break;
        /* A damaged one is passed over; `verify` names it. */
        page->cursor = (int64_t)row.draft.seq;
    }
    page->has_more = true;
}

static void
fill_by_index(struct call *call, struct page *page, const struct batch *batch)
{
    struct store *store = call->broker->env.store;
    char uuid[CORE_UUID_TEXT_BYTES];
    struct result_row row;
    int rc;

    core_uuid_text(batch->uuid, uuid);
    while (page->cursor < UINT32_MAX) {
        rc = store_result_at(store, batch->id, (uint32_t)page->cursor, &row);
        if (rc < 0 && rc != E_CORRUPT)
            return;
        if (is_full(call, page) ||
            (rc == 0 && !add_row(call, page, &row, uuid))) {
            page->has_more = true;
            return;
        }
        page->looks++;
        page->cursor = (int64_t)row.draft.index + 1;
    }
}

/* Which file's lines are wanted, if any. */
static int
read_side(struct call *call, struct page *page)
{
    const char *file;

    if (wire_str(call->wire, "file", 16, "", &file, call->err) < 0)
        return E_INVALID;
    if (strcmp(file, "output") == 0)
        page->side = FILING_OUTPUT;
    else if (strcmp(file, "error") == 0)
        page->side = FILING_ERROR;
    else if (strcmp(file, "both") == 0)
        page->side = SIDE_BOTH;
    else if (*file)
        return err_set(call->err, E_INVALID, "file: output, error or both");
    return 0;
}

int
answer_results(struct call *call)
{
    struct page page = { 0 };
    struct batch batch;
    const char *order = "";
    int rc = core_batch(call, &batch);

    if (rc == 0)
        rc = read_page(call, &page);
    if (rc == 0)
        rc = read_side(call, &page);
    if (rc == 0)
        rc = wire_str(call->wire, "order", 16, "completion", &order, call->err);
    if (rc < 0)
        return rc;
    if (strcmp(order, "input") == 0) {
        fill_by_index(call, &page, &batch);
    } else if (strcmp(order, "completion") == 0) {
        rc = check_seq(call, &page);
        if (rc == 0)
            fill_by_seq(call, &page, &batch);
    } else {
        rc = err_set(call->err, E_INVALID, "order: completion or input");
    }
    if (rc < 0)
        return rc;
    send_page(call, &page, "results", &batch);
    return 0;
}

int
answer_export(struct call *call)
{
    struct page page = { 0 };
    int rc = read_page(call, &page);

    if (rc == 0)
        rc = check_seq(call, &page);
    if (rc < 0)
        return rc;
    fill_by_seq(call, &page, NULL);
    send_page(call, &page, "export", NULL);
    return 0;
}

int
answer_refusals(struct call *call)
{
    struct page page = { 0 };
    struct refusal refusal;
    struct batch batch;
    int rc = core_batch(call, &batch);

    if (rc == 0)
        rc = read_page(call, &page);
    if (rc < 0)
        return rc;
    while (page.cursor < UINT32_MAX &&
           store_refusal_next(call->broker->env.store, batch.id,
                              (uint32_t)page.cursor, &refusal) == 0) {
        if (is_full(call, &page)) {
            page.has_more = true;
            break;
        }
        buf_addf(&page.lines, "{\"index\":%u,\"code\":", refusal.index);
        json_write_string(&page.lines, refusal.code.data, refusal.code.bytes);
        buf_add_str(&page.lines, ",\"field\":");
        json_write_string(&page.lines, refusal.field.data, refusal.field.bytes);
        buf_add_str(&page.lines, ",\"message\":");
        json_write_string(&page.lines, refusal.message.data,
                          refusal.message.bytes);
        if (refusal.file_line)
            buf_addf(&page.lines, ",\"line\":%u}\n", refusal.file_line);
        else
            buf_add_str(&page.lines, ",\"line\":null}\n");
        page.cursor = (int64_t)refusal.index + 1;
        page.count++;
    }
    send_page(call, &page, "refusals", &batch);
    return 0;
}

int
answer_chunks(struct call *call)
{
    struct page page = { 0 };
    struct batch batch;
    int rc = core_batch(call, &batch);

    if (rc == 0)
        rc = read_page(call, &page);
    if (rc < 0)
        return rc;
    while (page.cursor + 1 < batch.chunk_next) {
        char hex[DIGEST_HEX_BYTES];
        struct chunk chunk;

        if (is_full(call, &page)) {
            page.has_more = true;
            break;
        }
        rc = store_chunk_get(call->broker->env.store, batch.id,
                             (uint32_t)page.cursor + 1, &chunk);
        if (rc < 0) {
            buf_fini(&page.lines);
            return err_set(call->err, rc, "chunk %lld",
                           (long long)page.cursor + 1);
        }
        digest_hex(chunk.digest, hex);
        buf_addf(&page.lines, "{\"n\":%u,\"drafts\":%u,\"digest\":\"%s\"}\n",
                 chunk.n, chunk.draft_count, hex);
        page.cursor++;
        page.count++;
    }
    send_page(call, &page, "chunks", &batch);
    return 0;
}
