/* SPDX-License-Identifier: MIT */
#include "store/verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/verify_rows.h"

#define LINE_BYTES_MAX 320 /* of a finding */

/* ---- findings ---- */

/* How the keys of a table are made: numbers of 8, 4 and 1 bytes, or x: a
 * digest or uuid, shown in hexadecimal. */
static const char *const key_forms[TABLE_COUNT] = {
    [TABLE_BATCH] = "8",    [TABLE_SPEC] = "8",       [TABLE_UUID] = "x",
    [TABLE_CHUNK] = "84",   [TABLE_CLIENT_KEY] = "x", [TABLE_BODY] = "84",
    [TABLE_DRAFT] = "84",   [TABLE_NAME] = "888",     [TABLE_REFUSAL] = "84",
    [TABLE_REQUEST] = "8",  [TABLE_KEY] = "x",        [TABLE_REF] = "884",
    [TABLE_READY] = "8888", [TABLE_TIMER] = "818",    [TABLE_LEASE] = "8",
    [TABLE_WORKER] = "x",   [TABLE_OUTCOME] = "8",    [TABLE_REPLY] = "8",
    [TABLE_RESULT] = "8",   [TABLE_DONE] = "88",      [TABLE_ESSENCE] = "84",
};

static void
add_hex(struct buf *out, struct slice key)
{
    for (size_t i = 0; i < key.bytes && i < DIGEST_BYTES; i++)
        buf_addf(out, "%02x", (unsigned char)key.data[i]);
}

/* A key as people read it: 3/17 is draft 17 of batch 3. */
static void
add_key(struct buf *out, enum table table, struct slice key)
{
    const char *form = key_forms[table];
    size_t at = 0;

    if (!form) { /* a name */
        buf_addf(out, "%.*s", (int)key.bytes, key.data);
        return;
    }
    if (*form == 'x' || key.bytes != table_key_bytes(table)) {
        add_hex(out, key);
        return;
    }
    for (; *form; form++) {
        uint64_t number = *form == '8'   ? key_get_u64(key, at)
                          : *form == '4' ? key_get_u32(key, at)
                                         : (unsigned char)key.data[at];

        buf_addf(out, at ? "/%llu" : "%llu", (llu)number);
        at += (size_t)(*form - '0');
    }
}

void
fault(struct check *check, const char *fmt, ...)
{
    struct buf *out = check->verify->report;
    char reason[LINE_BYTES_MAX];
    va_list args;

    if (check->verify->findings++ >= VERIFY_FINDINGS_MAX || !out)
        return;
    va_start(args, fmt);
    vsnprintf(reason, sizeof(reason), fmt, args);
    va_end(args);
    buf_addf(out, "%s ", table_name(check->table));
    add_key(out, check->table, check->key);
    buf_addf(out, ": %s\n", reason);
}

bool
has_row(struct check *check, enum table table, struct key key)
{
    struct record record;

    return table_get(check->store, table, key, &record) == 0;
}

/* ---- longer work ---- */

