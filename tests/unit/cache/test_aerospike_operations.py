"""The operations as the client does them, against the store they are explored with.

Random sequences, some on a registry that is lost in between: the same answers, the same contents.
"""

import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import aerospike
import pytest

from hevfast.cache import aerospike_documents as documents
from hevfast.cache import aerospike_registry as registries
from hevfast.cache import operations as ops
from hevfast.cache.aerospike_client import DONE, NOT_FOUND, AerospikeCluster, do_batch
from hevfast.cache.aerospike_documents import Lives, Mirroring
from hevfast.cache.aerospike_registry import Asked, Place, Span, layout_of
from hevfast.cache.ending import elders_of
from hevfast.cache.events import Began, Finished, Looked
from hevfast.cache.keys import BUCKETS, NO_BUMPS, WHOLE, Bumps, Keys
from hevfast.cache.operations import Deed
from hevfast.cache.records import Record, is_hit, lease_op
from hevfast.cache.registry import Registry
from tests.fakes.aerospike import FakeAerospike
from tests.model import store as model
from tests.unit.cache.aerospike_stage import DOCUMENTS, REAL, REGISTRY, fresh_prefix, hosts_of

STEPS = 60
# Two buckets with two keys each, as the model has them.
DIGESTS = [0, 1, BUCKETS, BUCKETS + 1]
SPAN = Span(0, 2)


@pytest.fixture(scope="module")
def client() -> Iterator[aerospike.Client]:
    if REAL:
        connected = AerospikeCluster(hosts_of(None), "")._connected()
        yield connected
        connected.close()
        return
    with FakeAerospike() as node:
        connected = AerospikeCluster(node.hosts, "")._connected()
        yield connected
        connected.close()


