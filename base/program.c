/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* signalfd */
#include "base/program.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define REASON_BYTES 128

void
program_refuse(const char *program, const char *what, const char *reason)
{
    (void)fprintf(stderr, "%s: %s: %s\nTry '%s --help'.\n", program, what,
                  reason, program);
    exit(PROGRAM_EXIT_USAGE);
}

int64_t
program_number(const char *program, const char *option, const char *text,
               long min, long max)
{
    char *end, reason[REASON_BYTES];
    long number;

    errno = 0;
    number = strtol(text, &end, 10);
    if (errno || end == text || *end || number < min || number > max) {
        (void)snprintf(reason, sizeof(reason),
                       "'%.32s' is not a number from %ld to %ld", text, min,
                       max);
        program_refuse(program, option, reason);
    }
    return number;
}

static void
take_log_level(const char *program, const char *value, struct program_log *log)
{
    int level = log_level_parse(value);

    if (level < 0 || level == LOG_FATAL)
        program_refuse(program, "--log-level",
                       "it is debug, info, warn or error");
    log->level = (enum log_level)level;
}

void
program_open_standard(const char *program)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        int got;

        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        /* The wrong way round. All below it are open: this is the next one. */
        got = open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_WRONLY);
        if (got < 0) {
            (void)fprintf(stderr, "%s: open /dev/null: %s\n", program,
                          strerror(errno));
            exit(PROGRAM_EXIT_IO);
        }
        assert(got == fd);
    }
}

void
program_end_printed(const char *program, bool is_printed)
{
    if (is_printed && fflush(stdout) == 0)
        exit(0);
    (void)fprintf(stderr, "%s: write standard output: %s\n", program,
                  strerror(errno));
    exit(PROGRAM_EXIT_IO);
}

void
program_take(const char *program, const char *usage, int key, const char *value,
             struct program_log *log)
{
    switch (key) {
    case PROGRAM_LOG_FORMAT:
        log->is_json = strcmp(value, "json") == 0;
        if (!log->is_json && strcmp(value, "text") != 0)
            program_refuse(program, "--log-format", "it is text or json");
        break;
    case PROGRAM_LOG_LEVEL:
        take_log_level(program, value, log);
        break;
    case PROGRAM_HELP:
        program_end_printed(program, fputs(usage, stdout) >= 0);
    case PROGRAM_VERSION:
        program_end_printed(program,
                            printf("%s " SHEAF_VERSION "\n", program) > 0);
    default: /* getopt has said why */
        exit(PROGRAM_EXIT_USAGE);
    }
}

int
program_open_signals(int more, struct err *err)
{
    sigset_t set;
    int fd;

    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    if (more)
        sigaddset(&set, more);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return err_set(err, E_IO, "set up signals: %s", strerror(errno));
    fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return err_set(err, E_IO, "signalfd: %s", strerror(errno));
    return fd;
}
