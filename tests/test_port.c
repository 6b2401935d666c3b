/* Ports, and what is none. */
/* SPDX-License-Identifier: MIT */
#include "base/port.h"

#include <criterion/criterion.h>

Test(port, is_read_from_its_digits_alone)
{
    static const struct {
        const char *text;
        int want;
    } cases[] = {
        { "0", 0 },
        { "1", 1 },
        { "80", 80 },
        { "08017", 8017 },
        { "65535", PORT_MAX },
        { "65536", -1 },
        { "99999", -1 },
        { "4294967376", -1 },
        { "000080", -1 },
        { "", -1 },
        { " 80", -1 },
        { "80 ", -1 },
        { "-1", -1 },
        { "+80", -1 },
        { "80x", -1 },
        { "0x50", -1 },
        { "*", -1 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_eq(port_read(slice_of(cases[i].text)), cases[i].want, "'%s'",
                     cases[i].text);
    cr_expect_eq(port_read((struct slice){ "80/v1", 2 }), 80);
}
