/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "queue/crash.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/program.h"
#include "tests/scratch.h"

#define PAGE     4096
#define TEXT_MAX 512

/* How a child ended that wrote to a page of a file, or asked for it. */
struct end {
    int status;
    char words[TEXT_MAX];
};

/* The file has one page, two are mapped. */
static char *
map_file(const struct scratch *scratch, const char *leaf)
{
    char *path = scratch_path(scratch, leaf);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    void *map;

    free(path);
    if (fd < 0 || ftruncate(fd, PAGE) < 0)
        return NULL;
    map = mmap(NULL, (size_t)2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
    return map == MAP_FAILED ? NULL : map;
}

static void
touch(const struct scratch *scratch, const char *leaf, size_t at, bool writes)
{
    volatile char *map = map_file(scratch, leaf);

    (void)signal(SIGSEGV, SIG_DFL);
    crash_catch();
    if (!map)
        _exit(1);
    if (writes)
        map[at] = 1;
    else
        (void)map[at];
    _exit(0);
}

static struct end
end_of(void (*work)(const struct scratch *scratch))
{
    struct scratch scratch = scratch_make();
    struct end end = { 0 };
    ssize_t bytes;
    int pipes[2];
    pid_t pid;

    cr_assert_eq(pipe(pipes), 0);
    pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        (void)dup2(pipes[1], STDERR_FILENO);
        work(&scratch);
        _exit(0);
    }
    close(pipes[1]);
    cr_assert_eq(waitpid(pid, &end.status, 0), pid);
    bytes = read(pipes[0], end.words, sizeof(end.words) - 1);
    cr_assert_geq(bytes, 0);
    close(pipes[0]);
    scratch_remove(&scratch);
    return end;
}

static void
write_to_store(const struct scratch *scratch)
{
    touch(scratch, "data.mdb", 0, true);
}

static void
read_behind_store(const struct scratch *scratch)
{
    touch(scratch, "data.mdb", PAGE, false);
}

static void
write_to_another(const struct scratch *scratch)
{
    touch(scratch, "other.mdb", 0, true);
}

static void
expect_damaged(void (*work)(const struct scratch *scratch), const char *words)
{
    struct end end = end_of(work);

    cr_assert(WIFEXITED(end.status), "signal %d: %s", WTERMSIG(end.status),
              end.words);
    cr_expect_eq(WEXITSTATUS(end.status), PROGRAM_EXIT_DAMAGED);
    cr_expect(strstr(end.words, words), "%s", end.words);
}

Test(crash, page_of_a_store_that_leads_astray_is_damage)
{
    expect_damaged(write_to_store, "a page of the store's file is damaged");
}

Test(crash, page_that_is_not_there_is_damage)
{
    expect_damaged(read_behind_store, "was cut short or cannot be read");
}

Test(crash, fault_of_the_program_ends_it_as_such)
{
    struct end end = end_of(write_to_another);

    cr_assert(WIFSIGNALED(end.status), "%s", end.words);
    cr_expect_eq(WTERMSIG(end.status), SIGSEGV);
    cr_expect(strstr(end.words, "a fault of the program"), "%s", end.words);
}