static int
compare_works(const void *left, const void *right)
{
    const struct work *a = left, *b = right;

    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

/* Timers of these kinds are due at times that nothing else tells: they are
 * noted, so that they need not be looked for. There are a few at a time. */
static bool
is_work(enum timer_kind kind)
{
    return kind == TIMER_ABANDON ||
           (kind >= TIMER_FAN_OUT && kind <= TIMER_DROP);
}

static int
note_work(struct check *check, size_t *capacity, struct work work,
          struct err *err)
{
    if (check->work_count == VERIFY_WORKS_MAX) {
        return err_set(err, E_FULL,
                       "more than %d longer works are on their way; let the "
                       "broker end them first",
                       VERIFY_WORKS_MAX);
    }
    if (check->work_count == *capacity) {
        *capacity = *capacity ? *capacity * 2 : 64;
        check->works =
            mem_grow(check->works, *capacity, sizeof(check->works[0]));
    }
    check->works[check->work_count++] = work;
    return 0;
}

/* The keys tell all, also where a value is damaged. */
static int
note_works(struct check *check, struct err *err)
{
    struct key key = key_start();
    struct slice found;
    size_t capacity = 0;
    int rc = 0;

    while (rc == 0 &&
           table_seek(check->store, TABLE_TIMER, key, 0, &found, NULL) == 0) {
        struct work work = { .kind = (unsigned char)found.data[8],
                             .id = key_get_u64(found, 9) };

        key = key_u8(key_bytes(key_start(), found.data, found.bytes), 0);
        if (is_work(work.kind))
            rc = note_work(check, &capacity, work, err);
    }
    if (check->work_count > 0) {
        qsort(check->works, check->work_count, sizeof(check->works[0]),
              compare_works);
    }
    return rc;
}

bool
has_work(const struct check *check, enum timer_kind kind, uint64_t id)
{
    const struct work work = { .id = id, .kind = kind };

    return check->work_count > 0 &&
           bsearch(&work, check->works, check->work_count,
                   sizeof(check->works[0]), compare_works);
}

bool
is_swept(const struct check *check, uint64_t batch)
{
    return has_work(check, TIMER_CANCEL, batch) ||
           has_work(check, TIMER_EXPIRE, batch) ||
           has_work(check, TIMER_RETRY, batch) ||
           has_work(check, TIMER_DROP, batch);
}

bool
has_timer(struct check *check, int64_t due_ms, enum timer_kind kind,
          uint64_t id)
{
    return has_row(
        check, TABLE_TIMER,
        key_u64(key_u8(key_u64(key_start(), (uint64_t)due_ms), kind), id));
}

/* ---- rows that stand beside batches, drafts and requests ---- */

void
verify_meta(struct check *check, struct slice key, struct record *record)
{
    static const struct {
        const char *name;
        size_t bytes;
    } rows[] = {
        { "format", 4 },
        { "uuid", STORE_UUID_BYTES },
        { "ids", 40 },
    };
    const size_t count = sizeof(rows) / sizeof(rows[0]);
    size_t i = 0;

    while (i < count && !slice_is(key, rows[i].name))
        i++;
    if (i == count)
        fault(check, "unknown");
    else
        EXPECT(check, record->left >= rows[i].bytes, "damaged");
}

void
verify_timer(struct check *check, struct slice key, struct record *record)
{
    struct timer timer = { .due_ms = (int64_t)key_get_u64(key, 0),
                           .kind = (unsigned char)key.data[8],
                           .id = key_get_u64(key, 9) };
    struct request request;
    int rc;

    (void)record_get_u64(record);
    (void)record_get_u32(record);
    (void)record_get_u32(record);
    EXPECT(check, record_end(record) == 0, "damaged");
    EXPECT(check, timer.kind >= TIMER_REQUEST && timer.kind <= TIMER_FORGET,
           "unknown");
    if (timer.kind != TIMER_REQUEST)
        return;
    rc = store_request_get(check->store, timer.id, &request);
    if (rc == E_NOTFOUND)
        fault(check, "no request %llu", (llu)timer.id);
    if (rc < 0)
        return;
    EXPECT(check,
           request.state == REQUEST_DELAYED && request.due_ms == timer.due_ms,
           "request %llu is %s, or due at another time", (llu)timer.id,
           request_state_name(request.state));
}

void
verify_worker(struct check *check, struct slice key, struct record *record)
{
    (void)key;
    (void)record_get_u32(record);
    for (int i = 0; i < 3; i++)
        (void)record_get_str(record);
    (void)record_get_u32(record);
    (void)record_get_i64(record);
    (void)record_get_i64(record);
    EXPECT(check, record_end(record) == 0, "damaged");
}

/* ---- going through tables ---- */

/* In the order of the tables. */
static row_fn *const visits[TABLE_COUNT] = {
    [TABLE_META] = verify_meta,
    [TABLE_BATCH] = verify_batch,
    [TABLE_SPEC] = verify_spec,
    [TABLE_UUID] = verify_uuid,
    [TABLE_CLIENT_KEY] = verify_client_key,
    [TABLE_CHUNK] = verify_chunk,
    [TABLE_BODY] = verify_body,
    [TABLE_DRAFT] = verify_draft,
    [TABLE_NAME] = verify_name,
    [TABLE_REFUSAL] = verify_refusal,
    [TABLE_REQUEST] = verify_request,
    [TABLE_KEY] = verify_key,
    [TABLE_REF] = verify_ref,
    [TABLE_READY] = verify_ready,
    [TABLE_TIMER] = verify_timer,
    [TABLE_LEASE] = verify_lease,
    [TABLE_WORKER] = verify_worker,
    [TABLE_OUTCOME] = verify_outcome,
    [TABLE_REPLY] = verify_reply,
    [TABLE_RESULT] = verify_result,
    [TABLE_DONE] = verify_done,
    [TABLE_ESSENCE] = verify_essence,
};

/* Looks at one row; its key is the check's own copy. */
static void
visit(struct check *check, struct slice value)
{
    size_t width = table_key_bytes(check->table);
    struct record record;

    if (width != 0 && check->key.bytes != width)
        fault(check, "a key of %zu bytes", check->key.bytes);
    else if (record_open(&record, check->table, check->key, value) < 0)
        fault(check, "its checksum fails");
    else
        visits[check->table](check, check->key, &record);
}

/* Looks at all rows of a table. at holds the key that is looked for. */
static int
walk(struct check *check, struct buf *at, struct err *err)
{
    struct engine *engine = check->store->engine;
    struct verify *verify = check->verify;
    struct slice found, value;
    int rc;

    buf_reset(at);
    for (;;) {
        rc = engine->ops->seek(engine, check->table, buf_slice(at), &found,
                               &value);
        if (rc < 0)
            break;
        buf_reset(at);
        buf_add_slice(at, found);
        check->key = buf_slice(at);
        visit(check, value);
        /* Its key and a byte more is the next one there can be. */
        buf_add_char(at, '\0');
        if (check->store->rc < 0)
            break;
        if (++verify->rows % VERIFY_STEP_ROWS == 0 && verify->go_on &&
            !verify->go_on(verify->context, verify)) {
            return 1;
        }
    }
    if (check->store->rc < 0)
        return err_set(err, E_IO, "%s", check->store->err.msg);
    if (rc == E_NOTFOUND)
        return 0;
    return err_set(err, E_IO, "read from table %s: %s",
                   table_name(check->table),
                   engine->reason ? engine->reason : err_text(rc));
}

int
store_verify(struct store *store, struct verify *verify, struct err *err)
{
    struct check check = { .store = store, .verify = verify };
    struct buf at = { 0 };
    int rc;

    verify->rows = verify->rows_all = verify->findings = 0;
    for (enum table table = 0; table < TABLE_COUNT; table++)
        verify->rows_all += store->engine->ops->rows(store->engine, table);
    rc = note_works(&check, err);
    for (enum table table = 0; table < TABLE_COUNT && rc == 0; table++) {
        check.table = table;
        rc = walk(&check, &at, err);
    }
    buf_fini(&at);
    free(check.works);
    return rc;
}

void
store_digest(struct store *store, unsigned char out[DIGEST_BYTES])
{
    struct engine *engine = store->engine;
    struct digest *digest = digest_new();
    struct slice found, value;
    struct buf at = { 0 };

    for (enum table table = 0; table < TABLE_COUNT; table++) {
        buf_reset(&at);
        while (engine->ops->seek(engine, table, buf_slice(&at), &found,
                                 &value) == 0) {
            digest_add(digest, &table, sizeof(table));
            digest_add(digest, found.data, found.bytes);
            digest_add(digest, value.data, value.bytes);
            buf_reset(&at);
            buf_add_slice(&at, found);
            buf_add_char(&at, '\0');
        }
    }
    digest_final(digest, out);
    digest_free(digest);
    buf_fini(&at);
}
