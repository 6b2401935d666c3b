/* SPDX-License-Identifier: MIT */
#include "tests/store_expect.h"

#include <stdio.h>
#include <string.h>

#include "store/verify.h"

uint64_t
claim_one(struct play *play, uint64_t batch)
{
    uint64_t id = 0;

    cr_assert_eq(play_claim(play, batch, &id, 1), 1);
    return id;
}

void
expect_status(struct play *play, uint64_t batch, uint32_t index,
              enum status want)
{
    enum status got = play_get_draft(play, batch, index).status;

    cr_expect_eq(got, want, "draft %u: got '%s', want '%s'", index,
                 status_name(got), status_name(want));
}

void
expect_state(struct play *play, uint64_t batch, enum batch_state want)
{
    enum batch_state got = play_get_batch(play, batch).state;

    cr_expect_eq(got, want, "got %s, want %s", batch_state_name(got),
                 batch_state_name(want));
}

void
expect_request(struct play *play, uint64_t id, enum request_state want)
{
    enum request_state got = play_get_request(play, id).state;

    cr_expect_eq(got, want, "got %s, want %s", request_state_name(got),
                 request_state_name(want));
}

uint64_t
next_result(struct play *play, uint64_t batch, uint64_t seq,
            struct draft *draft, char text[RESULT_TEXT_BYTES])
{
    struct result_row row;
    struct slice shown = { 0 };
    int rc;

    play_begin(play);
    rc = store_result_after(play->store, batch, seq, &row);
    if (rc == 0) {
        *draft = row.draft;
        shown = row.has_outcome ? row.reply : row.essence;
        snprintf(text, RESULT_TEXT_BYTES, "%.*s", (int)shown.bytes,
                 shown.data ? shown.data : "");
    }
    store_abort(play->store);
    cr_assert(rc == 0 || rc == E_NOTFOUND);
    return rc == 0 ? draft->seq : 0;
}

void
expect_mend(struct play *play, const char *finding)
{
    struct buf report = { 0 };
    struct verify verify = play_verify(play, &report);
    struct err err = { 0 };

    cr_expect_gt(verify.findings, 0);
    cr_expect_eq(verify.mendable, verify.findings, "%s", report.data);
    cr_expect(report.data && strstr(report.data, finding), "got %s, want %s",
              report.data, finding);
    verify = (struct verify){ 0 };
    cr_assert_eq(store_repair(play->store, &verify, &err), 0, "%s", err.msg);
    cr_expect_eq(verify.findings, 0);
    buf_fini(&report);
}
