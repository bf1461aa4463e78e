"""What the two wire formats have in common: one HTTP call a request, and answers read tolerantly."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import (
    FinishReason,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponsePart,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from darkroom.errors import UnexpectedAnswer
from darkroom.llm.limits import ANSWER_TOKENS, CALL_S, rough_tokens
from darkroom.net.answer import Answer
from darkroom.net.provider import ProviderHttp
from darkroom.services.chat_models import ChatChoice

Json = dict[str, Any]
ESTIMATED = "estimated"
"""The detail of an answer whose tokens nobody told."""
TOLD_COST = "cost_micro_usd"
"""The detail of an answer whose price the provider told."""


class WireModel(Model[Any]):
    """A language model of a provider, spoken to through `net`; it never tries twice."""

    def __init__(self, http: ProviderHttp, choice: ChatChoice, credential: Mapping[str, str]) -> None:
        super().__init__(profile={"supports_inline_system_prompts": False})
        self._http = http
        self._choice = choice
        self._headers = self.headers(credential)
        self._name = choice.model

    @property
    def model_name(self) -> str:
        """Its name on the wire."""
        return self._name

    @property
    def system(self) -> str:
        """Whose model it is."""
        return self._choice.provider.id

    @staticmethod
    @abstractmethod
    def headers(credential: Mapping[str, str]) -> dict[str, str]:
        """Return the headers that carry the credential."""
        ...

    @abstractmethod
    def body(self, messages: Sequence[ModelMessage], params: ModelRequestParameters, max_tokens: int) -> Json:
        """Return what is sent."""
        ...

    @abstractmethod
    def read(self, answer: Answer, data: Json, messages: Sequence[ModelMessage]) -> ModelResponse:
        """Return what came.

        Raises:
            UnexpectedAnswer: If it has none of the known shapes.
            ProviderError: If it is an error though its status says success.
        """
        ...

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Make exactly one HTTP call and return the answer.

        Raises:
            DarkroomError: As `ProviderHttp.submit` and `read` do.
        """
        settings, params = self.prepare_request(model_settings, model_request_parameters)
        await self.prepare()
        body = self.body(messages, params, int((settings or {}).get("max_tokens", ANSWER_TOKENS)))
        answer = await self._http.submit(
            "POST", self._choice.chat.path, timeout_s=CALL_S, headers=self._headers, json=body
        )
        data = answer.json()
        if not isinstance(data, dict):
            raise UnexpectedAnswer(f"{self._choice.provider.title} answered with something that is no object.")
        return self.read(answer, cast("Json", data), messages)

    async def prepare(self) -> None:
        """Find out what has to be known before the call; nothing as a rule."""

    def response(
        self,
        parts: list[ModelResponsePart],
        usage: tuple[int | None, int | None],
        messages: Sequence[ModelMessage],
        *,
        finish: FinishReason | None,
        details: Json | None = None,
        answer_id: object = None,
    ) -> ModelResponse:
        """Return an answer in the library's form; tokens that nobody told are estimated, and marked so."""
        told = dict(details or {})
        given, made = usage
        if given is None or made is None:
            told[ESTIMATED] = True
            made = rough_tokens("".join(texts_of(parts)))
            given = sum(rough_tokens(text) for message in messages for text in texts_of(message.parts))
        return ModelResponse(
            parts=parts,
            usage=RequestUsage(input_tokens=given, output_tokens=made),
            model_name=self.model_name,
            provider_name=self.system,
            provider_details=told or None,
            provider_response_id=answer_id if isinstance(answer_id, str) else None,
            finish_reason=finish,
        )


def texts_of(parts: Iterable[Any]) -> list[str]:
    """Return all words of these parts, for counting."""
    found: list[str] = []
    for part in parts:
        if isinstance(part, ToolCallPart):
            found.append(part.tool_name + part.args_as_json_str())
        elif isinstance(part, ToolReturnPart):
            found.append(part.model_response_str())
        else:
            content: object = getattr(part, "content", "")
            found.append(content if isinstance(content, str) else str(content))
    return found


def words_of(part: SystemPromptPart | UserPromptPart | TextPart) -> str:
    """Return the words of a part; a prompt may be a list of pieces.

    Raises:
        UserError: If a piece is no text: nothing here puts one in.
    """
    if isinstance(part.content, str):
        return part.content
    if not all(isinstance(piece, str) for piece in part.content):
        raise UserError("Only words can be sent to this model.")
    return "\n".join(cast("Sequence[str]", part.content))


def request_parts(message: ModelRequest) -> list[SystemPromptPart | UserPromptPart | ToolReturnPart]:
    """Return the parts of a request that are sent: tool results first, as all providers want them.

    Raises:
        UserError: If there is one of another kind: the library prepares requests so that there is none.
    """
    found: list[SystemPromptPart | UserPromptPart | ToolReturnPart] = []
    for part in message.parts:
        if not isinstance(part, SystemPromptPart | UserPromptPart | ToolReturnPart):
            raise UserError(f"A part {part.part_kind!r} cannot be sent to this model.")
        found.append(part)
    return sorted(found, key=lambda part: not isinstance(part, ToolReturnPart))


def instructions_of(params: ModelRequestParameters) -> str:
    """Return what the library itself wants the model to be told."""
    return "\n\n".join(part.content for part in params.instruction_parts or ())


def fresh_ids(wanted: Sequence[object], messages: Sequence[ModelMessage]) -> list[str]:
    """Return an id for each tool call: the provider's own, unless it is missing or was there before."""
    responses = [message for message in messages if isinstance(message, ModelResponse)]
    taken = {part.tool_call_id for message in responses for part in message.parts if isinstance(part, ToolCallPart)}
    found: list[str] = []
    for index, item in enumerate(wanted):
        own = item if isinstance(item, str) and item and item not in taken else f"call_{len(responses) + 1}_{index}"
        taken.add(own)
        found.append(own)
    return found


def arguments(value: object) -> str | Json:
    """Return the arguments of a tool call, which may come as text or as data; nothing means none."""
    if isinstance(value, dict):
        return cast("Json", value)
    return value if isinstance(value, str) and value.strip() else "{}"


def count(value: object) -> int | None:
    """Return a number of tokens, or None for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
