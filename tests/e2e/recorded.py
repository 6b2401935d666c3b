#!/usr/bin/python3
"""recorded.py - lines of strace, and the events that recording.py reads in them

Each case is some lines, with text in quotes where strace writes hexadecimal,
and their events and the writes that a kill cut; or a part of the reason why they
are refused. Before each come those that open the store's file as 5 and a
worker's connection as 7.
"""
# SPDX-License-Identifier: MIT

import re
import sys

import recording
from broker import Failure

ROOT = "/root"
BEFORE = """\
10 openat(AT_FDCWD, "/root/data", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 5
11 accept4(6, NULL, NULL, SOCK_CLOEXEC) = 7
"""
OPENED = [("open", 5, "data", False, True, False)]
WRITTEN = ("write", 5, 0, b"abcd")

CASES = (
    ("calls of two threads in each other", """\
10 pwrite64(5, "abcd", 4, 0 <unfinished ...>
11 recvfrom(7,  <unfinished ...>
10 <... pwrite64 resumed>)           = 4
10 fdatasync(5 <unfinished ...>
11 <... recvfrom resumed>0x7f01, 8192, 0, NULL, NULL) = -1 EAGAIN (Resource \
temporarily unavailable)
10 <... fdatasync resumed>)          = 0
""", [WRITTEN, ("flush", 5)], []),
    ("a write that the kernel did in part", """\
10 pwrite64(5, "abcdef", 6, 0)       = 4
""", [WRITTEN], []),
    ("pieces that are written in a row", """\
10 pwritev(5, [{iov_base="abc", iov_len=3}, {iov_base="def", iov_len=3}], 2, \
0) = 4
""", [WRITTEN], []),
    ("the worker's end, before its connection is closed", """\
11 recvfrom(7, "", 8192, 0, NULL, NULL) = 0
10 pwrite64(5, "abcd", 4, 0)         = 4
11 close(7)                          = 0
""", [("left", 1), WRITTEN], []),
    ("its end without having read all", """\
11 recvfrom(7, 0x7f01, 8192, 0, NULL, NULL) = -1 ECONNRESET (Connection reset \
by peer)
11 close(7)                          = 0
""", [("left", 1)], []),
    ("a connection that we close", """\
11 close(7)                          = 0
""", [("left", 1)], []),
    ("a kill in the midst of a flush", """\
10 pwrite64(5, "abcd", 4, 0)         = 4
10 fdatasync(5 <unfinished ...>
11 recvfrom(7,  <unfinished ...>
10 <... fdatasync resumed>)          = ?
11 <... recvfrom resumed> <unfinished ...>) = ?
11 +++ killed by SIGKILL +++
10 +++ killed by SIGKILL +++
""", [WRITTEN], []),
    ("a flush of which nobody knows whether it ended", """\
10 fdatasync(5 <unfinished ...>
10 <... fdatasync resumed>)          = ? <unavailable>
""", [], []),
    ("a kill in the midst of a write", """\
10 pwrite64(5, "abcd", 4, 0 <unfinished ...>
10 <... pwrite64 resumed>)           = ?
""", [], [WRITTEN]),
    ("a write of which no more is told", """\
10 pwrite64(5, "abcd", 4, 0 <detached ...>
""", [], [WRITTEN]),
    ("a write that was begun and never ended", """\
10 pwrite64(5, "abcd", 4, 0 <unfinished ...>
11 +++ exited with 0 +++
""", [], [WRITTEN]),
    ("a kill before a write, whose bytes were gone", """\
10 pwrite64(5, 0x7f01, 4, 0)         = ?
""", [], []),
    ("kills before calls of which nothing could be read", """\
10 ???( <unfinished ...>
11 ???()                             = ?
12 ???( <detached ...>
10 <... ??? resumed>)                = ?
13 pwrite64( <unfinished ...>
13 <... pwrite64 resumed>)           = ? <unavailable>
14 fdatasync()                       = ? <unavailable>
15 recvfrom(7, )                     = ? <unavailable>
16 recvfrom(7,  <unfinished ...>)    = ?
17 mmap( <detached ...>
18 syscall_0xffff(0x1, 0x2, 0x3, 0, 0, 0 <detached ...>
""", [], []),
    ("a call that is made anew after a signal", """\
11 recvfrom(7, 0x7f01, 8192, 0, NULL, NULL) = ? ERESTARTSYS (To be restarted \
if SA_RESTART is set)
11 --- SIGTERM {si_signo=SIGTERM, si_code=SI_USER} ---
11 recvfrom(7, "", 8192, 0, NULL, NULL) = 0
""", [("left", 1)], []),
    ("a process of our own, which has descriptors of its own", """\
10 clone3({flags=CLONE_VM|CLONE_VFORK, exit_signal=SIGCHLD}, 88 <unfinished ...>
20 close(5)                          = 0
10 <... clone3 resumed>)             = 20
10 clone3({flags=CLONE_VM|CLONE_THREAD, exit_signal=0} => {parent_tid=[30]}, \
88) = 30
30 pwrite64(5, "abcd", 4, 0)         = 4
""", [WRITTEN], []),
    ("a line that is cut off", """\
10 pwrite64(5, "ab
""", "pwrite64 is not understood", None),
    ("an end without a beginning", """\
10 <... fdatasync resumed>)          = 0
""", "fdatasync ends, and did not begin", None),
    ("what is no line", """\
strace: out of memory
""", "is not understood", None),
    ("bytes that strace has left out", """\
10 pwrite64(5, "abcd"..., 9, 0)      = 9
""", "longer than", None),
    ("bytes that cannot be read, and were written", """\
10 pwrite64(5, 0x7f01, 4, 0)         = 4
""", "4 bytes were written, and 0 are known", None),
    ("two writers of one file", """\
10 pwrite64(5, "abcd", 4, 0 <unfinished ...>
11 fdatasync(5)                      = 0
10 <... pwrite64 resumed>)           = 4
""", "overlap", None),
)


def in_hexadecimal(match):
    return '"' + "".join(f"\\x{ord(byte):02x}" for byte in match[1]) + '"'


def read(lines):
    """The events and cut writes of lines; or why they are refused."""
    with open("lines", "w", encoding="ascii") as file:
        file.write(re.sub('"([^"\n]*)"', in_hexadecimal, BEFORE + lines))
    try:
        return recording.read_events("lines", ROOT)
    except Failure as failure:
        return str(failure), None


def main():
    is_right = True
    for name, lines, events, cut in CASES:
        got = read(lines)
        if cut is None:
            fits = isinstance(got[0], str) and events in got[0]
        else:
            fits = got == (OPENED + events, cut)
        if not fits:
            print(f"{name}:\n  got  {got}\n  want {events} {cut}",
                  file=sys.stderr)
            is_right = False
    sys.exit(0 if is_right else 1)


main()
