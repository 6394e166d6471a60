"""xxHash, 64 bits, seed 0, from its public specification."""

from __future__ import annotations

MASK = 2**64 - 1
PRIME_1 = 0x9E3779B185EBCA87
PRIME_2 = 0xC2B2AE3D27D4EB4F
PRIME_3 = 0x165667B19E3779F9
PRIME_4 = 0x85EBCA77C2B2AE63
PRIME_5 = 0x27D4EB2F165667C5


def _rotated(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (64 - bits))) & MASK


def _round(lane: int, word: int) -> int:
    return _rotated((lane + word * PRIME_2) & MASK, 31) * PRIME_1 & MASK


def xxh64(data: bytes) -> int:
    """Return the hash of `data`."""
    at = 0
    if len(data) >= 32:
        lanes = [(PRIME_1 + PRIME_2) & MASK, PRIME_2, 0, -PRIME_1 & MASK]
        while at + 32 <= len(data):
            for lane in range(4):
                word = int.from_bytes(data[at : at + 8], "little")
                lanes[lane] = _round(lanes[lane], word)
                at += 8
        bits = (1, 7, 12, 18)
        hashed = sum(_rotated(lane, bit) for lane, bit in zip(lanes, bits, strict=True)) & MASK
        for lane in lanes:
            hashed = ((hashed ^ _round(0, lane)) * PRIME_1 + PRIME_4) & MASK
    else:
        hashed = PRIME_5
    hashed = (hashed + len(data)) & MASK
    while at + 8 <= len(data):
        hashed ^= _round(0, int.from_bytes(data[at : at + 8], "little"))
        hashed = (_rotated(hashed, 27) * PRIME_1 + PRIME_4) & MASK
        at += 8
    if at + 4 <= len(data):
        hashed ^= int.from_bytes(data[at : at + 4], "little") * PRIME_1 & MASK
        hashed = (_rotated(hashed, 23) * PRIME_2 + PRIME_3) & MASK
        at += 4
    for byte in data[at:]:
        hashed ^= byte * PRIME_5 & MASK
        hashed = _rotated(hashed, 11) * PRIME_1 & MASK
    for shift, prime in ((33, PRIME_2), (29, PRIME_3)):
        hashed = (hashed ^ (hashed >> shift)) * prime & MASK
    return hashed ^ (hashed >> 32)
