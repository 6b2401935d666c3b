/* SPDX-License-Identifier: MIT */
#include "submit/options.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

#define SECONDS_MAX 31536000
#define CURSOR_MAX  (INT64_C(1) << 53)
#define TOKENS_MAX  1000000000
#define INDEX_MAX   (INT64_C(4294967295) - 1)
#define HELP_COLUMN 28

/* clang-format off */
#define ON(name)  (1u << COMMAND_##name)
#define ALL       ((1u << COMMAND_COUNT) - 1)
#define DRAFTS    (ON(RUN) | ON(SUBMIT))
#define RESULTS   (ON(RESULTS) | ON(EXPORT))

#define PLACE(field) offsetof(struct options, field)
#define FLAG(field)  OPTIONS_FLAG, PLACE(field), 0, 0, NULL
#define TEXT(field)  OPTIONS_TEXT, PLACE(field), 0, 0, NULL
#define PATH(field)  OPTIONS_PATH, PLACE(field), 0, 0, NULL
#define LIST(field)  OPTIONS_LIST, PLACE(field), 0, 0, NULL
#define NUMBER(field) OPTIONS_NUMBER, PLACE(field), 0, 0, NULL
#define INT(field, min, max)  OPTIONS_INT, PLACE(field), (min), (max), NULL
#define CHOICE(field, words)  OPTIONS_CHOICE, PLACE(field), 0, 0, (words)

