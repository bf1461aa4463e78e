"""A language model behind an address of this machine, which answers as a test wants it to."""

import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]
MODEL = "openai_compatible/little"
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}


def tool_call(name: str, function: str, arguments: Json) -> Json:
    """Return one call of a tool, as a model makes it."""
    return {"id": name, "type": "function", "function": {"name": function, "arguments": json.dumps(arguments)}}


def calling(*calls: Json) -> Json:
    """Return the message that calls tools."""
    return {"role": "assistant", "content": None, "tool_calls": list(calls)}


def saying(text: str) -> Json:
    """Return the message that is a text."""
    return {"role": "assistant", "content": text}


def results(request: Json) -> list[str]:
    """Return what came of the calls so far, as a model reads it."""
    return [str(item["content"]) for item in request["messages"] if item["role"] == "tool"]


def variables(address: str) -> dict[str, str]:
    """Return the settings with which darkroom asks the model at an address."""
    return {
        "DARKROOM_OPENAI_COMPATIBLE_API_KEY": "k-test",
        "DARKROOM_OPENAI_COMPATIBLE_BASE_URL": address,
        "DARKROOM_AGENT_MODEL": MODEL,
        "DARKROOM_AGENT_PRICE": "1.00/10.00",
    }


@contextmanager
def serving(answer: Callable[[Json], Json | None]) -> Generator[str]:
    """Serve a model; the value is its address.

    Args:
        answer: Returns the message that answers a request; None to end the connection without one.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            if message is None:
                return
            choice = {
                "index": 0,
                "message": message,
                "finish_reason": "tool_calls" if "tool_calls" in message else "stop",
            }
            whole = {"id": "x", "object": "chat.completion", "model": "m", "choices": [choice], "usage": USAGE}
            body = json.dumps(whole).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}/v1"
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
