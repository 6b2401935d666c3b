/* Pages that LMDB must not follow. */
/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "store/pages.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/layout.h"
#include "store/page.h"
#include "tests/engine_fixture.h"

#define PAGE       4096u
#define VALUE_MAX  9000 /* some on pages of their own */
#define ROWS       3000 /* of the table that is three levels deep */
#define FLIPS      600
#define SECONDS    20 /* that a file may be read for */
#define FIRST_PAGE 2u
#define KIND_AT    10
#define LOWER_AT   12
#define UPPER_AT   14
#define DIRTY      0x10

/* ---- files ---- */

static void
put(struct fixture *fixture, enum table table, unsigned number, size_t bytes)
{
    char value[VALUE_MAX] = { 0 }, key[32];
    int key_bytes = snprintf(key, sizeof(key), "a row, no. %09u", number);

    memset(value, 'v', bytes);
    cr_assert_eq(fixture->ops->put(fixture->engine, table,
                                   (struct slice){ key, (size_t)key_bytes },
                                   (struct slice){ value, bytes }),
                 0);
}

static void
drop(struct fixture *fixture, enum table table, unsigned number)
{
    char key[32];
    int key_bytes = snprintf(key, sizeof(key), "a row, no. %09u", number);
    int rc = fixture->ops->del(fixture->engine, table,
                               (struct slice){ key, (size_t)key_bytes });

    cr_assert(rc == 0 || rc == E_NOTFOUND);
}

/* Rows of all sizes, and pages that are free. */
static void
fill(struct fixture *fixture)
{
    for (unsigned i = 0; i < ROWS; i++) {
        if (i % 500 == 0)
            fixture_begin(fixture);
        put(fixture, TABLE_DRAFT, i * 7919 % ROWS, 100);
        if (i % 10 == 0)
            put(fixture, TABLE_REPLY, i, i % 3 ? VALUE_MAX : 1500);
        if (i % 500 == 499)
            fixture_commit(fixture);
    }
    for (unsigned i = 0; i < ROWS; i += 20) {
        fixture_begin(fixture);
        drop(fixture, TABLE_REPLY, i);
        fixture_commit(fixture);
    }
}

static int
check(const struct fixture *fixture, enum pages_scope scope, struct err *err)
{
    struct pages terms = { .scope = scope };

    *err = (struct err){ 0 };
    return pages_check_dir(fixture->scratch.path, &terms, err);
}

static void
expect_whole(const struct fixture *fixture)
{
    struct err err;

    for (enum pages_scope scope = PAGES_ALL; scope <= PAGES_FEW; scope++)
        cr_assert_eq(check(fixture, scope, &err), 0, "%s", err.msg);
}

/* The file as it is, mapped neither here nor by the engine, which is closed. */
struct file {
    int fd;
    uint64_t pages;
    struct layout layout;
};

static struct file
take_file(struct fixture *fixture)
{
    struct file file;
    uint64_t bytes;
    struct err err = { 0 };
    char *path = scratch_path(&fixture->scratch, "data.mdb");

    fixture->ops->close(fixture->engine);
    fixture->engine = NULL;
    file.fd = open(path, O_RDWR | O_CLOEXEC);
    free(path);
    cr_assert_geq(file.fd, 0);
    cr_assert_eq(layout_read(file.fd, 0, &file.layout, &err), 0, "%s", err.msg);
    bytes = (uint64_t)lseek(file.fd, 0, SEEK_END);
    file.pages = bytes / PAGE;
    return file;
}

static void
give_file(struct fixture *fixture, struct file *file)
{
    close(file->fd);
    scratch_remove(&fixture->scratch);
}

static void
read_page(const struct file *file, uint64_t number, unsigned char data[PAGE])
{
    cr_assert_eq(pread(file->fd, data, PAGE, (off_t)(number * PAGE)),
                 (ssize_t)PAGE);
}

static void
write_page(const struct file *file, uint64_t number,
           const unsigned char data[PAGE])
{
    cr_assert_eq(pwrite(file->fd, data, PAGE, (off_t)(number * PAGE)),
                 (ssize_t)PAGE);
}

/* The root of a tree: of the list of free pages, or of a table. */
static uint64_t
root_of(const struct file *file, const char *table)
{
    unsigned char data[PAGE];
    struct page page;

    if (!table)
        return file->layout.free.root;
    cr_assert_eq(file->layout.main.depth, 1, "too many tables for this test");
    read_page(file, file->layout.main.root, data);
    cr_assert_null(page_open(&page, data, PAGE, file->layout.main.root));
    for (unsigned i = 0; i < page.count; i++) {
        struct node node = page_node(&page, i);

        if (slice_is(node.key, table))
            return layout_tree(data + node.value_at).root;
    }
    cr_assert_fail("no table %s", table);
    return 0;
}