static const struct options_spec specs[] = {
    { "goal", 0, "TEXT", DRAFTS, TEXT(goal),
      "what is to be done with every text" },
    { "constraint", 0, "TEXT", DRAFTS, LIST(constraint),
      "a condition for every answer; may be repeated" },
    { "model", 0, "NAME", DRAFTS, TEXT(model), "the model" },
    { "temperature", 0, "X", DRAFTS, NUMBER(temperature),
      "the sampling temperature" },
    { "max-tokens", 0, "N", DRAFTS, INT(max_tokens, 1, TOKENS_MAX),
      "the longest answer, in tokens" },
    { "system", 0, "TEXT", DRAFTS, TEXT(system),
      "the first sentence of the system message" },
    { "upstream", 0, "NAME,...", DRAFTS, TEXT(upstream),
      "where the requests may go" },
    { "last-resort", 0, "WHAT", DRAFTS, TEXT(last_resort),
      "when no upstream can be asked: wait, essence or local" },
    { "priority", 0, "0..3", DRAFTS, INT(priority, 0, 3),
      "3 is the most urgent; the default is 1" },
    { "client", 0, "NAME", DRAFTS | ON(LIST), TEXT(client),
      "for whom; the default is the user's name" },
    { "key", 0, "KEY", DRAFTS, TEXT(key),
      "names the submission: the same key is the same batch" },
    { "name", 0, "TEXT", DRAFTS, TEXT(name), "a name for people" },
    { "metadata", 0, "K=V", DRAFTS, LIST(metadata),
      "kept with the batch; may be repeated" },
    { "not-before", 0, "TIME", DRAFTS, TEXT(not_before),
      "start no earlier: RFC 3339, or +2h" },
    { "deadline", 0, "TIME", DRAFTS, TEXT(deadline),
      "end what is not done by then: RFC 3339, or +2h" },
    { "window", 0, "SPEC", DRAFTS, TEXT(window),
      "start calls only then, such as 'mon-fri 22:00-06:00'" },
    { "tz", 0, "ZONE", DRAFTS, TEXT(tz),
      "time zone of the window, such as Europe/Berlin" },
    { "early", 0, NULL, DRAFTS, FLAG(early),
      "start before all drafts are there" },
    { "input", 0, "KIND", DRAFTS,
      CHOICE(input, "auto|jsonl|openai|text"),
      "what the files are: auto, jsonl, openai, or text" },
    { "wait", 0, NULL, ON(SUBMIT), FLAG(wait),
      "wait until the batch is finished" },
    { "dry-run", 0, NULL, ON(SUBMIT), FLAG(dry_run),
      "say what would be done, and do nothing" },
    { "again", 0, NULL, ON(RUN), FLAG(again),
      "start anew instead of printing a finished run" },
    { "fallback-ok", 0, NULL, DRAFTS | ON(WAIT), FLAG(fallback_ok),
      "exit with 0 if the only flaw is fallbacks" },
    { "repair", 0, NULL, ON(VERIFY), FLAG(repair),
      "make again what can be made; no broker may use the store" },
    { "progress", 0, "WHEN", DRAFTS | ON(WAIT) | ON(VERIFY) | ON(BACKUP),
      CHOICE(progress, "auto|always|never"),
      "show progress: auto (on a terminal), always, or never" },
    { "timeout", 0, "SECONDS", ON(WAIT), INT(timeout_s, 0, SECONDS_MAX),
      "wait no longer than this" },
    { "after", 0, "CURSOR", RESULTS, INT(after, 0, CURSOR_MAX),
      "begin behind this one (seq, or index + 1 in order of input)" },
    { "cursor-file", 0, "FILE", ON(EXPORT), PATH(cursor_file),
      "begin behind the cursor in FILE, and put the new one there" },
    { "follow", 0, NULL, ON(RESULTS), FLAG(follow),
      "go on until the batch is finished" },
    { "order", 0, "ORDER", ON(RESULTS),
      CHOICE(order, "completion|input"), "completion or input" },
    { "format", 0, "FORMAT", RESULTS,
      CHOICE(format, "jsonl|csv|text|openai"),
      "jsonl, csv, and for results: text, openai" },
    { "output", 'o', "FILE", RESULTS | ON(RUN), PATH(output),
      "write to FILE, which appears when it is complete" },
    { "status", 0, "S,...", ON(RETRY), TEXT(status),
      "only drafts that ended so, such as rate_limited,error" },
    { "limit", 0, "N", ON(LIST) | ON(WEBHOOKS), INT(limit, 1, CURSOR_MAX),
      "no more than N of them" },
    { "index", 0, "N", ON(WHY), INT(index, 0, INDEX_MAX),
      "the Nth draft of the input, from 0, in place of its ID" },
    { "prometheus", 0, NULL, ON(STATS), FLAG(prometheus),
      "print metrics as Prometheus reads them" },
    { "json", 0, NULL, ALL, FLAG(json),
      "print JSON, errors too" },
    { "directory", 'C', "DIR", ALL, PATH(directory),
      "use the store in DIR, with a broker of its own if need be" },
    { "store", 0, "DIR", ON(RUN), PATH(store), "the same for run" },
    { "broker", 0, "ENDPOINT", ALL, PATH(broker),
      "where the broker listens; for run, instead of its own" },
    { "broker-timeout", 0, "SECONDS", ALL,
      INT(broker_timeout_s, 1, SECONDS_MAX),
      "give up on a broker that is silent for so long" },
    { "config", 0, "FILE", ALL, PATH(config),
      "the configuration, for check-config and a broker of its own" },
    { "set", 0, "NAME=VALUE", ALL, LIST(set),
      "set an option of the configuration; may be repeated" },
    { "log-level", 0, "LEVEL", ALL,
      CHOICE(log_level, "error|debug|info|warn"),
      "what a broker of its own tells: error (default), warn, info, debug" },
    { "help", 'h', NULL, ALL, FLAG(help), "print this" },
    { "version", 'V', NULL, ALL, FLAG(version), "print the version" },
};

static const struct command_spec commands[] = {
#define COMMAND_ROW(name, text, arguments, sentence) \
    { text, arguments, sentence },
    COMMAND_LIST(COMMAND_ROW)
#undef COMMAND_ROW
};
/* clang-format on */

#define SPEC_COUNT (sizeof(specs) / sizeof(specs[0]))

const struct options_spec *
options_specs(size_t *count)
{
    *count = SPEC_COUNT;
    return specs;
}

const struct command_spec *
options_command(enum command_id id)
{
    assert(id < COMMAND_COUNT);
    return &commands[id];
}

