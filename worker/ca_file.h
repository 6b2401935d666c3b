/*
 * ca_file.h - whether the certificates of CAs are there, before they are needed
 *
 * libcurl reads a ca_file with each connection. That it can be read is better
 * known before that than by calls that fail.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_CA_FILE_H
#define WORKER_CA_FILE_H

#include "base/err.h"

/* NULL is fine: the system's are used. E_IO, with the path and the reason. */
int ca_file_check(const char *path, struct err *err);

#endif
