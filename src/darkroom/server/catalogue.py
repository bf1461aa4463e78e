"""The contents of `darkroom://pricing/...`, `darkroom://models...`, `darkroom://providers` and `darkroom://usage/...`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mcp_types import Resource, ResourceTemplate

from darkroom.catalog.providers import Provider, normal
from darkroom.catalog.routing import Candidate
from darkroom.domain.money import json_usd
from darkroom.domain.names import did_you_mean
from darkroom.errors import UnknownModel
from darkroom.server import money_views as views
from darkroom.server.context import Program
from darkroom.server.views import without_none
from darkroom.services.estimates import Listed

PAGE = 60
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
            "pricing/providers/{provider}",
            "provider_prices",
            "Prices of a provider",
            "Its offers with all their prices.",
        ),
        ("models/{model}", "model", "Model", "Limits, options and prices of a model at everyone who offers it."),
        ("models{?after}", "more_models", "More models", "The models after the one named."),
        ("usage/{month}", "usage", "Usage of a month", "What was spent in a month such as 2026-11, and on what."),
    )
)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Reads the catalogue for resources; every method may read files."""

    program: Program

    def handler(self, parts: Sequence[str], query: str) -> Callable[[], dict[str, Any]] | None:
        """Return what makes the content of a URI's path, or None when it is not of the catalogue."""
        match list(parts):
            case ["pricing"] | ["pricing", "summary"]:
                return self.summary
            case ["pricing", "plans"]:
                return self.plans
            case ["pricing", "providers", name]:
                return lambda: self.prices(name)
            case ["models"]:
                return lambda: self.models(query.removeprefix("after=") if query.startswith("after=") else "")
            case ["models", *name]:
                return lambda: self.model("/".join(name))
            case ["providers"]:
                return self.providers
            case _:
                return None

    def summary(self) -> dict[str, Any]:
        """Return the ready table of common operations, and how many offers every provider has."""
        pricing, plans = self.program.pricing, self.program.plans.plans
        plan = self.program.settings.plan_of("local")
        rows = [(name, pricing.price(piece, pricing.choose(piece))) for name, piece in plans.common.items()]
        return {
            "plan": plan,
            "common": views.dollar_rows(plans, rows, plan),
            "providers": [
                {
                    "provider": provider.id,
                    "offers": len(provider.offers),
                    "priced": sum(bool(offer.prices or offer.tokens) for offer in provider.offers),
                    "prices": f"darkroom://pricing/providers/{provider.id}",
                }
                for provider in self.program.providers.values()
            ],
            "plans": "darkroom://pricing/plans",
        }

    def plans(self) -> dict[str, Any]:
        """Return all plans."""
        return views.plans_view(self.program.plans.plans)

    def prices(self, name: str) -> dict[str, Any]:
        """Return the offers of one provider with all their prices.

        Raises:
            UnknownModel: If there is no such provider.
        """
        provider = self.program.providers.get(name)
        if provider is None:
            raise UnknownModel(f"There is no provider {name[:80]!r}.{did_you_mean(name, self.program.providers)}")
        rows = [row for row in self.program.estimates.listing() if row.candidate.provider.id == provider.id]
        return {"provider": provider.id, "title": provider.title, "offers": [self._whole(row) for row in rows]}

    def models(self, after: str) -> dict[str, Any]:
        """Return a page of the models by name."""
        rows: dict[str, list[Listed]] = {}
        for row in self.program.estimates.listing():
            rows.setdefault(row.candidate.offer.model, []).append(row)
        names = sorted(name for name in rows if name > after)
        page: dict[str, Any] = {"models": [self._model(name, rows[name]) for name in names[:PAGE]]}
        if len(names) > PAGE:
            page["more"] = f"darkroom://models?after={names[PAGE - 1]}"
        return page

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
                        "usual_usd": None if row.usual is None else json_usd(row.usual.likely),
                    }
                )
                for row in rows
            ],
        }

    def model(self, name: str) -> dict[str, Any]:
        """Return everything about one model, named by id, alias, family or provider/model; ended offers too.

        Raises:
            UnknownModel: If nothing has that name.
        """
        wanted = normal(name.partition("/")[2] or name)
        provider = normal(name.partition("/")[0]) if "/" in name else None
        offers = self.program.pricing.offers(ended=True)
        rows = [item for item in offers if wanted in _names(item) and provider in (None, normal(item.provider.id))]
        if not rows:
            known = {item.offer.model for item in offers}
            raise UnknownModel(f"There is no model {name[:80]!r}.{did_you_mean(name, known)}")
        usual = {row.candidate.name: row for row in self.program.estimates.listing()}
        state = self.program.pricing.state
        return {
            "model": name,
            "offers": [self._whole(usual.get(item.name) or Listed(item, state(item), None)) for item in rows],
        }

    def _whole(self, row: Listed) -> dict[str, Any]:
        return views.candidate_view(row.candidate, row.state, row.usual)

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
                "offers": len(open_),
                "docs": provider.docs,
                "credentials": [" and ".join(names) for names in provider.credentials],
            }
        )


def _names(item: Candidate) -> set[str]:
    offer = item.offer
    return {normal(name) for name in (offer.model, offer.family or offer.model, *offer.aliases)}
