/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "store/rows.h"

#define STEM_BYTES 16 /* of a key: batch and stem */

bool
run_has(const struct run *run, struct name name)
{
    return name.stem == run->first.stem && name.number >= run->first.number &&
           name.number - run->first.number < run->count;
}

bool
run_goes_on(const struct run *run, struct name name, uint32_t index)
{
    return run->count > 0 && name.stem == run->first.stem &&
           name.number - run->first.number == run->count &&
           index - run->index == run->count;
}

uint32_t
run_index(const struct run *run, struct name name)
{
    assert(run_has(run, name));
    return run->index + (uint32_t)(name.number - run->first.number);
}

bool
run_fits(const struct run *run)
{
    return run->count <= UINT32_MAX - run->index;
}

void
run_encode(const struct run *run, struct buf *out)
{
    record_u32(out, run->index);
    if (run->count > 1)
        record_u32(out, run->count);
}

int
run_decode(struct record *record, struct run *run)
{
    run->index = record_get_u32(record);
    run->count = record->left ? record_get_u32(record) : 1;
    if (run->count == 0 || !run_fits(run))
        return E_CORRUPT;
    return record_end(record);
}

static struct key
run_key(uint64_t batch, struct name first)
{
    return key_u64(key_u64(key_id(batch), first.stem), first.number);
}

void
run_put(struct store *store, uint64_t batch, const struct run *run)
{
    assert(run->count > 0);
    run_encode(run, table_fields(store));
    table_put(store, TABLE_NAME, run_key(batch, run->first));
}

void
run_del(struct store *store, uint64_t batch, const struct run *run)
{
    table_del(store, TABLE_NAME, run_key(batch, run->first));
}

int
run_find(struct store *store, uint64_t batch, struct name name, struct run *run)
{
    struct slice found;
    struct record record;
    int rc;

    /* Numbers have at most eighteen digits: there is one behind each. */
    assert(name.number < UINT64_MAX);
    rc = table_before(
        store, TABLE_NAME,
        run_key(batch, (struct name){ name.stem, name.number + 1 }), STEM_BYTES,
        &found, &record);
    if (rc < 0)
        return rc;
    run->first = (struct name){ name.stem, key_get_u64(found, STEM_BYTES) };
    rc = run_decode(&record, run);
    return rc == 0 && !run_has(run, name) ? E_NOTFOUND : rc;
}

int
run_limit(struct store *store, uint64_t batch, struct name name,
          uint64_t *number)
{
    struct slice found;
    int rc = table_seek(store, TABLE_NAME, run_key(batch, name), STEM_BYTES,
                        &found, NULL);

    if (rc < 0 && rc != E_NOTFOUND)
        return rc;
    *number = rc == 0 ? key_get_u64(found, STEM_BYTES) : RUN_NO_LIMIT;
    return 0;
}
