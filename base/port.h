/*
 * port.h - the number of a port, as people write it
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_PORT_H
#define BASE_PORT_H

#include "base/buf.h"

#define PORT_MAX 65535

/* 0 to PORT_MAX; -1 where a text is anything but one to five decimal digits, or
 * more than that. */
int port_read(struct slice text);

#endif
