/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "tests/sim/world.h"

#define BUSY_EVERY   4    /* histories: one of them is of a busy day */
#define PLAN_TEXTS   1000 /* texts of a plan, which begin at its number times */
#define SHARED_TEXTS 8    /* texts that everybody may have, too */

/* Mixed: whether a history is played over LMDB depends on its seed, too. */
bool
crowd_is_due(uint64_t seed)
{
    return digest_xxh(&seed, sizeof(seed), BUSY_EVERY) % BUSY_EVERY == 0;
}

/* Turns are small beside what the drafts cost, so that a history has many. */
void
crowd_set(struct world *world)
{
    static const int64_t turns[] = { 20, 20, 100, 300 };
    static const int64_t shares[] = { 0, 0, 25, 50 };
    static const int64_t chars[] = { 1, 1, 20, 40 };
    struct dice *dice = &world->dice;
    struct conf *conf = &world->conf;

    world->is_busy = true;
    world->is_kind = dice_once_in(dice, 2);
    world->is_bad_day = !world->is_kind && dice_once_in(dice, 8);
    world->client_count = (int)dice_between(dice, 2, WORLD_CLIENTS);
    world->plan_count = world->client_count == 3 ? 6 : WORLD_PLANS;
    conf->slots_max = dice_between(dice, 1, 3);
    conf->lease_ahead_max = dice_between(dice, 0, 1);
    conf->turn_tokens = turns[dice_roll(dice, 4)];
    conf->oldest_share_percent = shares[dice_roll(dice, 4)];
    conf->age_ms = dice_once_in(dice, 2) ? 3600000 : 20000;
    conf->group_chars_max = chars[dice_roll(dice, 4)];
    conf->group_window_ms = dice_once_in(dice, 4) ? 2000 : 0;
    for (int i = 0; i < world->client_count; i++) {
        conf->clients[i].name =
            mem_dup_str((const char *[]){ "c0", "c1", "c2", "c3" }[i]);
        conf->clients[i].weight = dice_between(dice, 1, 4);
    }
    conf->client_count = (size_t)world->client_count;
}

void
crowd_plan(struct world *world, struct plan *plan)
{
    static const int costs[] = { 1, 30, 100, 300 };
    static const int usages[] = { 20, 50, 100, 150 };
    struct dice *dice = &world->dice;

    plan->is_early = dice_once_in(dice, 8);
    plan->has_terms = dice_once_in(dice, 8);
    plan->priority = -1;
    if (dice_once_in(dice, 3))
        plan->priority = (int)dice_between(dice, 0, BATCH_PRIORITY_MAX);
    plan->max_tokens = costs[dice_roll(dice, 4)];
    if (world->plans[0].usage_percent > 0 ||
        (plan->number == 0 && dice_once_in(dice, 2)))
        plan->usage_percent = usages[dice_roll(dice, 4)];
}

/* The number that a text has says how long its answer may be. */
static int
tokens_of(const struct plan *plan, int text)
{
    return plan->max_tokens +
           plan->max_tokens * (text % PLAN_TEXTS) / PLAN_TEXTS;
}

void
crowd_line(struct world *world, const struct plan *plan, struct buf *lines)
{
    struct dice *dice = &world->dice;
    int text = plan->number * PLAN_TEXTS + (int)dice_roll(dice, PLAN_TEXTS);

    if (dice_once_in(dice, 30))
        text = (int)dice_roll(dice, SHARED_TEXTS);
    buf_addf(lines, ",\"text\":\"text %d\",\"max_tokens\":%d", text,
             tokens_of(plan, text));
    if (dice_once_in(dice, 6))
        buf_addf(lines, ",\"upstream\":\"%s\"",
                 dice_once_in(dice, 2) ? "two" : "one,two");
    else
        buf_add_str(lines, ",\"upstream\":\"local\"");
}

int64_t
crowd_usage(const struct world *world, const char *body)
{
    const char *at = strstr(body, "\"text ");
    const struct plan *plan;
    int text;

    if (!at || sscanf(at, "\"text %d", &text) != 1 || text < SHARED_TEXTS)
        return 0;
    plan = &world->plans[text / PLAN_TEXTS];
    return plan->usage_percent == 0
               ? 0
               : 1 + tokens_of(plan, text) * plan->usage_percent / 100;
}
