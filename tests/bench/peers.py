"""peers.py - the queues that Sheaf is measured beside

Each is started over a new directory on the same disk, listens on a socket of the
scratch directory, or on loopback, and acknowledges only what is on the disk,
unless its `note` says otherwise. Its drivers are the C programs drive_*.
"""
# SPDX-License-Identifier: MIT

import shutil

from scratch import BenchError, disk_bytes
from sheaf import DRIVERS, drive


class Peer:
    name = ""
    program = ""
    driver = ""
    note = ""

    def __init__(self, scratch, **options):
        self.scratch = scratch
        self.home = scratch.directory(self.name)
        self.target = scratch.sockets / self.name
        self.process = None
        self.options = options
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process:
            self.scratch.stop(self.process)

    @classmethod
    def lack(cls):
        """What is missing of it; None if it can be measured."""
        if cls.program and not shutil.which(cls.program):
            return f"{cls.program} is not installed"
        if not (DRIVERS / f"drive_{cls.driver}").exists():
            return f"drive_{cls.driver} was not built"
        return None

    def start(self):
        """Starts it over its directory; again, after kill()."""

    def kill(self):
        self.scratch.stop(self.process, 9)

    def drive(self, verb, **options):
        watch = [self.process.pid] if self.process else []
        return drive(
            self.scratch, self.driver, verb, self.target, watch, **options
        )

    def put(self, count, clients=1, window=1000):
        return self.drive("put", count=count, clients=clients, window=window)

    def take(self, count, clients=1, window=1000):
        return self.drive("take", count=count, clients=clients, window=window)

    def disk(self):
        return disk_bytes(self.home)


class Beanstalkd(Peer):
    name = "beanstalkd"
    program = "beanstalkd"
    driver = "beanstalkd"
    window_max = 100
    flush_ms = 0

    def start(self):
        self.target.unlink(missing_ok=True)
        self.process = self.scratch.start(
            ["beanstalkd", "-b", self.home, "-f", self.flush_ms]
            + ["-l", f"unix:{self.target}"]
        )
        self.scratch.wait_for(self.target.exists, self.name, self.process)

    def put(self, count, clients=1, window=1000):
        return super().put(count, clients, min(window, self.window_max))

    def take(self, count, clients=1, window=1000):
        return super().take(count, clients, min(window, self.window_max))


class BeanstalkdLazy(Beanstalkd):
    name = "beanstalkd -f50"
    note = "answers up to 50 ms before the disk has it"
    flush_ms = 50


class Lmdb(Peer):
    name = "LMDB alone"
    driver = "lmdb"
    note = "no server, nothing parsed, no request key: a floor"

    def start(self):
        if not self.home.is_dir():
            raise BenchError("the directory is gone")
        self.target = self.home
