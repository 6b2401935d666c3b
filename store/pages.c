/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "store/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/engine.h"
#include "store/layout.h"
#include "store/page.h"

#define FIRST_PAGE  2u  /* behind those that say how the file is laid out */
#define LEVELS_MAX  32u /* of a tree: LMDB's own limit */
#define TREES_MAX   256u
#define FREE_FLAGS  8u    /* of the list of free pages: its keys are numbers */
#define FREE_MASK   0xffu /* of its flags; others are of who made the file */
#define RESTORE     "restore the store from a backup"
#define NUMBER_LIST 512u        /* free pages that are read at once */
#define AHEAD_MAX   (16u << 20) /* of a file that is read ahead, as a whole */

typedef unsigned long long llu;

enum kind {
    OF_TABLES, /* its rows lead to the others */
    OF_ROWS,
    OF_FREE, /* the list of free pages */
};

/* The tree that is looked at. */
struct tree {
    enum kind kind;
    const char *name; /* of its table */
    struct layout_tree record;
    uint64_t rows; /* that were found */
    /* The next key is behind this one, or is it, if that came of a branch. */
    unsigned char bound[PAGE_KEY_MAX];
    size_t bound_bytes;
    bool has_bound, is_branch_bound;
};

struct walk {
    const struct pages *terms;
    int fd;
    struct layout layout;
    struct tree tree;
    unsigned char *marks;  /* a bit for each page that was met */
    unsigned char *levels; /* a page for each level */
    uint64_t seen;
    unsigned level_max; /* deeper pages are left out */
    bool has_left_out;
    struct layout_tree tables[TREES_MAX];
    const char *names[TREES_MAX];
    unsigned table_count;
    struct err *err;
};

static int
damaged(struct walk *walk, uint64_t number, const char *reason)
{
    if (walk->tree.kind == OF_FREE) {
        return err_set(walk->err, E_CORRUPT,
                       "page %llu of data.mdb, of the list of free pages, is "
                       "damaged: %s; sheaf compact makes the list anew",
                       (llu)number, reason);
    }
    return err_set(walk->err, E_CORRUPT,
                   "page %llu of data.mdb, of the table %s, is damaged: "
                   "%s; " RESTORE,
                   (llu)number, walk->tree.name, reason);
}

static int
read_at(struct walk *walk, void *bytes, size_t count, uint64_t at)
{
    ssize_t got = pread(walk->fd, bytes, count, (off_t)at);

    if (got == (ssize_t)count)
        return 0;
    if (got < 0) {
        return err_set(walk->err, E_IO, "read page %llu of data.mdb: %s",
                       (llu)(at / walk->layout.page_bytes), strerror(errno));
    }
    return damaged(walk, at / walk->layout.page_bytes,
                   "it is behind the end of the file");
}

/* Notes that pages were met. */
static int
take(struct walk *walk, uint64_t number, uint64_t count)
{
    uint64_t end = walk->layout.last_page + 1;

    if (number < FIRST_PAGE || number >= end || count > end - number)
        return damaged(walk, number, "there is no such page");
    for (; count > 0; number++, count--) {
        unsigned char *mark = &walk->marks[number / 8];
        unsigned char bit = (unsigned char)(1u << number % 8);

        if (*mark & bit)
            return damaged(walk, number, "another one has it, too");
        *mark |= bit;
    }
    return 0;
}

/* ---- keys ---- */

/* As LMDB orders them. */
static int
compare(const struct walk *walk, const unsigned char *a, size_t a_bytes,
        const struct slice *b)
{
    size_t least = a_bytes < b->bytes ? a_bytes : b->bytes;
    int order;

    if (walk->tree.kind == OF_FREE) {
        uint64_t left, right;

        memcpy(&left, a, sizeof(left));
        memcpy(&right, b->data, sizeof(right));
        return left < right ? -1 : left > right;
    }
    order = memcmp(a, b->data, least);
    if (order)
        return order;
    return a_bytes < b->bytes ? -1 : a_bytes > b->bytes;
}