static uint64_t
get_u64(const unsigned char *at)
{
    uint64_t number;

    memcpy(&number, at, sizeof(number));
    return number;
}

/* ---- what is damaged is named ---- */

static void
spoil_number(unsigned char *data, const struct page *page)
{
    (void)page;
    data[0]++;
}

static void
spoil_kind(unsigned char *data, const struct page *page)
{
    (void)page;
    data[KIND_AT] |= DIRTY;
}

static void
spoil_lower(unsigned char *data, const struct page *page)
{
    (void)page;
    data[LOWER_AT] = PAGE_HEAD_BYTES;
    data[LOWER_AT + 1] = 0;
}

static void
spoil_upper(unsigned char *data, const struct page *page)
{
    (void)page;
    data[UPPER_AT + 1] = 0xff;
}

static void
spoil_place(unsigned char *data, const struct page *page)
{
    (void)page;
    data[PAGE_HEAD_BYTES + 1] ^= 1;
}

/* Both places lead to one row. */
static void
spoil_places(unsigned char *data, const struct page *page)
{
    (void)page;
    memcpy(data + PAGE_HEAD_BYTES, data + PAGE_HEAD_BYTES + 2, 2);
}

static void
spoil_order(unsigned char *data, const struct page *page)
{
    struct node node = page_node(page, 1);

    data[(const unsigned char *)node.key.data - data] ^= 0x10;
}

static void
spoil_length(unsigned char *data, const struct page *page)
{
    struct node node = page_node(page, 0);

    ((unsigned char *)(uintptr_t)node.key.data)[-6] = 8; /* 512 KiB more */
    (void)data;
}

static void
spoil_flags(unsigned char *data, const struct page *page)
{
    struct node node = page_node(page, 0);

    ((unsigned char *)(uintptr_t)node.key.data)[-4] = 4; /* has values */
    (void)data;
}

/* A branch leads to one page twice. */
static void
spoil_child(unsigned char *data, const struct page *page)
{
    struct node from = page_node(page, 0), to = page_node(page, 1);

    memcpy((char *)(uintptr_t)to.key.data - 8, from.key.data - 8, 6);
    (void)data;
}

static void
spoil_row(unsigned char *data, const struct page *page)
{
    struct node node = page_node(page, 0);
    uint64_t behind = UINT64_C(1) << 40;

    cr_assert_eq(node.flags, NODE_IS_LARGE);
    memcpy(data + node.value_at, &behind, sizeof(behind));
}

/* The list of free pages has one that is in use: its own. */
static void
spoil_free(unsigned char *data, const struct page *page)
{
    struct node node = page_node(page, 0);
    uint64_t own = get_u64(data);

    cr_assert_eq(node.flags, 0);
    memcpy(data + node.value_at + 8, &own, sizeof(own));
}

static void
spoil_count(unsigned char *data, const struct page *page)
{
    struct node node = page_node(page, 0);

    data[node.value_at + 2] = 1;
}

Test(pages, damage_of_each_kind_is_named, .timeout = 60)
{
    static const struct {
        const char
            *table; /* whose root it is, or one below; NULL: free pages */
        bool is_leaf;
        void (*spoil)(unsigned char *data, const struct page *page);
        const char *words;
    } cases[] = {
        { "draft", false, spoil_number, "the number of another page" },
        { "draft", true, spoil_number, "the number of another page" },
        { "draft", true, spoil_kind, "it is of no kind" },
        { "draft", true, spoil_lower, "its bounds are wrong" },
        { "draft", true, spoil_upper, "its bounds are wrong" },
        { "draft", true, spoil_place, "a place leads to no row" },
        { "draft", false, spoil_places, "a place leads to no row" },
        { "draft", true, spoil_order, "its keys are in no order" },
        { "draft", false, spoil_order, "keys are in no order" },
        { "draft", true, spoil_length, "a row reaches over its end" },
        { "draft", true, spoil_flags, "a row is of no kind" },
        { "draft", false, spoil_child, "another one has it, too" },
        { "reply", true, spoil_row, "leads to a page that is not there" },
        { NULL, true, spoil_free, "another one has it, too; sheaf compact" },
        { NULL, true, spoil_count, "fewer pages than it says" },
    };
    struct fixture fixture = fixture_open(LMDB);
    struct file file;

    fill(&fixture);
    expect_whole(&fixture);
    file = take_file(&fixture);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t number = root_of(&file, cases[i].table);
        unsigned char data[PAGE], whole[PAGE];
        struct page page;
        struct err err;

        read_page(&file, number, data);
        cr_assert_null(page_open(&page, data, PAGE, number), "case %zu", i);
        while (cases[i].is_leaf && page.is_branch) {
            number = page_node(&page, 0).child;
            read_page(&file, number, data);
            cr_assert_null(page_open(&page, data, PAGE, number));
        }
        memcpy(whole, data, PAGE);
        cases[i].spoil(data, &page);
        write_page(&file, number, data);
        cr_expect_eq(check(&fixture, PAGES_ALL, &err), E_CORRUPT, "case %zu",
                     i);
        cr_expect(strstr(err.msg, cases[i].words), "case %zu: %s", i, err.msg);
        /* Rows are there whatever the list of free pages says. */
        cr_expect_eq(check(&fixture, PAGES_ROWS, &err),
                     cases[i].table ? E_CORRUPT : 0, "case %zu: %s", i,
                     err.msg);
        cr_expect_eq(check(&fixture, PAGES_FEW, &err), E_CORRUPT, "case %zu",
                     i);
        write_page(&file, number, whole);
    }
    expect_whole(&fixture);
    give_file(&fixture, &file);
}

