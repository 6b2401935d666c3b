/* SPDX-License-Identifier: MIT */
#include "submit/options.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "submit/progress.h"

#define MANUAL     "submit/sheaf.1"
#define COMPLETION "submit/sheaf.bash"
#define WORD_MAX   16

/* Parses a command line given as one string of words. */
static int
parse(struct options *options, char *line, struct err *err)
{
    static char program[] = "sheaf";
    char *argv[WORD_MAX + 2] = { program };
    int argc = 1;

    while (*line && argc <= WORD_MAX) {
        size_t bytes = strcspn(line, " ");

        argv[argc++] = line;
        line += bytes;
        if (*line)
            *line++ = '\0';
    }
    return options_parse(options, argc, argv, err);
}

Test(options, may_stand_anywhere)
{
    char lines[][64] = { "submit --goal G --json -C d a b",
                         "--goal=G submit a --json b -Cd", "a --json" };
    struct options options;
    struct err err;

    for (int i = 0; i < 2; i++) {
        cr_assert_eq(parse(&options, lines[i], &err), 0, "%s", err.msg);
        cr_assert_eq(options.command, COMMAND_SUBMIT);
        cr_assert_str_eq(options.goal, "G");
        cr_assert_str_eq(options.directory, "d");
        cr_assert(options.json);
        cr_assert_eq(options.arguments.count, 2);
        cr_assert_str_eq(options.arguments.items[0], "a");
        cr_assert_str_eq(options.arguments.items[1], "b");
        options_fini(&options);
    }
    cr_assert_eq(parse(&options, lines[2], &err), E_USAGE);
    cr_assert(options.json, "an error is reported as JSON too");
    options_fini(&options);
}

Test(options, end_at_two_dashes)
{
    char line[] = "submit -- --goal -";
    struct options options;

    cr_assert_eq(parse(&options, line, NULL), 0);
    cr_assert_null(options.goal);
    cr_assert_eq(options.arguments.count, 2);
    cr_assert_str_eq(options.arguments.items[0], "--goal");
    cr_assert_str_eq(options.arguments.items[1], "-");
    options_fini(&options);
}

Test(options, have_defaults_and_values)
{
    char bare[] = "wait b", full[] = "run f --priority 3 --input text "
                                     "--progress never --constraint a "
                                     "--constraint b --temperature -0.5e1";
    struct options options;

    cr_assert_eq(parse(&options, bare, NULL), 0);
    cr_assert_eq(options.priority, 1);
    cr_assert_eq(options.timeout_s, -1);
    cr_assert_eq(options.after, -1);
    cr_assert_eq(options.progress, PROGRESS_AUTO);
    options_fini(&options);
    cr_assert_eq(parse(&options, full, NULL), 0);
    cr_assert_eq(options.priority, 3);
    cr_assert_eq(options.input, 3);
    cr_assert_eq(options.progress, PROGRESS_NEVER);
    cr_assert_eq(options.constraint.count, 2);
    cr_assert_str_eq(options.constraint.items[1], "b");
    cr_assert_str_eq(options.temperature, "-0.5e1");
    options_fini(&options);
}

