/* SPDX-License-Identifier: MIT */
#include "store/series.h"

#include <assert.h>
#include <string.h>

#define NUMBER_BYTES_MAX 10 /* of 64 bits, seven of them in each */
#define NUMBERS          4  /* of a series */

/* ---- in memory ---- */

static int
place_compare(const struct place *one, const struct place *other)
{
    if (one->lead != other->lead)
        return one->lead < other->lead ? -1 : 1;
    if (one->group != other->group)
        return one->group < other->group ? -1 : 1;
    return 0;
}

int
spot_compare(const struct spot *one, const struct spot *other)
{
    int order = place_compare(&one->place, &other->place);

    if (order != 0 || one->request == other->request)
        return order;
    return one->request < other->request ? -1 : 1;
}

static struct spot
last_of(const struct series *series)
{
    struct spot last = series->first;

    last.request += series->count - 1;
    return last;
}

static bool
has(const struct series *series, const struct spot *spot)
{
    return place_compare(&series->first.place, &spot->place) == 0 &&
           spot->request >= series->first.request &&
           spot->request - series->first.request < series->count;
}

/* True if a spot is the next one of a series, which has room for it. */
static bool
goes_on(const struct series *series, const struct spot *spot)
{
    return place_compare(&series->first.place, &spot->place) == 0 &&
           spot->request > series->first.request &&
           spot->request - series->first.request == series->count &&
           series->count < UINT32_MAX;
}

/* The first series that does not end before a spot. What is leased is mostly
 * the first one, and what is added is behind the last. */
