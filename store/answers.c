/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "store/answer.h"
#include "store/rows.h"

#define OWNER_BYTES 8 /* of the request, with which a row begins */

/* Before format 7, an outcome has a row of its own, by request. */
static int
old_find(struct store *store, uint64_t request, struct outcome *outcome,
         struct record *rest)
{
    int rc = table_get(store, TABLE_OUTCOME, key_id(request), rest);

    return rc < 0 ? rc : outcome_decode(rest, outcome);
}

/* The number of the answer with its reply stands at its end. Format 3 had none:
 * the reply is in `reply`. */
static uint64_t
old_number(struct record *rest)
{
    return rest->left ? record_get_u64(rest) : 0;
}

static int
old_reply(struct store *store, uint64_t request, struct record *rest)
{
    uint64_t number = old_number(rest);
    int rc;

    if (record_end(rest) < 0)
        return E_CORRUPT;
    rc = number ? table_get(store, TABLE_ANSWER, key_id(number), rest)
                : table_get(store, TABLE_REPLY, key_id(request), rest);
    if (rc == 0 && number && record_get_u64(rest) != request)
        rc = E_CORRUPT;
    return rc;
}

/* What an answer tells, and its reply behind that. One of another request leaves
 * this one without. */
static int
find(struct store *store, uint64_t request, uint64_t number,
     struct outcome *outcome, struct attempt *call, struct record *rest)
{
    int rc = table_get(store, TABLE_ANSWER, key_id(number), rest);

    if (rc == 0 && record_get_u64(rest) != request)
        rc = E_NOTFOUND;
    return rc < 0 ? rc : answer_decode(rest, outcome, call);
}

int
store_outcome_get(struct store *store, const struct request *request,
                  struct outcome *outcome)
{
    struct record rest;
    struct attempt call;

    return request->answer ? find(store, request->id, request->answer, outcome,
                                  &call, &rest)
                           : old_find(store, request->id, outcome, &rest);
}

int
answer_get(struct store *store, uint64_t request, uint64_t number,
           struct outcome *outcome, struct slice *reply)
{
    struct record rest;
    struct attempt call;
    int rc;

    if (number) {
        rc = find(store, request, number, outcome, &call, &rest);
    } else {
        rc = old_find(store, request, outcome, &rest);
        if (rc == 0)
            rc = old_reply(store, request, &rest);
    }
    if (rc < 0)
        return rc;
    return pack_open(store->packer,
                     (struct slice){ (const char *)rest.at, rest.left },
                     &store->reply, reply);
}

int
store_answer_get(struct store *store, const struct request *request,
                 struct outcome *outcome, struct slice *reply)
{
    return answer_get(store, request->id, request->answer, outcome, reply);
}

int
answer_call(struct store *store, const struct request *request,
            struct attempt *call)
{
    struct record rest;
    struct outcome outcome;
    int rc;

    if (request->answer == 0)
        return E_NOTFOUND;
    rc = find(store, request->id, request->answer, &outcome, call, &rest);
    return rc == 0 && call->number == 0 ? E_NOTFOUND : rc;
}

/* True if an answer is the request's, or damaged. The seal covers the reply, and
 * would read all of that: it is looked at only if the answer says that it is
 * another's. */
static bool
is_of(struct store *store, uint64_t number, uint64_t request)
{
    struct slice value;
    struct record record;

    if (table_get_raw(store, TABLE_ANSWER, key_id(number), &value) < 0)
        return false;
    if (value.bytes >= OWNER_BYTES && key_get_u64(value, 0) == request)
        return true;
    return table_get(store, TABLE_ANSWER, key_id(number), &record) == E_CORRUPT;
}

bool
answer_is_there(struct store *store, const struct request *request)
{
    struct slice value;

    if (request->answer)
        return is_of(store, request->answer, request->id);
    return table_get_raw(store, TABLE_OUTCOME, key_id(request->id), &value) ==
           0;
}

/* Removes a row of `answer`, but none of another request. */
static void
drop(struct store *store, uint64_t number, uint64_t request)
{
    if (is_of(store, number, request))
        table_del(store, TABLE_ANSWER, key_id(number));
}

int
answer_older(struct store *store, uint64_t request, uint64_t *number)
{
    struct record rest;
    struct outcome outcome;
    int rc = old_find(store, request, &outcome, &rest);

    if (rc < 0)
        return rc;
    *number = old_number(&rest);
    return record_end(&rest);
}

static void
old_drop(struct store *store, uint64_t request)
{
    uint64_t number;

    if (answer_older(store, request, &number) == 0) {
        if (number)
            drop(store, number, request);
        else
            table_del(store, TABLE_REPLY, key_id(request));
    }
    table_del(store, TABLE_OUTCOME, key_id(request));
}

void
answer_drop(struct store *store, const struct request *request)
{
    if (request->answer)
        drop(store, request->answer, request->id);
    else
        old_drop(store, request->id);
}

void
answer_put(struct store *store, struct request *request,
           const struct outcome *outcome, const struct attempt *attempt,
           struct reply reply)
{
    struct attempt call = { 0 };
    struct buf *out;

    if (request->status != STATUS_NONE) { /* a former try has ended */
        attempt_keep(store, request);
        answer_drop(store, request);
        request->answer = 0;
    }
    if (attempt) {
        assert(attempt_fits(attempt));
        call = *attempt;
        call.number = attempt_next(store, request);
    }
    request->answer = ++store->ids.answer;
    out = table_fields(store);
    record_u64(out, request->id);
    answer_encode(outcome, &call, out);
    if (reply.is_packed)
        buf_add_slice(out, reply.text);
    else
        pack_add(store->packer, reply.text, out);
    table_append(store, TABLE_ANSWER, key_id(request->answer));
}
