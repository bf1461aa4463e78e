"""Starts darkroom processes for the proofs within milliseconds: everything is imported once, then forked.

Speaks lines on stdin and stdout: `start <pickled Config in base64>` answers with a process id, `wait <pid>` with how
that process ended: its exit code, or minus the signal.
"""

import base64
import os
import pickle
import sys
import traceback

import PIL.Image
import PIL.PngImagePlugin
import tenacity

import darkroom.adapters.fal
import darkroom.adapters.google
import darkroom.adapters.kling
import darkroom.adapters.vertex
import darkroom.adapters.xai
from darkroom.catalog.providers import Provider
from darkroom.domain.job import Event, Job, LedgerRow, Ref, Submission
from darkroom.domain.output import Output
from darkroom.domain.request import Effective, ImageRequest, MediaInput, VideoRequest
from proof.driver import main

PRELOADED = (
    PIL.Image,
    PIL.PngImagePlugin,
    tenacity,
    darkroom.adapters.fal,
    darkroom.adapters.google,
    darkroom.adapters.kling,
    darkroom.adapters.vertex,
    darkroom.adapters.xai,
)
MODELS = (Effective, Event, ImageRequest, Job, LedgerRow, MediaInput, Output, Provider, Ref, Submission, VideoRequest)
"""What is built on first use, which would take longer than many a life here."""


def _start(text: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        main(pickle.loads(base64.b64decode(text)))
        code = 0
    except BaseException:  # because the parent's loop must never run in a child
        traceback.print_exc()
    finally:
        os._exit(code)


def _wait(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    for model in MODELS:
        model.model_rebuild()
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        sys.stdout.write(f"{_start(rest) if word == 'start' else _wait(int(rest))}\n")
        sys.stdout.flush()
