"""One request being fitted to an offer: what had to change, and how a refusal is said."""

from dataclasses import dataclass, field

from darkroom.catalog.providers import Offer
from darkroom.domain.request import ImageRequest, VideoRequest
from darkroom.errors import InvalidRequest

NOTHING_STORED = "Nothing was stored or sent."


@dataclass(slots=True)
class Fitting:
    """One request being fitted; collects what had to change."""

    request: ImageRequest | VideoRequest
    offer: Offer
    warnings: list[str] = field(default_factory=list[str])

    def snap(self, what: str, asked: object, used: object, allowed: str) -> None:
        """Note a value moved to the nearest that the offer has, or refuse it when the caller wants it exact."""
        if self.request.exact:
            raise self.refuse(f"{self.offer.model} has no {what} {asked}.", what, allowed)
        self.warnings.append(f"{what} {asked} became {used}, the nearest that {self.offer.model} has.")

    def refuse(self, message: str, field_name: str, allowed: str) -> InvalidRequest:
        """Return the refusal of a value that is out of the offer's range."""
        return InvalidRequest(
            message,
            field=field_name,
            allowed=allowed,
            hint=f"{NOTHING_STORED} Change {field_name}, or name another model.",
        )
