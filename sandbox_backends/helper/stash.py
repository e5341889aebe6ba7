"""Modules that are loaded but not imported: a preloaded interpreter keeps them out of sight.

While modules are preloaded, `Recorder` notes what the import of each led to: other modules, and
changes to the environment and to the warnings' filters. `Stash` then takes them out of
``sys.modules`` and their parents, and gives them back as they are imported, each with all that its
import would have brought. So a script finds what it imported and nothing else.
"""

from __future__ import annotations

import builtins
import importlib
import os
import sys
import warnings
from _frozen_importlib import BuiltinImporter, ModuleSpec
from _frozen_importlib_external import ExtensionFileLoader, SourceFileLoader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType
    from typing import Any

CYTHONS_OWN = ("_cyutility", "cython_runtime")
"""Made by whichever extension comes first, and used by the others without being imported."""
SUFFIXES = (".py", ".so", ".pyc", "")


class Effects:
    """What the import of one module led to, without what other modules' imports did within it."""

    def __init__(self) -> None:
        self.modules: set[str] = set()
        self.environment: dict[str, str] = {}
        self.filters: list[Any] = []


class Recorder:
    """Notes the effects of every import while it is active."""

    def __init__(self) -> None:
        self.effects: dict[str, Effects] = {}
        self._loading: list[str] = []
        self._originals = (builtins.__import__, importlib.import_module)
        self._loaders = {cls: cls.exec_module for cls in (SourceFileLoader, ExtensionFileLoader)}

    def __enter__(self) -> Recorder:
        """Watch imports."""
        builtins.__import__, importlib.import_module = self._import, self._import_module
        for cls, original in self._loaders.items():
            cls.exec_module = self._watched(original)  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        """Leave everything as it was."""
        builtins.__import__, importlib.import_module = self._originals
        for cls, original in self._loaders.items():
            cls.exec_module = original  # type: ignore[method-assign]

    def _watched(self, original: Any) -> Any:
        def exec_module(loader: Any, module: ModuleType) -> None:
            name = module.__name__
            effects = self.effects.setdefault(name, Effects())
            environment, filters = dict(os.environ), list(warnings.filters)
            before, inner = set(sys.modules), set(self.effects)
            self._loading.append(name)
            try:
                original(loader, module)
            finally:
                self._loading.pop()
                effects.modules |= set(sys.modules) - before
                nested = [self.effects[each] for each in set(self.effects) - inner]
                known = {key for each in nested for key in each.environment}
                effects.environment = {
                    key: value
                    for key, value in os.environ.items()
                    if environment.get(key) != value and key not in known
                }
                seen = filters + [one for each in nested for one in each.filters]
                effects.filters = [one for one in warnings.filters if one not in seen]

        return exec_module

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 - the builtin's own
        locals: Any = None,  # noqa: A002 - the builtin's own
        fromlist: Any = (),
        level: int = 0,
    ) -> Any:
        found = self._originals[0](name, globals, locals, fromlist, level)
        if self._loading:
            base = name
            if level:
                package = str((globals or {}).get("__package__") or "")
                above = package.rsplit(".", level - 1)[0] if level > 1 else package
                base = f"{above}.{name}" if name else above
            self._note(base, *(f"{base}.{each}" for each in fromlist or ()))
        return found

    def _import_module(self, name: str, package: str | None = None) -> Any:
        found = self._originals[1](name, package)
        self._note(found.__name__)
        return found

    def _note(self, *names: str) -> None:
        if self._loading:
            wanted = self.effects[self._loading[-1]].modules
            for name in names:
                while name:
                    if name in sys.modules:
                        wanted.add(name)
                    name = name.rpartition(".")[0]  # noqa: PLW2901 - and its parents


class Stash:
    """Modules out of sight, which the import system finds before any other."""

    def __init__(self, baseline: dict[str, ModuleType], effects: dict[str, Effects]) -> None:
        """Take every module that is not part of `baseline` out of sight."""
        self.effects = effects
        self.path = [*sys.path]
        self.modules = {n: m for n, m in sys.modules.items() if n not in baseline}
        self.children: dict[str, list[tuple[ModuleType, str]]] = {}
        for name, module in self.modules.items():
            del sys.modules[name]
            parent_name, _, child = name.rpartition(".")
            parent = self.modules.get(parent_name) or baseline.get(parent_name)
            if parent is not None and vars(parent).get(child) is module:
                delattr(parent, child)
                self.children.setdefault(name, []).append((parent, child))
        self.specs = {name: vars(m).get("__spec__") for name, m in self.modules.items()}

        shared = {n for n in self.modules if n in CYTHONS_OWN}
        data = {n for n in self.modules if n.startswith("_sysconfigdata")}
        self.implied = {
            "_cython_": shared,
            "sysconfig": data,
            "scipy.stats": {"numpy.random"} & set(self.modules),  # by an attribute of numpy
        }

    @property
    def tops(self) -> frozenset[str]:
        """The names that a file beside a script would shadow."""
        return frozenset(name.partition(".")[0] for name in self.modules)

    def serve(self) -> None:
        """Have imports find what is here, without a finder of its own that could be seen."""
        original = BuiltinImporter.find_spec

        def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
            if name in self.modules and not self._is_shadowed(name):
                return ModuleSpec(name, _Restorer(self))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # duck-typed
            return original(name, path, target)

        BuiltinImporter.find_spec = find_spec  # type: ignore[method-assign, assignment]

    def _is_shadowed(self, name: str) -> bool:
        """Whether a directory before the interpreter's own has a module of that name by now."""
        for place in sys.path if "." not in name else ():
            if place in self.path:
                return False
            if any(os.path.exists(f"{place}/{name}{suffix}") for suffix in SUFFIXES):
                return True
        return False

    def restore(self, name: str) -> ModuleType:
        """Bring a module back into sight, with all that its import would have brought."""
        module = self.modules[name]
        for each in self._brought_by(name):
            found = self.modules.pop(each)
            sys.modules.setdefault(each, found)
            for parent, child in self.children.get(each, ()):
                setattr(parent, child, found)
            if each in self.effects:
                os.environ.update(self.effects[each].environment)
                _add_filters(self.effects[each].filters)
        return module

    def _brought_by(self, name: str) -> Iterator[str]:
        """`name` and everything out of sight that its import leads to, each once."""
        todo, seen = [name], {name}
        while todo:
            each = todo.pop()
            if each in self.modules:
                yield each
            more = self.effects[each].modules if each in self.effects else set[str]()
            for start, implied in self.implied.items():
                if each.startswith(start):
                    more = more | implied
            fresh = [one for one in more if one not in seen and one in self.modules]
            seen.update(fresh)
            todo += fresh


class _Restorer:
    """A loader whose modules are there already."""

    def __init__(self, stash: Stash) -> None:
        self._stash = stash

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._stash.restore(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        name = module.__spec__.name if module.__spec__ else module.__name__
        module.__spec__ = self._stash.specs[name]


def _add_filters(filters: list[Any]) -> None:
    for each in reversed(filters):
        if each not in warnings.filters:
            warnings.filters.insert(0, each)  # type: ignore[attr-defined]
    if filters:
        warnings._filters_mutated()  # type: ignore[attr-defined]  # noqa: SLF001
