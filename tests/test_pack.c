/* SPDX-License-Identifier: MIT */
#include "base/pack.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/pack_dictionary.h"

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

/* ---- with a dictionary ---- */

#define REPLY                                                           \
    "{\"id\":\"chatcmpl-Bx7QpL0aZ4\",\"object\":\"chat.completion\","   \
    "\"created\":1764230400,\"model\":\"m\",\"choices\":[{\"index\":0," \
    "\"message\":{\"role\":\"assistant\",\"content\":\"%.*s\","         \
    "\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}]," \
    "\"usage\":{\"prompt_tokens\":312,\"completion_tokens\":150,"       \
    "\"total_tokens\":462},\"service_tier\":\"default\"}"
#define SENTENCE "The batch was sealed late, so its drafts went out by night. "

static void
fill_reply(int sentences)
{
    struct buf content = { 0 };

    for (int i = 0; i < sentences; i++)
        buf_addf(&content, "%d: " SENTENCE, i);
    buf_reset(&text);
    buf_addf(&text, REPLY, (int)content.bytes, content.data);
    buf_fini(&content);
}

Test(pack, makes_a_short_reply_shorter_with_the_dictionary, .init = set_up,
     .fini = tear_down)
{
    size_t without, with;

    fill_reply(4);
    cr_assert_geq(text.bytes, PACK_BYTES_MIN);
    without = there_and_back("without");
    packer_set_dictionary(packer, PACK_DICTIONARY);
    with = there_and_back("with");
    cr_expect_lt(with * 3, without * 2, "%zu of %zu", with, without);
    packer_set_dictionary(packer, PACK_DICTIONARY + 1);
    cr_expect_eq(there_and_back("with one that nobody knows"), without);
    fill_reply(200);
    without = there_and_back("a long one without");
    packer_set_dictionary(packer, PACK_DICTIONARY);
    cr_expect_eq(there_and_back("a long one"), without);
}

/* Whoever opens it knows all dictionaries. */
Test(pack, opens_what_others_packed_with_the_dictionary, .init = set_up,
     .fini = tear_down)
{
    struct packer *other = packer_new();
    struct slice got;

    packer_set_dictionary(other, PACK_DICTIONARY);
    fill_reply(4);
    pack_add(other, buf_slice(&text), &packed);
    cr_assert_eq(pack_open(packer, buf_slice(&packed), &out, &got), 0);
    cr_expect(slice_equal(got, buf_slice(&text)));
    for (size_t bytes = 4; bytes < packed.bytes; bytes++) {
        cr_expect_eq(
            pack_open(packer, (struct slice){ packed.data, bytes }, &out, &got),
            E_CORRUPT, "cut to %zu", bytes);
    }
    /* The number stands behind magic and descriptor, the low byte first. */
    cr_assert_eq((unsigned char)packed.data[5], PACK_DICTIONARY & 0xff);
    packed.data[5]++;
    cr_expect_eq(pack_open(packer, buf_slice(&packed), &out, &got), E_CORRUPT,
                 "a dictionary that nobody knows");
    packer_free(other);
}

/* Stores have frames that nothing else opens. */
Test(pack, has_the_dictionary_that_it_always_had)
{
    unsigned char digest[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];

    digest_of(pack_dictionary, PACK_DICTIONARY_BYTES, digest);
    digest_hex(digest, hex);
    cr_expect_str_eq(
        hex,
        "c4ef6aad029f26ee18ee6ccf8587b8b4e9306f52e711b29395a0969f66ca4ba9");
}
