/* SPDX-License-Identifier: MIT */
#include "queue/schedule.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "queue/ring.h"

#define BUCKETS_FIRST 64
#define PERCENT       100

/* A client in a class: a member of the class's ring, with a ring of its own. */
struct seat {
    struct member member;
    struct ring turns;
};

struct client {
    struct client *next; /* in its bucket */
    uint64_t id;
    int64_t weight;
    size_t count; /* batches it has */
    struct seat *seats[SCHEDULE_CLASSES];
};

/* A batch. It is in `sleepers` while it sleeps; while it is awake, in the ring
 * of its seat, in `rising` unless it is at the top, and in `sealed` if it is. */
struct turn {
    struct turn *next; /* in its bucket */
    uint64_t batch;
    struct client *client;
    struct member member;
    struct heap_node timed, aged;
    int64_t since_ms;
    int64_t due_ms; /* asleep: when it wakes; awake: when it rises */
    unsigned char priority, class;
    bool is_sealed, is_awake;
};

struct schedule {
    struct schedule_rules rules;
    struct ring classes[SCHEDULE_CLASSES];
    struct heap sleepers, rising; /* by due_ms */
    struct heap sealed;           /* by age */
    int64_t owed;        /* to the oldest: hundredths of a token, may be < 0 */
    uint64_t shared;     /* the batch that is served by the share; 0: none is */
    struct turn **turns; /* buckets, as many as `buckets` */
    struct client **clients;
    size_t count, buckets;
};

/* ---- order ---- */

static bool
is_due_before(const struct heap_node *a, const struct heap_node *b)
{
    const struct turn *first = HEAP_OF(a, const struct turn, timed);
    const struct turn *second = HEAP_OF(b, const struct turn, timed);

    if (first->due_ms != second->due_ms)
        return first->due_ms < second->due_ms;
    return first->batch < second->batch;
}

static bool
is_older(const struct heap_node *a, const struct heap_node *b)
{
    const struct turn *first = HEAP_OF(a, const struct turn, aged);
    const struct turn *second = HEAP_OF(b, const struct turn, aged);

    if (first->since_ms != second->since_ms)
        return first->since_ms < second->since_ms;
    return first->batch < second->batch;
}

static struct turn *
first_timed(const struct heap *heap)
{
    struct heap_node *node = heap_first(heap);

    return node ? HEAP_OF(node, struct turn, timed) : NULL;
}

static struct turn *
oldest(const struct schedule *schedule)
{
    struct heap_node *node = heap_first(&schedule->sealed);

    return node ? HEAP_OF(node, struct turn, aged) : NULL;
}

/* ---- finding ---- */

/* Ids are counted, and clients are digests: both spread well enough. */
static size_t
bucket(const struct schedule *schedule, uint64_t id)
{
    return (size_t)id & (schedule->buckets - 1);
}

static struct turn *
find(const struct schedule *schedule, uint64_t batch)
{
    struct turn *turn = schedule->turns[bucket(schedule, batch)];

    while (turn && turn->batch != batch)
        turn = turn->next;
    return turn;
}

static void
set_buckets(struct schedule *schedule, size_t buckets)
{
    struct turn **turns = schedule->turns;
    struct client **clients = schedule->clients;
    size_t before = schedule->buckets;

    schedule->buckets = buckets;
    schedule->turns = mem_zalloc(buckets, sizeof(turns[0]));
    schedule->clients = mem_zalloc(buckets, sizeof(clients[0]));
    for (size_t i = 0; i < before; i++) {
        while (turns[i]) {
            struct turn *turn = turns[i];
            size_t at = bucket(schedule, turn->batch);

            turns[i] = turn->next;
            turn->next = schedule->turns[at];
            schedule->turns[at] = turn;
        }
        while (clients[i]) {
            struct client *client = clients[i];
            size_t at = bucket(schedule, client->id);

            clients[i] = client->next;
            client->next = schedule->clients[at];
            schedule->clients[at] = client;
        }
    }
    free(turns);
    free(clients);
}

/* ---- clients ---- */

