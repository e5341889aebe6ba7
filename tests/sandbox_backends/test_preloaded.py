"""Scripts that a preloaded interpreter runs: as ``python script.py`` would, only sooner."""

import io
import re
import signal
from typing import Any

import anyio

from proctor.sandbox_backends.base import Backend, Sandbox
from proctor.schemas.sandbox import ExecResult, SandboxSpec

SPEC = SandboxSpec()
AM_I_WARM = """
warm = b"baseline" in open("/proc/self/cmdline", "rb").read()
print("warm" if warm else "cold")
"""
AM_I_WARM_STACK = f"import sklearn\n{AM_I_WARM}"

OWN_MODULES = "print(sorted(n for n in sys.modules if n.startswith('sklearn')))"
OTHER_MODULES = "print(sorted(n for n in sys.modules if '.' not in n))"

CORPUS = {
    "nothing": "pass",
    "arguments": "import sys; print(sys.argv, sys.orig_argv, sys.path[0], sys.path[1:])",
    "main": "print(sorted(k for k in dir()), __name__, __file__, __doc__, __package__, __spec__)\n"
    "print(type(__loader__).__name__, __loader__.path, __builtins__)\n"
    "import sys; print(sys.modules['__main__'].__dict__ is globals())",
    "flags": "import sys; print(sys.flags, sys.executable, sys.prefix, sys.getrecursionlimit())",
    "meta": "import sys; print(sys.meta_path, len(sys.path_hooks), sys.warnoptions)",
    "modules": "import sys; print(sorted(sys.modules))",
    "modules-json": "import json, sys; print(sorted(sys.modules))",
    "modules-numpy": "import numpy, sys; print(sorted(sys.modules))",
    "modules-pandas": "import pandas, sys; print(sorted(sys.modules))",
    "modules-stats": "from scipy import stats; import sys; print(sorted(sys.modules))",
    "modules-random": "import numpy.random, sys; print(sorted(sys.modules))",
    "modules-late": "import numpy, sys\nnumpy.random, numpy.fft\nprint(sorted(sys.modules))",
    "modules-scipy": "import scipy, sys; print(sorted(sys.modules))",
    "modules-special": "import scipy.special, sys; print(sorted(sys.modules))",
    "modules-spatial": "import scipy.spatial, sys\n"
    "print(sorted(n for n in sys.modules if n.startswith(('scipy.sp', 'numpy.'))))",
    "modules-testing": f"import numpy.testing, sys\n{OTHER_MODULES}",
    "modules-sklearn": f"import sklearn, sys\n{OWN_MODULES}",
    "modules-sklearn-others": f"import sklearn, sys\n{OTHER_MODULES}",
    "modules-linear": f"from sklearn.linear_model import Ridge; import sys\n{OWN_MODULES}",
    "modules-linear-others": f"from sklearn.svm import SVC; import sys\n{OTHER_MODULES}",
    "attributes": "import sklearn, scipy, os\nprint(sorted(vars(sklearn)), hasattr(os, 'errno'))",
    "not-imported": "import sklearn\nprint(sklearn.ensemble)",
    "specs": "import numpy, json\nprint(numpy.__spec__, json.__spec__, numpy.__loader__)",
    "spec-not-imported": "import importlib.util as u, sys\n"
    "for n in ('numpy', 'json', 'random', 'scipy.stats'):\n"
    "    s = u.find_spec(n); print(s, s.origin, s.cached, n in sys.modules)\n"
    "import numpy; print(numpy.__spec__)",
    "spec-by-hand": "import importlib.util as u, sys\ns = u.find_spec('json')\n"
    "m = sys.modules['json'] = u.module_from_spec(s)\ns.loader.exec_module(m)\n"
    "import json; print(json is m, sorted(sys.modules)); import numpy",
    "loaded-by-pkgutil": "import pkgutil, sys\n"
    "print(len(pkgutil.get_data('numpy', 'py.typed')), 'numpy' in sys.modules)\nimport numpy",
    "reloaded": "import importlib, json\njson.x = 1; m = importlib.reload(json)\n"
    "print(m is json, json.x, json.__spec__)",
    "filters": "import warnings; print(warnings.filters)",
    "filters-numpy": "import numpy, warnings; print(warnings.filters)",
    "filters-special": "import scipy.integrate, warnings; print(warnings.filters)",
    "filters-spatial": "import scipy.spatial, warnings; print(warnings.filters)",
    "filters-sklearn": "import sklearn, warnings; print(warnings.filters)",
    "environment": "import os; print(sorted(os.environ.items()))",
    "environment-sklearn": "import sklearn, os; print(sorted(os.environ.items()))",
    "traceback": "def f(n):\n    return 1 / n\n\nf(0)",
    "chained": "try:\n    {}['a']\nexcept KeyError as e:\n    raise ValueError('b') from e",
    "bottom": "import inspect, sys, traceback, warnings\n"
    "print(sys._getframe().f_back, len(inspect.stack())); traceback.print_stack()\n"
    "warnings.warn('deep', stacklevel=50); warnings.warn('two', stacklevel=2)",
    "bottom-at-exit": "import atexit, sys, traceback\nclass A:\n"
    "    def __del__(self, t=traceback): t.print_stack()\n"
    "    def __str__(self): traceback.print_stack(); return 'a'\n"
    "a = A(); atexit.register(traceback.print_stack); sys.exit(a)",
    "bottom-of-hook": "import sys, traceback\n"
    "sys.excepthook = lambda *e: (traceback.print_stack(), print(e, sys.exc_info()))\n1 / 0",
    "bottom-of-dump": "import faulthandler; faulthandler.dump_traceback()",
    "depth": "def f(n):\n    global m; m = n; f(n + 1)\ntry: f(0)\nexcept RecursionError: print(m)",
    "hook-fails": "import sys\nsys.excepthook = lambda *e: 1 / 0\nraise ValueError(3)",
    "hook-exits": "import sys\nsys.excepthook = lambda *e: sys.exit(5)\nraise ValueError(3)",
    "hook-gone": "import sys\ndel sys.excepthook\nraise ValueError(3)",
    "last": "import atexit, sys\nprint([n for n in dir(sys) if n.startswith('last')])\n"
    "atexit.register(lambda: print(sys.last_value, sys.exc_info()))\n1 / 0",
    "traced": "import sys\ndef f(*a):\n"
    "    if a[0].f_code.co_filename == __file__: print(a[0].f_code.co_name, a[1]); return f\n"
    "sys.settrace(f); (lambda: 1)()\n1 / 0",
    "syntax": "def f(:\n    pass",
    "indentation": "if True:\npass",
    "encoding": "print('\\u00e4\\u20ac\\U0001f989', ascii('\\xff'))",
    "surrogate": "print('\\udcff')",
    "nul": "x = 1\0",
    "latin": b"# \xff\nprint('x')\n".decode("latin-1"),
    "exit-none": "import sys; sys.exit()",
    "exit-code": "import sys; sys.exit(7)",
    "exit-large": "import os, sys; os.close(2); sys.exit(2**70)",
    "exit-text": "import sys; sys.exit('no good')",
    "exit-hard": "import os; print('x', flush=True); os._exit(9)",
    "killed": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "terminated": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "interrupted": "import os, signal; os.kill(os.getpid(), signal.SIGINT)",
    "interrupt": "raise KeyboardInterrupt",
    "signals": "import signal\n"
    "print([(s.name, str(signal.getsignal(s))) for s in sorted(signal.valid_signals())"
    " if isinstance(s, signal.Signals)])",
    "mask": "import signal; print(signal.pthread_sigmask(signal.SIG_BLOCK, []))",
    "interleaving": "import sys\nfor n in range(50):\n    print(n)\n    print(n, file=sys.stderr)",
    "unbuffered": "import os, sys\nsys.stdout.write('a'); os.write(1, b'b'); print('c', end='')",
    "stdin": "import sys; print(repr(sys.stdin.read()), sys.stdin.isatty())",
    "streams": "import sys\n"
    "for s in (sys.stdin, sys.stdout, sys.stderr):\n"
    "    print(s, s.errors, s.line_buffering, s.write_through, s.isatty())",
    "descriptors": "import os; print(sorted(int(n) for n in os.listdir('/proc/self/fd'))[:3],"
    " len(os.listdir('/proc/self/fd')))",
    "limits": "import resource\nprint([resource.getrlimit(getattr(resource, n)) for n in"
    " ('RLIMIT_NOFILE', 'RLIMIT_CORE', 'RLIMIT_DATA')])",
    "place": "import os; print(os.getcwd(), os.umask(0), os.getsid(0) == os.getpid())",
    "atexit": "import atexit; atexit.register(print, 'bye'); print('hi')",
    "finalizer": "class A:\n    def __del__(self): print('gone')\na = A()",
    "thread": "import threading, time\n"
    "threading.Thread(target=lambda: (time.sleep(0.1), print('late'))).start()",
    "thread-fails": "import threading\nt = threading.Thread(target=lambda: 1 / 0, name='T')\n"
    "t.start(); t.join()",
    "subprocess": "import subprocess, sys\n"
    "print(subprocess.run([sys.executable, '-c', 'print(1)'], capture_output=True))",
    "fork": "import multiprocessing as m\n"
    "def f(n): return n * n\n"
    "if __name__ == '__main__':\n    print(m.get_context('fork').Pool(2).map(f, range(5)))",
    "spawn": "import multiprocessing as m\n"
    "def f(n): return n * n\n"
    "if __name__ == '__main__':\n"
    "    with m.get_context('spawn').Pool(2) as p: print(p.map(f, range(5)))",
    "pickle": "import pickle\nclass A: pass\nprint(pickle.loads(pickle.dumps(A())).__class__)",
    "source": "import inspect\ndef f():\n    return 1  # one\nprint(inspect.getsource(f))",
    "asyncio": "import asyncio\nasync def f(): return 3\nprint(asyncio.run(f()))",
    "seeded": "import random\nrandom.seed(1); print(random.random())",
    "numpy-seeded": "import numpy as np\nnp.random.seed(3); print(np.random.rand(3))",
    "warning": "import warnings; warnings.warn('careful')",
    "deprecated": "import warnings; warnings.warn('old', DeprecationWarning)",
    "gc": "import gc; print(gc.isenabled(), gc.get_threshold())",
    "files": "open('made.txt', 'w').write('1'); import os; print(os.listdir())",
    "locale": "import locale, sys; print(locale.getlocale(), sys.getfilesystemencoding())",
    "model": "from sklearn.datasets import load_iris\n"
    "from sklearn.ensemble import RandomForestClassifier\n"
    "from sklearn.model_selection import cross_val_score\n"
    "X, y = load_iris(return_X_y=True)\n"
    "print(cross_val_score(RandomForestClassifier(20, random_state=0, n_jobs=2), X, y))",
    "frame": "import pandas as pd\nprint(pd.DataFrame({'a': [1, 2]}).describe())",
}


