"""The `darkroom` command."""

import gc
import sys


def main() -> None:
    """Run the command line; `serve` alone starts without loading anything that only people need."""
    if sys.argv[1:] == ["serve"]:
        gc.disable()  # whatever is loaded now stays, and is not to be looked through again and again
        from darkroom.cli.serve import serve

        gc.freeze()
        gc.enable()
        serve()
        return
    from darkroom.cli.commands import cli

    cli(prog_name="darkroom")
