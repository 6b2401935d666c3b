/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* ppoll */
#include "queue/transaction.h"

#include <poll.h>
#include <unistd.h>

#include "base/log.h"
#include "base/program.h"

#define HOLD_MS     200 /* until what found no room is tried again */
#define READ_MS_MAX 25  /* that a commit waits for what is being read */
#define US_A_MS     1000
#define US_A_S      1000000
#define NS_A_US     1000

void
transaction_fail(const struct err *err)
{
    if (err->code == E_CORRUPT) {
        log_error("event=store_damaged reason=\"%s\"", err->msg);
        _exit(PROGRAM_EXIT_DAMAGED);
    }
    log_fatal("event=store_failed reason=\"%s\"", err->msg);
}

int64_t
transaction_clock(struct transaction *transaction)
{
    struct clock_mark mark = clock_look(transaction->clock);
    int64_t now_ms = clock_at_ms(transaction->clock, &mark);

    store_mark(transaction->store, &mark);
    broker_note_wall(transaction->broker, mark.wall_ms - now_ms);
    return now_ms;
}

void
transaction_begin(struct transaction *transaction, int64_t now_ms)
{
    struct err err = { 0 };

    if (store_begin(transaction->store, now_ms, &err) < 0)
        transaction_fail(&err);
}

static void
send_letters(struct transaction *transaction)
{
    for (size_t i = 0; i < transaction->outbox->count; i++) {
        struct letter *letter = &transaction->outbox->letters[i];
        int rc = link_give(transaction->links[letter->side], &letter->peer,
                           buf_slice(&letter->head), &letter->body);

        if (rc == E_UNREACHABLE)
            broker_lost(transaction->broker, letter->side, &letter->peer);
        else if (rc < 0)
            log_warn("event=answer_dropped reason=\"%s\"", err_text(rc));
    }
    outbox_reset(transaction->outbox);
}

void
transaction_send(struct transaction *transaction)
{
    store_abort(transaction->store);
    send_letters(transaction);
}

/* Takes what has arrived, as far as there is room for it. */
static void
receive(struct transaction *transaction)
{
    size_t bad = parcels_receive(&transaction->parcels, transaction->links);

    for (; bad > 0; bad--)
        broker_note_bad(transaction->broker);
}

/* Makes the state in memory match the store again. */
static void
recover(struct transaction *transaction, int64_t now_ms)
{
    struct err err = { 0 };

    outbox_reset(transaction->outbox);
    if (broker_recover(transaction->broker, now_ms, false, &err) < 0)
        transaction_fail(&err);
}

static void
settle_and_send(struct transaction *transaction, int64_t now_ms)
{
    transaction->items = 0;
    transaction_begin(transaction, now_ms);
    broker_settle(transaction->broker, now_ms);
    transaction_send(transaction);
}

/* Commits, and tells the core how long it took, if there was something to
 * write. */
static int
flush(struct transaction *transaction, struct err *err)
{
    bool is_dirty = store_is_dirty(transaction->store);
    int64_t start_us = clock_mono_us();
    int rc = store_commit(transaction->store, err);

    if (rc == 0 && is_dirty)
        broker_note_commit(transaction->broker, clock_mono_us() - start_us,
                           transaction->items);
    return rc;
}

/* What was read of a chunk is used up: where its transaction fails, it is read
 * again. */
static void
apply(struct transaction *transaction, struct parcel *parcel, int64_t now_ms)
{
    struct message message = parcel_message(parcel);

    transaction->items += parcel->items;
    broker_apply(transaction->broker, &message, now_ms);
    parcel_close_order(parcel, transaction->reader);
}

/* Ends a transaction with what is due, by `work`. 0, or why it failed; then
 * nothing of it has happened. What it says is still to be sent. */
static int
commit(struct transaction *transaction, int64_t now_ms,
       void (*work)(struct broker *, int64_t), struct err *err)
{
    int rc;

    transaction->look(transaction->context, now_ms);
    work(transaction->broker, now_ms);
    rc = flush(transaction, err);
    if (rc == E_IO)
        transaction_fail(err);
    if (rc < 0)
        recover(transaction, now_ms);
    return rc;
}

