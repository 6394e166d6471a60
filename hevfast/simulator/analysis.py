"""Text into tokens: splitting, case, folding, stop words and stems, as the schema says."""

from collections.abc import Mapping
from functools import lru_cache

from tantivy import Filter, TextAnalyzer, TextAnalyzerBuilder, Tokenizer

from .answers import bad_request
from .values import Value

PRE_TOKENIZED = "pre_tokenized_array"

# All of them split where letters and digits end; how the real versions differ is unconfirmed.
WORD_TOKENIZERS = frozenset({"word_v0", "word_v1", "word_v2", "word_v3", "word_v4"})

LANGUAGES = frozenset(
    {"arabic", "danish", "dutch", "english", "finnish", "french", "german", "greek", "hungarian"}
    | {"italian", "norwegian", "portuguese", "romanian", "russian", "spanish", "swedish", "tamil"}
    | {"turkish"}
)
# The library has no stop words for the other languages: theirs stay.
_STOP_WORDS = LANGUAGES - {"arabic", "greek", "romanian", "tamil", "turkish"}

TOKEN_BYTES_RANGE = range(1, 255)


class Analyzer:
    """Turns values and queries of one attribute into tokens."""

    def __init__(self, settings: Mapping[str, object]) -> None:
        self.is_pre_tokenized = settings["tokenizer"] == PRE_TOKENIZED
        self._whole = _pipeline(settings, words=True)
        self._plain = _pipeline(settings, words=False)

    def tokens(self, value: Value) -> list[str]:
        """Tokens of a stored value; the elements of an array follow each other."""
        parts = value if isinstance(value, list) else [value]
        if self.is_pre_tokenized:
            return [str(part) for part in parts if part is not None]
        return [
            token for part in parts if part is not None for token in self._whole.analyze(str(part))
        ]

    def query_tokens(self, query: str | list[str], last_as_prefix: bool) -> tuple[list[str], str]:
        """Tokens of a query, and the literal prefix that its last one is, if asked for."""
        tokens = self.tokens(query)
        if not last_as_prefix:
            return tokens, ""
        if self.is_pre_tokenized:
            return tokens[:-1], tokens[-1] if tokens else ""
        last = query[-1] if isinstance(query, list) and query else str(query)
        plain = self._plain.analyze(last)
        prefix = plain[-1] if plain else ""
        # The prefix is literal, so its stemmed form must not be searched for as well.
        stem = self._whole.analyze(prefix)
        return (tokens[:-1] if stem and tokens[-1:] == stem else tokens), prefix


@lru_cache(maxsize=256)
def _built(settings: tuple[tuple[str, object], ...]) -> Analyzer:
    return Analyzer(dict(settings))


def analyzer_of(settings: Mapping[str, object]) -> Analyzer:
    return _built(tuple(sorted(settings.items())))


def check_settings(name: str, settings: Mapping[str, object], *, is_array: bool) -> None:
    """Hold full-text settings to what can be analysed."""
    tokenizer, language = settings["tokenizer"], settings["language"]
    if tokenizer != PRE_TOKENIZED and tokenizer not in WORD_TOKENIZERS:
        raise bad_request(f"attribute `{name}`: unknown tokenizer `{tokenizer}`")
    if tokenizer == PRE_TOKENIZED and not is_array:
        raise bad_request(f"attribute `{name}`: tokenizer {PRE_TOKENIZED} needs type []string")
    if language not in LANGUAGES:
        raise bad_request(f"attribute `{name}`: unknown language `{language}`")
    if settings["max_token_length"] not in TOKEN_BYTES_RANGE:
        raise bad_request(f"attribute `{name}`: max_token_length must be 1 to 254")
    for number in ("k1", "b", "k3"):
        value = settings[number]
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise bad_request(f"attribute `{name}`: {number} must be a number of at least 0")


def _pipeline(settings: Mapping[str, object], *, words: bool) -> TextAnalyzer:
    """Build the steps; `words` adds what looks at whole words, stop words and stems."""
    longest = settings["max_token_length"]
    assert isinstance(longest, int)
    builder = TextAnalyzerBuilder(Tokenizer.simple()).filter(Filter.remove_long(longest + 1))
    if not settings["case_sensitive"]:
        builder = builder.filter(Filter.lowercase())
    language = str(settings["language"])
    if words and settings["remove_stopwords"] and language in _STOP_WORDS:
        builder = builder.filter(Filter.stopword(language))
    if words and settings["stemming"]:
        builder = builder.filter(Filter.stemmer(language))
    if settings["ascii_folding"]:
        builder = builder.filter(Filter.ascii_fold())
    return builder.build()
