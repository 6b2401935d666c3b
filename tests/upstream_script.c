/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* memmem */
#include "tests/upstream_script.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define COUNT_MAX      1000000000L
#define LATENCY_MS_MAX 3600000L
#define SIZE_KIB_MAX   4194304L

struct script {
    pthread_mutex_t lock; /* of the counts */
    size_t count;
    struct rule none; /* what to do if no rule applies */
    struct rule rules[RULE_COUNT_MAX];
};

/* A reader's place within one line. */
struct cursor {
    const char *at;
    const char *end; /* behind the last byte of the line */
};

static const char *const action_names[ACTION_COUNT] = {
#define ACTION_NAME(name, script, text) [ACTION_##name] = (script),
    ACTION_LIST(ACTION_NAME)
#undef ACTION_NAME
};

static const struct number_key {
    const char *name;
    size_t offset; /* of the long in struct rule */
    long min;
    long max;
} number_keys[] = {
    { "after", offsetof(struct rule, after), 0, COUNT_MAX },
    { "times", offsetof(struct rule, times), 1, COUNT_MAX },
    { "each", offsetof(struct rule, each), 0, 1 },
    { "beyond", offsetof(struct rule, beyond), 1, RULE_BEYOND_MAX },
    { "within", offsetof(struct rule, within), 1, LATENCY_MS_MAX },
    { "latency", offsetof(struct rule, latency), 0, LATENCY_MS_MAX },
    { "status", offsetof(struct rule, status), 200, 599 },
    { "size", offsetof(struct rule, size), 1, SIZE_KIB_MAX },
    { "every", offsetof(struct rule, every), 1, LATENCY_MS_MAX },
};

#define NUMBER_KEYS (sizeof(number_keys) / sizeof(number_keys[0]))

