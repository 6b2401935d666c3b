/* SPDX-License-Identifier: MIT */
#include "queue/gather.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/mem.h"

TestSuite(gather, .timeout = 30);

#define MANY 1000

static struct conf conf;
static struct recipe recipe;
static struct line line;
static struct gathering gathering;

static void
add_upstream(const char *name)
{
    struct conf_upstream upstream = {
        .name = mem_dup_str(name),
        .base_url = mem_dup_str("https://api.example/v1"),
        .path = mem_dup_str("/chat/completions"),
    };

    conf.upstreams[conf.upstream_count++] = upstream;
}

static void
set_up(void)
{
    struct line_fault fault;

    conf_init(&conf);
    add_upstream("one");
    add_upstream("two");
    cr_assert_eq(recipe_read(&recipe, &conf,
                             slice_of("{\"goal\":\"Summarize\"}"), &fault),
                 0);
}

static void
tear_down(void)
{
    gather_fini(&gathering);
    recipe_fini(&recipe);
    line_fini(&line);
    conf_fini(&conf);
}

static void
gather(const char *body)
{
    gather_reset(&gathering);
    gathering.conf = &conf;
    gathering.recipe = &recipe;
    gathering.line = &line;
    gather_measure(&gathering, slice_of(body));
    gather_lines(&gathering, slice_of(body));
}

static void
expect_fault(size_t nth, uint32_t n, const char *code)
{
    cr_assert_lt(nth, gathering.fault_count);
    cr_expect_eq(gathering.faults[nth].n, n, "got %u", gathering.faults[nth].n);
    cr_expect_str_eq(gathering.faults[nth].fault.code, code);
}

Test(gather, makes_each_line_a_draft_or_a_fault, .init = set_up,
     .fini = tear_down)
{
    const char *body = "{\"id\":\"a\",\"text\":\"x\"}\n"
                       "\n"
                       "{\"id\":\"b\",\"text\":\"y\",\"metadata\":{\"k\":1}}\n"
                       "{\"id\":\"c\"}\n"
                       "{\"id\":\"de\",\"text\":\"x\"}";
    const struct new_draft *drafts;

    gather(body);
    cr_expect(gather_is_whole(&gathering));
    cr_expect_eq(gathering.line_count, 5);
    cr_assert_eq(gathering.fault_count, 2);
    expect_fault(0, 1, "refused_by_client");
    expect_fault(1, 3, "missing_field");
    cr_assert_eq(gathering.count, 3);
    drafts = gathering.drafts;
    cr_expect_eq(drafts[0].draft.index, 0);
    cr_expect_eq(drafts[1].draft.index, 2);
    cr_expect_eq(drafts[2].draft.index, 4);
    cr_expect_eq(memcmp(body + drafts[1].draft.at, "{\"id\":\"b\"", 9), 0);
    cr_expect_eq(memcmp(body + drafts[1].draft.at + drafts[1].draft.meta_at,
                        "{\"k\":1}", drafts[1].draft.meta_bytes),
                 0);
    cr_expect_eq(drafts[0].draft.meta_bytes, 0);
    cr_expect_eq(memcmp(drafts[0].key, drafts[2].key, DIGEST_BYTES), 0);
    cr_expect_neq(memcmp(drafts[0].key, drafts[1].key, DIGEST_BYTES), 0);
    cr_expect_str_eq(gathering.ids.data, "abde");
    cr_expect_eq(drafts[2].id.bytes, 2);
}

Test(gather, measures_what_it_does_not_read, .init = set_up, .fini = tear_down)
{
    unsigned char digest[DIGEST_BYTES];
    struct slice body = slice_of("a\n\nb");

    digest_of(body.data, body.bytes, digest);
    gather_measure(&gathering, body);
    cr_expect_eq(gathering.line_count, 3);
    cr_expect_eq(memcmp(gathering.digest, digest, sizeof(digest)), 0);
    cr_expect_not(gather_is_whole(&gathering));
    gather_reset(&gathering);
    gather_measure(&gathering, slice_of(""));
    cr_expect_eq(gathering.line_count, 0);
    cr_expect_not(gather_is_whole(&gathering), "there is nothing");
}

