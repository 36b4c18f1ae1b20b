"""What goes in and out of the API, as typed models: the OpenAPI document is made of them, and the Python client gives them."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field

from fugato.compose.defaults import GUIDANCE, TEMPERATURE, TOP_P

Note = tuple[float, float, int, int, int]  # start and duration in seconds, pitch, velocity, part
Share = Annotated[float, Field(ge=0, le=1)]

ANSWER: Final[dict[str, Any]] = {
    "input": "nocturne.mid",
    "sha256": "9f2c…",
    "task": "composer",
    "name": "Chopin",
    "probability": 0.91,
    "known": True,
    "ranking": [{"name": "Chopin", "probability": 0.91}, {"name": "Schumann", "probability": 0.04}],
    "model": {"name": "composer", "version": "1.0.0"},
    "music": {"notes": 812, "bars": 64, "seconds": 201.3},
    "period": {"name": "Romantic", "probability": 0.97},
    "repertoire": {"name": "keyboard", "probability": 0.99},
    "work": None,
    "evidence": None,
    "warnings": [],
    "elapsed": 0.012,
}
REFUSAL: Final[dict[str, Any]] = {
    "input": "hum.mid",
    "error": {
        "kind": "too-short",
        "message": "It has only 4 of the 12 notes or chords one after another that are needed to say anything.",
    },
}


class Schema(BaseModel):
    """An object of the API; fields that a later version adds are kept."""

    model_config = ConfigDict(extra="allow")


# -- answers -----------------------------------------------------------------------------------------------------------


class Guess(Schema):
    """A name with its probability."""

    name: str
    probability: Share


class ModelName(Schema):
    """Which model answered."""

    name: str
    version: str


class Segment(Schema):
    """A stretch of a recording, in seconds, with its own ranking."""

    start: float
    end: float
    ranking: list[Guess]


class Answer(Schema):
    """Who wrote it, or which genre it is: the object that `fugato identify --json` prints."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [ANSWER]})

    input: str | None
    sha256: str | None
    task: Literal["composer", "genre"]
    name: str = Field(description="The top of the ranking, also when `known` is false.")
    probability: Share
    known: bool = Field(description="False when it is probably by none of the model's names.")
    ranking: list[Guess]
    model: ModelName
    music: dict[str, Any]
    period: Guess | None = None
    repertoire: Guess | None = None
    work: dict[str, Any] | None = Field(None, description="The piece itself where it was recognised.")
    evidence: dict[str, Any] | None = Field(
        None, description="Bars and patterns that spoke for a name, with `explain`."
    )
    timeline: list[Segment] | None = Field(None, description="Of a recording: the ranking every three seconds.")
    parts: list[dict[str, Any]] | None = Field(None, description="Of a book of tunes: an answer for each.")
    warnings: list[str]
    elapsed: float


class ErrorKind(Schema):
    """What is wrong with an input."""

    kind: str
    message: str


