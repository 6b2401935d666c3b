/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tests/faults.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
    enum manner manner;
    int error; /* of FAULT_FAIL */
    int at;    /* the call, from 1 */
    int count; /* of calls so far */
} plan;

void
faults_plan(enum manner manner, int error, int at)
{
    plan.manner = manner;
    plan.error = error;
    plan.at = at;
    plan.count = 0;
}

int
faults_calls(void)
{
    return plan.count;
}

/* A sanitizer calls some of them before it is ready for code of its own. */
#define PLAIN  __attribute__((no_sanitize("address", "undefined")))
#define PUBLIC __attribute__((visibility("default"))) PLAIN

/* True if the call that begins is the one, and how. */
PLAIN static bool
is_turn(enum manner manner)
{
    return plan.count == plan.at && plan.manner == manner;
}

/* Begins a call: true if it must fail. */
PLAIN static bool
begin_call(void)
{
    plan.count++;
    if (is_turn(FAULT_DIE_BEFORE))
        raise(SIGKILL);
    if (!is_turn(FAULT_FAIL))
        return false;
    errno = plan.error;
    return true;
}

PLAIN static long
end_call(long rc)
{
    int saved = errno;

    if (is_turn(FAULT_DIE_AFTER) || is_turn(FAULT_DIE_WITHIN))
        raise(SIGKILL);
    errno = saved;
    return rc;
}

PUBLIC ssize_t
pwrite(int fd, const void *data, size_t bytes, off_t at)
{
    if (begin_call())
        return -1;
    if (is_turn(FAULT_DIE_WITHIN))
        bytes /= 2;
    return end_call(syscall(SYS_pwrite64, fd, data, bytes, at));
}

PUBLIC ssize_t
writev(int fd, const struct iovec *parts, int count)
{
    if (begin_call())
        return -1;
    if (is_turn(FAULT_DIE_WITHIN))
        count = (count + 1) / 2;
    return end_call(syscall(SYS_writev, fd, parts, count));
}

PUBLIC int
fdatasync(int fd)
{
    return begin_call() ? -1 : (int)end_call(syscall(SYS_fdatasync, fd));
}

PUBLIC int
fsync(int fd)
{
    return begin_call() ? -1 : (int)end_call(syscall(SYS_fsync, fd));
}

PUBLIC int
ftruncate(int fd, off_t bytes)
{
    return begin_call() ? -1 : (int)end_call(syscall(SYS_ftruncate, fd, bytes));
}

PUBLIC int
rename(const char *from, const char *to)
{
    return begin_call() ? -1
                        : (int)end_call(syscall(SYS_renameat2, AT_FDCWD, from,
                                                AT_FDCWD, to, 0));
}

PUBLIC int
renameat2(int from_fd, const char *from, int to_fd, const char *to,
          unsigned flags)
{
    return begin_call() ? -1
                        : (int)end_call(syscall(SYS_renameat2, from_fd, from,
                                                to_fd, to, flags));
}

PUBLIC int
mkdir(const char *path, mode_t mode)
{
    return begin_call()
               ? -1
               : (int)end_call(syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}

bool
faults_survive(void (*work)(void *arg), void *arg)
{
    pid_t pid = fork();
    int status;

    cr_assert_geq(pid, 0);
    if (pid == 0) {
        work(arg);
        _exit(0);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status)) {
        cr_assert_eq(WEXITSTATUS(status), 0, "the child ended with %d",
                     WEXITSTATUS(status));
        return true;
    }
    cr_assert_eq(WTERMSIG(status), SIGKILL, "the child died of signal %d",
                 WTERMSIG(status));
    return false;
}
