"""Training on a real GPU; skips where there is none, or no torch in the sandbox's interpreter."""

import importlib.util
from pathlib import Path

import anyio
import pytest

from proctor.sandbox_backends.base import Backend, Sandbox
from proctor.sandbox_backends.gpus import GpuPool, on_gpus
from proctor.sandbox_backends.local import bubblewrap_problem, open_bubblewrap, open_plain
from proctor.sandbox_backends.nvml import Gpu, installed_gpus
from proctor.schemas.errors import SandboxStartError
from proctor.schemas.sandbox import SandboxSpec

pytestmark = pytest.mark.gpu
SPEC = SandboxSpec(gpus=1, memory_bytes=16 << 30, workspace_bytes=8 << 30)
NOISE_BYTES = 256 << 20
"""Memory of a GPU that its driver may hold or not, whoever uses it."""
TRAINING = """
import torch
assert torch.cuda.device_count() == 1, torch.cuda.device_count()
torch.manual_seed(0)
x = torch.randn(4096, 64, device="cuda")
y = x @ torch.randn(64, 1, device="cuda")
model = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 1))
model.cuda()
ballast = torch.zeros(1 << 30, dtype=torch.uint8, device="cuda")
optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
first = last = None
for _ in range(200):
    loss = torch.nn.functional.mse_loss(model(x), y)
    optimiser.zero_grad(); loss.backward(); optimiser.step()
    first, last = first or loss.item(), loss.item()
assert last < first / 10, (first, last)
print("trained")
"""


def _one_gpu() -> list[Gpu]:
    return list(installed_gpus()[:1])


@pytest.fixture(params=["bubblewrap", "plain"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    try:
        found = _one_gpu()
    except SandboxStartError as error:
        pytest.skip(str(error))
    if not found:
        pytest.skip("the driver offers no GPU")
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed")
    if request.param == "bubblewrap" and (problem := bubblewrap_problem()):
        pytest.skip(problem)
    opener = open_plain if request.param == "plain" else open_bubblewrap
    return on_gpus(GpuPool(_one_gpu, tmp_path), opener)


async def _train(sandbox: Sandbox) -> None:
    result = await sandbox.exec([sandbox.info.python, "-c", TRAINING], timeout_s=300)
    assert result.stdout.text() == "trained\n", result.stderr.text()


async def test_a_second_session_waits_for_the_gpu_and_finds_its_memory_free(
    backend: Backend,
) -> None:
    before = _one_gpu()[0].memory_free_bytes
    second = anyio.Event()

    async def open_second() -> None:
        async with backend(SPEC) as sandbox:
            second.set()
            await _train(sandbox)

    with anyio.fail_after(600):
        async with anyio.create_task_group() as tasks:
            async with backend(SPEC) as sandbox:  # the second comes up once this is gone
                assert sandbox.info.gpus == (_one_gpu()[0].uuid,)
                tasks.start_soon(open_second)
                await _train(sandbox)
                assert not second.is_set()
            await second.wait()
    assert _one_gpu()[0].memory_free_bytes > before - NOISE_BYTES
