/* SPDX-License-Identifier: MIT */
#include "base/port.h"

#define PORT_DIGITS_MAX 5

int
port_read(struct slice text)
{
    int port = 0;

    if (text.bytes == 0 || text.bytes > PORT_DIGITS_MAX)
        return -1;
    for (size_t i = 0; i < text.bytes; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -1;
        port = port * 10 + (text.data[i] - '0');
    }
    return port <= PORT_MAX ? port : -1;
}