/* The next key, of a row or a branch: behind all that were before it. */
static const char *
check_key(struct walk *walk, const struct page *page, const struct slice *key)
{
    struct tree *tree = &walk->tree;
    int order = -1;

    if (walk->tree.kind == OF_FREE && key->bytes != sizeof(uint64_t))
        return "a key is no number";
    if (tree->has_bound)
        order = compare(walk, tree->bound, tree->bound_bytes, key);
    if (order > 0 ||
        (order == 0 && (page->is_branch || !tree->is_branch_bound)))
        return "its keys are in no order";
    memcpy(tree->bound, key->data, key->bytes);
    tree->bound_bytes = key->bytes;
    tree->is_branch_bound = page->is_branch;
    tree->has_bound = true;
    return NULL;
}

/* ---- rows ---- */

/* The pages of a large value. value_at becomes where in the file it begins. */
static int
take_large(struct walk *walk, uint64_t number, const struct node *node,
           const struct page *page, uint64_t *value_at)
{
    unsigned char head[PAGE_HEAD_BYTES];
    uint32_t page_bytes = walk->layout.page_bytes, count;
    const char *reason;
    uint64_t first;
    int rc;

    memcpy(&first, page->data + node->value_at, sizeof(first));
    if (first < FIRST_PAGE || first > walk->layout.last_page)
        return damaged(walk, number, "it leads to a page that is not there");
    rc = read_at(walk, head, sizeof(head), first * page_bytes);
    if (rc < 0)
        return rc;
    reason =
        page_open_large(head, first, page_bytes, node->value_bytes, &count);
    if (reason)
        return damaged(walk, first, reason);
    *value_at = first * page_bytes + PAGE_HEAD_BYTES;
    return take(walk, first, count);
}

/* Pages that a row of the list of free pages has: how many, and their numbers. */
static int
take_free(struct walk *walk, uint64_t number, uint64_t at, uint32_t bytes)
{
    uint64_t list[NUMBER_LIST], left;
    int rc;

    if (bytes < sizeof(left))
        return damaged(walk, number, "a row is too short");
    rc = read_at(walk, &left, sizeof(left), at);
    if (rc == 0 && left > bytes / sizeof(left) - 1)
        return damaged(walk, number, "a row has fewer pages than it says");
    while (rc == 0 && left > 0) {
        uint64_t count = left < NUMBER_LIST ? left : NUMBER_LIST;

        at += sizeof(left);
        rc = read_at(walk, list, count * sizeof(list[0]), at);
        for (uint64_t i = 0; i < count && rc == 0; i++)
            rc = take(walk, list[i], 1);
        at += (count - 1) * sizeof(list[0]);
        left -= count;
    }
    return rc;
}

/* Our own name of a table; of one that we do not know, such as a newer program's,
 * what it is. */
static const char *
name_of(const struct slice *key)
{
    for (enum table table = 0; table < TABLE_COUNT; table++) {
        if (slice_is(*key, table_name(table)))
            return table_name(table);
    }
    return NULL;
}

/* A row of the tree that leads to the others. */
static int
note_table(struct walk *walk, uint64_t number, const struct node *node,
           const struct page *page)
{
    const char *name = name_of(&node->key);
    struct layout_tree record;

    if (node->value_bytes != LAYOUT_TREE_BYTES ||
        walk->table_count == TREES_MAX)
        return damaged(walk, number, "it is not one of Sheaf's");
    record = layout_tree(page->data + node->value_at);
    if (record.flags != 0) {
        return name ? damaged(walk, number, "a table has another order of keys")
                    : 0;
    }
    walk->names[walk->table_count] = name ? name : "of another program";
    walk->tables[walk->table_count++] = record;
    return 0;
}

