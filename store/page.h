/*
 * page.h - a page of an LMDB file, as it lies on the disk
 *
 * A tree has branches, whose nodes lead to pages, and leaves, whose nodes are
 * rows. A page begins with a head of 16 bytes: its number u64, 2 bytes that say
 * nothing here, its kind u16, and where the places of its nodes end and the nodes
 * themselves begin, two u16. Behind it are the places, a u16 each, in the order of
 * the keys; the nodes fill the end of the page. A node is a length u32 in two
 * halves, flags u16, the key's length u16, the key, and for a row its value or,
 * if that is large, the u64 number of the first page of its own. A branch's node
 * has a page's number in place of length and flags. All in the order of bytes of
 * this machine.
 *
 * LMDB believes every page that it is led to: whoever does not is here.
 *
 * Private to store/.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_PAGE_H
#define STORE_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define PAGE_BYTES_MIN  512u
#define PAGE_BYTES_MAX  32768u /* that LMDB can have */
#define PAGE_HEAD_BYTES 16u
#define PAGE_KEY_MAX    511u /* bytes; LMDB's own limit */

/* Flags of a row's node. */
#define NODE_IS_LARGE 1u /* its value has pages of its own */
#define NODE_IS_TREE  2u /* its value is what a tree's root is known by */

struct page {
    const unsigned char *data; /* borrowed */
    uint32_t bytes;
    bool is_branch; /* else a leaf */
    unsigned count; /* of its nodes */
};

struct node {
    struct slice key;
    uint64_t child;       /* of a branch */
    unsigned flags;       /* of a row, as the following */
    uint32_t value_bytes; /* if it is large, they are elsewhere */
    uint32_t value_at; /* in the page: the value, or the number of its page */
};

/* Looks at a branch or leaf with that number. NULL: each of its nodes lies within
 * it, apart from all others, and `page` is filled in. Else what is wrong. */
const char *page_open(struct page *page, const unsigned char *data,
                      uint32_t bytes, uint64_t number);

/* The nth node of a page that was opened, from 0. Borrowed from its bytes. */
struct node page_node(const struct page *page, unsigned nth);

/* Looks at the head of pages that hold one value of `bytes`, from that number on.
 * NULL, and how many they are, or what is wrong. */
const char *page_open_large(const unsigned char head[PAGE_HEAD_BYTES],
                            uint64_t number, uint32_t page_bytes,
                            uint32_t bytes, uint32_t *count);

#endif
