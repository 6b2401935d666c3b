/*
 * environment.h - the variables that libraries read behind our back
 *
 * To be seen to before anything else, in main: nothing has read them then.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_ENVIRONMENT_H
#define WORKER_ENVIRONMENT_H

/* Removes what would change how calls are made, or write down their secrets:
 * proxies (but for SHEAF_PROXY), SSLKEYLOGFILE, settings of curl and OpenSSL.
 * Gives the system's resolver short time-outs, unless it was told others. */
void environment_clean(void);

#endif
