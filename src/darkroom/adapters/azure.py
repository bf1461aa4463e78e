"""Azure OpenAI: GPT Image pictures of one's own deployments. Wire format: the SDK and Microsoft's documents."""

from typing import Any
from urllib.parse import quote

from darkroom.adapters.base import Accepted, Call, Failed, Follow, Health, Json, Pending, Succeeded
from darkroom.adapters.body import wire_of
from darkroom.adapters.gpt_images import UNLISTED, health_of, images_call, pictures_of
from darkroom.errors import InvalidRequest, RequestError, UnexpectedAnswer, Unsupported
from darkroom.net.answer import Answer
from darkroom.net.provider import ProviderHttp

NO_DEPLOYMENT = "deploymentnotfound"
VERSION = "OPENAI_API_VERSION"
"""Where it is set, the older route is taken, whose paths name the deployment."""
TOKEN, KEY = "AZURE_OPENAI_AD_TOKEN", "AZURE_OPENAI_API_KEY"


class AzureAdapter:
    """Maps requests and answers of an Azure OpenAI resource."""

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http

    async def submit(self, call: Call) -> Accepted | Succeeded:
        """Send JSON, or a form where pictures go in, to a deployment; it answers with the pictures."""
        what, body = images_call(call)
        name = str(call.request.options.get("deployment") or wire_of(call))
        version = call.credentials.get(VERSION)
        route = f"deployments/{quote(name, safe='')}" if version else "v1"
        fixed: dict[str, Any] = {"headers": _headers(call), "params": _query(version), "spool": call.spool}
        try:
            answer = await self._http.submit("POST", f"openai/{route}/{what}", **fixed, **body)
        except Unsupported as exc:  # the one row of the manifest that means it
            raise Unsupported(
                f"{call.provider.title} has blocked your resource for now; nothing was charged.",
                hint="Look in the Azure portal for Microsoft's notice, or name another provider; the key is good.",
                provider_code=exc.provider_code,
                provider_message=exc.provider_message,
            ) from exc
        except RequestError as exc:
            if (exc.provider_code or "").lower() != NO_DEPLOYMENT:
                raise
            raise InvalidRequest(
                f"The endpoint has no deployment {name!r}; nothing was charged.",
                field="options.deployment",
                allowed="the name of a deployment of your endpoint",
                hint="Deploy the model in the Azure portal, or name your deployment of it in options.deployment.",
                provider_code=exc.provider_code,
                provider_message=exc.provider_message,
            ) from exc
        return self.read(answer, call)

    def read(self, answer: Answer, call: Call) -> Accepted | Succeeded:
        """Return the pictures; a filter's refusal may come as a success."""
        return pictures_of(self._http, answer, call)

    async def poll(self, operation: Json, call: Follow) -> Pending | Succeeded | Failed:
        """Refuse: every picture comes with the answer to its submission."""
        del operation
        raise UnexpectedAnswer(f"{call.provider.title} has nothing that could be asked about.")

    async def check(self, call: Follow) -> Health:
        """Ask which models there are."""
        version = call.credentials.get(VERSION)
        path = "openai/models" if version else "openai/v1/models"
        asked = await self._http.request("GET", path, headers=_headers(call), params=_query(version), also=UNLISTED)
        return health_of(asked)


def _query(version: str | None) -> dict[str, str]:
    return {"api-version": version} if version else {}


def _headers(call: Follow) -> dict[str, str]:
    token = call.credentials.get(TOKEN)
    return {"Authorization": f"Bearer {token}"} if token else {"api-key": call.credentials[KEY]}


def create(http: ProviderHttp) -> AzureAdapter:
    """Return the adapter."""
    return AzureAdapter(http)
