/* SPDX-License-Identifier: MIT */
#include "queue/job.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/copy.h"

struct job {
    pthread_t thread;
    struct store *store; /* borrowed */
    enum job_kind kind;
    char *target;
    int64_t end_ms; /* of its snapshot, on the monotonic clock */
    int64_t snapshot_ms_max;
    /* Written by the thread, read by the loop. */
    atomic_ullong rows, rows_all, bytes, findings, mendable;
    atomic_int step;
    atomic_bool is_over;
    /* Written by the loop before stop_code is, read by the thread after it. */
    const char *why;
    atomic_int stop_code;
    /* The thread's own until it is over. */
    struct buf report;
    struct err err;
    int rc;
};

/* ---- in the thread ---- */

/* True if it may go on. */
static bool
may_go_on(struct job *job, bool has_snapshot)
{
    if (atomic_load(&job->stop_code) != 0)
        return false;
    return !has_snapshot || clock_mono_ms() < job->end_ms;
}

static bool
ask_of_pages(void *context)
{
    return may_go_on(context, true);
}

static bool
ask_of_verify(void *context, const struct verify *verify)
{
    struct job *job = context;

    atomic_store(&job->rows, verify->rows);
    atomic_store(&job->rows_all, verify->rows_all);
    atomic_store(&job->findings, verify->findings);
    return may_go_on(job, true);
}

static bool
ask_of_copy(void *context, const struct copy *copy)
{
    struct job *job = context;

    atomic_store(&job->step, (int)copy->step);
    atomic_store(&job->rows, copy->rows);
    atomic_store(&job->rows_all, copy->rows_all);
    atomic_store(&job->bytes, copy->bytes);
    atomic_store(&job->findings, copy->verify.findings);
    return may_go_on(job, copy->step == COPY_READ);
}

static int
run_verify(struct job *job)
{
    struct verify verify = { .report = &job->report,
                             .go_on = ask_of_verify,
                             .context = job };
    const struct pages look = { .scope = PAGES_ALL,
                                .go_on = ask_of_pages,
                                .context = job };
    struct store *snapshot;
    int rc = store_snapshot(job->store, &look, &snapshot, &job->err);

    if (rc != 0)
        return rc;
    atomic_store(&job->step, COPY_VERIFY);
    rc = store_verify(snapshot, &verify, &job->err);
    store_close(snapshot);
    (void)ask_of_verify(job, &verify);
    atomic_store(&job->mendable, verify.mendable);
    return rc;
}

static int
run_backup(struct job *job)
{
    struct copy copy = { .go_on = ask_of_copy,
                         .context = job,
                         .verify = { .report = &job->report } };
    int rc = store_backup(job->store, job->target, &copy, &job->err);

    (void)ask_of_copy(job, &copy);
    atomic_store(&job->bytes, copy.file_after);
    atomic_store(&job->mendable, copy.verify.mendable);
    return rc;
}

/* It was told to end, or its time was over. */
static int
say_why(struct job *job)
{
    int code = atomic_load(&job->stop_code);

    if (code != 0)
        return err_set(&job->err, code, "%s", job->why);
    return err_set(&job->err, E_FULL,
                   "its snapshot was held for snapshot_ms_max (%lld ms) and "
                   "given up; allow more, or try when there is less to do",
                   (long long)job->snapshot_ms_max);
}

static void *
run(void *arg)
{
    struct job *job = arg;
    int rc = job->kind == JOB_BACKUP ? run_backup(job) : run_verify(job);

    job->rc = rc == 1 ? say_why(job) : rc;
    atomic_store(&job->is_over, true);
    return NULL;
}

/* ---- in the loop ---- */

static void
release(struct job *job)
{
    free(job->target);
    buf_fini(&job->report);
    free(job);
}

/* NULL with E_IO. */
static struct job *
start(struct store *store, const struct job_terms *terms,
      int64_t snapshot_ms_max, struct err *err)
{
    struct job *job = mem_zalloc(1, sizeof(*job));
    int rc;

    job->store = store;
    job->kind = terms->kind;
    job->target = mem_dup_str(terms->target);
    job->snapshot_ms_max = snapshot_ms_max;
    job->end_ms = clock_mono_ms() + snapshot_ms_max;
    rc = pthread_create(&job->thread, NULL, run, job);
    if (rc != 0) {
        release(job);
        err_set(err, E_IO, "start a thread: %s", strerror(rc));
        return NULL;
    }
    return job;
}

static struct job_progress
look(struct job *job)
{
    /* In the order of enum copy_step. */
    static const char *const steps[] = { "copy", "compare", "verify" };

    return (struct job_progress){
        .step = steps[atomic_load(&job->step)],
        .rows = atomic_load(&job->rows),
        .rows_all = atomic_load(&job->rows_all),
        .bytes = atomic_load(&job->bytes),
        .findings = atomic_load(&job->findings),
        .mendable = atomic_load(&job->mendable),
    };
}

void
job_tend(struct job **running, struct broker *broker, struct store *store,
         const struct conf *conf)
{
    struct job *job = *running;
    struct job_progress progress;
    struct job_terms terms;
    struct err err = { 0 };
    bool is_over;

    if (!job && broker_job_take(broker, &terms)) {
        *running = job = start(store, &terms, conf->snapshot_ms_max, &err);
        if (!job)
            broker_job_give(broker, &err, (struct slice){ 0 });
    }
    if (!job)
        return;
    is_over = atomic_load(&job->is_over);
    progress = look(job);
    broker_job_note(broker, &progress);
    if (!is_over)
        return;
    (void)pthread_join(job->thread, NULL);
    broker_job_give(broker, job->rc < 0 ? &job->err : NULL,
                    buf_slice(&job->report));
    release(job);
    *running = NULL;
}

void
job_stop(struct job *job, int code, const char *why)
{
    if (!job || atomic_load(&job->stop_code) != 0)
        return;
    job->why = why;
    atomic_store(&job->stop_code, code);
}

void
job_free(struct job *job)
{
    if (!job)
        return;
    job_stop(job, E_DRAINING, "the broker shuts down");
    (void)pthread_join(job->thread, NULL);
    release(job);
}
