"""Draws the writes of the load: every shape of body, and in every row the number of its write."""

import random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tests.history.truth import Space

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]

# Values of the attribute that filters and conditions look at.
_GROUPS: Final = 3
# Ids of a namespace that most requests meet at; the others are for bulk writes.
HOT: Final = 6
COLD: Final = 16


class Draft(NamedTuple):
    """A write to be sent. `texts`: the rows it names; None body: delete the namespace."""

    what: str
    texts: list[str]
    body: Json | None


def layout() -> dict[str, list[int | str]]:
    """Give the namespaces and their ids: texts, numbers, and texts that a path must escape."""
    return {
        "letters": [f"k{n}" for n in range(HOT + COLD)],
        "numbers": [2**64 - 1 - n if n == 0 else n for n in range(HOT + COLD)],
        "odd": [f"é/{n} %41" for n in range(HOT + COLD)],
    }


class Drafter:
    """Draws from one generator, so that a seed gives the same writes."""

    def __init__(self, generator: random.Random) -> None:
        self._random = generator

    def hot(self, space: Space, most: int = 1) -> list[str]:
        """Choose some hot rows, the first ones far more often: requests must meet."""
        return self._some_of(list(space.ids)[:HOT], most)

    def _writable(self, space: Space, most: int = 1) -> list[str]:
        """Choose some hot rows that do not rest; if all do, a cold one."""
        hot = [text for text in list(space.ids)[:HOT] if not space.pasts[text].rests]
        return self._some_of(hot or list(space.ids)[-1:], most)

    def _some_of(self, texts: list[str], most: int) -> list[str]:
        count = self._random.randint(1, most)
        last = len(texts) - 1
        return sorted({texts[min(int(self._random.expovariate(0.7)), last)] for _ in range(count)})

    def write(self, space: Space, number: int) -> Draft:
        kinds: list[tuple[float, Callable[[Space, int], Draft]]] = [
            (37, self._upsert),
            (32, self._patch),
            (8, self._delete),
            (14, self._conditional),
            (6, self._mixed),
            (1, self._bulk),
        ]
        if not space.rests:
            # Rare, since they empty the cache; but often enough for each to meet all others.
            kinds += [
                (0.4, self._delete_by_filter),
                (0.4, self._patch_by_filter),
                (0.2, self._delete_namespace),
            ]
        weights = [weight for weight, _ in kinds]
        return self._random.choices(kinds, weights)[0][1](space, number)

    def row(self, identifier: int | str, number: int) -> Json:
        """Give a whole row. Which attributes it has is drawn: what is left out must vanish."""
        row: Json = {"id": identifier, "v": number, "g": self._random.randrange(_GROUPS)}
        for name, value in (("a", f"a-{number}"), ("b", number), ("c", [number, None])):
            if self._random.random() < 0.5:
                row[name] = value
        if self._random.random() < 0.2:
            row["vector"] = [0.5, 1]
        if self._random.random() < 0.1:
            row["d"] = None
        return row

    def part(self, identifier: int | str, number: int) -> Json:
        """Give a patch: some attributes, one of them perhaps taken away."""
        patch: Json = {"id": identifier, "v": number}
        name = self._random.choice("abp")
        patch[name] = None if self._random.random() < 0.2 else f"{name}-{number}"
        return patch

    def upsert_of(self, space: Space, texts: list[str], number: int) -> Draft:
        rows = [self.row(space.ids[text], number) for text in texts]
        return Draft("upsert", texts, {"upsert_rows": rows})

    def patch_of(self, space: Space, texts: list[str], number: int) -> Draft:
        rows = [self.part(space.ids[text], number) for text in texts]
        return Draft("patch", texts, {"patch_rows": rows})

    def _upsert(self, space: Space, number: int) -> Draft:
        draft = self.upsert_of(space, self._writable(space, 3), number)
        assert draft.body is not None
        lot = self._random.random()
        if lot < 0.15:
            draft.body["schema"] = {"a": {"type": "string"}}
        elif lot < 0.35:
            ids = [space.ids[text] for text in draft.texts]
            columns = {"id": ids, "v": [number] * len(ids), "b": [number] * len(ids)}
            return draft._replace(body={"upsert_columns": columns})
        return draft

    def _patch(self, space: Space, number: int) -> Draft:
        texts = self._writable(space, 3)
        if self._random.random() < 0.2:
            ids = [space.ids[text] for text in texts]
            columns = {"id": ids, "v": [number] * len(ids), "p": [f"p-{number}"] * len(ids)}
            return Draft("patch", texts, {"patch_columns": columns})
        return self.patch_of(space, texts, number)

    def _delete(self, space: Space, number: int) -> Draft:
        texts = self._writable(space, 2)
        return Draft("delete", texts, {"deletes": [space.ids[text] for text in texts]})

    def _conditional(self, space: Space, number: int) -> Draft:
        texts = self._writable(space, 3)
        lot = self._random.random()
        # Met only if no younger write came first, which with the delays is often not so.
        condition: list[Any] = ["v", "Lt", {"$ref_new": "v"}]
        if lot < 0.5:
            condition = ["g", "Eq", self._random.randrange(_GROUPS)]
        if lot < 0.7:
            rows = [self.row(space.ids[text], number) for text in texts]
            body: Json = {"upsert_rows": rows, "upsert_condition": condition}
        elif lot < 0.85:
            rows = [self.part(space.ids[text], number) for text in texts]
            body = {"patch_rows": rows, "patch_condition": condition}
        else:
            ids = [space.ids[text] for text in texts]
            body = {"deletes": ids, "delete_condition": ["g", "Eq", 0]}
        if self._random.random() < 0.2:
            body["return_affected_ids"] = True
        return Draft("conditional write", texts, body)

    def _mixed(self, space: Space, number: int) -> Draft:
        texts = [text for text in space.ids if not space.pasts[text].rests][:HOT]
        self._random.shuffle(texts)
        first, second, third = (space.ids[text] for text in texts[:3])
        body = {
            "upsert_rows": [self.row(first, number)],
            "patch_rows": [self.part(second, number)],
            "deletes": [third],
        }
        return Draft("upsert, patch and delete", texts[:3], body)

    def _bulk(self, space: Space, number: int) -> Draft:
        """Write more rows than the cache lists one by one in a write's token."""
        texts = {*self._writable(space, 2), *list(space.ids)[HOT:]}
        awake = [text for text in space.ids if text in texts and not space.pasts[text].rests]
        return self.upsert_of(space, awake, number)

    def _delete_by_filter(self, space: Space, number: int) -> Draft:
        condition = ["g", "Eq", self._random.randrange(_GROUPS)]
        return Draft("delete by filter", list(space.ids), {"delete_by_filter": condition})

    def _patch_by_filter(self, space: Space, number: int) -> Draft:
        condition = ["g", "Eq", self._random.randrange(_GROUPS)]
        body = {"filters": condition, "patch": {"v": number, "p": f"p-{number}"}}
        return Draft("patch by filter", list(space.ids), {"patch_by_filter": body})

    def _delete_namespace(self, space: Space, number: int) -> Draft:
        return Draft("delete namespace", list(space.ids), None)
