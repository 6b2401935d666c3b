/* SPDX-License-Identifier: MIT */
#include "worker/terms.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/stopwords.h"
#include "base/utf8.h"

#define STEM_LETTERS   6 /* of a word; what is behind is an ending */
#define PLURAL_LETTERS 4 /* from here on a final s is one, too */
#define RANK_ROUNDS    20
#define RANK_DAMPING   0.85
#define LIKENESS_MIN   1e-6 /* less is a rounding error, and 0 */
#define SLOTS_FIRST    1024
#define NO_ROW         SIZE_MAX

struct term {
    uint64_t hash; /* stands for the spelling */
    size_t rows;   /* that have it */
    size_t last_row;
    size_t last_entry; /* its entry in that row */
    double weight;     /* how rare it is */
    double value;      /* of the vector that rows are multiplied with */
};

struct entry {
    size_t term;
    double weight;
};

struct terms {
    struct text_rules *rules; /* borrowed */
    enum terms_kind kind;
    unsigned languages;
    struct buf folded;
    struct term *list;
    size_t count, capacity;
    size_t *slots; /* hash table: places in `list` plus one */
    size_t slot_count;
    struct entry *entries; /* all rows, one after the other */
    size_t entry_count, entry_capacity;
    size_t *ends; /* where each row ends in `entries` */
    size_t row_count, row_capacity;
};

/* The list with room for one more. */
static void *
grow(void *list, size_t count, size_t *capacity, size_t bytes)
{
    if (count < *capacity)
        return list;
    *capacity = *capacity * 2 + 64;
    return mem_grow(list, *capacity, bytes);
}

static size_t
row_start(const struct terms *terms, size_t row)
{
    return row ? terms->ends[row - 1] : 0;
}

static uint64_t
hash_add(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9E3779B97F4A7C15U;
    return hash ^ hash >> 29;
}

/* The slot where the term is, or where it would go. */
static size_t *
find_slot(struct terms *terms, uint64_t hash)
{
    size_t at = hash & (terms->slot_count - 1);

    while (terms->slots[at] && terms->list[terms->slots[at] - 1].hash != hash) {
        at = (at + 1) & (terms->slot_count - 1);
    }
    return &terms->slots[at];
}

static void
grow_slots(struct terms *terms)
{
    if (terms->count * 2 < terms->slot_count)
        return;
    free(terms->slots);
    terms->slot_count *= 2;
    terms->slots = mem_zalloc(terms->slot_count, sizeof(terms->slots[0]));
    for (size_t i = 0; i < terms->count; i++)
        *find_slot(terms, terms->list[i].hash) = i + 1;
}

/* Counts a term of the row that is being added. */
static void
count_term(struct terms *terms, uint64_t hash)
{
    size_t *slot = find_slot(terms, hash), row = terms->row_count;
    struct term *term;

    if (*slot == 0) {
        terms->list = grow(terms->list, terms->count, &terms->capacity,
                           sizeof(terms->list[0]));
        terms->list[terms->count++] =
            (struct term){ .hash = hash, .last_row = NO_ROW };
        *slot = terms->count;
    }
    term = &terms->list[*slot - 1];
    if (term->last_row == row) {
        terms->entries[term->last_entry].weight += 1;
        return;
    }
    terms->entries = grow(terms->entries, terms->entry_count,
                          &terms->entry_capacity, sizeof(terms->entries[0]));
    term->last_row = row;
    term->last_entry = terms->entry_count++;
    term->rows++;
    terms->entries[term->last_entry] = (struct entry){ *slot - 1, 1 };
    grow_slots(terms);
}

/* Marks a term of a text that rows are compared with. */
static void
mark_term(struct terms *terms, uint64_t hash)
{
    size_t slot = *find_slot(terms, hash);

    if (slot)
        terms->list[slot - 1].value = terms->list[slot - 1].weight;
}

typedef void term_action(struct terms *terms, uint64_t hash);

/* The beginning of a word that its forms have in common. */
static uint64_t
hash_stem(struct slice word)
{
    uint64_t hash = 0;
    int32_t c;

    for (int i = 0; i < STEM_LETTERS; i++) {
        c = utf8_next(&word);
        if (c == UTF8_END ||
            (c == 's' && word.bytes == 0 && i >= PLURAL_LETTERS - 1)) {
            break;
        }
        hash = hash_add(hash, (uint64_t)c);
    }
    return hash;
}

static void
each_word(struct terms *terms, struct slice text, term_action *act)
{
    struct slice word, folded;

    text_words_begin(terms->rules, text);
    while (text_word_next(terms->rules, &word)) {
        text_fold(terms->rules, word, &terms->folded);
        folded = buf_slice(&terms->folded);
        if (!stopwords_has(terms->languages, folded))
            act(terms, hash_stem(folded));
    }
}

static void
each_pair(struct terms *terms, struct slice text, term_action *act)
{
    struct slice rest;
    int32_t c, before = UTF8_END;

    text_fold(terms->rules, text, &terms->folded);
    rest = buf_slice(&terms->folded);
    while ((c = utf8_next(&rest)) != UTF8_END) {
        bool is_part = text_is_letter(c) || text_is_digit(c);

        if (is_part && before != UTF8_END)
            act(terms, hash_add(hash_add(1, (uint64_t)before), (uint64_t)c));
        before = is_part ? c : UTF8_END;
    }
}

