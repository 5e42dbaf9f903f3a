"""What may be ingested: documents for pretraining, and labelled sets for fine-tuning."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from lmtrain.config import UNADDRESSED, Config, SplitConfig, StageConfig
from lmtrain.schemas import TASK_COLUMNS

ALIAS = Field(
    pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,39}$",
    description="A short name; stands for the place of the data wherever it is spoken of.",
)


MAX_BYTES = Field(default=10_000_000, ge=1, le=1 << 30, description="Larger documents are rejected.")


class DocstringsSource(Config):
    """The docstrings of installed packages, read with `ast`: text that every machine has."""

    alias: str = ALIAS
    packages: list[str] = Field(min_length=1, description="Import names of installed packages.")
    min_characters: int = Field(default=100, ge=1, description="Shorter docstrings are rejected.")
    max_bytes: int = MAX_BYTES


class ExtractionConfig(Config):
    """How text is taken out of web pages: .html files, and pages in WARC files."""

    extractor: Literal["trafilatura", "resiliparse"] = Field(
        default="trafilatura",
        description="`trafilatura` finds the article best; `resiliparse` is five times as fast.",
    )
    main_content: bool = Field(
        default=True, description="The article alone, without menus, headers and footers; else all text."
    )
    seconds_per_page: float = Field(
        default=10.0, gt=0, le=600, description="Seconds of a processor after which a page is rejected."
    )


class RepairConfig(Config):
    """What is put in order in every text before it becomes a document."""

    mojibake: bool = Field(
        default=False, description="Decode again, by ftfy, lines that were decoded in the wrong encoding."
    )
    nfc: bool = Field(default=False, description="Compose characters (Unicode normalization form C).")
    control_characters: bool = Field(
        default=False, description="Remove control characters but tab and newline; \\r\\n becomes \\n."
    )


class FilesSource(Config):
    """Files of documents: JSON, tables, text or web pages, plain or packed, local or remote.

    .json, .jsonl, .ndjson; .parquet, .csv, .tsv, .arrow, .feather; .txt, .md; .html, .warc, .wet;
    each plain or with .gz, .zst, .bz2 or .xz.
    """

    alias: str = ALIAS
    urls: Annotated[list[str], UNADDRESSED] = Field(
        min_length=1,
        description="Paths, folders or globs; local, s3://bucket/prefix, https://, "
        "hf://datasets/owner/name, or package://name/path.",
    )
    text_column: str = Field(default="text", description="Column that holds the text.")
    id_column: str | None = Field(
        default=None, description="Column with ids; else made from file and record."
    )
    group_column: str | None = Field(
        default=None, description="Column whose equal values stay on one side of a split; else the id."
    )
    license: str | None = Field(default=None, description="Licence of all documents of this source.")
    license_column: str | None = Field(default=None, description="Column with each document's licence.")
    url_column: str | None = Field(default=None, description="Column with each document's web address.")
    text_document: Literal["file", "line", "paragraph"] = Field(
        default="file",
        description="In .txt and .md files: what one document is. Paragraphs end at empty lines.",
    )
    tagged: bool = Field(
        default=False, description="Text is `word/tag word/tag`, as in tagged corpora: keep the words only."
    )
    encoding: str | None = Field(
        default=None,
        description="Encoding of text, CSV, TSV and JSON files where it isn't UTF-8: gb18030, big5, "
        "windows-1252. A byte order mark tells by itself; web pages too.",
    )
    max_bytes: int = MAX_BYTES
    extraction: ExtractionConfig = ExtractionConfig()
    repair: RepairConfig = RepairConfig()

    @field_validator("encoding")
    @classmethod
    def _known(cls, encoding: str | None) -> str | None:
        try:
            "".encode(encoding or "utf-8")
        except LookupError:
            raise ValueError(
                f"{encoding} is no encoding of text: it should be like gb18030 or big5"
            ) from None
        return encoding


class IngestSection(Config):
    """Where the documents come from."""

    docstrings: list[DocstringsSource] = Field(default=[], description="Docstrings of installed packages.")
    files: list[FilesSource] = Field(default=[], description="Folders and files of documents.")

    @property
    def sources(self) -> list[DocstringsSource | FilesSource]:
        """All of them, docstrings first."""
        return [*self.docstrings, *self.files]

    @model_validator(mode="after")
    def _no_alias_twice(self) -> "IngestSection":
        aliases = [source.alias for source in self.sources]
        if len(set(aliases)) < len(aliases):
            raise ValueError(f"every alias must be different, got {', '.join(aliases)}")
        return self


class IngestConfig(StageConfig):
    """One source, with the hash of what it held when the run was planned."""

    stage: ClassVar[str] = "ingest"
    kind: ClassVar[str] = "corpus"
    version: ClassVar[int] = 2

    docstrings: DocstringsSource | None = None
    files: FilesSource | None = None
    listing: str = Field(description="SHA-256 of the source's listing.")
    split: SplitConfig = SplitConfig()

    @property
    def source(self) -> DocstringsSource | FilesSource:
        """The one source that is set."""
        source = self.docstrings or self.files
        assert source is not None
        return source

    def label(self, inputs: dict[str, list[str]]) -> str:
        """Return the source's alias."""
        return self.source.alias


