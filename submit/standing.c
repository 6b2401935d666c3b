/* SPDX-License-Identifier: MIT */
#include "submit/standing.h"

#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/status.h"

#define WAIT_MS       30000
#define WAIT_SHOWN_MS 250  /* while progress is shown on a terminal */
#define WAIT_LINES_MS 1000 /* elsewhere: a slow call has a line at once */

/* An older broker does not tell. */
static int
read_slow(struct standing *standing, const struct wire *status, struct err *err)
{
    const struct wire slow = { .head = (cJSON *)wire_get(status, "slow") };
    const cJSON *count;
    int rc;

    standing->stage = standing->slow = 0;
    if (!cJSON_IsObject(slow.head))
        return 0;
    rc = wire_int(&slow, "stage", wire_range_or(0, PROGRESS_STAGES - 1, 0),
                  &standing->stage, err);
    if (rc < 0 || standing->stage == 0)
        return rc;
    count =
        cJSON_GetArrayItem(wire_get(&slow, "calls"), (int)standing->stage - 1);
    if (cJSON_IsNumber(count))
        standing->slow = (int64_t)count->valuedouble;
    return 0;
}

int
standing_read(struct standing *standing, const struct wire *status,
              struct err *err)
{
    const struct {
        const char *name;
        int64_t *value;
    } fields[] = { { "drafts", &standing->drafts },
                   { "refused", &standing->refused },
                   { "done", &standing->done },
                   { "ok", &standing->ok },
                   { "cancelled", &standing->cancelled },
                   { "joined", &standing->joined },
                   { "cached", &standing->cached } };
    struct wire counts = { .head = NULL };
    const char *state;
    int rc =
        wire_str(status, "state", SHEAF_STATE_BYTES - 1, NULL, &state, err);

    counts.head = (cJSON *)wire_get(status, "counts");
    if (rc == 0 && !cJSON_IsObject(counts.head))
        rc = err_set(err, E_PROTOCOL, "a status without counts");
    for (size_t i = 0; rc == 0 && i < sizeof(fields) / sizeof(fields[0]); i++) {
        rc = wire_int(&counts, fields[i].name,
                      wire_range_or(0, WIRE_INT_MAX, 0), fields[i].value, err);
    }
    if (rc == 0)
        rc = read_slow(standing, status, err);
    if (rc == 0)
        memcpy(standing->state, state, strlen(state) + 1);
    standing->is_stalled = cJSON_IsObject(wire_get(status, "stalled"));
    return rc < 0 ? E_PROTOCOL : 0;
}

int64_t
standing_fallbacks(const struct standing *standing)
{
    return standing->done - standing->ok - standing->cancelled;
}

bool
standing_is_over(const struct standing *standing)
{
    static const char *const states[] = { "finished", "cancelled", "expired",
                                          "failed",   "abandoned", "empty" };

    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        if (strcmp(standing->state, states[i]) == 0)
            return true;
    }
    return false;
}

int
standing_exit_code(const struct standing *standing, bool fallback_ok)
{
    int64_t fine = standing->ok;

    if (fallback_ok)
        fine += standing_fallbacks(standing);
    return standing->drafts > 0 && fine == standing->drafts ? 0 : EXIT_FLAWED;
}

void
standing_text(const struct wire *status, struct buf *out)
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
show(struct command *command, const struct standing *standing)
{
    struct progress_counts counts = {
        .total = standing->drafts - standing->refused,
        .done = standing->done,
        .cached = standing->cached,
        .joined = standing->joined,
        .fallbacks = standing_fallbacks(standing),
        .stage = standing->stage,
        .slow = standing->slow,
    };

    progress_show(&command->progress, &counts, clock_mono_ms());
}

/* Somebody has stopped the batch: whoever waits would wonder. */
static void
tell_pause(struct command *command, const char *batch,
           const struct standing *standing, bool *was_paused)
{
    bool is_paused = strcmp(standing->state, "paused") == 0;

    if (is_paused && !*was_paused) {
        command_note(command,
                     "batch %s is paused; 'sheaf resume %s' lets it go on",
                     batch, batch);
    }
    *was_paused = is_paused;
}

static const char *
string_of(const cJSON *object, const char *name)
{
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(object, name);

    return cJSON_IsString(text) ? text->valuestring : "";
}

/* It waits for somebody who lets an upstream be asked again: whoever waits for it
 * is told, and may come back then. */
static void
tell_stall(struct command *command, const char *batch,
           const struct wire *status)
{
    const cJSON *stalled = wire_get(status, "stalled");
    const char *upstream = string_of(stalled, "upstream");
    const char *code = string_of(stalled, "code");
    const char *message = string_of(stalled, "message");
    const char *directory = command->options->directory;

    command_note(command,
                 "batch %s is stalled: upstream %s is suspended (%s%s%s); when "
                 "that is mended, 'sheaf%s%s upstreams resume %s' lets it go "
                 "on, and the same command waits for it again",
                 batch, upstream, code, *code && *message ? ": " : "", message,
                 directory ? " -C " : "", directory ? directory : "", upstream);
}

int
standing_wait(struct command *command, const char *batch, int64_t end_ms,
              struct wire *status, struct standing *standing, struct err *err)
{
    int wait_ms = 0; /* the first look is at once */
    bool was_paused = false;

    for (;;) {
        struct sheaf_reply reply;
        struct sheaf_error error;
        int64_t left_ms = end_ms - clock_mono_ms();
        int rc;

        if (end_ms >= 0 && left_ms < wait_ms)
            wait_ms = left_ms > 0 ? (int)left_ms : 0;
        rc = sheaf_wait_or_stall(command->sheaf, batch, -1, wait_ms, &reply,
                                 &error);
        if (rc < 0)
            return command_fail(command, &error, err);
        rc = wire_parse(status,
                        (struct slice){ reply.header, reply.header_bytes },
                        (struct slice){ NULL, 0 }, err);
        if (rc == 0)
            rc = standing_read(standing, status, err);
        if (rc < 0 || standing_is_over(standing)) {
            progress_clear(&command->progress);
            return rc;
        }
        if (standing->is_stalled) {
            progress_clear(&command->progress);
            tell_stall(command, batch, status);
            return 0;
        }
        tell_pause(command, batch, standing, &was_paused);
        show(command, standing);
        wire_fini(status);
        if (end_ms >= 0 && left_ms <= 0) {
            return err_set(err, E_TIMEOUT,
                           "batch %s is not finished: %lld of "
                           "%lld drafts are done",
                           batch, (long long)standing->done,
                           (long long)(standing->drafts - standing->refused));
        }
        wait_ms = command->progress.is_shown && command->progress.is_terminal
                      ? WAIT_SHOWN_MS
                      : WAIT_MS;
        if (command->progress.is_shown && !command->progress.is_terminal)
            wait_ms = WAIT_LINES_MS;
    }
}
