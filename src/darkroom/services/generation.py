"""From what a caller asks to a stored job: route, fit, price, caps, identity."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import anyio.to_thread
from pydantic import JsonValue, ValidationError

from darkroom.artifacts.base import ArtifactStore, InputStore
from darkroom.catalog.accounts import Accounts
from darkroom.catalog.prices import quote
from darkroom.catalog.providers import Provider
from darkroom.catalog.routing import DRAFT, Candidate
from darkroom.catalog.wires import Form
from darkroom.clock import Clock
from darkroom.domain.job import Job, LedgerKind, LedgerRow, State, Submission, new_id
from darkroom.domain.kinds import Kind, Role
from darkroom.domain.money import FREE, MicroUsd
from darkroom.domain.names import did_you_mean
from darkroom.domain.request import (
    CALL_OPTIONS,
    CLIPS,
    UNSAID,
    Effective,
    ImageRequest,
    MediaInput,
    VideoRequest,
    clip,
    split_options,
)
from darkroom.domain.run import Run
from darkroom.errors import DarkroomError, InvalidRequest, MoneyError, UnknownJob
from darkroom.services.callbacks import Wish, wished
from darkroom.services.caps import Caps, Terms, of_run
from darkroom.services.refine import Offers, continue_from
from darkroom.services.routes import AnyRequest, Proposal, Routes, day_of
from darkroom.settings import Settings
from darkroom.store.base import Alternative, JobStore, Limit

NOTHING = "Nothing was stored or sent."
_SEEN = ("duration", "clear", "file_bytes")
"""What decoding an input showed that no request says, and so is no part of what one is."""
_OUTPUT = re.compile(r"out_\w+")
"""An output id, and no file name: that has an extension."""


@dataclass(frozen=True, slots=True)
class Started:
    """The stored job, and whether this call made it."""

    job: Job
    created: bool


@dataclass(frozen=True, slots=True)
class Parents:
    """Where a job comes from."""

    retry_of: str | None = None
    parent_job_id: str | None = None


class Generation:
    """Makes jobs of requests."""

    def __init__(
        self,
        *,
        store: JobStore,
        artifacts: ArtifactStore,
        inputs: InputStore,
        providers: Mapping[str, Provider],
        accounts: Callable[[], Accounts],
        settings: Settings,
        clock: Clock,
        adapters: Collection[str] | None = None,
        plan_of: Callable[[str], str] | None = None,
        resting: Callable[[], Collection[str]] = tuple,
        run_of: Callable[[str], Awaitable[Run | None]] | None = None,
    ) -> None:
        self._plan_of = plan_of or settings.plan_of
        self._run_of = run_of
        self._store = store
        self._artifacts = artifacts
        self._inputs = inputs
        self._accounts = accounts
        self._settings = settings
        self._clock = clock
        self._caps = Caps(settings)
        self.routes = Routes(
            providers=providers, accounts=accounts, settings=settings, clock=clock, adapters=adapters, resting=resting
        )

    async def start(self, request: AnyRequest, terms: Terms) -> Started | Proposal:
        """Store a job for the request, or return the plan when only that is asked.

        Raises:
            RequestError: If something in the request cannot be; nothing is stored.
            MoneyError: If a cap would be passed; nothing is stored.
            NotConfigured: If the named provider lacks its key.
            StorageError: If the job, its inputs or its results could not be kept.
        """
        request, wish = self._parted(request)
        parents = Parents()
        if request.refine is not None:
            request, parent = await continue_from(request, request.refine, self._store, terms.principal, self._offers())
            parents = Parents(parent_job_id=parent)
        return await self._start(request, terms, parents, wish)

    async def retry(self, job_id: str, changes: Mapping[str, JsonValue], terms: Terms) -> Started | Proposal:
        """Store a new job for the request of an earlier one, with changes laid over it.

        Nobody is told of its end unless the changes say so anew: a callback belongs to a call, not to a request.

        Raises:
            UnknownJob: If the caller has no such job.
            InvalidRequest: If that job is still under way, or a change cannot be.
        """
        job = await self._store.get(job_id, terms.principal)
        if job is None:
            raise UnknownJob(
                f"There is no job {clip(job_id)!r}.",
                field="job_id",
                hint="check_job without job_id lists your newest jobs.",
            )
        if not job.ended and job.state is not State.SUBMIT_UNKNOWN:
            raise InvalidRequest(
                f"{job.id} is still {job.state}; a retry would pay for it twice.",
                field="job_id",
                hint="Nothing was changed. Wait for it with check_job, or cancel_job it first.",
            )
        request, wish = self._parted(_changed(job.request, changes))
        return await self._start(request, terms, Parents(job.id, job.parent_job_id), wish)

    async def _start(
        self, request: AnyRequest, terms: Terms, parents: Parents, wish: Wish | None
    ) -> Started | Proposal:
        _check_prompt(request)
        _check_place(terms)
        # Refuses whatever can be refused before a file is taken; the first one reads keys and manifests.
        first = await anyio.to_thread.run_sync(self._propose, request, terms)
        request = await self._with_inputs(request, terms, _by_address(first.candidate))
        proposal = self._propose(request, terms)
        try:
            cap = self._caps.check(proposal.quote, proposal.candidate.name, terms, unpriced=request.allow_unpriced)
        except MoneyError:
            # A repeated call brings its first job, which is paid already, however much may be spent by now.
            job, _ = self._job(request, proposal, terms, parents, None)
            earlier = None if terms.dry_run else await self._store.equal(job, again=terms.again)
            if earlier is None:
                raise
            return Started(earlier, created=False)
        await anyio.to_thread.run_sync(self._artifacts.check_target, terms.save_as)
        if terms.dry_run:
            now, name = self._clock.now(), proposal.candidate.name
            obstacle = await self._caps.obstacle(self._store, proposal.quote, name, terms, now)
            return replace(proposal, obstacle=obstacle)
        job, ledger = self._job(request, proposal, terms, parents, cap)
        limits = (
            *self._caps.limits(terms.principal, self._clock.now()),
            *self._caps.in_run(terms.run, terms.principal),
        )
        callback = wish.callback(job.id, job.principal, job.created_at) if wish else None
        added = await self._store.add(job, ledger, again=terms.again, limits=limits, callback=callback)
        return Started(added.job, added.created)

    def _offers(self) -> Offers:
        return Offers(self.routes.usable, lambda provider: self._accounts().account(provider))

    def _parted(self, request: AnyRequest) -> tuple[AnyRequest, Wish | None]:
        """Return the request with the keys that set its fields, and whom to tell of the end of its job."""
        ours, theirs = split_options(request.options)
        url, name = (ours.pop(key, None) for key in CALL_OPTIONS)
        request = _with_our_options(request, ours, theirs)
        if url not in (None, False):
            return request, wished(url, name, self._settings, where="options.")
        if name is not None:
            raise InvalidRequest(
                "options.invocation_id names the work for a callback, and there is no options.callback_url.",
                field="options.invocation_id",
                hint=f"{NOTHING} Give both, or leave it out.",
            )
        return request, None

    def _propose(self, request: AnyRequest, terms: Terms) -> Proposal:
        priced = self._caps.guards(terms.principal) and not request.allow_unpriced
        return self.routes.proposals(request, self._caps.cap(terms), priced=priced)[0]

    async def instead(self, job: Job, part: Submission, *, account: bool) -> Alternative | None:
        """Return the next offer that may do what was refused, for no more than was agreed; see the protocol."""
        refused = {part.provider} if account else set[str]()
        tried = {(item.provider, item.model) for item in job.submissions if item.put_aside or item.idx == part.idx}
        agreed = _agreed(job, part, await self._store.ledger(job.id))
        own = part.effective
        request = job.request.model_copy(update={"n": own.n, "seed": own.seed})
        try:
            found = await anyio.to_thread.run_sync(self.routes.proposals, request, agreed)
        except DarkroomError:
            return None
        for item in found:
            provider, offer = item.candidate.provider, item.candidate.offer
            price = item.quote
            priced = agreed is not None and price is not None and price.partial is None and price.high <= agreed
            new = provider.id not in {DRAFT, *refused} and (provider.id, offer.model) not in tried
            if priced and new and len(item.parts) == 1:
                now = self._clock.now()
                limits = (*self._caps.limits(job.principal, now), *await self._limits_of(job))
                placed = item.effective.model_copy(update={"start": own.start})
                return Alternative(*self._submission(job.id, 0, placed, job.request, item.candidate, now), limits)
        return None

    async def _limits_of(self, job: Job) -> tuple[Limit, ...]:
        """Return the caps of the run that a job was started in."""
        run = await self._run_of(job.run_id) if self._run_of is not None and job.run_id is not None else None
        return () if run is None else self._caps.in_run(of_run(run), run.principal)

    async def _with_inputs(self, request: AnyRequest, terms: Terms, addresses: bool) -> AnyRequest:
        """Keep all inputs; their web addresses are noted only where the offer goes by them, since some hold a key."""
        images = tuple([await self._take(item, terms, addresses) for item in request.images])
        changed: dict[str, object] = {"images": images}
        if isinstance(request, VideoRequest):
            changed["scenes"] = tuple(
                [
                    scene.model_copy(
                        update={"image": await self._take(scene.image, terms, addresses) if scene.image else None}
                    )
                    for scene in request.scenes
                ]
            )
        return request.model_copy(update=changed)

    async def _take(self, item: MediaInput, terms: Terms, addresses: bool) -> MediaInput:
        """Keep one input under its content hash; an output id names the file of an earlier job."""
        if item.sha256 is not None:
            return item
        name, src, local = item.name, item.src, terms.local
        if _OUTPUT.fullmatch(src):
            output = await self._store.output(src, terms.principal)
            if output is None:
                raise UnknownJob(
                    f"There is no output {clip(src)!r}.", field="images", hint="check_job lists the outputs."
                )
            name, src, local = name or src, output.path, True
        kind = Kind.VIDEO if item.role in CLIPS else Kind.IMAGE
        stored = await self._inputs.take(src, local=local, kind=kind)
        facts = stored.facts
        return item.model_copy(
            update={
                "src": stored.ref,
                "name": name or stored.name,
                "sha256": stored.sha256,
                "media_type": facts.media_type,
                "width": facts.width,
                "height": facts.height,
                "duration": facts.duration,
                "clear": facts.clear,
                "file_bytes": facts.file_bytes,
                "url": src if addresses and src.lower().startswith("https:") else None,
            }
        )

    def _job(
        self, request: AnyRequest, proposal: Proposal, terms: Terms, parents: Parents, cap: MicroUsd | None
    ) -> tuple[Job, list[LedgerRow]]:
        now = self._clock.now()
        job_id = new_id("job", now)
        parts = [
            self._submission(job_id, idx, effective, request, proposal.candidate, now)
            for idx, effective in enumerate(proposal.parts)
        ]
        job = Job(
            id=job_id,
            principal=terms.principal,
            kind=request.kind,
            mode=proposal.effective.mode,
            request=request,
            request_hash=request_hash(request, parents),
            idempotency_key=terms.idempotency_key,
            max_cost=cap,
            save_as=terms.save_as,
            labels=request.labels,
            priority=request.priority,
            warnings=proposal.warnings,
            retry_of=parents.retry_of,
            parent_job_id=parents.parent_job_id,
            plan=self._plan_of(terms.principal),
            run_id=terms.run.id if terms.run else None,
            created_at=now,
            updated_at=now,
            submissions=tuple(part for part, _ in parts),
        )
        return job, [row for _, row in parts]

    def _submission(
        self, job_id: str, idx: int, effective: Effective, request: AnyRequest, item: Candidate, now: int
    ) -> tuple[Submission, LedgerRow]:
        """Return one submission of a job, and what is reserved for it."""
        provider, offer = item.provider, item.offer
        price = quote(offer, effective, day_of(now))
        reserved = LedgerRow(
            job_id=job_id,
            submission=idx,
            kind=LedgerKind.RESERVED,
            micro_usd=price.high if price else FREE,
            at=now,
            certain=price is not None,
        )
        submission = Submission(
            job_id=job_id,
            idx=idx,
            provider=provider.id,
            model=offer.model,
            effective=effective,
            replayable=offer.replayable,
            synchronous=offer.synchronous,
            account=self._accounts().account(provider),
            due_at=now,
            deadline_at=None if request.deadline_s is None else now + int(request.deadline_s * 1000),
            estimate=price.likely if price else None,
        )
        return submission, reserved


def request_of(tool: str, arguments: Mapping[str, JsonValue]) -> AnyRequest:
    """Return the request of a call of `generate_image` or `generate_video`, by its arguments.

    Raises:
        InvalidRequest: If an argument is unknown, or cannot be.
    """
    kinds: dict[str, type[AnyRequest]] = {"generate_image": ImageRequest, "generate_video": VideoRequest}
    model = kinds[tool]
    fields = [name for name in model.model_fields if name not in UNSAID]
    for name in arguments:
        if name not in fields:
            near = did_you_mean(name, fields)
            raise InvalidRequest(f"{tool} has no argument {clip(name)!r}.{near}", field=clip(name), hint=NOTHING)
    try:
        return model.model_validate({name: value for name, value in arguments.items() if value is not None})
    except ValidationError as exc:
        raise invalid(exc) from exc


def _agreed(job: Job, part: Submission, rows: Sequence[LedgerRow]) -> MicroUsd | None:
    """Return what a submission may cost: of the agreed price what the others leave, else what was reserved first."""
    reserved = {row.submission: row for row in rows if row.kind is LedgerKind.RESERVED}
    if job.max_cost is not None:
        others = [item.idx for item in job.submissions if item.idx != part.idx and not item.put_aside]
        return MicroUsd(job.max_cost - sum(reserved[idx].micro_usd for idx in others if idx in reserved))
    same = [item.idx for item in job.submissions if item.effective.start == part.effective.start]
    first = reserved.get(min(same))
    return first.micro_usd if first is not None and first.certain else None


def _by_address(item: Candidate) -> bool:
    return (item.offer.pictures or item.provider.pictures) is Form.URL


def request_hash(request: AnyRequest, parents: Parents) -> str:
    """Return the identity of a request: its arguments and the contents of its inputs, not its caps or file names.

    What decoding showed follows from the content.
    """
    own = {
        "images": {"__all__": {"src", "name", *_SEEN}},
        "scenes": {"__all__": {"image": {"src", "name", *_SEEN}}},
        "allow_unpriced": True,
    }
    text = request.model_dump_json(exclude=own if request.kind is Kind.VIDEO else {**own, "scenes": True})
    return hashlib.sha256(f"{text}\n{parents.retry_of or ''}".encode()).hexdigest()


def _with_our_options(
    request: AnyRequest, ours: Mapping[str, JsonValue], theirs: Mapping[str, JsonValue]
) -> AnyRequest:
    """Move the reserved keys of `options` to the fields that they set."""
    labels = ours.get("labels")
    if isinstance(labels, str | int | float):
        raise InvalidRequest(
            f"options.labels must be a list, not {clip(labels)!r}.",
            field="labels",
            allowed='["one", "another"]',
            hint=NOTHING,
        )
    return _checked(request, {**ours, "options": theirs}) if ours or theirs != request.options else request


def _changed(request: AnyRequest, changes: Mapping[str, JsonValue]) -> AnyRequest:
    fields = [name for name in type(request).model_fields if name not in (*UNSAID, "refine")]
    for name in changes:
        if name not in fields:
            raise InvalidRequest(
                f"changes has no {clip(name)!r}.{did_you_mean(name, fields)}",
                field="changes",
                allowed=fields,
                hint=NOTHING,
            )
    if "aspect_ratio" in changes and "size" not in changes and request.kind is Kind.IMAGE:
        changes = {**changes, "size": None}  # the size that was asked before would win
    return _checked(request, changes)


def _checked(request: AnyRequest, changes: Mapping[str, object]) -> AnyRequest:
    try:
        return request.having(**changes)
    except ValidationError as exc:
        raise invalid(exc) from exc


def invalid(exc: ValidationError) -> InvalidRequest:
    """Return a validation failure in our own words: the first field, and what it may hold."""
    error = exc.errors(include_url=False, include_input=False)[0]
    name = ".".join(str(part) for part in error["loc"] if part not in tuple(Kind))
    return InvalidRequest(f"{clip(name)}: {error['msg']}.", field=clip(name), hint=NOTHING)


def _check_place(terms: Terms) -> None:
    if terms.save_as and not terms.local:
        raise InvalidRequest(
            "save_as names a place on the machine of the server, which is not for callers over this connection.",
            field="save_as",
            hint="Nothing was stored. Leave save_as out: the answer brings an address of each file.",
        )


def _check_prompt(request: AnyRequest) -> None:
    """Refuse a request that says nothing; clips that are to be joined need no words."""
    joins = any(item.role is Role.CLIP for item in request.images)
    told = (
        request.prompt
        or joins
        or (
            isinstance(request, VideoRequest)
            and request.scenes
            and all(part.prompt or part.image for part in request.scenes)
        )
    )
    if not told:
        raise InvalidRequest(
            "The prompt is empty.",
            field="prompt",
            allowed="1 to 32,000 characters",
            hint=f"{NOTHING} Say what to make.",
        )
