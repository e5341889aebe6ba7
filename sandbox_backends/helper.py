"""The program inside every sandbox: runs commands and moves files for the server.

It is sent as source to a bare ``python -I -S`` and uses the standard library only. It speaks
frames over stdin and stdout: two big-endian lengths, a JSON object, raw bytes. A request carries
an ``id``, which its replies repeat; a reply with ``more`` true is followed by another.

Above it: `proctor.sandbox_backends.channel`, the other end of the stream. Below it: one
*supervisor* per command, a forked child that adopts whatever the command leaves behind (a child
subreaper), so that the command's whole process tree, daemons included, can be killed, and nothing
else. The helper is PID 1 wherever the backend gives it a PID namespace. At the end of its stdin it
kills everything and ends.
"""

import contextlib
import ctypes
import errno
import io
import json
import os
import resource
import selectors
import signal
import stat
import struct
import sys
import tarfile
import time

MAX_META = 1 << 20
CHUNK = 1 << 18
HEADER = struct.Struct(">II")
SPOOL_LIMIT = 32 << 20  # a flood must not fill the sandbox's memory
KILL_GRACE_S = 5.0

PR_SET_DUMPABLE = 4
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
SYS_OPENAT2 = 437
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_BENEATH = 0x08

LINUX = sys.platform == "linux"
LIBC = ctypes.CDLL(None, use_errno=True)


def prctl(option, value):
    if LINUX:
        LIBC.prctl(option, ctypes.c_ulong(value), 0, 0, 0)


# --- Files, never outside a root -------------------------------------------------------------


class Tree:
    """The files beneath one directory; no symbolic link leads out of it."""

    def __init__(self, root):
        self.root = root
        self.fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self):
        os.close(self.fd)

    def open(self, path, flags, mode=0o666):
        flags |= os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        path = path or "."
        if LINUX:
            how = struct.pack("QQQ", flags, mode if flags & os.O_CREAT else 0,
                              RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
            fd = LIBC.syscall(SYS_OPENAT2, self.fd, os.fsencode(path), how, len(how))
            if fd >= 0:
                return fd
            error = ctypes.get_errno()
            if error == errno.EXDEV:
                raise PermissionError(error, "a symbolic link leads out of the workspace", path)
            if error not in (errno.ENOSYS, errno.EPERM):
                raise OSError(error, os.strerror(error), path)
        return self._open_by_parts(path, flags, mode)

    def _open_by_parts(self, path, flags, mode):
        """Where openat2 is missing: component by component, following no link at all."""
        at = os.dup(self.fd)
        parts = [part for part in path.split("/") if part not in ("", ".")]
        try:
            for part in parts[:-1]:
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
                os.close(at)
                at = below
            last = parts[-1] if parts else "."
            return os.open(last, flags | os.O_NOFOLLOW, mode, dir_fd=at)
        finally:
            os.close(at)

    def directory(self, path, create=False):
        """An open descriptor of the directory `path`, made with its parents where asked."""
        if not create:
            return self.open(path, os.O_RDONLY | os.O_DIRECTORY)
        made = ""
        for part in [part for part in path.split("/") if part not in ("", ".")]:
            parent = self.open(made, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.mkdir(part, dir_fd=parent)
            except FileExistsError:
                pass
            finally:
                os.close(parent)
            made = made + "/" + part if made else part
        return self.open(made, os.O_RDONLY | os.O_DIRECTORY)

    def regular(self, path):
        """A descriptor of a regular file, to read."""
        fd = self.open(path, os.O_RDONLY)
        kind = os.fstat(fd).st_mode
        if stat.S_ISREG(kind):
            return fd
        os.close(fd)
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, "is a directory", path)
        raise OSError(errno.EINVAL, "is not a regular file", path)

    def replace(self, path, source, mode=None):
        """Write `source`'s bytes to `path` whole or not at all; makes parent directories."""
        parent_path, _, name = path.rstrip("/").rpartition("/")
        parent = self.directory(parent_path, create=True)
        temporary = ".%s.%d.tmp" % (name[:100], time.monotonic_ns())
        try:
            with contextlib.suppress(FileNotFoundError):
                old = os.stat(name, dir_fd=parent, follow_symlinks=False)
                if stat.S_ISDIR(old.st_mode):
                    raise IsADirectoryError(errno.EISDIR, "is a directory", path)
                mode = stat.S_IMODE(old.st_mode) if mode is None else mode
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW,
                         0o666, dir_fd=parent)
            try:
                with os.fdopen(fd, "wb") as file:
                    while chunk := source.read(CHUNK):
                        file.write(chunk)
                    if mode is not None:
                        os.fchmod(file.fileno(), mode)
                os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary, dir_fd=parent)
                raise
        finally:
            os.close(parent)


