/*
 * load.c - sheaf-load: whether a deployment holds its service levels
 *
 *   sheaf-load [--users N] [--requests M] [--rate R] [options]
 *
 * N users (10) hand in M requests (20) each, to the broker that runs, and poll
 * for the results. With a rate, R requests a second become due over all users,
 * whether or not one is free: what waits for a user is counted as waiting.
 * Without one, a user's next request is due when it has its answer. What users
 * hand in goes over one connection, one after the other: where that is not enough,
 * a request takes more drafts.
 * usage_text has the options.
 *
 * How it stands is told on standard error once a second. Exit codes: 0 the
 * levels are met, 1 they are not, 2 usage, 5 no broker, 7 anything else; 130 and
 * 143 by a signal, after what is known was told.
 */
/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* sigaction, poll */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/program.h"
#include "base/runtime.h"
#include "tests/bench/load_levels.h"
#include "tests/bench/load_user.h"

#define TELL_MS        1000
#define NAP_MS_MAX     50 /* between looks at signals */
#define SECONDS_MAX    86400
#define RATE_MAX       100000
#define REQUESTS_MAX   1000000
#define TEXT_BYTES_MAX 1000000
#define PATIENCE_MS    30000
#define SETS_MAX       64

#define EXIT_MISSED      1
#define EXIT_USAGE       2
#define EXIT_UNREACHABLE 5
#define EXIT_BROKEN      7

struct load {
    struct conf conf;
    struct load_plan plan;
    struct load_env env;
    struct levels levels;
    struct tally tally;
    struct user *users;
    int64_t user_count, requests, rate; /* each user's; of all, 0: none */
    const char *endpoint, *goal, *model, *texts, *config;
    const char *sets[SETS_MAX];
    size_t set_count;
    struct buf endpoint_text, options;
    bool is_json;
    int64_t start_ms, tell_ms;
    int64_t begun; /* requests of all users */
};

static volatile sig_atomic_t stopped;

static void
note_signal(int number)
{
    stopped = number;
}

static int
is_stopped(void *arg)
{
    (void)arg;
    return stopped != 0;
}

/* ---- the command line ---- */

static const char usage_text[] =
    "usage: sheaf-load [OPTION...]\n\n"
    "Puts a load on a broker that runs, and says whether its service levels "
    "hold.\n\n"
    "  --users N             users that hand in a text and poll (10)\n"
    "  --requests N          of each user (20)\n"
    "  --rate N              requests a second, over all users; 0: the next "
    "one\n"
    "                        when the last one has its answer (0)\n"
    "  --drafts N            of a request (1)\n"
    "  --duplicates PERCENT  of the texts are ones that came before (30)\n"
    "  --texts FILE          a text a line; else they are made\n"
    "  --bytes N             of a text that is made (1024)\n"
    "  --seed N              of chance, and part of texts that are made (the "
    "time)\n"
    "  --goal TEXT, --model NAME\n"
    "                        of all drafts\n"
    "  --priority 0..3       of their batches (1)\n"
    "  --client NAME         of their batches (load)\n"
    "  --timeout SECONDS     for a request's results, which is cancelled then "
    "(60)\n"
    "  --poll MS             between looks for them (100)\n"
    "  --broker ENDPOINT     where it listens (SHEAF_BROKER, or as sheaf)\n"
    "  --config FILE, --set NAME=VALUE\n"
    "                        the levels are those of its alerts\n"
    "  --json                print one object\n"
    "  --help, --version\n\n"
    "Exit codes: 0 the levels are met, 1 they are not, 2 usage, 5 no broker, 7 "
    "else.\n";

static void
usage(const char *why)
{
    (void)fprintf(stderr, "sheaf-load: %s; see sheaf-load --help\n", why);
    exit(EXIT_USAGE);
}

static int64_t
read_number(const char *name, const char *text, int64_t min, int64_t max)
{
    struct buf why = { 0 };
    long long value;
    char *end;

    errno = 0;
    value = strtoll(text, &end, 10);
    if (errno || end == text || *end || value < min || value > max) {
        buf_addf(&why, "--%s: \"%s\" is no number from %lld to %lld", name,
                 text, (long long)min, (long long)max);
        usage(why.data);
    }
    return value;
}

