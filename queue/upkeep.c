/* SPDX-License-Identifier: MIT */
#include "queue/upkeep.h"

#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

#include "base/log.h"
#include "base/mem.h"
#include "queue/core.h"

#define TARGET_BYTES_MAX 4000 /* of a path, with what is put behind it */

static const char *
kind_name(enum job_kind kind)
{
    return kind == JOB_BACKUP ? "backup" : "verify";
}

void
upkeep_fini(struct upkeep *upkeep)
{
    free(upkeep->target);
    buf_fini(&upkeep->report);
}

/* ---- messages ---- */

static int
answer(struct call *call)
{
    const struct upkeep *upkeep = &call->broker->upkeep;
    const struct job_progress *progress = &upkeep->progress;
    bool is_done = upkeep->state == UPKEEP_DONE;
    struct buf *body;
    cJSON *head;

    if (is_done && upkeep->err.code)
        return err_set(call->err, upkeep->err.code, "%s", upkeep->err.msg);
    head = core_answer(call, "upkeep");
    wire_add_str(head, "job", upkeep->id);
    wire_add_str(head, "kind", kind_name(upkeep->kind));
    wire_add_str(head, "state", is_done ? "done" : "running");
    wire_add_str(head, "step", progress->step ? progress->step : "");
    wire_add_int(head, "rows", (int64_t)progress->rows);
    wire_add_int(head, "rows_all", (int64_t)progress->rows_all);
    wire_add_int(head, "bytes", (int64_t)progress->bytes);
    wire_add_int(head, "findings", (int64_t)progress->findings);
    wire_add_int(head, "repairable", (int64_t)progress->mendable);
    body = core_send(call, head);
    if (is_done)
        buf_add_slice(body, buf_slice(&upkeep->report));
    return 0;
}

/* Where a backup goes: the broker has another working directory than who asks
 * for it. */
static int
read_target(struct call *call, char **target)
{
    const char *text;
    size_t bytes;

    if (wire_str(call->wire, "directory", TARGET_BYTES_MAX, NULL, &text,
                 call->err) < 0) {
        return E_INVALID;
    }
    bytes = strlen(text);
    while (bytes > 1 && text[bytes - 1] == '/')
        bytes--;
    if (text[0] != '/' || bytes == 1)
        return err_set(call->err, E_INVALID,
                       "directory: an absolute path is expected");
    *target = mem_dup(text, bytes);
    return 0;
}

static int
begin(struct call *call, enum job_kind kind, const char *id)
{
    struct upkeep *upkeep = &call->broker->upkeep;
    char *target = NULL;

    if (call->broker->is_draining)
        return err_set(call->err, E_DRAINING, "the broker is shutting down");
    if (upkeep->state == UPKEEP_WANTED || upkeep->state == UPKEEP_RUNNING) {
        return err_set(call->err, E_FULL,
                       "a %s is running; there is one at a time",
                       kind_name(upkeep->kind));
    }
    if (kind == JOB_BACKUP && read_target(call, &target) < 0)
        return E_INVALID;
    upkeep_fini(upkeep);
    *upkeep = (struct upkeep){ .state = UPKEEP_WANTED,
                               .kind = kind,
                               .target = target };
    memcpy(upkeep->id, id, UPKEEP_ID_BYTES);
    return answer(call);
}

static int
handle(struct call *call, enum job_kind kind)
{
    struct upkeep *upkeep = &call->broker->upkeep;
    char id[UPKEEP_ID_BYTES];
    const char *text;
    uuid_t uuid;

    if (wire_str(call->wire, "job", UPKEEP_ID_BYTES - 1, NULL, &text,
                 call->err) < 0) {
        return E_INVALID;
    }
    if (uuid_parse(text, uuid) != 0)
        return err_set(call->err, E_INVALID, "job: not a UUID");
    core_uuid_text(uuid, id);
    if (upkeep->state == UPKEEP_NONE || strcmp(upkeep->id, id) != 0)
        return begin(call, kind, id);
    if (upkeep->kind != kind)
        return err_set(call->err, E_CONFLICT, "job %s is a %s", id,
                       kind_name(upkeep->kind));
    return answer(call);
}

int
upkeep_verify(struct call *call)
{
    return handle(call, JOB_VERIFY);
}

int
upkeep_backup(struct call *call)
{
    return handle(call, JOB_BACKUP);
}

/* ---- the loop ---- */

bool
broker_job_take(struct broker *broker, struct job_terms *terms)
{
    struct upkeep *upkeep = &broker->upkeep;

    if (upkeep->state != UPKEEP_WANTED)
        return false;
    upkeep->state = UPKEEP_RUNNING;
    *terms =
        (struct job_terms){ .kind = upkeep->kind, .target = upkeep->target };
    log_info("event=%s_started", kind_name(upkeep->kind));
    return true;
}

void
broker_job_note(struct broker *broker, const struct job_progress *progress)
{
    broker->upkeep.progress = *progress;
}

void
broker_job_give(struct broker *broker, const struct err *err,
                struct slice report)
{
    struct upkeep *upkeep = &broker->upkeep;

    upkeep->state = UPKEEP_DONE;
    upkeep->err = err ? *err : (struct err){ 0 };
    buf_add_slice(&upkeep->report, report);
    if (err) {
        log_error("event=%s_failed reason=\"%s\"", kind_name(upkeep->kind),
                  err->msg);
    } else if (upkeep->progress.findings > 0) {
        log_error("event=%s_done findings=%llu", kind_name(upkeep->kind),
                  (unsigned long long)upkeep->progress.findings);
    } else {
        log_info("event=%s_done findings=0", kind_name(upkeep->kind));
    }
}
