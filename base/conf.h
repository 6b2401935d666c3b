/*
 * conf.h - the configuration: every option, its limits, and the upstreams
 *
 *   [sheaf]
 *   slots_max = 5
 *   [upstream "openai"]
 *   base_url = https://api.openai.com/v1
 *   key_env = OPENAI_API_KEY
 *   [client "nightly"]
 *   weight = 4
 *   [webhook "pager"]
 *   url = https://hooks.example.com/sheaf
 *   secret_env = PAGER_SECRET
 *
 * `name = value`, a line each, no quotes around values; comments begin with #
 * or ; at the start of a line, or with ; behind a blank. What is unknown, given
 * twice or too long is an error with its line. A key or secret itself never
 * stands in a configuration, only where to find it.
 *
 * Order of use, in main: conf_init(), conf_load() if there is a file,
 * conf_set() for the command line, conf_use_environment(), conf_check().
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_CONF_H
#define BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/dialect.h"
#include "base/err.h"
#include "base/event.h"

#define CONF_PATH_DEFAULT   "/etc/sheaf/sheaf.conf"
#define CONF_FILE_BYTES_MAX 1048576
#define CONF_LINE_BYTES_MAX 4096 /* without its end */
#define CONF_UPSTREAMS_MAX  16
#define CONF_CLIENTS_MAX    64
#define CONF_WEBHOOKS_MAX   16
#define CONF_POSTS_MAX      8  /* deliveries to one webhook at a time */
#define CONF_NAME_BYTES_MAX 64 /* of an upstream or a client */

/* A lease outlasts its call by this: the answer has to be reported. */
#define CONF_LEASE_MARGIN_MS 15000

/* The built-in sampler: always there, and never an entry below. */
#define CONF_LOCAL "local"

/* Struct, parser, range checks and dump come from the two tables below, and
 * tests hold the sample file against them. */
/* clang-format off */
/*    name, type (see option.h), default, min, max, unit, what it does */
#define CONF_LIST(X)                                                          \
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
        "a larger store loses unused answers, files, old batches; 0: no limit") \
    X(attempts_max, INT, 5, 1, 100, "",                                       \
        "failed attempts after which a request ends with a fallback")         \
    X(backoff_base_ms, INT, 500, 1, 3600000, "ms",                            \
        "the wait after the first failure; it doubles with each more")        \
    X(backoff_cap_ms, INT, 60000, 1, 86400000, "ms",                          \
        "no wait between attempts is longer, unless a server names it")       \
    X(backoff_jitter_percent, INT, 50, 0, 100, "%",                           \
        "up to this share is added to a wait, at random")                     \
    X(retry_after_max_ms, INT, 900000, 0, 2592000000, "ms",                   \
        "a longer wait named by a server is counted, never shortened")           \
    X(throttle_max, INT, 100, 1, 1000000, "",                                 \
        "times a request may be told to wait before it ends")                 \
    X(lease_ms, INT, 60000, 1000, 86400000, "ms",                             \
        "a lease lasts this long, or as long as the call may take")           \
    X(lease_run_max_ms, INT, 14400000, 1000, 172800000, "ms",                 \
        "no lease lasts longer than this, however often it is renewed")       \
    X(heartbeat_ms, INT, 5000, 100, 600000, "ms",                             \
        "a worker renews its leases this often; twice fits in lease_ms")      \
    X(lease_ahead_max, INT, 64, 0, 1000, "",                                   \
        "leases a worker may hold beyond its slots, where calls are short")   \
    X(lost_max, INT, 3, 1, 100, "",                                           \
        "leases a request may lose during its calls before it runs alone")    \
    X(open_ttl_ms, INT, 86400000, 1000, 2592000000, "ms",                     \
        "a batch that is not sealed in this time is dropped")                 \
    X(deadline_ms, INT, 86400000, 1000, 31536000000, "ms",                    \
        "a batch ends after this time, unless it names its own deadline")     \
    X(start_grace_ms, INT, 300000, 0, 86400000, "ms",                         \
        "what ran out without a broker ends this long after its start")        \
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
        "clients and workers that are connected at one time")                 \
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
    X(commit_window_ms, INT, 25, 0, 1000, "ms",                                \
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
        "size of one message of results")                                     \
    X(t1_ms, INT, 1500, 1, 3600000, "ms",                                     \
        "calls that take longer are counted; the first of four stages")                \
    X(t2_ms, INT, 2500, 1, 3600000, "ms",                                     \
        "the second stage")                     \
    X(t3_ms, INT, 4000, 1, 3600000, "ms",                                     \
        "the third stage")            \
    X(t4_ms, INT, 6000, 1, 3600000, "ms",                                     \
        "the fourth stage")            \
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