async def write(sandbox: Sandbox, name: str, text: str) -> str:
    await sandbox.write(name, io.BytesIO(text.encode("latin-1" if "\xff" in text else "utf-8")))
    return f"{sandbox.info.workdir}/{name}"


async def run(sandbox: Sandbox, script: str, *args: str, preloaded: bool = True) -> ExecResult:
    argv = [sandbox.info.python, script, *args]
    return await sandbox.exec(argv, timeout_s=120, preloaded=preloaded)


async def warm_up(sandbox: Sandbox, *, stack: bool = False) -> None:
    """Wait until the interpreters serve: the empty one and, if wanted, that with the ML stack."""
    for name, text in (("empty.py", AM_I_WARM), ("stack.py", AM_I_WARM_STACK))[: 1 + stack]:
        script = await write(sandbox, f"warm/{name}", text)
        with anyio.fail_after(120):
            while (await run(sandbox, script)).stdout.text() != "warm\n":
                await anyio.sleep(0.1)


def seen(result: ExecResult) -> tuple[Any, ...]:
    """What can be observed, without addresses in memory and process ids."""
    said = [re.sub(r"0x[0-9a-f]+", "0x", s.text()) for s in (result.stdout, result.stderr)]
    return result.exit_code, *said


async def test_a_script_does_what_it_does_in_a_new_interpreter(isolating: Backend) -> None:
    different: dict[str, Any] = {}
    async with isolating(SPEC) as sandbox:
        await warm_up(sandbox, stack=True)
        for name, text in CORPUS.items():
            script = await write(sandbox, f"{name}/script.py", text)
            cold = seen(await run(sandbox, script, "one", "two words", preloaded=False))
            warm = seen(await run(sandbox, script, "one", "two words"))
            if cold != warm:
                different[name] = (cold, warm)
    assert not different, "\n".join(f"{n}:\n  {c}\n  {w}" for n, (c, w) in different.items())


