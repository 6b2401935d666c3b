/*
 * conf_sheaf.h - the options of [sheaf]
 *
 * Those of the work; conf_alert.h has those of what is watched. Both are the
 * members of struct conf (conf.h).
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_CONF_SHEAF_H
#define BASE_CONF_SHEAF_H

#include "base/conf_alert.h"

#define CONF_LIST(X) CONF_WORK_LIST(X) CONF_ALERT_LIST(X)

/* clang-format off */
/*    name, type (see option.h), default, min, max, unit, what it does */
#define CONF_WORK_LIST(X)                                                     \
    X(slots_max, INT, 5, 1, 1024, "",                                         \
        "calls in flight, over all workers of one broker")                    \
    X(group_chars_max, INT, 4000, 1, 10000000, "code points",                 \
        "the texts of a group stay below this in total")                      \
    X(group_window_ms, INT, 2000, 0, 3600000, "ms",                           \
        "a group waits this long for more drafts of its kind")                \
    X(groups_open_max, INT, 4096, 1, 1000000, "",                             \
        "groups that wait at one time; one more closes the oldest")           \
    X(cache_entries_max, INT, 2000, 0, 10000000, "",                          \
        "answers kept in memory; 0 keeps none")                               \
    X(cache_bytes_max, INT, 8388608, 0, 1099511627776, "bytes",               \
        "size of the answers kept in memory")                                 \
    X(cache_ttl_ms, INT, 7200000, 0, 9007199254740992, "ms",                  \
        "an answer serves identical requests this long; 0 never")             \
    X(results_ttl_ms, INT, 0, 0, 9007199254740992, "ms",                      \
        "a batch is purged so long after its end; 0: not by itself")          \
    X(results_bytes_max, INT, 0, 0, 17592186044416, "bytes",                  \
        "a larger store loses unused answers, files, old batches; 0: no limit")\
    X(attempts_max, INT, 5, 1, 100, "",                                       \
        "failed attempts after which a request ends with a fallback")         \
    X(backoff_base_ms, INT, 500, 1, 3600000, "ms",                            \
        "the wait after the first failure; it doubles with each more")        \
    X(backoff_cap_ms, INT, 60000, 1, 86400000, "ms",                          \
        "no wait between attempts is longer, unless a server names it")       \
    X(backoff_jitter_percent, INT, 50, 0, 100, "%",                           \
        "up to this share is added to a wait, at random")                     \
    X(retry_after_max_ms, INT, 900000, 0, 2592000000, "ms",                   \
        "a longer wait named by a server is counted, never shortened")        \
    X(throttle_max, INT, 100, 1, 1000000, "",                                 \
        "times a request may be told to wait before it ends")                 \
    X(lease_ms, INT, 60000, 1000, 86400000, "ms",                             \
        "a lease lasts this long, or as long as the call may take")           \
    X(lease_run_max_ms, INT, 14400000, 1000, 172800000, "ms",                 \
        "no lease lasts longer than this, however often it is renewed")       \
    X(heartbeat_ms, INT, 5000, 100, 600000, "ms",                             \
        "a worker renews its leases this often; twice fits in lease_ms")      \
    X(lease_ahead_max, INT, 64, 0, 1000, "",                                  \
        "leases a worker may hold beyond its slots, where calls are short")   \
    X(lost_max, INT, 3, 1, 100, "",                                           \
        "leases a request may lose during its calls before it runs alone")    \
    X(open_ttl_ms, INT, 86400000, 1000, 2592000000, "ms",                     \
        "a batch that is not sealed in this time is dropped")                 \
    X(deadline_ms, INT, 86400000, 1000, 31536000000, "ms",                    \
        "a batch that names no deadline ends this long after it may start")   \
    X(start_grace_ms, INT, 300000, 0, 86400000, "ms",                         \
        "what ran out without a broker ends this long after its start")       \
    X(orphan_ttl_ms, INT, 60000, 0, 86400000, "ms",                           \
        "a worker outlives its broker by this time")                          \
    X(drain_ms, INT, 30000, 0, 86400000, "ms",                                \
        "a broker that is told to stop lets calls finish this long")          \
    X(line_bytes_max, INT, 1048576, 1024, 16777216, "bytes",                  \
        "size of one draft")                                                  \
    X(chunk_bytes_max, INT, 1048576, 1024, 67108864, "bytes",                 \
        "size of one message of drafts; at least line_bytes_max")             \
    X(chunk_drafts_max, INT, 1000, 1, 100000, "",                             \
        "drafts in one message; at most commit_items_max")                    \
    X(reply_bytes_max, INT, 8388608, 1024, 268435456, "bytes",                \
        "size of an upstream's reply")                                        \
    X(id_bytes_max, INT, 512, 16, 4096, "bytes",                              \
        "size of a draft's id")                                               \
    X(file_bytes_max, INT, 209715200, 1024, 17179869184, "bytes",             \
        "size of an uploaded file")                                           \
    X(file_lines_max, INT, 50000, 1, 10000000, "",                            \
        "lines of a file that a batch is made from")                          \
    X(file_inputs_max, INT, 50000, 1, 1000000000, "",                         \
        "embeddings that the lines of such a file ask for")                   \
    X(file_ttl_ms, INT, 2592000000, 0, 9007199254740992, "ms",                \
        "a file is deleted so long after it came; 0: not by itself")          \
    X(client_files_max, INT, 10000, 1, 1000000, "",                           \
        "files that a client may have when it uploads one more")              \
    X(client_files_bytes_max, INT, 10737418240, 1024, 17592186044416, "bytes",\
        "size of all files of a client when it uploads one more")             \
    X(turn_tokens, INT, 4096, 1, 1000000, "tokens",                           \
        "a batch takes turns of so many with the others")                     \
    X(answer_tokens, INT, 256, 1, 1000000, "tokens",                          \
        "an answer is thought to take so many if its length has no limit")    \
    X(age_ms, INT, 3600000, 1000, 31536000000, "ms",                          \
        "a batch rises by one priority in this time")                         \
    X(oldest_share_percent, INT, 25, 0, 90, "%",                              \
        "the oldest batch gets at least this share of the tokens")            \
    X(batches_live_max, INT, 10000, 1, 1000000, "",                           \
        "batches that are open or not finished")                              \
    X(deliveries_max, INT, 10000, 10, 100000, "",                             \
        "events for webhooks that are kept; more of them remove the oldest")  \
    X(deliveries_ttl_ms, INT, 604800000, 1000, 31536000000, "ms",             \
        "an event is kept so long after it was delivered, or given up")       \
    X(sessions_max, INT, 256, 1, 65536, "",                                   \
        "workers that are connected at one time, or may come back")           \
    X(store_bytes_max, INT, 274877906944, 16777216, 17592186044416, "bytes",  \
        "size the store may grow to; beyond it, drafts are refused")          \
    X(store_soft_percent, INT, 85, 1, 100, "%",                               \
        "share of it, and of its disk, at which new batches are refused")     \
    X(store_hard_percent, INT, 95, 1, 100, "%",                               \
        "share at which more drafts are refused, also of open batches")       \
    X(snapshot_ms_max, INT, 1800000, 1000, 86400000, "ms",                    \
        "verify and backup give up after reading the store so long")          \
    X(commit_items_max, INT, 1000, 1, 1000000, "",                            \
        "items written to disk in one transaction")                           \
    X(commit_bytes_max, INT, 4194304, 1024, 268435456, "bytes",               \
        "size of one transaction; at least chunk_bytes_max")                  \
    X(commit_gather_us, INT, 400, 0, 100000, "us",                            \
        "a commit waits so long for clients that write again; 0: never")      \
    X(commit_window_ms, INT, 25, 0, 1000, "ms",                               \
        "answers wait so long for others of their transaction; 0: never")     \
    X(last_resort_ms, INT, 60000, 0, 86400000, "ms",                          \
        "so long before its deadline a request goes to the last resort")      \
    X(breaker_failures, INT, 10, 1, 1000000, "",                              \
        "failures in a row, of several requests, that break an upstream")     \
    X(breaker_pause_ms, INT, 5000, 1, 86400000, "ms",                         \
        "a broken upstream is probed after this time; it doubles")            \
    X(breaker_pause_max_ms, INT, 60000, 1, 86400000, "ms",                    \
        "no pause of a broken upstream is longer")                            \
    X(waiters_max, INT, 1024, 1, 65536, "",                                   \
        "clients that wait for a batch at one time")                          \
    X(results_page_bytes_max, INT, 1048576, 4096, 67108864, "bytes",          \
        "size of one message of results")

/*    The texts; their defaults are as in a file, NULL is unset, and the limits
 *    those of the length. */
#define CONF_TEXT_LIST(X)                                                     \
    X(route, LIST, NULL, 1, 256, "bytes",                                     \
        "upstreams of drafts that name none; unset: the first one alone")     \
    X(last_resort, WORD, "wait", 1, 16, "bytes",                              \
        "when no upstream of a route can be asked: wait, essence or local")   \
    X(alert_command, WORDS, NULL, 1, 1024, "bytes",                           \
        "program, by its whole path, and arguments to run for each alert")
/* clang-format on */

#endif