static void
each_term(struct terms *terms, struct slice text, term_action *act)
{
    if (terms->kind == TERMS_WORDS)
        each_word(terms, text, act);
    else
        each_pair(terms, text, act);
}

/* Multiplies each row with the terms' values. */
static void
multiply(const struct terms *terms, double *product)
{
    for (size_t row = 0; row < terms->row_count; row++) {
        double sum = 0;

        for (size_t i = row_start(terms, row); i < terms->ends[row]; i++) {
            const struct entry *entry = &terms->entries[i];

            sum += entry->weight * terms->list[entry->term].value;
        }
        product[row] = sum;
    }
}

static void
clear_values(struct terms *terms)
{
    for (size_t i = 0; i < terms->count; i++)
        terms->list[i].value = 0;
}

/* Adds a row, times `factor`, to the terms' values. */
static void
add_row(struct terms *terms, size_t row, double factor)
{
    for (size_t i = row_start(terms, row); i < terms->ends[row]; i++) {
        const struct entry *entry = &terms->entries[i];

        terms->list[entry->term].value += entry->weight * factor;
    }
}

/* The sum of the likenesses of each row to all others, each times its factor.
 * That is what a matrix of all pairs would be multiplied for, without it. */
static void
spread(struct terms *terms, const double *factors, double *sums)
{
    clear_values(terms);
    for (size_t row = 0; row < terms->row_count; row++)
        add_row(terms, row, factors[row]);
    multiply(terms, sums);
    for (size_t row = 0; row < terms->row_count; row++) {
        bool is_empty = row_start(terms, row) == terms->ends[row];

        sums[row] -= is_empty ? 0 : factors[row]; /* its likeness to itself */
        if (sums[row] < LIKENESS_MIN)
            sums[row] = 0;
    }
}

struct terms *
terms_new(struct text_rules *rules, enum terms_kind kind, unsigned languages)
{
    struct terms *terms = mem_zalloc(1, sizeof(*terms));

    terms->rules = rules;
    terms->kind = kind;
    terms->languages = languages;
    terms->slot_count = SLOTS_FIRST;
    terms->slots = mem_zalloc(terms->slot_count, sizeof(terms->slots[0]));
    return terms;
}

void
terms_free(struct terms *terms)
{
    if (!terms)
        return;
    buf_fini(&terms->folded);
    free(terms->list);
    free(terms->slots);
    free(terms->entries);
    free(terms->ends);
    free(terms);
}

size_t
terms_add(struct terms *terms, struct slice sentence)
{
    size_t start = terms->entry_count;

    each_term(terms, sentence, count_term);
    terms->ends = grow(terms->ends, terms->row_count, &terms->row_capacity,
                       sizeof(terms->ends[0]));
    terms->ends[terms->row_count++] = terms->entry_count;
    return terms->entry_count - start;
}

void
terms_weigh(struct terms *terms)
{
    for (size_t i = 0; i < terms->count; i++) {
        struct term *term = &terms->list[i];

        term->weight = log(1 + (double)terms->row_count / (double)term->rows);
    }
    for (size_t row = 0; row < terms->row_count; row++) {
        double squares = 0;

        for (size_t i = row_start(terms, row); i < terms->ends[row]; i++) {
            struct entry *entry = &terms->entries[i];

            entry->weight =
                (1 + log(entry->weight)) * terms->list[entry->term].weight;
            squares += entry->weight * entry->weight;
        }
        for (size_t i = row_start(terms, row); i < terms->ends[row]; i++)
            terms->entries[i].weight /= sqrt(squares);
    }
}

void
terms_compare(struct terms *terms, struct slice text, double *likeness)
{
    double squares = 0;

    clear_values(terms);
    each_term(terms, text, mark_term);
    for (size_t i = 0; i < terms->count; i++)
        squares += terms->list[i].value * terms->list[i].value;
    multiply(terms, likeness);
    for (size_t row = 0; row < terms->row_count && squares > 0; row++)
        likeness[row] /= sqrt(squares);
}

void
terms_compare_row(struct terms *terms, size_t index, double *likeness)
{
    assert(index < terms->row_count);
    clear_values(terms);
    add_row(terms, index, 1);
    multiply(terms, likeness);
}

void
terms_rank(struct terms *terms, double *rank)
{
    size_t rows = terms->row_count;
    double *shares = mem_zalloc(rows, sizeof(*shares));
    double *degrees = mem_zalloc(rows, sizeof(*degrees));
    double most = 0;

    for (size_t row = 0; row < rows; row++)
        rank[row] = 1;
    spread(terms, rank, degrees);
    /* A walk from row to row, as likely as they are alike. */
    for (int round = 0; round < RANK_ROUNDS; round++) {
        for (size_t row = 0; row < rows; row++)
            shares[row] = degrees[row] > 0 ? rank[row] / degrees[row] : 0;
        spread(terms, shares, rank);
        for (size_t row = 0; row < rows; row++)
            rank[row] = 1 - RANK_DAMPING + RANK_DAMPING * rank[row];
    }
    for (size_t row = 0; row < rows; row++)
        most = rank[row] > most ? rank[row] : most;
    for (size_t row = 0; row < rows; row++)
        rank[row] /= most;
    free(shares);
    free(degrees);
}
