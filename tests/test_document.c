/* SPDX-License-Identifier: MIT */
#include "base/utf8.h"
#include "worker/document.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct text_rules *
open_rules(void)
{
    struct text_rules *rules = text_rules_new(NULL);

    cr_assert_not_null(rules);
    return rules;
}

/* Puts the sentences into `out`, each with a bar behind it; lines, where there
 * is no sentence, with a question mark. */
static void
join(const struct document *document, struct buf *out)
{
    buf_reset(out);
    buf_reserve(out, 0);
    for (size_t i = 0; i < document->count; i++) {
        buf_add_slice(out, document_sentence(document, i));
        buf_add_char(out, document->has_sentences ? '|' : '?');
    }
}

Test(document, is_taken_apart_into_sentences)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "", "" },
        { " \n\n\t", "" },
        { "-----\n=====", "" },
        { "One is here. Two is there.", "One is here.|Two is there.|" },
        /* Wrapped lines, paragraphs, line ends. */
        { "A sentence goes\n  on   here. And\tends\r\nhere.",
          "A sentence goes on here.|And ends here.|" },
        { "A first one\r\rgoes not on there. This does so.",
          "goes not on there.|This does so.|" },
        { "The title\n\nThe text is here.", "The text is here.|" },
        { "The title\n=========\nThe text is here.", "The text is here.|" },
        { "# A heading is closed.\nThe text is here.", "The text is here.|" },
        { "A Title With Capitals.\n\nThe text is here.", "The text is here.|" },
        { "7. Conveying Source Forms. You may convey it.",
          "You may convey it.|" },
        { "1.2. You may convey it.", "You may convey it.|" },
        { "12\n\nThe text is here.\n\n13", "The text is here.|" },
        { "Items follow here:\n- the first one\n- This is a sentence.\n* the "
          "third",
          "This is a sentence.|" },
        { "You may do this:\n1) You may copy it.\n2) You may sell it.",
          "You may copy it.|You may sell it.|" },
        { "as defined in section\n3. It goes on here then.",
          "as defined in section 3.|It goes on here then.|" },
        { "> Quoted text goes\n> on here.", "Quoted text goes on here.|" },
        { "Yes. No. This one counts.", "This one counts.|" },
        /* Abbreviations end no sentence. */
        { "I met Mr. Smith there. He left.", "I met Mr. Smith there.|" },
        { "It was John F. Kennedy then.", "It was John F. Kennedy then.|" },
        { "We need more vitamin C. The rest is fine.",
          "We need more vitamin C.|The rest is fine.|" },
        /* Scripts. */
        { "Это первое предложение. А это второе.",
          "Это первое предложение.|А это второе.|" },
        { "这是第一句话。这是第\n二句话！", "这是第一句话。|这是第二句话！|" },
        { "これは最初の文です。これは次の文です。",
          "これは最初の文です。|これは次の文です。|" },
        { "هذه هي الجملة الأولى. وهذه هي الثانية؟",
          "هذه هي الجملة الأولى.|وهذه هي الثانية؟|" },
        { "ภาษาไทยไม่มีจุดท้ายประโยค", "ภาษาไทยไม่มีจุดท้ายประโยค|" },
        { "It is \xFF bad here.", "It is \xEF\xBF\xBD bad here.|" },
        /* No sentence: the lines. */
        { "just a few words", "just a few words?" },
        { "apples\n\npears\n\n1", "apples?pears?" },
        { "12345", "12345?" },
        { "1.\n\nfoo", "foo?" },
        { "😀😀", "😀😀?" },
    };
    struct text_rules *rules = open_rules();
    struct document document;
    struct buf out = { 0 };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        document_init(&document, rules, slice_of(cases[i].text));
        join(&document, &out);
        cr_expect(slice_is(buf_slice(&out), cases[i].want),
                  "%s: got %s, want %s", cases[i].text, out.data,
                  cases[i].want);
        document_fini(&document);
    }
    buf_fini(&out);
    text_rules_free(rules);
}

Test(document, counts_words_characters_and_parts)
{
    static const struct {
        const char *text;
        size_t words, characters, parts;
    } cases[] = {
        { "One two three.", 3, 14, 1 },
        { "A well-known and/or case.", 6, 25, 1 }, /* by Unicode */
        { "One -- two -- three.", 5, 20, 1 },      /* between blanks */
        { "I met Dr. No there.", 5, 19, 2 },
        { "北京是中国的首都。", 5, 9, 1 },
    };
    struct text_rules *rules = open_rules();
    struct document document;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct sentence *got;

        document_init(&document, rules, slice_of(cases[i].text));
        cr_assert_eq(document.count, 1, "%s", cases[i].text);
        got = &document.sentences[0];
        cr_expect(got->words == cases[i].words &&
                      got->characters == cases[i].characters &&
                      got->parts == cases[i].parts,
                  "%s: got %zu, %zu, %zu", cases[i].text, got->words,
                  got->characters, got->parts);
        document_fini(&document);
    }
    text_rules_free(rules);
}

Test(document, keeps_the_first_thousand_sentences)
{
    struct text_rules *rules = open_rules();
    struct document document;
    struct buf text = { 0 };

    for (int i = 0; i < 1500; i++)
        buf_addf(&text, "This is number %d.%s", i, i % 7 ? " " : "\n\n");
    document_init(&document, rules, buf_slice(&text));
    cr_assert_eq(document.count, DOCUMENT_SENTENCES_MAX);
    cr_assert(
        slice_is(document_sentence(&document, 999), "This is number 999."));
    document_fini(&document);

    buf_reset(&text);
    for (int i = 0; i < 1500; i++)
        buf_addf(&text, "line %d\n\n", i);
    document_init(&document, rules, buf_slice(&text));
    cr_assert_eq(document.count, DOCUMENT_LINES_MAX);
    document_fini(&document);
    buf_fini(&text);
    text_rules_free(rules);
}

Test(document, survives_any_bytes)
{
    static const char pieces[] = "ab. \n-#>1)(.\r\t!A\xE4\xB8\x80\xFF\xC3:;*";
    struct text_rules *rules = open_rules();
    struct document document;
    char bytes[200];

    srand(5);
    for (int round = 0; round < 5000; round++) {
        struct slice text = { bytes, (size_t)rand() % sizeof(bytes) };

        for (size_t i = 0; i < text.bytes; i++)
            bytes[i] = pieces[(size_t)rand() % sizeof(pieces)]; /* NUL, too */
        document_init(&document, rules, text);
        cr_assert(utf8_is_valid(buf_slice(&document.text)));
        for (size_t i = 0; i < document.count; i++)
            cr_assert_gt(document_sentence(&document, i).bytes, 0);
        document_fini(&document);
    }
    text_rules_free(rules);
}
