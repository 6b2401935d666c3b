/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* mkdtemp, setenv, ALLPERMS */
#include "base/runtime.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Makes a directory of the test's own the parent of RUNTIME. */
static char *
own_parent(void)
{
    static char parent[] = "/tmp/sheaf-test-XXXXXX";

    cr_assert_not_null(mkdtemp(parent));
    cr_assert_eq(setenv("XDG_RUNTIME_DIR", parent, 1), 0);
    return parent;
}

static void
clean(const char *parent, const char *leaf)
{
    struct buf path = { 0 };

    buf_addf(&path, "%s/%s", parent, leaf);
    cr_expect_eq(remove(path.data), 0);
    cr_expect_eq(rmdir(parent), 0);
    buf_fini(&path);
}

Test(runtime, makes_a_directory_that_only_we_can_enter)
{
    char *parent = own_parent();
    struct buf out = { 0 }, endpoint = { 0 };
    struct stat st;

    cr_assert_eq(runtime_dir(&out, NULL), 0);
    cr_assert_eq(stat(out.data, &st), 0);
    cr_expect_eq(st.st_mode & ALLPERMS, 0700);
    cr_expect_eq(runtime_endpoint("workers", &endpoint, NULL), 0);
    cr_expect_eq(strncmp(endpoint.data, "ipc:///tmp/sheaf-test-", 22), 0);
    cr_expect_str_eq(endpoint.data + endpoint.bytes - 14, "/sheaf/workers");
    clean(parent, "sheaf");
    buf_fini(&out);
    buf_fini(&endpoint);
}

Test(runtime, refuses_a_directory_that_others_can_enter)
{
    char *parent = own_parent();
    struct buf out = { 0 };
    struct err err = { 0 };

    cr_assert_eq(runtime_dir(&out, NULL), 0);
    cr_assert_eq(chmod(out.data, 0710), 0);
    buf_reset(&out);
    cr_expect_eq(runtime_dir(&out, &err), E_INVALID);
    cr_expect_not_null(strstr(err.msg, "mode 0710"), "got: %s", err.msg);
    cr_expect_eq(out.bytes, 0);
    clean(parent, "sheaf");
    buf_fini(&out);
}

Test(runtime, follows_no_link_planted_under_its_name)
{
    char *parent = own_parent();
    struct buf link = { 0 }, out = { 0 };
    struct err err = { 0 };

    buf_addf(&link, "%s/sheaf", parent);
    cr_assert_eq(symlink("/tmp", link.data), 0);
    cr_expect_eq(runtime_dir(&out, &err), E_INVALID, "got: %s", err.msg);
    clean(parent, "sheaf");
    buf_fini(&link);
}

Test(runtime, ignores_a_relative_xdg_directory)
{
    struct buf out = { 0 };
    int rc;

    cr_assert_eq(setenv("XDG_RUNTIME_DIR", "not/absolute", 1), 0);
    rc = runtime_dir(&out, NULL);
    cr_expect(rc == E_IO || rc == E_INVALID || out.data[0] == '/');
    cr_expect_eq(access("not", F_OK), -1);
    buf_fini(&out);
}

Test(runtime, finds_a_program_on_the_path_but_not_in_the_current_directory)
{
    char *parent = own_parent();
    struct buf out = { 0 }, file = { 0 };
    int fd;

    buf_addf(&file, "%s/sheaf-test-program", parent);
    fd = open(file.data, O_CREAT | O_WRONLY | O_CLOEXEC, 0700);
    cr_assert_geq(fd, 0);
    close(fd);
    cr_assert_eq(chdir(parent), 0);
    cr_assert_eq(setenv("PATH", ".::relative", 1), 0);
    cr_expect_eq(runtime_find_program("sheaf-test-program", &out, NULL),
                 E_NOTFOUND);
    cr_assert_eq(setenv("PATH", parent, 1), 0);
    cr_expect_eq(runtime_find_program("sheaf-test-program", &out, NULL), 0);
    cr_expect_str_eq(out.data, file.data);
    cr_assert_eq(chmod(file.data, 0600), 0);
    cr_assert_eq(setenv("PATH", "/nonexistent:", 1), 0);
    buf_reset(&out);
    cr_expect_eq(runtime_find_program("sheaf-test-program", &out, NULL),
                 E_NOTFOUND);
    clean(parent, "sheaf-test-program");
    buf_fini(&out);
    buf_fini(&file);
}

Test(runtime, finds_a_program_beside_its_own_executable_first)
{
    char self[4096];
    ssize_t bytes = readlink("/proc/self/exe", self, sizeof(self) - 1);
    struct buf out = { 0 };

    cr_assert_gt(bytes, 0);
    self[bytes] = '\0';
    cr_assert_eq(setenv("PATH", "/bin", 1), 0);
    cr_expect_eq(runtime_find_program(strrchr(self, '/') + 1, &out, NULL), 0);
    cr_expect_str_eq(out.data, self);
    buf_fini(&out);
}

Test(runtime, finds_the_store_of_a_user)
{
    /* SHEAF_STORE, XDG_STATE_HOME, HOME; and what follows, NULL: no store. */
    static const char *const rows[][4] = {
        { "given", "/state", "/home/u", "given" },
        { "", "/state", "/home/u", "/state/sheaf" },
        { "", "relative", "/home/u", "/home/u/.local/state/sheaf" },
        { "", "", "/home/u", "/home/u/.local/state/sheaf" },
        { "", "", "relative", NULL },
        { "", "", "", NULL },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf out = { 0 };
        struct err err = { 0 };
        int rc;

        cr_assert_eq(setenv("SHEAF_STORE", rows[i][0], 1), 0);
        cr_assert_eq(setenv("XDG_STATE_HOME", rows[i][1], 1), 0);
        cr_assert_eq(setenv("HOME", rows[i][2], 1), 0);
        rc = runtime_default_store("--store", &out, &err);
        cr_expect_eq(rc, rows[i][3] ? 0 : E_USAGE, "row %zu", i);
        if (rows[i][3])
            cr_expect_str_eq(out.data, rows[i][3]);
        else
            cr_expect_not_null(strstr(err.msg, "--store"), "%s", err.msg);
        buf_fini(&out);
    }
}