static struct client *
client_of(struct schedule *schedule, const struct schedule_terms *terms)
{
    struct client **head = &schedule->clients[bucket(schedule, terms->client)];
    struct client *client = *head;

    while (client && client->id != terms->client)
        client = client->next;
    if (!client) {
        client = mem_zalloc(1, sizeof(*client));
        client->id = terms->client;
        client->weight = terms->weight;
        client->next = *head;
        *head = client;
    }
    return client;
}

static void
drop_client(struct schedule *schedule, struct client *client)
{
    struct client **at = &schedule->clients[bucket(schedule, client->id)];

    while (*at != client)
        at = &(*at)->next;
    *at = client->next;
    for (size_t i = 0; i < SCHEDULE_CLASSES; i++) {
        if (client->seats[i])
            ring_fini(&client->seats[i]->turns);
        free(client->seats[i]);
    }
    free(client);
}

static struct seat *
seat_of(struct client *client, unsigned class)
{
    if (!client->seats[class]) {
        client->seats[class] = mem_zalloc(1, sizeof(struct seat));
        ring_init(&client->seats[class]->turns);
    }
    return client->seats[class];
}

/* ---- awake and asleep ---- */

static int64_t
client_quantum(const struct schedule *schedule, const struct client *client)
{
    return schedule->rules.turn_tokens * client->weight;
}

static void
enter(struct schedule *schedule, struct turn *turn)
{
    struct seat *seat = seat_of(turn->client, turn->class);
    int64_t classes = (int64_t)turn->class + 1 - turn->priority;

    assert(!turn->is_awake);
    turn->is_awake = true;
    ring_join(&seat->turns, &turn->member, schedule->rules.turn_tokens);
    if (seat->turns.heap.count == 1) {
        ring_join(&schedule->classes[turn->class], &seat->member,
                  client_quantum(schedule, turn->client));
    }
    if (turn->class < SCHEDULE_CLASSES - 1) {
        turn->due_ms = turn->since_ms + classes * schedule->rules.age_ms;
        heap_add(&schedule->rising, &turn->timed);
    }
    if (turn->is_sealed)
        heap_add(&schedule->sealed, &turn->aged);
}

/* Takes a turn out of where it stands, awake or asleep. */
static void
leave(struct schedule *schedule, struct turn *turn)
{
    struct seat *seat;

    if (!turn->is_awake) {
        heap_remove(&schedule->sleepers, &turn->timed);
        return;
    }
    seat = turn->client->seats[turn->class];
    turn->is_awake = false;
    ring_leave(&seat->turns, &turn->member);
    if (seat->turns.heap.count == 0)
        ring_leave(&schedule->classes[turn->class], &seat->member);
    heap_remove(&schedule->rising, &turn->timed);
    heap_remove(&schedule->sealed, &turn->aged);
}

/* Puts a turn that stands nowhere into another class. It takes along what it owes
 * among the batches of its client. What the client owes stays in the class where
 * it was served. */
static void
change_class(struct turn *turn, unsigned class)
{
    const struct ring *from = &turn->client->seats[turn->class]->turns;

    ring_carry(from, &seat_of(turn->client, class)->turns, &turn->member);
    turn->class = (unsigned char)class;
}

static void
rise(struct schedule *schedule, struct turn *turn)
{
    leave(schedule, turn);
    change_class(turn, turn->class + 1u);
    enter(schedule, turn);
}

static void
wake_due(struct schedule *schedule, int64_t now_ms)
{
    struct turn *turn;

    while ((turn = first_timed(&schedule->sleepers)) &&
           turn->due_ms <= now_ms) {
        leave(schedule, turn);
        enter(schedule, turn);
    }
}

/* ---- life ---- */

struct schedule *
schedule_new(const struct schedule_rules *rules)
{
    struct schedule *schedule = mem_zalloc(1, sizeof(*schedule));

    schedule->rules = *rules;
    for (size_t i = 0; i < SCHEDULE_CLASSES; i++)
        ring_init(&schedule->classes[i]);
    schedule->sleepers.before = schedule->rising.before = is_due_before;
    schedule->sealed.before = is_older;
    set_buckets(schedule, BUCKETS_FIRST);
    return schedule;
}

