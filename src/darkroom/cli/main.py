"""The `darkroom` command."""

import sys


def main() -> None:
    """Run the command line; `serve` alone starts without loading anything that only people need."""
    if sys.argv[1:] == ["serve"]:
        from darkroom.collecting import staying

        with staying():
            from darkroom.cli.serve import serve
        serve()
        return
    from darkroom.cli.commands import cli

    cli(prog_name="darkroom")
