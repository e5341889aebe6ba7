"""What runs inside a preloaded interpreter: it forks a child per script, which becomes the script.

It is a supervisor like any other, but for how it starts a command. It runs as the agent's user
and belongs to one sandbox. A child in doubt whether it can equal ``python script.py`` replaces
itself by just that, before anything of the script has run.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import time
import warnings
from _frozen_importlib_external import SourceFileLoader

from proctor.sandbox_backends.helper.files import LIBC
from proctor.sandbox_backends.helper.processes import PR_SET_DUMPABLE, prctl
from proctor.sandbox_backends.helper.stash import Recorder, Stash
from proctor.sandbox_backends.helper.supervisor import supervise, tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, ModuleType
    from typing import Any, NoReturn

ORDERS, REPORT = 3, 4
MAX_FDS = 8192
INTERRUPTED, FLUSH_FAILED = 130, 120
ML_STACK = (
    "numpy", "pandas", "scipy.stats", "scipy.optimize", "scipy.sparse", "sklearn.base",
    "sklearn.calibration", "sklearn.cluster", "sklearn.compose", "sklearn.datasets",
    "sklearn.decomposition", "sklearn.dummy", "sklearn.ensemble",
    "sklearn.feature_extraction.text", "sklearn.feature_selection", "sklearn.impute",
    "sklearn.inspection", "sklearn.linear_model", "sklearn.metrics", "sklearn.model_selection",
    "sklearn.naive_bayes", "sklearn.neighbors", "sklearn.neural_network", "sklearn.pipeline",
    "sklearn.preprocessing", "sklearn.svm", "sklearn.tree",
)  # fmt: skip


class _Script(Exception):  # noqa: N818 - no error: it carries a child out of the loop
    """Raised in a child: what it is to run."""

    def __init__(self, run: Callable[[], None]) -> None:
        self.run = run


def serve(
    baseline: dict[str, ModuleType], main: dict[str, Any], *, stack: bool
) -> Callable[[], None]:
    """Preload, then fork for every order. Returns in children alone.

    Args:
        baseline: The modules of an interpreter that has run nothing.
        main: The names of a ``__main__`` that has run nothing.
        stack: Whether to preload the ML stack.

    Returns:
        What a child is to run, outside of everything that is here.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    prctl(PR_SET_DUMPABLE, 0)
    filters, environment = list(warnings.filters), dict(os.environ)
    sys.meta_path[:] = [
        finder for finder in sys.meta_path if getattr(finder, "__name__", "") != "Sent"
    ]
    for name in set(sys.modules) - set(baseline):  # our own: scripts load theirs, on record
        del sys.modules[name]
    recorder = Recorder()
    with recorder:
        for name in ML_STACK if stack else ():
            try:
                __import__(name)
            except ImportError:
                continue
    os.environ.clear()
    os.environ.update(environment)
    warnings.filters[:] = filters  # type: ignore[index]
    log = sys.modules.get("logging")
    randomness = sys.modules.get("numpy.random")
    shadowable = frozenset(name.partition(".")[0] for name in sys.modules)
    stash = Stash(baseline, recorder.effects)
    stash.serve()
    gc.collect()
    gc.freeze()
    interpreter = _Interpreter(main, shadowable, getattr(randomness, "seed", None), log)
    tell(REPORT, {"ready": True})
    try:
        supervise(ORDERS, REPORT, interpreter.fork)
    except _Script as script:
        run = script.run
    return run


