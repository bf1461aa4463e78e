"""The adapter of the fake provider: what an adapter of a real one looks like, with every optional protocol."""

import base64
from typing import Any

from darkroom.adapters.base import (
    Absent,
    Accepted,
    Call,
    Cancelled,
    Failed,
    Follow,
    Json,
    Made,
    Pending,
    Succeeded,
    TooLate,
    Unsure,
)
from darkroom.domain.money import MicroUsd
from darkroom.domain.output import FailedOutput, RemoteOutput
from darkroom.errors import ContentBlocked, InvalidRequest, ProviderFailed, ResultExpired, UnexpectedAnswer
from darkroom.net.answer import Answer
from darkroom.net.provider import ProviderHttp


class FakeAdapter:
    """Maps requests and answers of the fake provider."""

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http

    async def submit(self, call: Call) -> Accepted | Succeeded:
        """Start the work, or have it done within the call."""
        path = "/v1/images" if call.offer.synchronous else "/v1/jobs"
        answer = await self._http.submit(
            "POST", path, headers=_headers(call), json=_body(call), timeout_s=150.0, spool=call.spool
        )
        return self.read(answer, call)

    def read(self, answer: Answer, call: Call) -> Accepted | Succeeded:
        """Make of an answer what there is in it."""
        if answer.headers.get("content-type") == "image/png":
            return Succeeded((Made(answer.body, "image/png"),))
        data = answer.json()
        if "images" in data:
            pictures = [base64.b64decode(item["b64"]) for item in data["images"]]
            return Succeeded(tuple(Made(item, "image/png") for item in pictures))
        if "id" not in data:
            raise UnexpectedAnswer("The answer names no job.")
        return Accepted({"id": data["id"]}, str(data["id"]))

    async def poll(self, operation: Json, call: Follow) -> Pending | Succeeded | Failed:
        """Ask once."""
        data = (await self._http.request("GET", f"/v1/jobs/{operation['id']}", headers=_headers(call))).json()
        match data["status"]:
            case "succeeded":
                outputs = tuple(RemoteOutput(url=item["url"], media_type="image/png") for item in data["outputs"])
                failed = tuple(
                    FailedOutput(index=item["index"], code=item["code"], message="not delivered")
                    for item in data["failed"]
                )
                return Succeeded(outputs, failed)
            case "failed":
                return Failed(_error(data["error"]))
            case "cancelled":
                return Failed(ProviderFailed("It was cancelled at the provider."))
            case _:
                return Pending(data.get("progress"))

    async def cancel(self, operation: Json, call: Follow) -> Cancelled | TooLate:
        """Ask it to stop."""
        try:
            await self._http.request("DELETE", f"/v1/jobs/{operation['id']}", headers=_headers(call))
        except (InvalidRequest, ResultExpired):
            return TooLate()
        return Cancelled(MicroUsd(0))

    async def locate(self, call: Call) -> Accepted | Succeeded | Absent | Unsure:
        """Look for a submission by its key, in the way that the provider offers."""
        if call.provider.lookup != "none":
            found = await self._http.request("GET", "/v1/jobs", params={"key": call.submit_key}, headers=_headers(call))
            jobs = found.json()["jobs"]
            return Accepted({"id": jobs[0]["id"]}, jobs[0]["id"]) if jobs else Absent()
        if call.provider.idempotency == "key":
            return await self.submit(call)
        return Unsure()

    def operation_of(self, provider_job_id: str, call: Follow) -> Json:
        """Return what `poll` needs."""
        if not provider_job_id.startswith("p"):
            raise InvalidRequest("An id of this provider begins with p.", hint="Nothing was changed.")
        return {"id": provider_job_id}


def create(http: ProviderHttp) -> FakeAdapter:
    """Return the adapter."""
    return FakeAdapter(http)


def _headers(call: Follow) -> dict[str, str]:
    headers = {"authorization": f"Bearer {next(iter(call.credentials.values()))}"}
    if call.provider.idempotency == "key":
        headers["idempotency-key"] = call.submit_key
    return headers


def _body(call: Call) -> dict[str, Any]:
    return {"prompt": call.request.prompt, "n": call.request.n, "key": call.submit_key}


def _error(data: dict[str, str]) -> ContentBlocked | ProviderFailed:
    kind = ContentBlocked if data["code"] == "blocked" else ProviderFailed
    return kind("The provider failed.", provider_code=data["code"], provider_message=data["message"])