static int
add_item(struct options_list *list, const char *item, struct err *err)
{
    if (list->count == OPTIONS_LIST_MAX) {
        return err_set(err, E_USAGE, "given more than %d times",
                       OPTIONS_LIST_MAX);
    }
    list->items = mem_grow(list->items, list->count + 1, sizeof(char *));
    list->items[list->count++] = item;
    return 0;
}

static int
set_int(const struct options_spec *spec, int64_t *field, const char *value,
        struct err *err)
{
    char *end = NULL;
    long long number;

    /* strtoll() would take blanks and signs in front. */
    if (*value >= '0' && *value <= '9' && strlen(value) <= 18) {
        number = strtoll(value, &end, 10);
        if (*end == '\0' && number >= spec->min && number <= spec->max) {
            *field = number;
            return 0;
        }
    }
    return err_set(err, E_USAGE, "'%s' is not a number from %lld to %lld",
                   value, (long long)spec->min, (long long)spec->max);
}

static int
check_number(const char *value, struct err *err)
{
    struct json_doc doc = { 0 };
    int rc = json_parse(&doc, value, strlen(value), JSON_INPUT, err);

    if (rc < 0 || doc.tokens[0].type != JSON_NUMBER)
        rc = err_set(err, E_USAGE, "'%s' is not a number", value);
    json_fini(&doc);
    return rc;
}

static int
set_choice(const struct options_spec *spec, int64_t *field, const char *value,
           struct err *err)
{
    const char *word = spec->choices;

    for (int64_t i = 0; *word; i++) {
        size_t bytes = strcspn(word, "|");

        if (slice_is((struct slice){ word, bytes }, value)) {
            *field = i;
            return 0;
        }
        word += bytes;
        word += *word == '|';
    }
    return err_set(err, E_USAGE, "'%s' is none of %s", value, spec->choices);
}

static int
set(struct options *options, const struct options_spec *spec, const char *value,
    struct err *err)
{
    void *field = (char *)options + spec->place;
    int rc = 0;

    assert(value || spec->kind == OPTIONS_FLAG);
    switch (spec->kind) {
    case OPTIONS_FLAG:
        *(bool *)field = true;
        break;
    case OPTIONS_NUMBER:
        rc = check_number(value, err);
        *(const char **)field = value;
        break;
    case OPTIONS_PATH:
        rc = *value ? 0 : err_set(err, E_USAGE, "must not be empty");
        *(const char **)field = value;
        break;
    case OPTIONS_TEXT:
        *(const char **)field = value;
        break;
    case OPTIONS_LIST:
        rc = add_item(field, value, err);
        break;
    case OPTIONS_INT:
        rc = set_int(spec, field, value, err);
        break;
    case OPTIONS_CHOICE:
        rc = set_choice(spec, field, value, err);
        break;
    }
    return rc < 0 ? err_wrap(err, "--%s", spec->name) : 0;
}

/* The option of a word that begins with a dash; *value is what is attached to
 * it, or NULL. */
static const struct options_spec *
find(const char *word, const char **value)
{
    size_t bytes = strcspn(word, "=");

    *value = NULL;
    for (size_t i = 0; i < SPEC_COUNT; i++) {
        if (word[1] == '-' &&
            slice_is((struct slice){ word + 2, bytes - 2 }, specs[i].name)) {
            *value = word[bytes] ? word + bytes + 1 : NULL;
            return &specs[i];
        }
        if (word[1] != '-' && specs[i].letter == word[1]) {
            *value = word[2] ? word + 2 : NULL;
            return &specs[i];
        }
    }
    return NULL;
}

/* The parts of a command line while it is read. */
struct scan {
    int argc;
    char **argv;
    int at;
    unsigned char seen[SPEC_COUNT];
};

static int
scan_option(struct options *options, struct scan *scan, struct err *err)
{
    const char *word = scan->argv[scan->at], *value;
    const struct options_spec *spec = find(word, &value);

    if (!spec)
        return err_set(err, E_USAGE, "there is no option %s", word);
    if (!spec->argument && value)
        return err_set(err, E_USAGE, "--%s takes no value", spec->name);
    if (spec->argument && !value) {
        if (scan->at + 1 == scan->argc)
            return err_set(err, E_USAGE, "--%s wants %s", spec->name,
                           spec->argument);
        value = scan->argv[++scan->at];
    }
    scan->seen[spec - specs] = 1;
    return set(options, spec, value, err);
}

