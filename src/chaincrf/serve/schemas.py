"""What requests and answers look like: the OpenAPI document is made of this."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "AllowedTags",
    "ExplainRequest",
    "ExplainResponse",
    "KnownConstraint",
    "ModelInfo",
    "Problems",
    "TagRequest",
    "TagResponse",
    "Text",
]

# Lists are given up at the first item that does not fit: an error for each of a million would take minutes.
Text = Annotated[
    str | Annotated[list[str], Field(fail_fast=True)],
    Field(description="a raw text of any length, or the tokens of one sentence", union_mode="left_to_right"),
]
Probability = Annotated[float, Field(ge=0, le=1)]
Precision = Annotated[
    str,
    Field(
        pattern=r"^precision>=[01](\.[0-9]+)?$",
        max_length=40,
        description="the probability from which on spans had this precision, of a model that was calibrated",
    ),
]
Index = Annotated[int, Field(ge=0, le=2**31 - 1)]
_FIELDS = 32  # of an object, before they are looked at
Name = Annotated[str, Field(max_length=64, description="a model's name; without it, the first model")]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _few_fields(cls, data: Any) -> Any:
        if isinstance(data, dict) and len(data) > _FIELDS:
            raise ValueError(f"expected at most {_FIELDS} fields, got {len(data)}")
        return data


class KnownConstraint(_Request):
    """Something that is known of a text: `chaincrf.tagging.Constraint`."""

    text: Index = Field(default=0, description="which of the texts it is about")
    start: Index = Field(description="where it begins")
    end: Index = Field(description="where it ends, half-open")
    label: str | None = Field(default=None, description="a span label, or for parts of speech a tag")
    kind: Literal["is", "not", "outside"] = Field(
        default="is",
        description="here is a span of this label; no token here is in one; or in any",
    )
    unit: Literal["characters", "tokens"] = Field(
        default="characters", description="what start and end count; characters are code points"
    )


class TagRequest(_Request):
    """Texts to be tagged: `text` or `texts`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"text": "He was diagnosed with Duchenne muscular dystrophy.", "threshold": 0.5},
                {"texts": ["Breast cancer is common.", ["One", "sentence", "in", "tokens"]], "k_best": 3},
            ]
        }
    )

    text: Text | None = None
    texts: list[Text] | None = Field(default=None, min_length=1, fail_fast=True)
    model: Name | None = None
    spans: bool = Field(default=True, description="false: the answer has tokens and tags alone")
    probabilities: bool = Field(default=True, description="of spans, tokens and sentences")
    threshold: Probability | Precision | None = Field(
        default=None, description="leave out spans of a lower probability; their tokens become O"
    )
    k_best: Index = Field(default=0, description="so many best paths of each text")
    constraints: list[KnownConstraint] = Field(default_factory=list, max_length=1000, fail_fast=True)

    @model_validator(mode="after")
    def _one_of_both(self) -> TagRequest:
        if (self.text is None) == (self.texts is None):
            raise ValueError("expected either text or texts")
        for constraint in self.constraints:
            if constraint.text >= len(self.every):
                raise ValueError(
                    f"constraints: there are {len(self.every)} texts, got text {constraint.text}"
                )
        return self

    @property
    def every(self) -> list[str | list[str]]:
        """All texts."""
        return [self.text] if self.text is not None else self.texts or []


class Span(BaseModel):
    """A span: characters are code points of `text`, half-open."""

    start: int
    end: int
    label: str
    text: str
    probability: float | None = Field(default=None, description="of exactly this span")
    token_start: int
    token_end: int


class Path(BaseModel):
    """One way of tagging a whole text."""

    tags: list[str]
    spans: list[Span] | None = None
    probability: float


class Tagged(BaseModel):
    """A tagged text: what `chaincrf tag --json` writes."""

    text: str
    tokens: list[str]
    tags: list[str]
    offsets: list[tuple[int, int]]
    spans: list[Span] | None = Field(default=None, description="left out if the request says so")
    sentences: list[tuple[int, int]] = Field(description="in tokens, half-open")
    token_probabilities: list[float] | None = None
    sentence_probabilities: list[float] | None = None
    k_best: list[Path] | None = None


class TagResponse(BaseModel):
    """The tagged texts, in order."""

    model: str
    version: str
    results: list[Tagged]


class AllowedTags(_Request):
    """The tags that are left to a token."""

    token: Index = Field(description="its place in the sentence")
    tags: list[str] = Field(min_length=1, fail_fast=True)


class ExplainRequest(_Request):
    """One sentence of a text, to be laid open."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"text": "He was diagnosed with Duchenne muscular dystrophy.", "k_best": 3},
                {
                    "text": "Breast cancer is common.",
                    "allowed": [{"token": 0, "tags": ["O"]}],
                },
            ]
        }
    )

    text: Text
    sentence: Index = Field(default=0, description="which sentence of the text")
    model: Name | None = None
    allowed: list[AllowedTags] = Field(
        default_factory=list, max_length=1000, fail_fast=True, description="tags that are left to some tokens"
    )
    k_best: Annotated[int, Field(ge=1, le=2**31 - 1)] = 1


class TagPath(BaseModel):
    """A path through the trellis: tag indices."""

    tags: list[int]
    score: float | None = Field(description="null: the model forbids it")
    probability: float


class ExplainResponse(BaseModel):
    """The trellis of a sentence of T tokens and K tags; a score of null is minus infinity."""

    model: str
    version: str
    sentence: int
    sentences: list[tuple[int, int]] = Field(description="the sentences of the text, in characters")
    tokens: list[str]
    offsets: list[tuple[int, int]]
    tags: list[str] = Field(description="the K tags")
    emissions: list[list[float | None]] = Field(description="T rows of K scores")
    transitions: list[list[float | None]] = Field(description="from (row) to (column)")
    start_transitions: list[float | None]
    end_transitions: list[float | None]
    legal: list[list[bool]] = Field(description="the moves that the tagging scheme allows")
    allowed: list[list[bool]] = Field(description="T rows of K: tags that were allowed")
    marginals: list[list[float]] = Field(description="T rows of K: p(tag at token)")
    edges: list[tuple[int, int, int, float]] = Field(
        description="token, tag before, tag, and the probability of the move into the token, from 0.01 up"
    )
    log_partition: float | None
    best: list[TagPath] = Field(description="the best paths, best first; none: no path keeps to all")
    independent: TagPath = Field(description="the tag of the best emission at each token, by itself")
    broken: list[int] = Field(description="its invalid moves: into token t; 0 is the start, T the end")


class ModelInfo(BaseModel):
    """A model that is served."""

    name: str
    version: str
    task: Literal["ner", "pos"]
    scheme: str | None
    head: Literal["crf", "softmax"]
    constrained: bool
    labels: list[str]
    tags: list[str]


class Problem(BaseModel):
    """What is wrong, and where: `loc` names the field."""

    loc: list[str | int]
    msg: str
    type: str


class Problems(BaseModel):
    """Why a request was refused."""

    detail: list[Problem]
