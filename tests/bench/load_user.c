/* SPDX-License-Identifier: MIT */
#include "tests/bench/load_user.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"

#define NAME_BYTES   128
#define HEADER_BYTES 128

/* ---- texts ---- */

static uint64_t
draw(struct load_env *env, uint64_t below)
{
    uint64_t x = env->chance;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    env->chance = x;
    return x % below;
}

/* A number that was there before, or a new one. */
static int64_t
draw_text(struct load_env *env)
{
    if (env->texts > 0 &&
        (int64_t)draw(env, 100) < env->plan->duplicates_percent) {
        return (int64_t)draw(env, (uint64_t)env->texts);
    }
    return env->texts++;
}

static void
make_line(struct load_env *env, int64_t id)
{
    const struct load_plan *plan = env->plan;

    buf_reset(&env->text);
    if (plan->is_generated)
        buf_addf(&env->text, "%llu ", (unsigned long long)plan->seed);
    payload_text(env->payload, draw_text(env), (size_t)plan->bytes, &env->text);
    buf_reset(&env->line);
    buf_addf(&env->line, "{\"id\":\"%lld\",\"text\":", (long long)id);
    json_write_string(&env->line, env->text.data, env->text.bytes);
    buf_add_char(&env->line, '}');
}

/* ---- handing in ---- */

/* Counted, and no reason to end the test. */
static bool
is_refusal(int code)
{
    return code == SHEAF_E_FULL || code == SHEAF_E_DRAINING;
}

/* The latest reason is kept, for people. */
static int
note_refusal(struct load_env *env, const struct sheaf_error *error)
{
    (void)snprintf(env->tally->refusal, sizeof(env->tally->refusal), "%s",
                   error->message);
    return 0;
}

static void
take_refusal(void *arg, const struct sheaf_refusal *refusal)
{
    struct load_env *env = arg;

    (void)snprintf(env->tally->refusal, sizeof(env->tally->refusal), "%s: %s",
                   refusal->field, refusal->message);
}

static int
fill(struct sheaf_upload *upload, struct load_env *env,
     struct sheaf_error *error)
{
    int rc = 0;

    for (int64_t i = 0; i < env->plan->drafts && rc == 0; i++) {
        make_line(env, i);
        rc = sheaf_upload_add(upload, env->line.data, env->line.bytes,
                              (uint64_t)i, error);
    }
    return rc == 0 ? sheaf_upload_seal(upload, error) : rc;
}

/* Nothing of a batch is to stay behind that nobody looks at any more. */
static int
cancel(const struct user *user, struct load_env *env, struct sheaf_error *error)
{
    char header[HEADER_BYTES];
    int rc;

    (void)snprintf(header, sizeof(header),
                   "{\"verb\":\"cancel\",\"batch\":\"%s\"}", user->batch);
    rc = sheaf_call(env->sheaf, header, NULL, 0, NULL, error);
    /* It may have ended by itself, or be gone. */
    if (rc == SHEAF_E_CONFLICT || rc == SHEAF_E_NOTFOUND || is_refusal(rc))
        return 0;
    return rc;
}

int
user_submit(struct user *user, struct load_env *env, int64_t due_ms,
            struct sheaf_error *error)
{
    const struct load_plan *plan = env->plan;
    char key[NAME_BYTES], client[NAME_BYTES];
    struct sheaf_submission submission = { .key = key,
                                           .client = client,
                                           .options = plan->options,
                                           .priority = (int)plan->priority };
    struct sheaf_upload *upload;
    struct sheaf_tally counts;
    int rc;

    assert(user->state == USER_IDLE);
    (void)snprintf(client, sizeof(client), "%s-%d", plan->client, user->number);
    (void)snprintf(key, sizeof(key), "load-%lld-%lld", (long long)plan->run,
                   (long long)env->requests++);
    user->done++;
    env->tally->submitted += plan->drafts;
    upload =
        sheaf_upload_open(env->sheaf, &submission, take_refusal, env, error);
    if (!upload) {
        return is_refusal(error->code) ? note_refusal(env, error) : error->code;
    }
    rc = fill(upload, env, error);
    counts = sheaf_upload_tally(upload);
    (void)snprintf(user->batch, sizeof(user->batch), "%s",
                   sheaf_upload_batch(upload));
    sheaf_upload_free(upload);
    if (is_refusal(rc)) {
        note_refusal(env, error);
        return cancel(user, env, error);
    }
    if (rc < 0)
        return rc;
    env->tally->accepted += counts.accepted;
    env->tally->reused += counts.joined + counts.cached;
    user->open = counts.accepted;
    user->cursor = 0;
    user->due_ms = due_ms;
    user->poll_ms = clock_mono_ms();
    spread_add(&env->tally->submit, user->poll_ms - due_ms);
    if (user->open > 0)
        user->state = USER_WAITING;
    return 0;
}

/* ---- polling ---- */

static void
take_lines(struct user *user, struct load_env *env,
           const struct sheaf_page *page, int64_t now_ms)
{
    const char *at = page->lines, *end = page->lines + page->bytes;

    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        cJSON *line;

        if (!stop)
            stop = end;
        line = cJSON_ParseWithLength(at, (size_t)(stop - at));
        tally_result(env->tally, line);
        cJSON_Delete(line);
        spread_add(&env->tally->answer, now_ms - user->due_ms);
        user->open--;
        at = stop + 1;
    }
}

int
user_leave(struct user *user, struct load_env *env, struct sheaf_error *error)
{
    env->tally->unanswered += user->open;
    user->state = USER_IDLE;
    return cancel(user, env, error);
}

int
user_poll(struct user *user, struct load_env *env, int64_t now_ms,
          struct sheaf_error *error)
{
    struct sheaf_query query = { .verb = "results",
                                 .batch = user->batch,
                                 .cursor = user->cursor };
    struct sheaf_page page = { .has_more = true };

    assert(user->state == USER_WAITING);
    while (page.has_more) {
        int rc = sheaf_page(env->sheaf, &query, &page, error);

        if (rc < 0)
            return rc;
        take_lines(user, env, &page, clock_mono_ms());
    }
    if (user->open < 0) {
        error->code = SHEAF_E_PROTOCOL;
        (void)snprintf(error->message, sizeof(error->message),
                       "batch %s has more results than drafts", user->batch);
        return error->code;
    }
    user->cursor = query.cursor;
    user->poll_ms = now_ms + env->plan->poll_ms;
    if (user->open == 0)
        user->state = USER_IDLE;
    else if (now_ms - user->due_ms > env->plan->timeout_ms)
        return user_leave(user, env, error);
    return 0;
}