SHADOWS = (
    {"random.py": "x = 'mine'", "s.py": "import random; print(random.x)"},
    {"numpy/__init__.py": "x = 'mine'", "s.py": "import numpy; print(numpy.x)"},
    {"json.py": "x = 'mine'", "s.py": "import json; print(json.x)"},
    {"sitecustomize.py": "print('custom')", "s.py": "print(1)"},
    {"lib/json.py": "x = 'mine'",
     "s.py": "import sys, os; sys.path.insert(0, os.path.dirname(__file__) + '/lib')\n"
             "import json; print(json.x)"},
    {"helper.py": "import sklearn; x = sklearn.__name__", "s.py": "import helper; print(helper.x)"},
)  # fmt: skip


async def test_a_file_of_the_workspace_wins_over_a_preloaded_module(any_backend: Backend) -> None:
    async with any_backend(SPEC) as sandbox:
        await warm_up(sandbox, stack=True)
        for number, files in enumerate(SHADOWS):
            for name, text in files.items():
                await write(sandbox, f"own{number}/{name}", text)
            script = f"{sandbox.info.workdir}/own{number}/s.py"
            cold = seen(await run(sandbox, script, preloaded=False))
            assert seen(await run(sandbox, script)) == cold
            assert cold[0] == 0, cold


