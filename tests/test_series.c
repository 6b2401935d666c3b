/* SPDX-License-Identifier: MIT */
#include "store/series.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(series, .timeout = 60);

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct spot
spot_of(uint64_t lead, uint64_t group, uint64_t request)
{
    return (struct spot){ { lead, group }, request };
}

/* A row as text: lead/group first+count, …. The last one that was asked for. */
static const char *
show(const struct series_row *row)
{
    static char text[1024];
    size_t at = 0;

    text[0] = '\0';
    for (size_t i = 0; i < row->count; i++) {
        const struct series *series = &row->list[i];

        at += (size_t)snprintf(
            text + at, sizeof(text) - at, "%s%llu/%llu %llu+%u", i ? ", " : "",
            (unsigned long long)series->first.place.lead,
            (unsigned long long)series->first.place.group,
            (unsigned long long)series->first.request, series->count);
    }
    return text;
}

static int
add(struct series_row *row, uint64_t lead, uint64_t group, uint64_t request)
{
    struct spot spot = spot_of(lead, group, request);

    return series_add(row, &spot);
}

static int
cut(struct series_row *row, uint64_t lead, uint64_t group, uint64_t request,
    uint32_t count)
{
    struct spot spot = spot_of(lead, group, request);

    return series_cut(row, &spot, count);
}

/* ---- in memory ---- */

Test(series, requests_that_follow_each_other_are_one)
{
    struct series_row row = { 0 };

    for (uint64_t request = 5; request < 9; request++)
        cr_expect_eq(add(&row, 1, 1, request), 0);
    cr_expect_str_eq(show(&row), "1/1 5+4");
    cr_expect_eq(add(&row, 1, 1, 3), 0);
    cr_expect_str_eq(show(&row), "1/1 3+1, 1/1 5+4");
    cr_expect_eq(add(&row, 1, 1, 4), 0);
    cr_expect_str_eq(show(&row), "1/1 3+6");
    cr_expect_eq(series_total(&row), 6);
}

Test(series, requests_of_another_place_are_another)
{
    struct series_row row = { 0 };

    cr_expect_eq(add(&row, 1, 1, 5), 0);
    cr_expect_eq(add(&row, 1, 2, 6), 0);
    cr_expect_eq(add(&row, 3, 2, 7), 0);
    cr_expect_eq(add(&row, 1, 1, 6), 0);
    cr_expect_str_eq(show(&row), "1/1 5+2, 1/2 6+1, 3/2 7+1");
}

Test(series, one_that_is_there_is_added_once)
{
    struct series_row row = { 0 };

    for (int i = 0; i < 2; i++) {
        cr_expect_eq(add(&row, 1, 1, 5), i);
        cr_expect_eq(add(&row, 1, 1, 6), i);
        cr_expect_eq(add(&row, 1, 1, 7), i);
    }
    cr_expect_str_eq(show(&row), "1/1 5+3");
}

Test(series, what_is_cut_is_gone_and_the_rest_stays)
{
    struct series_row row = { 0 };

    for (uint64_t request = 1; request <= 9; request++)
        add(&row, 1, 1, request);
    cr_expect_eq(cut(&row, 1, 1, 1, 1), 0);
    cr_expect_str_eq(show(&row), "1/1 2+8");
    cr_expect_eq(cut(&row, 1, 1, 9, 1), 0);
    cr_expect_str_eq(show(&row), "1/1 2+7");
    cr_expect_eq(cut(&row, 1, 1, 4, 2), 0);
    cr_expect_str_eq(show(&row), "1/1 2+2, 1/1 6+3");
    cr_expect_eq(cut(&row, 1, 1, 5, 1), 1);
    cr_expect_eq(cut(&row, 1, 2, 6, 1), 1);
    cr_expect_eq(cut(&row, 1, 1, 6, 3), 0);
    cr_expect_eq(cut(&row, 1, 1, 2, 2), 0);
    cr_expect_eq(row.count, 0);
    cr_expect_eq(cut(&row, 1, 1, 2, 1), 1);
}

static void
fill(struct series_row *row)
{
    for (uint64_t group = 1; group <= SERIES_MAX; group++) {
        cr_assert_eq(add(row, 1, group, group * 10), 0);
        cr_assert_eq(add(row, 1, group, group * 10 + 1), 0);
        cr_assert_eq(add(row, 1, group, group * 10 + 2), 0);
    }
}