class _Interpreter:
    """This interpreter, of which children are copies."""

    def __init__(
        self,
        main: dict[str, Any],
        shadowable: frozenset[str],
        reseed: Callable[[], None] | None,
        log: Any,  # noqa: ANN401 - the module `logging`, if that is preloaded
    ) -> None:
        self.main, self.shadowable, self.reseed = main, shadowable, reseed
        self.environment = dict(os.environ)
        self.log = log

    def fork(self, order: dict[str, Any]) -> int:
        """Fork a child; the child itself leaves by an exception."""
        filters = list(warnings.filters)
        warnings.simplefilter("ignore")  # that others' threads exist, which fork copes with
        pid = os.fork()
        warnings.filters[:] = filters  # type: ignore[index]
        warnings._filters_mutated()  # type: ignore[attr-defined]  # noqa: SLF001
        if pid:
            return pid
        raise _Script(self._become(order))

    def _become(self, order: dict[str, Any]) -> Callable[[], None]:
        """Turn into a process that has just been started to run a script."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.closerange(3, MAX_FDS)
        os.setsid()
        prctl(PR_SET_DUMPABLE, 1)
        argv, env = order["argv"], order["env"]
        code = self._compiled(argv[1]) if env == self.environment else None
        if code is None:
            _start_afresh(argv, env)
        if self.log is not None:  # which counts from its import
            self.log._startTime = time.time()  # noqa: SLF001
        if self.reseed is not None:
            self.reseed()  # or every script would draw what its neighbour drew
        sys.argv[:] = argv[1:]
        sys.orig_argv[:] = argv
        sys.path[0] = os.path.realpath(os.path.dirname(argv[1]))
        module = sys.modules["__main__"] = type(sys)("__main__")
        namespace = module.__dict__
        namespace.update(self.main)
        namespace.update(__loader__=SourceFileLoader("__main__", argv[1]), __file__=argv[1])
        if sys.version_info < (3, 15):
            namespace["__cached__"] = None
        return lambda: _run(code, namespace)

    def _compiled(self, script: str) -> CodeType | None:
        """The script, unless there is any doubt about what it would do in a new interpreter."""
        try:
            if not script.startswith("/") or os.path.islink(script):
                return None
            beside = {name.partition(".")[0] for name in os.listdir(os.path.dirname(script))}
            if beside & self.shadowable or beside & {"sitecustomize", "usercustomize"}:
                return None
            with open(script, "rb") as file:
                source = file.read()
            if b"\0" in source or b"coding" in b"".join(source.splitlines()[:2]):
                return None
            source.decode()
            return compile(source, script, "exec", dont_inherit=True)
        except (OSError, SyntaxError, ValueError, MemoryError, RecursionError):
            return None  # a new interpreter says best what is wrong


def _start_afresh(argv: list[str], env: dict[str, str]) -> NoReturn:
    """Become ``python script.py`` after all."""
    try:
        os.execve(argv[0], argv, env)
    finally:
        os._exit(126)


def _run(code: CodeType, namespace: dict[str, Any]) -> NoReturn:
    """Run a script; what it raises is shown as if nothing were around it."""
    try:
        exec(code, namespace)  # noqa: S102 - this is what we are for
        status = 0
    except SystemExit as end:
        status = _status_of(end)
    except BaseException as error:  # noqa: BLE001 - as the interpreter does
        trace = error.__traceback__.tb_next if error.__traceback__ else None
        error.__traceback__ = trace
        sys.last_type, sys.last_value, sys.last_traceback = type(error), error, trace
        sys.excepthook(type(error), error, trace)
        status = INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
        del error, trace
    _leave(status, namespace)


def _status_of(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return (end.code or 0) & 0xFF
    print(end.code, file=sys.stderr)  # noqa: T201 - as the interpreter does
    return 1


def _written_beside(script: str) -> list[dict[str, Any]]:
    """The names of the modules that lie with the script, whose objects may have finalizers."""
    place = os.path.dirname(script)
    modules = [m for m in sys.modules.values() if type(m) is type(sys)] if place else []
    return [vars(m) for m in modules if str(vars(m).get("__file__", "")).startswith(place)]


def _leave(status: int, namespace: dict[str, Any]) -> NoReturn:
    """End as an interpreter does, but for taking apart what was preloaded.

    That would take as long as many a script.
    """
    if "threading" in sys.modules:
        sys.modules["threading"]._shutdown()  # noqa: SLF001 - waits for threads that are no daemons
    atexit._run_exitfuncs()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    for names in (namespace, *_written_beside(str(namespace.get("__file__")))):
        for private in (True, False):  # the order in which modules are taken apart
            for name in [n for n in names if n != "__builtins__"]:
                if name.startswith("_") == private:
                    names[name] = None
    gc.collect()
    try:
        sys.stdout.flush()
    except OSError:
        status = status or FLUSH_FAILED
    except ValueError:  # the script has closed it
        pass
    LIBC.fflush(None)
    if status == INTERRUPTED:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(status)
