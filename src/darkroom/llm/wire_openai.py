"""OpenAI's chat format, as OpenAI, xAI, Google and servers of the user's own speak it."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

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
)
from pydantic_ai.models import ModelRequestParameters

from darkroom.domain.money import to_micro
from darkroom.errors import NotConfigured, UnexpectedAnswer
from darkroom.llm.wire import (
    TOLD_COST,
    Json,
    WireModel,
    arguments,
    count,
    fresh_ids,
    instructions_of,
    request_parts,
    words_of,
)
from darkroom.net.answer import Answer
from darkroom.net.classify import Told
from darkroom.services.chat_models import ANY, OPEN

EXTRA = "extra_content"
"""What Google sends with a tool call and wants back unchanged."""
FINISH: Mapping[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "tool_calls": "tool_call",
    "function_call": "tool_call",
}
TICKS = Decimal(10) ** 10
"""xAI's unit of cost in a dollar."""


class OpenAIModel(WireModel):
    """A model behind `chat/completions`."""

    @staticmethod
    def headers(credential: Mapping[str, str]) -> dict[str, str]:
        """Return the bearer token; nothing for a server without a key."""
        key = next(iter(credential.values()), None)
        return {} if key is None else {"Authorization": f"Bearer {key}"}

    async def prepare(self) -> None:
        """Ask a server of the user's own which model it has, where none was named.

        Raises:
            NotConfigured: If it has none, or several.
        """
        if self._name != ANY or self.system != OPEN:
            return
        path = self._choice.chat.path.removesuffix("chat/completions") + "models"
        answer = await self._http.request("GET", path, headers=self._headers)
        data: object = answer.json()
        rows: object = cast("Json", data).get("data") if isinstance(data, dict) else None
        entries = cast("list[Any]", rows) if isinstance(rows, list) else []
        names = [str(cast("Json", row)["id"]) for row in entries if isinstance(row, dict) and "id" in row]
        if len(names) != 1:
            some = f" It has {len(names)}, such as {', '.join(names[:5])}." if names else ""
            raise NotConfigured(
                f"The server does not tell by itself which language model to use.{some}",
                field="DARKROOM_AGENT_MODEL",
                hint=f"Nothing was sent. Set DARKROOM_AGENT_MODEL={OPEN}/<name of the model>.",
            )
        self._name = names[0]

    def body(self, messages: Sequence[ModelMessage], params: ModelRequestParameters, max_tokens: int) -> Json:
        """Return the body with what all servers know, and nothing more."""
        tools = [*params.function_tools, *params.output_tools]
        rows: list[Json] = []
        for message in messages:
            rows += _asked(message) if isinstance(message, ModelRequest) else _answered(message)
        if said := instructions_of(params):
            rows.insert(0, {"role": "system", "content": said})
        body: Json = {"model": self.model_name, "messages": rows, self._choice.chat.limit: max_tokens}
        if tools:
            body["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": tool.name,
                        "description": tool.description or "",
                        "parameters": tool.parameters_json_schema,
                    },
                }
                for tool in tools
            ]
        return body

    def read(self, answer: Answer, data: Json, messages: Sequence[ModelMessage]) -> ModelResponse:
        """Return the first choice; see the base."""
        choices: object = data.get("choices")
        first: object = cast("list[Any]", choices)[0] if isinstance(choices, list) and choices else None
        choice: Json = cast("Json", first) if isinstance(first, dict) else {}
        trouble: object = data.get("error") or choice.get("error")
        if trouble:
            raise self._http.failure(answer, _told(trouble), submitting=True)
        message: object = choice.get("message")
        if not isinstance(message, dict):
            raise UnexpectedAnswer(f"{self._choice.provider.title} answered without a message.")
        said = cast("Json", message)
        parts: list[ModelResponsePart] = []
        if (text := _text(said.get("content"))).strip():
            parts.append(TextPart(text))
        parts += self._calls(said.get("tool_calls"), messages)
        finish = FINISH.get(str(choice.get("finish_reason")))
        if any(isinstance(part, ToolCallPart) for part in parts):
            finish = "tool_call"
        details: Json = {}
        refusal = said.get("refusal")
        if isinstance(refusal, str) and refusal:
            finish, details["refusal"] = "content_filter", refusal
        usage, cost = self._usage(data.get("usage"))
        if cost is not None:
            details[TOLD_COST] = cost
        return self.response(parts, usage, messages, finish=finish, details=details, answer_id=data.get("id"))

    def _calls(self, found: object, messages: Sequence[ModelMessage]) -> list[ToolCallPart]:
        rows = [cast("Json", row) for row in cast("list[Any]", found or []) if isinstance(row, dict)]
        calls = [(row, cast("Json", row["function"])) for row in rows if isinstance(row.get("function"), dict)]
        ids = fresh_ids([row.get("id") for row, _ in calls], messages)
        return [
            ToolCallPart(
                str(function.get("name") or "unnamed"),
                arguments(function.get("arguments")),
                tool_call_id=call_id,
                provider_name=self.system if EXTRA in row else None,
                provider_details={EXTRA: row[EXTRA]} if EXTRA in row else None,
            )
            for (row, function), call_id in zip(calls, ids, strict=True)
        ]

    def _usage(self, found: object) -> tuple[tuple[int | None, int | None], int | None]:
        """Return tokens in and out, and what it cost in micro-dollars where the provider says that."""
        usage: Json = cast("Json", found) if isinstance(found, dict) else {}
        given, made, total = (count(usage.get(f"{name}_tokens")) for name in ("prompt", "completion", "total"))
        if given is not None and made is not None and total is not None:
            made = max(made, total - given)  # some leave what was thought out of the one and not of the other
        ticks, cost = count(usage.get("cost_in_usd_ticks")), usage.get("cost")
        if ticks is not None:
            return (given, made), to_micro(Decimal(ticks) / TICKS)
        if self.system == OPEN and isinstance(cost, int | float) and not isinstance(cost, bool) and cost >= 0:
            return (given, made), to_micro(Decimal(str(cost)))
        return (given, made), None


