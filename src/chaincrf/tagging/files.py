"""Tag files: from any format to any other, in constant memory, each output whole or not there."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..data.readers.stream import read_stream
from ..errors import DataError
from .document import Text
from .inference import BATCH_TOKENS
from .output import open_output
from .tagger import AHEAD, Tagger

__all__ = ["Counts", "FileTagger", "Job"]


@dataclass(frozen=True)
class Job:
    """How files are tagged: the options of ``chaincrf tag``.

    Attributes:
        input_format: see :func:`chaincrf.data.readers.stream.read_stream`.
        output_format: see :func:`chaincrf.tagging.output.render`.
        token_column: column of the token in CoNLL columns, counted from 1.
        skip: leave out malformed texts and count them; otherwise the first one raises.
        threshold: see :meth:`Tagger.tag`.
        probabilities: compute them.
        batch_tokens, ahead: see :meth:`Tagger.tag_all`.
    """

    input_format: str = "auto"
    output_format: str = "jsonl"
    token_column: int | None = None
    skip: bool = False
    threshold: float | str | None = None
    probabilities: bool = True
    batch_tokens: int = BATCH_TOKENS
    ahead: int = AHEAD


@dataclass
class Counts:
    """What was tagged.

    Attributes:
        texts, sentences, tokens, spans: how many.
        skipped: malformed texts that were left out.
        first_error: the first of them.
    """

    texts: int = 0
    sentences: int = 0
    tokens: int = 0
    spans: int = 0
    skipped: int = 0
    first_error: str | None = None

    def skip(self, error: DataError) -> None:
        """One more malformed text."""
        self.skipped += 1
        self.first_error = self.first_error or str(error)


class FileTagger:
    """A tagger that reads and writes files.

    Args:
        tagger: the model.
        job: how.
    """

    def __init__(self, tagger: Tagger, job: Job) -> None:
        self.tagger = tagger
        self.job = job

    def tag(
        self,
        source: Path,
        destination: Path | None,
        *,
        on_text: Callable[[], None] | None = None,
        on_bytes: Callable[[int], None] | None = None,
    ) -> Counts:
        """Tag one file.

        Args:
            source: the file; ``-`` is standard input.
            destination: the file to write; None: standard output.
            on_text: is called after each text.
            on_bytes: is told how many bytes were read.

        Raises:
            DataError: the source cannot be read, or the destination cannot be written.
            ArgumentError: a threshold, or a format, that cannot be.
        """
        job, counts = self.job, Counts()
        ids: deque[str | None] = deque()

        def texts() -> Iterator[Text]:
            skip = counts.skip if job.skip else None
            items = read_stream(
                source, job.input_format, token_column=job.token_column, on_skip=skip, on_bytes=on_bytes
            )
            for item in items:
                ids.append(item.id)
                yield item.text

        spans = self.tagger.bundle.config.scheme is not None
        with open_output(destination, job.output_format, spans) as write:
            for tagged in self.tagger.tag_all(
                texts(),
                batch_tokens=job.batch_tokens,
                ahead=job.ahead,
                threshold=job.threshold,
                probabilities=job.probabilities,
            ):
                name = ids.popleft()
                write(tagged if name is None else replace(tagged, id=name))
                counts.texts += 1
                counts.sentences += len(tagged.sentences)
                counts.tokens += len(tagged.tokens)
                counts.spans += len(tagged.spans)
                if on_text is not None:
                    on_text()
        return counts
