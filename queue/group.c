/* SPDX-License-Identifier: MIT */
#include "queue/group.h"

#include <assert.h>
#include <stdlib.h>

#include "base/lru.h"
#include "base/mem.h"

#define GUEST_MAX 15 /* other batches in one group; one more opens a new one */

/* By tag: the group of that tag that takes members. */
struct open_group {
    uint64_t tag; /* the key */
    uint64_t number;
};

/* By number: what a group is. It stays, when another one of its tag takes the
 * members, until it is forgotten for age. */
struct group {
    uint64_t number; /* the key */
    uint64_t lead;
    uint64_t opener; /* the batch that opened it */
    int64_t opened_ms;
    bool is_closed; /* another one of its tag was opened since */
    size_t chars;
    size_t guest_count;
    uint64_t guests[GUEST_MAX];
};

struct groups {
    const struct conf *conf; /* borrowed */
    struct lru *by_tag;
    struct lru *by_number;
};

struct groups *
groups_new(const struct conf *conf)
{
    struct groups *groups = mem_zalloc(1, sizeof(*groups));
    size_t max = (size_t)conf->groups_open_max;

    groups->conf = conf;
    groups->by_tag = lru_new(max, sizeof(uint64_t), sizeof(struct open_group));
    groups->by_number = lru_new(max, sizeof(uint64_t), sizeof(struct group));
    return groups;
}

void
groups_free(struct groups *groups)
{
    if (!groups)
        return;
    lru_free(groups->by_tag);
    lru_free(groups->by_number);
    free(groups);
}

void
groups_reset(struct groups *groups)
{
    lru_reset(groups->by_tag);
    lru_reset(groups->by_number);
}

static struct group *
find(const struct groups *groups, uint64_t tag)
{
    struct open_group *open = lru_find(groups->by_tag, &tag);

    return open ? lru_find(groups->by_number, &open->number) : NULL;
}

static bool
is_in_window(const struct groups *groups, const struct group *group,
             int64_t now_ms)
{
    return now_ms < group->opened_ms + groups->conf->group_window_ms;
}

static bool
has_guest(const struct group *group, uint64_t batch)
{
    for (size_t i = 0; i < group->guest_count; i++) {
        if (group->guests[i] == batch)
            return true;
    }
    return false;
}

bool
groups_join(struct groups *groups, const struct group_member *member,
            int64_t now_ms, struct place *place)
{
    struct group *group = find(groups, member->tag);

    if (!group || member->is_alone)
        return false;
    if (group->chars + member->chars >= (size_t)groups->conf->group_chars_max)
        return false;
    if (group->opener != member->batch) {
        if (!is_in_window(groups, group, now_ms))
            return false;
        if (!has_guest(group, member->batch)) {
            if (group->guest_count == GUEST_MAX)
                return false;
            group->guests[group->guest_count++] = member->batch;
        }
    }
    group->chars += member->chars;
    *place = (struct place){ .lead = group->lead, .group = group->number };
    return true;
}

struct place
groups_open(struct groups *groups, const struct group_member *member,
            uint64_t number, int64_t now_ms)
{
    struct open_group *open = lru_find(groups->by_tag, &member->tag);
    struct group *group = find(groups, member->tag), *next;
    /* Groups of one tag follow one another within a batch. */
    uint64_t lead =
        group && group->opener == member->batch ? group->lead : number;

    if (member->is_alone)
        return (struct place){ .lead = number, .group = number };
    if (member->chars >= (size_t)groups->conf->group_chars_max)
        return (struct place){ .lead = lead, .group = number };
    if (group)
        group->is_closed = true;
    if (!open)
        open = lru_add(groups->by_tag, &member->tag);
    assert(open);
    lru_touch(groups->by_tag, open);
    open->number = number;
    next = lru_add(groups->by_number, &number);
    next->lead = lead;
    next->opener = member->batch;
    next->opened_ms = now_ms;
    next->chars = member->chars;
    return (struct place){ .lead = lead, .group = number };
}

int64_t
groups_held_until(const struct groups *groups, uint64_t number, int64_t now_ms)
{
    const struct group *group = lru_find(groups->by_number, &number);

    if (!group || group->is_closed || !is_in_window(groups, group, now_ms))
        return 0;
    /* The one before it is full and may go; held, it would go after others. */
    if (group->lead != group->number)
        return 0;
    return group->opened_ms + groups->conf->group_window_ms;
}

uint64_t
groups_next_batch(const struct groups *groups, uint64_t number, uint64_t batch,
                  uint64_t after)
{
    const struct group *group = lru_find(groups->by_number, &number);
    uint64_t best = 0;

    if (!group)
        return 0;
    for (size_t i = 0; i <= group->guest_count; i++) {
        uint64_t id = i < group->guest_count ? group->guests[i] : group->opener;

        if (id != batch && id > after && (best == 0 || id < best))
            best = id;
    }
    return best;
}
