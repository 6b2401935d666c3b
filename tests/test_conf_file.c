/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* mkstemp */
#include "base/conf.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/option.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Loads a text as a file. The path in the reason is cut off, so that it begins
 * with ":LINE: ". */
static int
load_bytes(struct conf *conf, const char *text, size_t bytes, struct err *err)
{
    char path[] = "/tmp/sheaf-conf-XXXXXX";
    int fd = mkstemp(path), rc;

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, bytes), (ssize_t)bytes);
    cr_assert_eq(close(fd), 0);
    rc = conf_load(conf, path, err);
    cr_assert_eq(unlink(path), 0);
    if (rc < 0) {
        size_t cut = strlen(path);

        cr_assert_eq(strncmp(err->msg, path, cut), 0, "got %s", err->msg);
        memmove(err->msg, err->msg + cut, strlen(err->msg + cut) + 1);
    }
    return rc;
}

static int
load(struct conf *conf, const char *text, struct err *err)
{
    return load_bytes(conf, text, strlen(text), err);
}

/* Loads a text over the defaults; it must be accepted. */
static void
load_well(struct conf *conf, const char *text)
{
    struct err err = { 0 };

    conf_init(conf);
    cr_assert_eq(load(conf, text, &err), 0, "%s", err.msg);
}

Test(conf_file, reads_the_weights_of_clients)
{
    struct conf conf, again;
    struct buf dump = { 0 };

    load_well(&conf, "[client \"night ly\"]\nweight = 4\n[client \"b\"]\n");
    cr_expect_eq(conf_client_weight(&conf, slice_of("night ly")), 4);
    cr_expect_eq(conf_client_weight(&conf, slice_of("b")), 1);
    cr_expect_eq(conf_client_weight(&conf, slice_of("c")), 1);
    conf_dump(&conf, &dump);
    load_well(&again, dump.data);
    cr_expect_eq(conf_client_weight(&again, slice_of("night ly")), 4);
    cr_expect_eq(again.client_count, 2);
    buf_fini(&dump);
    conf_fini(&conf);
    conf_fini(&again);
}

Test(conf_file, reads_webhooks)
{
    struct conf conf, again;
    struct buf dump = { 0 };

    load_well(&conf, "[webhook \"pager\"]\n"
                     "url = https://hooks.example.com/sheaf/\n"
                     "secret_env = PAGER_SECRET\n"
                     "events = batch.failed,  batch.expired\n"
                     "clients = nightly, alice\n"
                     "[webhook \"all\"]\n"
                     "url = http://127.0.0.1:8080/hook\n"
                     "secret_file = /etc/sheaf/all.secret\n"
                     "posts_max = 8\n");
    cr_assert_eq(conf.webhook_count, 2);
    cr_expect_str_eq(conf.webhooks[0].name, "pager");
    cr_expect_str_eq(conf.webhooks[0].url, "https://hooks.example.com/sheaf/");
    cr_expect_eq(conf.webhooks[0].timeout_ms, 15000);
    cr_expect_eq(conf.webhooks[0].posts_max, 2);
    cr_expect_eq(conf.webhooks[1].posts_max, 8);
    conf_dump(&conf, &dump);
    load_well(&again, dump.data);
    cr_assert_eq(again.webhook_count, 2);
    cr_expect_str_eq(again.webhooks[0].events, conf.webhooks[0].events);
    cr_expect_str_eq(again.webhooks[1].secret_file, "/etc/sheaf/all.secret");
    buf_fini(&dump);
    conf_fini(&conf);
    conf_fini(&again);
}

