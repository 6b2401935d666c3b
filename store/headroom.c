/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "store/headroom.h"

#include <sys/stat.h>
#include <sys/uio.h>

#define ZEROS_BYTES 4096
#define ZEROS_COUNT (HEADROOM_BYTES / ZEROS_BYTES)

/* Writes zeros at the end of the file. */
static void
extend(struct headroom *headroom, int fd)
{
    static char zeros[ZEROS_BYTES];
    struct iovec pieces[ZEROS_COUNT];
    ssize_t written;

    for (unsigned i = 0; i < ZEROS_COUNT; i++)
        pieces[i] = (struct iovec){ zeros, sizeof(zeros) };
    written = pwritev(fd, pieces, ZEROS_COUNT, (off_t)headroom->end_bytes);
    if (written > 0)
        headroom->end_bytes += (uint64_t)written;
}

void
headroom_make(struct headroom *headroom, int fd, uint64_t used_bytes,
              uint64_t free_bytes)
{
    uint64_t before = headroom->used_bytes;
    struct stat file;

    headroom->used_bytes = used_bytes;
    if (before == 0 || used_bytes <= before ||
        used_bytes - before > HEADROOM_GROWTH ||
        headroom->end_bytes >= used_bytes + HEADROOM_GROWTH ||
        free_bytes < HEADROOM_FREE_MIN || fstat(fd, &file) < 0) {
        return;
    }
    /* A commit that failed may have left something behind the last page. */
    headroom->end_bytes = (uint64_t)file.st_size;
    if (headroom->end_bytes < used_bytes + HEADROOM_GROWTH &&
        headroom->end_bytes + HEADROOM_BYTES <= headroom->bytes_max) {
        extend(headroom, fd);
    }
}
