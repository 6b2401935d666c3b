/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "queue/crash.h"

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/program.h"

#define MAPS_FILE  "/proc/self/maps"
#define STORE_FILE "/data.mdb\n"
#define LINE_MAX   4352 /* bytes: a path, and what is before it */

/* Reads a number in hexadecimal. Returns what is behind it. */
static const char *
read_hex(const char *at, uintptr_t *number)
{
    static const char digits[] = "0123456789abcdef";
    const char *digit;

    *number = 0;
    while (*at && (digit = strchr(digits, *at))) {
        *number = *number * 16 + (uintptr_t)(digit - digits);
        at++;
    }
    return at;
}

/* A line of the file: FROM-TO, and at its end what is mapped there. */
static bool
is_of_store(const char *line, size_t bytes, uintptr_t address)
{
    const size_t name_bytes = sizeof(STORE_FILE) - 1;
    uintptr_t from, to;
    const char *at = read_hex(line, &from);

    if (*at != '-')
        return false;
    (void)read_hex(at + 1, &to);
    return address >= from && address < to && bytes > name_bytes &&
           memcmp(line + bytes - name_bytes, STORE_FILE, name_bytes) == 0;
}

/* In a handler: without allocation, and in a thread's own small stack. */
static bool
is_in_store(const void *address)
{
    char line[LINE_MAX + 1];
    size_t bytes = 0;
    bool is_found = false;
    int fd = open(MAPS_FILE, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return false;
    while (!is_found && bytes < LINE_MAX && read(fd, line + bytes, 1) == 1) {
        if (line[bytes++] != '\n')
            continue;
        line[bytes] = '\0';
        is_found = is_of_store(line, bytes, (uintptr_t)address);
        bytes = 0;
    }
    (void)close(fd);
    return is_found;
}

static void
say(const char *text)
{
    (void)!write(STDERR_FILENO, text, strlen(text));
}

static void
on_signal(int signal, siginfo_t *info, void *context)
{
    (void)context;
    if (signal == SIGBUS) {
        say("sheafd: the store's file was cut short or cannot be read\n");
        _exit(PROGRAM_EXIT_DAMAGED);
    }
    if (is_in_store(info->si_addr)) {
        say("sheafd: a page of the store's file is damaged; see what sheaf "
            "verify says, and restore the store from a backup\n");
        _exit(PROGRAM_EXIT_DAMAGED);
    }
    say("sheafd: a fault of the program, or the store is damaged: see what "
        "sheaf verify says\n");
    /* The handler is gone: what failed is done again, and ends the process. */
}

void
crash_catch(void)
{
    struct sigaction action = { .sa_sigaction = on_signal,
                                .sa_flags = SA_SIGINFO | (int)SA_RESETHAND };
    struct sigaction before = { 0 };
    int rc = sigaction(SIGBUS, &action, NULL);

    assert(rc == 0);
    rc = sigaction(SIGSEGV, NULL, &before);
    assert(rc == 0);
    /* A sanitizer has more to say. */
    if (!(before.sa_flags & SA_SIGINFO) && before.sa_handler == SIG_DFL)
        rc = sigaction(SIGSEGV, &action, NULL);
    assert(rc == 0);
    (void)rc;
}