int
script_number(const char *text, long min, long max, long *value)
{
    char *end = NULL;
    long number;

    if (*text < '0' || *text > '9') /* strtol() would take blanks and signs */
        return E_INVALID;
    errno = 0;
    number = strtol(text, &end, 10);
    if (errno || *end || number < min || number > max)
        return E_INVALID;
    *value = number;
    return 0;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Reads what stands between double quotes; the cursor is behind the first. */
static int
read_escaped(struct cursor *cursor, struct buf *value, struct err *err)
{
    static const char escapes[] = "nrt\"\\", meanings[] = "\n\r\t\"\\";

    for (; cursor->at < cursor->end; cursor->at++) {
        const char *escape;

        if (*cursor->at == '"') {
            cursor->at++;
            return 0;
        }
        if (*cursor->at != '\\') {
            buf_add_char(value, *cursor->at);
            continue;
        }
        if (++cursor->at == cursor->end)
            break;
        escape = memchr(escapes, *cursor->at, sizeof(escapes) - 1);
        if (!escape)
            return err_set(err, E_INVALID, "no such escape: \\%c", *cursor->at);
        buf_add_char(value, meanings[escape - escapes]);
    }
    return err_set(err, E_INVALID, "a \" is missing");
}

static int
read_value(struct cursor *cursor, struct buf *value, struct err *err)
{
    const char *start = cursor->at, *quote;

    if (start < cursor->end && *start == '"') {
        cursor->at++;
        return read_escaped(cursor, value, err);
    }
    if (start < cursor->end && *start == '\'') {
        quote = memchr(start + 1, '\'', (size_t)(cursor->end - start - 1));
        if (!quote)
            return err_set(err, E_INVALID, "a ' is missing");
        buf_add(value, start + 1, (size_t)(quote - start - 1));
        cursor->at = quote + 1;
        return 0;
    }
    while (cursor->at < cursor->end && !is_blank(*cursor->at))
        cursor->at++;
    buf_add(value, start, (size_t)(cursor->at - start));
    return 0;
}

/* Reads `key=value`. The value is decoded; it holds no NUL, for the file has
 * none. */
static int
read_word(struct cursor *cursor, struct buf *key, struct buf *value,
          struct err *err)
{
    const char *start = cursor->at;
    int rc;

    buf_reset(key);
    buf_reset(value);
    while (cursor->at < cursor->end && *cursor->at != '=' &&
           !is_blank(*cursor->at)) {
        cursor->at++;
    }
    buf_add(key, start, (size_t)(cursor->at - start));
    if (cursor->at == cursor->end || *cursor->at != '=')
        return err_set(err, E_INVALID, "%s: want key=value", key->data);
    cursor->at++;
    buf_reserve(value, 0)[0] = '\0'; /* a string, even if it is empty */
    rc = read_value(cursor, value, err);
    if (rc < 0)
        return err_wrap(err, "%s", key->data);
    if (cursor->at < cursor->end && !is_blank(*cursor->at))
        return err_set(err, E_INVALID, "%s: want a blank behind the value",
                       key->data);
    return 0;
}

static int
set_header(struct rule *rule, const char *value, struct err *err)
{
    const char *colon = strchr(value, ':'), *text;

    if (!colon || colon == value || strpbrk(value, "\r\n"))
        return err_set(err, E_INVALID, "header: want \"Name: value\"");
    if (rule->headers == RULE_HEADER_MAX)
        return err_set(err, E_INVALID, "header: more than %d", RULE_HEADER_MAX);
    for (text = colon + 1; is_blank(*text);)
        text++;
    rule->header[rule->headers++] =
        (struct rule_header){ mem_dup(value, (size_t)(colon - value)),
                              mem_dup_str(text) };
    return 0;
}

static int
set_action(struct rule *rule, const char *value, struct err *err)
{
    for (int i = 0; i < ACTION_COUNT; i++) {
        if (strcmp(value, action_names[i]) == 0) {
            rule->action = (enum action)i;
            return 0;
        }
    }
    return err_set(err, E_INVALID, "action: no such action: %s", value);
}

static int
set_number(struct rule *rule, const struct number_key *key, const char *value,
           struct err *err)
{
    long *field = (void *)((char *)rule + key->offset);

    if (script_number(value, key->min, key->max, field) < 0)
        return err_set(err, E_INVALID, "%s: want a number from %ld to %ld",
                       key->name, key->min, key->max);
    return 0;
}

static int
set_text(char **field, const char *key, const char *value, struct err *err)
{
    if (*field)
        return err_set(err, E_INVALID, "%s: given twice", key);
    *field = mem_dup_str(value);
    return 0;
}

/* Reads a whole file, for which there is no room beyond bytes_max. */
static int
read_file(const char *path, size_t bytes_max, struct buf *text, struct err *err)
{
    FILE *file = fopen(path, "re");
    size_t bytes;
    int rc = 0;

    if (!file)
        return err_set(err, E_IO, "open %s: %s", path, strerror(errno));
    bytes = fread(buf_reserve(text, bytes_max + 1), 1, bytes_max + 1, file);
    buf_commit(text, bytes);
    if (ferror(file))
        rc = err_set(err, E_IO, "read %s: %s", path, strerror(errno));
    else if (bytes > bytes_max)
        rc =
            err_set(err, E_INVALID, "%s: more than %zu bytes", path, bytes_max);
    fclose(file); /* only read: nothing can be lost */
    return rc;
}

static int
set_body(struct rule *rule, const char *key, const char *value, struct err *err)
{
    if (rule->body.data)
        return err_set(err, E_INVALID, "%s: there is a body already", key);
    if (strcmp(key, "file") == 0)
        return read_file(value, FILE_BYTES_MAX, &rule->body, err);
    buf_reserve(&rule->body, 0); /* there, even if it is empty */
    buf_add_str(&rule->body, value);
    return 0;
}

/* Sets what a key says. `given` has a bit for each key that stood before. */
static int
set_key(struct rule *rule, unsigned *given, const char *key, const char *value,
        struct err *err)
{
    unsigned i = 0;

    if (strcmp(key, "header") == 0)
        return set_header(rule, value, err);
    if (strcmp(key, "match") == 0)
        return set_text(&rule->match, key, value, err);
    if (strcmp(key, "until") == 0)
        return set_text(&rule->until, key, value, err);
    if (strcmp(key, "body") == 0 || strcmp(key, "file") == 0)
        return set_body(rule, key, value, err);
    while (i < NUMBER_KEYS && strcmp(key, number_keys[i].name) != 0)
        i++;
    if (i == NUMBER_KEYS && strcmp(key, "action") != 0)
        return err_set(err, E_INVALID, "no such key: %s", key);
    if (*given & 1U << i)
        return err_set(err, E_INVALID, "%s: given twice", key);
    *given |= 1U << i;
    if (i == NUMBER_KEYS)
        return set_action(rule, value, err);
    return set_number(rule, &number_keys[i], value, err);
}

static void
rule_init(struct rule *rule, long line)
{
    *rule = (struct rule){ .line = line,
                           .times = RULE_ALL,
                           .latency = RULE_ALL,
                           .status = 200,
                           .within = 1000,
                           .every = 50,
                           .action = ACTION_REPLY };
}

static void
rule_fini(struct rule *rule)
{
    for (size_t i = 0; i < rule->headers; i++) {
        free(rule->header[i].name);
        free(rule->header[i].value);
    }
    free(rule->match);
    free(rule->until);
    buf_fini(&rule->body);
    tally_fini(&rule->seen);
}

/* Reads one line; the rule it makes is the script's next. */
static int
read_line(struct script *script, long line, struct cursor cursor,
          struct err *err)
{
    struct buf key = { 0 }, value = { 0 };
    struct rule *rule = NULL;
    unsigned given = 0;
    int rc = 0;

    for (;;) {
        while (cursor.at < cursor.end && is_blank(*cursor.at))
            cursor.at++;
        if (cursor.at == cursor.end || (!rule && *cursor.at == '#'))
            break;
        if (!rule) {
            if (script->count == RULE_COUNT_MAX) {
                rc = err_set(err, E_INVALID, "more than %d rules",
                             RULE_COUNT_MAX);
                break;
            }
            rule = &script->rules[script->count++];
            rule_init(rule, line);
        }
        rc = read_word(&cursor, &key, &value, err);
        if (rc == 0)
            rc = set_key(rule, &given, key.data, value.data, err);
        if (rc < 0)
            break;
    }
    buf_fini(&key);
    buf_fini(&value);
    return rc;
}

static int
read_rules(struct script *script, const char *path, struct err *err)
{
    struct buf text = { 0 };
    const char *at, *end;
    int rc = read_file(path, SCRIPT_BYTES_MAX, &text, err);

    if (rc == 0 && memchr(text.data, '\0', text.bytes))
        rc = err_set(err, E_INVALID, "%s: a NUL byte", path);
    at = text.data;
    end = text.data ? text.data + text.bytes : NULL;
    for (long line = 1; rc == 0 && at < end; line++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));

        if (!stop)
            stop = end;
        rc = read_line(script, line, (struct cursor){ at, stop }, err);
        if (rc < 0)
            err_wrap(err, "%s:%ld", path, line);
        at = stop < end ? stop + 1 : end;
    }
    buf_fini(&text);
    return rc;
}

