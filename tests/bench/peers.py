"""peers.py - the queues that Sheaf is measured beside

Each is started over a new directory on the same disk, listens on a socket of
the scratch directory, or on loopback, and acknowledges only what is on the
disk, unless its `note` says otherwise. Its drivers are the C programs drive_*.
"""
# SPDX-License-Identifier: MIT

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import socket

from scratch import PATH, BenchError, children_of, disk_bytes
from sheaf import DRIVERS, drive


class Peer:
    name = ""
    program = ""
    driver = ""
    note = ""
    stop_signal = signal.SIGTERM
    is_one_process = True  # so that its processor time can be told

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
            self.scratch.stop(self.process, self.stop_signal)

    @classmethod
    def lack(cls):
        """What is missing of it; None if it can be measured."""
        if cls.program and not shutil.which(cls.program, path=PATH):
            return f"{cls.program} is not installed"
        if not (DRIVERS / f"drive_{cls.driver}").exists():
            return f"drive_{cls.driver} was not built"
        return None

    def start(self):
        """Starts it over its directory; again, after kill()."""

    def kill(self):
        self.scratch.stop(self.process, 9)

    def drive(self, verb, **options):
        is_seen = self.process and self.is_one_process
        watch = [self.process.pid] if is_seen else []
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
    note = "parses nothing, makes no request key and answers nobody"

    def start(self):
        if not self.home.is_dir():
            raise BenchError("the directory is gone")
        self.target = self.home


class Redis(Peer):
    name = "Redis"
    program = "redis-server"
    driver = "redis"
    fsync = "always"
    put_verb, take_verb = "put", "take"

    def start(self):
        command = ["redis-server", "--port", "0", "--unixsocket", self.target]
        command += ["--dir", self.home, "--appendonly", "yes"]
        command += [
            "--appendfsync",
            self.fsync,
            "--save",
            "",
            "--daemonize",
            "no",
        ]
        self.process = self.scratch.start(command)
        self.scratch.wait_for(self.answers, self.name, self.process)

    def answers(self):
        """It refuses while it reads its log, and makes the group only once."""
        command = ["redis-cli", "-s", self.target]
        command += ["XGROUP", "CREATE", "jobs", "workers", "0", "MKSTREAM"]
        said = self.scratch.run(command).output
        return said.startswith(("OK", "BUSYGROUP"))

    def put(self, count, clients=1, window=1000):
        return self.drive(
            self.put_verb, count=count, clients=clients, window=window
        )

    def take(self, count, clients=1, window=1000):
        return self.drive(
            self.take_verb, count=count, clients=clients, window=window
        )


class RedisMulti(Redis):
    name = "Redis, transactions"
    put_verb, take_verb = "multi", "take-multi"


class RedisLazy(Redis):
    name = "Redis everysec"
    note = "answers up to 1 s before the disk has it"
    fsync = "everysec"


class Postgres(Peer):
    name = "PostgreSQL"
    driver = "postgres"
    stop_signal = signal.SIGQUIT  # at once: nothing of it is to be kept
    is_one_process = False  # and those that it starts end too early to be asked
    bin = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), default=None)

    @classmethod
    def lack(cls):
        if not cls.bin:
            return "PostgreSQL is not installed"
        if os.geteuid() == 0 and not cls.user():
            return "there is no user postgres, and root may not run it"
        return super().lack()

    @staticmethod
    def user():
        with contextlib.suppress(KeyError):
            return pwd.getpwnam("postgres")
        return None

    def as_user(self):
        """It does not run as root. What is above its directory may be closed to
        others, and need not be opened for it."""
        if os.geteuid() != 0:
            return []
        user = self.user()
        return (
            ["--reuid", user.pw_uid, "--regid", user.pw_gid, "--clear-groups"]
            + ["--inh-caps", "+dac_override"]
            + ["--ambient-caps", "+dac_override"]
        )

    def start(self):
        data = self.home / "data"
        sockets = self.scratch.sockets / "pg"
        if not data.exists():
            sockets.mkdir(exist_ok=True)
            if os.geteuid() == 0:
                for path in (self.home, sockets):
                    os.chown(path, self.user().pw_uid, self.user().pw_gid)
                self.scratch.sockets.chmod(0o711)
            self.make(data)
        self.target = f"host={sockets} dbname=postgres user=bench"
        self.process = self.scratch.start(
            [self.bin / "postgres", "-D", data, "-k", sockets]
            + ["-c", "listen_addresses=", "-c", "shared_buffers=512MB"],
            self.as_user(),
        )
        self.scratch.wait_for(self.answers, self.name, self.process)

    def make(self, data):
        """A cluster takes a while to make, so that copies of one serve."""
        model = self.scratch.root / "postgres-model"
        if not model.exists():
            model.mkdir()
            if os.geteuid() == 0:
                os.chown(model, self.user().pw_uid, self.user().pw_gid)
            self.scratch.run(
                ["setpriv"]
                + self.as_user()
                + [self.bin / "initdb", "-D", model, "-U", "bench"]
                + ["-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
            )
        self.scratch.run(["cp", "-a", model, data])
        self.fresh = True

    def answers(self):
        if self.fresh:
            self.drive("schema")
            self.fresh = False
        else:
            self.drive("put", count=1, window=1)
        return True

    def kill(self):
        """Killed with its children, which it must not find at work."""
        pids = children_of(self.process.pid)
        super().kill()
        self.scratch.wait_for(
            lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids),
            "the end of PostgreSQL",
        )


class Nats(Peer):
    name = "NATS JetStream"
    program = "nats-server"
    driver = "nats"
    note = "acknowledges up to two minutes before the disk has it"

    def start(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.target = str(free.getsockname()[1])
        is_new = not any(self.home.iterdir())
        self.process = self.scratch.start(
            ["nats-server", "-a", "127.0.0.1", "-p", self.target, "-js"]
            + ["-sd", self.home]
        )
        self.scratch.wait_for(self.listens, self.name, self.process)
        if is_new:
            self.drive("schema")

    def listens(self):
        with socket.create_connection(("127.0.0.1", int(self.target))):
            return True


ALL = (Beanstalkd, Redis, Postgres, Nats, Lmdb)
