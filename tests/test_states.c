/* The tables of states and moves, against those that PROTOCOL.md shows. */
/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "queue/wait.h"
#include "store/batch.h"
#include "store/delivery.h"
#include "store/request.h"

#define PROTOCOL   "queue/PROTOCOL.md"
#define LINE_BYTES 400
#define NAME_BYTES 32

typedef const char *name_fn(int state);
typedef bool may_fn(int from, int to);

static const char *
batch_name(int state)
{
    return batch_state_name((enum batch_state)state);
}

static bool
batch_may(int from, int to)
{
    return batch_may_move((enum batch_state)from, (enum batch_state)to);
}

static const char *
request_name(int state)
{
    return request_state_name((enum request_state)state);
}

static bool
request_may(int from, int to)
{
    return request_may_move((enum request_state)from, (enum request_state)to);
}

/* Opens the document behind a heading. */
static FILE *
open_at(const char *heading)
{
    FILE *file = fopen(PROTOCOL, "re");
    char line[LINE_BYTES];

    cr_assert_not_null(file, "%s cannot be read", PROTOCOL);
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, heading, strlen(heading)) == 0)
            return file;
    }
    cr_assert_fail("%s has no heading \"%s\"", PROTOCOL, heading);
    return NULL;
}

static int
find(name_fn *name_of, int count, const char *name)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(name_of(i), name) == 0)
            return i;
    }
    cr_assert_fail("no state \"%s\"", name);
    return -1;
}

/* Every row of the document is a move, and every move has a row. */
static void
compare(const char *heading, name_fn *name_of, may_fn *may, int count)
{
    FILE *file = open_at(heading);
    char line[LINE_BYTES], from[NAME_BYTES], to[NAME_BYTES];
    int rows = 0, moves = 0;

    while (fgets(line, sizeof(line), file) && strncmp(line, "## ", 3) != 0) {
        int a, b;

        if (sscanf(line, "| %31[a-z] | %31[a-z] |", from, to) != 2 ||
            strcmp(from, "from") == 0) {
            continue;
        }
        a = find(name_of, count, from);
        b = find(name_of, count, to);
        cr_expect(may(a, b), "%s says %s to %s, the table does not", PROTOCOL,
                  from, to);
        rows++;
    }
    fclose(file);
    for (int a = 0; a < count; a++) {
        for (int b = 0; b < count; b++)
            moves += may(a, b);
    }
    cr_expect_eq(rows, moves, "%d rows in %s, %d moves in the table", rows,
                 PROTOCOL, moves);
}

Test(states, the_moves_of_batches_are_those_of_the_protocol)
{
    compare("## The life of a batch", batch_name, batch_may, BATCH_STATE_COUNT);
}

Test(states, the_moves_of_requests_are_those_of_the_protocol)
{
    compare("## The life of a request", request_name, request_may,
            REQUEST_STATE_COUNT);
}

static const char *
delivery_name(int state)
{
    return delivery_state_name((enum delivery_state)state);
}

static bool
delivery_may(int from, int to)
{
    return delivery_may_move((enum delivery_state)from,
                             (enum delivery_state)to);
}

Test(states, the_moves_of_deliveries_are_those_of_the_protocol)
{
    compare("## The life of a delivery", delivery_name, delivery_may,
            DELIVERY_STATE_COUNT);
}

/* Rows such as "| `slot` | for …". */
Test(states, what_is_waited_for_is_told_by_the_protocol_in_the_same_order)
{
    FILE *file = open_at("### why");
    char line[LINE_BYTES], name[NAME_BYTES];
    int cause = WAIT_NOTHING;

    while (fgets(line, sizeof(line), file) && strncmp(line, "### ", 4) != 0) {
        if (sscanf(line, "| `%31[a-z]` |", name) != 1 ||
            strcmp(name, "for") == 0) {
            continue;
        }
        cr_assert_lt(++cause, WAIT_COUNT);
        cr_expect_str_eq(name, wait_name((enum wait_cause)cause));
    }
    fclose(file);
    cr_expect_eq(cause, WAIT_COUNT - 1);
}
