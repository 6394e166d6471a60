"""Reads `/metrics` as Prometheus does: with the official parser, so that its text must be valid."""

from prometheus_client.parser import text_string_to_metric_families

from hevfast.observe.exposition import Exposition
from hevfast.observe.tally import Tally


class Scrape:
    """The samples of one answer."""

    def __init__(self, text: str) -> None:
        self.families = {each.name: each for each in text_string_to_metric_families(text)}
        self.samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        for family in self.families.values():
            for sample in family.samples:
                key = sample.name, frozenset(sample.labels.items())
                assert key not in self.samples, f"{key} comes twice"
                self.samples[key] = sample.value

    def value(self, name: str, **labels: str) -> float:
        """Give one sample; 0 if there is none yet."""
        return self.samples.get((name, frozenset(labels.items())), 0.0)

    def total(self, name: str, **labels: str) -> float:
        """Give the sum of all samples of a name that have these labels."""
        wanted = set(labels.items())
        return sum(
            value
            for (found, pairs), value in self.samples.items()
            if found == name and wanted <= pairs
        )

    def values_of(self, name: str, label: str) -> set[str]:
        """Give the values that a label has."""
        return {dict(pairs)[label] for found, pairs in self.samples if found == name}


async def scraped(tally: Tally) -> Scrape:
    return Scrape(b"".join(await Exposition(tally).pieces()).decode())
