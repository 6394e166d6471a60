"""A full-text index of one attribute, and the BM25 score that it gives documents."""

import math
from collections import Counter
from collections.abc import Mapping

from .analysis import analyzer_of
from .document import Document


class TextIndex:
    """Which documents hold which tokens, and how often.

    It takes documents in when it is next asked something, so that writes do not wait for it.
    """

    def __init__(self, name: str, settings: Mapping[str, object]) -> None:
        self.name = name
        self.settings = settings
        self.analyzer = analyzer_of(settings)
        self._postings: dict[str, dict[Document, int]] = {}
        self._lengths: dict[Document, int] = {}
        self._length_sum = 0
        self._arrived: dict[Document, None] = {}

    def __repr__(self) -> str:
        return f"<TextIndex {self.name} documents={len(self._lengths)} new={len(self._arrived)}>"

    def add(self, document: Document) -> None:
        self._arrived[document] = None

    def remove(self, document: Document) -> None:
        if document in self._arrived:
            del self._arrived[document]
        elif document in self._lengths:
            self._length_sum -= self._lengths.pop(document)
            for token in set(self.analyzer.tokens(document.attributes[self.name])):
                held = self._postings[token]
                del held[document]
                if not held:
                    del self._postings[token]

    def scores(self, tokens: list[str], prefix: str) -> dict[Document, float]:
        """Score every document that holds one of the tokens, or one that begins with `prefix`.

        Okapi BM25 with the terms k1, b and k3; the idf is the one that is never negative, and that
        it is the service's is unconfirmed.
        """
        self._take_in()
        found: dict[Document, float] = {}
        for token, times in Counter(tokens).items():
            self._score(self._postings.get(token, {}), times, found)
        if prefix:
            begun: Counter[Document] = Counter()
            for token, held in self._postings.items():
                if token.startswith(prefix):
                    begun.update(held)
            self._score(begun, 1, found)
        return found

    def _score(
        self, held: Mapping[Document, int], times: int, found: dict[Document, float]
    ) -> None:
        if not held:
            return
        k1, b, k3 = (self._number(name) for name in ("k1", "b", "k3"))
        count = len(self._lengths)
        idf = math.log(1 + (count - len(held) + 0.5) / (len(held) + 0.5))
        weight = idf * (k1 + 1) * ((k3 + 1) * times / (k3 + times))
        average = self._length_sum / count or 1.0
        for document, often in held.items():
            norm = k1 * (1 - b + b * self._lengths[document] / average)
            found[document] = found.get(document, 0.0) + weight * often / (often + norm)

    def _number(self, name: str) -> float:
        value = self.settings[name]
        assert isinstance(value, int | float)
        return float(value)

    def _take_in(self) -> None:
        for document in self._arrived:
            value = document.attributes.get(self.name)
            if value is None:
                continue
            tokens = self.analyzer.tokens(value)
            self._lengths[document] = len(tokens)
            self._length_sum += len(tokens)
            for token, often in Counter(tokens).items():
                self._postings.setdefault(token, {})[document] = often
        self._arrived.clear()