/* ---- what is let through can be followed ---- */

/* Reads all, and writes everywhere. */
static void
use(const char *dir)
{
    struct err err = { 0 };
    struct engine *engine =
        engine_open_lmdb(dir, false, FIXTURE_MAP_BYTES, &err);
    struct fixture fixture = { .engine = engine };

    if (!engine)
        _exit(0);
    fixture.ops = engine->ops;
    (void)alarm(SECONDS);
    for (int turn = 0; turn < 2; turn++) {
        fixture_begin(&fixture);
        for (enum table table = 0; table < TABLE_COUNT; table++) {
            struct buf at = { 0 };
            struct slice found, value;

            while (engine->ops->seek(engine, table, buf_slice(&at), &found,
                                     &value) == 0) {
                uint64_t sum = 0;

                for (size_t i = 0; i < value.bytes; i++)
                    sum += (unsigned char)value.data[i];
                cr_assert_leq(sum, value.bytes * 255);
                buf_reset(&at);
                buf_add_slice(&at, found);
                buf_add_char(&at, '\0');
            }
            buf_fini(&at);
        }
        for (unsigned i = 0; i < ROWS; i += 40) {
            put(&fixture, TABLE_DRAFT, i + 1, 300);
            drop(&fixture, TABLE_DRAFT, i + 3);
            put(&fixture, TABLE_REPLY, i + 1, VALUE_MAX);
        }
        fixture_commit(&fixture);
    }
    engine->ops->close(engine);
    _exit(0);
}

/* A bit of a page that has a head, or of one that says how the file is laid out;
 * mostly of what leads to others. */
static bool
flip(unsigned char data[PAGE], uint64_t number)
{
    size_t places = 0, at;

    if (number >= FIRST_PAGE && get_u64(data) != number)
        return false;
    if (number >= FIRST_PAGE && data[KIND_AT] < 3)
        places = data[LOWER_AT] + 256u * data[LOWER_AT + 1];
    at = (size_t)rand() % (number < FIRST_PAGE ? 152 : PAGE_HEAD_BYTES);
    if (places > PAGE_HEAD_BYTES && places < PAGE && rand() % 2)
        at = (size_t)rand() % places;
    if (places > PAGE_HEAD_BYTES && places < PAGE && rand() % 2) {
        size_t place = PAGE_HEAD_BYTES +
                       (size_t)rand() % (places - PAGE_HEAD_BYTES) / 2 * 2;

        at = data[place] + 256u * data[place + 1] + (size_t)rand() % 20;
    }
    if (at >= PAGE)
        return false;
    data[at] ^= (unsigned char)(1 << rand() % 8);
    return true;
}

/* Whoever reads and writes it does not die, and comes to an end. */
static void
expect_use(const struct fixture *fixture, const char *what, uint64_t number)
{
    pid_t pid = fork();
    int status;

    cr_assert_geq(pid, 0);
    if (pid == 0)
        use(fixture->scratch.path);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status), "%s of page %llu: signal %d", what,
              (unsigned long long)number, WTERMSIG(status));
}

/* Writes a page back, and takes what a use has left of the file. */
static void
restore(struct file *file, const unsigned char *all)
{
    size_t bytes = file->pages * PAGE;

    cr_assert_eq(pwrite(file->fd, all, bytes, 0), (ssize_t)bytes);
    cr_assert_eq(ftruncate(file->fd, (off_t)bytes), 0);
}

