/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "store/table.h"

struct key
key_upstream(const char *name)
{
    unsigned char bytes[DIGEST_BYTES];

    digest_of(name, strlen(name), bytes);
    return key_bytes(key_start(), bytes, sizeof(bytes));
}

int
store_upstream_get(struct store *store, const char *name,
                   struct upstream_row *row)
{
    struct record record;
    int rc = table_get(store, TABLE_UPSTREAM, key_upstream(name), &record);

    *row = (struct upstream_row){ 0 };
    if (rc == 0)
        rc = upstream_decode(&record, row);
    if (rc == 0 && strcmp(row->name, name) != 0)
        rc = E_CORRUPT;
    return rc;
}

void
store_upstream_put(struct store *store, const struct upstream_row *row)
{
    upstream_encode(row, table_fields(store));
    table_put(store, TABLE_UPSTREAM, key_upstream(row->name));
}