/*    The texts of [sheaf]; here and below, the defaults are as in a file, and
 *    the limits those of the length. */
#define CONF_TEXT_LIST(X)                                                     \
    X(route, LIST, NULL, 1, 256, "bytes",                                     \
        "upstreams of drafts that name none; unset: the first one alone")     \
    X(last_resort, WORD, "wait", 1, 16, "bytes",                              \
        "when no upstream of a route can be asked: wait, essence or local")   \
    X(alert_command, WORDS, NULL, 1, 1024, "bytes",                           \
        "program, by its whole path, and arguments to run for each alert")

/*    The same for [upstream "name"]; the defaults as in a file, NULL is unset.
 *    The limits of a text are those of its length. */
#define CONF_UPSTREAM_LIST(X)                                                 \
    X(base_url, URL, NULL, 1, 1024, "bytes",                                  \
        "where the API begins, such as https://api.openai.com/v1")            \
    X(dialect, WORD, DIALECT_DEFAULT, 1, 32, "bytes",                         \
        "the API that is spoken there")                                       \
    X(api_version, WORD, NULL, 1, 64, "bytes",                                \
        "the version that azure is asked for; unset: the dialect's own")      \
    X(path, URL_PATH, NULL, 1, 1024, "bytes",                                 \
        "added to base_url for a chat completion; unset: the dialect's")      \
    X(model, WORD, NULL, 1, 256, "bytes",                                     \
        "the model of drafts that name none")                                 \
    X(max_tokens_default, INT, "0", 0, 1000000, "tokens",                     \
        "limit of answers that name none; 0: none, or the dialect's")         \
    X(key_file, FILE, NULL, 1, 1024, "bytes",                                 \
        "absolute path of a file that holds the API key")                     \
    X(key_credential, CREDENTIAL, NULL, 1, 255, "bytes",                      \
        "name of a systemd credential that holds the API key")                \
    X(key_env, VARIABLE, NULL, 1, 128, "bytes",                               \
        "environment variable of the workers that holds the API key")         \
    X(oauth_token_url, URL_WHOLE, NULL, 1, 1024, "bytes",                     \
        "where to get access tokens, with OAuth 2.0 client credentials")      \
    X(oauth_client_id, WORD, NULL, 1, 256, "bytes",                           \
        "the client that the tokens are for")                                 \
    X(oauth_client_secret_file, FILE, NULL, 1, 1024, "bytes",                 \
        "absolute path of a file that holds the client's secret")             \
    X(oauth_client_secret_credential, CREDENTIAL, NULL, 1, 255, "bytes",      \
        "name of a systemd credential that holds it")                         \
    X(oauth_client_secret_env, VARIABLE, NULL, 1, 128, "bytes",               \
        "environment variable of the workers that holds it")                  \
    X(oauth_secret_in_body, BOOL, "no", 0, 1, "yes or no",                    \
        "send client and secret in the request's body, not its header")       \
    X(oauth_scope, WORDS, NULL, 1, 1024, "bytes",                             \
        "the scopes to ask for, with blanks between")                         \
    X(oauth_audience, WORD, NULL, 1, 1024, "bytes",                           \
        "the audience to ask for")                                            \
    X(oauth_ttl_ms, INT, "2700000", 1000, 86400000, "ms",                     \
        "a token is used this long, or less if its server says so")           \
    X(oauth_wait_ms, INT, "30000", 1000, 3600000, "ms",                       \
        "calls wait this long for a token, then they fail")                   \
    X(request_timeout_ms, INT, "600000", 1000, 86400000, "ms",                \
        "a call is given up after this time")                                 \
    X(connect_timeout_ms, INT, "10000", 100, 600000, "ms",                    \
        "a connection is given up after this time")                           \
    X(low_speed_ms, INT, "120000", 0, 86400000, "ms",                         \
        "a reply that has begun must go on within this time; 0: need not")    \
    X(low_speed_bytes, INT, "16", 1, 1048576, "bytes",                        \
        "so many of a reply must come in each low_speed_ms")                  \
    X(ca_file, FILE, NULL, 1, 1024, "bytes",                                  \
        "absolute path of the CAs to trust there, in place of the system's")  \
    X(price_input_usd, PRICE, NULL, 0, 1000000, "USD per million tokens",     \
        "price of a prompt")                                                  \
    X(price_output_usd, PRICE, NULL, 0, 1000000, "USD per million tokens",    \
        "price of an answer")                                                 \
    X(priority, INT, "1", 0, 9, "",                                           \
        "of a route's upstreams, those with the highest are asked first")     \
    X(weight, INT, "1", 1, 1000, "",                                          \
        "share of the requests among upstreams of the same priority")         \
    X(model_map, LIST, NULL, 1, 2048, "bytes",                                \
        "other names of models here: gpt-4o=llama3, gpt-4o-mini=llama3-8b")   \
    X(calls_max, INT, "0", 0, 1024, "",                                       \
        "calls in flight to this upstream; 0: as many as slots_max")          \
    X(requests_per_minute, INT, "0", 0, 1000000000, "",                       \
        "no minute sees more requests; 0: no limit")                          \
    X(tokens_per_minute, INT, "0", 0, 1000000000000, "tokens",                \
        "no minute sees more tokens, by estimate, then by count; 0: no limit")\
    X(allow_plain_http, BOOL, "no", 0, 1, "yes or no",                        \
        "let http:// go beyond this host, readable on the way")