Test(series, row_that_is_full_says_so_and_changes_nothing)
{
    struct series_row row = { 0 }, before;

    fill(&row);
    before = row;
    cr_expect_eq(add(&row, 1, 1, 99), E_FULL);
    cr_expect_eq(add(&row, 9, 9, 9), E_FULL);
    cr_expect_eq(cut(&row, 1, 2, 21, 1), E_FULL);
    cr_expect_eq(memcmp(&row, &before, sizeof(row)), 0);
    cr_expect_eq(add(&row, 1, 2, 23), 0, "a longer one is not one more");
    cr_expect_eq(cut(&row, 1, 2, 20, 1), 0);
    cr_expect_eq(cut(&row, 1, 2, 23, 1), 0);
}

Test(series, halves_have_what_the_row_had)
{
    struct series_row row = { 0 }, behind = { 0 };
    struct spot last;

    fill(&row);
    series_split(&row, &behind);
    cr_expect_eq(series_total(&row) + series_total(&behind), 3 * SERIES_MAX);
    last = series_last(&row);
    cr_expect_lt(spot_compare(&last, &behind.from), 0);
    cr_expect_eq(spot_compare(&behind.from, &behind.list[0].first), 0);
}

Test(series, seek_finds_the_first_that_is_not_before)
{
    static const struct {
        struct spot from, want;
    } rows[] = {
        { { { 0, 0 }, 0 }, { { 1, 2 }, 5 } },
        { { { 1, 2 }, 5 }, { { 1, 2 }, 5 } },
        { { { 1, 2 }, 6 }, { { 1, 2 }, 6 } },
        { { { 1, 2 }, 7 }, { { 1, 3 }, 2 } },
        { { { 1, 3 }, 0 }, { { 1, 3 }, 2 } },
        { { { 1, 4 }, 0 }, { { 7, 7 }, 1 } },
    };
    struct series_row row = { 0 };
    struct spot found, behind = spot_of(7, 7, 2);

    add(&row, 1, 2, 5);
    add(&row, 1, 2, 6);
    add(&row, 1, 3, 2);
    add(&row, 7, 7, 1);
    for (size_t i = 0; i < COUNT(rows); i++) {
        cr_assert(series_seek(&row, &rows[i].from, &found), "row %zu", i);
        cr_expect_eq(spot_compare(&found, &rows[i].want), 0, "row %zu", i);
    }
    cr_expect_not(series_seek(&row, &behind, &found));
}

/* ---- as bytes ---- */

static int
decode(struct series_row *row, const void *bytes, size_t count)
{
    struct record record = { .at = bytes, .left = count };

    return series_decode(&record, row);
}

static void
expect_again(const struct series_row *row)
{
    struct series_row again = { .from = row->from };
    struct buf out = { 0 };

    series_encode(row, &out);
    cr_assert_eq(decode(&again, out.data, out.bytes), 0);
    cr_assert_eq(again.count, row->count);
    for (size_t i = 0; i < row->count; i++) {
        cr_expect_eq(again.list[i].count, row->list[i].count);
        cr_expect_eq(spot_compare(&again.list[i].first, &row->list[i].first),
                     0);
    }
    buf_fini(&out);
}

Test(series, one_request_where_the_row_begins_has_no_fields)
{
    struct series_row row = { .from = spot_of(4, 5, 6) };
    struct buf out = { 0 };

    add(&row, 4, 5, 6);
    series_encode(&row, &out);
    cr_expect_eq(out.bytes, 0);
    cr_assert_eq(decode(&row, "", 0), 0);
    cr_expect_str_eq(show(&row), "4/5 6+1");
    buf_fini(&out);
}

/* As FORMAT.md has it. */
Test(series, four_numbers_tell_one)
{
    static const unsigned char want[] = {
        0, 0, 0,    2,       /* 4/4 20+3 */
        0, 2, 0,    2,       /* 4/5 23+3 */
        0, 2, 0,    1,       /* 4/6 26+2 */
        3, 0, 0x0b, 0,       /* 7/7 22+1: six less */
        0, 0, 0xd0, 0x0f, 0, /* 7/7 1023+1: a thousand more */
    };
    struct series_row row = { .from = spot_of(4, 4, 20) };
    struct buf out = { 0 };

    for (uint64_t request = 20; request < 28; request++)
        add(&row, 4, request < 23 ? 4 : request < 26 ? 5 : 6, request);
    add(&row, 7, 7, 22);
    add(&row, 7, 7, 1023);
    series_encode(&row, &out);
    cr_assert_eq(out.bytes, sizeof(want));
    cr_expect_eq(memcmp(out.data, want, sizeof(want)), 0);
    expect_again(&row);
    buf_fini(&out);
}