static size_t
find(const struct series_row *row, const struct spot *spot)
{
    size_t low = 0, high = row->count;

    while (low < high) {
        size_t middle = low == 0 && high == row->count ? 0 : (low + high) / 2;
        struct spot last = last_of(&row->list[middle]);

        if (spot_compare(&last, spot) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool
series_seek(const struct series_row *row, const struct spot *spot,
            struct spot *found)
{
    size_t at = find(row, spot);

    if (at == row->count)
        return false;
    *found = has(&row->list[at], spot) ? *spot : row->list[at].first;
    return true;
}

bool
series_has(const struct series_row *row, const struct spot *spot)
{
    size_t at = find(row, spot);

    return at < row->count && has(&row->list[at], spot);
}

uint64_t
series_total(const struct series_row *row)
{
    uint64_t total = 0;

    for (size_t i = 0; i < row->count; i++)
        total += row->list[i].count;
    return total;
}

struct spot
series_last(const struct series_row *row)
{
    assert(row->count > 0);
    return last_of(&row->list[row->count - 1]);
}

static void
insert(struct series_row *row, size_t at, struct series series)
{
    assert(row->count < SERIES_MAX);
    memmove(&row->list[at + 1], &row->list[at],
            (row->count - at) * sizeof(row->list[0]));
    row->list[at] = series;
    row->count++;
}

static void
erase(struct series_row *row, size_t at)
{
    row->count--;
    memmove(&row->list[at], &row->list[at + 1],
            (row->count - at) * sizeof(row->list[0]));
}

/* Makes one of the series at `at` and the next one, if that goes on with it. */
static void
join(struct series_row *row, size_t at)
{
    struct series *one = &row->list[at], *next = one + 1;

    if (at + 1 < row->count && goes_on(one, &next->first) &&
        next->count <= UINT32_MAX - one->count) {
        one->count += next->count;
        erase(row, at + 1);
    }
}

int
series_add(struct series_row *row, const struct spot *spot)
{
    size_t at = row->count;
    struct series *next;

    assert(spot_compare(&row->from, spot) <= 0);
    if (at == 0 || !goes_on(&row->list[at - 1], spot))
        at = find(row, spot);
    next = &row->list[at];
    if (at < row->count && has(next, spot))
        return 1;
    if (at > 0 && goes_on(next - 1, spot)) {
        next[-1].count++;
        join(row, at - 1);
        return 0;
    }
    if (row->count == SERIES_MAX)
        return E_FULL;
    insert(row, at, (struct series){ .first = *spot, .count = 1 });
    join(row, at);
    return 0;
}

int
series_cut(struct series_row *row, const struct spot *spot, uint32_t count)
{
    size_t at = find(row, spot);
    struct series *series = &row->list[at], behind;
    uint32_t before;

    if (at == row->count || !has(series, spot))
        return 1;
    before = (uint32_t)(spot->request - series->first.request);
    assert(count > 0);
    assert(count <= series->count - before);
    behind = *series;
    behind.first.request += before + (uint64_t)count;
    behind.count -= before + count;
    if (before > 0 && behind.count > 0) {
        if (row->count == SERIES_MAX)
            return E_FULL;
        series->count = before;
        insert(row, at + 1, behind);
    } else if (before > 0) {
        series->count = before;
    } else if (behind.count > 0) {
        *series = behind;
    } else {
        erase(row, at);
    }
    return 0;
}

void
series_split(struct series_row *row, struct series_row *behind)
{
    size_t half = row->count / 2;

    assert(row->count == SERIES_MAX);
    behind->from = row->list[half].first;
    behind->count = row->count - half;
    memcpy(behind->list, &row->list[half],
           behind->count * sizeof(row->list[0]));
    row->count = half;
}

/* ---- as bytes ----
 *
 * Each number is told as what it is more than the one before it, or less, in as
 * few bytes as that needs, of which all but the last have the highest bit. A
 * series of three drafts of a bulk submission is four bytes. */

static unsigned char *
put_number(unsigned char *at, uint64_t number)
{
    for (; number > 0x7f; number >>= 7)
        *at++ = (unsigned char)(number | 0x80);
    *at++ = (unsigned char)number;
    return at;
}

static uint64_t
get_number(struct record *record)
{
    uint64_t number = 0;

    for (int i = 0; i < NUMBER_BYTES_MAX; i++) {
        unsigned byte = record_get_u8(record);

        number |= (uint64_t)(byte & 0x7f) << 7 * i;
        if (!(byte & 0x80))
            return number;
    }
    record->is_short = 1;
    return 0;
}

/* What is less is odd, so that small differences are small numbers both ways.
 * */
static uint64_t
fold(uint64_t difference)
{
    return difference << 1 ^ (0 - (difference >> 63));
}

static uint64_t
unfold(uint64_t number)
{
    return number >> 1 ^ (0 - (number & 1));
}

/* True for what has no fields. */
static bool
is_bare(const struct series_row *row)
{
    return row->count == 1 && row->list[0].count == 1 &&
           spot_compare(&row->list[0].first, &row->from) == 0;
}

void
series_encode(const struct series_row *row, struct buf *out)
{
    size_t most = row->count * NUMBERS * NUMBER_BYTES_MAX;
    unsigned char *start = (unsigned char *)buf_reserve(out, most), *at = start;
    struct spot next = row->from;

    assert(row->count > 0);
    for (size_t i = 0; i < row->count && !is_bare(row); i++) {
        const struct series *series = &row->list[i];
        struct place place = series->first.place;

        at = put_number(at, place.lead - next.place.lead);
        if (place.lead != next.place.lead)
            next.place.group = place.lead;
        at = put_number(at, fold(place.group - next.place.group));
        at = put_number(at, fold(series->first.request - next.request));
        at = put_number(at, series->count - 1);
        next = last_of(series);
        next.request++;
    }
    buf_commit(out, (size_t)(at - start));
}

/* The next series of a row that is decoded so far. */
static int
decode_next(struct record *record, struct series_row *row, struct spot *next)
{
    struct series *series = &row->list[row->count];
    uint64_t lead = get_number(record), count;
    struct spot last;

    if (lead != 0) {
        next->place.lead += lead;
        next->place.group = next->place.lead;
    }
    next->place.group += unfold(get_number(record));
    next->request += unfold(get_number(record));
    count = get_number(record);
    if (record->is_short || count >= UINT32_MAX ||
        count >= UINT64_MAX - next->request) {
        return E_CORRUPT;
    }
    series->first = *next;
    series->count = (uint32_t)count + 1;
    last = row->count > 0 ? series_last(row) : row->from;
    if (spot_compare(&last, next) >= (row->count > 0 ? 0 : 1))
        return E_CORRUPT;
    row->count++;
    next->request += count + 1;
    return 0;
}

int
series_decode(struct record *record, struct series_row *row)
{
    struct spot next = row->from;

    row->count = 0;
    if (record->left == 0) {
        row->list[row->count++] = (struct series){ row->from, 1 };
        return 0;
    }
    while (record->left > 0) {
        if (row->count == SERIES_MAX || decode_next(record, row, &next) < 0)
            return E_CORRUPT;
    }
    return 0;
}
