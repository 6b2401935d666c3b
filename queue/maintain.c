/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "queue/maintain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "queue/wire.h"
#include "store/copy.h"
#include "store/home.h"

#define DRAW_MS 200 /* between two lines over each other */

struct work {
    const struct maintain_terms *terms;
    const struct conf *conf;
    const char *doing;
    int64_t drawn_ms;
    bool is_terminal, is_drawn;
};

/* ---- progress ---- */

static void
draw(struct work *work, uint64_t rows, uint64_t rows_all)
{
    int64_t now_ms = clock_mono_ms();

    if (!work->is_terminal || now_ms - work->drawn_ms < DRAW_MS)
        return;
    work->drawn_ms = now_ms;
    work->is_drawn = true;
    fprintf(stderr, "\r\033[K%s %llu/%llu rows", work->doing,
            (unsigned long long)rows, (unsigned long long)rows_all);
}

static void
erase(struct work *work)
{
    if (work->is_drawn)
        fputs("\r\033[K", stderr);
    work->is_drawn = false;
}

static bool
follow_verify(void *context, const struct verify *verify)
{
    draw(context, verify->rows, verify->rows_all);
    return true;
}

static bool
follow_copy(void *context, const struct copy *copy)
{
    struct work *work = context;

    work->doing =
        copy->step == COPY_READ ? "compact: copy" : "compact: compare";
    draw(work, copy->rows, copy->rows_all);
    return true;
}

/* ---- output ---- */

static int
print(const struct buf *text, struct err *err)
{
    if (fwrite(text->data ? text->data : "", 1, text->bytes, stdout) ==
            text->bytes &&
        fflush(stdout) == 0) {
        return 0;
    }
    return err_set(err, E_IO, "write to standard output: %s", strerror(errno));
}

/* The lines of a report as an array of strings. */
static void
add_lines(cJSON *head, const struct buf *report)
{
    cJSON *array = wire_add_array(head, "report");
    const char *at = report->data, *end = at + report->bytes;

    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        struct buf line = { 0 };

        buf_add(&line, at, (size_t)(newline - at));
        buf_add_char(&line, '\0');
        cJSON_AddItemToArray(array, cJSON_CreateString(line.data));
        buf_fini(&line);
        at = newline + 1;
    }
}

static int
print_verify(const struct work *work, const struct verify *verify,
             struct err *err)
{
    struct buf text = { 0 };
    int rc;

    if (work->terms->is_json) {
        cJSON *head = cJSON_CreateObject();

        wire_add_int(head, "rows", (int64_t)verify->rows);
        wire_add_int(head, "findings", (int64_t)verify->findings);
        wire_add_int(head, "repairable", (int64_t)verify->mendable);
        wire_add_int(head, "repaired", (int64_t)verify->mended);
        add_lines(head, verify->report);
        wire_print(head, &text);
        buf_add_char(&text, '\n');
    } else {
        buf_add_slice(&text, buf_slice(verify->report));
    }
    rc = print(&text, err);
    buf_fini(&text);
    if (rc < 0 || work->terms->is_json)
        return rc;
    fprintf(stderr, "sheafd: %llu rows, %llu repaired, %llu findings\n",
            (unsigned long long)verify->rows,
            (unsigned long long)verify->mended,
            (unsigned long long)verify->findings);
    return 0;
}

static int
print_compact(const struct work *work, const struct copy *copy, struct err *err)
{
    struct buf text = { 0 };
    int rc;

    if (work->terms->is_json) {
        cJSON *head = cJSON_CreateObject();

        wire_add_int(head, "rows", (int64_t)copy->rows);
        wire_add_int(head, "before", (int64_t)copy->file_before);
        wire_add_int(head, "after", (int64_t)copy->file_after);
        wire_print(head, &text);
        buf_add_char(&text, '\n');
    } else {
        buf_addf(&text, "%llu rows; %llu bytes before, %llu after\n",
                 (unsigned long long)copy->rows,
                 (unsigned long long)copy->file_before,
                 (unsigned long long)copy->file_after);
    }
    rc = print(&text, err);
    buf_fini(&text);
    return rc;
}

/* ---- the work ---- */

static int
look(struct work *work, struct store *store, struct verify *verify,
     struct err *err)
{
    int rc = store_begin(store, store_latest_ms(store), err);

    if (rc == 0) {
        rc = store_verify(store, verify, err);
        store_abort(store);
    }
    (void)work;
    return rc;
}

static int
verify_store(struct work *work, struct err *err)
{
    const struct maintain_terms *terms = work->terms;
    struct buf report = { 0 };
    struct verify verify = { .report = &report,
                             .go_on = follow_verify,
                             .context = work,
                             .open_ttl_ms = work->conf->open_ttl_ms };
    struct store *store = store_open_checked(
        terms->store_dir, (uint64_t)work->conf->store_bytes_max, PAGES_ALL,
        err);
    int rc;

    if (!store)
        return err->code;
    store_keep_answers(store, work->conf->cache_ttl_ms);
    work->doing = terms->repairs ? "repair" : "verify";
    rc = terms->repairs ? store_repair(store, &verify, err)
                        : look(work, store, &verify, err);
    store_close(store);
    erase(work);
    if (rc == 0)
        rc = print_verify(work, &verify, err);
    buf_fini(&report);
    if (rc == 0 && verify.findings > 0) {
        rc = err_set(err, E_CORRUPT,
                     verify.mendable > 0 && !terms->repairs
                         ? "%s is damaged; --repair mends indexes"
                         : "%s is damaged; what was named cannot be made again",
                     terms->store_dir);
    }
    return rc;
}

static int
compact_store(struct work *work, struct err *err)
{
    struct copy copy = { .go_on = follow_copy, .context = work };
    int rc = store_compact(work->terms->store_dir,
                           (uint64_t)work->conf->store_bytes_max, &copy, err);

    erase(work);
    return rc == 0 ? print_compact(work, &copy, err) : rc;
}

/* Nothing is made where there is nothing. */
static int
expect_store(const char *dir, struct err *err)
{
    struct buf path = { 0 };
    struct stat st;
    int rc = 0;

    buf_addf(&path, "%s/data.mdb", dir);
    if (lstat(path.data, &st) < 0) {
        bool is_missing = errno == ENOENT || errno == ENOTDIR;

        rc = err_set(err, is_missing ? E_CORRUPT : E_IO,
                     "there is no store in %s: %s", dir, strerror(errno));
    }
    buf_fini(&path);
    return rc;
}

int
maintain_run(const struct maintain_terms *terms, const struct conf *conf,
             struct err *err)
{
    struct work work = { .terms = terms,
                         .conf = conf,
                         .is_terminal = isatty(STDERR_FILENO) == 1 };
    struct home *home;
    int rc = expect_store(terms->store_dir, err);

    if (rc < 0)
        return rc;
    home = home_open(terms->store_dir, err);
    if (!home)
        return err->code;
    rc = terms->compacts ? compact_store(&work, err) : verify_store(&work, err);
    home_close(home);
    return rc;
}
