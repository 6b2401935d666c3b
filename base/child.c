/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* environ */
#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

static int
set_attributes(posix_spawnattr_t *attributes, bool is_apart)
{
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    sigset_t none, defaults;
    int rc;

    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    sigaddset(&defaults, SIGXFSZ);
    if (is_apart) {
        flags |= POSIX_SPAWN_SETPGROUP;
        sigaddset(&defaults, SIGINT);
        sigaddset(&defaults, SIGTERM);
    }
    rc = posix_spawnattr_setsigmask(attributes, &none);
    if (rc == 0)
        rc = posix_spawnattr_setsigdefault(attributes, &defaults);
    return rc == 0 ? posix_spawnattr_setflags(attributes, flags) : rc;
}

static int
set_descriptors(posix_spawn_file_actions_t *actions,
                const struct child_terms *terms)
{
    int rc = 0;

    if (terms->fd != CHILD_NO_FD)
        rc = posix_spawn_file_actions_adddup2(actions, terms->fd, CHILD_FD);
    if (rc == 0 && terms->is_apart) {
        rc = posix_spawn_file_actions_addopen(actions, STDIN_FILENO,
                                              "/dev/null", O_RDONLY, 0);
    }
    if (rc == 0 && terms->is_apart) {
        rc = posix_spawn_file_actions_adddup2(actions, STDERR_FILENO,
                                              STDOUT_FILENO);
    }
    return rc;
}

int
child_start(const struct child_terms *terms, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int rc;

    if (posix_spawn_file_actions_init(&actions) != 0)
        return ENOMEM;
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return ENOMEM;
    }
    rc = set_attributes(&attributes, terms->is_apart);
    if (rc == 0)
        rc = set_descriptors(&actions, terms);
    if (rc == 0) {
        rc = posix_spawn(pid, terms->arguments[0], &actions, &attributes,
                         terms->arguments,
                         terms->environment ? terms->environment : environ);
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}
