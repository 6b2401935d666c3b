#!/usr/bin/python3
"""damage.py - spoils a store's data.mdb in one way

  damage.py KIND FILE

  half       the second half is missing
  page       the last page that is used is missing
  empty      nothing is left
  zero       the first two pages, which say how the rest is laid out, are zero
  middle     all but the first two pages are zero
  garbage    bytes that mean nothing
  sqlite     a database of another kind
  foreign    an LMDB environment without our tables
  newer      the store of a later version of the programs
  index      a row of the table `uuid` is gone
  length     the length of a row leads behind the end of the file
  free       the list of free pages has one that is in use
  text       a letter of the texts of drafts is another
"""
# SPDX-License-Identifier: MIT

import ctypes
import os
import random
import re
import sqlite3
import sys

PAGE = 4096
# Where both of the first two pages say them.
FREE_ROOT, MAIN_ROOT, LAST_PAGE, TRANSACTION = 80, 128, 136, 144
META_TABLE = 0  # store/FORMAT.md: where `format` stands


def number(data, at, size=8):
    return int.from_bytes(data[at:at + size], "little")


def newest(path):
    """The one of the first two pages that counts."""
    with open(path, "rb") as file:
        heads = [file.read(PAGE) for _ in range(2)]
    return max(heads, key=lambda head: number(head, TRANSACTION))


def used(path):
    """The bytes up to the last page that is used: zeros may be behind it."""
    return (number(newest(path), LAST_PAGE) + 1) * PAGE


def cut(path, size):
    with open(path, "r+b") as file:
        file.truncate(size)


def overwrite(path, begin, end):
    with open(path, "r+b") as file:
        file.seek(begin)
        file.write(bytes(end - begin))


def replace(path, data):
    with open(path, "wb") as file:
        file.write(data)


def sqlite(path):
    os.unlink(path)
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE results (text)")


def foreign(path):
    """The two first pages of a fresh environment: no table in it."""
    with open(path, "rb") as file:
        pages = bytearray(file.read(2 * PAGE))
    for begin in (0, PAGE):
        # Both trees are empty: depth, counts, and no root page.
        for tree in (begin + FREE_ROOT - 40, begin + MAIN_ROOT - 40):
            pages[tree + 6:tree + 40] = bytes(34)
            pages[tree + 40:tree + 48] = b"\xff" * 8
        last = begin + LAST_PAGE
        pages[last:last + 8] = (1).to_bytes(8, "little")
    replace(path, bytes(pages))


def seal(key, fields):
    """The checksum of a record of META_TABLE."""
    library = ctypes.CDLL("libxxhash.so.0")
    hash64 = library.XXH3_64bits_withSeed
    hash64.restype = ctypes.c_uint64
    hash64.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64)
    seed = hash64(key, len(key), META_TABLE)
    low = hash64(fields, len(fields), seed) & 0xFFFFFFFF
    return fields + low.to_bytes(4, "big")


def newer(path):
    with open(path, "rb") as file:
        data = file.read()
    formats = {data[match.end():match.end() + 4]
               for match in re.finditer(b"format", data)
               if data[match.end():match.end() + 8] ==
               seal(b"format", data[match.end():match.end() + 4])}
    if len(formats) != 1:
        sys.exit(f"formats in {path}: got {formats}, want one")
    (now,) = formats
    later = (int.from_bytes(now, "big") + 1).to_bytes(4, "big")
    replace(path, data.replace(b"format" + seal(b"format", now),
                               b"format" + seal(b"format", later)))


def length(path):
    """LMDB's node: its length (low, high), flags, and the key's length."""
    with open(path, "rb") as file:
        data = bytearray(file.read())
    nodes = [match.start() for match in
             re.finditer(rb"\0\0\0\0\x06\0format", data)]
    if not nodes:
        sys.exit(f"no row of the format in {path}")
    for at in nodes:
        data[at + 1] = 8  # of the high half: 128 MiB
    replace(path, bytes(data))


def free(path):
    """A row of that list has a number of pages, then theirs; the first of them
    becomes the page that leads to the tables."""
    head = newest(path)
    with open(path, "rb") as file:
        data = bytearray(file.read())
    page = number(head, FREE_ROOT) * PAGE
    while number(data, page + 10, 2) & 1:  # a branch
        page = number(data, page + number(data, page + 16, 2), 4) * PAGE
    node = page + number(data, page + 16, 2)
    at = node + 16
    if number(data, node + 4, 2) & 1:  # the row has pages of its own
        at = number(data, at) * PAGE + 16
    if number(data, at) == 0:
        sys.exit(f"no free page in {path}")
    data[at + 8:at + 16] = head[MAIN_ROOT:MAIN_ROOT + 8]
    replace(path, bytes(data))


def text(path):
    with open(path, "rb") as file:
        data = file.read()
    at = data.index(b"some more words")
    replace(path, data[:at] + b"t" + data[at + 1:])


class Val(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_size_t), ("data", ctypes.c_void_p)]


def index(path):
    lmdb = ctypes.CDLL("liblmdb.so.0")
    env, txn, cursor = (ctypes.c_void_p() for _ in range(3))
    table, key, value = ctypes.c_uint(), Val(), Val()
    first, no_lock = 0, 0x400000
    steps = (
        lambda: lmdb.mdb_env_create(ctypes.byref(env)),
        lambda: lmdb.mdb_env_set_maxdbs(env, 64),
        lambda: lmdb.mdb_env_open(env, os.path.dirname(path).encode(), no_lock,
                                  0o600),
        lambda: lmdb.mdb_txn_begin(env, None, 0, ctypes.byref(txn)),
        lambda: lmdb.mdb_dbi_open(txn, b"uuid", 0, ctypes.byref(table)),
        lambda: lmdb.mdb_cursor_open(txn, table, ctypes.byref(cursor)),
        lambda: lmdb.mdb_cursor_get(cursor, ctypes.byref(key),
                                    ctypes.byref(value), first),
        lambda: lmdb.mdb_cursor_del(cursor, 0),
        lambda: lmdb.mdb_txn_commit(txn),
    )
    for number, step in enumerate(steps):
        code = step()
        if code:
            sys.exit(f"step {number} on {path}: got {code}, want 0")


def main():
    kind, path = sys.argv[1:]
    size = os.path.getsize(path)
    kinds = {
        "half": lambda: cut(path, used(path) // PAGE // 2 * PAGE),
        "page": lambda: cut(path, used(path) - PAGE),
        "empty": lambda: cut(path, 0),
        "zero": lambda: overwrite(path, 0, 2 * PAGE),
        "middle": lambda: overwrite(path, 2 * PAGE, size),
        "garbage": lambda: replace(path, random.Random(1).randbytes(size)),
        "sqlite": lambda: sqlite(path),
        "foreign": lambda: foreign(path),
        "newer": lambda: newer(path),
        "index": lambda: index(path),
        "length": lambda: length(path),
        "free": lambda: free(path),
        "text": lambda: text(path),
    }
    kinds[kind]()


if __name__ == "__main__":
    main()