static void
set_option(struct load *load, const char *pair)
{
    const char *equals = strchrnul(pair, '=');
    struct buf name = { 0 };
    struct err err = { 0 };

    buf_add(&name, pair, (size_t)(equals - pair));
    if (name.bytes == 0 || !*equals)
        usage("--set takes NAME=VALUE");
    if (conf_set(&load->conf, name.data, equals + 1, &err) < 0)
        usage(err.msg);
    buf_fini(&name);
}

static void
read_text(struct load *load, int option, const char *value)
{
    const struct {
        int option;
        const char **text;
    } texts[] = { { 'b', &load->endpoint }, { 'C', &load->config },
                  { 'g', &load->goal },     { 'm', &load->model },
                  { 't', &load->texts },    { 'c', &load->plan.client } };

    if (option == 'h')
        program_end_printed("sheaf-load", fputs(usage_text, stdout) >= 0);
    if (option == 'V')
        program_end_printed("sheaf-load",
                            puts("sheaf-load " SHEAF_VERSION) >= 0);
    if (option == 'j')
        load->is_json = true;
    if (option == 's' && load->set_count == SETS_MAX)
        usage("that is too many --set");
    if (option == 's')
        load->sets[load->set_count++] = value;
    if (option == '?')
        usage("that is no option");
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].option == option)
            *texts[i].text = value;
    }
}

static void
read_options(struct load *load, int argc, char **argv)
{
    struct load_plan *plan = &load->plan;
    int64_t seed = (int64_t)plan->seed, timeout_s = 60;
    const struct {
        const char *name;
        int64_t *value, min, max;
    } numbers[] = {
        { "users", &load->user_count, 1, LOAD_USERS_MAX },
        { "requests", &load->requests, 1, REQUESTS_MAX },
        { "rate", &load->rate, 0, RATE_MAX },
        { "drafts", &plan->drafts, 1, LOAD_DRAFTS_MAX },
        { "bytes", &plan->bytes, PAYLOAD_BYTES_MIN, TEXT_BYTES_MAX },
        { "seed", &seed, 0, INT64_MAX },
        { "duplicates", &plan->duplicates_percent, 0, 100 },
        { "priority", &plan->priority, 0, 3 },
        { "timeout", &timeout_s, 1, SECONDS_MAX },
        { "poll", &plan->poll_ms, 1, SECONDS_MAX },
    };
    static const struct option options[] = {
        { "users", required_argument, NULL, 0 },
        { "requests", required_argument, NULL, 1 },
        { "rate", required_argument, NULL, 2 },
        { "drafts", required_argument, NULL, 3 },
        { "bytes", required_argument, NULL, 4 },
        { "seed", required_argument, NULL, 5 },
        { "duplicates", required_argument, NULL, 6 },
        { "priority", required_argument, NULL, 7 },
        { "timeout", required_argument, NULL, 8 },
        { "poll", required_argument, NULL, 9 },
        { "broker", required_argument, NULL, 'b' },
        { "config", required_argument, NULL, 'C' },
        { "set", required_argument, NULL, 's' },
        { "goal", required_argument, NULL, 'g' },
        { "model", required_argument, NULL, 'm' },
        { "texts", required_argument, NULL, 't' },
        { "client", required_argument, NULL, 'c' },
        { "json", no_argument, NULL, 'j' },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },
        { NULL, 0, NULL, 0 },
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option < (int)(sizeof(numbers) / sizeof(numbers[0]))) {
            *numbers[option].value =
                read_number(numbers[option].name, optarg, numbers[option].min,
                            numbers[option].max);
        } else {
            read_text(load, option, optarg);
        }
    }
    if (optind < argc)
        usage("arguments are not taken");
    plan->seed = (uint64_t)seed;
    plan->timeout_ms = timeout_s * 1000;
}

