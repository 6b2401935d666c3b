/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* flock */
#include "worker/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/runtime.h"

#define BOOT_ID "/proc/sys/kernel/random/boot_id"

static int
read_host(char host[IDENTITY_HOST_BYTES], struct err *err)
{
    int fd = open(BOOT_ID, O_RDONLY | O_CLOEXEC);
    ssize_t bytes;

    if (fd < 0)
        return err_set(err, E_IO, "open %s: %s", BOOT_ID, strerror(errno));
    bytes = read(fd, host, IDENTITY_HOST_BYTES - 1);
    close(fd);
    if (bytes <= 0)
        return err_set(err, E_IO, "read %s: nothing there", BOOT_ID);
    host[bytes] = '\0';
    host[strcspn(host, "\n")] = '\0';
    return 0;
}

static int
take_lock(struct identity *identity, struct err *err)
{
    struct buf path = { 0 };
    int rc = runtime_dir(&path, err);

    if (rc < 0) {
        buf_fini(&path);
        return rc;
    }
    buf_addf(&path, "/worker-%s.lock", identity->uuid);
    identity->lock = buf_take(&path);
    identity->lock_fd =
        open(identity->lock, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
             S_IRUSR | S_IWUSR);
    if (identity->lock_fd < 0) {
        return err_set(err, E_IO, "open %s: %s", identity->lock,
                       strerror(errno));
    }
    if (flock(identity->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        return err_set(err, E_IO, "lock %s: %s", identity->lock,
                       strerror(errno));
    }
    return 0;
}

int
identity_init(struct identity *identity, const char *name, const char *own,
              struct err *err)
{
    uuid_t uuid;
    int rc;

    *identity = (struct identity){ .lock_fd = -1 };
    if (name && (!*name || strlen(name) > IDENTITY_NAME_BYTES_MAX)) {
        return err_set(err, E_INVALID, "--name: 1 to %d bytes",
                       IDENTITY_NAME_BYTES_MAX);
    }
    if (own && strlen(own) > IDENTITY_OWN_BYTES_MAX) {
        return err_set(err, E_INVALID, "--own: at most %d bytes",
                       IDENTITY_OWN_BYTES_MAX);
    }
    uuid_generate(uuid);
    uuid_unparse_lower(uuid, identity->uuid);
    if (name) {
        identity->name = mem_dup_str(name);
    } else {
        struct buf made = { 0 };

        buf_addf(&made, "worker-%ld", (long)getpid());
        identity->name = buf_take(&made);
    }
    identity->own = mem_dup_str(own ? own : "");
    rc = read_host(identity->host, err);
    if (rc == 0)
        rc = take_lock(identity, err);
    if (rc < 0)
        identity_fini(identity);
    return rc;
}

void
identity_fini(struct identity *identity)
{
    /* The name goes first: who finds it can be sure that the lock is held, or that
     * words are left. */
    if (identity->lock_fd >= 0) {
        if (!identity->leaves_words)
            (void)unlink(identity->lock);
        close(identity->lock_fd);
    }
    free(identity->name);
    free(identity->own);
    free(identity->lock);
    *identity = (struct identity){ .lock_fd = -1 };
}
