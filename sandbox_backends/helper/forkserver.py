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
from opcode import opmap

from proctor.sandbox_backends.helper.files import LIBC
from proctor.sandbox_backends.helper.processes import PR_SET_DUMPABLE, prctl
from proctor.sandbox_backends.helper.stash import Recorder, Stash
from proctor.sandbox_backends.helper.supervisor import supervise, tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, ModuleType
    from typing import Any, NoReturn, TypeVar

    Function = TypeVar("Function", bound=Callable[..., Any])

ORDERS, REPORT = 3, 4
OURS_SHOW = (
    b"faulthandler", b"setprofile", b"settrace", b"RecursionError", b"pdb", b"coverage",
)  # fmt: skip
"""What comes upon the frame of ours below a script's, or counts it."""
C_LONG_BITS = 64
MAX_FDS = 8192
LAST = ("last_type", "last_value", "last_traceback", "last_exc")[
    : 3 + (sys.version_info >= (3, 12))
]
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

    def __init__(self, code: CodeType, namespace: dict[str, Any]) -> None:
        self.code, self.namespace = code, namespace


def serve(baseline: dict[str, ModuleType], main: dict[str, Any], *, stack: bool) -> NoReturn:
    """Preload, then fork for every order.

    Args:
        baseline: The modules of an interpreter that has run nothing.
        main: The names of a ``__main__`` that has run nothing.
        stack: Whether to preload the ML stack.

    Raises:
        _Script: In a child alone. Nobody catches it, so that its hook runs the script, with no
            other frame below it.
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
    supervise(ORDERS, REPORT, interpreter.fork)


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
        script = self._become(order)
        sys.excepthook = _run  # type: ignore[assignment]
        raise script

    def _become(self, order: dict[str, Any]) -> _Script:
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
        return _Script(code, namespace)

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
            if any(name in source for name in OURS_SHOW):
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


def _unseen(function: Function) -> Function:
    """Have nobody see a function's frames: one that has not come to its RESUME does not count."""
    before: CodeType = function.__code__
    code = bytearray(before.co_code)
    for place in range(0, len(code), 2):
        if code[place] == opmap["RESUME"]:
            code[place] = opmap["NOP"]
    function.__code__ = before.replace(co_code=bytes(code))
    return function


@_unseen
def _run(_: object, script: _Script, __: object) -> NoReturn:
    """Run a script, as the hook for what nobody catches; what it raises is shown as ever."""
    sys.excepthook = sys.__excepthook__
    _forget_last()
    error, status = None, 0
    try:
        exec(script.code, script.namespace)  # noqa: S102 - this is what we are for
    except BaseException as raised:  # noqa: BLE001 - as the interpreter does
        error = raised
    if isinstance(error, SystemExit):
        status = _status_of(error)
    elif error is not None:
        status = _shown(error)
    del error
    _leave(status, script.namespace)


def _forget_last() -> None:
    """Have it look as if nothing had been raised yet."""
    for name in LAST:
        sys.__dict__.pop(name, None)


@_unseen
def _status_of(end: SystemExit) -> int:
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return end.code & 0xFF if end.code.bit_length() < C_LONG_BITS else 0xFF
    print(end.code, file=sys.stderr)  # noqa: T201 - as the interpreter does
    return 1


@_unseen
def _shown(error: BaseException) -> int:
    """Show what a script has raised, as the interpreter does, and return its exit status."""
    last = (type(error), error, error.__traceback__, error)
    sys.__dict__.update(zip(LAST, last, strict=False))
    hook = getattr(sys, "excepthook", None)
    if hook is None:
        sys.stderr.write("sys.excepthook is missing\n")
        hook = sys.__excepthook__
    failure = None
    try:
        hook(*last[:3])
    except BaseException as raised:  # noqa: BLE001 - as the interpreter does
        failure = raised
    if isinstance(failure, SystemExit):
        return _status_of(failure)
    if failure is not None:
        sys.stderr.write("Error in sys.excepthook:\n")
        sys.__excepthook__(type(failure), failure, failure.__traceback__)
        sys.stderr.write("\nOriginal exception was:\n")
        sys.__excepthook__(*last[:3])
    return INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1


def _written_beside(script: str) -> list[dict[str, Any]]:
    """The names of the modules that lie with the script, whose objects may have finalizers."""
    place = os.path.dirname(script)
    modules = [m for m in sys.modules.values() if type(m) is type(sys)] if place else []
    return [vars(m) for m in modules if str(vars(m).get("__file__", "")).startswith(place)]


@_unseen
def _leave(status: int, namespace: dict[str, Any]) -> NoReturn:
    """End as an interpreter does, but for taking apart what was preloaded.

    That would take as long as many a script.
    """
    if "threading" in sys.modules:
        sys.modules["threading"]._shutdown()  # noqa: SLF001 - waits for threads that are no daemons
    atexit._run_exitfuncs()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    sys.settrace(None)
    sys.setprofile(None)
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
