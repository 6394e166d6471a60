"""Faults to be planted into copies of the scanner's headers: tests have to see each of them."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.native.library import EXT, cached_folder

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Plant:
    """A change to one header: `text`, which is there exactly once, gives way to `planted`."""

    file: str
    text: str
    planted: str


class PlantError(AssertionError):
    """The text to be replaced is not there once: the header changed, and so must the plant."""


# Each resembles a fault that was made before, here or in other scanners.
PLANTS = {
    "UTF-8 unchecked on the fast path": Plant(
        "skip_avx2.h",
        "__m256i control = _mm256_cmpgt_epi8(_mm256_set1_epi8(0x20), v);",
        "__m256i control = _mm256_cmpeq_epi8(_mm256_min_epu8(v, _mm256_set1_epi8(0x1f)), v);",
    ),
    "last of four blocks of text unseen": Plant(
        "skip_avx2.h",
        "_mm256_or_si256(c, d)))) break;",
        "_mm256_or_si256(c, c)))) break;",
    ),
    "number run loses its carry": Plant(
        "skip_avx2.h",
        "uint64_t starts = number & ~(number << 1 | in_number);",
        "uint64_t starts = number & ~(number << 1);",
    ),
    "two commas on either side of a block": Plant(
        "skip_avx2.h",
        "uint64_t twice = at & (at << 1 | carry);",
        "uint64_t twice = at & at << 1;",
    ),
    "carry of the byte before the last": Plant(
        "skip_avx2.h",
        "carry = at >> 63;",
        "carry = at >> 62 & 1;",
    ),
    "commas of whole blocks uncounted": Plant(
        "skip_avx2.h",
        "    *need_value = (int)carry;\n    *commas += passed;\n",
        "    *need_value = (int)carry;\n",
    ),
    "read one past the end": Plant(
        "skip_portable.h",
        "while (p < end && !(CHAR_CLASS[*p] & CHAR_STOPS_TEXT)) p++;",
        "while (!(CHAR_CLASS[*p] & CHAR_STOPS_TEXT) && p < end) p++;",
    ),
    "lower limit of UTF-8 after 0xE0": Plant(
        "walk_rules.h",
        "if (lead == 0xE0) low = 0xA0;",
        "if (lead == 0xE0) low = 0x9F;",
    ),
    "surrogates in UTF-8": Plant(
        "walk_rules.h",
        "if (lead == 0xED) high = 0x9F;",
        "",
    ),
    "UTF-8 cut short by the end": Plant(
        "walk_rules.h",
        "if (w->end - p <= more || p[1] < low",
        "if (w->end - p < more || p[1] < low",
    ),
    "parity of backslashes": Plant(
        "walk_rules.h",
        """case '"': case '\\\\': case '/':""",
        """case '\\\\': return p - 1; case '"': case '/':""",
    ),
    "three digits for a code unit": Plant(
        "walk_rules.h",
        "for (int i = 0; i < 4; i++, p++) {",
        "for (int i = 0; i < 3; i++, p++) {",
    ),
    "control character 0x1F": Plant(
        "chars.h",
        "/* 0x10 */ T16,",
        "/* 0x10 */ TTTT, TTTT, TTTT, T, T, T, 0,",
    ),
    "one level too deep": Plant(
        "walk.h",
        "if (depth == SCAN_DEPTH_MAX) return",
        "if (depth == SCAN_DEPTH_MAX + 1) return",
    ),
    "one level too shallow in rows": Plant(
        "walk_body.h",
        "p = WALK(value)(w, p, 3, &shape);\n            if (p && attribute",
        "p = WALK(value)(w, p, 4, &shape);\n            if (p && attribute",
    ),
    "escaped key not resolved": Plant(
        "walk_rules.h",
        "    if (!key->escaped) return",
        "    if (key->escaped < 2) return",
    ),
    "letter of an escape taken for itself": Plant(
        "walk_rules.h",
        "            name[size] = 0xFF;\n            p += 2;",
        "            name[size] = p[1];\n            p += 2;",
    ),
    "remembered key kept for the next operation": Plant(
        "walk_body.h",
        "    w->memos_count = 0;\n",
        "",
    ),
    "remembered id accepted twice": Plant(
        "walk_body.h",
        "int again = memo->attribute == WALK_ID && row->id_end;",
        "int again = 0;",
    ),
    "remembered key with another first letter": Plant(
        "skip_avx2.h",
        "return _bzhi_u32(differs, size) == 0;",
        "return (_bzhi_u32(differs, size) & ~2u) == 0;",
    ),
    "white space behind a remembered key": Plant(
        "walk_body.h",
        " && p[memo->size] > ' ') {",
        ") {",
    ),
    "colon for a digit": Plant(
        "skip_avx2.h",
        "_mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(9)), v);",
        "_mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(10)), v);",
    ),
    "zero in front of an integer": Plant(
        "walk.h",
        "int plain = after > digits && (*digits != '0' || after == digits + 1);",
        "int plain = after > digits;",
    ),
    "second id unseen": Plant(
        "walk_rules.h",
        "case WALK_ID: kind = id_seen ? SCAN_DUPLICATE_KEY : SCAN_OK; break;",
        "case WALK_ID: break;",
    ),
    "second known key unseen": Plant(
        "walk_rules.h",
        "kind = SCAN_DUPLICATE_KEY;\n    if (kind) walk_key_fault",
        "kind = SCAN_OK;\n    if (kind) walk_key_fault",
    ),
    "bytes behind the value ignored": Plant(
        "walk_body.h",
        "    if (p != w->end)\n",
        "    if (0)\n",
    ),
    "reserved prefix one letter short": Plant(
        "walk_rules.h",
        "if (size < 10 || memcmp(name, WALK_RESERVED_PREFIX, 10) != 0) return WALK_PLAIN;",
        "if (size < 9 || memcmp(name, WALK_RESERVED_PREFIX, 9) != 0) return WALK_PLAIN;",
    ),
    "reserved prefix alone allowed": Plant(
        "walk_rules.h",
        "if (size < 10 || memcmp(name, WALK_RESERVED_PREFIX, 10) != 0) return WALK_PLAIN;",
        "if (size < 11 || memcmp(name, WALK_RESERVED_PREFIX, 10) != 0) return WALK_PLAIN;",
    ),
    "type of a row before the bound": Plant(
        "walk_body.h",
        "        if (!walk_room(w, p)) return NULL;\n"
        "        if (*p != '{') return walk_fault(w, SCAN_ROW_TYPE, p);\n",
        "        if (*p != '{') return walk_wrong_type(w, SCAN_ROW_TYPE, p);\n"
        "        if (!walk_room(w, p)) return NULL;\n",
    ),
    "vector of nulls": Plant(
        "walk_rules.h",
        "WALK_STRING | WALK_ARRAY | (attribute",
        "WALK_STRING | WALK_ARRAY | WALK_NULL | (attribute",
    ),
    "id hashed as spelled": Plant(
        "splice.h",
        "if (!memchr(id, '\\\\', (size_t)(end - id))) return",
        "if (1) return",
    ),
    "surrogate pair hashed as two": Plant(
        "splice.h",
        "if (low >= 0xDC00 && low < 0xE000) {",
        "if (low > 0xDC00 && low < 0xDE00) {",
    ),
    "stamp without its comma": Plant(
        "splice.h",
        "            out[(*used)++] = ',';\n        }\n        s->row_event = 0;",
        "            out[(*used)++] = ' ';\n        }\n        s->row_event = 0;",
    ),
    "array begun again in the next window": Plant(
        "splice.h",
        "        if (cap - *used < SPLICE_ATOM_MAX) return 0;\n        if (s->item) out",
        "        if (cap - *used < SPLICE_ATOM_MAX) return s->item = 0;\n        if (s->item) out",
    ),
    "size without the brackets of columns": Plant(
        "splice.h",
        "added += shard_key + count * (shard + 1) + 2;",
        "added += shard_key + count * (shard + 1) + 1;",
    ),
    "hash of 32 bytes by the short form": Plant(
        "xxh64.h",
        "if (s->size >= 32) {",
        "if (s->size > 32) {",
    ),
}


def planted_headers(plant: Plant) -> Path:
    """Return a folder with a copy of the headers that has the fault."""
    source = (EXT / plant.file).read_text()
    if source.count(plant.text) != 1:
        raise PlantError(f"{plant.file} has {source.count(plant.text)} of {plant.text!r}")
    digest = hashlib.sha256(repr(plant).encode())
    for header in sorted(EXT.glob("*.h")):
        digest.update(header.read_bytes())
    folder = cached_folder() / f"planted-{digest.hexdigest()[:24]}"
    folder.mkdir(exist_ok=True)
    for header in EXT.glob("*.h"):
        shutil.copy(header, folder / header.name)
    (folder / plant.file).write_text(source.replace(plant.text, plant.planted))
    return folder
