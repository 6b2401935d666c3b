/*
 * runtime.h - where the programs meet: the runtime directory and one another
 *
 * RUNTIME holds the sockets and lock files of one user's programs on this host:
 * `$XDG_RUNTIME_DIR/sheaf` if set, else `/run/sheaf` for root, else
 * `/tmp/sheaf-UID`. Whoever can write there can pose as the broker, so it is
 * used only if it is a directory of ours that nobody else can enter.
 *
 * The store of one user is in a place of its own, which survives a boot.
 *
 * A program finds the others beside its own executable, then in ../bin and
 * ../sbin from there, then on PATH; never by a path fixed at build time.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_RUNTIME_H
#define BASE_RUNTIME_H

#include "base/buf.h"
#include "base/err.h"

/* Appends the path of the runtime directory, after making it (0700) if it is
 * missing. E_INVALID: it is no directory, or others own it or can enter it;
 * E_IO: it cannot be made. Nothing is appended then. */
int runtime_dir(struct buf *out, struct err *err)
    __attribute__((warn_unused_result));

/* Appends the endpoint of a socket there: "ipc://RUNTIME/clients" for the leaf
 * "clients". Errors as runtime_dir(). */
int runtime_endpoint(const char *leaf, struct buf *out, struct err *err)
    __attribute__((warn_unused_result));

/* Appends the store of this user: SHEAF_STORE, $XDG_STATE_HOME/sheaf or
 * ~/.local/state/sheaf. E_USAGE: there is not even a home; the reason names the
 * option with which a store is given. */
int runtime_default_store(const char *option, struct buf *out, struct err *err)
    __attribute__((warn_unused_result));

/* Appends the path of the program `name` of this installation. E_NOTFOUND if
 * there is none that may be executed. */
int runtime_find_program(const char *name, struct buf *out, struct err *err)
    __attribute__((warn_unused_result));

#endif
