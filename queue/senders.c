/* SPDX-License-Identifier: MIT */
#include "queue/senders.h"

static struct sender *
find(struct senders *senders, uint64_t batch)
{
    for (size_t i = 0; i < SENDERS_MAX; i++) {
        if (senders->list[i].batch == batch)
            return &senders->list[i];
    }
    return NULL;
}

/* The place of the one that was silent for the longest time. */
static struct sender *
oldest(struct senders *senders)
{
    struct sender *found = &senders->list[0];

    for (size_t i = 1; i < SENDERS_MAX; i++) {
        if (senders->list[i].seen_ms < found->seen_ms)
            found = &senders->list[i];
    }
    return found;
}

void
senders_note(struct senders *senders, uint64_t batch, int64_t now_ms)
{
    struct sender *sender = find(senders, batch);

    if (!sender)
        sender = find(senders, 0);
    if (!sender)
        sender = oldest(senders);
    *sender = (struct sender){ batch, now_ms };
}

void
senders_drop(struct senders *senders, uint64_t batch)
{
    struct sender *sender = find(senders, batch);

    if (sender)
        *sender = (struct sender){ 0 };
}

int64_t
senders_share(const struct senders *senders, int64_t window_bytes,
              int64_t now_ms)
{
    int64_t count = 0, share, least = SENDERS_BYTES_MIN;

    for (size_t i = 0; i < SENDERS_MAX; i++) {
        const struct sender *sender = &senders->list[i];

        count += sender->batch != 0 && now_ms - sender->seen_ms < SENDERS_MS;
    }
    if (least > window_bytes)
        least = window_bytes;
    share = count > 1 ? SENDERS_WINDOWS * window_bytes / count : window_bytes;
    return share > least ? share : least;
}