Test(conf_file, tells_a_webhook_only_of_what_it_wants)
{
    struct conf conf;
    const struct conf_webhook *some = &conf.webhooks[0];
    const struct conf_webhook *all = &conf.webhooks[1];

    load_well(&conf, "[webhook \"some\"]\nurl = https://a\nsecret_env = A\n"
                     "events = batch.failed, alert.fired\n"
                     "clients = nightly, alice\n"
                     "[webhook \"all\"]\nurl = https://a\nsecret_env = A\n");
    cr_expect(conf_webhook_wants(some, EVENT_BATCH_FAILED, "alice"));
    cr_expect(conf_webhook_wants(some, EVENT_BATCH_FAILED, "nightly"));
    cr_expect(conf_webhook_wants(some, EVENT_ALERT_FIRED, NULL));
    cr_expect_not(conf_webhook_wants(some, EVENT_BATCH_FAILED, "ali"));
    cr_expect_not(conf_webhook_wants(some, EVENT_BATCH_COMPLETED, "alice"));
    for (enum event event = 0; event < EVENT_TEST; event++) {
        cr_expect(conf_webhook_wants(all, event, "anybody"));
        cr_expect_eq(event_parse(slice_of(event_name(event))), event);
    }
    conf_fini(&conf);
}

Test(conf_file, reads_both_kinds_of_sections)
{
    struct conf conf;
    const struct conf_upstream *upstream;

    load_well(&conf, "\xef\xbb\xbf[sheaf]\r\n"
                     "# a comment\n"
                     "slots_max = 7\r\n"
                     "   lease_ms=120000 ; behind a blank\n"
                     "\theartbeat_ms\t:\t1000\n"
                     "; another\n\n"
                     "[upstream \"a\"] ; the first\n"
                     "base_url = https://example.org/v1//\n"
                     "model = gpt;4#o\n"
                     "key_env = A_KEY1\n"
                     "price_input_usd = 0.15\n"
                     "price_output_usd = 12\n"
                     "request_timeout_ms = 1000\n"
                     "[upstream\t\"b.B-2_\"]\n"
                     "base_url = http://example.org\n"
                     "path = /chat?api-version=1\n"
                     "allow_plain_http = Yes\n"
                     "key_file = /etc/a key");
    cr_expect_eq(conf.slots_max, 7);
    cr_expect_eq(conf.lease_ms, 120000);
    cr_expect_eq(conf.heartbeat_ms, 1000);
    cr_expect_eq(conf.attempts_max, 5);
    cr_assert_eq(conf.upstream_count, 2);

    upstream = conf_upstream(&conf, "a");
    cr_assert_eq(upstream, &conf.upstreams[0]);
    cr_expect_str_eq(upstream->base_url, "https://example.org/v1");
    cr_expect_str_eq(upstream->path, "/chat/completions");
    cr_expect_str_eq(upstream->model, "gpt;4#o");
    cr_expect_str_eq(upstream->key_env, "A_KEY1");
    cr_expect_null(upstream->key_file);
    cr_expect_eq(upstream->price_input_usd, 0.15);
    cr_expect_eq(upstream->price_output_usd, 12);
    cr_expect_eq(upstream->request_timeout_ms, 1000);
    cr_expect_eq(upstream->connect_timeout_ms, 10000);
    cr_expect_eq(upstream->low_speed_ms, 120000);
    cr_expect_eq(upstream->low_speed_bytes, 16);
    cr_expect_null(upstream->ca_file);
    cr_expect_not(upstream->allow_plain_http);

    upstream = conf_upstream(&conf, "b.B-2_");
    cr_assert_not_null(upstream);
    cr_expect_str_eq(upstream->base_url, "http://example.org");
    cr_expect_str_eq(upstream->path, "/chat?api-version=1");
    cr_expect_str_eq(upstream->key_file, "/etc/a key");
    cr_expect_null(upstream->model);
    cr_expect_eq(upstream->price_input_usd, OPTION_NO_PRICE);
    cr_expect_eq(upstream->request_timeout_ms, 600000);
    cr_expect(upstream->allow_plain_http);

    cr_expect_str_eq(upstream->dialect, "openai");
    cr_expect_null(upstream->api_version);
    cr_expect_eq(upstream->max_tokens_default, 0);

    cr_expect_null(conf_upstream(&conf, "b"));
    cr_expect_null(conf_upstream(&conf, CONF_LOCAL));
    conf_fini(&conf);
}