async def test_one_script_changes_nothing_for_the_next(any_backend: Backend) -> None:
    vandal = "import numpy, json, sys\nnumpy.mean = json.dumps = None\nsys.path.clear()\n"
    honest = "import numpy, json, sys\nprint(numpy.mean([1, 3]), json.dumps(1), len(sys.path) > 1)"
    async with any_backend(SPEC) as sandbox:
        await warm_up(sandbox, stack=True)
        assert (await run(sandbox, await write(sandbox, "v/v.py", vandal))).exit_code == 0
        result = await run(sandbox, await write(sandbox, "h/h.py", honest))
    assert result.stdout.text() == "2.0 1 True\n"


async def test_chance_differs_from_run_to_run(any_backend: Backend) -> None:
    script_text = "import numpy, random, uuid\nprint(numpy.random.rand(), random.random())"
    async with any_backend(SPEC) as sandbox:
        await warm_up(sandbox, stack=True)
        script = await write(sandbox, "chance/s.py", script_text)
        drawn = {(await run(sandbox, script)).stdout.text() for _ in range(4)}
    assert len(drawn) == 4


async def test_a_seed_for_hashes_means_a_new_interpreter(any_backend: Backend) -> None:
    async with any_backend(SPEC) as sandbox:
        await warm_up(sandbox)
        argv = [sandbox.info.python, await write(sandbox, "s/s.py", AM_I_WARM)]
        env = {"PYTHONHASHSEED": "0"}
        result = await sandbox.exec(argv, timeout_s=60, env=env, preloaded=True)
    assert result.stdout.text() == "cold\n"


