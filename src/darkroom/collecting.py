"""Garbage collection, kept out of a server's way."""

import gc
from collections.abc import Generator
from contextlib import contextmanager

SELDOM = (5_000, 20, 10)
"""After how many new objects the young are looked through, and after how many such turns the older and all.

By Python's own numbers half of a server's time goes into looking through millions of objects, a second each time, while
ten thousand calls wait.
"""


@contextmanager
def staying() -> Generator[None]:
    """Load what a server keeps until its end: it is looked through neither now nor later, and the rest seldom."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(*SELDOM)
        gc.enable()


def forget(error: BaseException) -> None:
    """Let go of the functions that an answered error went through, and of what they hold, such as a large picture."""
    left, seen = [error], set[int]()
    while left:
        one = left.pop()
        if id(one) not in seen:  # a chain may lead back to where it began
            seen.add(id(one))
            one.__traceback__ = None
            left += [other for other in (one.__cause__, one.__context__) if other is not None]
