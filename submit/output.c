/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* mkostemp, canonicalize_file_name, sync_file_range */
#include "submit/output.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define MODE_NEW         0666 /* less the umask */
#define BEHIND_BYTES_MAX (8 << 20)

static int
fail(const char *what, const char *name, struct err *err)
{
    return err_set(err, E_IO, "%s %s: %s", what, name, strerror(errno));
}

/* The mode of a file that is replaced, or that a new one would have. */
static mode_t
mode_for(const char *path)
{
    struct stat st;
    mode_t mask;

    if (stat(path, &st) == 0)
        return st.st_mode & ALLPERMS;
    mask = umask(0);
    umask(mask);
    return MODE_NEW & ~mask;
}

/* Makes a file beside output->path. */
static int
open_beside(struct output *output, struct err *err)
{
    struct buf name = { 0 };
    char *folder = mem_dup_str(output->path), *leaf = mem_dup_str(output->path);
    int fd;

    buf_addf(&name, "%s/.%s.XXXXXX", dirname(folder), basename(leaf));
    free(folder);
    free(leaf);
    output->beside = buf_take(&name);
    fd = mkostemp(output->beside, O_CLOEXEC);
    if (fd < 0) {
        free(output->beside);
        output->beside = NULL;
        return fail("make a file beside", output->path, err);
    }
    if (fchmod(fd, mode_for(output->path)) < 0) {
        close(fd);
        return fail("set the mode of", output->beside, err);
    }
    output->file = fdopen(fd, "w");
    if (!output->file) {
        close(fd);
        return fail("open", output->beside, err);
    }
    return 0;
}

static int
open_named(struct output *output, const char *path, struct err *err)
{
    struct stat st;
    bool exists = stat(path, &st) == 0;

    *output = (struct output){ .name = path };
    if (exists && S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        return fail("write", path, err);
    }
    if (exists && !S_ISREG(st.st_mode)) {
        output->file = fopen(path, "we");
        if (!output->file)
            return fail("open", path, err);
        output->is_terminal = isatty(fileno(output->file)) == 1;
        return 0;
    }
    /* A link stays a link: the file that it names is replaced. One that leads
     * nowhere may lead to a disk that is missing. */
    if (!exists && lstat(path, &st) == 0 && S_ISLNK(st.st_mode)) {
        return err_set(err, E_IO,
                       "write %s: it is a link, and what it names is not there",
                       path);
    }
    if (exists)
        output->path = canonicalize_file_name(path);
    if (!output->path)
        output->path = mem_dup_str(path);
    return open_beside(output, err);
}

int
output_open(struct output *output, const char *path, struct err *err)
{
    if (path && strcmp(path, "-") != 0)
        return open_named(output, path, err);
    *output = (struct output){ .name = "standard output", .file = stdout };
    output->is_terminal = isatty(STDOUT_FILENO) == 1;
    return 0;
}

/* Escapes control characters but those in `kept`. */
static void
escape(struct slice text, const char *kept, struct buf *out)
{
    for (size_t i = 0; i < text.bytes; i++) {
        unsigned char c = (unsigned char)text.data[i], next = 0;

        if (i + 1 < text.bytes)
            next = (unsigned char)text.data[i + 1];
        if (c == 0x7f || (c < 0x20 && (c == 0 || !strchr(kept, c)))) {
            buf_addf(out, "\\u%04x", c);
        } else if (c == 0xc2 && next >= 0x80 && next < 0xa0) {
            /* U+0080 to U+009F are control characters as well. */
            buf_addf(out, "\\u%04x", next);
            i++;
        } else {
            buf_add_char(out, (char)c);
        }
    }
}

void
output_escape(struct slice text, struct buf *out)
{
    escape(text, "\n\t", out);
}

void
output_escape_line(struct slice text, struct buf *out)
{
    escape(text, "", out);
}

/* A file is on the disk before it gets its name: the disk begins while the rest
 * is still being made. */
static void
write_behind(struct output *output, size_t bytes)
{
    output->behind_bytes += bytes;
    if (!output->path || output->behind_bytes < BEHIND_BYTES_MAX)
        return;
    /* Whether it worked is for the flush to find out. */
    (void)sync_file_range(fileno(output->file), 0, 0, SYNC_FILE_RANGE_WRITE);
    output->behind_bytes = 0;
}

int
output_write(struct output *output, struct slice data, struct err *err)
{
    if (output->is_terminal) {
        buf_reset(&output->shown);
        output_escape(data, &output->shown);
        data = buf_slice(&output->shown);
    }
    if (data.bytes &&
        fwrite(data.data, 1, data.bytes, output->file) != data.bytes) {
        return fail("write", output->name, err);
    }
    write_behind(output, data.bytes);
    return 0;
}

int
output_flush(struct output *output, struct err *err)
{
    struct stat st;

    if (fflush(output->file) != 0)
        return fail("write", output->name, err);
    if (fstat(fileno(output->file), &st) == 0 && S_ISREG(st.st_mode) &&
        fsync(fileno(output->file)) < 0) {
        return fail("flush", output->name, err);
    }
    return 0;
}

/* Makes a rename last through a loss of power. */
static int
sync_folder(const char *path, struct err *err)
{
    char *copy = mem_dup_str(path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = 0;

    free(copy);
    /* Some file systems cannot flush folders; that is no failure of ours. */
    if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL))
        rc = fail("flush the folder of", path, err);
    if (fd >= 0)
        close(fd);
    return rc;
}

int
output_commit(struct output *output, struct err *err)
{
    int rc = output_flush(output, err);

    if (rc < 0 || !output->path)
        return rc;
    rc = fclose(output->file);
    output->file = NULL;
    if (rc != 0)
        return fail("close", output->beside, err);
    if (rename(output->beside, output->path) < 0)
        return fail("rename to", output->path, err);
    free(output->beside);
    output->beside = NULL;
    return sync_folder(output->path, err);
}

void
output_fini(struct output *output)
{
    if (output->file && output->file != stdout)
        fclose(output->file);
    if (output->beside)
        unlink(output->beside);
    free(output->beside);
    free(output->path);
    buf_fini(&output->shown);
    *output = (struct output){ .file = NULL };
}

int
output_replace(const char *path, struct slice data, struct err *err)
{
    struct output output;
    int rc = open_named(&output, path, err);

    if (rc == 0)
        rc = output_write(&output, data, err);
    if (rc == 0)
        rc = output_commit(&output, err);
    output_fini(&output);
    return rc;
}