class Refusal(Schema):
    """Stands in place of the answer to an input that cannot be answered."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [REFUSAL]})

    input: str | None
    error: ErrorKind


class Problem(Schema):
    """Problem details (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    kind: str | None = Field(None, description="Of the FugatoError, where it is one.")
    input: str | None = None


class Comparison(Schema):
    """How alike two pieces are in style, and whether they are the same work."""

    inputs: list[str]
    task: Literal["compare"]
    alike: Share = Field(description="Share of pairs of works by two composers that are less alike.")
    alike_within: Share
    cosine: float
    same_work: bool
    shared_grams: int
    shared: Share
    model: ModelName


# -- seeing and hearing ------------------------------------------------------------------------------------------------


class Part(Schema):
    """An instrument or voice."""

    name: str
    program: int
    drum: bool = False


class Notes(Schema):
    """What a piano roll and a player need of a piece."""

    title: str
    seconds: float
    notes: list[Note] = Field(description="Start and duration in seconds, pitch, velocity, part.")
    beats: list[tuple[float, float]] = Field(description="Start and duration in quarter notes, in the same order.")
    bars: list[float] = Field(description="Start of each bar in seconds.")
    parts: list[Part]
    notated: bool = Field(description="Whether quarter notes mean beats.")
    warnings: list[str]


class Waveform(Schema):
    """Lowest and highest sample of each column, from -1 to 1."""

    rate: float = Field(description="Columns a second.")
    min: list[float]
    max: list[float]


class Mel(Schema):
    """A mel spectrogram as a picture, low bands at the bottom."""

    png: str = Field(description="A data URL.")
    seconds: float
    low_hz: float
    high_hz: float


class Sound(Schema):
    """The pictures of a recording."""

    seconds: float
    waveform: Waveform
    mel: Mel
    warnings: list[str]


class Point(Schema):
    """A piece on the map of style."""

    input: str
    x: float
    y: float
    name: str
    probability: Share
    known: bool


class StyleMap(Schema):
    """Pieces as points: near to each other where they are alike in style."""

    points: list[Point]
    left_out: list[Refusal]


# -- what there is -----------------------------------------------------------------------------------------------------


class Sizes(Schema):
    """What a request may hold."""

    files: int
    map_files: int = Field(description="Of a request for a style map.")
    bytes: int


class Health(Schema):
    """That the server answers, and what it takes."""

    status: Literal["ok"]
    version: str
    limits: Sizes


class ComposerEntry(Schema):
    """A composer of the table."""

    name: str
    full: str
    birth: int | None
    death: int | None
    years: str
    period: str
    repertoire: str
    known: bool = Field(description="Whether the shipped model can name this composer.")
    style: bool = Field(description="Whether the composing model has a style of this composer's own.")
    seeds: int = Field(description="Pieces to go on from that come along.")


class Composers(Schema):
    """The table of composers, and what the composing model knows."""

    composers: list[ComposerEntry]
    styles: list[str]
    periods: list[str]


class Example(Schema):
    """A piece or recording that comes along."""

    name: str
    title: str
    composer: str
    licence: str
    kind: Literal["score", "recording"]
    seed: bool
    file: str = Field(description="What to call it.")
    url: str


class Card(Schema):
    """The card of a model, or why it cannot be used."""

    name: str
    shipped: bool = True
    error: ErrorKind | None = None


# -- composing ---------------------------------------------------------------------------------------------------------


class ComposeOptions(BaseModel):
    """What is asked of `fugato compose`."""

    style: str | None = Field(None, max_length=80, description="A composer or a period.")
    seed_composer: str | None = Field(
        None, max_length=80, description="Go on from a piece by this composer that comes along."
    )
    seed_bars: int | None = Field(
        None,
        ge=1,
        le=9999,
        description="Bars of the seed that are gone on from, counted from its beginning; all where left out.",
    )
    bars: int | None = Field(None, ge=1, le=512, description="New bars; 32 where neither bars nor seconds are given.")
    seconds: float | None = Field(None, ge=1, le=3600, allow_inf_nan=False, description="Length in place of bars.")
    infill: str | None = Field(
        None, pattern=r"^\d{1,4}:\d{1,4}$", description="Bars of the seed that are written anew, as 9:12."
    )
    temperature: float = Field(TEMPERATURE, ge=0.05, le=5, description="Below 1 plainer, above 1 wilder.")
    top_p: float = Field(TOP_P, ge=0.01, le=1, description="Share of probability that is drawn from.")
    guidance: float = Field(GUIDANCE, ge=0, le=10, description="How strongly the style pulls.")
    random_seed: int | None = Field(None, ge=0, le=2**53, description="Same seed, same piece; drawn where left out.")
    tempo: float | None = Field(None, ge=10, le=500, description="Quarter notes a minute.")
    key: str | None = Field(None, max_length=20, description="C, F# major, a minor.")
    program: int | None = Field(None, ge=0, le=127, description="General MIDI instrument of all parts.")
    humanise: float = Field(0.0, ge=0, le=3, description="How much MIDI and sound are played as a person might.")
    variations: int = Field(1, ge=1, le=8, description="Pieces that are written.")
    keep: int | None = Field(None, ge=1, le=8, description="The best of them that come back; all where left out.")
    model: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$", description="A model that composes.")


class ComposeForm(ComposeOptions):
    """The same, with a piece to go on from."""

    seed: UploadFile | None = Field(None, description="A score: MIDI, MusicXML, kern or ABC.")


class StreamOptions(ComposeOptions):
    """The same, or a job that was started."""

    job: str | None = Field(None, max_length=40, description="The job, where one was started already.")


class Progress(Schema):
    """How far a job is."""

    bars: int = Field(description="New bars that are written.")
    of: int | None = Field(description="Of how many, where it is known.")
    variations: int


class NewPiece(Schema):
    """The report of a piece that was composed: that of `fugato compose --json`, with who is named as its composer."""

    variation: int
    name: str
    bars: int
    notes: int
    new_bars: tuple[int, int]
    options: dict[str, Any]
    answer: dict[str, Any] | None = Field(
        description="Who is named as the composer of the new bars, or an error object."
    )
    files: dict[str, str] = Field(description="Addresses by format: mid, musicxml, wav, png.")


class Job(Schema):
    """A piece that is being composed."""

    job: str
    status: Literal["waiting", "writing", "done", "failed", "stopped"]
    progress: Progress
    pieces: list[NewPiece]
    problem: Problem | None


class Bar(Schema):
    """A bar as it is finished; the seed's come first."""

    variation: int
    bar: int
    start: float
    end: float
    quarters: float = Field(description="Its length in quarter notes.")
    notes: list[Note]
    programs: list[int]
    seed: bool


class Verdict(BaseModel):
    """What a listener thinks of a piece."""

    job: str = Field(max_length=40)
    variation: int = Field(ge=1, le=8)
    verdict: Literal["keep", "discard"]
    comment: str = Field("", max_length=2000)


# -- live --------------------------------------------------------------------------------------------------------------

LiveNote = tuple[
    Annotated[int, Field(ge=0, le=127)],
    Annotated[float, Field(allow_inf_nan=False)],
    Annotated[float, Field(allow_inf_nan=False)] | None,
    Annotated[int, Field(ge=0, le=127)],
]


class Played(BaseModel):
    """A message of a live client: new notes, or the beginning of another piece."""

    notes: list[LiveNote] = Field(default=[], max_length=20_000, description="Pitch, onset, offset or null, velocity.")
    reset: bool = False
    explain: bool = False
    model: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")


class Heard(Schema):
    """What a live server says after each message."""

    notes: int
    ranking: list[Guess]
    known: bool
    work: dict[str, Any] | None
    elapsed: float
    answer: Answer | None = None
