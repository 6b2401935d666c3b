/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* symlink */
#include "queue/socket_file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/scratch.h"

static struct scratch scratch;
static char *path;

static void
set_up(void)
{
    scratch = scratch_make();
    path = scratch_path(&scratch, "socket");
    cr_assert_lt(strlen(path), SOCKET_FILE_PATH_BYTES);
}

static void
tear_down(void)
{
    free(path);
    scratch_remove(&scratch);
}

TestSuite(socket_file, .init = set_up, .fini = tear_down);

/* Listens at the path. */
static int
listen_there(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path, path, strlen(path) + 1);
    cr_assert_geq(fd, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(fd, 1), 0);
    return fd;
}

Test(socket_file, is_taken_while_somebody_listens)
{
    int fd;

    cr_expect_not(socket_file_is_taken(path), "there is no file");
    fd = listen_there();
    cr_expect(socket_file_is_taken(path));
    cr_assert_eq(close(fd), 0);
    cr_expect_not(socket_file_is_taken(path), "he has left his file behind");
}

Test(socket_file, may_replace_nothing_but_a_socket)
{
    char *aside = scratch_path(&scratch, "aside");

    cr_expect(socket_file_may_replace(path), "there is no file");
    (void)close(listen_there());
    cr_expect(socket_file_may_replace(path));
    cr_assert_eq(symlink(path, aside), 0);
    cr_expect_not(socket_file_may_replace(aside), "a link to it");
    cr_assert_eq(unlink(path), 0);
    cr_expect_not(socket_file_may_replace(aside), "a link to nothing");
    cr_expect_not(socket_file_may_replace(scratch.path), "a directory");
    free(aside);
}

Test(socket_file, is_cleared_of_the_file_that_was_noted)
{
    struct socket_file file;
    int fd;

    cr_expect_not(socket_file_note(&file, path), "there is no file");
    fd = listen_there();
    cr_expect(socket_file_note(&file, path));
    cr_assert_eq(close(fd), 0);
    socket_file_clear(&file);
    cr_expect_eq(access(path, F_OK), -1);
}

/* The one who listens there now would not be found any more. */
Test(socket_file, keeps_the_file_of_another)
{
    char *aside = scratch_path(&scratch, "aside");
    struct socket_file file;
    int first = listen_there(), second;

    cr_expect(socket_file_note(&file, path));
    /* The first file stays, so that its inode is not given to the second. */
    cr_assert_eq(rename(path, aside), 0);
    second = listen_there();
    socket_file_clear(&file);
    cr_expect(socket_file_is_taken(path));
    (void)close(first);
    (void)close(second);
    free(aside);
}
