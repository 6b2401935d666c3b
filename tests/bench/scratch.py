"""scratch.py - the place where a benchmark runs, and all that runs in it

A Scratch is a new directory below the one that it is given, on the disk that is
measured, a short one for sockets, and the processes that were started in it.
Leaving it ends them and removes both, also when the benchmark is interrupted.
"""
# SPDX-License-Identifier: MIT

import contextlib
import mmap
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import tempfile
import time

PATIENCE_S = 60  # to start, or to stop, a server
COMMAND_S = 3600  # the longest that a command may take
PATH = os.environ["PATH"] + ":/usr/sbin"  # where Debian has some servers


class BenchError(Exception):
    """What was tried and why it failed, for whoever ran the benchmark."""


def cpu_ns(pid):
    """Processor time of all threads of a process, in nanoseconds."""
    total = 0
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):
            total += int(path.read_text(encoding="ascii").split()[0])
    return total


def children_of(pid):
    found = []
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in path.read_text().split()]
    return found


def memory_kib(pid, name="RssAnon"):
    """A line of a process's status; 0 if it is gone."""
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith(name + ":"):
                    return int(line.split()[1])
    return 0


def program_of(pid):
    """The path of what a process runs; None if it is gone."""
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/exe")
    return None


def disk_bytes(path):
    """What the files below a directory take on the disk."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            total += os.lstat(os.path.join(folder, name)).st_blocks * 512
    return total


def touch_memory(count):
    """So many bytes are taken, and given back to be used next: what a virtual
    machine gets from its host when it touches it for the first time costs nine
    times what is written there."""
    mmap.mmap(
        -1,
        count,
        mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE,
    ).close()


class Finished:
    """How a command went: seconds, processor seconds of it and of the processes
    that were watched, output."""

    def __init__(self, seconds, cpu, watched, output):
        self.seconds = seconds
        self.cpu = cpu
        self.watched = watched
        self.output = output


class Scratch:
    def __init__(self, directory):
        self.parent = pathlib.Path(directory).resolve()
        self.processes = []

    def __enter__(self):
        self.parent.mkdir(parents=True, exist_ok=True)
        self.root = pathlib.Path(
            tempfile.mkdtemp(prefix="run-", dir=self.parent)
        )
        self.root.chmod(0o711)  # some of them run as another user
        # A socket's path has at most 107 bytes.
        self.sockets = pathlib.Path(tempfile.mkdtemp(prefix="sheaf-bench-"))
        self.log = open(self.root / "log", "ab")
        self.environment = {
            "PATH": PATH,
            "HOME": str(self.root),
            "LANG": "C.UTF-8",
            "XDG_RUNTIME_DIR": str(self.sockets),
            "TMPDIR": str(self.root),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return self

    def __exit__(self, *_):
        for process in list(self.processes):
            self.stop(process, signal.SIGKILL)
        self.log.close()
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.rmtree(self.sockets, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.parent.rmdir()  # unless there is something else

    def directory(self, name):
        """A new, empty directory; the one of that name is removed."""
        path = self.root / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(mode=0o700)
        return path

    def start(self, command, privileges=(), **options):
        """Starts a server, which dies with the benchmark at the latest. The
        privileges are setpriv's."""
        command = ["setpriv", "--pdeathsig", "KILL", *privileges, *command]
        command = [str(word) for word in command]
        options = {
            "cwd": self.root,
            "env": self.environment,
            "stdin": subprocess.DEVNULL,
            "stdout": self.log,
            "stderr": self.log,
            **options,
        }
        process = subprocess.Popen(command, **options)
        self.processes.append(process)
        return process

    def stop(self, process, number=signal.SIGTERM):
        """Ends a server and waits until it is gone. Those that it started may
        outlive it, and wait for the next one: they end with it."""
        orphans = children_of(process.pid)
        if process.poll() is None:
            process.send_signal(number)
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if process in self.processes:
            self.processes.remove(process)

    def run(self, command, watch=(), **options):
        """Runs a command to its end, and looks what the processes of `watch`
        take of the processors meanwhile."""
        command = [str(word) for word in command]
        options = {"cwd": self.root, "env": self.environment, **options}
        watched = -sum(map(cpu_ns, watch))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.monotonic()
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=COMMAND_S,
            check=False,
            **options,
        )
        seconds = time.monotonic() - began
        watched += sum(map(cpu_ns, watch))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.log.write(done.stderr)
        if done.returncode != 0:
            raise BenchError(
                f"{' '.join(command)[:300]}: exit code {done.returncode}: "
                f"{done.stderr.decode(errors='replace')[-1000:]}"
            )
        cpu = after.ru_utime + after.ru_stime
        cpu -= before.ru_utime + before.ru_stime
        return Finished(seconds, cpu, watched / 1e9, done.stdout.decode())

    def wait_for(self, condition, what, process=None):
        """Waits until it is true; it may raise OSError meanwhile."""
        end = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(OSError, BenchError):
                if condition():
                    return
            if process and process.poll() is not None:
                raise BenchError(f"{what}: the server ended; {self.tail()}")
            if time.monotonic() > end:
                raise BenchError(f"{what}: not within {PATIENCE_S} s")
            time.sleep(0.002)

    def tail(self):
        self.log.flush()
        return (self.root / "log").read_text(errors="replace")[-1000:]
