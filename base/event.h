/*
 * event.h - what webhooks are told of
 *
 * The names are those that receivers of OpenAI's webhooks know, as far as there
 * are such.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_EVENT_H
#define BASE_EVENT_H

#include "base/buf.h"

/*    name, its text */
#define EVENT_LIST(X)                     \
    X(BATCH_COMPLETED, "batch.completed") \
    X(BATCH_FAILED, "batch.failed")       \
    X(BATCH_EXPIRED, "batch.expired")     \
    X(BATCH_CANCELLED, "batch.cancelled") \
    X(ALERT_FIRED, "alert.fired")         \
    X(ALERT_RESOLVED, "alert.resolved")

/* Not among those that a webhook chooses: it is sent when somebody asks. */
#define EVENT_TEST_NAME "webhook.test"

#define EVENT_ENUM(name, text) EVENT_##name,
enum event { EVENT_LIST(EVENT_ENUM) EVENT_TEST, EVENT_COUNT };
#undef EVENT_ENUM

/* The name of an event, and back; EVENT_COUNT: none that can be chosen has that
 * name. */
const char *event_name(enum event event);
enum event event_parse(struct slice name);

#endif
