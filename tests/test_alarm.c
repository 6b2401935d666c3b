/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* nanosleep, setenv */
#include "queue/alarm.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "tests/scratch.h"

TestSuite(alarm, .timeout = 60);

#define PATIENCE_MS 20000

static struct scratch scratch;
static struct conf conf;
static struct alerts *alerts;
static struct alarm *alarm_;
static struct alert_facts facts;
static int64_t now_ms = INT64_C(1800000000000);
static char *told; /* the file to which commands write */

/* A command that is this script, in a directory of its own; ALARM_DIR leads
 * there. */
static void
set_command(const char *script)
{
    char *path = scratch_path(&scratch, "page");
    FILE *file = fopen(path, "w");
    struct buf command = { 0 };

    cr_assert_not_null(file);
    fprintf(file, "#!/bin/sh\n%s\n", script);
    fclose(file);
    cr_assert_eq(chmod(path, 0700), 0);
    buf_addf(&command, "%s first second", path);
    conf.alert_command = buf_take(&command);
    free(path);
}

static void
set_up(void)
{
    log_setup(LOG_FATAL, false);
    scratch = scratch_make();
    setenv("ALARM_DIR", scratch.path, 1);
    told = scratch_path(&scratch, "told");
    conf_init(&conf);
    conf.alert_store_for_ms = conf.alert_resolve_ms = 0;
    alerts = alerts_new(&conf);
    alarm_ = alarm_new(&conf);
}

static void
tear_down(void)
{
    alarm_free(alarm_);
    alerts_free(alerts);
    conf_fini(&conf);
    free(told);
    scratch_remove(&scratch);
}

/* The store fills up, or is emptied. */
static void
change(double percent)
{
    facts.store_percent = percent;
    alerts_look(alerts, &facts, now_ms += 1000);
}

static size_t
count_lines(void)
{
    FILE *file = fopen(told, "r");
    size_t count = 0;
    int c;

    while (file && (c = getc(file)) != EOF)
        count += c == '\n';
    if (file)
        fclose(file);
    return count;
}

/* The loop turns until so many lines were written. */
static void
tend_until(size_t lines)
{
    int64_t end_ms = clock_mono_ms() + PATIENCE_MS;

    while (count_lines() < lines) {
        cr_assert_lt(clock_mono_ms(), end_ms, "%zu lines of %zu", count_lines(),
                     lines);
        alarm_tend(alarm_, alerts, now_ms);
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
}

static void
expect_told(const char *want)
{
    char text[4096] = "";
    FILE *file = fopen(told, "r");

    cr_assert_not_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    cr_expect_str_eq(text, want);
}

Test(alarm, a_change_is_told_by_the_environment, .init = set_up,
     .fini = tear_down)
{
    set_command("echo \"$1 $2 $SHEAF_ALERT_NAME $SHEAF_ALERT_STATE"
                " [$SHEAF_ALERT_UPSTREAM] $SHEAF_ALERT_VALUE"
                " $SHEAF_ALERT_LIMIT $SHEAF_ALERT_AT\" >>$ALARM_DIR/told\n"
                "case $SHEAF_ALERT_JSON in *'\"value\":97.5'*) "
                "echo \"$SHEAF_ALERT_MESSAGE\" >>$ALARM_DIR/told;; esac");
    change(97.5);
    tend_until(2);
    expect_told("first second store_nearly_full firing [] 97.5 90 "
                "2027-01-15T08:00:01.000Z\n"
                "97.5 % of the size at which drafts are refused is used; the "
                "limit is 90 %\n");
}

Test(alarm, one_that_fires_and_is_over_is_told_twice_in_order, .init = set_up,
     .fini = tear_down)
{
    set_command("echo $SHEAF_ALERT_STATE $SHEAF_ALERT_VALUE "
                ">>$ALARM_DIR/told");
    change(95);
    change(10);
    change(96);
    tend_until(3);
    expect_told("firing 95\nresolved 10\nfiring 96\n");
}

/* The second one would find the directory of the first. */
Test(alarm, there_is_one_at_a_time, .init = set_up, .fini = tear_down)
{
    set_command("mkdir $ALARM_DIR/alone || echo both >>$ALARM_DIR/told\n"
                "for i in 1 2 3 4 5 6 7 8 9; do : $(echo $i); done\n"
                "rmdir $ALARM_DIR/alone; echo done >>$ALARM_DIR/told");
    for (int i = 0; i < 6; i++)
        change(i % 2 ? 10 : 95);
    tend_until(6);
    expect_told("done\ndone\ndone\ndone\ndone\ndone\n");
}

/* It waits for what never comes, in a child of its own; the loop goes on. */
Test(alarm, a_command_that_hangs_is_killed_with_its_children, .init = set_up,
     .fini = tear_down)
{
    int64_t end_ms = clock_mono_ms() + PATIENCE_MS;
    char text[32] = "";
    FILE *file;
    pid_t child;

    set_command("if [ $SHEAF_ALERT_STATE = firing ]; then\n"
                "    tail -f /dev/null & echo $! >>$ALARM_DIR/told; wait\n"
                "else echo over >>$ALARM_DIR/told; fi");
    change(95);
    change(10);
    tend_until(1);
    file = fopen(told, "r");
    cr_assert_not_null(file);
    cr_assert_not_null(fgets(text, sizeof(text), file));
    fclose(file);
    child = (pid_t)strtol(text, NULL, 10);
    cr_assert_gt(child, 0);
    alarm_tend(alarm_, alerts, now_ms + conf.alert_command_ms - 1);
    cr_expect_eq(kill(child, 0), 0, "its time is not over");
    now_ms += conf.alert_command_ms;
    tend_until(2);
    /* Killed, it is init's to reap; where there is none, it stays a zombie. */
    while (kill(child, 0) == 0 && clock_mono_ms() < end_ms) {
        char path[64], state = ' ';

        (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)child);
        file = fopen(path, "r");
        if (file && fscanf(file, "%*d (%*[^)]) %c", &state) < 1)
            state = ' ';
        if (file)
            fclose(file);
        if (state == 'Z')
            return;
    }
    cr_expect_neq(kill(child, 0), 0, "the child lives");
}

Test(alarm, a_program_that_is_not_there_stops_nothing, .init = set_up,
     .fini = tear_down)
{
    conf.alert_command = mem_dup_str("/nonexistent/page me");
    change(95);
    alarm_tend(alarm_, alerts, now_ms);
    free(conf.alert_command);
    set_command("echo $SHEAF_ALERT_STATE >>$ALARM_DIR/told");
    change(10);
    tend_until(1);
    expect_told("resolved\n");
}