def _asked(message: ModelRequest) -> list[Json]:
    rows: list[Json] = []
    for part in request_parts(message):
        if isinstance(part, ToolReturnPart):
            rows.append({"role": "tool", "tool_call_id": part.tool_call_id, "content": part.model_response_str()})
        else:
            role = "system" if isinstance(part, SystemPromptPart) else "user"
            rows.append({"role": role, "content": words_of(part)})
    return rows


def _answered(message: ModelResponse) -> list[Json]:
    """Return an earlier answer; an empty one is left out, since some servers refuse it."""
    text = "".join(part.content for part in message.parts if isinstance(part, TextPart))
    calls = [_call(part) for part in message.parts if isinstance(part, ToolCallPart)]
    if not text and not calls:
        return []
    row: Json = {"role": "assistant", "content": text or None}
    return [row | ({"tool_calls": calls} if calls else {})]


def _call(part: ToolCallPart) -> Json:
    function = {"name": part.tool_name, "arguments": part.args_as_json_str()}
    row: Json = {"id": part.tool_call_id, "type": "function", "function": function}
    extra = (part.provider_details or {}).get(EXTRA)
    return row | ({EXTRA: extra} if extra is not None else {})


def _text(content: object) -> str:
    """Return the words of an answer, which may come in pieces."""
    if isinstance(content, str):
        return content
    pieces = cast("list[Any]", content) if isinstance(content, list) else []
    return "".join(str(cast("Json", piece).get("text") or "") for piece in pieces if isinstance(piece, dict))


def _told(trouble: object) -> Told:
    """Return what an error within an answer of success says."""
    if not isinstance(trouble, dict):
        return Told(message=str(trouble))
    error = cast("Json", trouble)
    code, kind, message = error.get("code"), error.get("type"), error.get("message")
    status = code if isinstance(code, int) and 400 <= code < 600 else None
    codes = tuple(str(item) for item in (code, kind) if isinstance(item, str | int))
    return Told(codes, message if isinstance(message, str) else json.dumps(error)[:500], status)
