/*
 * alarm.h - the command that is run when an alert fires, and when it is over
 *
 * For those who have nobody who asks: alert_command is started, without a shell,
 * for each change, in order and one at a time. It is told by its environment,
 * which is the broker's with
 *
 *   SHEAF_ALERT_NAME      error_rate
 *   SHEAF_ALERT_STATE     firing, or resolved
 *   SHEAF_ALERT_UPSTREAM  its name, or nothing
 *   SHEAF_ALERT_VALUE     the figure; nothing if it is not known
 *   SHEAF_ALERT_LIMIT     its limit
 *   SHEAF_ALERT_AT        when it changed, RFC 3339
 *   SHEAF_ALERT_MESSAGE   a sentence
 *   SHEAF_ALERT_JSON      all of it, as in PROTOCOL.md
 *
 * It reads nothing, what it writes goes to the broker's standard error, and it
 * is killed with its children after alert_command_ms. The loop never waits for
 * it.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_ALARM_H
#define QUEUE_ALARM_H

#include <stdint.h>

#include "base/conf.h"
#include "queue/alerts.h"

struct alarm;

/* An alarm that has told nothing yet. The configuration is borrowed; without an
 * alert_command, nothing is ever run. */
struct alarm *alarm_new(const struct conf *conf);

/* Kills what runs, and frees the alarm; NULL is fine. */
void alarm_free(struct alarm *alarm);

/* To be called in each turn of the loop: takes note of a command that has ended,
 * kills one that takes too long, and starts the next one. */
void alarm_tend(struct alarm *alarm, const struct alerts *alerts,
                int64_t now_ms);

#endif
