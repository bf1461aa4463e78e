"""The next calls of a brief as commands of the terminal, from the same data."""

import json
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any, cast

_FLAGS = {"aspect_ratio": "--ratio", "n": "--count", "wait": "--wait", "images": "-i"}
"""Arguments whose option is not their own name."""
_SAID = (
    (r"run_agent\(task, agent=<candidate>\)", "darkroom agent run TASK --agent CANDIDATE"),
    (r"run_agent\(task=<the same in English>\)", "darkroom agents WORDS (the same in English)"),
    (r"generate_(image|video)\(prompt=\.\.\.\)", r"darkroom generate \1 PROMPT"),
    (r"estimate_credits\(operation='image' or 'video'\)", "darkroom estimate image (or video)"),
    (r"do not call generate_(image|video)\b", r"no darkroom generate \1"),
    (r"from check_job\b", "from darkroom jobs"),
)
"""What the fixed sentences of a brief say of tools, and the command that does the same."""
AGAIN = "# no command starts a job again by its id: repeat its darkroom generate with --again"


def command_of(call: Mapping[str, Any]) -> str:
    """Return the command that does what a call does; what is open stands in <>, which no shell lets pass."""
    arguments = dict(call["arguments"])
    return _COMMANDS[call["tool"]](arguments, set(call.get("missing", ())) - set(arguments))


def as_terminal(brief: Mapping[str, Any]) -> dict[str, Any]:
    """Return a brief whose own sentences name commands; what agents and users wrote stays as it is."""
    calls = [{**call, "why": _said(call["why"])} for call in brief.get("next_calls", ())]
    said = {**brief, "method": [_said(step) for step in brief["method"]], "next_calls": calls}
    refused = brief.get("constraints", {}).get("refused")
    if refused is not None:
        said["constraints"] = {**brief["constraints"], "refused": [_said(one) for one in refused]}
    return said


def _said(text: str) -> str:
    for tool, command in _SAID:
        text = re.sub(tool, command, text)
    return text


def _generate(kind: str) -> Callable[[dict[str, Any], set[str]], str]:
    def command(arguments: dict[str, Any], missing: set[str]) -> str:
        several = arguments.pop("n", 1) if kind == "video" else 1
        prompt = "<prompt>" if "prompt" in missing else shlex.quote(arguments.pop("prompt"))
        note = f"  # {several} times, each with --again" if several > 1 else ""
        return f"darkroom generate {kind} {prompt}{_options(arguments)}{note}"

    return command


def _estimate(arguments: dict[str, Any], _: set[str]) -> str:
    operation = arguments.pop("operation")
    if operation == "spent":
        return f"darkroom usage{_options(arguments)}"
    usage = "".join(f" {name}={count}" for name, count in arguments.pop("usage", {}).items())
    count = f" -n {arguments.pop('n')}" if "n" in arguments else ""
    return f"darkroom estimate {operation}{usage}{count}{_options(arguments)}"


def _check(arguments: dict[str, Any], _: set[str]) -> str:
    name = arguments.pop("job_id", None)
    return f"darkroom check {name}{_options(arguments)}" if name else f"darkroom jobs{_options(arguments)}"


def _cancel(arguments: dict[str, Any], _: set[str]) -> str:
    return f"darkroom cancel {arguments.get('job_id', '<job_id>')}"


def _retry(arguments: dict[str, Any], _: set[str]) -> str:
    return f"darkroom check {arguments.get('job_id', '<job_id>')}  {AGAIN}"


def _run_agent(arguments: dict[str, Any], missing: set[str]) -> str:
    if arguments.get("agent") == "?":
        return "darkroom agents"
    task, flow = shlex.quote(arguments.pop("task")), arguments.pop("workflow", None)
    if "session_id" in arguments:
        arguments["session"] = arguments.pop("session_id")
    known = " -c <key>=<value>" if "context" in missing else ""
    return f"darkroom {f'workflow run {flow}' if flow else 'agent run'} {task}{_options(arguments)}{known}"


def _skill(arguments: dict[str, Any], _: set[str]) -> str:
    name = arguments["skill"]
    if name == "?":
        return "darkroom skills"
    asked = dict(arguments.get("brainstorm", {}))
    task = asked.pop("task_type", None)
    told = {**arguments.get("context", {}), **asked}
    known = "".join(f" --with {shlex.quote(f'{key}={_text(value)}')}" for key, value in told.items())
    request = f" {shlex.quote(arguments['input'])}" if "input" in arguments else ""
    return f"darkroom skill invoke {name}{request}{f' --brainstorm {task}' if task else ''}{known}"


def _options(arguments: Mapping[str, Any]) -> str:
    said = ""
    for name, value in arguments.items():
        flag = _FLAGS.get(name, f"--{name.replace('_', '-')}")
        several = cast("list[object]", value if isinstance(value, list) else [value])
        if isinstance(value, bool):
            said += f" {flag if value else flag.replace('--', '--no-', 1)}"
        else:
            said += "".join(f" {flag} {shlex.quote(_text(one))}" for one in several)
    return said


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


_COMMANDS: Mapping[str, Callable[[dict[str, Any], set[str]], str]] = {
    "generate_image": _generate("image"),
    "generate_video": _generate("video"),
    "estimate_credits": _estimate,
    "check_job": _check,
    "cancel_job": _cancel,
    "retry_job": _retry,
    "run_agent": _run_agent,
    "invoke_skill": _skill,
}