Test(options, wrong_ones_are_refused_by_name)
{
    static const struct {
        const char *line, *want;
    } cases[] = {
        { "submit --foo", "there is no option --foo" },
        { "submit --goa x", "there is no option --goa" },
        { "submit -x", "there is no option -x" },
        { "list --goal x", "sheaf list has no option --goal" },
        { "--goal x list", "sheaf list has no option --goal" },
        { "submit --goal", "--goal wants TEXT" },
        { "submit --early=1", "--early takes no value" },
        { "submit --priority 4",
          "--priority: '4' is not a number from 0 to 3" },
        { "submit --priority -1",
          "--priority: '-1' is not a number from 0 to 3" },
        { "submit --priority 1x",
          "--priority: '1x' is not a number from 0 to 3" },
        { "submit --priority 99999999999999999999",
          "--priority: '99999999999999999999' is not a number from 0 to 3" },
        { "submit --temperature 0x1", "--temperature: '0x1' is not a number" },
        { "submit --temperature true",
          "--temperature: 'true' is not a number" },
        { "submit --input csv",
          "--input: 'csv' is none of auto|jsonl|openai|text" },
        { "submit --input jso", "--input: 'jso' is none of "
                                "auto|jsonl|openai|text" },
        { "export --cursor-file=", "--cursor-file: must not be empty" },
        { "run --output= x", "--output: must not be empty" },
        { "list --directory=", "--directory: must not be empty" },
        { "frobnicate", "there is no command 'frobnicate'" },
        { "", "no command; see sheaf --help" },
        { "--json", "no command; see sheaf --help" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct options options;
        struct err err = { 0 };
        char line[64];

        cr_assert(snprintf(line, sizeof(line), "%s", cases[i].line) >= 0);
        cr_assert_eq(parse(&options, line, &err), E_USAGE, "%s", cases[i].line);
        cr_assert_str_eq(err.msg, cases[i].want);
        options_fini(&options);
    }
}

/* The whole file, or the test cannot say anything. */
static void
read_source(const char *path, struct buf *out)
{
    FILE *file = fopen(path, "r");
    int c;

    cr_assert(file, "%s is read from the root of the sources", path);
    while ((c = fgetc(file)) != EOF)
        buf_add_char(out, (char)c);
    cr_assert_eq(fclose(file), 0);
}

Test(options, each_stands_in_the_manual)
{
    struct buf manual = { 0 }, item = { 0 };
    const struct options_spec *specs;
    size_t count;

    read_source(MANUAL, &manual);
    specs = options_specs(&count);
    for (size_t i = 0; i < count; i++) {
        buf_reset(&item);
        buf_add_str(&item, "\n.It ");
        if (specs[i].letter)
            buf_addf(&item, "Fl %c , ", specs[i].letter);
        buf_addf(&item, "Fl -%s%s", specs[i].name,
                 specs[i].argument ? " Ar" : "\n");
        cr_assert(strstr(manual.data, item.data), "no item '%s'",
                  item.data + 1);
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        buf_reset(&item);
        buf_addf(&item, "\n.It Cm %s",
                 options_command((enum command_id)i)->name);
        cr_assert(strstr(manual.data, item.data), "no item '%s'",
                  item.data + 1);
    }
    buf_fini(&manual);
    buf_fini(&item);
}

/* --help shows a name in place of the words. */
Test(options, words_of_each_choice_are_completed)
{
    struct buf completion = { 0 };
    const struct options_spec *specs;
    size_t count, choices = 0;

    read_source(COMPLETION, &completion);
    specs = options_specs(&count);
    for (size_t i = 0; i < count; i++) {
        struct buf row = { 0 };

        if (!specs[i].choices)
            continue;
        choices++;
        buf_addf(&row, "\n    sheaf\\ --%s) echo ", specs[i].name);
        for (const char *at = specs[i].choices; *at; at++)
            buf_add_char(&row, *at == '|' ? ' ' : *at);
        buf_add_str(&row, " ;;\n");
        cr_expect(strstr(completion.data, row.data), "no row '%s'",
                  row.data + 1);
        buf_fini(&row);
    }
    cr_expect_gt(choices, 3);
    buf_fini(&completion);
}

Test(options, help_names_each_option_of_a_command_and_no_other)
{
    const struct options_spec *specs;
    size_t count;

    specs = options_specs(&count);
    for (unsigned id = 0; id < COMMAND_COUNT; id++) {
        struct buf help = { 0 };

        options_help((enum command_id)id, &help);
        for (size_t i = 0; i < count; i++) {
            struct buf name = { 0 };
            bool is_there;

            buf_addf(&name, "--%s ", specs[i].name);
            is_there = strstr(help.data, name.data) != NULL;
            cr_assert_eq(is_there, (specs[i].commands >> id & 1) == 1,
                         "%s of %s", specs[i].name,
                         options_command((enum command_id)id)->name);
            buf_fini(&name);
        }
        buf_fini(&help);
    }
}

Test(progress, is_one_line_of_numbers_that_fits)
{
    struct progress progress = { .start_ms = 1000, .start_done = 10 };
    struct progress_counts counts = {
        .total = 200, .done = 60, .cached = 5, .joined = 4, .fallbacks = 3
    };
    struct buf line = { 0 };

    progress_draw(&progress, &counts, 6000, 100, &line);
    cr_assert_str_eq(line.data,
                     "[=========>                    ]  60/200  30%  10/s  "
                     "14 s left  cached 5  joined 4  fallbacks 3");
    for (size_t columns = 1; columns < 120; columns++) {
        buf_reset(&line);
        progress_draw(&progress, &counts, 6000, columns, &line);
        cr_assert_leq(line.bytes, columns);
    }
    buf_fini(&line);
}

Test(progress, is_drawn_at_most_five_times_a_second)
{
    struct progress progress = { .is_shown = true,
                                 .is_terminal = true,
                                 .drawn_ms = 1000 };

    cr_assert(!progress_is_due(&progress, 1199));
    cr_assert(progress_is_due(&progress, 1200));
    progress.is_shown = false;
    cr_assert(!progress_is_due(&progress, 99999));
}