class DocstringLabels(Config):
    """Labels that docstrings bring along."""

    alias: str = ALIAS
    label: Literal["package", "summary"] = Field(
        description="`package`: which package it is from, names masked. `summary`: its first line."
    )
    source: str | None = Field(
        default=None, description="Alias of the docstrings source; needed only where there are several."
    )
    max_examples: int | None = Field(
        default=None, ge=1, description="At most so many training examples, chosen by hash; all if empty."
    )


LabelledTask = Literal[
    "classification", "multi_label", "token_classification", "question_answering", "generative_qa",
    "summarization", "translation", "generation", "dialogue", "similarity", "retrieval",
]  # fmt: skip


class LabelledFiles(Config):
    """A labelled set in files of any form that documents have (of text, a line each), CoNLL's, or SQuAD's.

    .conll, .bio: a word a line with its label behind, an empty line after each sentence.
    """

    alias: str = ALIAS
    task: LabelledTask = Field(description="What the labels are for.")
    urls: Annotated[list[str], UNADDRESSED] = Field(
        default=[], description="Files that hold both text and label."
    )
    urls_by_label: Annotated[dict[str, list[str]], UNADDRESSED] = Field(
        default={}, description="For classification: files whose every line or record has one label."
    )
    urls_by_split: Annotated[dict[str, list[str]], UNADDRESSED] = Field(
        default={}, description="Files of the splits train, validation and test, where each has its own."
    )
    columns: dict[str, str] = Field(
        default={},
        description="What the files call the task's columns, where they have other names: `{text: review}`.",
    )
    split_column: str | None = Field(
        default=None, description="Column that says train, validation or test; else dealt by hash."
    )
    group_column: str | None = Field(default=None, description="Column whose equal values stay in one split.")
    attribute_column: str | None = Field(
        default=None,
        description="Column by whose values errors are told apart: a domain, a dialect, a gender.",
    )
    license: str | None = Field(default=None, description="Licence of all examples.")
    max_examples: int | None = Field(
        default=None, ge=1, description="At most so many training examples, chosen by hash; all if empty."
    )

    @model_validator(mode="after")
    def _columns_are_the_tasks(self) -> "LabelledFiles":
        known = TASK_COLUMNS[self.task]
        for name in self.columns:
            if name not in known:
                raise ValueError(
                    f"{self.alias}: columns: {self.task} has no {name}; it has {', '.join(known)}"
                )
        if self.urls_by_label and self.task != "classification":
            raise ValueError(f"{self.alias}: urls_by_label is for classification, not for {self.task}")
        return self


class LabelSection(Config):
    """Where the labelled sets for fine-tuning come from."""

    docstrings: list[DocstringLabels] = Field(default=[], description="Labels that docstrings bring along.")
    files: list[LabelledFiles] = Field(default=[], description="Labelled files.")


class LabelConfig(StageConfig):
    """One labelled set; from files with the hash of their listing, or from curated documents."""

    stage: ClassVar[str] = "label"
    kind: ClassVar[str] = "labelled"
    version: ClassVar[int] = 4

    docstrings: DocstringLabels | None = None
    files: LabelledFiles | None = None
    listing: str | None = Field(default=None, description="SHA-256 of the listing of files.")
    split: SplitConfig = SplitConfig()

    def label(self, inputs: dict[str, list[str]]) -> str:
        """Return the set's alias."""
        source = self.docstrings or self.files
        assert source is not None
        return source.alias
