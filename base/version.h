/*
 * version.h - which version of Sheaf this is
 *
 * One number for all programs: what --version prints, what the broker says in
 * its welcome, and what upstreams see as our User-Agent.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#define SHEAF_VERSION "0.1.0"

#endif
