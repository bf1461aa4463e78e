"""The loop against a small real model, where one is at hand: `DARKROOM_TEST_MODEL` names its GGUF file.

It needs the package xllamacpp, which is no dependency; it serves OpenAI's chat format on this machine. A model of that
size follows no agent's prompt: what is proved is that its answers are read, counted and kept.
"""

import os
import socket
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters

FILE = os.environ.get("DARKROOM_TEST_MODEL", "")
BOUND_S = 250.0
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]


@pytest.fixture
def address() -> Generator[str]:
    if not Path(FILE).is_file():
        pytest.skip("DARKROOM_TEST_MODEL names no model")
    xllamacpp: Any = pytest.importorskip("xllamacpp")
    params = xllamacpp.CommonParams()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    params.model.path, params.port = FILE, port
    params.n_ctx, params.cpuparams.n_threads, params.n_predict = 8192, 2, 64
    server = xllamacpp.Server(params)
    yield f"http://127.0.0.1:{port}/v1"
    del server


async def test_a_real_model_answers_and_its_tokens_are_counted(address: str) -> None:
    variables = {
        **{name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")},
        "DARKROOM_OPENAI_COMPATIBLE_API_KEY": "none-needed",
        "DARKROOM_OPENAI_COMPATIBLE_BASE_URL": address,
        "DARKROOM_AGENT_MODEL": "openai_compatible/local",
        "DARKROOM_AGENT_PRICE": "0/0",
        "DARKROOM_LINGER": "0",
    }
    parameters = StdioServerParameters(command=sys.executable, args=["-m", "darkroom", "serve"], env=variables)
    with anyio.fail_after(BOUND_S):
        async with Client(parameters) as client:
            answer = await client.call_tool("run_agent", {"task": "Say hello in one short sentence.", "wait": 45})
            run: dict[str, Any] = answer.structured_content or {}
            while "check_after_s" in run:
                answer = await client.call_tool("check_job", {"job_id": run["run_id"], "wait": 45})
                content: dict[str, Any] = answer.structured_content or {}
                run = content["jobs"][0]
    assert run["status"] == "succeeded", run
    assert run["output"].strip()
    assert run["token_usage"]["output"] > 0
    assert run["cost"]["actual_usd"] == 0
