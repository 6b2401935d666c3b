"""disk.py - what of a directory may be left when the power fails

A model of files and names as the kernel promises them, and no better. What is
written waits in pages; each of them may be on the disk or not, in any order,
and one that is being written may be torn between two sectors. A flush of a
file puts its pages there; a write on a descriptor with O_DSYNC puts itself
there and nothing else. A name that was made, moved or removed waits until its
directory is flushed; a move is whole or not at all.

An image is one of the states that the disk may be left in. Its number is the
same for the same content, and is known without making it.
"""
# SPDX-License-Identifier: MIT

import hashlib
import os
import random

PAGE = 4096
SECTOR = 512
ZEROS = bytes(PAGE)
DIRECTORY = "directory"  # what a name leads to that is no file
LOCK_FILE = "lock.mdb"   # written through memory: its content may be anything


def page_number(number, content):
    if content == ZEROS:
        return 0
    digest = hashlib.blake2b(content, digest_size=16,
                             salt=number.to_bytes(16, "big"))
    return int.from_bytes(digest.digest(), "big")


class Waiting:
    """A piece of a page, or a length, that may not be on the disk yet."""

    def __init__(self, at, data, length=None):
        self.at, self.data, self.length = at, data, length
        self.is_fixed = False  # it is there, though older ones may not be


class File:
    """What is on the disk for sure, and what waits."""

    def __init__(self):
        self.pages, self.size, self.sum = {}, 0, 0
        self.waiting = []

    def write(self, offset, data, is_synced):
        pieces, at = [], 0
        while at < len(data):
            count = min(PAGE - (offset + at) % PAGE, len(data) - at)
            pieces.append(Waiting(offset + at, data[at:at + count]))
            at += count
        self.waiting += pieces
        return pieces if is_synced else []

    def truncate(self, length):
        self.waiting.append(Waiting(0, b"", length))

    def changed(self, chosen):
        """The pages that a choice of what waits changes, and the size."""
        pages, size = {}, self.size
        for piece in chosen:
            if piece.length is not None:
                size = piece.length
                for number in list(self.pages) + list(pages):
                    if number * PAGE >= size:
                        pages[number] = ZEROS
                continue
            number, start = divmod(piece.at, PAGE)
            old = pages.get(number, self.pages.get(number, ZEROS))
            pages[number] = (old[:start] + piece.data
                             + old[start + len(piece.data):])
            size = max(size, piece.at + len(piece.data))
        return pages, size

    def flush(self):
        pages, self.size = self.changed(self.waiting)
        for number, content in pages.items():
            self.sum += page_number(number, content) - page_number(
                number, self.pages.get(number, ZEROS))
        # Images that were taken keep the pages as they were.
        self.pages = {**self.pages, **pages}
        self.waiting = []


