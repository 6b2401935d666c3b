/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* strtok_r */
#include "tests/name_play.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* The index of the draft with an id; -1: there is none, -2: it cannot be told. */
int64_t
name_play_index(struct play *play, uint64_t batch, const char *id)
{
    struct draft draft;
    int rc;

    play_begin(play);
    rc = store_draft_find(play->store, batch, slice_of(id), &draft);
    store_abort(play->store);
    if (rc == 0)
        return draft.index;
    return rc == E_NOTFOUND ? -1 : -2;
}

/* Adds a chunk of ids, separated by blanks; "-" is refused. Returns a letter for
 * each: n new, d a duplicate, - refused. */
const char *
name_play_add(struct play *play, uint64_t batch, const char *ids)
{
    static char told[DRAFTS_MAX + 1];
    struct play_draft drafts[DRAFTS_MAX] = { 0 };
    char *copy = mem_dup_str(ids), *rest = copy;
    size_t count = 0;

    for (char *id = strtok_r(copy, " ", &rest); id;
         id = strtok_r(NULL, " ", &rest)) {
        cr_assert_lt(count, DRAFTS_MAX);
        drafts[count++] =
            (struct play_draft){ .id = strcmp(id, "-") == 0 ? NULL : id,
                                 .word = id };
    }
    play_add(play, batch, drafts, count);
    for (size_t i = 0; i < count; i++) {
        bool is_dup = drafts[i].disposition == DRAFT_DUPLICATE_ID;

        told[i] = '-';
        if (drafts[i].id)
            told[i] = is_dup ? 'd' : 'n';
    }
    told[count] = '\0';
    free(copy);
    return told;
}

/* The stem of an id of the form BEFORE NUMBER, as FORMAT.md has it. */
uint64_t
name_play_stem(const char *before, unsigned char digits)
{
    unsigned char digest[DIGEST_BYTES], bytes[ID_BYTES];
    size_t count = strlen(before);

    memcpy(bytes, before, count);
    bytes[count] = 0;
    bytes[count + 1] = (unsigned char)count;
    bytes[count + 2] = digits;
    digest_of(bytes, count + 3, digest);
    return key_get_u64((struct slice){ (const char *)digest, 8 }, 0);
}

/* What there is of a run of two drafts or more, which begins at a number. */
struct run
name_play_row(struct play *play, uint64_t batch, uint64_t stem, uint64_t number)
{
    struct run run = { 0 };

    play_begin(play);
    cr_assert_eq(
        run_find(play->store, batch, (struct name){ stem, number }, &run), 0);
    store_abort(play->store);
    return run;
}