Test(gather, gives_each_draft_its_route, .init = set_up, .fini = tear_down)
{
    gather("{\"id\":\"a\",\"text\":\"x\"}\n"
           "{\"id\":\"b\",\"text\":\"x\"}\n"
           "{\"id\":\"c\",\"text\":\"x\",\"upstream\":\"two,one\"}\n"
           "{\"id\":\"d\",\"text\":\"x\"}\n");
    cr_assert_eq(gathering.count, 4);
    cr_expect_str_eq(gathering.drafts[0].route, "one");
    cr_expect_str_eq(gathering.drafts[2].route, "one,two");
    cr_expect_str_eq(gathering.drafts[3].route, "one");
    cr_expect_eq(gathering.drafts[0].route, gathering.drafts[1].route,
                 "neighbours share it");
}

static bool
fits_b(void *context, const struct line *read, struct line_fault *fault)
{
    (void)context;
    if (!slice_is(buf_slice(&read->id), "b"))
        return true;
    *fault = (struct line_fault){ .code = "ours" };
    return false;
}

Test(gather, lets_its_caller_refuse_a_line, .init = set_up, .fini = tear_down)
{
    struct slice a = slice_of("{\"id\":\"a\",\"text\":\"x\"}");
    struct slice b = slice_of("{\"id\":\"b\",\"text\":\"x\"}");
    struct line_fault fault;

    gathering.conf = &conf;
    gathering.recipe = &recipe;
    gathering.line = &line;
    gathering.fits = fits_b;
    cr_expect(gather_line(&gathering, a, a, &fault));
    cr_expect_not(gather_line(&gathering, b, b, &fault));
    cr_expect_str_eq(fault.code, "ours");
    cr_expect_eq(gathering.count, 1);
    expect_fault(0, 1, "ours");
}

/* Far more than is kept, so that all lists grow, and shrink again. */
Test(gather, is_used_again_and_keeps_little, .init = set_up, .fini = tear_down)
{
    struct buf body = { 0 };

    for (int i = 0; i < MANY; i++) {
        buf_addf(&body,
                 "{\"id\":\"%d\",\"text\":\"x\",\"upstream\":\"%s\"}\n{}\n", i,
                 i % 2 ? "one" : "two");
    }
    gather(body.data);
    cr_assert_eq(gathering.count, MANY);
    cr_assert_eq(gathering.fault_count, MANY);
    for (size_t i = 0; i < MANY; i++) {
        cr_assert_eq(gathering.drafts[i].draft.index, 2 * i);
        cr_assert_str_eq(gathering.drafts[i].route, i % 2 ? "one" : "two");
        expect_fault(i, (uint32_t)(2 * i + 1), "missing_field");
    }
    gather_reset(&gathering);
    cr_expect_eq(gathering.capacity, 0);
    cr_expect_eq(gathering.fault_capacity, 0);
    cr_expect_eq(gathering.ids.bytes, 0);
    gather("{\"id\":\"a\",\"text\":\"x\"}\n");
    cr_assert_eq(gathering.count, 1);
    cr_expect_eq(gathering.fault_count, 0);
    cr_expect_str_eq(gathering.ids.data, "a");
    gather_reset(&gathering);
    cr_expect_gt(gathering.capacity, 0, "a usual chunk allocates nothing");
    buf_fini(&body);
}

Test(gather, takes_lines_off_a_body)
{
    struct slice rest = slice_of("a\n\nbc");

    cr_expect_eq(gather_count_lines(rest), 3);
    cr_expect(slice_is(slice_take_line(&rest), "a"));
    cr_expect(slice_is(slice_take_line(&rest), ""));
    cr_expect(slice_is(slice_take_line(&rest), "bc"));
    cr_expect_eq(rest.bytes, 0);
}
