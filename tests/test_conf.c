/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* mkstemp */
#include "base/conf.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SAMPLE_PATH "examples/sheaf.conf"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Loads a text over the defaults; it must be accepted. */
static void
load_well(struct conf *conf, const char *text)
{
    char path[] = "/tmp/sheaf-conf-XXXXXX";
    int fd = mkstemp(path), rc;
    struct err err = { 0 };

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    cr_assert_eq(close(fd), 0);
    conf_init(conf);
    rc = conf_load(conf, path, &err);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(rc, 0, "%s", err.msg);
}

Test(conf, begins_with_defaults_that_fit_together)
{
    struct conf conf;
    struct err err = { 0 };

    conf_init(&conf);
#define IS_DEFAULT(name, type, initial, min, max, ...) \
    cr_expect_eq(conf.name, initial, #name);           \
    cr_expect_leq(min, initial, #name);                \
    cr_expect_geq(max, initial, #name);
    CONF_LIST(IS_DEFAULT)
#undef IS_DEFAULT
    cr_expect_eq(conf.upstream_count, 0);
    cr_expect_eq(conf_check(&conf, &err), 0, "%s", err.msg);
    conf_fini(&conf);
}

Test(conf, is_overridden_from_the_command_line)
{
    struct conf conf;
    struct err err = { 0 };

    load_well(&conf, "[sheaf]\nslots_max = 7\n");
    cr_expect_eq(conf_set(&conf, "slots_max", "8", &err), 0);
    cr_expect_eq(conf.slots_max, 8);
    cr_expect_eq(conf_set(&conf, "slots_max", "9", &err), 0);
    cr_expect_eq(conf.slots_max, 9);
    cr_expect_eq(conf_set(&conf, "slots_max", "0", &err), E_INVALID);
    cr_expect_str_eq(err.msg, "slots_max: 0 is below 1");
    cr_expect_eq(conf_set(&conf, "slots_max", "", &err), E_INVALID);
    cr_expect_str_eq(err.msg, "slots_max: has no value");
    cr_expect_eq(conf_set(&conf, "base_url", "https://a", &err), E_INVALID);
    cr_expect_str_eq(err.msg, "base_url: no such option");
    cr_expect_eq(conf.slots_max, 9);
    conf_fini(&conf);
}

Test(conf, checks_options_against_each_other)
{
    static const struct {
        const char *name, *value;
        const char *want; /* NULL: just allowed */
    } cases[] = {
        { "lease_ms", "10000", NULL },
        { "lease_ms", "9999", "heartbeat_ms: 5000 is above half of lease_ms" },
        { "lease_run_max_ms", "60000", NULL },
        { "lease_run_max_ms", "59999",
          "lease_ms: 60000 is above lease_run_max_ms" },
        { "backoff_cap_ms", "500", NULL },
        { "backoff_cap_ms", "499",
          "backoff_base_ms: 500 is above backoff_cap_ms" },
        { "line_bytes_max", "1048577",
          "line_bytes_max: 1048577 is above chunk_bytes_max" },
        { "chunk_bytes_max", "4194304", NULL },
        { "chunk_bytes_max", "4194305",
          "chunk_bytes_max: 4194305 is above commit_bytes_max" },
        { "commit_items_max", "999",
          "chunk_drafts_max: 1000 is above commit_items_max" },
        { "t1_ms", "2499", NULL },
        { "t1_ms", "2500", "t1_ms: 2500 is not below t2_ms" },
        { "t3_ms", "2500", "t2_ms: 2500 is not below t3_ms" },
        { "t4_ms", "1", "t3_ms: 4000 is not below t4_ms" },
        { "alert_command", "/usr/bin/logger -t sheaf", NULL },
        { "alert_command", "logger -t sheaf",
          "alert_command: logger -t sheaf does not begin with the whole path "
          "of a program" },
        { "route", "local", NULL },
        { "route", "nobody", "route: no upstream \"nobody\" is configured" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct conf conf;
        struct err err = { 0 };
        int rc;

        conf_init(&conf);
        cr_assert_eq(conf_set(&conf, cases[i].name, cases[i].value, &err), 0,
                     "%s", err.msg);
        rc = conf_check(&conf, &err);
        cr_expect_eq(rc, cases[i].want ? E_INVALID : 0, "%s = %s: got %d",
                     cases[i].name, cases[i].value, rc);
        cr_expect_str_eq(err.msg, cases[i].want ? cases[i].want : "",
                         "got \"%s\"", err.msg);
        conf_fini(&conf);
    }
}

Test(conf, a_lease_may_last_as_long_as_any_call)
{
    static const char text[] = "[upstream \"slow\"]\n"
                               "base_url = https://a.example\n"
                               "model = m\n"
                               "request_timeout_ms = 14385001\n";
    struct conf conf;
    struct err err = { 0 };

    load_well(&conf, text);
    cr_expect_eq(conf_check(&conf, &err), E_INVALID);
    cr_expect_str_eq(err.msg,
                     "upstream slow: request_timeout_ms: 14385001 and 15000 "
                     "more are above lease_run_max_ms (14400000); raise that");
    cr_assert_eq(conf_set(&conf, "lease_run_max_ms", "14400001", &err), 0);
    cr_expect_eq(conf_check(&conf, &err), 0);
    conf_fini(&conf);
}

/* An environment of the tests' own. */
static struct {
    char key[64], url[64], use[64], path[64];
} vars;

static char *
fake_env(const char *name)
{
    static const struct {
        const char *name;
        char *value;
    } names[] = { { "OPENAI_API_KEY", vars.key },
                  { "OPENAI_BASE_URL", vars.url },
                  { "SHEAF_USE_OPENAI", vars.use },
                  { "SHEAF_CONFIG", vars.path } };

    for (size_t i = 0; i < COUNT(names); i++) {
        if (strcmp(names[i].name, name) == 0)
            return strcmp(names[i].value, "unset") ? names[i].value : NULL;
    }
    cr_assert_fail("asked for %s", name);
    return NULL;
}

static void
set_env(char var[64], const char *value)
{
    int bytes = snprintf(var, 64, "%s", value);

    cr_assert(bytes >= 0 && bytes < 64);
}

Test(conf, makes_an_upstream_from_the_environment)
{
    static const struct {
        const char *key, *url, *use;
        int rc;
        const char *want; /* the base URL, or the reason */
    } cases[] = {
        { "unset", "unset", "unset", 0, "" },
        { "", "", "", 0, "" },
        { "unset", "unset", "true", 0, "" },
        { "sk-1", "unset", "unset", 1, "https://api.openai.com/v1" },
        { "sk-1", "", "", 1, "https://api.openai.com/v1" },
        { "unset", "https://a/v1/", "unset", 1, "https://a/v1" },
        { "", "https://a/v1", "unset", 1, "https://a/v1" },
        { "sk-1", "https://a/v1", "1", 1, "https://a/v1" },
        { "unset", "http://127.0.0.1:8000/v1", "on", 1,
          "http://127.0.0.1:8000/v1" },
        { "sk-1", "https://a/v1", "false", 0, "" },
        { "sk-1", "unset", "FALSE", 0, "" },
        { "sk-1", "nonsense", "0", 0, "" },
        { "sk-1", "unset", "maybe", E_INVALID,
          "SHEAF_USE_OPENAI: maybe is neither yes nor no" },
        { "sk-1", "nonsense", "unset", E_INVALID,
          "OPENAI_BASE_URL: base_url: does not begin with http:// or "
          "https://" },
        { "sk-1", "http://a/v1", "unset", E_INVALID,
          "OPENAI_BASE_URL: upstream openai: base_url: http:// to another "
          "host can be read on the way; use https://, or set "
          "allow_plain_http = yes in a section for it" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct conf conf;
        struct err err = { 0 };
        int rc;

        set_env(vars.key, cases[i].key);
        set_env(vars.url, cases[i].url);
        set_env(vars.use, cases[i].use);
        conf_init(&conf);
        rc = conf_use_environment(&conf, fake_env, &err);
        cr_expect_eq(rc, cases[i].rc, "case %zu: got %d, %s", i, rc, err.msg);
        if (rc < 0)
            cr_expect_str_eq(err.msg, cases[i].want, "got %s", err.msg);
        if (rc == 1) {
            const struct conf_upstream *upstream =
                conf_upstream(&conf, "openai");

            cr_assert_not_null(upstream);
            cr_expect_str_eq(upstream->base_url, cases[i].want);
            cr_expect_str_eq(upstream->model, "gpt-4o-mini");
            if (strcmp(cases[i].key, "sk-1") == 0)
                cr_expect_str_eq(upstream->key_env, "OPENAI_API_KEY");
            else
                cr_expect_null(upstream->key_env, "there is none");
            cr_expect_str_eq(upstream->path, "/chat/completions");
        }
        cr_expect_eq(conf.upstream_count, rc == 1);
        conf_fini(&conf);
    }
}

Test(conf, leaves_the_environment_alone_if_upstreams_are_configured)
{
    struct conf conf;

    set_env(vars.key, "sk-1");
    set_env(vars.use, "maybe");
    load_well(&conf, "[upstream \"u\"]\nbase_url = https://a\n");
    cr_expect_eq(conf_use_environment(&conf, fake_env, NULL), 0);
    cr_expect_eq(conf.upstream_count, 1);
    conf_fini(&conf);
}

Test(conf, finds_the_file_that_was_asked_for_first)
{
    const char *path = "";
    struct err err = { 0 };

    set_env(vars.path, SAMPLE_PATH);
    cr_expect_eq(conf_find_file("/", fake_env, &path, &err), 0);
    cr_expect_str_eq(path, "/");
    cr_expect_eq(conf_find_file(NULL, fake_env, &path, &err), 0);
    cr_expect_str_eq(path, SAMPLE_PATH);

    cr_expect_eq(conf_find_file("/nowhere", fake_env, &path, &err), E_USAGE);
    cr_expect_null(path);
    cr_expect_str_eq(err.msg,
                     "configuration /nowhere: No such file or directory");
    cr_expect_eq(conf_find_file("", fake_env, &path, &err), E_USAGE);
    set_env(vars.path, "/nowhere");
    cr_expect_eq(conf_find_file(NULL, fake_env, &path, &err), E_USAGE);
    cr_expect_null(path);
    cr_expect_str_eq(err.msg, "SHEAF_CONFIG: configuration /nowhere: No such "
                              "file or directory");

    set_env(vars.path, "unset");
    cr_expect_eq(conf_find_file(NULL, fake_env, &path, &err), 0);
    if (access(CONF_PATH_DEFAULT, F_OK) == 0)
        cr_expect_str_eq(path, CONF_PATH_DEFAULT);
    else
        cr_expect_null(path);
}

/* Compares by their dumps, which hold everything but what is unset. */
static void
check_equal(const struct conf *got, const struct conf *want)
{
    struct buf got_text = { 0 }, want_text = { 0 };

    conf_dump(got, &got_text);
    conf_dump(want, &want_text);
    cr_expect_str_eq(got_text.data, want_text.data, "got:\n%s\nwant:\n%s",
                     got_text.data, want_text.data);
    buf_fini(&got_text);
    buf_fini(&want_text);
}

Test(conf, dumps_what_it_can_read_again)
{
    struct conf conf, again;
    struct buf text = { 0 };

    load_well(&conf, "[sheaf]\nslots_max = 7\nstore_bytes_max = 16777216\n"
                     "[upstream \"u\"]\n"
                     "base_url = https://example.org/v1\n"
                     "model = a;b\nkey_file = /etc/a key\n"
                     "price_input_usd = 0.1\n"
                     "price_output_usd = 999999.999999999\n"
                     "[upstream \"v\"]\nbase_url = http://a\n"
                     "allow_plain_http = on\nkey_env = A\n");
    conf_dump(&conf, &text);
    load_well(&again, text.data);
    check_equal(&again, &conf);
    cr_expect_eq(again.slots_max, 7);
    cr_expect_eq(again.upstreams[0].price_input_usd, 0.1);
    cr_expect_eq(again.upstreams[0].price_output_usd, 999999.999999999);
    cr_expect(again.upstreams[1].allow_plain_http);
#define HAS_SENTENCE(name, type, initial, min, max, unit, sentence) \
    cr_expect(strstr(text.data, "# " sentence " ("), #name);        \
    cr_expect(strstr(text.data, "\n" #name " = "), #name);
    CONF_LIST(HAS_SENTENCE)
#undef HAS_SENTENCE
    conf_fini(&conf);
    conf_fini(&again);
    buf_fini(&text);
}

Test(conf, dumps_no_key)
{
    struct conf conf;
    struct buf text = { 0 };

    set_env(vars.key, "sk-very-secret");
    set_env(vars.url, "unset");
    set_env(vars.use, "unset");
    conf_init(&conf);
    cr_assert_eq(conf_use_environment(&conf, fake_env, NULL), 1);
    conf_dump(&conf, &text);
    cr_expect_null(strstr(text.data, "very"));
    cr_expect(strstr(text.data, "\nkey_env = OPENAI_API_KEY\n"));
    conf_fini(&conf);
    buf_fini(&text);
}

/* The sample file, with its options taken out of their comments if asked. */
static void
read_sample(struct buf *text, bool is_uncommented)
{
    FILE *file = fopen(SAMPLE_PATH, "re");
    char line[256];

    cr_assert_not_null(file, "run the tests at the top of the source");
    while (fgets(line, sizeof(line), file)) {
        bool is_option = line[0] == '#' && line[1] != ' ' && line[1] != '\n';

        buf_add_str(text, is_option && is_uncommented ? line + 1 : line);
    }
    cr_assert_eq(fclose(file), 0);
}

Test(conf, has_a_sample_that_changes_nothing)
{
    struct conf sample, plain;
    struct buf text = { 0 };

    read_sample(&text, false);
    load_well(&sample, text.data);
    conf_init(&plain);
    check_equal(&sample, &plain);
    cr_expect_eq(sample.upstream_count, 0);
    conf_fini(&sample);
    conf_fini(&plain);
    buf_fini(&text);
}

Test(conf, has_a_sample_with_every_option_at_its_default)
{
    struct conf sample;
    struct err err = { 0 };
    struct buf text = { 0 };

    read_sample(&text, true);
#define STANDS(name, ...) \
    cr_expect(strstr(text.data, "\n" #name " = "), #name " is missing");
    CONF_LIST(STANDS)
    CONF_TEXT_LIST(STANDS)
    CONF_UPSTREAM_LIST(STANDS)
    CONF_WEBHOOK_LIST(STANDS)
#undef STANDS
    load_well(&sample, text.data);
#define IS_DEFAULT(name, type, initial, ...) \
    cr_expect_eq(sample.name, initial, #name);
    CONF_LIST(IS_DEFAULT)
#undef IS_DEFAULT
    cr_expect_str_eq(sample.last_resort, "wait");
    cr_expect_eq(conf_check(&sample, &err), 0, "%s", err.msg);
    cr_expect_eq(sample.upstream_count, 7);
    cr_expect_eq(sample.webhook_count, 3);
    conf_fini(&sample);
    buf_fini(&text);
}
