/* SPDX-License-Identifier: MIT */
#include "submit/outcome.h"

#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/status.h"

#define WAIT_MS       30000
#define WAIT_SHOWN_MS 250 /* while progress is shown */

int
outcome_read(struct outcome *outcome, const struct wire *status,
             struct err *err)
{
    const struct {
        const char *name;
        int64_t *value;
    } fields[] = {
        { "drafts", &outcome->drafts },       { "refused", &outcome->refused },
        { "done", &outcome->done },           { "ok", &outcome->ok },
        { "cancelled", &outcome->cancelled }, { "joined", &outcome->joined },
        { "cached", &outcome->cached }
    };
    struct wire counts = { .head = NULL };
    const char *state;
    int rc =
        wire_str(status, "state", SHEAF_STATE_BYTES - 1, NULL, &state, err);

    counts.head = (cJSON *)wire_get(status, "counts");
    if (rc == 0 && !cJSON_IsObject(counts.head))
        rc = err_set(err, E_PROTOCOL, "a status without counts");
    for (size_t i = 0; rc == 0 && i < sizeof(fields) / sizeof(fields[0]); i++) {
        rc = wire_int(&counts, fields[i].name, 0, WIRE_INT_MAX, 0,
                      fields[i].value, err);
    }
    if (rc == 0)
        memcpy(outcome->state, state, strlen(state) + 1);
    return rc < 0 ? E_PROTOCOL : 0;
}

int64_t
outcome_fallbacks(const struct outcome *outcome)
{
    return outcome->done - outcome->ok - outcome->cancelled;
}

bool
outcome_is_over(const struct outcome *outcome)
{
    static const char *const states[] = { "finished", "cancelled", "expired",
                                          "abandoned", "empty" };

    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        if (strcmp(outcome->state, states[i]) == 0)
            return true;
    }
    return false;
}

int
outcome_exit_code(const struct outcome *outcome, bool fallback_ok)
{
    int64_t fine = outcome->ok;

    if (fallback_ok)
        fine += outcome_fallbacks(outcome);
    return outcome->drafts > 0 && fine == outcome->drafts ? 0 : EXIT_FLAWED;
}

void
outcome_text(const struct wire *status, struct buf *out)
{
    const cJSON *counts = wire_get(status, "counts");
    size_t start = out->bytes;

    for (int i = STATUS_NONE + 1; i <= STATUS_COUNT; i++) {
        const char *name =
            i < STATUS_COUNT ? status_name((enum status)i) : "refused";
        const cJSON *count = cJSON_GetObjectItemCaseSensitive(counts, name);

        if (cJSON_IsNumber(count) && count->valuedouble > 0) {
            buf_addf(out, "%s%.0f %s", out->bytes > start ? ", " : "",
                     count->valuedouble, name);
        }
    }
    if (out->bytes == start)
        buf_add_str(out, "nothing yet");
}

static void
show(struct command *command, const struct outcome *outcome)
{
    struct progress_counts counts = {
        .total = outcome->drafts - outcome->refused,
        .done = outcome->done,
        .cached = outcome->cached,
        .joined = outcome->joined,
        .fallbacks = outcome_fallbacks(outcome),
    };

    progress_show(&command->progress, &counts, clock_mono_ms());
}

int
outcome_wait(struct command *command, const char *batch, int64_t end_ms,
             struct wire *status, struct outcome *outcome, struct err *err)
{
    int wait_ms = 0; /* the first look is at once */

    for (;;) {
        struct sheaf_reply reply;
        struct sheaf_error error;
        int64_t left_ms = end_ms - clock_mono_ms();
        int rc;

        if (end_ms >= 0 && left_ms < wait_ms)
            wait_ms = left_ms > 0 ? (int)left_ms : 0;
        rc = sheaf_wait(command->sheaf, batch, -1, wait_ms, &reply, &error);
        if (rc < 0)
            return command_fail(command, &error, err);
        rc = wire_parse(status,
                        (struct slice){ reply.header, reply.header_bytes },
                        (struct slice){ NULL, 0 }, err);
        if (rc == 0)
            rc = outcome_read(outcome, status, err);
        if (rc < 0 || outcome_is_over(outcome)) {
            progress_clear(&command->progress);
            return rc;
        }
        show(command, outcome);
        wire_fini(status);
        if (end_ms >= 0 && left_ms <= 0) {
            return err_set(err, E_TIMEOUT,
                           "batch %s is not finished: %lld of "
                           "%lld drafts are done",
                           batch, (long long)outcome->done,
                           (long long)(outcome->drafts - outcome->refused));
        }
        wait_ms = command->progress.is_shown && command->progress.is_terminal
                      ? WAIT_SHOWN_MS
                      : WAIT_MS;
        if (command->progress.is_shown && !command->progress.is_terminal)
            wait_ms = PROGRESS_LOG_MS;
    }
}
