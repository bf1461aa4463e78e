"""Settings: the environment, then `.env` and `config.toml` in DARKROOM_HOME, then defaults."""

import os
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import (
    SettingsError as PydanticSettingsError,
)

PREFIX = "DARKROOM_"
LATER = frozenset(
    {
        "TOOLSETS",
        "AUTH_TOKENS_FILE",
        "DATABASE_URL",
        "ARTIFACTS_URL",
    }
)
"""Names that belong to darkroom and that this version does not read yet."""
SECRET = frozenset({"callback_secret"})
"""Settings whose value is never shown."""
CALLBACK_HOST = re.compile(
    r"(?P<below>\*\.(?=[^.:\[]+\.))?"
    r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?)"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?",
    re.IGNORECASE,
)
"""A host that callbacks may go to; with `*.` in front all hosts below it, with a port that one alone."""


class SettingsError(Exception):
    """A setting has a value that cannot be used; the message names the variable and what it may hold."""


def default_home() -> Path:
    """Return the folder of the database when DARKROOM_HOME is not set."""
    return Path("~/.darkroom").expanduser()


def _folders(value: object) -> object:
    """Read a list of folders, separated as in PATH."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(os.pathsep) if part.strip()]
    return value


def _words(value: object) -> object:
    """Read a list of names, separated by commas."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _user(value: object) -> object:
    """Read a folder; a blank one would be the working folder, which nobody means."""
    if not isinstance(value, str):
        return value
    if not value.strip():
        raise ValueError("the path of a folder")
    try:
        return Path(value.strip()).expanduser()
    except RuntimeError:
        raise ValueError("a path whose ~ names a user of this machine") from None


Folder = Annotated[Path, BeforeValidator(_user)]
Folders = Annotated[tuple[Folder, ...], NoDecode, BeforeValidator(_folders)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]


def _pair(value: object) -> object:
    """Read two amounts with a slash between them."""
    if not isinstance(value, str):
        return value
    parts = value.split("/")
    try:
        amounts = tuple(Decimal(part.strip().removeprefix("$")) for part in parts)
    except InvalidOperation:
        amounts = ()
    if len(amounts) != 2 or not all(amount.is_finite() and 0 <= amount <= 1_000_000 for amount in amounts):
        raise ValueError("two amounts in US dollars for a million input and output tokens, such as 0.50/1.50")
    return amounts


Dollars = Annotated[Decimal, Field(ge=0, le=1_000_000)]
TokenPrice = Annotated[tuple[Decimal, Decimal] | None, NoDecode, BeforeValidator(_pair)]


