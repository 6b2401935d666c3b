/*
 * conf_alert.h - the options of [sheaf] about what is watched
 *
 * When a call is slow, and when somebody should know of something: what each
 * alert is about is in queue/alerts.h.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_CONF_ALERT_H
#define BASE_CONF_ALERT_H

/* clang-format off */
/*    name, type (see option.h), default, min, max, unit, what it does */
#define CONF_ALERT_LIST(X)                                                    \
    X(t1_ms, INT, 1500, 1, 3600000, "ms",                                     \
        "calls that take longer are counted; the first of four stages")       \
    X(t2_ms, INT, 2500, 1, 3600000, "ms",                                     \
        "the second stage")                                                   \
    X(t3_ms, INT, 4000, 1, 3600000, "ms",                                     \
        "the third stage")                                                    \
    X(t4_ms, INT, 6000, 1, 3600000, "ms",                                     \
        "the fourth stage")                                                   \
    X(alert_window_ms, INT, 300000, 1000, 86400000, "ms",                     \
        "alerts go by what came within this time")                            \
    X(alert_samples_min, INT, 20, 1, 1000000, "",                             \
        "fewer calls, or drafts, in it raise no alert about their share")     \
    X(alert_resolve_ms, INT, 60000, 0, 86400000, "ms",                        \
        "an alert is over when its condition has not held for so long")       \
    X(alert_latency_for_ms, INT, 60000, 0, 2592000000, "ms",                  \
        "half the calls take longer than t2_ms, or 5 % than t3_ms, so long")  \
    X(alert_error_percent, INT, 5, 0, 100, "%",                               \
        "a larger share of calls that fail raises an alert")                  \
    X(alert_error_for_ms, INT, 60000, 0, 2592000000, "ms",                    \
        "when it has been so for this time")                                  \
    X(alert_hit_percent, INT, 20, 0, 100, "%",                                \
        "a smaller share of drafts that need no call raises one; 0: none")    \
    X(alert_hit_for_ms, INT, 600000, 0, 2592000000, "ms",                     \
        "when it has been so for this time")                                  \
    X(alert_suspended_for_ms, INT, 60000, 0, 2592000000, "ms",                \
        "an upstream that is not asked for this time raises one")             \
    X(alert_stuck_for_ms, INT, 300000, 0, 2592000000, "ms",                   \
        "work that could go on and does not for this time raises one")        \
    X(alert_store_percent, INT, 90, 1, 100, "%",                              \
        "more of the size at which drafts are refused raises one")            \
    X(alert_store_for_ms, INT, 60000, 0, 2592000000, "ms",                    \
        "when it has been so for this time")                                  \
    X(alert_lost_max, INT, 0, 0, 1000000, "",                                 \
        "more workers lost within alert_window_ms raise one")                 \
    X(alert_lost_for_ms, INT, 0, 0, 2592000000, "ms",                         \
        "when it has been so for this time")                                  \
    X(alert_command_ms, INT, 30000, 100, 86400000, "ms",                      \
        "alert_command is killed after this time")
/* clang-format on */

#endif
