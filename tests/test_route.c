/* SPDX-License-Identifier: MIT */
#include "base/route.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "base/model_map.h"

static struct conf conf;

static void
set_up(void)
{
    static char *names[] = { "openai", "azure", "lan" };

    conf_init(&conf);
    for (size_t i = 0; i < 3; i++)
        conf.upstreams[i].name = names[i];
    conf.upstream_count = 3;
}

static void
tear_down(void)
{
    conf.upstream_count = 0; /* their names are not on the heap */
    conf_fini(&conf);
}

Test(route, is_a_set_in_the_order_of_names, .init = set_up, .fini = tear_down)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "openai", "openai" },
        { "openai,azure", "azure,openai" },
        { "azure,openai", "azure,openai" },
        { " lan ,  openai,azure ", "azure,lan,openai" },
        { "local", "local" },
        { " local ", "local" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = { 0 };
        struct buf text = { 0 };
        struct route route;

        cr_assert_eq(route_parse(&conf, slice_of(cases[i].text), &route, &err),
                     0, "%s: %s", cases[i].text, err.msg);
        route_text(&conf, &route, &text);
        cr_expect_str_eq(text.data, cases[i].want);
        cr_expect(route_recall(&conf, text.data, &route));
        buf_fini(&text);
    }
}

Test(route, what_is_no_route_is_refused_with_the_reason, .init = set_up,
     .fini = tear_down)
{
    static const struct {
        const char *text;
        int code;
        const char *words;
    } cases[] = {
        { "", E_NOTFOUND, "no upstream \"\"" },
        { "openai,", E_NOTFOUND, "no upstream \"\"" },
        { ",openai", E_NOTFOUND, "no upstream \"\"" },
        { "openai,groq", E_NOTFOUND, "no upstream \"groq\"" },
        { "openai,openai", E_INVALID, "\"openai\" stands twice" },
        { "openai,local", E_INVALID, "local goes with no other" },
        { "local,local", E_INVALID, "local goes with no other" },
        { "openai azure", E_NOTFOUND, "\"openai azure\"" },
    };
    char longer[ROUTE_BYTES_MAX + 2];
    struct route route;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = { 0 };

        cr_expect_eq(route_parse(&conf, slice_of(cases[i].text), &route, &err),
                     cases[i].code, "%s", cases[i].text);
        cr_expect(strstr(err.msg, cases[i].words), "%s: %s", cases[i].text,
                  err.msg);
    }
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    cr_expect_eq(route_parse(&conf, slice_of(longer), &route, NULL), E_TOOBIG);
}

Test(route, the_default_is_as_configured, .init = set_up, .fini = tear_down)
{
    struct err err = { 0 };
    struct route route;

    route_default(&conf, &route);
    cr_expect_eq(route.count, 1);
    cr_expect(route_has(&route, 0));
    cr_assert_eq(conf_set(&conf, "route", "lan, azure", &err), 0, "%s",
                 err.msg);
    route_default(&conf, &route);
    cr_expect_eq(route.count, 2);
    cr_expect_not(route_has(&route, 0));
    conf.upstream_count = 0;
    free(conf.route);
    conf.route = NULL;
    route_default(&conf, &route);
    cr_expect_eq(route.count, 0, "the sampler");
}

Test(route, what_has_left_the_configuration_is_left_out, .init = set_up,
     .fini = tear_down)
{
    struct route route;

    cr_expect(route_recall(&conf, "azure,gone", &route));
    cr_expect_eq(route.count, 1);
    cr_expect_not(route_recall(&conf, "gone", &route));
    cr_expect_not(route_recall(&conf, "", &route));
}

Test(route, resorts_have_names)
{
    cr_expect_eq(route_resort(slice_of("wait")), RESORT_WAIT);
    cr_expect_eq(route_resort(slice_of("essence")), RESORT_ESSENCE);
    cr_expect_eq(route_resort(slice_of("local")), RESORT_LOCAL);
    cr_expect_eq(route_resort(slice_of("")), -1);
    cr_expect_eq(route_resort(slice_of("WAIT")), -1);
}

Test(route, a_model_has_another_name_elsewhere)
{
    struct slice list = slice_of("gpt-4o = llama3,gpt-4o-mini=llama3-8b"),
                 model;
    struct err err = { 0 };

    cr_expect_eq(model_map_check(list, &err), 0, "%s", err.msg);
    cr_expect(slice_is(model_map_find(list, slice_of("gpt-4o")), "llama3"));
    cr_expect(
        slice_is(model_map_find(list, slice_of("gpt-4o-mini")), "llama3-8b"));
    cr_expect(slice_is(model_map_find(list, slice_of("gpt-4")), "gpt-4"));
    cr_expect(slice_is(model_map_find(slice_of(""), slice_of("m")), "m"));
    cr_assert(model_map_next(&list, &model));
    cr_expect(slice_is(model, "gpt-4o"));
    cr_assert(model_map_next(&list, &model));
    cr_expect(slice_is(model, "gpt-4o-mini"));
    cr_expect(!model_map_next(&list, &model));
}

Test(route, what_is_no_map_is_refused)
{
    static const char *const bad[] = { "gpt-4o",   "=llama3", "gpt-4o=",
                                       "a=b,,c=d", "a=b,c",   " = " };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = { 0 };

        cr_expect_eq(model_map_check(slice_of(bad[i]), &err), E_INVALID, "%s",
                     bad[i]);
        cr_expect(strstr(err.msg, "model=name"), "%s", err.msg);
    }
}
