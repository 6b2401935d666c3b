/* SPDX-License-Identifier: MIT */
#include "tests/broker_drafts.h"

void
bench_submit_drafts(struct bench *bench, const char *key, int from, int count,
                    char batch[BENCH_UUID_BYTES])
{
    struct buf lines = { 0 };

    for (int i = from; i < from + count; i++)
        buf_addf(&lines, "{'id':'%d','text':'draft %d.'}\n", i, i);
    bench_submit(bench, key, NULL, lines.data, batch);
    buf_fini(&lines);
    bench_advance(bench, bench->conf.group_window_ms);
}