static int
commit_and_send(struct transaction *transaction, int64_t now_ms,
                void (*work)(struct broker *, int64_t), struct err *err)
{
    int rc = commit(transaction, now_ms, work, err);

    if (rc == 0)
        settle_and_send(transaction, now_ms);
    return rc;
}

/* What failed together is tried one by one, so that only the message that is
 * at fault is refused; and what is due comes last, on its own, so that where
 * there is no room for it, clients can still make some. */
static void
transact_each(struct transaction *transaction, int64_t now_ms)
{
    struct err none = { 0 };

    broker_hold(transaction->broker, now_ms + 1);
    for (size_t i = 0; i < transaction->parcels.taken.count; i++) {
        struct parcel *parcel = transaction->parcels.taken.list[i];
        struct message message = parcel_message(parcel);
        struct err err = { 0 };
        int rc;

        transaction_begin(transaction, now_ms);
        apply(transaction, parcel, now_ms);
        rc = commit_and_send(transaction, now_ms, broker_turn, &err);
        if (rc == 0)
            continue;
        log_error("event=message_refused reason=\"%s\"", err.msg);
        broker_refuse(transaction->broker, &message, rc, err.msg);
        send_letters(transaction);
    }
    broker_hold(transaction->broker, now_ms);
    transaction_begin(transaction, now_ms);
    transaction->is_short =
        commit_and_send(transaction, now_ms, broker_turn, &none) < 0;
    if (!transaction->is_short)
        return;
    broker_hold(transaction->broker, now_ms + HOLD_MS);
    transaction_begin(transaction, now_ms);
    (void)commit_and_send(transaction, now_ms, broker_relieve, &none);
}

/* Lets time pass, unless a client has something to say, or a chunk has been
 * read: workers would wake us with each result, and each of them would be read
 * by itself. Where there is no room for what clients say, they would wake us
 * all the time. False if a signal has come. */
static bool
rest(struct transaction *transaction, int64_t wait_us)
{
    bool has_room = parcels_have_room(&transaction->parcels);
    struct pollfd fds[] = {
        { has_room ? link_fd(transaction->links[SIDE_CLIENTS]) : -1, POLLIN,
          0 },
        { transaction->signal_fd, POLLIN, 0 },
        { reader_fd(transaction->reader), POLLIN, 0 },
    };
    struct timespec wait = { .tv_sec = wait_us / US_A_S,
                             .tv_nsec = wait_us % US_A_S * NS_A_US };

    (void)ppoll(fds, sizeof(fds) / sizeof(fds[0]), &wait, NULL);
    link_polled(transaction->links[SIDE_CLIENTS],
                !has_room || fds[0].revents != 0, false);
    link_polled(transaction->links[SIDE_WORKERS], true, false);
    return fds[1].revents == 0;
}

/* Gives the reader what is worth it, and takes back what it has read. */
static void
tend_reader(struct transaction *transaction)
{
    parcels_offer(&transaction->parcels, transaction->reader,
                  transaction->broker);
    (void)reader_take(transaction->reader);
}

/* Takes what waits and can be taken, and applies it; whoever has something
 * written has sent a body. True if more may have come meanwhile. */
static bool
take_some(struct transaction *transaction, int64_t now_ms)
{
    const struct parcel_row *taken = &transaction->parcels.taken;
    size_t first = taken->count;
    bool was_any_read = false;

    parcels_take(&transaction->parcels);
    for (size_t i = first; i < taken->count; i++) {
        struct parcel *parcel = taken->list[i];
        bool was_read = parcel->order != NULL;

        if (parcel->side == SIDE_CLIENTS && parcel->body.bytes > 0)
            muster_note(&transaction->muster, &parcel->peer);
        apply(transaction, parcel, now_ms);
        /* The reader is not to be idle meanwhile, nor during the flush. */
        if (was_read) {
            receive(transaction);
            tend_reader(transaction);
            was_any_read = true;
        }
    }
    return was_any_read;
}