def read_lines(fd, offset, limit, max_bytes):
    """Lines `offset` (from 1) on, at most `limit`; stops at `max_bytes`, in bounded memory."""
    kept, size, line, cut = [], 0, 1, False
    at_line_start = True
    with os.fdopen(fd, "rb") as file:
        while limit is None or line < offset + limit:
            piece = file.readline(CHUNK)
            if not piece:
                return b"".join(kept), line - (1 if at_line_start else 0), True
            if line >= offset:
                room = max_bytes - size
                if len(piece) > room:
                    kept.append(piece[:room])
                    cut = True
                    break
                kept.append(piece)
                size += len(piece)
            at_line_start = piece.endswith(b"\n")
            line += at_line_start
        whole = not cut and not file.read(1)
        return b"".join(kept), line - (1 if at_line_start else 0), whole


class SnapshotTooLarge(Exception):
    pass


class ChunkWriter(io.RawIOBase):
    """A file object that hands what is written to it on, in chunks."""

    def __init__(self, send):
        super().__init__()
        self.send = send
        self.buffer = bytearray()

    def writable(self):
        return True

    def write(self, data):
        self.buffer += data
        while len(self.buffer) >= CHUNK:
            self.send(bytes(self.buffer[:CHUNK]))
            del self.buffer[:CHUNK]
        return len(data)

    def finish(self):
        if self.buffer:
            self.send(bytes(self.buffer))
            self.buffer.clear()


class Snapshot:
    """A tree as a reproducible tar stream: sorted, without times or owners."""

    def __init__(self, tree, max_bytes, max_files, exclude):
        self.tree, self.max_bytes, self.max_files = tree, max_bytes, max_files
        self.exclude = frozenset(exclude)
        self.bytes = self.files = 0
        self.skipped = []

    def write(self, send):
        out = ChunkWriter(send)
        with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT,
                          bufsize=tarfile.RECORDSIZE) as archive:
            self._directory(archive, "")
        out.finish()
        return {"files": self.files, "bytes": self.bytes, "skipped": self.skipped[:100]}

    def _count(self, size, path):
        self.files += 1
        self.bytes += size
        if self.files > self.max_files:
            raise SnapshotTooLarge("more than %d files" % self.max_files)
        if self.bytes > self.max_bytes:
            raise SnapshotTooLarge("more than %d MiB, at %s" % (self.max_bytes >> 20, path))

    def _info(self, path, found, kind):
        info = tarfile.TarInfo(path)
        info.type, info.mode = kind, stat.S_IMODE(found.st_mode) & 0o777
        return info

    def _directory(self, archive, path):
        try:
            fd = self.tree.directory(path)
        except OSError:
            self.skipped.append(path)
            return
        try:
            names = sorted(os.listdir(fd), key=os.fsencode)
            for name in names:
                if name in self.exclude:
                    continue
                below = path + "/" + name if path else name
                self._entry(archive, fd, name, below)
        finally:
            os.close(fd)

    def _entry(self, archive, parent, name, path):
        try:
            path.encode()
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                self._count(0, path)
                archive.addfile(self._info(path, found, tarfile.DIRTYPE))
                self._directory(archive, path)
            elif stat.S_ISLNK(found.st_mode):
                self._count(0, path)
                info = self._info(path, found, tarfile.SYMTYPE)
                info.linkname = os.readlink(name, dir_fd=parent)
                archive.addfile(info)
            elif stat.S_ISREG(found.st_mode):
                self._file(archive, parent, name, path)
            else:
                self.skipped.append(path)
        except (OSError, UnicodeError):
            self.skipped.append(repr(path))

    def _file(self, archive, parent, name, path):
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
        with os.fdopen(fd, "rb") as file:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, "changed its kind", path)
            self._count(found.st_size, path)
            info = self._info(path, found, tarfile.REGTYPE)
            info.size = found.st_size
            archive.addfile(info, Padded(file, found.st_size))


