/*
 * conf_section.h - the options of the sections that have a name
 *
 * [upstream "name"], [client "name"], [webhook "name"]: conf.h makes a struct of
 * each. Defaults are as in a file, NULL is unset; the limits of a text are those
 * of its length.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_CONF_SECTION_H
#define BASE_CONF_SECTION_H

#define CONF_POSTS_MAX 8 /* deliveries to one webhook at a time */

/* clang-format off */
/*    name, type (see option.h), default, min, max, unit, what it does */
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

#define CONF_CLIENT_LIST(X)                                                   \
    X(weight, INT, "1", 1, 1000, "",                                          \
        "a client's share of the turns, in relation to the others'")

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
/* clang-format on */

#endif