Test(conf_file, fills_in_what_a_dialect_brings)
{
    static const struct {
        const char *given, *path, *version;
        int64_t max_tokens;
    } cases[] = {
        { "dialect = responses", "/responses", NULL, 0 },
        { "dialect = azure",
          "/deployments/{model}/chat/completions?api-version=2024-10-21",
          "2024-10-21", 0 },
        { "dialect = azure\napi_version = v7",
          "/deployments/{model}/chat/completions?api-version=v7", "v7", 0 },
        { "dialect = azure\npath = /chat/completions", "/chat/completions",
          "2024-10-21", 0 },
        { "dialect = azure\npath = /x?a={api_version}&b=1",
          "/x?a=2024-10-21&b=1", "2024-10-21", 0 },
        { "path = /x?a={api_version}", "/x?a={api_version}", NULL, 0 },
        { "dialect = anthropic", "/messages", NULL, 4096 },
        { "dialect = anthropic\nmax_tokens_default = 9", "/messages", NULL, 9 },
        { "dialect = gemini", "/models/{model}:generateContent", NULL, 0 },
        { "dialect = ollama", "/api/chat", NULL, 0 },
        { "dialect = salesforce", "/models/{model}/chat-generations", NULL, 0 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct conf_upstream *upstream;
        struct buf text = { 0 };
        struct conf conf;

        buf_addf(&text, "[upstream \"u\"]\nbase_url = https://a\n%s\n",
                 cases[i].given);
        load_well(&conf, text.data);
        upstream = &conf.upstreams[0];
        cr_expect_str_eq(upstream->path, cases[i].path, "got %s",
                         upstream->path);
        if (cases[i].version)
            cr_expect_str_eq(upstream->api_version, cases[i].version);
        else
            cr_expect_null(upstream->api_version);
        cr_expect_eq(upstream->max_tokens_default, cases[i].max_tokens);
        cr_expect_str_eq(conf_dialect(upstream)->name, upstream->dialect);
        conf_fini(&conf);
        buf_fini(&text);
    }
}

#define HOOK "[webhook \"w\"]\n"
#define UP   "[upstream \"u\"]\n"
#define NAME_64 \
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct {
    const char *text;
    const char *want;
} mistakes[] = {
    { "[sheaf]\n\nlease_ms = 500\n", ":3: lease_ms: 500 is below 1000" },
    { "[sheaf]\nslots_max = 1025", ":2: slots_max: 1025 is above 1024" },
    { "[sheaf]\nslots_max = 18446744073709551621",
      ":2: slots_max: 18446744073709551621 is above 1024" },
    { "[sheaf]\nslots_max = -1", ":2: slots_max: -1 is not a whole number" },
    { "[sheaf]\nlease_ms = 60s", ":2: lease_ms: 60s is not a whole number" },
    { "[sheaf]\nlease_ms =\n", ":2: lease_ms: has no value" },
    { "[sheaf]\nlease_ms = ; 5\n", ":2: lease_ms: has no value" },
    { "[sheaf]\nlease = 5\n", ":2: lease: no such option in [sheaf]" },
    { "[sheaf]\nSlots_max = 5\n", ":2: Slots_max: no such option in [sheaf]" },
    { "[sheaf]\n= 5\n", ":2: : no such option in [sheaf]" },
    { "[sheaf]\nbase_url = x\n", ":2: base_url: no such option in [sheaf]" },
    { "[sheaf]\nslots_max = 5\n  slots_max = 6\n",
      ":3: slots_max: given twice, first on line 2" },
    { "[sheaf]\nslots_max 5\nlease_ms = 5\n",
      ":2: the line is not name = value" },
    { "[client \"a\"]\n[client \"a\"]\n", ":2: client a is given twice" },
    { "[client \"\"]\n", ":1: the name of a client has 1 to 64 bytes" },
    { "[client \"a\"]\nweight = 0\n", ":2: weight: 0 is below 1" },
    { "[client \"a\"]\nslots_max = 1\n",
      ":2: slots_max: no such option in a client" },
    { HOOK "url = https://a\n",
      ":1: webhook w: secret_file, secret_credential or secret_env is "
      "missing" },
    { HOOK "secret_env = A\n", ":1: webhook w: url is missing" },
    { HOOK "url = https://a\nsecret_env = A\nsecret_file = /a\n",
      ":1: webhook w: only one of secret_file, secret_credential and "
      "secret_env can be given" },
    { HOOK "url = http://example.org\nsecret_env = A\n",
      ":1: webhook w: url: http:// to another host can be read on the way; use "
      "https://, or set allow_plain_http = yes" },
    { HOOK "url = https://a\nsecret_env = A\nevents = batch.completed, x\n",
      ":1: webhook w: events: x is none of batch.completed, batch.failed, "
      "batch.expired, batch.cancelled, alert.fired and alert.resolved" },
    { HOOK "url = ftp://a\n",
      ":2: url: does not begin with http:// or https://" },
    { HOOK "posts_max = 9\n", ":2: posts_max: 9 is above 8" },
    { HOOK "weight = 1\n", ":2: weight: no such option in a webhook" },
    { HOOK "url = https://a\nsecret_env = A\n" HOOK,
      ":4: webhook w is given twice" },
    { "[webhook \"a b\"]\n",
      ":1: the name of a webhook is made of letters, digits, _, . and -" },
    { "# x\nslots_max = 5\n", ":2: slots_max: not in a section" },
    { "[sheaf]\n[sheaf]\n", ":2: the section [sheaf] is given twice" },
    { "\n[sheaf\n", ":2: the section has no ]" },
    { "[sheaf] x\n", ":1: text behind the section" },
    { "[sheafd]\n", ":1: the section is none of [sheaf], [upstream \"name\"], "
                    "[client \"name\"] and [webhook \"name\"]" },
    { "[upstream a]\n",
      ":1: the section is none of [sheaf], [upstream \"name\"], "
      "[client \"name\"] and [webhook \"name\"]" },
    { "[upstream\"a\"]\n",
      ":1: the section is none of [sheaf], [upstream \"name\"], "
      "[client \"name\"] and [webhook \"name\"]" },
    { "[upstream \"]\n",
      ":1: the section is none of [sheaf], [upstream \"name\"], "
      "[client \"name\"] and [webhook \"name\"]" },
    { "[upstream]\n",
      ":1: the section is none of [sheaf], [upstream \"name\"], "
      "[client \"name\"] and [webhook \"name\"]" },
    { "[]\n", ":1: the section is none of [sheaf], [upstream \"name\"], "
              "[client \"name\"] and [webhook \"name\"]" },
    { "[upstream \"\"]\n",
      ":1: the name of an upstream has 1 to 64 characters" },
    { "[upstream \"" NAME_64 "x\"]\n",
      ":1: the name of an upstream has 1 to 64 characters" },
    { "[upstream \"a b\"]\n",
      ":1: the name of an upstream is made of letters, digits, _, . and "
      "-" },
    { "[upstream \"local\"]\nmodel = x\n",
      ":1: upstream local is built in and has no options" },
    { UP "base_url = https://a\n\n" UP, ":4: upstream u is given twice" },
    { UP "slots_max = 5\n", ":2: slots_max: no such option in an upstream" },
    { UP "model = a\nmodel = a\n", ":3: model: given twice, first on line 2" },
    { UP "model = \"a\"\n", ":2: model: is to be written without quotes" },
    { UP "model =;a\n", ":2: model: begins with a ;" },
    { UP "model = a b\n",
      ":2: model: holds a blank, a control character or a byte beyond "
      "ASCII" },
    { UP "base_url = https://a\ndialect = cohere\n",
      ":1: upstream u: dialect: none of openai, responses, azure, anthropic, "
      "gemini, ollama and salesforce" },
    { UP "path = chat\n", ":2: path: does not begin with a /" },
    { UP "path = /chat#x\n", ":2: path: holds a fragment" },
    { UP "key_file = a.key\n", ":2: key_file: is not an absolute path" },
    { UP "key_env = sk-secret\n",
      ":2: key_env: is not the name of an environment variable" },
    { UP "key_env = 1A\n",
      ":2: key_env: is not the name of an environment variable" },
    { UP "base_url = https://a:secret@b\n",
      ":2: base_url: holds a user or a password; name a key_file or a "
      "key_env instead" },
    { UP "allow_plain_http = maybe\n",
      ":2: allow_plain_http: maybe is neither yes nor no" },
    { UP "price_input_usd = -1\n",
      ":2: price_input_usd: -1 is not a price such as 0.15, with at most "
      "9 digits behind the point" },
    { UP "price_input_usd = .5\n",
      ":2: price_input_usd: .5 is not a price such as 0.15, with at most "
      "9 digits behind the point" },
    { UP "price_input_usd = 5.\n",
      ":2: price_input_usd: 5. is not a price such as 0.15, with at most "
      "9 digits behind the point" },
    { UP "price_input_usd = 0.1234567891\n",
      ":2: price_input_usd: 0.1234567891 is not a price such as 0.15, "
      "with at most 9 digits behind the point" },
    { UP "price_input_usd = 1000000.1\n",
      ":2: price_input_usd: 1000000.1 is above 1000000" },
    { UP "price_input_usd = 18446744073709551621\n",
      ":2: price_input_usd: 18446744073709551621 is above 1000000" },
    { "\n" UP "model = x\n[sheaf]\n", ":2: upstream u: base_url is missing" },
    { "\n" UP, ":2: upstream u: base_url is missing" },
    { UP "base_url = https://a\nkey_env = A\nkey_file = /a\n",
      ":1: upstream u: both key_file and key_env are given" },
    { UP "base_url = https://a\nkey_credential = k\nkey_file = /a\n",
      ":1: upstream u: both key_file and key_credential are given" },
    { UP "base_url = https://a\noauth_token_url = https://b\n",
      ":1: upstream u: oauth_client_id is missing" },
    { UP "base_url = https://a\noauth_token_url = https://b\n"
         "oauth_client_id = c\n",
      ":1: upstream u: oauth_client_secret_file, _credential or _env is "
      "missing" },
    { UP "base_url = https://a\noauth_token_url = https://b\n"
         "oauth_client_id = c\noauth_client_secret_env = A\n"
         "oauth_client_secret_file = /a\n",
      ":1: upstream u: both oauth_client_secret_file and "
      "oauth_client_secret_env are given" },
    { UP "base_url = https://a\noauth_token_url = https://b\nkey_env = A\n",
      ":1: upstream u: both oauth_token_url and key_env are given" },
    { UP "base_url = https://a\noauth_client_id = c\n",
      ":1: upstream u: oauth_client_id needs oauth_token_url" },
    { UP "base_url = https://a\noauth_client_secret_env = A\n",
      ":1: upstream u: oauth_client_secret_env needs oauth_token_url" },
    { UP "base_url = https://a\noauth_token_url = http://b\n"
         "oauth_client_id = c\noauth_client_secret_env = A\n",
      ":1: upstream u: oauth_token_url: http:// to another host can be read on "
      "the way; use https://, or set allow_plain_http = yes in a section for "
      "it" },
    { UP "oauth_scope = a  b\n",
      ":2: oauth_scope: holds two blanks, a control character or a byte beyond "
      "ASCII" },
    { UP "key_credential = ../k\n",
      ":2: key_credential: is not the name of a credential" },
    { UP "key_credential = .k\n",
      ":2: key_credential: is not the name of a credential" },
    { UP "base_url = http://a\nallow_plain_http = no\n",
      ":1: upstream u: base_url: http:// to another host can be read on "
      "the way; use https://, or set allow_plain_http = yes in a section "
      "for it" },
    { "[sheaf]\n# bell \a\n", ":2: the line holds a control character" },
};

Test(conf_file, refuses_what_is_wrong_with_line_and_reason)
{
    for (size_t i = 0; i < COUNT(mistakes); i++) {
        struct conf conf;
        struct err err = { 0 };
        int rc;

        conf_init(&conf);
        rc = load(&conf, mistakes[i].text, &err);
        cr_expect_eq(rc, E_INVALID, "case %zu: got %d", i, rc);
        cr_expect_eq(err.code, E_INVALID, "case %zu", i);
        cr_expect_str_eq(err.msg, mistakes[i].want,
                         "case %zu: got \"%s\", want \"%s\"", i, err.msg,
                         mistakes[i].want);
        conf_fini(&conf);
    }
}

Test(conf_file, tells_names_apart_beyond_the_limit_of_the_parser)
{
    struct conf conf;

    load_well(&conf, "[upstream \"" NAME_64 "\"]\nbase_url = https://a\n"
                     "[upstream \"0123456789abcdef0123456789abcdef0123456789"
                     "abcdef0123456789abcdeF\"]\nbase_url = https://b\n");
    cr_assert_eq(conf.upstream_count, 2);
    cr_expect_str_eq(conf_upstream(&conf, NAME_64)->base_url, "https://a");
    cr_expect_str_eq(conf.upstreams[1].base_url, "https://b");
    conf_fini(&conf);
}

Test(conf_file, refuses_a_line_that_would_be_cut)
{
    static const char head[] = "[sheaf]\n# ";
    char text[sizeof(head) + CONF_LINE_BYTES_MAX + 16];
    size_t bytes = strlen(head) - 2 + CONF_LINE_BYTES_MAX;
    struct conf conf;
    struct err err = { 0 };

    memset(text, 'x', sizeof(text));
    memcpy(text, head, strlen(head));
    memcpy(text + bytes, "\nslots_max=9", 12);
    conf_init(&conf);
    cr_expect_eq(load_bytes(&conf, text, bytes + 12, &err), 0, "%s", err.msg);
    cr_expect_eq(conf.slots_max, 9);

    text[bytes] = 'x';
    text[bytes + 1] = '\n';
    cr_expect_eq(load_bytes(&conf, text, bytes + 2, &err), E_TOOBIG);
    cr_expect_str_eq(err.msg, ":2: the line is longer than 4096 bytes");
    conf_fini(&conf);
}

Test(conf_file, keeps_a_long_value_whole)
{
    struct conf conf;
    struct buf text = { 0 };

    buf_add_str(&text, UP "base_url = https://example.org/");
    for (int i = 0; i < 1000; i++)
        buf_add_char(&text, (char)('a' + i % 26));
    load_well(&conf, text.data);
    cr_expect_str_eq(conf.upstreams[0].base_url,
                     text.data + strlen(UP "base_url = "));
    conf_fini(&conf);
    buf_fini(&text);
}

Test(conf_file, refuses_zero_bytes_and_files_that_are_too_large)
{
    struct conf conf;
    struct err err = { 0 };
    struct buf text = { 0 };

    conf_init(&conf);
    cr_expect_eq(load_bytes(&conf, "[sheaf]\nslots_max = 5\0", 22, &err),
                 E_INVALID);
    cr_expect_str_eq(err.msg, ":2: the line holds a control character");

    while (text.bytes <= CONF_FILE_BYTES_MAX)
        buf_add_str(&text, "# a comment that is repeated\n");
    cr_expect_eq(load_bytes(&conf, text.data, text.bytes, &err), E_TOOBIG);
    cr_expect(strstr(err.msg, "the file is larger than 1048576 bytes"));
    buf_fini(&text);
    conf_fini(&conf);
}

Test(conf_file, says_why_a_file_cannot_be_read)
{
    struct conf conf;
    struct err err = { 0 };

    conf_init(&conf);
    cr_expect_eq(conf_load(&conf, "/nowhere/sheaf.conf", &err), E_IO);
    cr_expect_str_eq(err.msg, "open /nowhere/sheaf.conf: No such file or "
                              "directory");
    cr_expect_eq(conf_load(&conf, "/", &err), E_IO);
    cr_expect_str_eq(err.msg, "/:1: read: Is a directory");
    cr_expect_eq(conf_load(&conf, "/", NULL), E_IO);
    conf_fini(&conf);
}

Test(conf_file, holds_a_limited_number_of_upstreams)
{
    struct conf conf;
    struct err err = { 0 };
    struct buf text = { 0 };

    for (int i = 0; i < CONF_UPSTREAMS_MAX; i++)
        buf_addf(&text, "[upstream \"u%d\"]\nbase_url = https://a\n", i);
    load_well(&conf, text.data);
    cr_expect_eq(conf.upstream_count, CONF_UPSTREAMS_MAX);
    conf_fini(&conf);

    buf_addf(&text, "[upstream \"more\"]\nbase_url = https://a\n");
    conf_init(&conf);
    cr_expect_eq(load(&conf, text.data, &err), E_FULL);
    cr_expect_str_eq(err.msg, ":33: more than 16 upstreams");
    conf_fini(&conf);
    buf_fini(&text);
}