class Twins:
    """A store of each kind, which are told the same."""

    def __init__(self, client: aerospike.Client, seed: int) -> None:
        self.rng = random.Random(seed)
        self.client = client
        self.place: Place = layout_of(DOCUMENTS, REGISTRY, fresh_prefix()).place(b"books")
        self.model = model.Store(None, (None,) * len(DIGESTS), 0, False)
        self.tokens: list[bytes] = []
        self.leases: list[tuple[int, bytes, bytes]] = []
        # Random epochs, in the order they came up: the model counts them.
        self.epochs: dict[bytes, bytes] = {}

    def draw(self) -> bytes:
        return self.rng.randbytes(16)

    def some_tokens(self) -> tuple[bytes, ...]:
        known = [*self.tokens[-4:], self.draw()]
        return tuple(self.rng.sample(known, self.rng.randrange(1, min(3, len(known)) + 1)))

    def bumps(self) -> Bumps:
        buckets = [frozenset({0}), frozenset({1}), frozenset({0, 1})]
        return self.rng.choice([NO_BUMPS, WHOLE, *map(Bumps, buckets)])

    def told(self, op: object) -> object:
        self.model, reply = model.apply(self.model, op)
        return reply

    def as_modelled(self, registry: Registry | None) -> Registry | None:
        """Give a registry with its epoch as the model counts it."""
        if registry is None:
            return None
        fence = registry.fence
        counted = self.epochs.setdefault(fence.epoch, (len(self.epochs) + 1).to_bytes(8, "big"))
        fence = fence._replace(epoch=counted, counters=fence.counters[:8])
        return registry._replace(fence=fence, tokens=tuple(sorted(registry.tokens)))

    def operated(
        self, asked: Asked, alone: Callable[[aerospike.Client], dict[str, Any]]
    ) -> dict[str, Any]:
        """Do an operation together with others, or alone where it has to be, and now and then."""
        if self.rng.random() < 0.3:
            return alone(self.client)
        others = self.rng.randrange(3)
        beside = [registries.finish(self.place, ops.Finish((self.draw(),), NO_BUMPS)).record]
        do_batch(self.client, [*beside * others, *asked.before, asked.record])
        if asked.record.result == DONE:
            bins: dict[str, Any] = asked.record.record[2]
            return bins
        assert asked.record.result == NOT_FOUND
        return alone(self.client)

    # One step of each kind…

    def begin(self) -> None:
        digests = self.rng.sample(DIGESTS, self.rng.randrange(1, 5))
        if self.rng.random() < 0.2:
            digests = list(range(100))
        keys = None if self.rng.random() < 0.1 else Keys.of(sorted(digests))
        op = ops.Begin(self.draw(), keys)
        self.tokens.append(op.token)
        reply = self.told(op)
        assert isinstance(reply, Began)
        asked = registries.begin(self.place, op, 100)
        bins = self.operated(asked, asked.alone)
        found = self.as_modelled(registries.began(asked, bins))
        assert found is not None
        # Tokens of strangers may be left out, and no others.
        all_there = reply.registry.tokens
        assert set(elders_of(keys, all_there)) <= set(found.tokens) <= set(all_there)
        assert found.young == reply.registry.young

    def finish(self) -> None:
        op = ops.Finish(self.some_tokens(), self.bumps())
        reply = self.told(op)
        asked = registries.finish(self.place, op)
        alone = partial(registries.finish_alone, asked=asked)
        found = registries.finished(self.operated(asked, alone))
        assert isinstance(reply, Finished)
        assert found.there == reply.there
        assert self.epochs.get(found.epoch, b"") == reply.epoch

    def repair(self) -> None:
        op = ops.Repair(self.some_tokens(), self.bumps())
        self.told(op)
        registries.repair(self.client, self.place, op)

    def drop(self) -> None:
        op = ops.DropTokens(self.some_tokens())
        self.told(op)
        registries.drop_tokens(self.client, self.place, op)

    def remove(self) -> None:
        if self.rng.random() < 0.3:
            self.told(ops.RemoveRegistry())
            registries.remove(self.client, self.place)

    def create(self) -> None:
        reply = self.told(ops.CreateRegistry())
        found = self.as_modelled(registries.create(self.client, self.place, SPAN))
        assert found == reply

    def sweep(self) -> None:
        op = ops.Sweep(self.some_tokens()[0], self.bumps())
        self.told(op)
        registries.sweep(self.client, self.place, op)

    def mature(self) -> None:
        epoch = self.rng.choice([*self.epochs, bytes(8)])
        self.told(ops.Mature(self.epochs.get(epoch, b"none")))
        registries.mature(self.client, self.place, ops.Mature(epoch))

    def mirror(self) -> None:
        """Put or remove a record, with a stamp that is valid or one that was."""
        found = registries.look(self.client, self.place, SPAN)
        shelf = self.model.shelf
        if found is None or shelf is None:
            return
        number = self.rng.randrange(len(DIGESTS))
        deed = self.rng.choice([Deed.PUT, Deed.REMOVE])
        keys, value = Keys.of([DIGESTS[number]]), self.draw()
        mirror = ops.Mirror(keys, bytes([deed]), found.fence, ())
        rows = [(DIGESTS[number].to_bytes(4, "big"), b"id", value)]
        mirroring = Mirroring(self.place, mirror, rows, {}, None, Lives(100))
        records = mirroring.records({0: False})
        do_batch(self.client, records)
        assert documents.left_of({0: False}, records) == ({}, [])
        stamp = model.fence_of(shelf).stamp(DIGESTS[number] % BUCKETS)
        record = Record(value, stamp) if deed is Deed.PUT else None
        self.model, _ = model.write_record(self.model, number, record)

    def look_up(self) -> None:
        number = self.rng.randrange(len(DIGESTS))
        digest, mark = DIGESTS[number].to_bytes(4, "big"), self.draw()
        seen = documents.look_up(self.client, self.place, [(digest, b"id")], mark)
        record, shelf = self.model.records[number], self.model.shelf
        bucket = DIGESTS[number] % BUCKETS
        if is_hit(record, None if shelf is None else model.fence_of(shelf), bucket):
            assert record is not None
            assert seen.rows == [record.value]
            return
        assert seen.rows == [None]
        self.told(ops.CreateRegistry())
        self.as_modelled(registries.look(self.client, self.place, SPAN))
        asked = lease_op(record, mark)
        assert (seen.marks == [None]) == (asked is None)
        if asked is not None and seen.marks[0] is not None:
            self.model, _ = model.lease_record(self.model, number, asked)
            assert self.model.shelf is not None
            stamp = model.fence_of(self.model.shelf).stamp(bucket)
            self.leases.append((number, seen.marks[0], stamp))

    def fill(self) -> None:
        if not self.leases:
            return
        number, mark, stamp = self.rng.choice(self.leases)
        value = self.draw()
        filled = ops.FillIfLease(mark[:16], value, stamp)
        self.model, _ = model.fill_record(self.model, number, filled)
        digest = DIGESTS[number].to_bytes(4, "big")
        documents.fill(self.client, self.place, digest, mark, value, Lives(100))

    # Whether they are still alike…

    def compare(self) -> None:
        found = registries.look(self.client, self.place, SPAN)
        reply = self.told(ops.ReadRegistry(Keys.of(DIGESTS)))
        assert isinstance(reply, Looked)
        assert self.as_modelled(found) == reply.registry
        rows = [(digest.to_bytes(4, "big"), b"id", None) for digest in DIGESTS]
        keys, numbers = Keys.of(DIGESTS), range(len(DIGESTS))
        reads = documents.base_reads(self.place, keys, numbers)
        do_batch(self.client, reads)
        records = dict(documents.bases_of(rows, numbers, reads))
        for number, digest in enumerate(DIGESTS):
            modelled, record = self.model.records[number], records.get(number)
            if modelled is not None and modelled.lease is not None:
                # It names no id, so it is nobody's base.
                assert record is None
                continue
            assert (record and record.value) == (modelled and modelled.value)
            fence = reply.registry.fence if reply.registry is not None else None
            hit = is_hit(record, found.fence if found is not None else None, digest % BUCKETS)
            assert hit == is_hit(modelled, fence, digest % BUCKETS)


KINDS = ["begin", "finish", "repair", "drop", "remove", "create", "sweep", "mature"]
KINDS += ["mirror", "look_up", "fill"] * 2


@pytest.mark.parametrize("seed", range(40))
def test_operations_do_what_the_model_does(client: aerospike.Client, seed: int) -> None:
    twins = Twins(client, seed)
    for _ in range(STEPS):
        getattr(twins, twins.rng.choice(KINDS))()
        twins.compare()
