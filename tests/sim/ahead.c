/* SPDX-License-Identifier: MIT */
#include "tests/sim/ahead.h"

#include <stdlib.h>

#include "base/digest.h"
#include "base/mem.h"
#include "queue/gather.h"
#include "tests/sim/world.h"

struct ahead {
    struct dice dice;
    struct recipes *recipes;
    struct line line;
    struct packer *packer;
};

struct ahead *
ahead_new(uint64_t seed)
{
    struct ahead *ahead = mem_zalloc(1, sizeof(*ahead));

    ahead->dice.state = digest_xxh(&seed, sizeof(seed), 1);
    ahead->recipes = recipes_new();
    ahead->packer = packer_new();
    return ahead;
}

void
ahead_free(struct ahead *ahead)
{
    recipes_free(ahead->recipes);
    line_fini(&ahead->line);
    packer_free(ahead->packer);
    free(ahead);
}

void
ahead_forget(struct ahead *ahead)
{
    recipes_reset(ahead->recipes);
}

void
ahead_drop(struct mail *mail)
{
    if (mail->gathered)
        gather_fini(mail->gathered);
    free(mail->gathered);
    mail->gathered = NULL;
}

void
ahead_read(struct world *world, struct mail *mails, size_t count)
{
    struct ahead *ahead = world->ahead;

    for (size_t i = 0; i < count; i++) {
        struct mail *mail = &mails[i];
        struct message message = mail_message(mail);
        struct line_fault fault;
        struct slice options;
        uint64_t batch;

        if (mail->gathered || dice_once_in(&ahead->dice, 2) ||
            !broker_may_gather(world->broker, &message, &batch, &options)) {
            continue;
        }
        mail->gathered = mem_zalloc(1, sizeof(*mail->gathered));
        mail->gathered->conf = &world->conf;
        mail->gathered->line = &ahead->line;
        mail->gathered->packer = ahead->packer;
        mail->gathered->recipe =
            recipes_read(ahead->recipes, &world->conf, batch, options, &fault);
        if (!mail->gathered->recipe) {
            world_fail(world, "options of batch %llu: %s",
                       (unsigned long long)batch, fault.message);
        }
        gather_ahead(mail->gathered, message.body);
        world->tally.chunks_ahead++;
    }
}