static int
check_row(struct walk *walk, uint64_t number, const struct page *page,
          unsigned nth)
{
    struct node node = page_node(page, nth);
    const char *reason = check_key(walk, page, &node.key);
    uint64_t at = number * walk->layout.page_bytes + node.value_at;
    int rc = 0;

    walk->tree.rows++;
    if (reason)
        return damaged(walk, number, reason);
    if (node.flags == NODE_IS_TREE) {
        return walk->tree.kind == OF_TABLES
                   ? note_table(walk, number, &node, page)
                   : damaged(walk, number, "a row is of no kind");
    }
    if (node.flags == NODE_IS_LARGE)
        rc = take_large(walk, number, &node, page, &at);
    if (rc == 0 && walk->tree.kind == OF_FREE)
        rc = take_free(walk, number, at, node.value_bytes);
    return rc;
}

/* ---- trees ---- */

/* 0, or 1: somebody ended it. */
static int
ask(struct walk *walk)
{
    const struct pages *terms = walk->terms;

    if (++walk->seen % PAGES_STEP != 0 || !terms->go_on)
        return 0;
    return terms->go_on(terms->context) ? 0 : 1;
}

static bool
is_enough(const struct walk *walk)
{
    return walk->terms->scope == PAGES_FEW && walk->seen >= PAGES_FEW_MAX;
}

static int
open_page(struct walk *walk, uint64_t number, unsigned level, struct page *page)
{
    uint32_t bytes = walk->layout.page_bytes;
    unsigned char *data = walk->levels + (size_t)level * bytes;
    const char *reason;
    int rc = take(walk, number, 1);

    if (rc == 0)
        rc = read_at(walk, data, bytes, number * bytes);
    if (rc < 0)
        return rc;
    reason = page_open(page, data, bytes, number);
    if (!reason && page->is_branch != (level + 1 < walk->tree.record.depth))
        reason = "it is on another level of its tree";
    /* LMDB does without in its own list, and nowhere else. */
    if (!reason && page->is_branch && page->count == 1 &&
        walk->tree.kind != OF_FREE)
        reason = "it leads to one page";
    return reason ? damaged(walk, number, reason) : 0;
}

/* A page and all that it leads to. Levels are counted from the root, 0. */
static int
visit(struct walk *walk, uint64_t number, unsigned level)
{
    struct page page = { 0 };
    int rc;

    if (level >= walk->level_max || is_enough(walk)) {
        walk->has_left_out = true;
        return 0;
    }
    rc = open_page(walk, number, level, &page);
    if (rc == 0)
        rc = ask(walk);
    for (unsigned i = 0; i < page.count && rc == 0; i++) {
        struct node node = page_node(&page, i);
        const char *reason = NULL;

        if (!page.is_branch) {
            rc = check_row(walk, number, &page, i);
            continue;
        }
        if (i > 0) /* all that is before the second key */
            reason = check_key(walk, &page, &node.key);
        rc = reason ? damaged(walk, number, reason)
                    : visit(walk, node.child, level + 1);
    }
    return rc;
}

static int
visit_tree(struct walk *walk, enum kind kind, const char *name,
           const struct layout_tree *record)
{
    int rc;

    walk->tree = (struct tree){ .kind = kind, .name = name, .record = *record };
    if (record->root == UINT64_MAX && record->depth == 0 && record->rows == 0)
        return 0;
    if (record->depth == 0 || record->depth > LEVELS_MAX)
        return damaged(walk, record->root, "its tree has no such depth");
    rc = visit(walk, record->root, 0);
    if (rc == 0 && !walk->has_left_out && walk->tree.rows != record->rows)
        return damaged(walk, record->root, "its tree has other rows than this");
    return rc;
}

/* The list of free pages comes last: of two that have a page, it is the one that
 * is wrong. */
static int
visit_trees(struct walk *walk)
{
    const struct layout *layout = &walk->layout;
    int rc;

    walk->has_left_out = false;
    walk->table_count = 0;
    memset(walk->marks, 0, layout->last_page / 8 + 1);
    rc = visit_tree(walk, OF_TABLES, "of tables", &layout->main);
    for (unsigned i = 0; i < walk->table_count && rc == 0; i++)
        rc = visit_tree(walk, OF_ROWS, walk->names[i], &walk->tables[i]);
    if (rc != 0 || walk->terms->scope == PAGES_ROWS)
        return rc;
    return visit_tree(walk, OF_FREE, "", &layout->free);
}

