/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* lstat */
#include "queue/socket_file.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

bool
socket_file_is_taken(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool is_there = false;

    memcpy(address.sun_path, path, strlen(path) + 1);
    if (fd >= 0) {
        /* EAGAIN: he does, and has many others to attend to. */
        is_there = connect(fd, (const struct sockaddr *)&address,
                           sizeof(address)) == 0 ||
                   errno == EAGAIN;
        (void)close(fd);
    }
    return is_there;
}

bool
socket_file_may_replace(const char *path)
{
    struct stat st;

    return lstat(path, &st) < 0 || S_ISSOCK(st.st_mode);
}

bool
socket_file_note(struct socket_file *file, const char *path)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return false;
    memmove(file->path, path, strlen(path) + 1); /* it may be the same */
    file->device = st.st_dev;
    file->inode = st.st_ino;
    return true;
}

bool
socket_file_is_gone(const struct socket_file *file)
{
    struct stat st;

    return lstat(file->path, &st) < 0 && errno == ENOENT;
}

void
socket_file_clear(const struct socket_file *file)
{
    struct stat st;

    if (lstat(file->path, &st) == 0 && st.st_dev == file->device &&
        st.st_ino == file->inode) {
        (void)unlink(file->path);
    }
}
