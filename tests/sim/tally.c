/* SPDX-License-Identifier: MIT */
#include "tests/sim/tally.h"

#include <stdio.h>

void
tally_add(struct tally *sum, const struct tally *part)
{
#define TALLY_SUM(name) sum->name += part->name;
    TALLY_LIST(TALLY_SUM)
#undef TALLY_SUM
#define TALLY_MAX(name)         \
    if (part->name > sum->name) \
        sum->name = part->name;
    TALLY_PEAKS(TALLY_MAX)
#undef TALLY_MAX
    for (int a = 0; a < BATCH_STATE_COUNT; a++) {
        for (int b = 0; b < BATCH_STATE_COUNT; b++)
            sum->batch_moves[a][b] += part->batch_moves[a][b];
    }
    for (int a = 0; a < REQUEST_STATE_COUNT; a++) {
        for (int b = 0; b < REQUEST_STATE_COUNT; b++)
            sum->request_moves[a][b] += part->request_moves[a][b];
    }
}

/* One move; 1 if there should have been some and were not. */
static int
print_move(const char *what, const char *from, const char *to, uint64_t count)
{
    printf("%s %s -> %s: %llu%s\n", what, from, to, (unsigned long long)count,
           count ? "" : "   NEVER TAKEN");
    return count == 0;
}

int
tally_print(const struct tally *tally)
{
    static const struct {
        const char *name;
        size_t offset;
    } fields[] = {
#define TALLY_ROW(name) { #name, offsetof(struct tally, name) },
        TALLY_LIST(TALLY_ROW)
#undef TALLY_ROW
    };
    int missing = 0;

    for (int a = 0; a < BATCH_STATE_COUNT; a++) {
        for (int b = 0; b < BATCH_STATE_COUNT; b++) {
            enum batch_state from = (enum batch_state)a;
            enum batch_state to = (enum batch_state)b;

            if (batch_may_move(from, to)) {
                missing +=
                    print_move("batch", batch_state_name(from),
                               batch_state_name(to), tally->batch_moves[a][b]);
            }
        }
    }
    for (int a = 0; a < REQUEST_STATE_COUNT; a++) {
        for (int b = 0; b < REQUEST_STATE_COUNT; b++) {
            enum request_state from = (enum request_state)a;
            enum request_state to = (enum request_state)b;

            if (request_may_move(from, to)) {
                missing += print_move("request", request_state_name(from),
                                      request_state_name(to),
                                      tally->request_moves[a][b]);
            }
        }
    }
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        const uint64_t *value =
            (const uint64_t *)((const char *)tally + fields[i].offset);

        printf("%s%s %llu%s",
               i == 0       ? ""
               : i % 6 == 0 ? "\n"
                            : ", ",
               fields[i].name, (unsigned long long)*value,
               *value ? "" : "   NEVER");
        missing += *value == 0;
    }
    printf("\n");
#define TALLY_PEAK(name) \
    printf(#name " %.3f of its bound\n", (double)tally->name / 1000);
    TALLY_PEAKS(TALLY_PEAK)
#undef TALLY_PEAK
    return missing;
}
