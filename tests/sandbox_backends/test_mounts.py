"""Data of the host that a task's sandbox sees, and never changes."""

import os
from pathlib import Path

import pytest

from proctor.sandbox_backends.base import Backend
from proctor.sandbox_backends.local import bubblewrap_problem, open_bubblewrap, open_plain
from proctor.schemas.errors import SandboxStartError
from proctor.schemas.sandbox import Mount, SandboxSpec


@pytest.fixture
def data(tmp_path: Path) -> str:
    """A directory that anybody may read, below one that nobody else may enter."""
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "deep" / "a.csv").write_text("1\n")
    return str(tmp_path / "data")


async def test_mounted_data_can_be_read_and_not_written(isolating: Backend, data: str) -> None:
    spec = SandboxSpec(mounts=(Mount(source=data, target="/data/set"),))
    code = "print(open('/data/set/deep/a.csv').read()); open('/data/set/x', 'w')"
    async with isolating(spec) as sandbox:
        result = await sandbox.exec([sandbox.info.python, "-c", code], timeout_s=60)
    assert result.stdout.text().startswith("1\n")
    assert "Read-only file system" in result.stderr.text()


async def test_data_that_is_not_there_is_said_so(isolating: Backend, tmp_path: Path) -> None:
    spec = SandboxSpec(mounts=(Mount(source=str(tmp_path / "gone"), target="/data"),))
    with pytest.raises(SandboxStartError, match="gone"):
        async with isolating(spec):
            pass


async def test_without_isolation_nothing_is_mounted(tmp_path: Path) -> None:
    spec = SandboxSpec(mounts=(Mount(source=str(tmp_path), target="/data"),))
    with pytest.raises(SandboxStartError, match="mounts data, which needs isolation"):
        async with open_plain(spec):
            pass


@pytest.mark.skipif(
    os.geteuid() != 0 or bubblewrap_problem() is not None,
    reason="only root opens sandboxes as somebody else",
)
async def test_data_that_the_sandboxs_user_cannot_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir(mode=0o700)
    spec = SandboxSpec(mounts=(Mount(source=str(tmp_path / "private"), target="/data"),))
    with pytest.raises(SandboxStartError, match=r"chmod -R a\+rX"):
        async with open_bubblewrap(spec):
            pass
