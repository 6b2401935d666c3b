/*
 * conf.h - the configuration: what is set, and the sections that have a name
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
 * The options stand in tables, each with its limits and a sentence:
 * conf_sheaf.h, conf_alert.h, conf_section.h.
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
#include "base/conf_section.h"
#include "base/conf_sheaf.h"
#include "base/dialect.h"
#include "base/err.h"
#include "base/event.h"

#define CONF_PATH_DEFAULT   "/etc/sheaf/sheaf.conf"
#define CONF_FILE_BYTES_MAX 1048576
#define CONF_LINE_BYTES_MAX 4096 /* without its end */
#define CONF_UPSTREAMS_MAX  16
#define CONF_CLIENTS_MAX    64
#define CONF_WEBHOOKS_MAX   16
#define CONF_NAME_BYTES_MAX 64 /* of an upstream or a client */

/* A lease outlasts its call by this: the answer has to be reported. */
#define CONF_LEASE_MARGIN_MS 15000

/* The built-in sampler: always there, and never an entry below. */
#define CONF_LOCAL "local"

/* The members of a struct, from its table: the same tables are what is parsed,
 * checked and dumped, and tests hold the sample file against them. */
/* clang-format off */
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
 * one does not exist. E_USAGE if one that was asked for does not exist. */
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
 * named `openai`, unless SHEAF_USE_OPENAI is false; it names a key only if there
 * is one. 1 if they did, 0 if there was nothing to do, E_INVALID if a variable
 * cannot be used. */
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
