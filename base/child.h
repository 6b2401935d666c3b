/*
 * child.h - a program that this one starts
 *
 * No signal is blocked there, and none of those that our programs ignore is
 * ignored. Of descriptors it has the standard ones and the one that it is given:
 * all others of ours close on exec.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_CHILD_H
#define BASE_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#define CHILD_FD    3 /* where it finds the descriptor that it is given */
#define CHILD_NO_FD (-1)

struct child_terms {
    char **arguments; /* the first is the path of the program; ends with NULL */
    char **environment; /* NULL: ours */
    int fd;             /* that it is given; CHILD_NO_FD: none */
    /* In a process group of its own, so that an interrupt at the terminal is not
     * meant for it, and it can be killed with its children. It reads nothing,
     * and what it prints goes where our errors go. */
    bool is_apart;
};

/* Starts it. 0 and *pid, or a code of <errno.h>. */
int child_start(const struct child_terms *terms, pid_t *pid);

#endif