class PrincipalSettings(BaseModel):
    """What holds for one principal in place of the common settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: str | None = None
    max_cost: Dollars | None = None
    daily_budget: Dollars | None = None
    monthly_budget: Dollars | None = None


class Settings(BaseSettings):
    """Everything that a user can set, checked once at start."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        env_file_encoding="utf-8",
        hide_input_in_errors=True,
    )

    home: Folder = Field(default_factory=default_home, description="folder of the database and working files")
    output_dir: Folder = Field(default=Path("~/Darkroom"), validate_default=False, description="folder of the results")
    allowed_input_dirs: Folders = Field(default=(), description="further folders that pictures may be read from")
    allowed_output_dirs: Folders = Field(default=(), description="further folders that save_as may name")
    default_image_model: str | None = Field(default=None, description="model when a call names none")
    default_video_model: str | None = Field(default=None, description="model when a call names none")
    agent_model: str | None = Field(
        default=None,
        description="language model of agents, as provider/model; off: hand over a brief, client: the caller's own",
    )
    economy_model: str | None = Field(default=None, description="language model of economy agents")
    standard_model: str | None = Field(default=None, description="language model of standard agents")
    premium_model: str | None = Field(default=None, description="language model of premium agents")
    agent_price: TokenPrice = Field(
        default=None,
        description="price of models that no table has: US dollars a million input/output tokens, as 0.50/1.50",
    )
    prefer: Words = Field(default=(), description="providers to try first, separated by commas")
    max_cost: Dollars | None = Field(default=None, description="most that one call may cost, in US dollars")
    daily_budget: Dollars | None = Field(default=None, description="most that may be spent a day, in US dollars")
    monthly_budget: Dollars | None = Field(default=None, description="most that may be spent a month, in US dollars")
    confirm_above: Dollars | None = Field(
        default=None, description="calls that may cost more need a max_cost of at least that, in US dollars"
    )
    plan: str = Field(default="brand", description="billing plan that credits are counted in")
    timezone: str = Field(default="UTC", description="time zone in which days and months of budgets and usage begin")
    enable: Words = Field(default=(), description="offers to use that are off by default, as provider/model")
    principals: dict[str, PrincipalSettings] = Field(
        default_factory=dict[str, PrincipalSettings], description="plan and caps by principal, in config.toml"
    )
    thumbnails: Literal["always", "auto", "never"] = Field(default="auto", description="small pictures in answers")
    embed_metadata: Literal["full", "minimal", "none"] = Field(default="full", description="what is written into files")
    linger: Annotated[float, Field(ge=0, le=1440)] = Field(
        default=15, description="minutes that paid work goes on after the host has closed darkroom; 0 = not at all"
    )
    providers_dir: Folder | None = Field(default=None, description="folder of your own provider manifests")
    skills_dir: Folder | None = Field(default=None, description="folder of your own skills")
    allowed_hosts: Words = Field(
        default=(), description="values of the Host header that the HTTP server answers to, separated by commas"
    )
    public_url: str | None = Field(default=None, description="address at which callers reach the HTTP server")
    cors_origins: Words = Field(
        default=(), description="origins whose pages may call the HTTP server from a browser, separated by commas"
    )
    rate_limit: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=60, description="tool calls a minute that one principal may make over HTTP; 0 = as many as it likes"
    )
    callback_hosts: Words = Field(
        default=(), description="hosts that callbacks may go to, as host, host:port or *.host, separated by commas"
    )
    callback_secret: SecretStr | None = Field(default=None, description="signs callbacks; without it they are unsigned")

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("the name of a time zone, such as Europe/Berlin") from None
        return value

    @field_validator("callback_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            match = CALLBACK_HOST.fullmatch(entry)
            if match is None or int(match["port"] or 0) > 65_535:
                raise ValueError("hosts without https:// and path, such as hooks.example.com or 127.0.0.1:8000")
        return value

    @field_validator("callback_secret")
    @classmethod
    def _secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().strip():
            raise ValueError("a text that is not blank")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources in the order of their weight."""
        home = home_from_environment()
        return (
            init_settings,
            env_settings,
            DotEnvSettingsSource(settings_cls, env_file=home / ".env", env_ignore_empty=True),
            TomlConfigSettingsSource(settings_cls, toml_file=home / "config.toml"),
        )

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read all sources.

        Raises:
            SettingsError: If a value cannot be used or a file cannot be read; the message names the variable.
        """
        home = home_from_environment()
        try:
            for path in (home / ".env", home / "config.toml"):
                if path.is_dir():  # as containers make one where a file to mount is missing
                    raise SettingsError(f"{path} cannot be read: it is a folder.")
            return cls(**overrides)
        except ValidationError as exc:
            raise SettingsError("\n".join(_explain(cls, error) for error in exc.errors())) from exc
        except PydanticSettingsError as exc:
            raise SettingsError(
                f"{PREFIX}PRINCIPALS (plan and caps by principal) is no JSON: {exc.__cause__ or exc}. "
                'Write for example {"ann": {"daily_budget": 2}}.'
            ) from exc
        except (OSError, ValueError) as exc:
            raise SettingsError(f"{_culprit(home)} cannot be read: {exc}") from exc

    def plan_of(self, principal: str) -> str:
        """Return the billing plan of a principal."""
        own = self.principals.get(principal)
        return own.plan if own and own.plan else self.plan

    @property
    def outputs(self) -> Path:
        """The folder of the results, with `~` resolved."""
        return self.output_dir.expanduser()

    @property
    def database(self) -> Path:
        """The database file."""
        return self.home / "darkroom.sqlite3"

    @property
    def workers_dir(self) -> Path:
        """The folder of the locks of processes that move jobs."""
        return self.home / "workers"

    @property
    def plans_file(self) -> Path:
        """The user's own billing plans, where there are any."""
        return self.home / "plans.toml"


def home_from_environment() -> Path:
    """Return DARKROOM_HOME, or its default."""
    value = os.environ.get(f"{PREFIX}HOME", "").strip()
    try:
        return Path(value).expanduser() if value else default_home()
    except RuntimeError:
        return Path(value).absolute()  # reading the settings says what is wrong with it


def _culprit(home: Path) -> Path:
    """Return the file that cannot be read."""
    try:
        (home / ".env").read_text(encoding="utf-8")
    except FileNotFoundError:
        return home / "config.toml"
    except (OSError, ValueError):
        return home / ".env"
    return home / "config.toml"


def secrets_of(home: Path) -> Mapping[str, str]:
    """Return every variable of the environment and of `.env` in that folder; never log it."""
    return {**kept_variables(home), **os.environ}


def kept_variables(home: Path) -> Mapping[str, str]:
    """Return every variable of `.env` in that folder, which holds whoever starts darkroom; never log it."""
    dotenv = DotEnvSettingsSource(BaseSettings, env_file=home / ".env", case_sensitive=True)
    return {name: value for name, value in dotenv.env_vars.items() if value}


def known_variables() -> frozenset[str]:
    """Return the names of all settings, as environment variables."""
    return frozenset(f"{PREFIX}{name.upper()}" for name in Settings.model_fields)


def set_variables() -> frozenset[str]:
    """Return the names of the DARKROOM_* variables of the environment and of `.env`."""
    return frozenset(name for name in secrets_of(home_from_environment()) if name.startswith(PREFIX))


def unread_names() -> frozenset[str]:
    """Return the names at the top of `config.toml` that are of no setting."""
    source = TomlConfigSettingsSource(Settings, toml_file=home_from_environment() / "config.toml")
    return frozenset(source.toml_data.keys() - Settings.model_fields.keys())


def _explain(settings: type[Settings], error: Any) -> str:
    field = str(error["loc"][0])
    if field == "principals" and len(error["loc"]) > 1:
        return _explain_principal(error)
    held = None if field in SECRET else error.get("input")
    shown = "" if held is None else f" holds {str(held)[:80]!r} and"
    about = settings.model_fields[field].description if field in settings.model_fields else ""
    return f"{PREFIX}{field.upper()} ({about}){shown} must be {_may(error)}."


def _explain_principal(error: Any) -> str:
    """Return what is wrong with the settings of one principal, with the fields that there are."""
    where = f"principals.{error['loc'][1]}"
    fields = ", ".join(PrincipalSettings.model_fields)
    if len(error["loc"]) == 2:
        return f"{where} holds {str(error.get('input'))[:80]!r} and must be a table with any of {fields}."
    field = str(error["loc"][2])[:80]
    if error["type"] == "extra_forbidden":
        return f"{where} has no field {field!r}; it may hold {fields}."
    return f"{where}.{field} holds {str(error.get('input'))[:80]!r} and must be {_may(error)}."


def _may(error: Any) -> str:
    """Return what a value may be, in pydantic's words."""
    return re.sub(r"^(Value error, |(Decimal )?[Ii]nput (should be|is not) )", "", str(error["msg"]))
