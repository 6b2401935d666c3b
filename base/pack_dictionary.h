/*
 * pack_dictionary.h - what replies have in common, for packing them (pack.h)
 *
 * Names and marks that the dialects' replies are full of, and how often letters
 * and lengths come in such texts: a short reply has nothing to learn these from.
 * A frame says by number which dictionary it was made with, and nothing else
 * opens it: so this one stays as it is, and another would stand beside it.
 * tests/pack/dictionary.py made it.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_PACK_DICTIONARY_H
#define BASE_PACK_DICTIONARY_H

/* Its number, as in RFC 8878: those below 32768 are for dictionaries that all know. */
#define PACK_DICTIONARY       32769
#define PACK_DICTIONARY_BYTES 4096

extern const unsigned char pack_dictionary[PACK_DICTIONARY_BYTES];

#endif