class Padded:
    """A file of a promised size, whatever becomes of it meanwhile."""

    def __init__(self, file, size):
        self.file, self.left = file, size

    def read(self, size):
        size = min(size, self.left)
        data = self.file.read(size)
        self.left -= size
        return data.ljust(size, b"\0")


def restore(tree, archive):
    """Unpack `archive` into `tree`; the server made it, so its paths are checked for form only."""
    with tarfile.open(fileobj=archive, mode="r|*") as source:
        for member in source:
            path = member.name
            if path.startswith("/") or ".." in path.split("/"):
                raise ValueError("path escapes: %r" % path)
            if member.isdir():
                os.close(tree.directory(path, create=True))
            elif member.issym():
                parent_path, _, name = path.rpartition("/")
                parent = tree.directory(parent_path, create=True)
                try:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(name, dir_fd=parent)
                    os.symlink(member.linkname, name, dir_fd=parent)
                finally:
                    os.close(parent)
            elif member.isreg():
                tree.replace(path, source.extractfile(member), member.mode & 0o777)


# --- Processes -------------------------------------------------------------------------------


def parents():
    """The parent of every live process that can be seen."""
    if not LINUX:
        with os.popen("ps -axo pid=,ppid=") as listing:
            return {int(pid): int(parent) for pid, parent in map(str.split, listing)}
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                with open("/proc/%s/stat" % name, "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
                if fields[0] != b"Z":
                    found[int(name)] = int(fields[1])
    return found


def descendants(root, spare=()):
    """Every live process below `root`, without `spare` and what is below those."""
    below = {}
    for pid, parent in parents().items():
        below.setdefault(parent, []).append(pid)
    found, todo = [], [root]
    while todo:
        for pid in below.get(todo.pop(), ()):
            if pid not in spare:
                found.append(pid)
                todo.append(pid)
    return found


def send_signal(pids, number):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def reap():
    """Collect every child that has ended: a list of (pid, exit code); None once childless."""
    ended = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended, True
        if pid == 0:
            return ended, False
        ended.append((pid, exit_code(status)))


def exit_code(status):
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


def kill_tree(root, deadline):
    """Kill all descendants of `root` until none is left. Stopped first, so that none can fork."""
    while time.monotonic() < deadline:
        stopped = set()
        while fresh := set(descendants(root)) - stopped:
            send_signal(fresh, signal.SIGSTOP)
            stopped |= fresh
        if not stopped:
            return True
        send_signal(stopped, signal.SIGKILL)
        reap()
        time.sleep(0.001)
    return False


def default_signals():
    for number in (signal.SIGPIPE, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def limit_process(limits):
    for name, value in limits.items():
        number = getattr(resource, name, None)
        if number is not None:
            hard = resource.getrlimit(number)[1]
            if hard != resource.RLIM_INFINITY:
                value = min(value, hard)
            resource.setrlimit(number, (value, value))


def become_command(request, stdout, stderr, failure):
    """Turn this process into the command. Does not return."""
    try:
        os.setsid()
        default_signals()
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        os.chdir(request["cwd"])
        limit_process(request["rlimits"])
        os.set_inheritable(failure, False)
        os.closerange(3, failure)
        os.closerange(failure + 1, 4096)
        os.execvpe(request["argv"][0], request["argv"], request["env"])
    except BaseException as error:
        os.write(failure, ("cannot run: %s" % error).encode("utf-8", "replace")[:2000])
    finally:
        os._exit(126)


def supervise(request, stdout, stderr, control, status):
    """Run a command, report how it ended, and kill its whole tree when told to. Never returns."""
    os.setsid()
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    failure_read, failure_write = os.pipe()
    main = os.fork()
    if main == 0:
        signal.set_wakeup_fd(-1)
        become_command(request, stdout, stderr, failure_write)
    os.close(failure_write)
    os.close(stdout)
    os.close(stderr)
    selector = selectors.DefaultSelector()
    selector.register(wake_read, selectors.EVENT_READ)
    selector.register(control, selectors.EVENT_READ)
    while True:
        ended, childless = reap()
        for pid, code in ended:
            if pid == main:
                problem = os.read(failure_read, 2000).decode("utf-8", "replace")
                os.write(status, json.dumps({"exit": code, "problem": problem}).encode() + b"\n")
        if childless:
            os.write(status, b'{"done": true}\n')
            os._exit(0)
        for key, _ in selector.select():
            if key.fd == wake_read:
                os.read(wake_read, 4096)
            else:
                killed = kill_tree(os.getpid(), time.monotonic() + KILL_GRACE_S)
                os.write(status, json.dumps({"done": killed}).encode() + b"\n")
                os._exit(0)


class Capture:
    """One output stream of a command: its head and tail, and the whole in a file if it is long."""

    def __init__(self, fd, limit, spool_path):
        self.fd, self.limit, self.spool_path = fd, limit, spool_path
        self.head, self.tail = b"", bytearray()  # up to the limit, the tail is everything
        self.total = 0
        self.spool = None
        self.spooled = 0
        self.finished = False
        os.set_blocking(fd, False)

    def drain(self):
        """Take what is there, in bounded time. False once the stream has ended."""
        for _ in range(64):
            try:
                data = os.read(self.fd, 1 << 16)
            except BlockingIOError:
                return True
            if not data:
                return False
            if not self.finished:
                self.take(data)
        return True

    def take(self, data):
        overflowed = self.total > self.limit
        self.total += len(data)
        self.tail += data
        if self.total <= self.limit:
            return
        if not overflowed:
            self.open_spool()
            self.write_spool(self.tail)
            self.head = bytes(self.tail[: self.limit // 2])
        else:
            self.write_spool(data)
        del self.tail[: max(len(self.tail) - (self.limit - self.limit // 2), 0)]

    def open_spool(self):
        with contextlib.suppress(OSError):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            self.spool = os.open(self.spool_path, flags, 0o644)

    def write_spool(self, data):
        view = memoryview(bytes(data))[: SPOOL_LIMIT - self.spooled]
        while self.spool is not None and view:
            try:
                written = os.write(self.spool, view)
            except OSError:  # the disk is full: what is there stays
                self.close_spool()
                return
            self.spooled += written
            view = view[written:]

    def close_spool(self):
        if self.spool is not None:
            os.close(self.spool)
            self.spool = None

    def finish(self):
        """What was captured. Whatever survivors write later is read and thrown away."""
        self.finished = True
        self.close_spool()
        about = {"head": len(self.head), "tail": len(self.tail), "total": self.total,
                 "spool": self.spool_path if self.spooled else None}
        captured = self.head + bytes(self.tail)
        self.tail.clear()
        return about, captured


class Command:
    """A running command, as the helper sees it."""

    def __init__(self, request, spool):
        self.id = request["id"]
        self.started = time.monotonic()
        self.deadline = self.started + request["timeout"]
        self.timed_out = self.killed = self.answered = False
        self.exit, self.problem = None, ""
        self.report = b""
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        control_read, self.control = os.pipe()
        self.status, status_write = os.pipe()
        kept = (out_write, err_write, control_read, status_write)
        sys.stdout.flush()
        self.supervisor = os.fork()
        if self.supervisor == 0:
            try:
                keep_only(kept)
                supervise(request, *kept)
            finally:
                os._exit(70)
        for fd in kept:
            os.close(fd)
        self.stdout = Capture(out_read, request["limit"], spool + ".stdout")
        self.stderr = Capture(err_read, request["limit"], spool + ".stderr")

    def kill(self):
        """Have the supervisor kill the whole tree; its last report says that it is done."""
        if not self.killed:
            self.killed = True
            with contextlib.suppress(BrokenPipeError):
                os.write(self.control, b"k")

    def read_report(self):
        """Take the supervisor's report. False once it has ended."""
        data = os.read(self.status, 4096)
        self.report += data
        *lines, self.report = self.report.split(b"\n")
        for line in lines:
            report = json.loads(line)
            if "exit" in report:
                self.exit, self.problem = report["exit"], report["problem"]
        return bool(data)


def keep_only(fds):
    """Close every other descriptor, so that a supervisor holds no end of anybody else's pipe."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    previous = 2
    for fd in sorted(fds):
        os.closerange(previous + 1, fd)
        previous = fd
    os.closerange(previous + 1, 65536)


# --- The conversation ------------------------------------------------------------------------


class Helper:
    """Answers requests until its stdin ends."""

    def __init__(self, scratch):
        self.scratch = scratch
        self.commands = {}
        self.selector = selectors.DefaultSelector()
        self.incoming = bytearray()
        self.uploads = {}
        self.spools = 0

    # What the server may ask for, by the request's `op`.

    def do_hello(self, request, _):
        self.reply(request, {"pid": os.getpid(), "uid": os.getuid(), "python": sys.version})

    def do_exec(self, request, _):
        self.spools += 1
        command = Command(request, "%s/%d" % (self.scratch, self.spools))
        self.commands[command.id] = command
        self.selector.register(command.status, selectors.EVENT_READ, (command, None))
        for capture in (command.stdout, command.stderr):
            self.selector.register(capture.fd, selectors.EVENT_READ, (command, capture))

    def do_cancel(self, request, _):
        command = self.commands.get(request["target"])
        if command is not None:
            command.kill()

    def do_read(self, request, _):
        tree = Tree(request["root"])
        try:
            fd = tree.regular(request["path"])
        finally:
            tree.close()
        size = os.fstat(fd).st_size
        data, last, whole = read_lines(
            fd, request["offset"], request["limit"], request["max_bytes"])
        self.stream(request, data, {"last_line": last, "whole": whole, "size": size})

    def do_fetch(self, request, _):
        tree = Tree(request["root"])
        try:
            fd = tree.regular(request["path"])
        finally:
            tree.close()
        with os.fdopen(fd, "rb") as file:
            data = file.read(request["max_bytes"] + 1)
        if len(data) > request["max_bytes"]:
            raise OSError(errno.EFBIG, "is larger than %d bytes" % request["max_bytes"],
                          request["path"])
        self.stream(request, data, {})

    def do_write(self, request, upload):
        tree = Tree(request["root"])
        try:
            tree.replace(request["path"], upload, request.get("mode"))
        finally:
            tree.close()
        self.reply(request, {})

    def do_list(self, request, _):
        tree = Tree(request["root"])
        try:
            fd = tree.directory(request["path"])
        finally:
            tree.close()
        entries, names = [], sorted(os.listdir(fd))
        try:
            for name in names[: request["max_entries"]]:
                found = os.stat(name, dir_fd=fd, follow_symlinks=False)
                kind = {stat.S_IFREG: "file", stat.S_IFDIR: "directory",
                        stat.S_IFLNK: "symlink"}.get(stat.S_IFMT(found.st_mode), "other")
                shown = os.fsencode(name).decode("utf-8", "replace")
                entries.append([shown, kind, found.st_size if kind == "file" else 0])
        finally:
            os.close(fd)
        data = json.dumps({"entries": entries, "total": len(names)}).encode()
        self.stream(request, data, {})

    def do_snapshot(self, request, _):
        tree = Tree(request["root"])
        try:
            snapshot = Snapshot(tree, request["max_bytes"], request["max_files"],
                                request["exclude"])
            about = snapshot.write(
                lambda data: self.send({"id": request["id"], "more": True}, data))
        finally:
            tree.close()
        self.reply(request, about)

    def do_restore(self, request, upload):
        os.makedirs(request["root"], exist_ok=True)
        tree = Tree(request["root"])
        try:
            restore(tree, upload)
        finally:
            tree.close()
        self.reply(request, {})

    def do_kill_all(self, request, _):
        deadline = time.monotonic() + KILL_GRACE_S
        for command in self.commands.values():
            command.kill()
        while self.commands and time.monotonic() < deadline:
            self.turn(0.05)
        self.kill_everything(deadline)
        self.reply(request, {"survivors": len(descendants(os.getpid()))})

    # How it is said.

    def send(self, meta, data=b""):
        raw = json.dumps(meta).encode()
        view = memoryview(HEADER.pack(len(raw), len(data)) + raw + data)
        while view:
            view = view[os.write(1, view):]

    def reply(self, request, about):
        self.send({"id": request["id"], "ok": about})

    def stream(self, request, data, about):
        while len(data) > CHUNK:
            self.send({"id": request["id"], "more": True}, data[:CHUNK])
            data = data[CHUNK:]
        self.send({"id": request["id"], "ok": about}, data)

    def fail(self, request, error):
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        self.send({"id": request["id"], "error": type(error).__name__,
                   "errno": getattr(error, "errno", None), "message": text[:4000]})

    # How it runs.

    def run(self):
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        os.set_blocking(0, False)
        self.selector.register(0, selectors.EVENT_READ, "stdin")
        self.selector.register(wake_read, selectors.EVENT_READ, "wake")
        self.wake = wake_read
        self.open = True
        while self.open:
            self.turn(None)
        for command in self.commands.values():
            command.kill()
        self.kill_everything(time.monotonic() + KILL_GRACE_S)

    def turn(self, longest):
        """Wait for the next thing to happen, and see to it."""
        due = [c.deadline for c in self.commands.values() if not c.killed]
        wait = max(min(due) - time.monotonic(), 0) if due else None
        if longest is not None:
            wait = longest if wait is None else min(wait, longest)
        for key, _ in self.selector.select(wait):
            if key.data == "stdin":
                self.take_input()
            elif key.data == "wake":
                os.read(self.wake, 4096)
                reap()
            else:
                self.see_to(*key.data)
        now = time.monotonic()
        for command in list(self.commands.values()):
            if now >= command.deadline and not command.killed:
                command.timed_out = True
                command.kill()

    def see_to(self, command, capture):
        if capture is not None:
            if not capture.drain():
                self.selector.unregister(capture.fd)
                os.close(capture.fd)
                capture.fd = None
            return
        alive = command.read_report()
        if not command.answered and not alive:
            self.answer(command)
        elif not command.answered and command.exit is not None and not command.killed:
            self.answer(command)
        if not alive:
            self.forget(command)

    def answer(self, command):
        command.answered = True
        for capture in (command.stdout, command.stderr):
            if capture.fd is not None:
                capture.drain()
        if command.problem:
            command.stderr.take(command.problem.encode())
        out, out_data = command.stdout.finish()
        err, err_data = command.stderr.finish()
        code = 128 + signal.SIGKILL if command.exit is None else command.exit
        self.send({"id": command.id, "ok": {
            "exit_code": code, "timed_out": command.timed_out, "stdout": out, "stderr": err,
            "duration": time.monotonic() - command.started}}, out_data + err_data)

    def forget(self, command):
        """The supervisor is gone. If it was killed, so is what it watched over."""
        self.selector.unregister(command.status)
        os.close(command.status)
        os.close(command.control)
        del self.commands[command.id]
        watched = {c.supervisor for c in self.commands.values()}
        send_signal(descendants(os.getpid(), spare=watched), signal.SIGKILL)

    def kill_everything(self, deadline):
        if os.getpid() == 1:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)  # only ever the end of a PID namespace of our own
        kill_tree(os.getpid(), deadline)
        reap()

    def take_input(self):
        try:
            data = os.read(0, CHUNK)
        except BlockingIOError:
            return
        self.open = bool(data)
        self.incoming += data
        while len(self.incoming) >= HEADER.size:
            meta, payload = HEADER.unpack_from(self.incoming)
            if meta > MAX_META or payload > 4 * CHUNK:
                raise SystemExit("a frame of %d + %d bytes" % (meta, payload))
            end = HEADER.size + meta + payload
            if len(self.incoming) < end:
                return
            request = json.loads(bytes(self.incoming[HEADER.size : HEADER.size + meta]))
            body = bytes(self.incoming[HEADER.size + meta : end])
            del self.incoming[:end]
            self.take_request(request, body)

    def take_request(self, request, body):
        import tempfile  # only requests that carry files pay for it

        upload = None
        try:
            if request["op"] in ("write", "restore"):
                upload = self.uploads.pop(request["id"], None)
                if upload is None:
                    upload = tempfile.TemporaryFile()
                upload.write(body)
                if request.get("more"):
                    self.uploads[request["id"]] = upload
                    return
                upload.seek(0)
            getattr(self, "do_" + request["op"])(request, upload)
        except (OSError, ValueError, SnapshotTooLarge, tarfile.TarError, MemoryError) as error:
            self.fail(request, error)
        finally:
            if upload is not None and request["id"] not in self.uploads:
                upload.close()


def serve(scratch):
    """Serve one sandbox until stdin ends. `scratch` is a directory for long outputs."""
    prctl(PR_SET_DUMPABLE, 0)  # the same user's code can neither trace this nor read its memory
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    os.makedirs(scratch, mode=0o755, exist_ok=True)
    os.umask(0o022)
    Helper(scratch).run()
