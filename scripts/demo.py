"""Makes a real picture and a real clip through a real MCP client session, as a host would.

Starts `darkroom serve` as a subprocess and talks to it over stdio. The results go to
`demo-output` beside the README. Ends with a non-zero exit code if a job does not succeed
or a file does not decode.
"""

import os
import sys
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters
from mcp_types import CallToolResult

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "demo-output"
PICTURE = "a lighthouse on a cliff at sunset, stormy sea, two sailing boats"
CLIP = "a sailing boat on a calm sea at dawn, slow pan"


def parameters() -> StdioServerParameters:
    """Return how a host starts the server."""
    environment = {
        **os.environ,
        "DARKROOM_HOME": str(FOLDER / "home"),
        "DARKROOM_OUTPUT_DIR": str(FOLDER / "outputs"),
    }
    return StdioServerParameters(command=sys.executable, args=["-m", "darkroom", "serve"], env=environment)


async def show_progress(done: float, total: float | None, message: str | None) -> None:
    """Print one progress notice."""
    print(f"    {done:5.1f} %  {message or ''}", flush=True)


def job_of(result: CallToolResult) -> dict[str, Any]:
    """Return the job of an answer, or end the demo."""
    if result.is_error or not result.structured_content:
        sys.exit(f"the call failed: {[getattr(block, 'text', '') for block in result.content]}")
    content = result.structured_content
    return content["jobs"][0] if "jobs" in content else content


async def make(client: Client, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Call a generating tool and wait for its job."""
    print(f"\n{tool} {arguments}", flush=True)
    job = job_of(await client.call_tool(tool, arguments, progress_callback=show_progress))
    while "check_after_s" in job:
        print(f"    {job['job_id']} is {job['status']}; {job['next']}", flush=True)
        check = {"job_id": job["job_id"], "wait": 25}
        job = job_of(await client.call_tool("check_job", check, progress_callback=show_progress))
    if job["status"] != "succeeded":
        sys.exit(f"the job ended as {job['status']}: {job.get('error')}")
    print(f"    {job.get('message', '')}")
    return job


def verify(path: Path) -> str:
    """Decode a file to its last frame and say what it is.

    Raises:
        OSError: If it does not decode.
    """
    import av
    from PIL import Image

    if path.suffix != ".mp4":
        with Image.open(path) as picture:
            picture.load()
            return f"{picture.format} {picture.width}x{picture.height}"
    with av.open(str(path)) as clip:
        stream = clip.streams.video[0]
        frames = sum(1 for _ in clip.decode(video=0))
        seconds = (clip.duration or 0) / 1_000_000
        sound = ", ".join(audio.codec_context.name for audio in clip.streams.audio)
        name = stream.codec_context.name
        return f"{name} {stream.width}x{stream.height}, {frames} frames, {seconds:.1f} s, sound: {sound or 'none'}"


async def main() -> None:
    """Run the demo."""
    print("Starting: darkroom serve (stdio)", flush=True)
    async with Client(parameters()) as client:
        tools = (await client.list_tools()).tools
        print(f"Connected, protocol {client.protocol_version}. Tools:")
        for tool in tools:
            print(f"    {tool.name:16} {tool.description}")
        jobs = [
            await make(client, "generate_image", {"prompt": PICTURE, "again": True}),
            await make(client, "generate_video", {"prompt": CLIP, "duration": 3, "again": True}),
        ]
    print("\nFiles:")
    for job in jobs:
        for output in job["outputs"]:
            print(f"    {output['path']}\n        {verify(Path(output['path']))}")


if __name__ == "__main__":
    anyio.run(main)