static int
find_command(struct options *options, struct scan *scan, struct err *err)
{
    const char *name;

    if (options->arguments.count == 0) {
        if (options->help || options->version)
            return 0;
        return err_set(err, E_USAGE, "no command; see sheaf --help");
    }
    name = options->arguments.items[0];
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0)
            options->command = (enum command_id)i;
    }
    if (options->command == COMMAND_COUNT)
        return err_set(err, E_USAGE, "there is no command '%s'", name);
    options->arguments.count--;
    memmove(options->arguments.items, options->arguments.items + 1,
            options->arguments.count * sizeof(char *));
    for (size_t i = 0; i < SPEC_COUNT; i++) {
        if (scan->seen[i] && !(specs[i].commands & 1u << options->command)) {
            return err_set(err, E_USAGE, "sheaf %s has no option --%s", name,
                           specs[i].name);
        }
    }
    return 0;
}

int
options_parse(struct options *options, int argc, char **argv, struct err *err)
{
    struct scan scan = { .argc = argc, .argv = argv };
    bool is_over = false;
    int rc = 0;

    *options = (struct options){
        .command = COMMAND_COUNT,
        .priority = 1,
        .timeout_s = -1,
        .after = -1,
        .index = -1,
    };
    /* Errors are to be JSON wherever the option stands. */
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        options->json = options->json || strcmp(argv[i], "--json") == 0;
    for (scan.at = 1; rc == 0 && scan.at < argc; scan.at++) {
        char *word = argv[scan.at];

        if (!is_over && strcmp(word, "--") == 0)
            is_over = true;
        else if (!is_over && word[0] == '-' && word[1])
            rc = scan_option(options, &scan, err);
        else if (options->arguments.count < (size_t)argc) {
            options->arguments.items =
                mem_grow(options->arguments.items, options->arguments.count + 1,
                         sizeof(char *));
            options->arguments.items[options->arguments.count++] = word;
        }
    }
    return rc < 0 ? rc : find_command(options, &scan, err);
}

void
options_fini(struct options *options)
{
    free(options->arguments.items);
    free(options->set.items);
    free(options->constraint.items);
    free(options->metadata.items);
    *options = (struct options){ .command = COMMAND_COUNT };
}

static void
help_option(const struct options_spec *spec, struct buf *out)
{
    size_t start = out->bytes;

    buf_add_str(out, "  ");
    if (spec->letter)
        buf_addf(out, "-%c, ", spec->letter);
    buf_addf(out, "--%s", spec->name);
    if (spec->argument)
        buf_addf(out, " %s", spec->argument);
    buf_addf(out, "%*s%s\n",
             out->bytes - start < HELP_COLUMN - 1
                 ? (int)(HELP_COLUMN - (out->bytes - start))
                 : 1,
             "", spec->sentence);
}

void
options_help(enum command_id command, struct buf *out)
{
    if (command == COMMAND_COUNT) {
        buf_add_str(out, "usage: sheaf COMMAND [OPTION...] [ARGUMENT...]\n\n");
        for (size_t i = 0; i < COMMAND_COUNT; i++) {
            buf_addf(out, "  %-14s%s\n", commands[i].name,
                     commands[i].sentence);
        }
        buf_add_str(out, "\n`sheaf COMMAND --help` tells the options of a "
                         "command; so does the manual, sheaf(1).\n");
        return;
    }
    buf_addf(out, "usage: sheaf %s [OPTION...]%s%s\n\n%s\n\n",
             commands[command].name, *commands[command].arguments ? " " : "",
             commands[command].arguments, commands[command].sentence);
    for (size_t i = 0; i < SPEC_COUNT; i++) {
        if (specs[i].commands & 1u << command)
            help_option(&specs[i], out);
    }
}
