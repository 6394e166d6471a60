"""The table of settings."""

import dataclasses

import pytest

from hevfast.settings import STARS, TABLE, Settings, SettingsError, default_of, describe, load


def faults_of(**environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(environ)
    return caught.value.faults


def test_defaults_need_no_environment() -> None:
    settings = load({})
    assert settings == Settings()
    assert settings.upstream_url == "https://api.turbopuffer.com"
    assert (settings.port, settings.host, settings.workers) == (8080, "127.0.0.1", 1)
    assert (settings.body_bytes_max, settings.shard_count) == (536_870_912, 16)
    assert settings.drain_marker_path.endswith("/layer-gateway-draining")


def test_every_field_is_a_row_and_every_variable_is_named_once() -> None:
    assert list(TABLE) == [field.name for field in dataclasses.fields(Settings)]
    variables = [row.variable for row in TABLE.values()]
    assert len(set(variables)) == len(variables)
    assert all(row.help.endswith(".") for row in TABLE.values())


def test_every_default_is_within_its_own_bounds() -> None:
    for name, row in TABLE.items():
        default = getattr(Settings(), name)
        if default is not None:
            assert row.parse(str(default)) == default


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({"TURBOPUFFER_REGION": "aws-us-east-1"}, "https://aws-us-east-1.turbopuffer.com"),
        ({"TPUF_URL": "http://127.0.0.1:4010/"}, "http://127.0.0.1:4010"),
        ({"TPUF_URL": "https://a.b/prefix/x/"}, "https://a.b/prefix/x"),
        ({"TPUF_URL": "http://[::1]:80"}, "http://[::1]:80"),
        ({"TPUF_URL": "http://a", "TURBOPUFFER_REGION": "b"}, "http://a"),
    ],
)
def test_upstream_url(environ: dict[str, str], url: str) -> None:
    assert load(environ).upstream_url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.b",
        "ftp://a",
        "HTTP:/a",
        "http://",
        "http:///x",
        "http://u:p@a",
        "http://a?x=1",
        "http://a?",
        "http://a#x",
        "http://a:99999",
        "http://a:x",
        "http://a/../b",
        "http://a//b",
        "http://a/%2e",
        "http://a b",
        "http://{region}.turbopuffer.com",
        "http://a\n",
    ],
)
def test_bad_urls(url: str) -> None:
    assert len(faults_of(TPUF_URL=url)) == 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "8080 "),
        ("PORT", "+1"),
        ("PORT", "1_0"),
        ("PORT", "0x1"),
        ("PORT", "٣"),
        ("PORT", ""),
        ("HOST", "a b"),
        ("HEVFAST_WORKERS", "0"),
        ("HEVFAST_WORKERS", "1.0"),
        ("HEVFAST_BODY_BYTES_MAX", "4294967296"),
        ("HEVFAST_BODY_BYTES_MAX", "512MiB"),
        ("HEVFAST_BODY_SILENCE_MS", "-1"),
        ("HEVFAST_RESERVED_STAMPS", "Reject"),
        ("HEVFAST_SHARD_STAMP", "sometimes"),
        ("LAYER_SHARD_COUNT", "65537"),
        ("LAYER_SHARD_COUNT", "0"),
        ("TURBOPUFFER_REGION", "a/b"),
        ("TURBOPUFFER_REGION", "evil.com/"),
        ("LAYER_DRAIN_MARKER_PATH", ""),
        ("HEVFAST_UPSTREAM_READ_TIMEOUT_MS", "none"),
    ],
)
def test_a_value_that_does_not_parse_is_a_fault(variable: str, value: str) -> None:
    faults = faults_of(**{variable: value})
    assert len(faults) == 1
    assert faults[0].startswith(f"{variable}={value!r} ")


@pytest.mark.parametrize("key", ["", "two words", "tab\t", "é"])
def test_a_bad_secret_is_not_repeated(key: str) -> None:
    assert faults_of(TURBOPUFFER_API_KEY=key)[0].startswith(f"TURBOPUFFER_API_KEY={STARS} ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HEVFAST_API_KEYS", "/x"),
        ("LAYER_STORE_JSON", "{}"),
    ],
)
def test_what_this_version_cannot_do_is_not_accepted_silently(name: str, value: str) -> None:
    faults = faults_of(**{name: value})
    assert len(faults) == 1
    assert f"{name} is not supported by this version" in faults[0]


@pytest.mark.parametrize("name", ["HEVFAST_TEST_X", "HEVFAST_DEBUG", "HEVFAST_TRACE", "PATH"])
def test_switches_of_build_and_tests_are_tolerated(name: str) -> None:
    assert load({name: "1"}) == Settings()


def test_strangers_are_refused_with_a_guess() -> None:
    assert faults_of(HEVFAST_WORKER="2") == [
        "HEVFAST_WORKER is not a setting; did you mean HEVFAST_WORKERS?"
    ]
    assert faults_of(HEVFAST_QQQ="2") == ["HEVFAST_QQQ is not a setting"]


def test_all_faults_come_at_once() -> None:
    assert len(faults_of(PORT="x", HEVFAST_NOPE="1", HEVFAST_API_KEYS="/x", TPUF_URL="x")) == 4


def test_the_description_has_everything_but_the_secret() -> None:
    text = describe(load({"TURBOPUFFER_API_KEY": "tpuf_secret", "PORT": "81"}))
    assert "tpuf_secret" not in text
    assert f"TURBOPUFFER_API_KEY = {STARS}" in text
    assert "PORT = 81" in text
    for name, row in TABLE.items():
        assert row.help in text
        assert f"default {default_of(name)}" in text


def test_a_secret_does_not_show_when_the_settings_are_printed() -> None:
    assert "tpuf_secret" not in repr(load({"TURBOPUFFER_API_KEY": "tpuf_secret"}))
