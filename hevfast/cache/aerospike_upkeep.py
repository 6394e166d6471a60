"""What a replica has to see to in the background: dead writers, young registries, unpaid bumps."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final, TypeAlias

from hevfast.cache.operations import Mature, RemoveRegistry, Repair, Sweep
from hevfast.cache.registry import Registry, Token, mature_due, mature_op, sweep_due, sweep_op

# Namespaces watched, and namespaces owed a bump; the ones longest in it are forgotten first.
_NAMESPACES_MAX: Final = 100_000

# Tokens that a debt names. Those beyond it are swept.
_TOKENS_MAX: Final = 64


class Watch:
    """When this replica first saw tokens and young registries. Told the time, does nothing."""

    __slots__ = ("_epochs", "_namespaces", "_tokens")

    def __init__(self) -> None:
        self._namespaces: OrderedDict[bytes, None] = OrderedDict()
        self._tokens: dict[bytes, dict[bytes, int]] = {}
        self._epochs: dict[bytes, tuple[bytes, int]] = {}

    def __repr__(self) -> str:
        return f"<Watch of {len(self._namespaces)} namespaces>"

    def __iter__(self) -> Iterator[bytes]:
        return iter(tuple(self._namespaces))

    def add(self, namespace: bytes) -> None:
        """Watch a namespace: there was a token in it, or it is young."""
        if namespace not in self._namespaces:
            self._namespaces[namespace] = None
            if len(self._namespaces) > _NAMESPACES_MAX:
                self._forget(next(iter(self._namespaces)))

    def due(
        self, namespace: bytes, registry: Registry | None, now_ms: int, patience_ms: int
    ) -> list[Sweep | Mature]:
        """Take what is there now; give what is to be done about it."""
        if registry is None or not (registry.tokens or registry.young):
            self._forget(namespace)
            return []
        before = self._tokens.get(namespace, {})
        seen = {token.id: before.get(token.id, now_ms) for token in registry.tokens}
        self._tokens[namespace] = seen
        deeds: list[Sweep | Mature] = [
            sweep_op(token)
            for token in registry.tokens
            if sweep_due(seen[token.id], now_ms, patience_ms)
        ]
        epoch = registry.fence.epoch
        if registry.young and self._epochs.get(namespace, (b"",))[0] != epoch:
            self._epochs[namespace] = epoch, now_ms
        if mature_due(registry, self._epochs.get(namespace, (b"", now_ms))[1], now_ms, patience_ms):
            deeds.append(mature_op(registry))
        return deeds

    def _forget(self, namespace: bytes) -> None:
        self._namespaces.pop(namespace, None)
        self._tokens.pop(namespace, None)
        self._epochs.pop(namespace, None)


# Removing the registry bumps everything, takes all tokens out, and makes the next one young.
Debt: TypeAlias = Repair | RemoveRegistry


class Debts:
    """The bumps of writes that were answered without: to be paid before hits are served again."""

    __slots__ = ("_debts",)

    def __init__(self) -> None:
        self._debts: OrderedDict[bytes, Debt] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Debts to {len(self._debts)} namespaces>"

    def __len__(self) -> int:
        return len(self._debts)

    def __contains__(self, namespace: bytes) -> bool:
        return namespace in self._debts

    def __iter__(self) -> Iterator[bytes]:
        return iter(tuple(self._debts))

    def owe(self, namespace: bytes, debt: Debt) -> bool:
        """Add a debt. False: another one had to be forgotten for it."""
        had = self._debts.get(namespace)
        if isinstance(had, Repair) and isinstance(debt, Repair):
            tokens = (*had.tokens, *debt.tokens)[:_TOKENS_MAX]
            debt = Repair(tokens, had.bumps | debt.bumps)
        elif isinstance(had, RemoveRegistry):
            # Another one, though: the one that is being paid may not cover what was added.
            debt = RemoveRegistry()
        self._debts[namespace] = debt
        if len(self._debts) <= _NAMESPACES_MAX:
            return True
        self._debts.popitem(last=False)
        return False

    def get(self, namespace: bytes) -> Debt | None:
        return self._debts.get(namespace)

    def paid(self, namespace: bytes, debt: Debt) -> None:
        """Strike out a debt, unless more has been added to it meanwhile."""
        if self._debts.get(namespace) is debt:
            del self._debts[namespace]


class Lists:
    """Digest lists of other writes: they never change, so each is read once."""

    __slots__ = ("_bytes", "_bytes_max", "_lists")

    def __init__(self, bytes_max: int) -> None:
        self._lists: OrderedDict[bytes, bytes] = OrderedDict()
        self._bytes = 0
        self._bytes_max = bytes_max

    def __repr__(self) -> str:
        return f"<Lists of {len(self._lists)} writes, {self._bytes} bytes>"

    def __contains__(self, token: bytes) -> bool:
        return token in self._lists

    def keep(self, lists: dict[bytes, bytes]) -> None:
        for token, digests in lists.items():
            self._bytes += len(digests) - len(self._lists.pop(token, b""))
            self._lists[token] = digests
        while self._bytes > self._bytes_max:
            self._bytes -= len(self._lists.popitem(last=False)[1])

    def known(self, token: Token) -> Token:
        """Give the token with its list, if that is here."""
        return Token(token.id, self._lists.get(token.id, token.held))
