/* SPDX-License-Identifier: MIT */
#include "store/part.h"

#include <assert.h>

/* Before format 6 a number was of 32 bits, and never so large that it had this one:
 * so it tells the two forms apart. */
#define OF_STORE    (UINT64_C(1) << 63)
#define BESIDE_BITS 16

void
part_encode(uint64_t part, uint32_t beside, struct buf *out)
{
    if (part & PART_OF_BATCH) {
        record_u32(out, (uint32_t)part);
        record_u32(out, beside);
        return;
    }
    assert(part <= PART_MAX);
    assert(beside <= PART_BESIDE_MAX);
    record_u64(out, OF_STORE | part << BESIDE_BITS | beside);
}

uint64_t
part_decode(struct record *record, uint32_t *beside)
{
    uint64_t both = record_get_u64(record);

    if (both & OF_STORE) {
        *beside = both & PART_BESIDE_MAX;
        return (both & ~OF_STORE) >> BESIDE_BITS;
    }
    *beside = (uint32_t)both;
    return PART_OF_BATCH | both >> 32;
}
