"""Black Forest Labs: FLUX pictures. Wire format: the vendor's OpenAPI file, https://docs.bfl.ai."""

from darkroom.adapters.base import Accepted, Call, Failed, Follow, Health, Json, Pending, Succeeded
from darkroom.adapters.body import body_of, wire_of
from darkroom.adapters.reading import dig, fraction_at, health, needed, number_at, seed_at, text_at, texts
from darkroom.domain.money import MicroUsd
from darkroom.domain.output import RemoteOutput
from darkroom.net.answer import Answer
from darkroom.net.provider import ProviderHttp

KEPT_MS = 600_000
"""How long a result can be fetched."""
NEW_MS = 60_000
"""How long a task may be unknown to the place that is asked."""
CREDIT = 10_000
"""Millionths of a dollar."""


class BflAdapter:
    """Maps requests and answers of the FLUX API."""

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http

    async def submit(self, call: Call) -> Accepted | Succeeded:
        """Start a picture; the model is in the path, all else in one flat body."""
        path = f"/v1/{wire_of(call)}"
        answer = await self._http.submit("POST", path, headers=_headers(call), json=body_of(call), spool=call.spool)
        return self.read(answer, call)

    def read(self, answer: Answer, call: Call) -> Accepted | Succeeded:
        """Return what to ask about later."""
        del call
        data = answer.json()
        found = needed(data, "id")
        url = self._http.own(text_at(data, "polling_url"))
        return Accepted({"id": found, "polling_url": url, "cost": number_at(data, "cost")}, found)

    async def poll(self, operation: Json, call: Follow) -> Pending | Succeeded | Failed:
        """Ask at the address that the acceptance named: each region keeps its own tasks."""
        url = text_at(operation, "polling_url")
        params = None if url else {"id": needed(operation, "id")}
        answer = await self._http.request("GET", url or "/v1/get_result", headers=_headers(call), params=params)
        data = answer.json()
        status = needed(data, "status")
        match status.lower():
            case "ready":
                output = RemoteOutput(url=needed(data, "result", "sample"), expires_at=call.now + KEPT_MS)
                return Succeeded((output,), cost=_cost(operation), notes=seed_at(data, "result", "seed"))
            case "task not found" if call.is_new(NEW_MS):
                return Pending()
            case "task not found":
                error = self._http.ended(status, message=_reasons(data))
                if url is None:  # the task may be another region's
                    raise error
                return Failed(error, billed=True, charged=_cost(operation))  # dropped after its ten minutes
            case "request moderated" | "content moderated" | "error":
                return Failed(self._http.ended(status, message=_reasons(data)))
            case _:
                return Pending(fraction_at(data, "progress"))

    def operation_of(self, provider_job_id: str, call: Follow) -> Json:
        """Return what `poll` needs, of the id alone."""
        del call
        return {"id": provider_job_id}

    async def check(self, call: Follow) -> Health:
        """Ask for the credits that are left."""
        data = (await self._http.request("GET", "/v1/credits", headers=_headers(call))).json()
        left = number_at(data, "credits")
        return health(left)


def _headers(call: Follow) -> dict[str, str]:
    return {"x-key": next(iter(call.credentials.values()))}


def _cost(operation: Json) -> MicroUsd | None:
    """Return what the acceptance said that the task costs, where it did."""
    credits = number_at(operation, "cost")
    return None if credits is None else MicroUsd(round(credits * CREDIT))


def _reasons(data: Json) -> str | None:
    """Return why a task ended, where it is told: as text, as a list of reasons, or as a message."""
    reasons = dig(data, "details", "Moderation Reasons")
    return ", ".join(texts(reasons)) or text_at(data, "details") or text_at(data, "details", "message")


def create(http: ProviderHttp) -> BflAdapter:
    """Return the adapter."""
    return BflAdapter(http)
