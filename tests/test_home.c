/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "store/home.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "tests/scratch.h"

#define ENDPOINT "ipc:///tmp/some/clients"
#define FD_MAX   64

static struct scratch scratch;

static void
set_up(void)
{
    scratch = scratch_make();
}

static void
tear_down(void)
{
    scratch_remove(&scratch);
}

TestSuite(home, .init = set_up, .fini = tear_down);

/* Opens a home that must open. */
static struct home *
open_home(const char *path)
{
    struct err err = { 0 };
    struct home *home = home_open(path, &err);

    cr_assert_not_null(home, "%s", err.msg);
    return home;
}

static void
expect_refused(const char *path, int code, const char *words)
{
    struct err err = { 0 };
    struct home *home = home_open(path, &err);

    cr_assert_null(home, "%s was taken", path);
    cr_expect_eq(err.code, code, "got %s: %s", err_name(err.code), err.msg);
    cr_expect(strstr(err.msg, words), "'%s' is not in '%s'", words, err.msg);
}

static void
write_file(const char *leaf, const char *text)
{
    char *path = scratch_path(&scratch, leaf);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    free(path);
}

static void
expect_file(const char *leaf, const char *want)
{
    char *path = scratch_path(&scratch, leaf), got[256] = "";
    FILE *file = fopen(path, "r");
    size_t bytes;

    cr_assert_not_null(file);
    bytes = fread(got, 1, sizeof(got) - 1, file);
    got[bytes] = '\0';
    fclose(file);
    cr_expect_str_eq(got, want);
    free(path);
}

static mode_t
mode_of(const char *path)
{
    struct stat st;

    cr_assert_eq(stat(path, &st), 0);
    return st.st_mode & 07777;
}

Test(home, is_made_with_its_parents_closed_to_others)
{
    char *path = scratch_path(&scratch, "a/b/c//");
    struct home *home;

    umask(0);
    home = open_home(path);
    cr_expect_eq(mode_of(path), 0700);
    strrchr(path, 'c')[-1] = '\0';
    cr_expect_eq(mode_of(path), 0700);
    home_close(home);
    free(path);
}

Test(home, may_be_relative)
{
    struct home *home;

    cr_assert_eq(chdir(scratch.path), 0);
    home = open_home("here");
    home_close(home);
    home = open_home("below/this");
    home_close(home);
    cr_expect_eq(mode_of("below/this"), 0700);
    cr_assert_eq(chdir("/"), 0);
}

Test(home, is_refused_where_others_may_enter)
{
    cr_assert_eq(chmod(scratch.path, 0750), 0);
    expect_refused(scratch.path, E_USAGE, "chmod 700");
    cr_assert_eq(chmod(scratch.path, 0701), 0);
    expect_refused(scratch.path, E_USAGE, "chmod 700");
    cr_assert_eq(chmod(scratch.path, 0700), 0);
    home_close(open_home(scratch.path));
}

