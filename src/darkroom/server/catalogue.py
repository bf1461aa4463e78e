"""The contents of `darkroom://pricing/...`, `darkroom://models...`, `darkroom://providers` and `darkroom://usage/...`."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from mcp_types import Resource, ResourceTemplate

from darkroom.catalog.providers import Provider, normal
from darkroom.catalog.refused import explained
from darkroom.catalog.routing import Candidate
from darkroom.domain.names import did_you_mean
from darkroom.domain.request import clip
from darkroom.errors import DarkroomError, InvalidRequest, UnknownModel
from darkroom.server import money_views as views
from darkroom.server.context import LOCAL, Program
from darkroom.server.views import without_none
from darkroom.services.estimates import Listed
from darkroom.services.pricing import Priced

PAGE_BYTES = 16_000
"""A page of a long list ends with the entry that passes this; the whole stays below 20 kB."""
JSON = "application/json"
RESOURCES = tuple(
    Resource(uri=f"darkroom://{path}", name=path.replace("/", "_"), title=title, description=about, mime_type=JSON)
    for path, title, about in (
        ("pricing/summary", "Prices", "Common operations in dollars, credits and client prices, and every provider."),
        ("pricing/plans", "Plans", "Billing plans: credits, prices, what they leave at full use."),
        ("models", "Models", "Every model, what it makes, who offers it, and what is missing to use it."),
        ("providers", "Providers", "Every provider, whether it is configured, and the missing variables."),
    )
)
TEMPLATES = tuple(
    ResourceTemplate(uri_template=f"darkroom://{path}", name=name, title=title, description=about, mime_type=JSON)
    for path, name, title, about in (
        (
            "pricing/providers/{provider}{?after}",
            "provider_prices",
            "Prices of a provider",
            "Its offers with all their prices, in pages.",
        ),
        (
            "models/{model}{?after}",
            "model",
            "Model",
            "Limits, options and prices of a model at everyone who offers it.",
        ),
        ("models{?after}", "more_models", "More models", "The models after the one named."),
        ("usage/{month}", "usage", "Usage of a month", "What was spent in a month such as 2026-11, and on what."),
    )
)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Reads the catalogue for resources; every method may read files."""

    program: Program
    principal: str = LOCAL

    def handler(self, parts: Sequence[str], query: str) -> Callable[[], dict[str, Any]] | None:
        """Return what makes the content of a URI's path, or None when it is not of the catalogue."""
        after = unquote(query.removeprefix("after=")) if query.startswith("after=") else ""
        match list(parts):
            case ["pricing"] | ["pricing", "summary"]:
                return self.summary
            case ["pricing", "plans"]:
                return self.plans
            case ["pricing", "providers", name]:
                return lambda: self.prices(name, after)
            case ["models"]:
                return lambda: self.models(after)
            case ["models", *name]:
                return lambda: self.model("/".join(name), after)
            case ["providers"]:
                return self.providers
            case _:
                return None

    def summary(self) -> dict[str, Any]:
        """Return the ready table of common operations, and how many offers every provider has."""
        pricing, plans = self.program.pricing, self.program.plans.plans
        plan = self.program.plans.of(self.program.settings, self.principal)
        rows: list[tuple[str, Priced]] = []
        warnings = self.program.estimates.warnings()
        for name, piece in plans.common.items():
            try:
                rows.append((name, pricing.price(piece, pricing.choose(piece))))
            except DarkroomError as exc:
                warnings.append(f"{name}: {exc.message}")
        providers = [
            {
                "provider": provider.id,
                **self._counts(provider),
                "priced": sum(bool(offer.prices or offer.tokens) for offer in provider.offers),
                "prices": f"darkroom://pricing/providers/{provider.id}",
            }
            for provider in self.program.providers.values()
        ]
        view = {"plan": plan, "common": views.dollar_rows(plans, rows, plan), "warnings": warnings}
        return without_none({**view, "providers": providers, "plans": "darkroom://pricing/plans"})

    def _counts(self, provider: Provider) -> dict[str, int]:
        """Return how many offers a provider has that have not ended, and how many in all."""
        return {"offers_live": self.program.pricing.live(provider), "offers_all": len(provider.offers)}

    def plans(self) -> dict[str, Any]:
        """Return all plans."""
        return views.plans_view(self.program.plans.plans)

    def prices(self, name: str, after: str = "") -> dict[str, Any]:
        """Return a page of the offers of one provider by name, with all their prices.

        Raises:
            UnknownModel: If there is no such provider.
        """
        provider = self.program.providers.get(name)
        if provider is None:
            raise UnknownModel(f"There is no provider {name[:80]!r}.{did_you_mean(name, self.program.providers)}")
        rows = [row for row in self.program.estimates.listing() if row.candidate.provider.id == provider.id]
        rows.sort(key=lambda row: row.candidate.name)
        link = f"darkroom://pricing/providers/{provider.id}"
        told = ((row.candidate.name, views.prices_view(row.candidate, row.state, row.usual)) for row in rows)
        return {"provider": provider.id, "title": provider.title, **_page("offers", told, after, link)}

    def models(self, after: str) -> dict[str, Any]:
        """Return a page of the models by name."""
        rows: dict[str, list[Listed]] = {}
        for row in self.program.estimates.listing():
            rows.setdefault(row.candidate.offer.model, []).append(row)
        told = ((name, self._model(name, rows[name])) for name in sorted(rows))
        return _page("models", told, after, "darkroom://models")

    def _model(self, name: str, rows: Sequence[Listed]) -> dict[str, Any]:
        return {
            "model": name,
            "kind": rows[0].candidate.offer.kind.value,
            "operations": sorted({mode.value for row in rows for mode in row.candidate.offer.operations}),
            "offers": [
                without_none(
                    {
                        "provider": row.candidate.provider.id,
                        "state": row.state,
                        **views.usual_view(row.usual),
                    }
                )
                for row in rows
            ],
        }

    def model(self, name: str, after: str = "", most: int = PAGE_BYTES) -> dict[str, Any]:
        """Return a page about one model, named by id, alias, family or provider/model; ended offers too.

        Raises:
            UnknownModel: If nothing has that name.
        """
        wanted = normal(name.partition("/")[2] or name)
        provider = normal(name.partition("/")[0]) if "/" in name else None
        offers = self.program.pricing.offers(ended=True)
        rows = [item for item in offers if wanted in _names(item) and provider in (None, normal(item.provider.id))]
        if not rows:
            known = {item.offer.model for item in offers}
            error = UnknownModel(f"There is no model {name[:80]!r}.{did_you_mean(name, known)}")
            raise explained(error, self.program.providers, name)
        usual = {row.candidate.name: row for row in self.program.estimates.listing()}
        state = self.program.pricing.state
        found = [usual.get(item.name) or Listed(item, state(item), None) for item in rows]
        found.sort(key=lambda row: (normal(row.candidate.offer.model) != wanted, row.candidate.name))
        told = ((row.candidate.name, views.candidate_view(row.candidate, row.state, row.usual)) for row in found)
        return {"model": name, **_page("offers", told, after, f"darkroom://models/{name}", most)}

    def providers(self) -> dict[str, Any]:
        """Return every provider."""
        return {"providers": [self._provider(provider) for provider in self.program.providers.values()]}

    def _provider(self, provider: Provider) -> dict[str, Any]:
        states = [self.program.pricing.state(Candidate(provider, offer)) for offer in provider.offers]
        open_ = [state for state in states if not state.startswith("ended")]
        return without_none(
            {
                "provider": provider.id,
                "title": provider.title,
                "summary": provider.summary or None,
                "state": "ready" if "ready" in states else (open_ or states)[0],
                "kinds": sorted({offer.kind.value for offer in provider.offers}),
                **self._counts(provider),
                "docs": provider.docs,
                "credentials": [" and ".join(names) for names in provider.credentials],
            }
        )


def _page(
    key: str, entries: Iterable[tuple[str, dict[str, Any]]], after: str, link: str, most: int = PAGE_BYTES
) -> dict[str, Any]:
    """Return the entries that follow the one named `after`, until they are large, and a link to the rest."""
    shown: list[dict[str, Any]] = []
    size, last, begun = 0, "", not after
    for name, entry in entries:
        if not begun:
            begun = name == after
            continue
        length = len(json.dumps(entry, ensure_ascii=False, indent=1).encode())
        if shown and size + length > most:
            return {key: shown, "more": f"{link}?after={quote(last, safe='/')}"}
        shown.append(entry)
        size, last = size + length, name
    if not begun:
        raise InvalidRequest(f"The page begins after {clip(after)!r}, which is not in the list.", field="after")
    return {key: shown}


def _names(item: Candidate) -> set[str]:
    offer = item.offer
    return {normal(name) for name in (offer.model, offer.family or offer.model, *offer.aliases)}
