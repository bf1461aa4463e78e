"""`darkroom generate image|video`."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from darkroom.app import App
from darkroom.cli.console import EXIT_FAILED, EXIT_USAGE, err, fail, out, run
from darkroom.cli.following import LONGEST_S, follow
from darkroom.cli.run_options import DryRun
from darkroom.domain.job import State
from darkroom.domain.money import parse_usd
from darkroom.domain.request import ImageRequest, VideoRequest
from darkroom.errors import DarkroomError
from darkroom.server.tools.shared import build
from darkroom.server.views import error_text, job_view, proposal_view
from darkroom.services.caps import Terms
from darkroom.services.routes import Proposal

group = typer.Typer(no_args_is_help=True, help="Make a picture or a clip and wait for it.")

Prompt = Annotated[str, typer.Argument(help="What to make.")]
Model = Annotated[str | None, typer.Option(help="Model id or alias.")]
Provider = Annotated[str | None, typer.Option(help="Provider id; draft needs no key.")]
Ratio = Annotated[str | None, typer.Option("--aspect-ratio", "--ratio", help="16:9, square, portrait, landscape.")]
Images = Annotated[
    list[str] | None, typer.Option("--image", "-i", help="Path or output id, optionally role=… in front.")
]
Negative = Annotated[str | None, typer.Option("--negative-prompt", help="What not to show.")]
Seed = Annotated[int | None, typer.Option(help="Same seed, same draft.")]
Refine = Annotated[str | None, typer.Option(help="Job or output id to continue from.")]
Options = Annotated[list[str] | None, typer.Option("--option", "-o", help="Provider option as name=value.")]
MaxCost = Annotated[str | None, typer.Option("--max-cost", help="Most that it may cost, in US dollars; 0 = free only.")]
SaveAs = Annotated[str | None, typer.Option("--save-as", help="File or folder name for the result.")]
Again = Annotated[bool, typer.Option("--again", help="Force a new job where an equal one is under way or just done.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the job as JSON.")]


@group.command()
def image(
    prompt: Prompt,
    model: Model = None,
    provider: Provider = None,
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT in pixels.")] = None,
    aspect_ratio: Ratio = None,
    n: Annotated[int | None, typer.Option("-n", "--count", help="How many.")] = None,
    images: Images = None,
    quality: Annotated[str | None, typer.Option(help="low, medium, high or max.")] = None,
    negative_prompt: Negative = None,
    seed: Seed = None,
    refine: Refine = None,
    option: Options = None,
    max_cost: MaxCost = None,
    dry_run: DryRun = False,
    save_as: SaveAs = None,
    again: Again = False,
    as_json: AsJson = False,
) -> None:
    """Make or edit pictures."""
    fields = _fields(locals(), "model provider size aspect_ratio n images quality negative_prompt seed refine")
    _generate(ImageRequest, prompt, fields, option, _terms(max_cost, dry_run, save_as, again), as_json)


@group.command()
def video(
    prompt: Prompt,
    model: Model = None,
    provider: Provider = None,
    duration: Annotated[float | None, typer.Option(help="Seconds.")] = None,
    aspect_ratio: Ratio = None,
    resolution: Annotated[str | None, typer.Option(help="360p, 480p, 720p, 1080p, 4k.")] = None,
    audio: Annotated[bool | None, typer.Option(help="With or without sound.")] = None,
    images: Images = None,
    scene: Annotated[
        list[str] | None, typer.Option("--scene", help="One scene as JSON: {prompt, duration, image}.")
    ] = None,
    negative_prompt: Negative = None,
    seed: Seed = None,
    refine: Refine = None,
    option: Options = None,
    max_cost: MaxCost = None,
    dry_run: DryRun = False,
    save_as: SaveAs = None,
    again: Again = False,
    as_json: AsJson = False,
) -> None:
    """Make a clip from words, pictures or scenes."""
    fields = _fields(
        locals(), "model provider duration aspect_ratio resolution audio images negative_prompt seed refine"
    )
    if scene:
        fields["scenes"] = [_json(text, "--scene") for text in scene]
    _generate(VideoRequest, prompt, fields, option, _terms(max_cost, dry_run, save_as, again), as_json)


def _fields(given: dict[str, Any], names: str) -> dict[str, Any]:
    return {name: given[name] for name in names.split() if given[name] is not None}


def _json(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as exc:
        fail(f"{name} is not JSON: {exc}.", EXIT_USAGE)


def _options(pairs: Sequence[str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign:
            fail(f"--option {pair!r} has no '='; write name=value.", EXIT_USAGE)
        try:
            options[name] = json.loads(value)
        except json.JSONDecodeError:
            options[name] = value
    return options


def _terms(max_cost: str | None, dry_run: bool, save_as: str | None, again: bool) -> Terms:
    try:
        cap = None if max_cost is None else parse_usd(max_cost, "--max-cost")
    except DarkroomError as exc:
        fail(error_text(exc), EXIT_USAGE)
    return Terms(max_cost=cap, dry_run=dry_run, save_as=save_as, again=again)


def _generate(
    kind: type[ImageRequest] | type[VideoRequest],
    prompt: str,
    fields: dict[str, Any],
    pairs: Sequence[str] | None,
    terms: Terms,
    as_json: bool,
) -> None:
    async def work(app: App) -> None:
        request = build(kind, {"prompt": prompt, "options": _options(pairs or ()), **fields})
        started = await app.generation.start(request, terms)
        if isinstance(started, Proposal):
            _show(proposal_view(started), as_json)
            return
        if not started.created:
            err.print("An equal job is under way or just done; this is it (--again forces a new one).", style="yellow")
        job = await follow(app, started.job, LONGEST_S)
        _show(job_view(job, plans=app.plans.plans, now=app.clock.now()), as_json)
        if job.state is not State.SUCCEEDED:
            raise SystemExit(EXIT_FAILED)

    run(work, advance=True)


def _show(view: dict[str, Any], as_json: bool) -> None:
    if as_json:
        out.print_json(data=view)
        return
    for output in view.get("outputs", []):
        out.print(output["path"], markup=False)
    for warning in view.get("warnings", []):
        err.print(f"note: {warning}", style="yellow", markup=False)
    if "message" in view:
        err.print(view["message"], style="dim", markup=False)
    if "error" in view:
        err.print(f"{view['error']['message']}", style="red", markup=False)
    err.print(f"{view.get('job_id', '')} {view['status']}: {view['next']}".strip(), style="dim", markup=False)