int
script_open(const char *path, struct script **script, struct err *err)
{
    struct script *fresh = mem_zalloc(1, sizeof(*fresh));
    int rc = 0;

    *script = NULL;
    pthread_mutex_init(&fresh->lock, NULL); /* cannot fail on Linux */
    rule_init(&fresh->none, 0);
    if (path)
        rc = read_rules(fresh, path, err);
    if (rc < 0)
        script_close(fresh);
    else
        *script = fresh;
    return rc;
}

void
script_close(struct script *script)
{
    if (!script)
        return;
    for (size_t i = 0; i < script->count; i++)
        rule_fini(&script->rules[i]);
    pthread_mutex_destroy(&script->lock);
    free(script);
}

/* True if a call gets by a rule that lets some of them by in a time. */
static bool
gets_by(struct rule *rule)
{
    long now_ms = (long)clock_mono_ms();
    long *oldest = &rule->passed_ms[rule->count % (uint64_t)rule->beyond];

    if (*oldest > 0 && now_ms < *oldest + rule->within)
        return false;
    *oldest = now_ms;
    rule->count++;
    return true;
}

/* Counts a call for a rule it matches. True if the rule applies to it. */
static bool
rule_takes(struct rule *rule, const unsigned char *digest)
{
    uint64_t after = (uint64_t)rule->after, count;

    if (rule->beyond > 0)
        return !gets_by(rule);
    count = rule->each ? tally_add(&rule->seen, digest) : ++rule->count;
    assert(count > 0);
    return count > after &&
           (rule->times == RULE_ALL || count <= after + (uint64_t)rule->times);
}

const struct rule *
script_pick(struct script *script, struct slice body,
            const unsigned char digest[DIGEST_BYTES])
{
    const struct rule *picked = &script->none;

    pthread_mutex_lock(&script->lock);
    for (size_t i = 0; i < script->count; i++) {
        struct rule *rule = &script->rules[i];

        if (rule->match &&
            !memmem(body.data, body.bytes, rule->match, strlen(rule->match))) {
            continue;
        }
        if (rule_takes(rule, digest)) {
            picked = rule;
            break;
        }
    }
    pthread_mutex_unlock(&script->lock);
    return picked;
}

void
script_reset(struct script *script)
{
    pthread_mutex_lock(&script->lock);
    for (size_t i = 0; i < script->count; i++) {
        script->rules[i].count = 0;
        memset(script->rules[i].passed_ms, 0,
               sizeof(script->rules[i].passed_ms));
        tally_fini(&script->rules[i].seen);
    }
    pthread_mutex_unlock(&script->lock);
}