/* The file comes before --set, whatever their order. */
static void
read_config(struct load *load)
{
    const char *path;
    struct err err = { 0 };

    if (conf_find_file(load->config, getenv, &path, &err) < 0 ||
        (path && conf_load(&load->conf, path, &err) < 0)) {
        usage(err.msg);
    }
    for (size_t i = 0; i < load->set_count; i++)
        set_option(load, load->sets[i]);
    if (conf_check(&load->conf, &err) < 0)
        usage(err.msg);
}

/* ---- set-up ---- */

static void
find_endpoint(struct load *load)
{
    const char *named = getenv("SHEAF_BROKER");
    struct err err = { 0 };

    if (!load->endpoint && named && *named)
        load->endpoint = named;
    if (load->endpoint)
        return;
    if (runtime_endpoint("clients", &load->endpoint_text, &err) < 0)
        log_fatal("event=no_endpoint error=\"%s\"", err.msg);
    load->endpoint = load->endpoint_text.data;
}

static void
write_options(struct load *load)
{
    struct buf *out = &load->options;

    buf_add_str(out, "{\"goal\":");
    json_write_string(out, load->goal, strlen(load->goal));
    if (load->model) {
        buf_add_str(out, ",\"model\":");
        json_write_string(out, load->model, strlen(load->model));
    }
    buf_add_char(out, '}');
    load->plan.options = out->data;
}

static int
look_at_broker(struct load *load, struct sheaf_error *error)
{
    struct sheaf_reply reply;
    cJSON *answer;
    int rc = sheaf_call(load->env.sheaf, "{\"verb\":\"stats\"}", NULL, 0,
                        &reply, error);

    if (rc < 0)
        return rc;
    answer = cJSON_ParseWithLength(reply.header, reply.header_bytes);
    levels_note(&load->levels,
                cJSON_GetObjectItemCaseSensitive(answer, "stats"));
    cJSON_Delete(answer);
    return 0;
}

static void
set_up(struct load *load)
{
    struct sheaf_settings settings = { .endpoint = load->endpoint,
                                       .patience_ms = PATIENCE_MS,
                                       .idle = is_stopped };
    struct sheaf_error error = { 0 };

    load->env = (struct load_env){
        .plan = &load->plan,
        .sheaf = sheaf_connect(&settings, &error),
        .tally = &load->tally,
        .chance = load->plan.seed * 2 + 1, /* never 0 */
    };
    if (!load->env.sheaf || look_at_broker(load, &error) < 0) {
        (void)fprintf(stderr, "sheaf-load: %s\n", error.message);
        exit(error.code == SHEAF_E_USAGE ? EXIT_USAGE : EXIT_UNREACHABLE);
    }
    load->env.payload = payload_new(load->texts);
    load->users = mem_zalloc((size_t)load->user_count, sizeof(*load->users));
    for (int i = 0; i < load->user_count; i++)
        load->users[i].number = i;
}

/* ---- the run ---- */

/* When the next request is due; those of a user that had none before, or without
 * a rate, are at once. */
static int64_t
next_due_ms(const struct load *load, int64_t now_ms)
{
    if (load->rate == 0)
        return now_ms;
    return load->start_ms + load->begun * 1000 / load->rate;
}

/* Lets a user do what is due. *next_ms becomes when it is needed again, if that
 * is earlier. */
static int
turn(struct load *load, struct user *user, int64_t *next_ms,
     struct sheaf_error *error)
{
    int64_t now_ms = clock_mono_ms(), due_ms;
    int rc = 0;

    if (user->state == USER_WAITING) {
        if (now_ms >= user->poll_ms)
            rc = user_poll(user, &load->env, now_ms, error);
    } else if (user->done < load->requests) {
        due_ms = next_due_ms(load, now_ms);
        if (now_ms < due_ms) {
            *next_ms = due_ms < *next_ms ? due_ms : *next_ms;
            return 0;
        }
        load->begun++;
        rc = user_submit(user, &load->env, due_ms, error);
    } else {
        return 0;
    }
    if (user->state == USER_IDLE)
        *next_ms = now_ms;
    else if (user->poll_ms < *next_ms)
        *next_ms = user->poll_ms;
    return rc;
}

