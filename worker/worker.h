/*
 * worker.h - one worker: what it holds while it works
 *
 * The pieces are made by main and used by the loop: inbox.h takes in what the
 * broker says, report.h says what it is to know, errand.h carries leases out,
 * and loop.h turns.
 *
 *   HELLO ──welcome──► WORKING ──drain, signal, parent gone──► DRAINING ──► end
 *     ▲                   │
 *     └──rehello, lost────┘
 *
 * A drain lets calls that run finish. One that the broker asks for has no end but
 * theirs, as its next life may still want them; one by a signal, or by the end of
 * the parent, gives them up after drain_ms.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/digest.h"
#include "base/text.h"
#include "queue/link.h"
#include "worker/call.h"
#include "worker/courier.h"
#include "worker/desk.h"
#include "worker/extract.h"
#include "worker/identity.h"
#include "worker/key.h"
#include "worker/slots.h"
#include "worker/tokens.h"
#include "worker/upstream.h"
#include "worker/wave.h"

#define WORKER_HELLO_REPEAT_MS 1000 /* a hello that nobody answers */
#define WORKER_HELLO_RETRY_MS  20   /* a hello that could not be sent */

struct worker {
    struct identity identity;
    const struct conf *conf;  /* borrowed from main */
    struct keys *keys;        /* borrowed from main */
    struct link *link;        /* borrowed from main */
    struct calls *calls;      /* borrowed from main */
    struct tokens *tokens;    /* borrowed from main */
    struct hooks *hooks;      /* borrowed from main */
    struct courier *courier;  /* borrowed from main */
    struct text_rules *rules; /* NULL until `local` is first asked */
    struct desk *desk;
    struct slots slots;
    struct upstreams upstreams;
    struct clock clock;

    bool is_welcome;   /* the broker knows us */
    bool is_connected; /* as far as the link has said */
    bool is_ahead;     /* hello was said before the link said so */
    int64_t heartbeat_ms;
    int64_t window_ms;     /* for so long results may be kept; 0: not at all */
    int64_t drain_ms;      /* the broker's word, until then our own */
    int64_t orphan_ttl_ms; /* the same */
    int64_t hellos;        /* that were said */
    int64_t hello_ms; /* when the next hello is due, while nobody answers */
    int64_t beat_ms;  /* when the next heartbeat is due */
    int64_t heard_ms; /* when the broker was last heard */

    struct wave wave;     /* results that wait for others */
    bool is_told_to_wait; /* by an upstream; the broker is not told yet */
    bool is_draining;
    bool is_signalled;    /* the next signal demands the end */
    int64_t drain_end_ms; /* running calls are given up then, if ever */
    bool is_broken;       /* broker and worker cannot understand each other */

    struct digest *digest;  /* of what is sent */
    struct packer *packer;  /* of replies */
    struct extract extract; /* kept for its memory, as are these: */
    struct buf head;        /* of the message that is read */
    struct buf body;
    struct buf out;    /* header of the message that is sent */
    struct buf bodies; /* of the results in it */
    struct buf starts; /* calls that it is to tell of: pairs */
    struct buf words;  /* its last ones, as they are written */
    bool has_words;    /* they were, and not all of them is confirmed */
};

/* Starts to drain, for the reason given in the log: tells the broker, releases
 * what has not started, and lets what runs finish. Does nothing if it has begun
 * already. */
void worker_drain(struct worker *worker, const char *reason, int64_t now_ms);

/* Reads the credentials anew, for the reason given in the log. Calls that run
 * go on with what they were sent with. */
void worker_reload(struct worker *worker, const char *reason);

#endif
