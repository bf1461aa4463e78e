"""A film of clips through the tool, with the draft engine itself."""

from pathlib import Path

import anyio.to_thread
import av
import pytest
from helpers_server import call, connected

from darkroom.app import App
from darkroom.settings import Settings

pytestmark = pytest.mark.anyio


async def test_clips_are_joined_by_the_tool(era: str) -> None:
    app = await anyio.to_thread.run_sync(lambda: App(Settings.load()))
    async with connected(app, era) as client:
        asked = {"duration": 1, "resolution": "360p", "aspect_ratio": "square", "wait": 45}
        sea = await call(client, "generate_video", prompt="a calm sea", model="draft", **asked)
        city = await call(client, "generate_video", prompt="a city at night", audio=False, model="draft", **asked)
        clips = [f"clip={job['outputs'][0]['id']}" for job in (sea, city)]
        plan = await call(client, "generate_video", prompt="", model="film-join", images=clips, dry_run=True)
        assert plan["effective"] == {"n": 1, "duration": 2, "size": "360x360"}
        assert "draft" not in plan
        film = await call(client, "generate_video", prompt="", model="film-join", images=clips, wait=45)
        again = await call(client, "generate_video", prompt="", model="film-join", images=clips)
        refused = await client.call_tool("generate_video", {"prompt": "", "images": [clips[0], "fox.png"]})
    assert (film["status"], film["mode"], film["provider"]) == ("succeeded", "join_video", "draft")
    assert film["message"] == "Joined 2 clips on this machine: 2 seconds."
    assert film["next"] == "Show the file."
    assert {"draft", "seed", "warnings", "error"} & set(film) == set()
    assert again["job_id"] == film["job_id"]
    assert refused.is_error
    assert "Clips are joined with clips alone" in str(refused.content)
    (output,) = film["outputs"]
    assert (output["width"], output["height"], output["duration"]) == (360, 360, 2)
    with av.open(str(Path(output["path"]))) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        assert container.streams.video[0].frames == 48
