"""Modules that are loaded but not imported: a preloaded interpreter keeps them out of sight.

While modules are preloaded, `Recorder` notes what the import of each led to: other modules, and
changes to the environment and to the warnings' filters. `Stash` then takes them out of
``sys.modules`` and their parents, and gives them back as they are imported, each with all that its
import would have brought. So a script finds what it imported and nothing else.
"""

from __future__ import annotations

import builtins
import os
import sys
import warnings
from _frozen_importlib import BuiltinImporter, FrozenImporter, ModuleSpec
from _frozen_importlib_external import ExtensionFileLoader, _LoaderBasics  # pyright: ignore[reportPrivateUsage]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType
    from typing import Any

LOADERS: tuple[Any, ...] = (_LoaderBasics, ExtensionFileLoader, FrozenImporter, BuiltinImporter)
IMPLIED = {
    "_cython_": "cython_runtime",
    "._cyutility": "_cyutility",
    "sysconfig": "_sysconfigdata_",
}
"""What is in a module's name, and with what begin the names of those it brings unimported."""


class Effects:
    """What the import of one module led to, without what other modules' imports did within it."""

    def __init__(self) -> None:
        self.modules: dict[str, None] = {}  # in their order
        self.environment: dict[str, str] = {}
        self.filters: list[Any] = []


class Recorder:
    """Notes the effects of every import while it is active, those made in C as well."""

    def __init__(self) -> None:
        self.effects: dict[str, Effects] = {}
        self._loading: list[str] = []
        self._late: list[_LateNames] = []
        self._import_before = builtins.__import__
        self._loaders: dict[Any, Any] = {cls: vars(cls)["exec_module"] for cls in LOADERS}
        self._spec_class = _spec_class(self._note)

    def __enter__(self) -> Recorder:
        """Watch imports."""
        builtins.__import__ = self._import
        for cls, original in self._loaders.items():
            cls.exec_module = self._watched(original)
        return self

    def __exit__(self, *_: object) -> None:
        """Leave everything as it was."""
        builtins.__import__ = self._import_before
        for cls, original in self._loaders.items():
            cls.exec_module = original
        for late in self._late:
            late.put_back()
        for module in list(sys.modules.values()):
            spec = getattr(module, "__spec__", None)
            if isinstance(spec, self._spec_class):
                spec.__class__ = ModuleSpec

    def _watched(self, original: Any) -> Any:
        def exec_module(*args: Any) -> None:
            module: ModuleType = args[-1]
            name = module.__name__
            self._note(name)
            effects = self.effects.setdefault(name, Effects())
            environment, filters = dict(os.environ), list(warnings.filters)
            before, inner = set(sys.modules), set(self.effects)
            for late in self._late:
                late.take()
            spec = module.__spec__
            if type(spec) is ModuleSpec:
                spec.__class__ = self._spec_class
            self._loading.append(name)
            try:
                original(*args)
            finally:
                self._loading.pop()
                types = {type(each).__module__ for each in vars(module).values()}
                for each in sys.modules:
                    if each not in before or (each in types and each.startswith("_cython_")):
                        effects.modules[each] = None
                nested = [self.effects[each] for each in set(self.effects) - inner]
                known = {key for each in nested for key in each.environment}
                effects.environment = {
                    key: value
                    for key, value in os.environ.items()
                    if environment.get(key) != value and key not in known
                }
                seen = filters + [one for each in nested for one in each.filters]
                effects.filters = [one for one in warnings.filters if one not in seen]
            if hasattr(module, "__path__") and "__getattr__" in vars(module):
                self._late.append(_LateNames(module, self._note))

        return exec_module

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 - the builtin's own
        locals: Any = None,  # noqa: A002 - the builtin's own
        fromlist: Any = (),
        level: int = 0,
    ) -> Any:
        found = self._import_before(name, globals, locals, fromlist, level)
        for each in fromlist or ():
            self._note(f"{found.__name__}.{each}")
        return found

    def _note(self, name: str) -> None:
        """The module that is being loaded has need of another, and so of that one's parents."""
        end = 0
        while self._loading and end >= 0:
            end = name.find(".", end + 1)
            each = name[:end] if end > 0 else name
            if each in sys.modules:
                self.effects[self._loading[-1]].modules[each] = None