/* A few: one level more, as long as pages are left out and may be looked at. */
static int
visit_levels(struct walk *walk)
{
    int rc;

    walk->level_max = walk->terms->scope == PAGES_FEW &&
                              walk->layout.last_page > PAGES_FEW_MAX
                          ? 1
                          : LEVELS_MAX;
    do {
        rc = visit_trees(walk);
        walk->level_max++;
    } while (rc == 0 && walk->has_left_out && !is_enough(walk));
    return rc;
}

int
pages_check(int fd, const struct pages *terms, struct err *err)
{
    struct walk *walk = mem_zalloc(1, sizeof(*walk));
    int rc;

    walk->terms = terms;
    walk->fd = fd;
    walk->err = err;
    rc = layout_read(fd, terms->txn, &walk->layout, err);
    if (rc == 0 && (walk->layout.main.flags != 0 ||
                    (walk->layout.free.flags & FREE_MASK) != FREE_FLAGS)) {
        rc = err_set(err, E_CORRUPT,
                     "data.mdb is damaged: its trees have another order of "
                     "keys; " RESTORE);
    }
    if (rc == 0) {
        walk->marks = mem_zalloc(walk->layout.last_page / 8 + 1, 1);
        walk->levels = mem_zalloc(LEVELS_MAX, walk->layout.page_bytes);
        rc = visit_levels(walk);
    }
    free(walk->marks);
    free(walk->levels);
    free(walk);
    return rc;
}

/* ---- which of the first two pages is newer ---- */

/* The newest transaction that has left pages free, as of a layout. 0: none has, or
 * its pages are damaged. */
static uint64_t
last_free(int fd, const struct layout *layout)
{
    unsigned char *data = mem_zalloc(1, layout->page_bytes);
    uint64_t number = layout->free.root, txn = 0;
    struct page page = { .is_branch = true };

    for (unsigned level = 0; level < LEVELS_MAX && page.is_branch; level++) {
        struct node node;

        if (number > layout->last_page ||
            pread(fd, data, layout->page_bytes,
                  (off_t)(number * layout->page_bytes)) !=
                (ssize_t)layout->page_bytes ||
            page_open(&page, data, layout->page_bytes, number))
            break;
        node = page_node(&page, page.count - 1);
        number = node.child;
        if (!page.is_branch && node.key.bytes == sizeof(txn))
            memcpy(&txn, node.key.data, sizeof(txn));
    }
    free(data);
    return txn;
}

/* The older page would count, and undo a commit, if its number rotted to the one
 * that follows. But each commit leaves pages free, and says so under its number: a
 * page that does not, while the other one knows of later ones, is older than it
 * says. The newer page with the number of two commits before is let through: so
 * looks one whose writing was interrupted, and then the other one counts. */
static int
check_times(int fd, struct err *err)
{
    struct layout newer, older;
    uint64_t last;
    int rc = layout_read(fd, 0, &newer, err);

    if (rc < 0 || newer.txn < 2)
        return rc;
    rc = layout_read(fd, newer.txn - 1, &older, err);
    if (rc < 0)
        return rc;
    last = last_free(fd, &newer);
    if (last == 0 || last == newer.txn || last_free(fd, &older) <= last)
        return 0;
    return err_set(err, E_CORRUPT,
                   "data.mdb is damaged: its first two pages do not belong "
                   "together; " RESTORE);
}

int
pages_check_dir(const char *dir, const struct pages *terms, struct err *err)
{
    int rc = layout_check(dir, err), fd;
    uint64_t file_bytes;

    if (rc < 0)
        return rc;
    fd = layout_open(dir, &file_bytes, err);
    if (fd < 0)
        return fd;
    if (file_bytes <= AHEAD_MAX)
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
    rc = pages_check(fd, terms, err);
    if (rc == 0 && terms->scope != PAGES_ROWS)
        rc = check_times(fd, err);
    close(fd);
    return rc;
}
