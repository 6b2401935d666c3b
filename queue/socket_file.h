/*
 * socket_file.h - the file of a socket that somebody listens at
 *
 * libzmq takes the file of an ipc:// endpoint from whoever listens there, removes
 * whatever else it finds at that path, and leaves its own behind at the end. So it
 * is asked for before, and removed after, by whoever made it: another's may stand
 * at the same path by then.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_SOCKET_FILE_H
#define QUEUE_SOCKET_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/un.h>

#define SOCKET_FILE_PATH_BYTES sizeof(((struct sockaddr_un *)0)->sun_path)

struct socket_file {
    char path[SOCKET_FILE_PATH_BYTES];
    dev_t device;
    ino_t inode;
};

/* True if somebody listens at the path, which has less than
 * SOCKET_FILE_PATH_BYTES. */
bool socket_file_is_taken(const char *path);

/* True if no file but a socket stands at such a path, not even a link to one. */
bool socket_file_may_replace(const char *path);

/* Notes which file stands at such a path. False: none does. */
bool socket_file_note(struct socket_file *file, const char *path);

/* True if no file stands at the path of the one that was noted. */
bool socket_file_is_gone(const struct socket_file *file);

/* Removes the file that was noted, if it still stands there. */
void socket_file_clear(const struct socket_file *file);

#endif