Test(home, is_refused_if_it_is_somebody_elses)
{
    pid_t pid;
    int status;

    if (geteuid() != 0)
        cr_skip_test("only root can give a directory away");
    cr_assert_eq(chown(scratch.path, 4242, (gid_t)-1), 0);
    expect_refused(scratch.path, E_USAGE, "belongs to user 4242");
    /* And the other way round: root's, as seen by somebody else. */
    cr_assert_eq(chown(scratch.path, 0, (gid_t)-1), 0);
    pid = fork();
    if (pid == 0) {
        struct err err = { 0 };

        /* Readable for all, or it would not even be looked at. */
        if (chmod(scratch.path, 0755) < 0 || setuid(4242) < 0 ||
            home_open(scratch.path, &err) || err.code != E_USAGE) {
            _exit(1);
        }
        _exit(0);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect_eq(status, 0);
    cr_assert_eq(chmod(scratch.path, 0700), 0);
}

Test(home, is_refused_if_it_is_no_directory)
{
    char *path = scratch_path(&scratch, "file");

    write_file("file", "");
    expect_refused(path, E_USAGE, "no directory");
    expect_refused("", E_USAGE, "no name");
    free(path);
}

Test(home, leads_through_no_link)
{
    char *real = scratch_path(&scratch, "real");
    char *link = scratch_path(&scratch, "link");
    char *slash = scratch_path(&scratch, "link/");

    cr_assert_eq(mkdir(real, 0700), 0);
    cr_assert_eq(symlink(real, link), 0);
    expect_refused(link, E_USAGE, "symbolic link");
    expect_refused(slash, E_USAGE, "symbolic link");
    free(real);
    free(link);
    free(slash);
}

Test(home, is_refused_if_a_file_of_it_is_a_link_or_no_file)
{
    static const char *const leaves[] = { "data.mdb", "lock.mdb", "lock" };

    for (int i = 0; i < 3; i++) {
        char *path = scratch_path(&scratch, leaves[i]);

        cr_assert_eq(symlink("/dev/null", path), 0);
        expect_refused(scratch.path, E_USAGE, "a symbolic link");
        cr_assert_eq(unlink(path), 0);
        cr_assert_eq(mkfifo(path, 0600), 0);
        expect_refused(scratch.path, E_USAGE, "no file");
        cr_assert_eq(unlink(path), 0);
        free(path);
    }
}

Test(home, says_who_has_it)
{
    struct home *home = open_home(scratch.path);
    struct err err = { 0 };
    char words[128];

    expect_refused(scratch.path, E_INUSE, "in use by another process");
    write_file("data.mdb", "x");
    cr_assert_eq(home_publish(home, ENDPOINT, &err), 0, "%s", err.msg);
    snprintf(words, sizeof(words), "in use by process %ld (" ENDPOINT ")",
             (long)getpid());
    expect_refused(scratch.path, E_INUSE, words);
    snprintf(words, sizeof(words), "pid %ld\nendpoint " ENDPOINT "\n",
             (long)getpid());
    expect_file("lock", words);
    home_close(home);
    expect_file("lock", "");
    home_close(open_home(scratch.path));
}

Test(home, of_a_killed_process_is_free_and_its_text_gone)
{
    struct home *home;

    write_file("lock", "pid 1\nendpoint ipc://gone\n");
    home = open_home(scratch.path);
    expect_file("lock", "");
    home_close(home);
}

Test(home, is_not_refused_for_the_moment_in_which_a_client_looks)
{
    char *path = scratch_path(&scratch, "lock");
    struct home *home;
    int fds[2], status;
    pid_t pid;
    char byte;

    write_file("lock", "");
    cr_assert_eq(pipe(fds), 0);
    pid = fork();
    if (pid == 0) {
        int fd = open(path, O_RDONLY);

        if (flock(fd, LOCK_SH) < 0 || write(fds[1], "x", 1) != 1)
            _exit(1);
        /* As long as it takes a slow client to look and close. */
        usleep(30000);
        _exit(0);
    }
    cr_assert_eq(read(fds[0], &byte, 1), 1);
    home = open_home(scratch.path);
    home_close(home);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect_eq(status, 0);
    free(path);
}

Test(home, notices_that_its_files_were_replaced)
{
    static const char *const leaves[] = { "data.mdb", "lock" };
    struct err err = { 0 };

    for (int i = 0; i < 2; i++) {
        char *path = scratch_path(&scratch, leaves[i]);
        char *aside = scratch_path(&scratch, "aside");
        struct home *home = open_home(scratch.path);

        cr_expect_eq(home_check(home, &err), 0, "before there is any data");
        write_file("data.mdb", "x");
        cr_assert_eq(home_publish(home, ENDPOINT, &err), 0);
        cr_expect_eq(home_check(home, &err), 0);
        cr_assert_eq(rename(path, aside), 0);
        cr_expect_eq(home_check(home, &err), E_IO);
        write_file(leaves[i], "another");
        cr_expect_eq(home_check(home, &err), E_IO);
        cr_expect(strstr(err.msg, leaves[i]), "%s", err.msg);
        cr_assert_eq(rename(aside, path), 0);
        cr_expect_eq(home_check(home, &err), 0);
        home_close(home);
        free(path);
        free(aside);
    }
}

Test(home, leaves_no_file_open_for_children)
{
    bool was_open[FD_MAX];
    struct home *home;
    int count = 0;

    for (int fd = 0; fd < FD_MAX; fd++)
        was_open[fd] = fcntl(fd, F_GETFD) >= 0;
    home = open_home(scratch.path);
    for (int fd = 0; fd < FD_MAX; fd++) {
        int flags = fcntl(fd, F_GETFD);

        if (flags < 0 || was_open[fd])
            continue;
        count++;
        cr_expect(flags & FD_CLOEXEC);
    }
    cr_expect_eq(count, 2);
    home_close(home);
    home_close(NULL);
}

Test(home, knows_network_file_systems)
{
    cr_expect(home_is_remote(0x6969), "NFS");
    cr_expect(home_is_remote((long)0xff534d42), "CIFS");
    cr_expect(home_is_remote((long)(int)0xff534d42), "CIFS, sign extended");
    cr_expect(home_is_remote(0xfe534d42), "SMB2");
    cr_expect(home_is_remote(0x01021997), "9P");
    cr_expect_not(home_is_remote(0xef53), "ext4");
    cr_expect_not(home_is_remote(0x01021994), "tmpfs");
    cr_expect_not(home_is_remote(0x794c7630), "overlayfs");
    cr_expect_not(home_is_remote(0x58465342), "XFS");
    cr_expect_not(home_is_remote(0x9123683e), "Btrfs");
}
