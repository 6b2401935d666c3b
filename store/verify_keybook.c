/* SPDX-License-Identifier: MIT */
#include "store/verify_rows.h"

bool
leads_to_key(struct check *check, uint64_t id, uint64_t prefix)
{
    struct request request;
    int rc = id ? store_request_get(check->store, id, &request) : E_NOTFOUND;

    return rc == E_CORRUPT ||
           (rc == 0 && key_entry_prefix(request.key) == prefix);
}

/* One that leads nowhere is set to nothing, which is recent then, and counts. */
static void
compare_entry(struct check *check, struct key_entry entry)
{
    if (MEND(check, leads_to_key(check, entry.request, entry.prefix),
             "request %llu has another key, or is not there",
             (llu)entry.request)) {
        check->store->is_dirty = true;
        keybook_remove(check->store->keybook, entry.prefix);
    }
}

void
verify_key_log(struct check *check, struct slice key, struct record *record)
{
    uint64_t before = record_get_u64(record), after = record_get_u64(record);

    (void)key;
    if (MEND(check,
             record_end(record) == 0 && before <= after &&
                 record->left % KEY_ENTRY_BYTES == 0,
             "damaged")) {
        drop_row(check);
        return;
    }
    while (record->left > 0) {
        struct key_entry entry = key_entry_get(record);
        const struct key_entry *recent =
            keybook_recent(check->store->keybook, entry.prefix);

        /* What was swept, set anew or removed since says nothing. */
        if (entry.request != 0 && recent && recent->request == entry.request)
            compare_entry(check, entry);
    }
}

/* True if the entries of a row are whole, ascend from *least on, and lie in its
 * cell. Sets *least to what may come behind them. */
static bool
is_ascending(struct record row, uint64_t *least)
{
    unsigned cell = key_entry_cell(*least);
    bool is_fine = row.left > 0 && row.left % KEY_ENTRY_BYTES == 0;

    while (row.left > 0) {
        uint64_t prefix = key_entry_get(&row).prefix;

        is_fine = is_fine && prefix >= *least && key_entry_cell(prefix) == cell;
        *least = prefix == UINT64_MAX ? UINT64_MAX : prefix + 1;
    }
    return is_fine;
}

void
verify_key_cell(struct check *check, struct slice key, struct record *record)
{
    uint64_t place = key_get_u64(key, 0);
    uint64_t least = key_entry_first(key_entry_cell(place));

    if (MEND(check,
             place - least <= KEYSET_ASIDE_MAX && is_ascending(*record, &least),
             "its entries are out of order, or in another's place")) {
        drop_row(check);
        return;
    }
    while (record->left >= KEY_ENTRY_BYTES) {
        struct key_entry entry = key_entry_get(record);

        if (entry.request != 0 &&
            !keybook_recent(check->store->keybook, entry.prefix) &&
            !keyset_hides(check->store, entry.prefix, place))
            compare_entry(check, entry);
    }
}

/* The same for a row of the set, which ends before the next one begins, and has
 * requests alone. */
static bool
is_in_order(struct check *check, struct slice key, struct record row)
{
    uint64_t first = key_get_u64(key, 0), least = first;
    struct slice found;
    bool is_fine = is_ascending(row, &least);

    while (row.left > 0)
        is_fine = key_entry_get(&row).request != 0 && is_fine;
    if (table_seek(check->store, TABLE_KEY_SET, key_u8(key_id(first), 0), 0,
                   &found, NULL) == 0) {
        is_fine = is_fine && least <= key_get_u64(found, 0);
    }
    return is_fine;
}

void
verify_key_set(struct check *check, struct slice key, struct record *record)
{
    if (MEND(check, is_in_order(check, key, *record),
             "its entries are out of order, or in another's place")) {
        drop_row(check);
        return;
    }
    while (record->left >= KEY_ENTRY_BYTES) {
        struct key_entry entry = key_entry_get(record);

        if (!keybook_recent(check->store->keybook, entry.prefix) &&
            !keyset_hides(check->store, entry.prefix, UINT64_MAX))
            compare_entry(check, entry);
    }
}
