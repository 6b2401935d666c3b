/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tests/scratch.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"

#define OPEN_MAX_FDS 16

struct scratch
scratch_make(void)
{
    const char *tmp = getenv("TMPDIR");
    struct scratch scratch;
    int bytes = snprintf(scratch.path, sizeof(scratch.path), "%s/sheaf-XXXXXX",
                         tmp ? tmp : "/tmp");

    cr_assert(bytes > 0 && bytes < (int)sizeof(scratch.path));
    cr_assert_not_null(mkdtemp(scratch.path));
    return scratch;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void
scratch_remove(const struct scratch *scratch)
{
    cr_assert_eq(
        nftw(scratch->path, remove_one, OPEN_MAX_FDS, FTW_DEPTH | FTW_PHYS), 0);
}

char *
scratch_path(const struct scratch *scratch, const char *leaf)
{
    struct buf path = { 0 };

    buf_addf(&path, "%s/%s", scratch->path, leaf);
    return buf_take(&path);
}
