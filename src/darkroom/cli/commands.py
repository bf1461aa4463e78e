"""All command groups, as one typer application."""

from typing import Annotated

import typer

from darkroom import __version__
from darkroom.cli import (
    agent,
    db,
    doctor,
    generate,
    install,
    jobs,
    models,
    money,
    session,
    skills,
    token,
    worker,
    workflow,
)
from darkroom.cli.console import out

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Images and videos for any MCP client; jobs that are never lost and never paid for twice.",
)
cli.add_typer(generate.group, name="generate")
cli.add_typer(jobs.group, name="jobs")
cli.command()(jobs.check)
cli.command()(jobs.cancel)
cli.command()(money.estimate)
cli.command()(money.usage)
cli.command()(models.models)
cli.command()(models.providers)
cli.command()(skills.skills)
cli.add_typer(skills.group, name="skill")
cli.command()(skills.agents)
cli.add_typer(agent.group, name="agent")
cli.add_typer(session.group, name="session")
cli.add_typer(workflow.group, name="workflow")
cli.add_typer(token.group, name="token")
cli.add_typer(db.group, name="db")
cli.command()(install.install)
cli.command()(doctor.doctor)
cli.command(hidden=True)(worker.worker)


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"darkroom {__version__}")
        raise typer.Exit


@cli.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Images and videos for any MCP client; jobs that are never lost and never paid for twice."""


def _level(value: str) -> str:
    if value.upper() not in LEVELS:
        raise typer.BadParameter(f"{value!r} is none of {', '.join(LEVELS)}.")
    return value.upper()


@cli.command()
def serve(
    http: Annotated[bool, typer.Option("--http", help="Serve over HTTP, at /mcp.")] = False,
    host: Annotated[str, typer.Option(help="Where to listen; another than this machine needs tokens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8765,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that share the work.")] = 1,
    log_json: Annotated[bool, typer.Option("--log-json", help="Log JSON lines to stderr.")] = False,
    log_level: Annotated[
        str, typer.Option("--log-level", callback=_level, help="DEBUG, INFO, WARNING or ERROR.")
    ] = "WARNING",
) -> None:
    """Run the MCP server: on stdin and stdout, as hosts start it, or over HTTP."""
    if http:
        from darkroom.cli.serve_http import serve_http

        serve_http(host=host, port=port, workers=workers, log_json=log_json, log_level=log_level)
        return
    from darkroom.cli.serve import serve as run_server

    run_server(log_json=log_json, log_level=log_level)
