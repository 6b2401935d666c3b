"""recording.py - what a broker did to its store and said to others, in order

A broker runs under strace, which writes down the system calls that change
files, with their bytes, and those that read and write its sockets. So what it
stored and what it confirmed are in one order, as the kernel saw it. An answer
counts from the moment its bytes were handed to the kernel: before that nobody
can have it, and later would be too kind to the broker.

A recording is read into events, in the order in which they take effect:

  ("write", fd, offset, bytes)   from the start of the call on
  ("truncate", fd, bytes)
  ("flush", fd)                  at the end of the call
  ("open", fd, path, is_synced, is_created, is_dir)
  ("close", fd)
  ("mkdir" | "rmdir" | "unlink", path)
  ("rename", path, path)
  ("heard", stream, header, body)
  ("said", stream, header, body)
  ("left", stream)               the other side has ended, or it is closed
"""
# SPDX-License-Identifier: MIT

import ctypes
import json
import os
import pathlib
import re

from broker import Failure

ZSTD = ctypes.CDLL("libzstd.so.1")
ZSTD.ZSTD_createDCtx.restype = ctypes.c_void_p
ZSTD.ZSTD_decompress_usingDict.restype = ctypes.c_size_t
ZSTD.ZSTD_decompress_usingDict.argtypes = [
    ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p,
    ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
UNPACKING = ZSTD.ZSTD_createDCtx()
SOURCE = pathlib.Path(__file__).parents[2] / "base/pack_dictionary.c"
DICTIONARY = bytes(int(byte, 16) for byte in re.findall(
    "0x([0-9a-f]{2}),", SOURCE.read_text(encoding="ascii")))

# All that could change the store; what is among them and not understood is a
# failure as soon as it is done to one of its files. Not every machine has all.
CALLS = ",".join("?" + name for name in (
    "openat open creat close dup dup2 dup3 write pwrite64 writev pwritev "
    "pwritev2 lseek ftruncate truncate fallocate copy_file_range sendfile mmap "
    "msync sync_file_range fdatasync fsync rename renameat renameat2 link "
    "linkat symlink symlinkat unlink unlinkat rmdir mkdir mkdirat "
    "accept4 sendto sendmsg recvfrom recvmsg clone clone3 fork vfork").split())
BYTES_MAX = 1 << 25  # of one call; strace cuts what is longer

GREETING_BYTES = 64
FLAG_MORE, FLAG_LONG, FLAG_COMMAND = 1, 2, 4

# Of one that a kill has met before strace could look it has no name: ???.
LINE = re.compile(r"(\d+) +(?:<\.\.\. )?(\w+|\?\?\?)(\(| resumed>)(.*)$",
                  re.DOTALL)
NO_CALL = re.compile(r"\d+ +(\+\+\+|---) .* \1$")
STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
END = re.compile(r"(.*)\) += ([^=]*)$", re.DOTALL)
UNFINISHED = " <unfinished ...>"
DETACHED = " <detached ...>"


def strace(path):
    """The words that run a program under strace. The worker that it starts is
    let go: without -b execve it would be followed, and with --seccomp-bpf it
    would lose the calls of which nobody is told any more."""
    return ["strace", "-f", "-b", "execve", "-qq", "-xx", "-s",
            str(BYTES_MAX), "-e", f"trace={CALLS}", "-e", "signal=none", "-o",
            path]


# ---- system calls ----

class Call:
    """One system call; places are numbers of lines."""

    def __init__(self, pid, name, start):
        self.pid, self.name, self.start = pid, name, start
        self.words, self.end, self.result = "", None, None
        self.error = None

    def finish(self, words, end):
        match = END.match(self.words + words)
        if not match:
            raise Failure(f"line {end + 1}: {self.name} is not understood: "
                          f"…{(self.words + words)[-200:]}")
        words, result = match.groups()
        self.words = words.removesuffix(UNFINISHED)
        self.end = end
        # "?": a kill came while it was made.
        if not result.startswith("?"):
            result, *error = result.split()
            self.result = int(result, 0)
            self.error = error[0] if self.result == -1 and error else None

    def strings(self):
        found = []
        for text, cut in STRING.findall(self.words):
            if cut:
                raise Failure(f"{self.name}: longer than {BYTES_MAX} bytes")
            found.append(bytes.fromhex(text.replace("\\x", "")))
        return found

    def numbers(self):
        """The arguments in front of the first string."""
        return self.words.split('"')[0].rstrip(", ").split(", ")

    def fd(self):
        """None: a kill came before strace could read the arguments."""
        word = self.numbers()[0]
        return int(word) if word or self.result is not None else None

    def makes_child(self):
        return (self.name in ("clone", "clone3", "fork", "vfork")
                and (self.result or 0) > 0 and "CLONE_THREAD" not in self.words)


def read_calls(path):
    """The calls of a recording. One that never ended has no result. Those of a
    child are left out: it has descriptors of its own."""
    calls, waiting, children = [], {}, set()
    with open(path, encoding="ascii") as file:
        for number, line in enumerate(file):
            line = line.rstrip("\n")
            match = LINE.match(line)
            if not match:
                if NO_CALL.match(line):  # an end, or a signal
                    continue
                raise Failure(f"{path}: line {number + 1} is not understood: "
                              f"{line[:200]}")
            pid, name, kind, words = match.groups()
            if kind == "(":
                call = Call(pid, name, number)
                calls.append(call)
            elif pid in waiting:
                call = waiting.pop(pid)
            else:
                raise Failure(f"{path}: line {number + 1}: {name} ends, and "
                              "did not begin")
            if words.endswith(UNFINISHED):
                call.words += words.removesuffix(UNFINISHED)
                waiting[pid] = call
            elif words.endswith(DETACHED):  # it dies, and tells no more
                call.words += words.removesuffix(DETACHED)
            else:
                call.finish(words, number)
                if call.makes_child():
                    children.add(str(call.result))
    return [call for call in calls if call.pid not in children]


# ---- what is said on sockets ----

class Half:
    """One direction of a connection: ZMTP 3 frames out of pieces of bytes."""

    def __init__(self):
        self.bytes, self.is_greeted, self.frames = b"", False, []

    def add(self, piece):
        """The messages that these bytes complete."""
        self.bytes += piece
        if not self.is_greeted:
            if len(self.bytes) < GREETING_BYTES:
                return []
            self.bytes, self.is_greeted = self.bytes[GREETING_BYTES:], True
        messages, at = [], 0
        while True:
            frame, after = self.frame(at)
            if frame is None:
                break
            at = after
            flags, content = frame
            if flags & FLAG_COMMAND:
                continue
            self.frames.append(content)
            if not flags & FLAG_MORE:
                messages.append(self.frames)
                self.frames = []
        self.bytes = self.bytes[at:]
        return messages

    def frame(self, at):
        data = self.bytes
        if at + 2 > len(data):
            return None, at
        flags = data[at]
        head = 9 if flags & FLAG_LONG else 2
        if at + head > len(data):
            return None, at
        size = int.from_bytes(data[at + 1:at + head], "big")
        end = at + head + size
        if end > len(data):
            return None, at
        return (flags, data[at + head:end]), end


def unpacked(item, body):
    """What came packed is stored as it is, and read as it was before."""
    size = item.get("unpacked_bytes", 0)
    if not size:
        return body
    room = ctypes.create_string_buffer(size)
    if ZSTD.ZSTD_decompress_usingDict(
            UNPACKING, room, size, body, len(body), DICTIONARY,
            len(DICTIONARY)) != size:
        raise Failure("a result that cannot be unpacked")
    return room.raw


def parts(head, body):
    """What the parts of a turn would be by themselves."""
    if head["verb"] != "turn":
        yield head, body
        return
    if "started" in head:
        yield {"verb": "started", "held": head["started"]}, b""
    for request, fence in head.get("confirmed", []):
        yield {"verb": "confirmed", "request": request, "fence": fence}, b""
    for verb, items in (("result", "results"), ("lease", "leases")):
        for item in head.get(items, []):
            size = item.get("bytes", 0)
            yield {"verb": verb, **item}, unpacked(item, body[:size])
            body = body[size:]


class Streams:
    """The connections of one life of a broker."""

    def __init__(self):
        self.open, self.count = {}, 0

    def accept(self, fd):
        self.count += 1
        self.open[fd] = (self.count, Half(), Half())

    def feed(self, kind, fd, piece):
        """Events, for bytes that were heard or said."""
        stream, heard, said = self.open[fd]
        half = heard if kind == "heard" else said
        for frames in half.add(piece):
            body = frames[1] if len(frames) > 1 else b""
            for part in parts(json.loads(frames[0]), body):
                yield (kind, stream, *part)


# ---- events ----

class Reader:
    """Turns calls into events of one store, below the directory `root`."""

    def __init__(self, root):
        self.root = root
        self.paths = {}      # of open descriptors that are of the store
        self.positions = {}  # of those that were moved
        self.streams = Streams()
        self.events = []     # (place, event)
        self.cut = []        # writes that never ended

    def path(self, call, dir_word, name):
        """A path below the root, or None."""
        name = os.fsdecode(name)
        if not os.path.isabs(name) and dir_word != "AT_FDCWD":
            base = self.paths.get(int(dir_word))
            if base is None:
                return None
            name = os.path.join(self.root, base, name)
        name = os.path.normpath(os.path.join(os.getcwd(), name))
        below = os.path.relpath(name, self.root)
        return None if below.startswith("..") else below

    def add(self, place, *event):
        self.events.append((place, event))

    def refuse(self, call):
        raise Failure(f"{call.name}({call.words[:120]}) on a file of the "
                      "store: the replay does not know this")

    def read(self, calls):
        """The events, in order."""
        last_end = -1
        for call in calls:
            if self.touches(call):
                # With one writer, no flush meets a write half way.
                if call.start < last_end:
                    raise Failure("calls on the store overlap")
                last_end = call.end if call.end is not None else call.start
            getattr(self, f"call_{call.name}", self.call_other)(call)
        self.events.sort(key=lambda event: event[0])
        return [event for _, event in self.events]

    def touches(self, call):
        return (call.name in ("pwrite64", "pwritev", "writev", "write",
                              "ftruncate", "fdatasync", "fsync")
                and call.fd() in self.paths)

    def call_other(self, call):
        # By a descriptor, or by a path in it.
        words = call.numbers()
        if words[0].isdigit() and int(words[0]) in self.paths:
            self.refuse(call)
        for name in call.strings():
            if name.startswith(os.fsencode(self.root) + b"/"):
                self.refuse(call)

    def call_clone(self, call):
        pass

    call_clone3 = call_fork = call_vfork = call_clone

    def call_openat(self, call):
        if call.result is None or call.result < 0:
            return
        path = self.path(call, call.numbers()[0], call.strings()[0])
        self.paths.pop(call.result, None)
        if path is None:
            return
        flags = call.words.rsplit('"', 1)[1]
        if "O_TRUNC" in flags or "O_APPEND" in flags:
            self.refuse(call)
        self.paths[call.result] = path
        self.positions[call.result] = 0
        self.add(call.end, "open", call.result, path,
                 "O_DSYNC" in flags or "O_SYNC" in flags, "O_CREAT" in flags,
                 "O_DIRECTORY" in flags)

    def call_fallocate(self, call):
        # Room behind the end of a file is none of its content, and LMDB makes
        # what is in its lock file anew.
        name = os.path.basename(self.paths.get(call.fd(), ""))
        if "KEEP_SIZE" not in call.words and name != "lock.mdb":
            self.call_other(call)

    def call_close(self, call):
        fd = call.fd()
        if self.paths.pop(fd, None) is not None:
            self.add(call.start, "close", fd)
        self.leave(call, fd)

    def leave(self, call, fd):
        if fd in self.streams.open:
            self.add(call.start, "left", self.streams.open.pop(fd)[0])

    def call_mmap(self, call):
        if call.result is None:
            return
        words = call.words.split(", ")
        fd = int(words[4])
        name = os.path.basename(self.paths.get(fd, ""))
        if (name == "data.mdb" and "PROT_WRITE" in words[2]
                and "MAP_SHARED" in words[3]):
            self.refuse(call)

    def written(self, call, fd, offset, data):
        if call.result is None:
            self.cut.append(("write", fd, offset, data))
        elif call.result > len(data):
            raise Failure(f"{call.name}: {call.result} bytes were written, and "
                          f"{len(data)} are known")
        elif call.result > 0:
            self.add(call.start, "write", fd, offset, data[:call.result])

    def call_pwrite64(self, call):
        # Without bytes: a kill came before it was made.
        if (call.fd() in self.paths
                and (call.result is not None or call.strings())):
            self.written(call, call.fd(), int(call.words.rsplit(", ", 1)[1]),
                         b"".join(call.strings()))

    call_pwritev = call_pwrite64

    def call_writev(self, call):
        fd = call.fd()
        if fd in self.paths:
            self.written(call, fd, self.positions[fd],
                         b"".join(call.strings()))
            self.positions[fd] += max(call.result or 0, 0)

    def call_write(self, call):
        self.call_writev(call)

    def call_lseek(self, call):
        if call.fd() in self.paths and (call.result or 0) >= 0:
            self.positions[call.fd()] = call.result

    def call_ftruncate(self, call):
        if call.fd() in self.paths and call.result == 0:
            self.add(call.start, "truncate", call.fd(),
                     int(call.words.rsplit(", ", 1)[1]))

    def call_fsync(self, call):
        # A flush that failed, or never ended, promises nothing.
        if call.fd() in self.paths and call.result == 0:
            self.add(call.end, "flush", call.fd())

    call_fdatasync = call_fsync

    def names(self, call, verb):
        if call.result != 0:
            return
        if call.name.endswith(("at", "at2")) and "AT_FDCWD" not in call.words:
            self.refuse(call)
        paths = [self.path(call, "AT_FDCWD", name) for name in call.strings()]
        if any(path is not None for path in paths):
            self.add(call.start, verb, *paths)

    def call_mkdir(self, call):
        self.names(call, "mkdir")

    call_mkdirat = call_mkdir

    def call_rmdir(self, call):
        self.names(call, "rmdir")

    def call_unlink(self, call):
        self.names(call, "unlink")

    call_unlinkat = call_unlink

    def call_rename(self, call):
        self.names(call, "rename")

    call_renameat = call_renameat2 = call_rename

    def call_accept4(self, call):
        if (call.result or -1) >= 0:
            self.streams.accept(call.result)

    def call_sendto(self, call):
        if call.fd() in self.streams.open and (call.result or 0) > 0:
            piece = call.strings()[0][:call.result]
            for event in self.streams.feed("said", call.fd(), piece):
                self.add(call.start, *event)

    def call_recvfrom(self, call):
        fd = call.fd()
        if fd not in self.streams.open or call.result is None:
            return
        if call.result > 0:
            for event in self.streams.feed("heard", fd, call.strings()[0]):
                self.add(call.start, *event)
        elif call.error not in ("EAGAIN", "EINTR"):
            # Others may act on it before this thread comes to close it.
            self.leave(call, fd)


def read_events(path, root):
    """The events of a recording, and writes that a kill cut off."""
    reader = Reader(root)
    return reader.read(read_calls(path)), reader.cut