/*    The same for [client "name"]. */
#define CONF_CLIENT_LIST(X)                                                   \
    X(weight, INT, "1", 1, 1000, "",                                          \
        "a client's share of the turns, in relation to the others'")

/*    The same for [webhook "name"]. */
#define CONF_WEBHOOK_LIST(X)                                                  \
    X(url, URL_WHOLE, NULL, 1, 1024, "bytes",                                 \
        "where events are posted to")                                         \
    X(secret_file, FILE, NULL, 1, 1024, "bytes",                              \
        "absolute path of a file that holds the secret to sign with")         \
    X(secret_credential, CREDENTIAL, NULL, 1, 255, "bytes",                   \
        "name of a systemd credential that holds it")                         \
    X(secret_env, VARIABLE, NULL, 1, 128, "bytes",                            \
        "environment variable of the workers that holds it")                  \
    X(events, LIST, NULL, 1, 512, "bytes",                                    \
        "the events that are posted; unset: all")                             \
    X(clients, LIST, NULL, 1, 1024, "bytes",                                  \
        "the clients whose batches' events are posted; unset: all")           \
    X(timeout_ms, INT, "15000", 100, 120000, "ms",                            \
        "a receiver has to answer within this time")                          \
    X(posts_max, INT, "2", 1, CONF_POSTS_MAX, "",                             \
        "events that are on their way there at one time")                     \
    X(ca_file, FILE, NULL, 1, 1024, "bytes",                                  \
        "absolute path of the CAs to trust there, in place of the system's")  \
    X(allow_plain_http, BOOL, "no", 0, 1, "yes or no",                        \
        "let http:// go beyond this host, readable on the way")

