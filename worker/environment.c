/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* environ */
#include "worker/environment.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define NAME_BYTES_MAX   256
#define RESOLVER_OPTIONS "timeout:2 attempts:2" /* seconds; resolv.conf(5) */

/* True for a variable that must not reach libcurl or OpenSSL. */
static bool
is_unwanted(const char *variable)
{
    static const char *const beginnings[] = { "CURL_",
                                              "SSLKEYLOGFILE=", "SSL_CERT_",
                                              "OPENSSL_" };
    size_t name_bytes = strcspn(variable, "=");

    if (name_bytes == strlen("SHEAF_PROXY") &&
        strncmp(variable, "SHEAF_PROXY", name_bytes) == 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
        if (strncmp(variable, beginnings[i], strlen(beginnings[i])) == 0)
            return true;
    }
    return name_bytes >= 6 &&
           strncasecmp(variable + name_bytes - 6, "_proxy", 6) == 0;
}

void
environment_clean(void)
{
    size_t i = 0;

    while (environ && environ[i]) {
        char name[NAME_BYTES_MAX];
        size_t bytes = strcspn(environ[i], "=");

        if (!is_unwanted(environ[i]) || bytes >= sizeof(name)) {
            i++;
            continue;
        }
        memcpy(name, environ[i], bytes);
        name[bytes] = '\0';
        if (unsetenv(name) < 0) /* else the others have moved up to i */
            i++;
    }
    /* A name server that is dead shall be known to be so before the connection
     * is given up: threads that ask it would pile up. */
    (void)setenv("RES_OPTIONS", RESOLVER_OPTIONS, 0);
}
