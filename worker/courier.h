/*
 * courier.h - events on their way to webhooks
 *
 *   take            the call has ended        noted
 *   ───► RUNNING ─────────────────────► DONE ───────► (gone)
 *
 * Beside the leases: an event takes no slot and waits for none. What came of it
 * is told to the broker again and again until that is noted. An event that the
 * broker gives again while it runs goes on under the new number.
 *
 * Posts go to the URL of the worker's own configuration and nowhere else.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_COURIER_H
#define WORKER_COURIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/conf.h"
#include "worker/call.h"
#include "worker/hooks.h"

#define COURIER_ID_BYTES_MAX      64
#define COURIER_MESSAGE_BYTES_MAX 128
#define COURIER_CODE_BYTES_MAX    32
#define COURIER_REPLY_BYTES_MAX   65536 /* nobody reads it */
#define COURIER_RESEND_MS         1000
#define COURIER_RESEND_MAX_MS     16000
#define COURIER_NEVER             INT64_MAX

enum parcel_state { PARCEL_RUNNING, PARCEL_DONE };

/* What came of it. */
enum parcel_end {
    PARCEL_OK,
    PARCEL_FAILED,
    PARCEL_UNMADE, /* not the receiver's fault */
};

struct parcel {
    int64_t delivery, attempt;
    enum parcel_state state;
    struct call *call; /* while it runs; borrowed from the calls */
    struct buf body;   /* the same */
    size_t webhook;    /* of our configuration */
    enum parcel_end end;
    int http_status;
    int64_t wait_ms; /* that the receiver named */
    char code[COURIER_CODE_BYTES_MAX + 1];
    char message[COURIER_MESSAGE_BYTES_MAX + 1];
    int64_t resend_ms; /* when that is to be told; 0: at once */
    int times_sent;
};

/* What the broker asks for. Strings are borrowed. */
struct parcel_order {
    int64_t delivery, attempt, timeout_ms;
    const char *webhook, *url, *id;
};

struct courier;

/* A courier that carries at most CONF_POSTS_MAX events for each webhook; all is
 * borrowed for its life, and `calls` has room for as many. Freed once the calls
 * are gone; NULL is fine there. */
struct courier *courier_new(const struct conf *conf, const struct hooks *hooks,
                            struct calls *calls);
void courier_free(struct courier *courier);

/* Takes an event on, with a copy of its body; what cannot be posted is done at
 * once. False: it carries too much already, and nothing is taken. */
bool courier_take(struct courier *courier, const struct parcel_order *order,
                  struct slice body);

/* Takes one on that is not to be posted: it is done, as unmade. */
bool courier_decline(struct courier *courier, const struct parcel_order *order,
                     const char *code, const char *message);

/* A call has ended with this reply. True if it was one of ours; then the reply is
 * taken care of. */
bool courier_end(struct courier *courier, const struct call *call,
                 struct reply *reply);

/* Gives up what runs: it is done, as unmade. */
void courier_abort(struct courier *courier, const char *code,
                   const char *message);

/* The broker has taken note: it is forgotten. */
void courier_noted(struct courier *courier, int64_t delivery, int64_t attempt);

/* The nth event, from 0; NULL behind the last. */
const struct parcel *courier_at(const struct courier *courier, size_t nth);

/* One that is done and to be told now, or NULL; it was told, or could not be; all
 * are to be told at once. */
struct parcel *courier_next_due(struct courier *courier, int64_t now_ms);
void courier_told(struct parcel *parcel, int64_t now_ms);
void courier_tell_all(struct courier *courier);

/* When courier_next_due() has one; COURIER_NEVER if never. */
int64_t courier_next_ms(const struct courier *courier);

#endif
