"""The MCP face over HTTP: stateless streamable HTTP at `/mcp`, health, and links to outputs."""

from functools import partial
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Scope

from darkroom import __version__
from darkroom.errors import DarkroomError, UnknownJob
from darkroom.server.auth import Gate
from darkroom.server.build import DarkroomServer
from darkroom.server.context import Program
from darkroom.server.links import PATH as LINKS
from darkroom.server.links import PURPOSE, holder
from darkroom.settings import Settings

PATH = "/mcp"
MOST_BYTES = 70_000_000
"""Of one request: the largest input that is taken (50 MB), as a data URI, and its surroundings."""
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
ANYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 because it is looked for, not bound
READY_S = 5.0


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a bind address."""
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:  # another name: wherever it leads
        return False


def http_app(server: DarkroomServer, settings: Settings, *, host: str) -> ASGIApp:
    """Return the ASGI application of a server.

    Args:
        server: What answers at `/mcp`.
        settings: Whose hosts and origins are accepted besides those of the bind address, and how many bytes.
        host: The bind address.
    """
    hosts = allowed_hosts(settings, host)
    origins = [*settings.cors_origins, *(f"{scheme}://{name}" for name in hosts for scheme in ("http", "https"))]
    security = TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=origins)
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        stateless_http=True,  # so that any worker may answer any request
        max_request_body_size=MOST_BYTES,
        transport_security=security,
    )
    _add_routes(app, server)
    base = partial(_base, (settings.public_url or "").rstrip("/"))
    gate = Gate(
        app, path=PATH, program=server.program, stop_waiting=server.stop_waiting, base=base, most_bytes=MOST_BYTES
    )
    if not settings.cors_origins:
        return gate
    return CORSMiddleware(
        gate,
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "POST", "DELETE", "OPTIONS"],
        allow_headers=["*"],
        expose_headers=["WWW-Authenticate", "Retry-After", "Mcp-Session-Id"],
    )


def allowed_hosts(settings: Settings, host: str) -> list[str]:
    """Return the values of the Host header that are accepted, `:*` standing for any port."""
    own = [] if host in ANYWHERE else [f"[{host}]" if ":" in host and not host.startswith("[") else host]
    public = [urlsplit(settings.public_url).netloc] if settings.public_url else []
    names = dict.fromkeys([*settings.allowed_hosts, *public, *own, *LOOPBACK])
    return [form for name in names for form in ((name,) if _has_port(name) else (name, f"{name}:*"))]


def _has_port(name: str) -> bool:
    return name.rpartition("]")[2].count(":") == 1


def _base(public_url: str, scope: Scope) -> str:
    """Return what was set, else what the request was sent to: its Host header is checked further in."""
    if public_url:
        return public_url
    request = Request(scope)
    return f"{request.url.scheme}://{request.headers.get('host', '')}"


def _add_routes(app: Starlette, server: DarkroomServer) -> None:
    async def alive(_: Request) -> Response:
        counts = await anyio.to_thread.run_sync(_counts, await server.program())
        return JSONResponse({"status": "ok", "service": "darkroom", "version": __version__, **counts})

    async def ready(_: Request) -> Response:
        try:
            with anyio.fail_after(READY_S):
                program = await server.program()
                await program.ready()
                await program.intact()
        except DarkroomError as exc:
            return JSONResponse({"status": "not ready", "reason": exc.code}, 503)
        except TimeoutError:
            return JSONResponse({"status": "not ready", "reason": "starting"}, 503)
        return JSONResponse({"status": "ready"})

    async def output(request: Request) -> Response:
        return await _file(server, request)

    app.add_route("/healthz", alive, ["GET"])
    app.add_route("/readyz", ready, ["GET"])
    app.add_route(f"{LINKS}/{{output_id}}", output, ["GET"])


def _counts(program: Program) -> dict[str, int]:
    """Return how much there is; reads files the first time."""
    return {"agents": len(program.agents.select()), "providers": len(program.providers)}


async def _file(server: DarkroomServer, request: Request) -> Response:
    """Answer with the file of an output whose link was signed here and still holds."""
    program, output_id = await server.program(), request.path_params["output_id"]
    try:
        key = await program.secret(PURPOSE)
        principal = holder(key, output_id, request.query_params, program.clock.now())
        if principal is None:
            return _plain(403, "This link does not open anything, or not any more. check_job brings a new one.")
        await program.ready()
        found = await program.jobs.output(output_id, principal)
    except UnknownJob:
        return _plain(404, "There is no such output.")
    except DarkroomError as exc:
        return _plain(503, exc.message)
    path = Path(found.path)
    if not await anyio.to_thread.run_sync(path.is_file):
        return _plain(410, "The file was moved or deleted. retry_job makes it anew.")
    headers = {"Cache-Control": "private, max-age=3600", "Referrer-Policy": "no-referrer", **_SAFE}
    return FileResponse(
        path, media_type=found.media_type, filename=path.name, content_disposition_type="inline", headers=headers
    )


_SAFE = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}


def _plain(status: int, text: str) -> Response:
    return PlainTextResponse(text, status, headers=_SAFE)