def _spec_class(note: Callable[[str], None]) -> type[ModuleSpec]:
    """A class for specs, which every import of a module that is loaded asks whether it is done."""

    class Spec(ModuleSpec):
        def __getattribute__(self, name: str) -> Any:
            if name == "_initializing":
                note(super().__getattribute__("name"))
            return super().__getattribute__(name)

    return Spec


class _LateNames:
    """What a package imports as it is first asked for: for once, every time that it is asked."""

    def __init__(self, package: ModuleType, note: Callable[[str], None]) -> None:
        self._name, self._names = package.__name__, vars(package)
        self._early = set(self._names)
        self._asked: set[str] = set()
        self._children: dict[str, ModuleType] = {}
        self._original = self._names["__getattr__"]

        def find(name: str) -> Any:
            if name in self._children:
                note(f"{self._name}.{name}")
                return self._children[name]
            self._asked.add(name)
            return self._original(name)

        self._names["__getattr__"] = find

    def take(self) -> None:
        """Have those that are there by now asked for again."""
        for name in set(self._names) - self._early:
            module = sys.modules.get(f"{self._name}.{name}")
            if module is not None and self._names[name] is module:
                self._children[name] = self._names.pop(name)
            elif name in self._asked:
                del self._names[name]

    def put_back(self) -> None:
        """Leave the package with the submodules that it has by now."""
        self.take()
        self._names.update(self._children, __getattr__=self._original)


class Stash:
    """Modules out of sight."""

    def __init__(self, baseline: dict[str, ModuleType], effects: dict[str, Effects]) -> None:
        """Take every module that is not part of `baseline` out of sight."""
        self.effects = effects
        self.modules = {n: m for n, m in sys.modules.items() if n not in baseline}
        self.children: dict[str, list[tuple[ModuleType, str]]] = {}
        for name, module in self.modules.items():
            del sys.modules[name]
            parent_name, _, child = name.rpartition(".")
            parent = self.modules.get(parent_name) or baseline.get(parent_name)
            if parent is not None and vars(parent).get(child) is module:
                delattr(parent, child)
                self.children.setdefault(name, []).append((parent, child))
        self._given: set[str] = set()
        self.specs: dict[str, Any] = {
            name: vars(m).get("__spec__") for name, m in self.modules.items()
        }

    def serve(self) -> None:
        """Have loaders give what is here rather than make it anew.

        A module is looked for as ever, and found where a new interpreter would find it.
        """
        for cls in LOADERS:
            cls.create_module = self._creating(cls.create_module)
            cls.exec_module = self._executing(vars(cls)["exec_module"])

    def _creating(self, original: Any) -> Any:
        def create_module(*args: Any) -> ModuleType | None:
            spec: ModuleSpec = args[-1]
            if spec.name in self.modules and self.specs[spec.name].origin == spec.origin:
                self._given.add(spec.name)
                return self.restore(spec.name)
            made: ModuleType | None = original(*args)
            return made

        return create_module

    def _executing(self, original: Any) -> Any:
        def exec_module(*args: Any) -> None:
            module: ModuleType = args[-1]
            spec = module.__spec__
            if spec is not None and spec.name in self._given:
                self._given.remove(spec.name)
                module.__spec__ = self.specs[spec.name]
            else:
                original(*args)

        return exec_module

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
                for one in reversed(self.effects[each].filters):
                    warnings._add_filter(*one, append=False)  # type: ignore[attr-defined]  # noqa: SLF001
        return module

    def _brought_by(self, name: str) -> Iterator[str]:
        """What is out of sight of `name` and all that it imports, in the order of their ends."""
        begun = {name}
        under_way = [(name, iter(self._imports_of(name)))]
        while under_way:
            each, imports = under_way[-1]
            fresh = next((one for one in imports if one in self.modules and one not in begun), None)
            if fresh is None:
                under_way.pop()
                yield each
            else:
                begun.add(fresh)
                under_way.append((fresh, iter(self._imports_of(fresh))))

    def _imports_of(self, name: str) -> list[str]:
        listed = list(self.effects[name].modules) if name in self.effects else []
        for part, start in IMPLIED.items():
            if part in name:
                listed += [one for one in self.modules if one.startswith(start)]
        return listed
