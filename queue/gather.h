/*
 * gather.h - the lines of one chunk, read
 *
 * A chunk comes from a client, or is a slice of a file that a batch is made
 * from. Each of its lines becomes a draft or a fault, by what stands in it, in
 * its batch's options and in the configuration, and by nothing else: neither
 * the store nor the time is asked. So lines can be read before the turn of
 * their chunk has come, and in another thread than it is stored in (stow.h).
 *
 *   gather_reset
 *     gather_line, or gather_refuse …    one for each line, in order
 *   gather_cut                           into the parts that are stored
 *   stow_gathering
 *   gather_fini, or gather_reset for another chunk
 *
 * Ownership: it owns what it gathered, and lends conf, recipe, line and packer
 * only while lines are read and cut.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_GATHER_H
#define QUEUE_GATHER_H

#include "queue/recipe.h"
#include "store/store.h"

/* A line that is no draft, and why. */
struct gather_fault {
    uint32_t n; /* of the line, from 0 */
    struct line_fault fault;
};

/* Zero-initialised is empty. The caller sets what lines are read with; the rest
 * is private to those who read and store it. */
struct gathering {
    const struct conf *conf;
    struct recipe *recipe; /* of the batch */
    struct line *line;     /* scratch */
    struct packer *packer; /* of its parts; NULL: they are not packed */
    /* Looks at the line that was read: false if it is to be refused, for
     * *fault. NULL: all fit. */
    bool (*fits)(void *context, const struct line *line,
                 struct line_fault *fault);
    void *context; /* of fits */

    unsigned char digest[DIGEST_BYTES]; /* of the body that was measured */
    uint32_t line_count;                /* that it has */
    uint64_t
        batch; /* with whose recipe lines were read ahead; 0: with nobody's */
    uint32_t next; /* line to be read */
    /* Drafts count from the chunk's first line, belong to no batch, and have
     * their ids one behind the other in `ids`. */
    struct new_draft *drafts;
    size_t count, capacity;
    struct gather_fault *faults;
    size_t fault_count, fault_capacity;
    struct buf ids;
    struct parts parts; /* that the body was cut into */
    char **routes;      /* of drafts one behind the other that have the same */
    size_t route_count, route_capacity;
};

/* Empties it. The memory that a chunk of usual size needs is kept. */
void gather_reset(struct gathering *gathering);
void gather_fini(struct gathering *gathering);

/* Reads the next line, which lies within the body so far. False: it was
 * refused, as *fault says. */
bool gather_line(struct gathering *gathering, struct slice body,
                 struct slice text, struct line_fault *fault);

/* Takes the next line as refused. */
void gather_refuse(struct gathering *gathering, const struct line_fault *fault);

/* Notes the digest of a body and how many lines it has; then reads them. */
void gather_measure(struct gathering *gathering, struct slice body);
void gather_lines(struct gathering *gathering, struct slice body);

/* Cuts the body, which stays where it is until it is stored. */
void gather_cut(struct gathering *gathering, struct slice body);

/* Reads and cuts all of a chunk before its turn, for the batch whose recipe is set;
 * of one with too many lines nothing. */
void gather_ahead(struct gathering *gathering, struct slice body);

/* True if all lines of the body that was measured were read. */
bool gather_is_whole(const struct gathering *gathering);

/* Counts the lines that a body has. */
size_t gather_count_lines(struct slice body);

#endif