Test(pages, what_is_let_through_can_be_followed, .timeout = 120)
{
    struct fixture fixture = fixture_open(LMDB);
    unsigned char data[PAGE], *all;
    unsigned refused = 0, followed = 0;
    struct file file;
    struct err err;

    srand(1);
    fill(&fixture);
    file = take_file(&fixture);
    all = mem_zalloc(file.pages, PAGE);
    cr_assert_eq(pread(file.fd, all, file.pages * PAGE, 0),
                 (ssize_t)(file.pages * PAGE));
    for (int i = 0; i < FLIPS; i++) {
        uint64_t number = (uint64_t)rand() % file.pages;

        memcpy(data, all + number * PAGE, PAGE);
        if (!flip(data, number))
            continue;
        write_page(&file, number, data);
        if (check(&fixture, PAGES_ALL, &err) == 0) {
            followed++;
            expect_use(&fixture, "a bit", number);
            restore(&file, all);
        } else {
            refused++;
            cr_expect_eq(err.code, E_CORRUPT, "%s", err.msg);
            write_page(&file, number, all + number * PAGE);
        }
    }
    cr_expect_gt(refused, 100);
    cr_expect_gt(followed, 20);
    expect_whole(&fixture);
    free(all);
    give_file(&fixture, &file);
}

/* ---- what is whole is not refused ---- */

Test(pages, store_is_whole_after_every_commit, .timeout = 60)
{
    struct fixture fixture = fixture_open(LMDB);

    srand(2);
    for (int commit = 0; commit < 150; commit++) {
        fixture_begin(&fixture);
        for (int i = rand() % 60; i > 0; i--) {
            enum table table = (enum table)(rand() % TABLE_COUNT);

            if (rand() % 3)
                put(&fixture, table, (unsigned)rand() % 400,
                    (size_t)rand() % VALUE_MAX);
            else
                drop(&fixture, table, (unsigned)rand() % 400);
        }
        fixture_commit(&fixture);
        expect_whole(&fixture);
    }
    fixture_close(&fixture);
}

/* ---- a look that is short ---- */

/* A broker of a large store starts at once: what is next to the roots was looked
 * at. */
Test(pages, few_are_looked_at_of_a_large_file, .timeout = 60)
{
    struct fixture fixture = fixture_open(LMDB);
    unsigned char data[PAGE];
    struct page page;
    struct file file;
    uint64_t number;
    struct err err;

    for (unsigned i = 0; i < 2 * PAGES_FEW_MAX; i++) {
        if (i % 1000 == 0)
            fixture_begin(&fixture);
        put(&fixture, TABLE_DRAFT, i, 1800);
        if (i % 1000 == 999 || i + 1 == 2 * PAGES_FEW_MAX)
            fixture_commit(&fixture);
    }
    file = take_file(&fixture);
    cr_assert_gt(file.pages, PAGES_FEW_MAX + PAGES_FEW_MAX / 8);
    number = root_of(&file, "draft");
    for (;;) {
        read_page(&file, number, data);
        cr_assert_null(page_open(&page, data, PAGE, number));
        if (!page.is_branch)
            break;
        data[KIND_AT] |= DIRTY;
        write_page(&file, number, data);
        cr_expect_eq(check(&fixture, PAGES_FEW, &err), E_CORRUPT,
                     "page %llu is not looked at", (unsigned long long)number);
        data[KIND_AT] &= (unsigned char)~DIRTY;
        write_page(&file, number, data);
        number = page_node(&page, page.count - 1).child;
    }
    data[KIND_AT] |= DIRTY;
    write_page(&file, number, data);
    cr_expect_eq(check(&fixture, PAGES_FEW, &err), 0, "%s", err.msg);
    cr_expect_eq(check(&fixture, PAGES_ALL, &err), E_CORRUPT);
    give_file(&fixture, &file);
}

static bool
refuse(void *context)
{
    int *asked = context;

    return ++*asked < 2;
}

Test(pages, look_is_ended_when_it_is_told_so, .timeout = 60)
{
    struct fixture fixture = fixture_open(LMDB);
    int asked = 0;
    struct pages terms = { .go_on = refuse, .context = &asked };
    struct err err = { 0 };

    fixture_begin(&fixture);
    for (unsigned i = 0; i < 5 * PAGES_STEP; i++)
        put(&fixture, TABLE_DRAFT, i, 1800);
    fixture_commit(&fixture);
    cr_expect_eq(pages_check_dir(fixture.scratch.path, &terms, &err), 1);
    cr_expect_eq(asked, 2);
    fixture_close(&fixture);
}

Test(pages, file_that_cannot_be_read_is_not_called_damaged)
{
    struct fixture fixture = fixture_open(LMDB);
    char *path = scratch_path(&fixture.scratch, "data.mdb");
    const struct pages terms = { .scope = PAGES_ALL };
    struct err err = { 0 };
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    cr_assert_geq(fd, 0);
    cr_expect_eq(pages_check(fd, &terms, &err), E_IO, "%s", err.msg);
    cr_expect(strstr(err.msg, "read data.mdb"), "%s", err.msg);
    close(fd);
    free(path);
    fixture_close(&fixture);
}
