/* SPDX-License-Identifier: MIT */
#include "tests/segment_play.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define TEXT_BYTES 256

void
turns_begin(struct turns *turns, struct play *play, size_t batches,
            size_t drafts)
{
    cr_assert(batches <= TURN_BATCHES && drafts <= TURN_DRAFTS);
    *turns = (struct turns){ 0 };
    for (size_t i = 0; i < batches; i++) {
        struct buf words = { 0 };
        char key[8];

        for (size_t n = 0; n < drafts; n++)
            buf_addf(&words, "%s%c%zu", n ? " " : "", (int)('a' + i), n);
        snprintf(key, sizeof(key), "k%zu", i);
        turns->batches[i] = play_batch(play, key, words.data);
        cr_assert_eq(
            play_claim(play, turns->batches[i], turns->requests[i], drafts),
            drafts);
        buf_fini(&words);
    }
}

void
turns_take(struct turns *turns, struct play *play, const char *order)
{
    for (; *order; order++) {
        bool is_ok = *order >= 'a';
        size_t i = (size_t)(*order - (is_ok ? 'a' : 'A'));

        cr_assert(i < TURN_BATCHES && turns->next[i] < TURN_DRAFTS);
        play_finish(play, turns->requests[i][turns->next[i]++],
                    is_ok ? STATUS_OK : STATUS_SERVER_ERROR, "x");
    }
}

const char *
segment_play_rows(struct play *play, uint64_t batch)
{
    static char text[TEXT_BYTES];
    struct segment segment = { 0 };
    size_t at = 0;

    *text = '\0';
    play_begin(play);
    while (segment_row(play->store, batch, segment.first + 1, &segment) == 0) {
        cr_assert_lt(at, TEXT_BYTES);
        at += (size_t)snprintf(text + at, TEXT_BYTES - at, "%s%llu-%llu",
                               at ? " " : "", (unsigned long long)segment.first,
                               (unsigned long long)segment.last);
    }
    store_abort(play->store);
    return text;
}

const char *
segment_play_newest(struct play *play, uint64_t id)
{
    static char text[TEXT_BYTES];
    struct batch batch = play_get_batch(play, id);

    snprintf(text, sizeof(text), "%llu-%llu",
             (unsigned long long)batch.segment_first,
             (unsigned long long)batch.last_seq);
    return text;
}

/* How many drafts of a batch have a result behind a number. */
static uint32_t
count_after(struct play *play, uint64_t batch, uint64_t seq)
{
    uint32_t drafts = play_get_batch(play, batch).draft_count, count = 0;

    for (uint32_t index = 0; index < drafts; index++)
        count += play_get_draft(play, batch, index).seq > seq;
    return count;
}

static void
expect_after(struct play *play, uint64_t batch, uint64_t seq)
{
    uint32_t want = count_after(play, batch, seq), count = 0;
    struct result_row row;
    uint64_t from = seq;
    int rc;

    play_begin(play);
    while ((rc = store_result_after(play->store, batch, seq, &row)) !=
           E_NOTFOUND) {
        cr_assert_eq(rc, 0);
        cr_assert_gt(row.draft.seq, seq, "no way to go on");
        cr_assert_eq(row.draft.batch, batch);
        seq = row.draft.seq;
        count++;
    }
    store_abort(play->store);
    cr_expect_eq(count, want, "batch %llu, behind %llu: %u results of %u",
                 (unsigned long long)batch, (unsigned long long)from, count,
                 want);
}

void
segment_play_expect_all(struct play *play, uint64_t batch)
{
    uint64_t last = play_get_batch(play, batch).last_seq;

    for (uint64_t seq = 0; seq <= last + 1; seq++)
        expect_after(play, batch, seq);
}