class Image:
    """A state that may be left: for each path, a file's pages and size."""

    def __init__(self, how):
        self.how = how
        self.dirs, self.files = [], {}
        self.number = 0

    def add_file(self, path, file, pages, size):
        self.files[path] = (file.pages, pages, size)
        total = file.sum
        for number, content in pages.items():
            total += page_number(number, content) - page_number(
                number, file.pages.get(number, ZEROS))
        self.add_number(path, total, size)

    def add_dir(self, path):
        self.dirs.append(path)
        self.add_number(path, 0, 0)

    def add_number(self, *words):
        digest = hashlib.blake2b(repr(words).encode(), digest_size=16)
        self.number += int.from_bytes(digest.digest(), "big")

    def content(self, path):
        before, changed, size = self.files[path]
        pages = {**before, **changed}
        return b"".join(pages.get(number, ZEROS) for number in range(
            (size + PAGE - 1) // PAGE))[:size]

    def make(self, root):
        """Writes the image below a directory."""
        for path in sorted(self.dirs):
            os.mkdir(os.path.join(root, path), 0o700)
        for path in self.files:
            content = self.content(path)
            if os.path.basename(path) == LOCK_FILE and self.number % 2:
                content = random.Random(self.number).randbytes(len(content))
            fd = os.open(os.path.join(root, path),
                         os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(fd, "wb") as file:
                file.write(content)

    def disk(self):
        """A disk on which the image is all there is, for sure."""
        disk = Disk()
        for path in self.dirs:
            disk.names[path] = DIRECTORY
        for path, (before, changed, size) in self.files.items():
            file = File()
            file.pages = {**before, **changed}
            file.size = size
            file.sum = sum(page_number(number, content)
                           for number, content in file.pages.items())
            disk.names[path] = file
        return disk


class Disk:
    """A directory of files, and what was done to it that may be lost."""

    def __init__(self):
        self.names = {}    # on the disk: path to file
        self.renamed = []  # waiting: lists of (path, file or None)
        self.now = {}      # descriptors of the process
        self.files = []    # that have something waiting

    # ---- what the process does ----

    def current(self):
        """The names as the process sees them."""
        names = dict(self.names)
        for edits in self.renamed:
            self.apply(names, edits)
        return names

    @staticmethod
    def apply(names, edits):
        for path, file in edits:
            if file is None:
                names.pop(path, None)
            else:
                names[path] = file

    def opened(self, fd, path, is_synced, is_created, is_dir):
        if is_dir:
            self.now[fd] = (path, None, False)
            return
        file = self.current().get(path)
        if file is None:
            if not is_created:
                raise KeyError(f"{path} was opened, and is not there")
            file = File()
            self.renamed.append([(path, file)])
        self.now[fd] = (path, file, is_synced)

    def closed(self, fd):
        del self.now[fd]

    def end_process(self):
        self.now = {}

    def write(self, fd, offset, data):
        """Returns the pieces that settle() fixes when the call has ended."""
        _, file, is_synced = self.now[fd]
        if file not in self.files:
            self.files.append(file)
        return file.write(offset, data, is_synced)

    @staticmethod
    def settle(pieces):
        for piece in pieces:
            piece.is_fixed = True

    def truncate(self, fd, length):
        file = self.now[fd][1]
        if file not in self.files:
            self.files.append(file)
        file.truncate(length)

    def flush(self, fd):
        path, file, _ = self.now[fd]
        if file is not None:
            file.flush()
            if file in self.files:
                self.files.remove(file)
            return
        there = "" if path == "." else path
        waiting = []
        for edits in self.renamed:
            if any(os.path.dirname(name) == there for name, _ in edits):
                self.apply(self.names, edits)
            else:
                waiting.append(edits)
        self.renamed = waiting

    def is_dir_fd(self, fd):
        return self.now[fd][1] is None

    def mkdir(self, path):
        self.renamed.append([(path, DIRECTORY)])

    def remove(self, path):
        self.renamed.append([(path, None)])

    def rename(self, source, target):
        file = self.current()[source]
        self.renamed.append([(source, None), (target, file)])

    # ---- what may be left ----

    def image(self, how, rng):
        """An image: `none`, `all`, or drawn in the manner of `how`."""
        pick = {
            "none": lambda pieces: [],
            "all": lambda pieces: pieces,
            "names": lambda pieces: [],
            "data": lambda pieces: pieces,
            "some": lambda pieces: [p for p in pieces if rng.random() < 0.5],
            "torn": lambda pieces: [p for p in pieces if rng.random() < 0.8],
            "prefix": lambda pieces: set(rng.sample(
                pieces, rng.randint(0, len(pieces)))),
        }[how]
        image = Image(how)
        names = self.choose_names(how, rng)
        chosen = {}
        for file in self.files:
            kept = set(pick(file.waiting))
            chosen[file] = [piece for piece in file.waiting
                            if piece in kept or piece.is_fixed]
        if how == "torn":
            self.tear(chosen, rng)
        has_ghost = how in ("some", "prefix") and rng.random() < 0.3
        for path, file in sorted(names.items(), key=lambda item: item[0]):
            if file is DIRECTORY:
                image.add_dir(path)
                continue
            pages, size = file.changed(chosen.get(file, []))
            if has_ghost:  # a length may be there before its pages
                size = max(size, file.changed(file.waiting)[1])
            image.add_file(path, file, pages, size)
        return image

    def choose_names(self, how, rng):
        """Names of which some that wait are there. One that rests upon an
        earlier one comes only with it."""
        names, missing = dict(self.names), set()
        for edits in self.renamed:
            is_there = {"none": False, "data": False, "all": True,
                        "names": True}.get(how, rng.random() < 0.5)
            whose = {path for path, _ in edits} | {
                file for _, file in edits if isinstance(file, File)}
            parents = {os.path.dirname(path) for path, _ in edits}
            if not is_there or (whose | parents) & missing:
                missing |= whose
            else:
                self.apply(names, edits)
        for path in list(names):
            parent = os.path.dirname(path)
            if parent and parent not in names:
                del names[path]
        return names

    @staticmethod
    def tear(chosen, rng):
        """One page is there up to a sector, or from one on."""
        whole = [(file, at) for file, pieces in chosen.items()
                 for at, piece in enumerate(pieces)
                 if len(piece.data) > SECTOR and not piece.is_fixed]
        if not whole:
            return
        file, at = rng.choice(whole)
        piece = chosen[file][at]
        cut = SECTOR * rng.randint(1, (len(piece.data) - 1) // SECTOR)
        torn = (Waiting(piece.at, piece.data[:cut]) if rng.random() < 0.5
                else Waiting(piece.at + cut, piece.data[cut:]))
        chosen[file] = (chosen[file][:at] + [torn] + chosen[file][at + 1:])

