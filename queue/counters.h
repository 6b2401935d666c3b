/*
 * counters.h - what is counted since the start
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_COUNTERS_H
#define QUEUE_COUNTERS_H

#include <stdint.h>

/* Replies that have the shape which their upstream's dialect promises, those
 * that have another one, and how often each came (extract.h has the names). */
#define REPLY_COUNTER_LIST(X)        \
    X(replies_priority_path)         \
    X(replies_fallback_path)         \
    X(replies_chat)                  \
    X(replies_completions)           \
    X(replies_responses)             \
    X(replies_anthropic)             \
    X(replies_gemini)                \
    X(replies_gemini_blocked)        \
    X(replies_ollama_chat)           \
    X(replies_ollama_generate)       \
    X(replies_llama)                 \
    X(replies_salesforce)            \
    X(replies_salesforce_chat)       \
    X(replies_generations_text)      \
    X(replies_generations_content)   \
    X(replies_generations_generated) \
    X(replies_other)

/* Counted since the start; `stats` prints them all. */
#define COUNTER_LIST(X)  \
    X(bad_messages)      \
    X(chunks)            \
    X(drafts_accepted)   \
    X(drafts_refused)    \
    X(drafts_joined)     \
    X(cache_memory_hits) \
    X(cache_store_hits)  \
    X(leases)            \
    X(leases_lost)       \
    X(workers_lost)      \
    X(suspects)          \
    X(poisoned)          \
    X(calls)             \
    X(calls_ok)          \
    X(calls_failed)      \
    X(calls_throttled)   \
    X(calls_uncertain)   \
    X(calls_above_t1)    \
    X(calls_above_t2)    \
    X(calls_above_t3)    \
    X(calls_above_t4)    \
    X(long_waits)        \
    X(token_hits)        \
    X(token_fetches)     \
    X(late_results)      \
    X(requests_done)     \
    X(fallbacks)         \
    X(batches_purged)    \
    X(batches_failed)    \
    X(file_parts)        \
    X(files_stored)      \
    X(files_made)        \
    X(files_deleted)     \
    X(events_added)      \
    X(events_delivered)  \
    X(events_failed)     \
    X(events_retried)    \
    X(events_lost)       \
    X(events_dropped)    \
    REPLY_COUNTER_LIST(X)

#define COUNTER_FIELD(name) uint64_t name;
struct counters {
    COUNTER_LIST(COUNTER_FIELD)
};
#undef COUNTER_FIELD

#endif
