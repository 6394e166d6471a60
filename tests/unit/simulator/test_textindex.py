"""The full-text index follows every change of the documents."""

import random

import pytest

from hevfast.simulator.document import Document
from hevfast.simulator.textindex import TextIndex

from .conftest import Service

WORDS = ["reef", "atoll", "kelp", "tide", "shoal", "seal"]
SCHEMA = {"t": {"type": "string", "full_text_search": True}}


def play(seed: int) -> None:
    """Change documents at random; the index must always be one made anew."""
    draw = random.Random(seed)
    service = Service(index_lag_ms=draw.choice([0, 4000]))
    service.write(schema=SCHEMA, upsert_rows=[{"id": 0, "t": "reef"}])
    namespace = service.catalogue.find("books")
    for _ in range(40):
        service.now_s += draw.choice([0, 1, 3])
        id_ = draw.randrange(5)
        text = " ".join(draw.choices(WORDS, k=draw.randrange(6))) if draw.random() < 0.9 else None
        change = draw.choice(["upsert_rows", "patch_rows", "deletes"])
        service.write(**{change: [id_] if change == "deletes" else [{"id": id_, "t": text}]})
        service.catalogue.find("books")
        index = namespace.text_index("t")
        fresh = TextIndex("t", index.settings)
        for document in (*namespace.documents.values(), *namespace.backlog.versions()):
            fresh.add(document)
        for tokens, prefix in (["reef"], ""), (["kelp", "tide", "kelp"], ""), (["seal"], "sh"):
            assert index.scores(tokens, prefix) == pytest.approx(fresh.scores(tokens, prefix))


def play_some() -> None:
    for seed in range(10):
        play(seed)


def test_index_equals_one_made_anew_after_any_changes() -> None:
    play_some()


def test_such_changes_find_an_index_that_forgets_to_remove(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forgetful(index: TextIndex, document: Document) -> None:
        index._arrived.pop(document, None)

    monkeypatch.setattr(TextIndex, "remove", forgetful)
    with pytest.raises(AssertionError):
        play_some()
