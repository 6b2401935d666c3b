/* SPDX-License-Identifier: MIT */
#include "queue/posts.h"

#include <assert.h>
#include <string.h>

void
posts_add(struct posts *posts, const struct post *post)
{
    assert(posts->count < POSTS_MAX);
    assert(post->webhook < CONF_WEBHOOKS_MAX);
    posts->list[posts->count++] = *post;
}

void
posts_drop(struct posts *posts, uint64_t delivery)
{
    for (size_t i = posts->count; i > 0; i--) {
        if (posts->list[i - 1].delivery == delivery)
            posts->list[i - 1] = posts->list[--posts->count];
    }
}

size_t
posts_of_webhook(const struct posts *posts, size_t webhook)
{
    size_t count = 0;

    for (size_t i = 0; i < posts->count; i++)
        count += posts->list[i].webhook == webhook;
    return count;
}

static bool
is_of(const struct post *post, const unsigned char worker[POST_WORKER_BYTES])
{
    return memcmp(post->worker, worker, POST_WORKER_BYTES) == 0;
}

size_t
posts_of_worker(const struct posts *posts,
                const unsigned char worker[POST_WORKER_BYTES])
{
    size_t count = 0;

    for (size_t i = 0; i < posts->count; i++)
        count += is_of(&posts->list[i], worker);
    return count;
}

const struct post *
posts_find_worker(const struct posts *posts,
                  const unsigned char worker[POST_WORKER_BYTES])
{
    for (size_t i = 0; i < posts->count; i++) {
        if (is_of(&posts->list[i], worker))
            return &posts->list[i];
    }
    return NULL;
}
