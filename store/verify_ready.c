/* SPDX-License-Identifier: MIT */
#include "store/verify_rows.h"

/* What is wrong with a request that a row has: "" if nothing is. */
struct flaw {
    const char *text, *state;
    bool is_gone;
};

/* How many requests are not there from one on, up to `most`. */
static uint32_t
gap(struct check *check, uint64_t request, uint32_t most)
{
    struct slice found;
    uint64_t next;

    if (table_seek(check->store, TABLE_REQUEST, key_id(request), 0, &found,
                   NULL) < 0) {
        return most;
    }
    next = key_get_u64(found, 0);
    return next - request < most ? (uint32_t)(next - request) : most;
}

/* Looks at the request at a spot. Of a damaged one nothing is said. */
static struct flaw
look(struct check *check, uint64_t batch, const struct spot *spot)
{
    struct cursor cursor = { .batch = batch };
    struct request request;
    int rc = store_request_get(check->store, spot->request, &request);

    if (rc == E_NOTFOUND)
        return (struct flaw){ "is not there", "", true };
    if (rc < 0)
        return (struct flaw){ "", "", false };
    if (request.state != REQUEST_READY ||
        request.place.lead != spot->place.lead ||
        request.place.group != spot->place.group) {
        return (struct flaw){ "is elsewhere, or ",
                              request_state_name(request.state), false };
    }
    rc = ref_next(check->store, &request, &cursor);
    if (rc < 0 || cursor.batch != batch)
        return (struct flaw){ "is of no draft of the batch", "", false };
    return (struct flaw){ "", "", false };
}

static void
compare_series(struct check *check, uint64_t batch, const struct series *series)
{
    struct spot spot = series->first;
    uint32_t left = series->count, step;

    for (; left > 0 && !check->is_ended; left -= step, spot.request += step) {
        struct flaw flaw = look(check, batch, &spot);

        step = flaw.is_gone ? gap(check, spot.request, left) : 1;
        if (*flaw.text && stale(check, "request %llu %s%s", (llu)spot.request,
                                flaw.text, flaw.state)) {
            ready_cut(check->store, batch, &spot, step);
        }
        ask(check, left);
    }
}

/* True if a row ends before the next one of its batch begins. */
static bool
ends_in_time(struct check *check, const struct series_row *row)
{
    struct key behind =
        key_u8(key_bytes(key_start(), check->key.data, check->key.bytes), 0);
    struct spot last = series_last(row), next;
    struct slice found;

    if (table_seek(check->store, TABLE_READY, behind, sizeof(uint64_t), &found,
                   NULL) < 0) {
        return true;
    }
    next = ready_from(found);
    return spot_compare(&last, &next) < 0;
}

void
verify_ready(struct check *check, struct slice key, struct record *record)
{
    struct series_row row = { .from = ready_from(key) };
    const char *reason = NULL;

    if (series_decode(record, &row) < 0)
        reason = "damaged";
    else if (!ends_in_time(check, &row))
        reason = "it goes on into the next one";
    if (reason) {
        /* Those of its requests that are ready are added again. */
        if (stale(check, "%s", reason))
            drop_row(check);
        return;
    }
    for (size_t i = 0; i < row.count; i++)
        compare_series(check, ready_batch(key), &row.list[i]);
    /* The next row is looked at as it is stored. */
    ready_catch_up(check->store);
}
