/*
 * hex.h - bytes as hexadecimal text
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_HEX_H
#define BASE_HEX_H

#include <stddef.h>

/* The value of a digit, of either case; -1 if it is none. */
int hex_digit(char c);

/* Writes two lower-case digits for each byte, and a NUL: 2 * bytes + 1 in all. */
void hex_write(const unsigned char *data, size_t bytes, char *text);

#endif
