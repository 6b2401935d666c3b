/* SPDX-License-Identifier: MIT */
#include "submit/progress.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define REDRAW_MS   200
#define COLUMNS     80
#define COLUMNS_MAX 1000
#define BAR_MAX     30
#define BAR_MIN     10

#define GREEN "\033[32m"
#define PLAIN "\033[0m"
#define ERASE "\r\033[K"

/* What calls are called that are in flight for longer than t1, t2, t3, t4. */
static const char *const stages[PROGRESS_STAGES] = { "", "trying",
                                                     "still trying", "slow",
                                                     "degraded" };

const char *
progress_stage(int64_t stage)
{
    assert(stage >= 0);
    assert(stage < PROGRESS_STAGES);
    return stages[stage];
}

void
progress_init(struct progress *progress, enum progress_when when)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    bool is_terminal =
        isatty(STDERR_FILENO) == 1 && term && strcmp(term, "dumb") != 0;

    *progress = (struct progress){
        .is_terminal = is_terminal,
        .is_shown =
            when == PROGRESS_ALWAYS || (when == PROGRESS_AUTO && is_terminal),
        .is_plain = no_color && *no_color,
    };
}

bool
progress_is_due(const struct progress *progress, int64_t now_ms)
{
    int64_t pause_ms = progress->is_terminal ? REDRAW_MS : PROGRESS_LOG_MS;

    return progress->is_shown &&
           (progress->drawn_ms == 0 || now_ms - progress->drawn_ms >= pause_ms);
}

static size_t
columns_of_terminal(void)
{
    struct winsize size = { 0 };

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0 ||
        size.ws_col > COLUMNS_MAX) {
        return COLUMNS;
    }
    return size.ws_col;
}

/* "12 s left", "3 min left", "2 h 5 min left". */
static void
add_left(struct buf *out, int64_t left_s)
{
    if (left_s < 100)
        buf_addf(out, "  %lld s left", (long long)left_s);
    else if (left_s < 6000)
        buf_addf(out, "  %lld min left", (long long)(left_s + 30) / 60);
    else
        buf_addf(out, "  %lld h %lld min left", (long long)left_s / 3600,
                 (long long)left_s % 3600 / 60);
}

static void
add_numbers(const struct progress *progress,
            const struct progress_counts *counts, int64_t now_ms,
            struct buf *out)
{
    int64_t elapsed_ms = now_ms - progress->start_ms;
    int64_t fresh = counts->done - progress->start_done;

    buf_addf(out, "%lld/%lld", (long long)counts->done,
             (long long)counts->total);
    if (counts->total > 0)
        buf_addf(out, "  %lld%%",
                 (long long)(counts->done * 100 / counts->total));
    if (elapsed_ms > 0 && fresh > 0) {
        double rate = (double)fresh * 1000 / (double)elapsed_ms;

        buf_addf(out, "  %.*f/s", rate < 10 ? 1 : 0, rate);
        if (counts->done < counts->total)
            add_left(
                out,
                (int64_t)((double)(counts->total - counts->done) / rate + 0.5));
    }
    if (counts->cached)
        buf_addf(out, "  cached %lld", (long long)counts->cached);
    if (counts->joined)
        buf_addf(out, "  joined %lld", (long long)counts->joined);
    if (counts->fallbacks)
        buf_addf(out, "  fallbacks %lld", (long long)counts->fallbacks);
    if (counts->stage > 0 && counts->slow > 0)
        buf_addf(out, "  %s %lld", progress_stage(counts->stage),
                 (long long)counts->slow);
}

static void
add_bar(const struct progress *progress, const struct progress_counts *counts,
        size_t width, struct buf *out)
{
    size_t full = 0;

    if (counts->total > 0 && counts->done >= counts->total)
        full = width;
    else if (counts->total > 0)
        full = (size_t)((double)counts->done / (double)counts->total *
                        (double)width);
    if (full > width)
        full = width;
    buf_add_char(out, '[');
    if (!progress->is_plain && progress->is_terminal)
        buf_add_str(out, GREEN);
    for (size_t i = 0; i < width; i++)
        buf_add_str(out, i < full ? "=" : i == full ? ">" : " ");
    if (!progress->is_plain && progress->is_terminal)
        buf_add_str(out, PLAIN);
    buf_add_str(out, "]  ");
}

void
progress_draw(const struct progress *progress,
              const struct progress_counts *counts, int64_t now_ms,
              size_t columns, struct buf *out)
{
    struct buf numbers = { 0 };
    size_t around = 4; /* brackets and blanks of the bar */

    add_numbers(progress, counts, now_ms, &numbers);
    if (numbers.bytes + around + BAR_MIN <= columns) {
        size_t width = columns - numbers.bytes - around;

        add_bar(progress, counts, width < BAR_MAX ? width : BAR_MAX, out);
        columns -= around;
    }
    /* All of it is ASCII: bytes are columns. */
    buf_add(out, numbers.data,
            numbers.bytes < columns ? numbers.bytes : columns);
    buf_fini(&numbers);
}

void
progress_show(struct progress *progress, const struct progress_counts *counts,
              int64_t now_ms)
{
    struct buf line = { 0 };

    if (!progress->is_begun) {
        progress->is_begun = true;
        progress->start_ms = now_ms;
        progress->start_done = counts->done;
    }
    if (!progress_is_due(progress, now_ms) &&
        (!progress->is_shown || counts->stage <= progress->stage)) {
        return;
    }
    progress->drawn_ms = now_ms;
    progress->stage = counts->stage;
    if (progress->is_terminal)
        buf_add_str(&line, ERASE);
    /* The last column stays free: some terminals wrap when it is filled. */
    progress_draw(progress, counts, now_ms,
                  (progress->is_terminal ? columns_of_terminal() : COLUMNS) - 1,
                  &line);
    if (!progress->is_terminal)
        buf_add_char(&line, '\n');
    progress->is_drawn = progress->is_terminal;
    /* A terminal that went away is no reason to stop. */
    (void)fwrite(line.data, 1, line.bytes, stderr);
    (void)fflush(stderr);
    buf_fini(&line);
}

void
progress_clear(struct progress *progress)
{
    if (!progress->is_drawn)
        return;
    progress->is_drawn = false;
    progress->drawn_ms = 0;
    (void)fputs(ERASE, stderr);
    (void)fflush(stderr);
}
