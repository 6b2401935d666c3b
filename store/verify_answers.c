/* SPDX-License-Identifier: MIT */
#include "store/answer.h"
#include "store/verify_rows.h"

/* Its text must lie within the reply. */
static void
compare_text(struct check *check, const struct outcome *outcome,
             struct slice reply)
{
    EXPECT(check,
           outcome->reply_bytes <= reply.bytes &&
               (uint64_t)outcome->text_at + outcome->text_bytes <= reply.bytes,
           "its text is outside of the reply");
}

/* An outcome of before format 7. */
void
verify_outcome(struct check *check, struct slice key, struct record *record)
{
    uint64_t id = key_get_u64(key, 0);
    struct request request;
    struct outcome outcome;
    struct slice reply;
    int rc = store_request_get(check->store, id, &request);

    EXPECT(check, rc != E_NOTFOUND, "no request");
    EXPECT(check, rc < 0 || request.answer == 0,
           "its request has answer %llu instead", (llu)request.answer);
    if (outcome_decode(record, &outcome) < 0) {
        fault(check, "damaged");
        return;
    }
    request = (struct request){ .id = id };
    rc = store_answer_get(check->store, &request, &outcome, &reply);
    EXPECT(check, rc != E_NOTFOUND, "no reply");
    if (rc == 0)
        compare_text(check, &outcome, reply);
}

/* What is kept of a reply, behind what is told of it. */
static int
open_packed(struct check *check, const struct record *record,
            struct slice *reply)
{
    struct slice packed = { (const char *)record->at, record->left };
    int rc =
        pack_open(check->store->packer, packed, &check->store->reply, reply);

    EXPECT(check, rc == 0, "it cannot be unpacked");
    return rc;
}

void
verify_reply(struct check *check, struct slice key, struct record *record)
{
    struct slice value, reply;

    (void)open_packed(check, record, &reply);
    EXPECT(check,
           table_get_raw(check->store, TABLE_OUTCOME,
                         key_id(key_get_u64(key, 0)), &value) == 0,
           "no outcome");
}

/* One that its request names. */
static void
compare_answer(struct check *check, struct record *record)
{
    struct outcome outcome;
    struct attempt call;
    struct slice reply;

    if (answer_decode(record, &outcome, &call) < 0)
        fault(check, "damaged");
    else if (open_packed(check, record, &reply) == 0)
        compare_text(check, &outcome, reply);
}

/* One that its request does not name: of before format 7, or of no use. */
static void
compare_older(struct check *check, struct record *record, uint64_t id,
              int request_rc, const struct request *request)
{
    uint64_t number = key_get_u64(check->key, 0), older = 0;
    struct slice reply;
    int rc = answer_older(check->store, id, &older);

    if (rc == 0 && older == number) {
        (void)open_packed(check, record, &reply);
        return;
    }
    /* What it was cannot be told. */
    if (rc == E_CORRUPT || request_rc == E_CORRUPT)
        return;
    if (rc == E_NOTFOUND && request_rc == 0 && request->answer == 0)
        fault(check, "no outcome");
    else if (stale(check, "request %llu has another reply, or is not there",
                   (llu)id))
        drop_row(check);
}

void
verify_answer(struct check *check, struct slice key, struct record *record)
{
    struct ids *ids = &check->store->ids;
    uint64_t number = key_get_u64(key, 0), id = record_get_u64(record);
    struct request request;
    int rc = store_request_get(check->store, id, &request);

    if (MEND(check, number <= ids->answer, "above the last number given out"))
        raise_number(check, &ids->answer, number);
    if (rc == 0 && request.answer == number)
        compare_answer(check, record);
    else
        compare_older(check, record, id, rc, &request);
}

/* Why an attempt is of no use; NULL if it is. */
static const char *
attempt_fault(struct check *check, uint64_t id, uint32_t number,
              struct record *record)
{
    struct request request = { .id = id };
    struct attempt attempt, call, newest = { 0 };
    int rc = store_request_get(check->store, id, &request);

    if (rc < 0)
        request = (struct request){ .id = id };
    (void)store_attempt_before(check->store, &request, UINT32_MAX, &newest);
    if (attempt_decode(record, &attempt) < 0)
        return "damaged";
    if (rc == E_NOTFOUND)
        return "no request";
    if (number == 0 || newest.number - number >= STORE_ATTEMPTS_MAX)
        return "more of its request are kept than may be";
    if (answer_call(check->store, &request, &call) == 0 &&
        call.number == number) {
        return "the answer of its request tells of it";
    }
    return NULL;
}

/* What is of no use, or damaged, is removed: nothing is decided by it. */
void
verify_attempt(struct check *check, struct slice key, struct record *record)
{
    const char *reason =
        attempt_fault(check, key_get_u64(key, 0), key_get_u32(key, 8), record);

    if (reason && stale(check, "%s", reason))
        drop_row(check);
}
