/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "queue/alarm.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "queue/wire.h"

#define VARIABLES_MAX 16 /* that a command is given beside the broker's */

extern char **environ;

struct alarm {
    const struct conf *conf; /* borrowed */
    uint64_t at;             /* the number of the news that is told next */
    pid_t pid;               /* of the command that runs; 0: none */
    int64_t started_ms;
    bool is_killed;
};

struct alarm *
alarm_new(const struct conf *conf)
{
    struct alarm *alarm = mem_zalloc(1, sizeof(*alarm));

    alarm->conf = conf;
    return alarm;
}

void
alarm_free(struct alarm *alarm)
{
    if (!alarm)
        return;
    if (alarm->pid > 0) {
        (void)kill(-alarm->pid, SIGKILL);
        (void)waitpid(alarm->pid, NULL, 0);
    }
    free(alarm);
}

/* ---- what it is told ---- */

static void
add_variable(char **variables, size_t *count, const char *name,
             const char *value)
{
    struct buf text = { 0 };

    buf_addf(&text, "SHEAF_ALERT_%s=%s", name, value);
    variables[(*count)++] = buf_take(&text);
}

static void
add_number(char **variables, size_t *count, const char *name, double number)
{
    struct buf text = { 0 };

    buf_addf(&text, "%.15g", number);
    add_variable(variables, count, name, text.data);
    buf_fini(&text);
}

/* The variables of the news; the caller frees each. */
static size_t
describe(const struct alert_news *news, const struct conf *conf,
         char **variables)
{
    const struct alert *alert = &news->alert;
    char when[CLOCK_TEXT_BYTES];
    struct buf text = { 0 };
    size_t count = 0;

    clock_text(news->at_ms, when);
    add_variable(variables, &count, "NAME", alert_name(alert->kind));
    add_variable(variables, &count, "STATE",
                 news->is_fired ? "firing" : "resolved");
    add_variable(variables, &count, "UPSTREAM", alert_upstream(alert, conf));
    if (alert->is_known)
        add_number(variables, &count, "VALUE", alert->value);
    else
        add_variable(variables, &count, "VALUE", "");
    add_number(variables, &count, "LIMIT", alert->limit);
    add_variable(variables, &count, "AT", when);
    alert_tell(alert, conf, &text);
    add_variable(variables, &count, "MESSAGE", text.data);
    buf_reset(&text);
    wire_print(alert_json(alert, conf), &text);
    add_variable(variables, &count, "JSON", text.data);
    buf_fini(&text);
    return count;
}

/* ---- starting ---- */

/* The words of the command, which are cut out of it, and a NULL. The caller
 * frees the list. */
static char **
split(char *command)
{
    size_t count = 0, max = strlen(command) / 2 + 2;
    char **words = mem_zalloc(max, sizeof(words[0]));

    while (*command) {
        size_t bytes = strcspn(command, " ");

        if (bytes > 0)
            words[count++] = command;
        command += bytes;
        if (*command)
            *command++ = '\0';
    }
    return words;
}

/* Ours first: of two variables of one name, programs take the first. */
static char **
join_environment(char **ours, size_t count)
{
    size_t theirs = 0;
    char **all;

    while (environ[theirs])
        theirs++;
    all = mem_zalloc(count + theirs + 1, sizeof(all[0]));
    memcpy(all, ours, count * sizeof(all[0]));
    memcpy(all + count, environ, theirs * sizeof(all[0]));
    return all;
}

static void
start(struct alarm *alarm, const struct alert_news *news, int64_t now_ms)
{
    char *variables[VARIABLES_MAX], **environment, **words;
    char *command = mem_dup_str(alarm->conf->alert_command);
    size_t count = describe(news, alarm->conf, variables);
    int rc;

    environment = join_environment(variables, count);
    words = split(command);
    rc = child_start(&(struct child_terms){ .arguments = words,
                                            .environment = environment,
                                            .fd = CHILD_NO_FD,
                                            .is_apart = true },
                     &alarm->pid);
    if (rc == 0) {
        alarm->started_ms = now_ms;
        alarm->is_killed = false;
    } else {
        alarm->pid = 0;
        log_error(
            "event=alert_command_failed alert=%s program=%s reason=\"%s\"",
            alert_name(news->alert.kind), words[0], strerror(rc));
    }
    for (size_t i = 0; i < count; i++)
        free(variables[i]);
    free(environment);
    free(words);
    free(command);
}

/* ---- ending ---- */

/* True while a command runs. */
static bool
is_busy(struct alarm *alarm, int64_t now_ms)
{
    int status, code;

    if (alarm->pid == 0)
        return false;
    if (waitpid(alarm->pid, &status, WNOHANG) != alarm->pid) {
        if (!alarm->is_killed &&
            now_ms - alarm->started_ms >= alarm->conf->alert_command_ms) {
            log_warn("event=alert_command_killed pid=%d after_ms=%lld",
                     (int)alarm->pid, (long long)alarm->conf->alert_command_ms);
            (void)kill(-alarm->pid, SIGKILL);
            alarm->is_killed = true;
        }
        return true;
    }
    code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (code != 0)
        log_warn("event=alert_command_failed pid=%d status=%d", (int)alarm->pid,
                 code);
    alarm->pid = 0;
    return false;
}

void
alarm_tend(struct alarm *alarm, const struct alerts *alerts, int64_t now_ms)
{
    uint64_t before = alarm->at;
    struct alert_news news;

    if (!alarm->conf->alert_command || is_busy(alarm, now_ms) ||
        !alerts_next(alerts, &alarm->at, &news)) {
        return;
    }
    if (alarm->at > before + 1)
        log_warn("event=alerts_missed count=%llu",
                 (unsigned long long)(alarm->at - before - 1));
    start(alarm, &news, now_ms);
}
