/* SPDX-License-Identifier: MIT */
#include "base/pack.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

TestSuite(pack, .timeout = 30);

static struct packer *packer;
static struct buf text, packed, out;

static void
set_up(void)
{
    packer = packer_new();
}

static void
tear_down(void)
{
    packer_free(packer);
    buf_fini(&text);
    buf_fini(&packed);
    buf_fini(&out);
}

/* Packs `text` and opens that again; the length that it had between. */
static size_t
there_and_back(const char *what)
{
    struct slice got;

    buf_reset(&packed);
    pack_add(packer, buf_slice(&text), &packed);
    cr_assert_eq(pack_open(packer, buf_slice(&packed), &out, &got), 0, "%s",
                 what);
    cr_assert(slice_equal(got, buf_slice(&text)), "%s: is another", what);
    return packed.bytes;
}

static void
fill(size_t bytes, bool is_random)
{
    buf_reset(&text);
    for (size_t i = 0; i < bytes; i++)
        buf_add_char(&text, is_random ? (char)rand() : "the cat "[i % 8]);
}

Test(pack, gives_back_what_it_was_given, .init = set_up, .fini = tear_down)
{
    static const size_t sizes[] = { 0,    1,     3,      4,      1023,
                                    1024, 40000, 131073, 3000000 };

    srand(7);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        fill(sizes[i], true);
        cr_expect_eq(there_and_back("random"), sizes[i]);
        fill(sizes[i], false);
        cr_expect(there_and_back("repeated") <
                  (sizes[i] < PACK_BYTES_MIN ? sizes[i] + 1 : sizes[i] / 4));
    }
}

/* What looks as if it were packed is packed, at any length. */
Test(pack, takes_no_text_for_a_packed_one, .init = set_up, .fini = tear_down)
{
    buf_add_str(&text, "\x28\xb5\x2f\xfd");
    there_and_back("four bytes");
    buf_add_str(&text, " and more");
    there_and_back("a short text");
    pack_add(packer, (struct slice){ "the cat the cat ", 16 }, &text);
    there_and_back("another");
    fill(5000, false);
    there_and_back("once");
    buf_reset(&text);
    buf_add_slice(&text, buf_slice(&packed));
    there_and_back("twice");
}

Test(pack, tells_how_long_a_text_was, .init = set_up, .fini = tear_down)
{
    fill(5000, false);
    cr_expect_eq(pack_bytes(buf_slice(&text)), -1, "it is not packed");
    pack_add(packer, buf_slice(&text), &packed);
    cr_expect_eq(pack_bytes(buf_slice(&packed)), 5000);
    packed.bytes = 5;
    cr_expect_eq(pack_bytes(buf_slice(&packed)), -1, "it does not say");
    cr_expect_eq(pack_bytes((struct slice){ 0 }), -1);
}

Test(pack, finds_what_is_damaged, .init = set_up, .fini = tear_down)
{
    struct slice got;

    fill(5000, false);
    pack_add(packer, buf_slice(&text), &packed);
    for (size_t bytes = 4; bytes < packed.bytes; bytes++) {
        cr_expect_eq(
            pack_open(packer, (struct slice){ packed.data, bytes }, &out, &got),
            E_CORRUPT, "cut to %zu", bytes);
    }
    buf_add_char(&packed, 'x');
    cr_expect_eq(pack_open(packer, buf_slice(&packed), &out, &got), E_CORRUPT);
}