void
schedule_free(struct schedule *schedule)
{
    if (!schedule)
        return;
    schedule_reset(schedule);
    for (size_t i = 0; i < SCHEDULE_CLASSES; i++)
        ring_fini(&schedule->classes[i]);
    heap_fini(&schedule->sleepers);
    heap_fini(&schedule->rising);
    heap_fini(&schedule->sealed);
    free(schedule->turns);
    free(schedule->clients);
    free(schedule);
}

void
schedule_reset(struct schedule *schedule)
{
    for (size_t i = 0; i < schedule->buckets; i++) {
        while (schedule->turns[i])
            schedule_remove(schedule, schedule->turns[i]->batch);
    }
    for (size_t i = 0; i < SCHEDULE_CLASSES; i++) {
        ring_fini(&schedule->classes[i]);
        ring_init(&schedule->classes[i]);
    }
    schedule->owed = 0;
    schedule->shared = 0;
}

bool
schedule_is_full(const struct schedule *schedule)
{
    return schedule->count >= schedule->rules.max;
}

void
schedule_visit(const struct schedule *schedule,
               bool (*visit)(void *context, uint64_t batch, bool is_sealed,
                             int64_t since_ms),
               void *context)
{
    for (size_t i = 0; i < schedule->buckets; i++) {
        for (const struct turn *turn = schedule->turns[i]; turn;
             turn = turn->next) {
            if (!visit(context, turn->batch, turn->is_sealed, turn->since_ms))
                return;
        }
    }
}

size_t
schedule_count(const struct schedule *schedule)
{
    return schedule->count;
}

/* ---- batches ---- */

static struct turn *
add_turn(struct schedule *schedule, uint64_t batch,
         const struct schedule_terms *terms)
{
    struct turn *turn = mem_zalloc(1, sizeof(*turn));
    size_t at;

    if (schedule->count == schedule->buckets)
        set_buckets(schedule, schedule->buckets * 2);
    at = bucket(schedule, batch);
    turn->batch = batch;
    turn->class = turn->priority = (unsigned char)terms->priority;
    turn->client = client_of(schedule, terms);
    turn->client->count++;
    turn->next = schedule->turns[at];
    schedule->turns[at] = turn;
    schedule->count++;
    return turn;
}

void
schedule_add(struct schedule *schedule, uint64_t batch,
             const struct schedule_terms *terms)
{
    struct turn *turn = find(schedule, batch);

    assert(terms->priority < SCHEDULE_CLASSES && terms->weight > 0);
    if (!turn)
        turn = add_turn(schedule, batch, terms);
    else if (turn->is_awake && turn->is_sealed == terms->is_sealed &&
             turn->since_ms == terms->since_ms)
        return; /* and keeps its place */
    else
        leave(schedule, turn);
    /* Its age counts anew: what it had risen by is gone, as after a restart. */
    if (turn->class != turn->priority && turn->since_ms != terms->since_ms)
        change_class(turn, turn->priority);
    turn->is_sealed = terms->is_sealed;
    turn->since_ms = terms->since_ms;
    enter(schedule, turn);
}

void
schedule_remove(struct schedule *schedule, uint64_t batch)
{
    struct turn *turn = find(schedule, batch), **at;

    if (!turn)
        return;
    leave(schedule, turn);
    at = &schedule->turns[bucket(schedule, batch)];
    while (*at != turn)
        at = &(*at)->next;
    *at = turn->next;
    if (--turn->client->count == 0)
        drop_client(schedule, turn->client);
    free(turn);
    schedule->count--;
}

void
schedule_sleep(struct schedule *schedule, uint64_t batch, int64_t until_ms)
{
    struct turn *turn = find(schedule, batch);

    if (!turn)
        return;
    leave(schedule, turn);
    turn->due_ms = until_ms;
    heap_add(&schedule->sleepers, &turn->timed);
}

