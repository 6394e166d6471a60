"""The indexes of an attribute: switched on and off, with their settings."""

from collections.abc import Mapping
from dataclasses import replace

from . import shapes
from .analysis import check_settings
from .answers import bad_request, bad_shape
from .attribute import Attribute
from .types import Kind, Type

SWITCHES = ("filterable", "regex", "glob", "fuzzy")
METRICS = frozenset({"cosine_distance", "euclidean_squared"})

FULL_TEXT_DEFAULTS: Mapping[str, object] = {
    "tokenizer": "word_v4",
    "language": "english",
    "stemming": False,
    # The documents say false, the client's docstring true; the documents win (unconfirmed).
    "remove_stopwords": False,
    "case_sensitive": False,
    "ascii_folding": False,
    "max_token_length": 39,
    "k1": 1.2,
    "b": 0.75,
    "k3": 8.0,
}


def metric_of(field: str, value: object) -> str:
    name = shapes.text(field, value)
    if name not in METRICS:
        raise bad_shape(
            f"{field}: unknown variant `{name}`, expected `cosine_distance` or `euclidean_squared`"
        )
    return name


def with_indexes(name: str, entry: Attribute, fields: Mapping[str, object]) -> Attribute:
    """Apply the switches that may change in place."""
    is_text = entry.type.kind is Kind.STRING
    for switch in SWITCHES:
        value = fields.get(switch)
        if value is None:
            continue
        possible = entry.type.is_scalar_kind if switch == "filterable" else is_text
        if shapes.boolean(f"schema.{name}.{switch}", value) and not possible:
            raise bad_request(f"attribute `{name}`: {entry.type.name} cannot be {switch}")
        if name != "id":
            entry = replace(entry, **{switch: value})  # type: ignore[arg-type]  # checked to be a boolean
    if "full_text_search" in fields:
        entry = replace(entry, full_text_search=_full_text(name, entry, fields["full_text_search"]))
    if fields.get("sparse_knn") is not None:
        given = shapes.mapping(f"schema.{name}.sparse_knn", fields["sparse_knn"])
        if entry.type.kind is not Kind.SPARSE or given.get("distance_metric") != "dot_product":
            raise bad_request(
                f"attribute `{name}`: sparse_knn needs type {{}}f16 and distance_metric dot_product"
            )
        entry = replace(entry, sparse_knn=True)
    return entry


def switched_on(old: Attribute, new: Attribute) -> bool:
    """Whether a change asks for an index that was not there, which takes time to build."""
    return (
        new.full_text_search is not None and old.full_text_search != new.full_text_search
    ) or any(getattr(new, switch) and not getattr(old, switch) for switch in SWITCHES)


def _full_text(name: str, entry: Attribute, value: object) -> Mapping[str, object] | None:
    """Complete full-text settings with what was set before, or with the defaults."""
    if value is None or value is False:
        return None
    if entry.type.kind is not Kind.STRING:
        raise bad_request(f"attribute `{name}`: full_text_search needs string or []string")
    given = {} if value is True else shapes.mapping(f"schema.{name}.full_text_search", value)
    for field in given:
        if field not in FULL_TEXT_DEFAULTS:
            raise bad_shape(f"schema.{name}.full_text_search: unknown field `{field}`")
    settings = {**FULL_TEXT_DEFAULTS, **(entry.full_text_search or {}), **given}
    check_settings(name, settings, is_array=entry.type.is_array)
    return settings


def ann_metric(
    name: str, type_: Type, fields: Mapping[str, object], default: str | None
) -> str | None:
    """Read `ann`: the metric of a vector index, where the attribute has one.

    Whether a metric in `ann` alone suffices is unconfirmed; it does here.
    """
    ann = fields.get("ann")
    if type_.kind is Kind.MULTI:
        if not ann:
            return None
        if not isinstance(ann, dict) or ann.get("late_interaction") is not True:
            raise bad_request(
                f"attribute `{name}`: ann of {type_.name} needs late_interaction true"
            )
    elif type_.kind is not Kind.DENSE:
        if ann:
            raise bad_request(f"attribute `{name}`: {type_.name} has no ann")
        return None
    if ann is None or isinstance(ann, bool):
        return default
    spelled = shapes.mapping(f"schema.{name}.ann", ann).get("distance_metric")
    return default if spelled is None else metric_of(f"schema.{name}.ann.distance_metric", spelled)