async def test_a_timeout_kills_all_that_a_script_started(
    any_backend: Backend, processes: Any, tmp_path: Any
) -> None:
    marker = f"warm-{tmp_path.name}"
    text = (
        "import subprocess, time\nsubprocess.Popen(['bash', '-c', 'trap \"\" TERM; exec -a "
        f"{marker} sleep 300'], start_new_session=True)\ntime.sleep(300)\n"
    )
    async with any_backend(SPEC) as sandbox:
        await warm_up(sandbox)
        argv = [sandbox.info.python, await write(sandbox, "d/d.py", text)]
        result = await sandbox.exec(argv, timeout_s=2, preloaded=True)
        assert result.timed_out
        assert not processes.marked(marker)
        after = await run(sandbox, await write(sandbox, "w/w.py", AM_I_WARM))
        assert after.stdout.text() == "warm\n"


async def test_killing_the_interpreter_makes_scripts_start_cold(any_backend: Backend) -> None:
    text = "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n"
    async with any_backend(SPEC) as sandbox:
        await warm_up(sandbox)
        killed = await run(sandbox, await write(sandbox, "k/k.py", text))
        assert killed.exit_code in (0, 128 + signal.SIGKILL)
        after = await run(sandbox, await write(sandbox, "w/w.py", "print('fine')"))
        assert after.stdout.text() == "fine\n"
        await warm_up(sandbox)


async def test_a_stopped_interpreter_holds_nobody_up(any_backend: Backend) -> None:
    text = "import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)\n"
    async with any_backend(SPEC) as sandbox:
        await warm_up(sandbox)
        argv = [sandbox.info.python, await write(sandbox, "k/k.py", text)]
        with anyio.fail_after(60):
            stopped = await sandbox.exec(argv, timeout_s=2, preloaded=True)
            after = await run(sandbox, await write(sandbox, "w/w.py", "print('fine')"))
        assert stopped.timed_out
        assert after.stdout.text() == "fine\n"


async def test_what_was_stopped_while_idle_holds_nobody_up(isolating: Backend) -> None:
    text = (
        "import os, signal\nfor pid in filter(str.isdigit, os.listdir('/proc')):\n"
        "    if int(pid) not in (1, os.getpid(), os.getppid()): os.kill(int(pid), signal.SIGSTOP)\n"
    )
    async with isolating(SPEC) as sandbox:
        await warm_up(sandbox, stack=True)
        stop = ["sh", "-c", f"exec {sandbox.info.python} {await write(sandbox, 's/s.py', text)}"]
        assert (await sandbox.exec(stop, timeout_s=20)).exit_code == 0
        script = await write(sandbox, "w/w.py", AM_I_WARM)
        with anyio.fail_after(30):
            assert (await run(sandbox, script)).stdout.text() == "cold\n"
            await warm_up(sandbox)


async def test_scripts_side_by_side_do_not_wait_for_each_other(any_backend: Backend) -> None:
    text = (
        "import os, sys, time\nopen(sys.argv[1], 'w').close()\n"
        "while len([n for n in os.listdir() if n.startswith('there')]) < 3: time.sleep(0.02)\n"
    )
    async with any_backend(SPEC) as sandbox:
        await warm_up(sandbox)
        script = await write(sandbox, "p/p.py", text)
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                for number in range(3):
                    tasks.start_soon(run, sandbox, script, f"there-{number}")


async def test_everything_can_be_killed_and_scripts_still_run(any_backend: Backend) -> None:
    async with any_backend(SPEC) as sandbox:
        await warm_up(sandbox)
        await sandbox.kill_all()
        script = await write(sandbox, "w/w.py", "print('fine')")
        assert (await run(sandbox, script)).stdout.text() == "fine\n"


async def test_without_being_asked_for_no_interpreter_is_preloaded(any_backend: Backend) -> None:
    listing = "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'baseline, [m]ain' || true"
    async with any_backend(SPEC) as sandbox:
        script = await write(sandbox, "w/w.py", AM_I_WARM)
        for _ in range(3):
            assert (await run(sandbox, script, preloaded=False)).stdout.text() == "cold\n"
        if sandbox.info.isolation != "none":
            counted = await sandbox.exec(["sh", "-c", listing], timeout_s=30)
            assert counted.stdout.text() == "0\n"