#define CONF_FIELD_INT(name)        int64_t name;
#define CONF_FIELD_BOOL(name)       bool name;
#define CONF_FIELD_PRICE(name)      double name;
#define CONF_FIELD_WORD(name)       char *name;
#define CONF_FIELD_WORDS(name)      char *name;
#define CONF_FIELD_LIST(name)       char *name;
#define CONF_FIELD_URL(name)        char *name;
#define CONF_FIELD_URL_WHOLE(name)  char *name;
#define CONF_FIELD_URL_PATH(name)   char *name;
#define CONF_FIELD_FILE(name)       char *name;
#define CONF_FIELD_VARIABLE(name)   char *name;
#define CONF_FIELD_CREDENTIAL(name) char *name;
#define CONF_FIELD(name, type, ...) CONF_FIELD_##type(name)
/* clang-format on */

struct conf_upstream {
    char *name;
    CONF_UPSTREAM_LIST(CONF_FIELD)
};

struct conf_client {
    char *name;
    CONF_CLIENT_LIST(CONF_FIELD)
};

struct conf_webhook {
    char *name;
    CONF_WEBHOOK_LIST(CONF_FIELD)
};

struct conf {
    CONF_LIST(CONF_FIELD)
    CONF_TEXT_LIST(CONF_FIELD)
    size_t upstream_count;
    struct conf_upstream upstreams[CONF_UPSTREAMS_MAX]; /* as in the file */
    size_t client_count;
    struct conf_client clients[CONF_CLIENTS_MAX]; /* this too */
    size_t webhook_count;
    struct conf_webhook webhooks[CONF_WEBHOOKS_MAX]; /* and this */
};

/* Looks up a variable of the environment: getenv() is one. */
typedef char *conf_env_fn(const char *name);

/* Every option at its default and no upstream; conf_fini() frees them. */
void conf_init(struct conf *conf);
void conf_fini(struct conf *conf);

/* Which file to read: `given` (may be NULL), else SHEAF_CONFIG, else
 * CONF_PATH_DEFAULT. *path is borrowed from one of these, and NULL if the last
 * one does not exist. E_NOTFOUND if one that was asked for does not exist. */
int conf_find_file(const char *given, conf_env_fn *env, const char **path,
                   struct err *err);

/* Reads a file over what conf holds, on failure up to the line at fault:
 * "sheaf.conf:12: lease_ms: 500 is below 1000". E_INVALID, or E_FULL, E_TOOBIG
 * or E_IO. */
int conf_load(struct conf *conf, const char *path, struct err *err);

/* Sets one option of [sheaf], as `--set name=value` does. E_INVALID. */
int conf_set(struct conf *conf, const char *name, const char *value,
             struct err *err);

/* If no upstream is configured, OPENAI_API_KEY or OPENAI_BASE_URL make one
 * named `openai`, unless SHEAF_USE_OPENAI is false. 1 if they did, 0 if there
 * was nothing to do, E_INVALID if a variable cannot be used. */
int conf_use_environment(struct conf *conf, conf_env_fn *env, struct err *err);

/* Checks what can be said of an upstream only when all of its section is known,
 * and fills in what its dialect says where nothing is given. conf_load() and
 * conf_use_environment() do so for each. E_INVALID. */
int conf_complete_upstream(struct conf_upstream *upstream, struct err *err);

/* Checks the options against each other, once all are set. E_INVALID. */
int conf_check(const struct conf *conf, struct err *err);

/* The upstream of that name, borrowed; NULL if there is none. */
const struct conf_upstream *conf_upstream(const struct conf *conf,
                                          const char *name);

/* The dialect of an upstream. */
const struct dialect *conf_dialect(const struct conf_upstream *upstream);

/* The weight of a client; the default if it has no section. */
int64_t conf_client_weight(const struct conf *conf, struct slice name);

/* True if a webhook is to be told of an event: of one of that client's batches,
 * or of no client's (NULL). */
bool conf_webhook_wants(const struct conf_webhook *webhook, enum event event,
                        const char *client);

/* Appends the effective configuration as a file that conf_load() reads, each
 * option of [sheaf] below its sentence. */
void conf_dump(const struct conf *conf, struct buf *buf);

#endif
