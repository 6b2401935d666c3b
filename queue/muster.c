/* SPDX-License-Identifier: MIT */
#include "queue/muster.h"

#include <string.h>

#define COMMITS_BACK 2 /* whoever has written in these is expected */

static bool
is_peer(const struct link_peer *a, const struct link_peer *b)
{
    return a->bytes == b->bytes && memcmp(a->id, b->id, a->bytes) == 0;
}

static bool
is_expected(const struct muster *muster, const struct muster_writer *writer)
{
    return muster->commit - writer->commit <= COMMITS_BACK;
}

/* Where a client stands, or is to stand: in place of one that has not come yet, if
 * there is no room. NULL: all have come. */
static struct muster_writer *
place_of(struct muster *muster, const struct link_peer *peer)
{
    struct muster_writer *absent = NULL, *writer = muster->writers;

    for (size_t i = 0; i < muster->count; i++, writer++) {
        if (is_peer(&writer->peer, peer))
            return writer;
        if (writer->commit != muster->commit)
            absent = writer;
    }
    if (muster->count == MUSTER_WRITERS_MAX)
        return absent;
    muster->count++;
    *writer = (struct muster_writer){ .commit = UINT64_MAX };
    return writer;
}

void
muster_note(struct muster *muster, const struct link_peer *peer)
{
    struct muster_writer *writer = place_of(muster, peer);

    if (!writer || writer->commit == muster->commit)
        return;
    writer->peer = *peer;
    writer->commit = muster->commit;
    muster->present++;
}

size_t
muster_missing(const struct muster *muster)
{
    if (muster->present == 0 || muster->skip > 0)
        return 0;
    return muster->count - muster->present;
}

static void
forget_gone(struct muster *muster)
{
    size_t i = 0;

    while (i < muster->count) {
        if (is_expected(muster, &muster->writers[i]))
            i++;
        else
            muster->writers[i] = muster->writers[--muster->count];
    }
}

void
muster_close(struct muster *muster, bool waited, size_t present)
{
    /* What nobody has written in says nothing about who comes next. */
    if (muster->present == 0)
        return;
    if (waited && muster->present > present) {
        muster->skip_next = 0;
    } else if (waited) {
        muster->skip_next = muster->skip_next ? muster->skip_next * 2 : 1;
        if (muster->skip_next > MUSTER_SKIP_MAX)
            muster->skip_next = MUSTER_SKIP_MAX;
        muster->skip = muster->skip_next;
    } else if (muster->skip > 0) {
        muster->skip--;
    }
    muster->present = 0;
    muster->commit++;
    forget_gone(muster);
}
