/* SPDX-License-Identifier: MIT */
#include "tests/ragged_text.h"

#include <stdlib.h>

struct slice
ragged_text(char *bytes, size_t max)
{
    static const unsigned char likely[] = { 0x20, 0x41, 0x80, 0x8F, 0x90,
                                            0x9F, 0xA0, 0xBF, 0xC2, 0xE0,
                                            0xE4, 0xED, 0xF0, 0xF4, 0xF5 };
    size_t count = (size_t)rand() % max;

    for (size_t i = 0; i < count; i++)
        bytes[i] = (char)likely[(size_t)rand() % sizeof(likely)];
    return (struct slice){ bytes, count };
}
