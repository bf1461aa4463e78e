"""One request being fitted to an offer: what had to change, and how a refusal is said."""

from collections.abc import Collection
from dataclasses import dataclass, field

from darkroom.catalog.providers import Offer
from darkroom.domain.kinds import Role
from darkroom.domain.request import ImageRequest, VideoRequest
from darkroom.errors import InvalidRequest

NOTHING_STORED = "Nothing was stored or sent."


@dataclass(slots=True)
class Fitting:
    """One request being fitted; collects what had to change."""

    request: ImageRequest | VideoRequest
    offer: Offer
    warnings: list[str] = field(default_factory=list[str])
    narrowed: dict[str, Role] = field(default_factory=dict[str, Role])
    """Arguments that the offer takes less of, with the role that is why."""

    def narrow(self, roles: Collection[Role]) -> None:
        """Leave of the offer what it makes of inputs in these roles."""
        for role, less in self.offer.given.items():
            if role not in roles:
                continue
            size, duration = less.of_size(self.offer.size), self.offer.duration
            duration = duration and less.of_duration(duration)
            self.narrowed |= {"resolution": role} if size != self.offer.size else {}
            self.narrowed |= {"duration": role} if duration != self.offer.duration else {}
            self.offer = self.offer.model_copy(update={"size": size, "duration": duration})

    def snap(self, what: str, asked: object, used: object, allowed: str) -> None:
        """Note a value moved to the nearest that the offer has, or refuse it when the caller wants it exact."""
        if self.request.exact:
            raise self.refuse(f"{self.offer.model} has no {what} {asked}.", what, allowed)
        self.warnings.append(f"{what} {asked} became {used}, the nearest that {self.offer.model} has.")

    def refuse(self, message: str, field_name: str, allowed: str) -> InvalidRequest:
        """Return the refusal of a value that is out of the offer's range."""
        role = self.narrowed.get(field_name)
        other = f", leave out the {role}" if role else ""
        return InvalidRequest(
            message if role is None else f"With a {role}, {message}",
            field=field_name,
            allowed=allowed,
            hint=f"{NOTHING_STORED} Change {field_name}{other}, or name another model.",
        )