Test(series, numbers_of_any_size_come_back)
{
    static const uint64_t numbers[] = {
        1, 127, 128, UINT32_MAX, 1ull << 40, UINT64_MAX - 9
    };
    struct series_row row = { 0 };

    for (size_t i = 0; i < COUNT(numbers); i++) {
        for (size_t j = 0; j < 3; j++) {
            cr_assert_eq(add(&row, numbers[i], numbers[COUNT(numbers) - 1 - i],
                             numbers[j * 2]),
                         0);
        }
    }
    expect_again(&row);
}

Test(series, what_is_damaged_is_refused)
{
    static const struct {
        const char *what, *bytes;
        size_t count;
    } rows[] = {
        { "ends early", "\0\0\0", 3 },
        { "ends within a number", "\0\0\x80", 3 },
        { "a number without end",
          "\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12 },
        { "stands before the row", "\0\0\1\0", 4 },
        { "stands before the one before it", "\0\0\0\2\0\0\1\0", 8 },
        { "too many requests", "\0\0\0\xff\xff\xff\xff\x0f", 8 },
        { "numbers that cannot be", "\0\0\x13\5", 4 },
    };
    unsigned char many[(SERIES_MAX + 1) * 4];

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct series_row row = { .from = spot_of(9, 9, 9) };

        cr_expect_eq(decode(&row, rows[i].bytes, rows[i].count), E_CORRUPT,
                     "%s: %s", rows[i].what, show(&row));
    }
    for (size_t i = 0; i < sizeof(many); i++)
        many[i] = i % 4 == 1 ? 2 : 0;
    for (size_t count = SERIES_MAX; count <= SERIES_MAX + 1; count++) {
        struct series_row row = { .from = spot_of(9, 9, 9) };

        cr_expect_eq(decode(&row, many, count * 4),
                     count > SERIES_MAX ? E_CORRUPT : 0);
    }
}

/* ---- random requests, against an array of them ---- */

#define PLACES   6
#define REQUESTS 40

struct model {
    uint64_t random;
    bool has[PLACES][REQUESTS];
};

static uint64_t
pick(struct model *model, uint64_t below)
{
    model->random = model->random * 6364136223846793005u + 1442695040888963407u;
    return (model->random >> 33) % below;
}

static void
compare(const struct model *model, const struct series_row *row)
{
    uint64_t total = 0;

    for (uint64_t place = 0; place < PLACES; place++) {
        for (uint64_t request = 0; request < REQUESTS; request++) {
            struct spot spot = spot_of(place / 2, place, request);

            cr_assert_eq(series_has(row, &spot), model->has[place][request]);
            total += model->has[place][request];
        }
    }
    cr_assert_eq(series_total(row), total);
    for (size_t i = 1; i < row->count; i++) {
        const struct series *before = &row->list[i - 1];
        struct spot next = before->first;

        next.request += before->count;
        cr_assert_lt(spot_compare(&next, &row->list[i].first), 0,
                     "two that are one: %s", show(row));
    }
}

Test(series, agree_with_a_naive_model)
{
    struct model model = { .random = 1 };
    struct series_row row = { 0 };
    size_t full = 0;

    for (int step = 0; step < 20000; step++) {
        uint64_t place = pick(&model, PLACES), request = pick(&model, REQUESTS);
        bool *has = &model.has[place][request];
        bool is_add = pick(&model, 100) < (step / 1000 % 2 ? 30u : 70u);
        int rc = is_add ? add(&row, place / 2, place, request)
                        : cut(&row, place / 2, place, request, 1);

        full += rc == E_FULL;
        cr_assert_eq(rc, rc == E_FULL ? E_FULL : *has == is_add);
        if (rc == 0)
            *has = is_add;
        compare(&model, &row);
        if (row.count > 0)
            expect_again(&row);
    }
    cr_expect_gt(full, 10);
}
