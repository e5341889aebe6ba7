"""Splits a module of hidden tests: cases go to the agent's side, everything else stays away.

A module below ``grading/tests/`` holds ``case_*`` functions, which run the agent's code and return
plain data, and ``test_*`` functions, which judge what they returned. The agent's side is sent the
source of one case function at a time, with the imports that it uses: no test, no constant, no
comment and no docstring.
"""

import ast
import builtins
import copy
import symtable
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from proctor.schemas.base import Value
from proctor.schemas.errors import TaskError
from proctor.schemas.task import FileTree

FOLDER = "tests/"
CASE, TEST = "case_", "test_"


class HiddenTests(Value):
    """One module, split."""

    path: str
    """Below ``grading/``."""
    cases: Mapping[str, str]
    """What the agent's side is sent, by the case's name without ``case_``."""
    tests: tuple[str, ...]
    """The names of the test functions at the module's top."""

    @property
    def stem(self) -> str:
        """The module's name."""
        return PurePosixPath(self.path).stem


def modules_of(grading: FileTree, names: tuple[str, ...]) -> tuple[HiddenTests, ...]:
    """The modules of hidden tests.

    Args:
        grading: The task's hidden files.
        names: Paths below ``grading/``; none stands for every ``tests/test_*.py``.

    Raises:
        TaskError: There are none, two have the same name, or one cannot be split.
    """
    every = (path for path in sorted(grading) if path.startswith(f"{FOLDER}{TEST}"))
    paths = names or tuple(path for path in every if path.endswith(".py"))
    if not paths:
        raise TaskError("there is no grading/tests/test_*.py")
    if len({PurePosixPath(path).stem for path in paths}) < len(paths):
        raise TaskError("two modules of hidden tests have the same name")
    if missing := [path for path in paths if path not in grading]:
        raise TaskError(f"there is no grading/{missing[0]}")
    return tuple(split(path, grading) for path in paths)


def split(path: str, grading: FileTree) -> HiddenTests:
    """Split one module of ``grading/``.

    Raises:
        TaskError: It is no Python, or a case needs what must not leave the module.
    """
    try:
        source = grading[path].decode("utf-8")
        tree = ast.parse(source)
        table = symtable.symtable(source, path, "exec")
    except (SyntaxError, ValueError) as error:
        raise TaskError(f"grading/{path}: not Python: {error}") from error
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    cases = {node.name: node for node in functions if node.name.startswith(CASE)}
    tests = tuple(node.name for node in functions if node.name.startswith(TEST))
    imports = _imports(tree, _hidden_modules(grading))
    used = {each.get_name(): frozenset(_globals(each)) for each in table.get_children()}
    try:
        split_cases = {
            name.removeprefix(CASE): _sent(node, used[name], imports)
            for name, node in cases.items()
        }
        _check_results(functions, split_cases)
    except TaskError as error:
        raise TaskError(f"grading/{path}: {error}") from error
    return HiddenTests(path=path, cases=split_cases, tests=tests)


def _sent(case: ast.FunctionDef, used: frozenset[str], imports: Mapping[str, str]) -> str:
    """The source of a case as the agent's side gets it."""
    if case.decorator_list or len(case.args.args) != 1 or _more_than_one(case.args):
        raise TaskError(f"write 'def {case.name}(workspace):', without decorators or defaults")
    if any(isinstance(node, ast.Assert) for node in ast.walk(case)):
        raise TaskError(f"{case.name} asserts: judge what it returns in a test")
    needed = used - set(dir(builtins))
    if kept := sorted(needed - imports.keys()):
        raise TaskError(
            f"{case.name} uses {kept[0]!r}, which does not leave this module: the agent's side "
            "gets the case alone, with the imports of other packages"
        )
    documented = ast.get_docstring(case) is not None
    bare = copy.copy(case)
    bare.args = ast.arguments([], [ast.arg(case.args.args[0].arg)], None, [], [], None, [])
    bare.returns = None
    bare.body = (case.body[1:] if documented else case.body) or [ast.Pass()]
    return "\n".join([*(imports[name] for name in sorted(needed)), ast.unparse(bare), ""])


def _more_than_one(args: ast.arguments) -> bool:
    """Whether there is anything beside plain arguments."""
    return bool(args.posonlyargs or args.vararg or args.kwonlyargs or args.kwarg or args.defaults)


def _imports(tree: ast.Module, hidden: frozenset[str]) -> Mapping[str, str]:
    """The imports that may go to the agent's side, by the names that they bind."""
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                package = alias.name.split(".")[0]
                if package not in hidden:
                    found[alias.asname or package] = ast.unparse(ast.Import([alias]))
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            kept = () if node.module.split(".")[0] in hidden else node.names
            for alias in kept:
                one = ast.ImportFrom(node.module, [alias], 0)
                found[alias.asname or alias.name] = ast.unparse(one)
    return found


def _hidden_modules(grading: FileTree) -> frozenset[str]:
    """What can be imported in the verdict sandbox alone."""
    paths = [PurePosixPath(path.removeprefix(FOLDER)) for path in grading]
    return frozenset(
        {"pytest", "probe_kit", *(path.parts[0].removesuffix(".py") for path in paths)}
    )


def _globals(table: symtable.SymbolTable) -> Iterator[str]:
    """The names that a function takes from its module, its inner functions' included."""
    yield from (symbol.get_name() for symbol in table.get_symbols() if symbol.is_global())
    for below in table.get_children():
        yield from _globals(below)


def _check_results(functions: list[ast.FunctionDef], cases: Mapping[str, str]) -> None:
    """Check that a test which asks for its case's result has a case.

    Raises:
        TaskError: It has none.
    """
    for node in functions:
        asks = any(argument.arg == "result" for argument in node.args.args)
        if node.name.startswith(TEST) and asks and node.name.removeprefix(TEST) not in cases:
            case = f"{CASE}{node.name.removeprefix(TEST)}"
            raise TaskError(f"{node.name} asks for the result of {case}, which does not exist")
