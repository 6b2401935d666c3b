/* SPDX-License-Identifier: MIT */
#include "store/page.h"

#include <assert.h>
#include <string.h>

#define KIND_BRANCH 1u
#define KIND_LEAF   2u
#define KIND_LARGE  4u

#define KIND_AT  10 /* in the head */
#define LOWER_AT 12
#define UPPER_AT 14
#define COUNT_AT 12 /* of a large value's pages, u32 */

#define NODE_HEAD_BYTES 8u
#define NODE_FLAGS_AT   4
#define NODE_KEY_AT     6
/* Of a child's number, in the length; the others are in the flags. */
#define PAGE_NUMBER_BITS 32

static uint16_t
get_u16(const unsigned char *at)
{
    uint16_t number;

    memcpy(&number, at, sizeof(number));
    return number;
}

static uint32_t
get_u32(const unsigned char *at)
{
    uint32_t number;

    memcpy(&number, at, sizeof(number));
    return number;
}

static uint64_t
get_u64(const unsigned char *at)
{
    uint64_t number;

    memcpy(&number, at, sizeof(number));
    return number;
}

/* The low half comes first on every machine. */
static uint32_t
node_length(const unsigned char *node)
{
    return get_u16(node) | (uint32_t)get_u16(node + 2) << 16;
}

/* What a node takes of its page. */
static uint64_t
node_bytes(const struct page *page, const unsigned char *node)
{
    uint64_t bytes = NODE_HEAD_BYTES + (uint64_t)get_u16(node + NODE_KEY_AT);

    if (page->is_branch)
        return bytes + (bytes & 1);
    bytes += get_u16(node + NODE_FLAGS_AT) & NODE_IS_LARGE ? sizeof(uint64_t)
                                                           : node_length(node);
    return bytes + (bytes & 1);
}

static const char *
check_node(const struct page *page, const unsigned char *node)
{
    unsigned key_bytes = get_u16(node + NODE_KEY_AT);
    unsigned flags = get_u16(node + NODE_FLAGS_AT);

    if (key_bytes > PAGE_KEY_MAX)
        return "a key is too long";
    if (page->is_branch)
        return NULL;
    if (key_bytes == 0)
        return "a key is empty";
    return flags == 0 || flags == NODE_IS_LARGE || flags == NODE_IS_TREE
               ? NULL
               : "a row is of no kind";
}

/* The nodes lie behind one another up to the end of the page, and each of them
 * has one place. */
static const char *
check_nodes(const struct page *page, uint32_t upper)
{
    unsigned char begins[PAGE_BYTES_MAX / 8] = { 0 }; /* a bit for a byte */
    unsigned count = 0;

    for (uint64_t at = upper; at < page->bytes; count++) {
        const unsigned char *node = page->data + at;
        const char *reason;

        if (at + NODE_HEAD_BYTES > page->bytes ||
            at + node_bytes(page, node) > page->bytes) {
            return "a row reaches over its end";
        }
        reason = check_node(page, node);
        if (reason)
            return reason;
        begins[at / 8] |= (unsigned char)(1u << at % 8);
        at += node_bytes(page, node);
    }
    if (count != page->count)
        return "it has other rows than places for them";
    for (size_t i = 0; i < count; i++) {
        uint32_t at = get_u16(page->data + PAGE_HEAD_BYTES + i * 2);
        unsigned char bit = (unsigned char)(1u << at % 8);

        if (at >= page->bytes || !(begins[at / 8] & bit))
            return "a place leads to no row";
        begins[at / 8] &= (unsigned char)~bit;
    }
    return NULL;
}

const char *
page_open(struct page *page, const unsigned char *data, uint32_t bytes,
          uint64_t number)
{
    unsigned kind = get_u16(data + KIND_AT);
    uint32_t lower = get_u16(data + LOWER_AT), upper = get_u16(data + UPPER_AT);

    assert(bytes >= PAGE_BYTES_MIN);
    assert(bytes <= PAGE_BYTES_MAX);
    if (get_u64(data) != number)
        return "it has the number of another page";
    if (kind != KIND_BRANCH && kind != KIND_LEAF)
        return "it is of no kind";
    if (lower <= PAGE_HEAD_BYTES || lower % 2 || lower > upper ||
        upper >= bytes) {
        return "its bounds are wrong";
    }
    page->data = data;
    page->bytes = bytes;
    page->is_branch = kind == KIND_BRANCH;
    page->count = (lower - PAGE_HEAD_BYTES) / 2;
    return check_nodes(page, upper);
}

struct node
page_node(const struct page *page, unsigned nth)
{
    uint32_t at = get_u16(page->data + PAGE_HEAD_BYTES + (size_t)nth * 2);
    const unsigned char *data = page->data + at;
    struct node node = { .key = { (const char *)data + NODE_HEAD_BYTES,
                                  get_u16(data + NODE_KEY_AT) } };
    unsigned flags = get_u16(data + NODE_FLAGS_AT);

    assert(nth < page->count);
    if (page->is_branch) {
        node.child = node_length(data) | (uint64_t)flags << PAGE_NUMBER_BITS;
        return node;
    }
    node.flags = flags;
    node.value_bytes = node_length(data);
    node.value_at = at + NODE_HEAD_BYTES + (uint32_t)node.key.bytes;
    return node;
}

const char *
page_open_large(const unsigned char head[PAGE_HEAD_BYTES], uint64_t number,
                uint32_t page_bytes, uint32_t bytes, uint32_t *count)
{
    if (get_u64(head) != number)
        return "it has the number of another page";
    if (get_u16(head + KIND_AT) != KIND_LARGE)
        return "it is not of a large value";
    *count = get_u32(head + COUNT_AT);
    if ((uint64_t)*count * page_bytes < (uint64_t)bytes + PAGE_HEAD_BYTES)
        return "there are too few for their value";
    return NULL;
}
