/* SPDX-License-Identifier: MIT */
#include "worker/ca_file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int
ca_file_check(const char *path, struct err *err)
{
    if (!path || access(path, R_OK) == 0)
        return 0;
    return err_set(err, E_IO, "ca_file %s: %s", path, strerror(errno));
}
