#!/usr/bin/python3
# silence.py - a name server that never answers, and what has to live with it
#
#   silence.py COMMAND…
#
# Runs a command while a socket on 127.0.0.1 takes what the name server is
# asked, and nobody reads it. To be run by e2e/nameless.sh, which makes that
# address the name server's in namespaces of their own.
#
# SPDX-License-Identifier: MIT
import fcntl
import socket
import struct
import subprocess
import sys

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


def bring_up_loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        name = b"lo".ljust(16, b"\0")
        request = fcntl.ioctl(probe, SIOCGIFFLAGS, name + bytes(24))
        flags, = struct.unpack_from("h", request, 16)
        fcntl.ioctl(probe, SIOCSIFFLAGS,
                    name + struct.pack("h", flags | IFF_UP) + bytes(22))


def listen_in_silence():
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind(("127.0.0.1", 53))
    return sink


if __name__ == "__main__":
    bring_up_loopback()
    with listen_in_silence():
        sys.exit(subprocess.call(sys.argv[1:]))
