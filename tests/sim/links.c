/* SPDX-License-Identifier: MIT */
#include "tests/sim/links.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/world.h"

void
mail_fini(struct mail *mail)
{
    buf_fini(&mail->head);
    buf_fini(&mail->body);
    ahead_drop(mail);
}

struct message
mail_message(const struct mail *mail)
{
    return (struct message){ .side = mail->side,
                             .peer = &mail->peer,
                             .head = buf_slice(&mail->head),
                             .body = buf_slice(&mail->body),
                             .gathered = mail->gathered };
}

void
pipe_push(struct pipe *pipe, const struct mail *mail)
{
    if (pipe->count == pipe->capacity) {
        pipe->capacity = pipe->capacity * 2 + 8;
        pipe->mails =
            mem_grow(pipe->mails, pipe->capacity, sizeof(pipe->mails[0]));
    }
    pipe->mails[pipe->count++] = *mail;
}

bool
pipe_pull(struct pipe *pipe, struct mail *mail)
{
    if (pipe->count == 0)
        return false;
    *mail = pipe->mails[0];
    memmove(&pipe->mails[0], &pipe->mails[1],
            --pipe->count * sizeof(pipe->mails[0]));
    return true;
}

void
pipe_clear(struct pipe *pipe)
{
    for (size_t i = 0; i < pipe->count; i++)
        mail_fini(&pipe->mails[i]);
    pipe->count = 0;
}

void
pipe_free(struct pipe *pipe)
{
    pipe_clear(pipe);
    free(pipe->mails);
    *pipe = (struct pipe){ 0 };
}

void
wire_say(struct world *world, struct wire_link *link, struct slice body,
         const char *fmt, ...)
{
    struct mail mail = { .peer = link->peer, .side = link->side };
    char text[8192];
    va_list args;
    int bytes;

    va_start(args, fmt);
    bytes = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (bytes < 0 || bytes >= (int)sizeof(text))
        world_fail(world, "a message of the simulator's is too long");
    for (char *at = text; *at; at++) {
        if (*at == '\'')
            *at = '"';
    }
    if (!link->is_up)
        return;
    world_tell(world, "  > %.150s", text);
    buf_add(&mail.head, text, (size_t)bytes);
    buf_add_slice(&mail.body, body);
    pipe_push(&link->to_broker, &mail);
}

bool
wire_take(struct wire_link *link, struct mail *mail)
{
    return pipe_pull(&link->from_broker, mail);
}

void
wire_cut(struct world *world, struct wire_link *link)
{
    struct mail mail;

    while (pipe_pull(&link->to_broker, &mail)) {
        /* What was read of it ends with the broker, or with the link. */
        ahead_drop(&mail);
        if (dice_once_in(&world->dice, 2))
            pipe_push(&world->stray, &mail);
        else
            mail_fini(&mail);
    }
    pipe_clear(&link->from_broker);
    link->is_up = false;
}

void
wire_connect(struct world *world, struct wire_link *link)
{
    uint32_t number = ++world->peers;

    if (link->is_up)
        wire_cut(world, link);
    link->peer = (struct link_peer){ .bytes = 5 };
    link->peer.id[0] = link->side == SIDE_CLIENTS ? 1 : 2;
    link->peer.id[1] = (unsigned char)(number >> 16);
    link->peer.id[2] = (unsigned char)(number >> 8);
    link->peer.id[3] = (unsigned char)number;
    link->is_up = true;
}

struct wire_link *
wire_link_at(struct world *world, size_t nth)
{
    if (nth < (size_t)world->client_count)
        return &world->clients[nth].link;
    nth -= (size_t)world->client_count;
    if (nth < WORLD_WORKERS)
        return &world->workers[nth].link;
    return nth == WORLD_WORKERS && world->filer.is_on ? &world->filer.link
                                                      : NULL;
}

static bool
is_at(const struct wire_link *link, const struct link_peer *peer)
{
    return link->is_up && link->peer.bytes == peer->bytes &&
           memcmp(link->peer.id, peer->id, peer->bytes) == 0;
}

struct wire_link *
wire_link_of(struct world *world, const struct letter *letter)
{
    struct wire_link *link;

    for (size_t i = 0; (link = wire_link_at(world, i)); i++) {
        if (is_at(link, &letter->peer))
            return link;
    }
    return NULL;
}

bool
wire_is_busy(struct world *world)
{
    struct wire_link *link;

    for (size_t i = 0; (link = wire_link_at(world, i)); i++) {
        if (link->to_broker.count > 0)
            return true;
    }
    return false;
}

bool
world_is_liar(const struct world *world, const struct link_peer *peer)
{
    for (int i = 0; i < WORLD_WORKERS; i++) {
        if (is_at(&world->workers[i].link, peer))
            return world->workers[i].is_liar;
    }
    return true; /* gone: nobody vouches for it */
}
