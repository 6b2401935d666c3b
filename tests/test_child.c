/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* pipe2 */
#include "base/child.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(child, .timeout = 30);

/* Starts a shell with a command; how it has ended, as waitpid() says. */
static int
run(const char *command, struct child_terms terms)
{
    char *arguments[] = { "/bin/sh", "-c", (char *)command, NULL };
    pid_t pid = 0;
    int status = 0;

    terms.arguments = arguments;
    cr_assert_eq(child_start(&terms, &pid), 0);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return status;
}

Test(child, has_no_signal_blocked_or_ignored)
{
    sigset_t set;

    (void)signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    cr_assert_eq(sigprocmask(SIG_BLOCK, &set, NULL), 0);
    cr_expect_eq(WTERMSIG(run("kill -PIPE $$; exit 0",
                              (struct child_terms){ .fd = CHILD_NO_FD })),
                 SIGPIPE);
    cr_expect_eq(WTERMSIG(run("kill -USR1 $$; exit 0",
                              (struct child_terms){ .fd = CHILD_NO_FD })),
                 SIGUSR1);
    /* Whoever stands apart is not meant by an interrupt that we ignore. */
    (void)signal(SIGINT, SIG_IGN);
    cr_expect_eq(WTERMSIG(run("kill -INT $$; exit 0",
                              (struct child_terms){ .fd = CHILD_NO_FD,
                                                    .is_apart = true })),
                 SIGINT);
}

Test(child, has_the_descriptor_that_it_is_given_as_the_third)
{
    char bytes[16] = { 0 }, gone[64];
    int ends[2];

    cr_assert_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    cr_expect_eq(run("echo here >&3", (struct child_terms){ .fd = ends[1] }),
                 0);
    cr_expect_eq(read(ends[0], bytes, sizeof(bytes)), 5);
    cr_expect_str_eq(bytes, "here\n");
    (void)snprintf(gone, sizeof(gone), "[ ! -e /proc/self/fd/%d ]", ends[1]);
    cr_expect_eq(run(gone, (struct child_terms){ .fd = CHILD_NO_FD }), 0);
    close(ends[0]);
    close(ends[1]);
}

Test(child, stands_apart_if_it_is_to)
{
    static const char group[] = "[ $(ps -o pgid= -p $$) = $$ ]";
    int ends[2], status;
    char bytes[16] = { 0 };

    cr_expect_eq(
        run(group, (struct child_terms){ .fd = CHILD_NO_FD, .is_apart = true }),
        0);
    cr_expect_neq(run(group, (struct child_terms){ .fd = CHILD_NO_FD }), 0);
    /* It reads nothing, and prints where our errors go. */
    cr_assert_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    cr_assert_geq(dup2(ends[1], STDERR_FILENO), 0);
    status = run("cat && echo said",
                 (struct child_terms){ .fd = CHILD_NO_FD, .is_apart = true });
    cr_expect_eq(status, 0);
    cr_expect_eq(read(ends[0], bytes, sizeof(bytes)), 5);
    cr_expect_str_eq(bytes, "said\n");
}

Test(child, has_the_environment_that_it_is_given)
{
    char *theirs[] = { "WORD=theirs", NULL };

    cr_assert_eq(setenv("WORD", "ours", 1), 0);
    cr_expect_eq(
        run("[ $WORD = ours ]", (struct child_terms){ .fd = CHILD_NO_FD }), 0);
    cr_expect_eq(
        run("[ $WORD = theirs ]",
            (struct child_terms){ .fd = CHILD_NO_FD, .environment = theirs }),
        0);
}

Test(child, that_cannot_be_started_is_an_error)
{
    char *arguments[] = { "/nonexistent", NULL };
    struct child_terms terms = { .arguments = arguments, .fd = CHILD_NO_FD };
    pid_t pid = 0;

    cr_expect_eq(child_start(&terms, &pid), ENOENT);
}
