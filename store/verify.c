/* SPDX-License-Identifier: MIT */
#include "store/verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "store/verify_rows.h"

#define LINE_BYTES_MAX 320 /* of a finding */

/* ---- findings ---- */

/* How the keys of a table are made: numbers of 8, 4 and 1 bytes, or x: a
 * digest or uuid, shown in hexadecimal. */
static const char *const key_forms[TABLE_COUNT] = {
    [TABLE_BATCH] = "8",     [TABLE_SPEC] = "8",       [TABLE_UUID] = "x",
    [TABLE_CHUNK] = "84",    [TABLE_CLIENT_KEY] = "x", [TABLE_BODY] = "84",
    [TABLE_DRAFT] = "84",    [TABLE_NAME] = "888",     [TABLE_REFUSAL] = "84",
    [TABLE_REQUEST] = "8",   [TABLE_KEY] = "x",        [TABLE_REF] = "884",
    [TABLE_READY] = "8888",  [TABLE_TIMER] = "818",    [TABLE_LEASE] = "8",
    [TABLE_WORKER] = "x",    [TABLE_OUTCOME] = "8",    [TABLE_REPLY] = "8",
    [TABLE_RESULT] = "8",    [TABLE_DONE] = "88",      [TABLE_ESSENCE] = "84",
    [TABLE_ATTEMPT] = "84",  [TABLE_UPSTREAM] = "x",   [TABLE_FILE] = "8",
    [TABLE_FILE_UUID] = "x", [TABLE_FILE_KEY] = "x",   [TABLE_OWNED] = "x",
    [TABLE_PIECE] = "84",    [TABLE_FILING] = "8",     [TABLE_DELIVERY] = "8",
    [TABLE_PENDING] = "888", [TABLE_KEY_LOG] = "8",    [TABLE_KEY_SET] = "8",
    [TABLE_ANSWER] = "8",    [TABLE_KEY_CELL] = "8",   [TABLE_PART] = "8",
    [TABLE_NEWEST] = "8",    [TABLE_SPAN] = "84",
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

/* A line of the report, if it has room for it. nth counts from 0. */
static void
report(struct check *check, uint64_t nth, const char *end, const char *fmt,
       va_list args)
{
    struct buf *out = check->verify->report;
    char reason[LINE_BYTES_MAX];

    if (nth >= VERIFY_FINDINGS_MAX || !out)
        return;
    vsnprintf(reason, sizeof(reason), fmt, args);
    buf_addf(out, "%s ", table_name(check->table));
    add_key(out, check->table, check->key);
    buf_addf(out, ": %s%s\n", reason, end);
}

void
fault(struct check *check, const char *fmt, ...)
{
    va_list args;

    check->has_lost |= check->table == TABLE_BATCH ||
                       check->table == TABLE_DRAFT ||
                       check->table == TABLE_SPAN;
    /* Repair looks at all once more when it has done what it can. */
    if (check->is_mending)
        return;
    va_start(args, fmt);
    report(check, check->verify->findings++, "", fmt, args);
    va_end(args);
}

bool
stale(struct check *check, const char *fmt, ...)
{
    struct verify *verify = check->verify;
    va_list args;

    va_start(args, fmt);
    if (check->is_mending) {
        report(check, verify->mended++, " (repaired)", fmt, args);
        check->mended++;
    } else {
        report(check, verify->findings++, "", fmt, args);
        verify->mendable++;
    }
    va_end(args);
    return check->is_mending;
}

bool
has_row(struct check *check, enum table table, struct key key)
{
    struct record record;

    return table_get(check->store, table, key, &record) == 0;
}

void
drop_row(struct check *check)
{
    struct engine *engine = check->store->engine;

    if (check->store->rc < 0)
        return;
    check->store->is_dirty = true;
    store_fail(check->store, engine->ops->del(engine, check->table, check->key),
               check->table, "remove from");
}

void
raise_number(struct check *check, uint64_t *number, uint64_t to)
{
    check->store->is_dirty = true;
    if (*number < to)
        *number = to;
}

/* ---- rows that stand beside the others ---- */

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
verify_worker(struct check *check, struct slice key, struct record *record)
{
    (void)key;
    (void)record_get_u32(record);
    for (int i = 0; i < 3; i++)
        (void)record_get_str(record);
    (void)record_get_u32(record);
    (void)record_get_i64(record);
    (void)record_get_i64(record);
    if (MEND(check, record_end(record) == 0, "damaged"))
        drop_row(check);
}

void
verify_upstream(struct check *check, struct slice key, struct record *record)
{
    struct upstream_row row;
    struct key want;

    EXPECT(check, upstream_decode(record, &row) == 0, "damaged");
    want = key_upstream(row.name);
    EXPECT(check, slice_equal(key, key_slice(&want)), "is of upstream %s",
           row.name);
}

/* ---- going through tables ---- */

/* What looks at a row. A row that can be made again from the others, or is of no
 * use without its partner, is removed when its checksum fails. */
static const struct {
    row_fn *look;
    bool is_index;
} visits[TABLE_COUNT] = {
    [TABLE_META] = { verify_meta, false },
    [TABLE_BATCH] = { verify_batch, false },
    [TABLE_SPEC] = { verify_spec, false },
    [TABLE_UUID] = { verify_uuid, true },
    [TABLE_CLIENT_KEY] = { verify_client_key, true },
    [TABLE_CHUNK] = { verify_chunk, false },
    [TABLE_BODY] = { verify_body, false },
    [TABLE_DRAFT] = { verify_draft, false },
    [TABLE_NAME] = { verify_name, true },
    [TABLE_REFUSAL] = { verify_refusal, false },
    [TABLE_REQUEST] = { verify_request, false },
    [TABLE_KEY] = { verify_key, true },
    [TABLE_REF] = { verify_ref, true },
    [TABLE_READY] = { verify_ready, true },
    [TABLE_TIMER] = { verify_timer, true },
    [TABLE_LEASE] = { verify_lease, true },
    [TABLE_WORKER] = { verify_worker, true },
    [TABLE_OUTCOME] = { verify_outcome, false },
    [TABLE_REPLY] = { verify_reply, false },
    [TABLE_RESULT] = { verify_result, true },
    [TABLE_DONE] = { verify_done, true },
    [TABLE_ESSENCE] = { verify_essence, false },
    [TABLE_ATTEMPT] = { verify_attempt, true },
    [TABLE_UPSTREAM] = { verify_upstream, false },
    [TABLE_FILE] = { verify_file, false },
    [TABLE_FILE_UUID] = { verify_file_uuid, true },
    [TABLE_FILE_KEY] = { verify_file_key, true },
    [TABLE_OWNED] = { verify_owned, true },
    [TABLE_PIECE] = { verify_piece, false },
    [TABLE_FILING] = { verify_filing, false },
    [TABLE_DELIVERY] = { verify_delivery, true },
    [TABLE_PENDING] = { verify_pending, true },
    [TABLE_KEY_LOG] = { verify_key_log, true },
    [TABLE_KEY_SET] = { verify_key_set, true },
    [TABLE_ANSWER] = { verify_answer, false },
    [TABLE_KEY_CELL] = { verify_key_cell, true },
    [TABLE_PART] = { verify_part, false },
    [TABLE_NEWEST] = { verify_newest, false },
    [TABLE_SPAN] = { NULL, false }, /* verify_span() */
};

static void
visit_damaged(struct check *check)
{
    size_t width = table_key_bytes(check->table);

    if (!visits[check->table].is_index) {
        fault(check, "its checksum fails");
        return;
    }
    if (!stale(check, "its checksum fails"))
        return;
    if (check->table != TABLE_TIMER || check->key.bytes != width) {
        drop_row(check);
        return;
    }
    timer_restart(check);
}

/* Looks at one row; its key is the check's own copy. */
static void
visit(struct check *check, struct slice value)
{
    size_t width = table_key_bytes(check->table);
    bool has_width = width == 0 || check->key.bytes == width;
    struct record record;

    if (has_width && check->table == TABLE_SPAN)
        verify_span(check, check->key, value);
    else if (!has_width ||
             record_open(&record, check->table, check->key, value) < 0)
        visit_damaged(check);
    else
        visits[check->table].look(check, check->key, &record);
}

/* Ends a transaction of repair that is long enough, and begins the next. */
static int
turn_over(struct check *check, struct err *err)
{
    int rc = store_commit(check->store, err);

    check->mended = 0;
    return rc < 0 ? rc : store_begin(check->store, check->store->now_ms, err);
}

void
ask(struct check *check, uint64_t nth)
{
    const struct verify *verify = check->verify;

    if ((nth + 1) % VERIFY_STEP_ROWS == 0 && verify->go_on)
        check->is_ended |= !verify->go_on(verify->context, verify);
}

/* After each row. 0 to go on. */
static int
step(struct check *check, struct err *err)
{
    struct verify *verify = check->verify;

    if (check->store->rc < 0) {
        return err_set(err,
                       check->store->rc == E_FULL
                           ? E_FULL
                           : engine_code(check->store->engine, E_IO),
                       "%s", check->store->err.msg);
    }
    if (check->is_ended)
        return 1;
    if (check->mended >= REPAIR_SLICE_MAX) {
        int rc = turn_over(check, err);

        if (rc < 0)
            return rc;
    }
    if (++verify->rows % VERIFY_STEP_ROWS != 0 || !verify->go_on)
        return 0;
    return verify->go_on(verify->context, verify) ? 0 : 1;
}

/* Looks at all rows of a table. at holds the key that is looked for. */
static int
walk(struct check *check, struct buf *at, struct err *err)
{
    struct engine *engine = check->store->engine;
    struct slice found, value;
    int rc = 0, seek_rc;

    buf_reset(at);
    for (;;) {
        seek_rc = engine->ops->seek(engine, check->table, buf_slice(at), &found,
                                    &value);
        if (seek_rc < 0)
            break;
        buf_reset(at);
        buf_add_slice(at, found);
        check->key = buf_slice(at);
        visit(check, value);
        /* Its key and a byte more is the next one there can be. */
        buf_add_char(at, '\0');
        rc = step(check, err);
        if (rc != 0)
            return rc;
    }
    if (seek_rc == E_NOTFOUND)
        return 0;
    return err_set(err, engine_code(engine, E_IO), "read from table %s: %s",
                   table_name(check->table),
                   engine->reason ? engine->reason : err_text(seek_rc));
}

/* The order in which tables are looked at is that of their numbers, but that
 * all drafts come before the requests: of one that no draft refers to it must
 * be known whether one was lost. */
static enum table
table_at(enum table place)
{
    if (place == TABLE_DRAFT + 1)
        return TABLE_SPAN;
    return place > TABLE_DRAFT && place <= TABLE_SPAN ? place - 1 : place;
}

/* How many drafts stand in spans is counted as they come and go. */
static void
compare_drafts(struct check *check)
{
    struct ids *ids = &check->store->ids;
    struct key key = key_bytes(key_start(), "ids", 3);

    check->table = TABLE_META;
    check->key = key_slice(&key);
    if (MEND(check, ids->drafts == check->drafts,
             "%llu drafts in spans, counted %llu", (llu)ids->drafts,
             (llu)check->drafts)) {
        ids->drafts = check->drafts;
        check->store->is_dirty = true;
    }
}

/* Goes through all tables once. Repair makes room before it builds: rows that
 * lead nowhere go before those that are missing are made. */
static int
pass(struct check *check, struct err *err)
{
    struct engine *engine = check->store->engine;
    struct buf at = { 0 };
    int rc;

    check->verify->rows = check->verify->rows_all = 0;
    check->drafts = 0;
    for (enum table table = 0; table < TABLE_COUNT; table++)
        check->verify->rows_all += engine->ops->rows(engine, table);
    /* What a transaction has found in memory may no longer be on disk. */
    keybook_load(check->store);
    rc = ready_count(check->store);
    if (rc < 0)
        return err_set(err, rc, "%s", check->store->err.msg);
    rc = works_note(check, err);
    for (int turn = 0; turn < 2; turn++) {
        for (enum table place = 0; place < TABLE_COUNT && rc == 0; place++) {
            check->table = table_at(place);
            if (visits[check->table].is_index == (turn == 0))
                rc = walk(check, &at, err);
        }
    }
    if (rc == 0)
        compare_drafts(check);
    buf_fini(&at);
    works_forget(check);
    return rc;
}

int
store_verify(struct store *store, struct verify *verify, struct err *err)
{
    struct check check = { .store = store, .verify = verify };

    verify->findings = verify->mendable = 0;
    return pass(&check, err);
}

/* One pass that makes again what is wrong. */
static int
mend(struct check *check, struct err *err)
{
    struct store *store = check->store;
    int rc = store_begin(store, store_latest_ms(store), err), commit_rc;

    if (rc < 0)
        return rc;
    check->mended = 0;
    rc = pass(check, err);
    if (rc < 0) {
        if (store->is_open)
            store_abort(store);
        return rc;
    }
    commit_rc = store_commit(store, err);
    return commit_rc < 0 ? commit_rc : rc;
}

int
store_repair(struct store *store, struct verify *verify, struct err *err)
{
    struct check check = { .store = store,
                           .verify = verify,
                           .is_mending = true };
    uint64_t before;
    int rc = 0, passes = 0;

    verify->mended = 0;
    do {
        before = verify->mended;
        rc = mend(&check, err);
    } while (rc == 0 && verify->mended > before &&
             ++passes < REPAIR_PASSES_MAX);
    if (rc == 0)
        rc = store_begin(store, store_latest_ms(store), err);
    if (rc != 0)
        return rc;
    rc = store_verify(store, verify, err);
    store_abort(store);
    return rc;
}
