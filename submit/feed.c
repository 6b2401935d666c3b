/* SPDX-License-Identifier: MIT */
#include "submit/feed.h"

#include <assert.h>
#include <string.h>

#include "base/json.h"
#include "submit/output.h"
#include "submit/refusals.h"
#include "submit/stored.h"

static void
report_json(const struct input *input, const struct sheaf_refusal *refusal,
            struct buf *line)
{
    const char *path = input_place_path(input, refusal->place);
    int64_t number = input_place_line(refusal->place);

    buf_add_str(line, "{\"error\":{\"code\":");
    json_write_string(line, refusal->code, strlen(refusal->code));
    buf_add_str(line, ",\"message\":");
    json_write_string(line, refusal->message, strlen(refusal->message));
    buf_add_str(line, ",\"file\":");
    json_write_string(line, path, strlen(path));
    if (number > 0)
        buf_addf(line, ",\"line\":%lld", (long long)number);
    buf_add_str(line, ",\"field\":");
    json_write_string(line, refusal->field, strlen(refusal->field));
    buf_addf(line, ",\"index\":%lld}}\n", (long long)refusal->index);
}

void
feed_report(struct command *command, const struct input *input,
            const struct sheaf_refusal *refusal)
{
    struct buf line = { 0 }, text = { 0 };

    assert(refusal->field);
    if (command->options->json) {
        report_json(input, refusal, &line);
    } else {
        input_place_text(input, refusal->place, &text);
        buf_addf(&text, ": %s%s%s", refusal->field, *refusal->field ? ": " : "",
                 refusal->message);
        output_escape(buf_slice(&text), &line);
        buf_add_char(&line, '\n');
    }
    command_print_error(command, &line);
    buf_fini(&line);
    buf_fini(&text);
}

static void
count_refusal(void *arg, const struct sheaf_refusal *refusal)
{
    struct feed *feed = arg;

    feed->refused++;
    if (!feed->is_quiet)
        feed_report(feed->command, feed->input, refusal);
}

/* A draft that never gets to the broker, in the broker's words. */
static void
count_local(struct feed *feed, const struct input_draft *draft, int64_t index)
{
    struct sheaf_refusal refusal = { .index = index,
                                     .place = draft->place,
                                     .field = draft->field,
                                     .code = draft->code,
                                     .message = draft->reason };

    count_refusal(feed, &refusal);
}

static int
fail(struct feed *feed, const struct sheaf_error *error, struct err *err)
{
    int rc = command_fail(feed->command, error, err);

    if (rc == E_UNREACHABLE && *feed->batch)
        err_wrap(err, "batch %s is not complete", feed->batch);
    return rc;
}

static int
differ(const struct feed *feed, struct err *err)
{
    return err_set(err, E_CONFLICT,
                   "batch %s, key '%s': it was submitted with other drafts; "
                   "use another key",
                   feed->batch, feed->submission->sheaf.key);
}

/* Reports again what was refused of a draft, here or by the broker, which tells
 * its refusals in order. */
static int
report_again(struct feed *feed, const struct input_draft *draft,
             struct refusals *refusals, struct sheaf_refusal *refusal,
             struct err *err)
{
    while (refusal->index < feed->drafts) {
        int rc = refusals_next(refusals, refusal, err);

        if (rc < 0)
            return rc;
        if (rc == 1)
            refusal->index = INT64_MAX;
    }
    if (draft->code) {
        count_local(feed, draft, feed->drafts);
    } else if (refusal->index == feed->drafts) {
        refusal->place = draft->place;
        count_refusal(feed, refusal);
    }
    return 0;
}

/* The next draft: 0, 1 at the end, or an error. */
static int
take_draft(struct feed *feed, struct input_draft *draft, struct err *err)
{
    int rc = input_next(feed->input, draft);

    return rc < 0 ? command_stopped(feed->command, err) : rc;
}

/* Passes over the drafts that the broker has, which must be these. */
static int
pass_over(struct feed *feed, int64_t count, struct err *err)
{
    struct sheaf_refusal refusal = { .index = -1 };
    struct refusals refusals;
    struct stored stored;
    int rc = 0;

    stored_init(&stored, feed->command->sheaf, feed->batch);
    refusals_init(&refusals, feed->command->sheaf, feed->batch, 0);
    for (; rc == 0 && feed->drafts < count; feed->drafts++) {
        struct input_draft draft;

        rc = take_draft(feed, &draft, err);
        if (rc == 0)
            rc = stored_take(&stored, draft.line, err);
        if (rc == 0)
            rc = report_again(feed, &draft, &refusals, &refusal, err);
    }
    refusals_fini(&refusals);
    stored_fini(&stored);
    return rc == 1 ? differ(feed, err) : rc;
}

static int
send_rest(struct feed *feed, struct sheaf_upload *upload, struct err *err)
{
    struct input_draft draft;
    struct sheaf_error error;
    int rc;

    for (; (rc = take_draft(feed, &draft, err)) == 0; feed->drafts++) {
        if (draft.code)
            count_local(feed, &draft, feed->drafts);
        if (sheaf_upload_add(upload, draft.line.data, draft.line.bytes,
                             draft.place, &error) < 0) {
            return fail(feed, &error, err);
        }
    }
    if (rc == 1 && sheaf_upload_seal(upload, &error) < 0)
        return fail(feed, &error, err);
    return rc < 0 ? rc : 0;
}

static int
fill(struct feed *feed, struct sheaf_upload *upload, struct err *err)
{
    struct input_draft draft;
    int rc;

    if (strcmp(sheaf_upload_state(upload), "abandoned") == 0) {
        return err_set(err, E_CONFLICT,
                       "batch %s, key '%s': it was left open for too long and "
                       "is dropped; use another key",
                       feed->batch, feed->submission->sheaf.key);
    }
    rc = pass_over(feed, sheaf_upload_stored(upload), err);
    if (rc < 0)
        return rc;
    if (strcmp(sheaf_upload_state(upload), "open") == 0)
        return send_rest(feed, upload, err);
    /* It was sealed before: there must be nothing more. */
    rc = take_draft(feed, &draft, err);
    if (rc == 0)
        return differ(feed, err);
    return rc < 0 ? rc : 0;
}

int
feed_run(struct feed *feed, struct err *err)
{
    struct sheaf_upload *upload;
    struct sheaf_error error;
    int rc;

    feed->drafts = 0;
    feed->refused = 0;
    feed->batch[0] = '\0';
    upload = sheaf_upload_open(feed->command->sheaf, &feed->submission->sheaf,
                               count_refusal, feed, &error);
    if (!upload)
        return fail(feed, &error, err);
    input_limit(feed->input,
                (size_t)sheaf_upload_welcome(upload)->line_bytes_max);
    memcpy(feed->batch, sheaf_upload_batch(upload), sizeof(feed->batch));
    rc = fill(feed, upload, err);
    feed->tally = sheaf_upload_tally(upload);
    memcpy(feed->state, sheaf_upload_state(upload), sizeof(feed->state));
    sheaf_upload_free(upload);
    return rc;
}