/* Applies what has arrived, and has been read where it is to be. */
static void
take(struct transaction *transaction, int64_t now_ms)
{
    tend_reader(transaction);
    while (take_some(transaction, now_ms) &&
           !parcels_are_full(&transaction->parcels))
        ;
}

/* Lets chunks that are being read come into the transaction, one by one, as
 * they have been read. Returns the time. */
static int64_t
await_reader(struct transaction *transaction, int64_t now_ms)
{
    int64_t until_ms = now_ms + READ_MS_MAX;

    while (transaction->parcels.waiting.count > 0 &&
           !parcels_are_full(&transaction->parcels) && now_ms < until_ms) {
        if (!rest(transaction, (until_ms - now_ms) * US_A_MS))
            break;
        receive(transaction);
        now_ms = transaction_clock(transaction);
        take(transaction, now_ms);
    }
    return now_ms;
}

/* Lets the clients that are about to write again come into the transaction. */
static void
await_clients(struct transaction *transaction, int64_t now_ms)
{
    int64_t gather_us = transaction->conf->commit_gather_us;
    size_t present = transaction->muster.present;
    bool waits = gather_us > 0 && muster_missing(&transaction->muster) > 0;
    int64_t left_us = gather_us, until_us = 0;

    if (waits)
        until_us = clock_mono_us() + gather_us;
    while (waits && left_us > 0 && muster_missing(&transaction->muster) > 0 &&
           !parcels_are_full(&transaction->parcels)) {
        if (!rest(transaction, left_us))
            break;
        receive(transaction);
        take(transaction, now_ms);
        left_us = until_us - clock_mono_us();
    }
    muster_close(&transaction->muster, waits, present);
}

/* Lets more reports come into a transaction while the broker thinks that they
 * will: a flush costs more than what is written with it. Returns the time. */
static int64_t
await_more(struct transaction *transaction, int64_t now_ms)
{
    int64_t until_ms = now_ms + transaction->conf->commit_window_ms;

    /* Without room, what comes would wake it up all the time, for nothing. */
    while (!parcels_are_full(&transaction->parcels)) {
        int64_t wait_ms = broker_patience_ms(transaction->broker);

        if (broker_next_ms(transaction->broker) < until_ms)
            until_ms = broker_next_ms(transaction->broker);
        if (wait_ms > until_ms - now_ms)
            wait_ms = until_ms - now_ms;
        if (wait_ms <= 0 || !rest(transaction, wait_ms * US_A_MS))
            break;
        receive(transaction);
        now_ms = transaction_clock(transaction);
        take(transaction, now_ms);
    }
    return now_ms;
}

void
transaction_init(struct transaction *transaction)
{
    parcels_init(&transaction->parcels,
                 (size_t)transaction->conf->commit_items_max,
                 (size_t)transaction->conf->commit_bytes_max);
}

void
transaction_fini(struct transaction *transaction)
{
    parcels_fini(&transaction->parcels);
}

int64_t
transaction_receive(struct transaction *transaction)
{
    parcels_reset(&transaction->parcels);
    receive(transaction);
    return transaction_clock(transaction);
}

bool
transaction_has_mail(const struct transaction *transaction)
{
    return transaction->parcels.waiting.count > 0;
}

bool
transaction_run(struct transaction *transaction, int64_t now_ms)
{
    struct err err = { 0 };
    bool took_mail;

    transaction_begin(transaction, now_ms);
    take(transaction, now_ms);
    now_ms = await_reader(transaction, now_ms);
    await_clients(transaction, now_ms);
    now_ms = await_more(transaction, now_ms);
    took_mail = transaction->parcels.taken.count > 0;
    if (commit(transaction, now_ms, broker_turn, &err) == 0) {
        /* First: who hears that it is stored sends as much again. */
        parcels_reset(&transaction->parcels);
        settle_and_send(transaction, now_ms);
        return took_mail;
    }
    transaction->make_way(transaction->context);
    if (!transaction->is_short)
        log_warn("event=commit_failed reason=\"%s\"", err.msg);
    transact_each(transaction, now_ms);
    return took_mail;
}
