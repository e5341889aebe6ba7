"""What a grade came from: the code of its graders, and the machines that they used."""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from proctor.evaluator.graders import grader_named
from proctor.sandbox_backends.base import Backend, Sandbox
from proctor.schemas.grade import Machine
from proctor.schemas.rubric import Rubric
from proctor.schemas.sandbox import SandboxSpec

PACKAGES = {"judge": "judge", "metric": "metrics", "competition": "metrics"}
"""What not every grader uses, below ``evaluator/``."""


class Recorded:
    """A backend that remembers which kinds of sandbox it opened."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._opened: set[Machine] = set()

    @property
    def machines(self) -> tuple[Machine, ...]:
        """The kinds of sandbox that were opened, in no order of time."""
        return tuple(sorted(self._opened, key=repr))

    @asynccontextmanager
    async def __call__(self, spec: SandboxSpec) -> AsyncGenerator[Sandbox]:
        """Open a sandbox."""
        async with self._backend(spec) as sandbox:
            info = sandbox.info
            self._opened.add(
                Machine(backend=info.backend, isolation=info.isolation, image=info.image)
            )
            yield sandbox


def digests_of_graders(rubric: Rubric) -> dict[str, str]:
    """The graders that a rubric names, each with the digest of its code."""
    digests = {name: code_digest(name) for name in sorted({c.grader for c in rubric.criteria})}
    return {name: digest for name, digest in digests.items() if digest is not None}


@cache
def code_digest(grader: str) -> str | None:
    """The SHA-256 of what decides a grader's verdict: what is its own, and what all share.

    None where there is no such grader. A task's own grader is part of the task's digest.
    """
    known = grader_named(grader)
    if known is None:
        return None
    own = known.options.__module__.rpartition(".")[2]
    package = files("proctor.evaluator")
    modules = [package / "graders" / f"{own}.py", *_modules(package)]
    if grader in PACKAGES:
        modules += _modules(package / PACKAGES[grader])
    seal = hashlib.sha256()
    for path in modules:
        seal.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return seal.hexdigest()


def _modules(package: Traversable) -> list[Traversable]:
    found = [each for each in package.iterdir() if each.name.endswith(".py")]
    return sorted(found, key=lambda each: each.name)
