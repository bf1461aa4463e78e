"""`darkroom doctor --online`: whether each provider takes its key, how quickly, and what is left."""

import anyio
import anyio.to_thread

from darkroom.adapters.base import Checkable, Follow
from darkroom.app import App
from darkroom.catalog.providers import Provider
from darkroom.errors import AuthFailed, DarkroomError, Overloaded, ProviderFailed

Row = tuple[str, str, str]
CHECK_S = 20.0


async def check_all(app: App) -> list[Row]:
    """Return a row for every provider that has its key and an adapter, asked side by side."""
    asked = await anyio.to_thread.run_sync(_asked, app)
    rows: dict[str, Row] = {}

    async def ask(provider: Provider) -> None:
        rows[provider.id] = await _check(app, provider)

    async with anyio.create_task_group() as tasks:
        for provider in asked:
            tasks.start_soon(ask, provider)
    return [rows[item.id] for item in asked] or [("ok", "online", "no provider has a key")]


def _asked(app: App) -> list[Provider]:
    """Return the providers to ask; reads keys and manifests."""
    ready = app.accounts().ready()
    return [item for item in app.providers.values() if item.id in ready and item.credentials and app.has_adapter(item)]


async def _check(app: App, provider: Provider) -> Row:
    began = app.clock.monotonic()
    try:
        adapter = await anyio.to_thread.run_sync(app.adapters.adapter, provider.id)
        if not isinstance(adapter, Checkable):
            return "ok", "online", f"{provider.id}: has no call that costs nothing, so its key was not tried"
        with anyio.fail_after(CHECK_S):
            health = await adapter.check(_follow(app, provider))
    except AuthFailed as exc:
        return "wrong", "online", f"{provider.id}: auth_failed, {exc.provider_message or exc.message}"
    except DarkroomError as exc:
        lost = isinstance(exc, Overloaded | ProviderFailed) and exc.__cause__ is not None  # no answer, but an exception
        word = "unreachable" if lost else exc.code
        return "warning", "online", f"{provider.id}: {word}, {exc.provider_message or exc.message}"
    except TimeoutError:
        return "warning", "online", f"{provider.id}: unreachable, no answer within {CHECK_S:g} s"
    except Exception as exc:  # because one provider's odd answer must not hide the others
        return "warning", "online", f"{provider.id}: unexpected_answer, {type(exc).__name__}"
    left = f", {health.balance} left" if health.balance else ""
    took = (app.clock.monotonic() - began) * 1000
    if not health.ok:
        return "warning", "online", f"{provider.id}: {health.problem or 'not well'}"
    return "ok", "online", f"{provider.id}: ok in {took:.0f} ms{left}"


def _follow(app: App, provider: Provider) -> Follow:
    return Follow(
        job_id="",
        submit_key="",
        provider=provider,
        offer=provider.offers[0],
        credentials=app.accounts().credential(provider) or {},
        now=app.clock.now(),
    )