static int64_t
waiting(const struct load *load)
{
    int64_t count = 0;

    for (int64_t i = 0; i < load->user_count; i++) {
        if (load->users[i].state == USER_WAITING)
            count += load->users[i].open;
    }
    return count;
}

static bool
is_over(const struct load *load)
{
    for (int64_t i = 0; i < load->user_count; i++) {
        if (load->users[i].state == USER_WAITING ||
            load->users[i].done < load->requests) {
            return false;
        }
    }
    return true;
}

static int
tell(struct load *load, struct sheaf_error *error)
{
    int64_t now_ms = clock_mono_ms();

    load->tally.elapsed_ms = now_ms - load->start_ms;
    if (now_ms < load->tell_ms)
        return 0;
    load->tell_ms = now_ms + TELL_MS;
    tally_print_progress(&load->tally, waiting(load));
    return look_at_broker(load, error);
}

static int
run(struct load *load, struct sheaf_error *error)
{
    int rc = 0;

    load->start_ms = clock_mono_ms();
    load->tell_ms = load->start_ms + TELL_MS;
    while (rc == 0 && !stopped && !is_over(load)) {
        int64_t next_ms = clock_mono_ms() + NAP_MS_MAX, nap_ms;

        for (int64_t i = 0; rc == 0 && i < load->user_count && !stopped; i++)
            rc = turn(load, &load->users[i], &next_ms, error);
        if (rc == 0)
            rc = tell(load, error);
        nap_ms = next_ms - clock_mono_ms();
        if (rc == 0 && nap_ms > 0)
            (void)poll(NULL, 0, (int)nap_ms);
    }
    for (int64_t i = 0; rc == 0 && i < load->user_count; i++) {
        if (load->users[i].state == USER_WAITING && stopped)
            load->tally.unanswered += load->users[i].open;
    }
    if (rc == 0 && !stopped)
        rc = look_at_broker(load, error);
    return rc;
}

static bool
report(const struct load *load)
{
    bool is_good;

    if (load->is_json) {
        cJSON *object = tally_json(&load->tally);
        char *text;

        cJSON_AddNumberToObject(object, "seed", (double)load->plan.seed);
        is_good = levels_add_json(&load->levels, &load->tally, object);
        text = cJSON_PrintUnformatted(object);
        printf("%s\n", text);
        cJSON_free(text);
        cJSON_Delete(object);
        return is_good;
    }
    tally_print(&load->tally);
    return levels_print(&load->levels, &load->tally);
}

static void
tear_down(struct load *load)
{
    sheaf_close(load->env.sheaf);
    payload_free(load->env.payload);
    buf_fini(&load->env.line);
    buf_fini(&load->env.text);
    buf_fini(&load->endpoint_text);
    buf_fini(&load->options);
    conf_fini(&load->conf);
    free(load->users);
}

int
main(int argc, char **argv)
{
    struct load *load = mem_zalloc(1, sizeof(*load));
    struct sigaction action = { .sa_handler = note_signal };
    struct sheaf_error error = { 0 };
    bool is_good;
    int rc;

    program_open_standard("sheaf-load");
    *load = (struct load){
        .user_count = 10,
        .requests = 20,
        .goal = "Summarize this text",
        .plan = { .client = "load",
                  .seed = (uint64_t)clock_wall_ms(),
                  .run = clock_wall_ms(),
                  .bytes = 1024,
                  .drafts = 1,
                  .duplicates_percent = 30,
                  .priority = 1,
                  .poll_ms = 100 },
    };
    conf_init(&load->conf);
    load->levels.conf = &load->conf;
    read_options(load, argc, argv);
    read_config(load);
    load->plan.is_generated = !load->texts;
    find_endpoint(load);
    write_options(load);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    set_up(load);
    rc = run(load, &error);
    if (rc < 0 && !stopped)
        (void)fprintf(stderr, "sheaf-load: %s\n", error.message);
    is_good = report(load);
    tear_down(load);
    free(load);
    if (stopped)
        return 128 + stopped;
    if (rc < 0)
        return rc == SHEAF_E_UNREACHABLE ? EXIT_UNREACHABLE : EXIT_BROKEN;
    return is_good ? 0 : EXIT_MISSED;
}