void
schedule_wake(struct schedule *schedule, uint64_t batch)
{
    struct turn *turn = find(schedule, batch);

    if (!turn || turn->is_awake)
        return;
    leave(schedule, turn);
    enter(schedule, turn);
}

void
schedule_wake_all(struct schedule *schedule)
{
    struct turn *turn;

    while ((turn = first_timed(&schedule->sleepers))) {
        leave(schedule, turn);
        enter(schedule, turn);
    }
}

bool
schedule_is_awake(const struct schedule *schedule, uint64_t batch,
                  int64_t now_ms)
{
    const struct turn *turn = find(schedule, batch);

    return turn && (turn->is_awake || turn->due_ms <= now_ms);
}

int64_t
schedule_next_ms(struct schedule *schedule, int64_t now_ms)
{
    const struct turn *turn;

    /* Those that are due are awake, and wait for no time. */
    wake_due(schedule, now_ms);
    turn = first_timed(&schedule->sleepers);
    return turn ? turn->due_ms : SCHEDULE_NEVER;
}

/* ---- turns ---- */

uint64_t
schedule_next(struct schedule *schedule, int64_t now_ms)
{
    struct turn *turn;

    wake_due(schedule, now_ms);
    while ((turn = first_timed(&schedule->rising)) && turn->due_ms <= now_ms)
        rise(schedule, turn);
    turn = oldest(schedule);
    if (turn && schedule->owed > 0) {
        schedule->shared = turn->batch;
        return turn->batch;
    }
    schedule->shared = 0;
    for (size_t class = SCHEDULE_CLASSES; class > 0; class --) {
        struct member *member = ring_first(&schedule->classes[class - 1]);

        if (!member)
            continue;
        member = ring_first(&HEAP_OF(member, struct seat, member)->turns);
        assert(member);
        return HEAP_OF(member, struct turn, member)->batch;
    }
    return 0;
}

/* What is served counts for the oldest's share, whoever gets it. */
static void
note_share(struct schedule *schedule, uint64_t batch, int64_t tokens)
{
    const struct turn *turn = oldest(schedule);
    int64_t least =
        -schedule->rules.turn_tokens * SCHEDULE_SURPLUS_TURNS * PERCENT;

    if (!turn || schedule->rules.share_percent == 0)
        return;
    schedule->owed += tokens * schedule->rules.share_percent;
    if (turn->batch == batch)
        schedule->owed -= tokens * PERCENT;
    if (schedule->owed < least)
        schedule->owed = least;
}

static void
charge_turn(struct schedule *schedule, struct turn *turn, int64_t tokens)
{
    struct seat *seat = seat_of(turn->client, turn->class);

    ring_charge(&seat->turns, &turn->member, tokens,
                schedule->rules.turn_tokens);
    ring_charge(&schedule->classes[turn->class], &seat->member, tokens,
                client_quantum(schedule, turn->client));
}

static int64_t
bounded(int64_t tokens)
{
    return tokens < SCHEDULE_TOKENS_MAX ? tokens : SCHEDULE_TOKENS_MAX;
}

struct charge
schedule_charge(struct schedule *schedule, uint64_t batch, int64_t tokens)
{
    struct charge charge = { .batch = batch,
                             .tokens = tokens > 0 ? bounded(tokens) : 1,
                             .is_by_share = schedule->shared == batch };
    struct turn *turn = find(schedule, batch);

    if (!turn)
        return (struct charge){ 0 };
    note_share(schedule, batch, charge.tokens);
    if (!charge.is_by_share)
        charge_turn(schedule, turn, charge.tokens);
    return charge;
}

void
schedule_settle(struct schedule *schedule, struct charge *charge,
                int64_t tokens)
{
    struct turn *turn = find(schedule, charge->batch);
    int64_t more = bounded(tokens) - charge->tokens;

    if (turn && more != 0) {
        note_share(schedule, charge->batch, more);
        if (!charge->is_by_share)
            charge_turn(schedule, turn, more);
    }
    *charge = (struct charge){ 0 };
}
