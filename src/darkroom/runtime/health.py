"""How providers fare, from the calls that are made anyway: who failed again and again is left alone for a while."""

from dataclasses import dataclass, field

from darkroom.clock import Clock
from darkroom.errors import AuthFailed, DarkroomError, InsufficientCredits, Overloaded, ProviderFailed, SubmitUnknown

FAILURES = 3
"""In a row, until a provider is left alone."""
PAUSE_S = (60.0, 900.0)
"""First and longest time that it is left alone."""
ACCOUNT_S = 300.0
"""How long after a refused key or an empty account."""


@dataclass(slots=True)
class _Record:
    failures: int = 0
    until: float = 0.0
    why: str = ""


@dataclass(slots=True)
class Health:
    """What this process saw of every provider."""

    clock: Clock
    _seen: dict[str, _Record] = field(default_factory=dict[str, _Record])

    def well(self, provider: str) -> None:
        """Note a call that was answered."""
        self._seen.pop(provider, None)

    def ill(self, provider: str, error: DarkroomError) -> None:
        """Note a failure that is the provider's or the account's, not the request's."""
        record = self._seen.setdefault(provider, _Record())
        if isinstance(error, AuthFailed | InsufficientCredits):
            record.until, record.why = self.clock.boot() + ACCOUNT_S, error.code
        elif isinstance(error, Overloaded | ProviderFailed | SubmitUnknown):
            record.failures += 1
            if record.failures >= FAILURES:
                first, longest = PAUSE_S
                pause = min(first * 2 ** (record.failures - FAILURES), longest)
                record.until, record.why = self.clock.boot() + pause, error.code

    def resting(self) -> dict[str, str]:
        """Return the providers to leave alone for now, with the code of what they did."""
        now = self.clock.boot()
        return {name: record.why for name, record in self._seen.items() if record.until > now}
