"""What the embedded pipelines' file goes through: damage, a full disk, boots, other workers."""

import asyncio
import os
import resource
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from hevfast.pipelines import lmdb_file, lmdb_step, lmdb_store, lmdb_upkeep
from hevfast.pipelines.lmdb_keys import number_key, place_key, stage_key
from hevfast.pipelines.lmdb_pages import OF_DOCUMENTS, Pages
from hevfast.pipelines.model import INDEXED
from hevfast.pipelines.store import Staged, Staging, UnableError, UnknownPipelineError
from tests.contract.pipelines.homes import (
    PIPELINE,
    LmdbHome,
    chunks_of,
    move,
    pipeline,
    put,
    stages,
    staging,
    tables_of,
    take,
)

pytestmark = pytest.mark.anyio

MIB = 1 << 20


@pytest.fixture
def home(tmp_path: Path) -> LmdbHome:
    return LmdbHome(tmp_path)


async def filled(home: LmdbHome, documents: int = 2000) -> lmdb_store.LmdbPipelines:
    store = await home.open()
    await store.create(PIPELINE)
    await put(store, *[f"d{n}" for n in range(documents)])
    return store


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


# ---- damage


def spoil(path: Path, damage: str) -> None:
    content = path.read_bytes()
    path.write_bytes(
        {
            "cut": content[: len(content) // 2],
            "overwritten": b"x" * len(content),
            "begun elsewhere": b"x" * 8192 + content[8192:],
            "short": content[:100],
        }[damage]
    )


@pytest.mark.parametrize("damage", ["cut", "overwritten", "begun elsewhere", "short"])
async def test_damaged_file_is_set_aside_and_a_new_one_begun(
    home: LmdbHome, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    await filled(home)
    await home.close()
    path = home.folder / "pipelines.lmdb"
    spoil(path, damage)
    damaged = path.read_bytes()
    store = await home.open()
    assert await store.pipelines() == []
    assert await store.create(PIPELINE)
    await put(store, "d1", version=2)
    assert await store.chunks("p", ["d1"]) == [chunks_of("d1", 2)]
    (aside,) = home.folder.glob("pipelines-*.damaged")
    assert aside.read_bytes() == damaged
    assert [each.levelname for each in caplog.records] == ["ERROR"]
    await home.close()


async def test_damage_met_in_a_transaction_is_an_error_and_then_a_new_file(home: LmdbHome) -> None:
    store = await filled(home)
    pages = [b"\0" * 4096] * 2
    with (home.folder / "pipelines.lmdb").open("r+b") as file:
        # All but the two meta pages: whatever is read next is no page.
        size = os.fstat(file.fileno()).st_size
        file.seek(8192)
        file.write(b"".join(pages) * ((size - 8192) // 8192))
    with pytest.raises(UnableError):
        await put(store, "more")

    async def begun_anew() -> bool:
        try:
            return await store.pipelines() == []
        except UnableError:
            return False

    await until(begun_anew)
    assert len(list(home.folder.glob("pipelines-*.damaged"))) == 1
    assert await store.create(PIPELINE)
    await put(store, "more")
    await home.close()


@pytest.mark.parametrize("database", ["pipelines", "documents", "line"])
async def test_damaged_record_is_damage_of_the_file(home: LmdbHome, database: str) -> None:
    store = await filled(home, 10)

    def damage(pages: Pages) -> None:
        if database == "line":
            pages.put(pages.line, number_key(1) + stage_key("pending") + place_key(0), b"")
        else:
            key, record = pages.between(getattr(pages, database), b"", None, 1)[0]
            pages.put(getattr(pages, database), key, record[:-9])

    await store._transactions.do(damage)
    with pytest.raises(UnableError):
        await take(store)
    assert await store.create(PIPELINE)
    await put(store, "d1")
    assert await take(store) == ["d1"]
    assert len(list(home.folder.glob("pipelines-*.damaged"))) == 1
    await home.close()


async def test_a_file_set_aside_by_another_worker_is_left_by_this_one(home: LmdbHome) -> None:
    store = await filled(home)
    code = (
        "import asyncio, sys; from pathlib import Path\n"
        "from tests.contract.pipelines.homes import LmdbHome, PIPELINE, put\n"
        "async def main():\n"
        "    home = LmdbHome(Path(sys.argv[1])); store = await home.open()\n"
        "    assert await store.pipelines() == []\n"
        "    await store.create(PIPELINE); await put(store, 'd1', version=2); await home.close()\n"
        "asyncio.run(main())\n"
    )
    path = home.folder / "pipelines.lmdb"
    path.with_name(path.name + "-lock").unlink()
    path.rename(path.with_suffix(".damaged"))
    subprocess.run([sys.executable, "-c", code, str(home.folder)], check=True)  # noqa: ASYNC221
    assert await store.chunks("p", ["d1"]) == [chunks_of("d1", 2)]
    await put(store, "d2")
    assert await take(store) == ["d1", "d2"]
    await home.close()


async def test_a_store_that_cannot_be_opened_is_unable_until_it_can(
    home: LmdbHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lmdb_file, "_RETRY_S", 0.0)
    (home.folder / "pipelines.lmdb").mkdir()
    store = await home.open()
    for call in (store.pipelines(), store.create(PIPELINE), store.counts("p")):
        with pytest.raises(UnableError):
            await call
    (home.folder / "pipelines.lmdb").rmdir()
    assert await store.create(PIPELINE)
    await home.close()


# ---- no room


async def test_a_full_file_refuses_documents_and_does_all_else(home: LmdbHome) -> None:
    home.bytes_max = 8 * MIB
    store = await filled(home, 0)
    names = []
    words = [Staged.STAGED]
    while words == [Staged.STAGED]:
        names.append(f"d{len(names)}")
        try:
            words, _ = await store.stage("p", [Staging(names[-1], b"x" * 50_000, 1)])
        except UnableError:
            break
        assert len(names) < 200
    assert await stages(store) == {"pending": len(names) - 1}
    with pytest.raises(UnableError):
        await move(store, "created", stage="extracted", create_missing=True)
    assert await take(store, 1000) == names[:-1]
    assert await store.extend("p", names, stage="embedding", worker="w1") == len(names) - 1
    opened = await store.open_document("p", "d0", "w1")
    assert opened is not None
    assert (await store.index_document("p", "d0", opened.generation, b"[]", None)).changed == 1
    assert (await move(store, *names, stage="indexed", worker="w1")).changed == len(names) - 2
    await put(store, "room again")
    await home.close()


async def test_a_file_that_fills_in_mid_call_takes_whole_documents(home: LmdbHome) -> None:
    home.bytes_max = 8 * MIB
    store = await filled(home, 0)
    stagings = [Staging(f"d{n}", b"x" * 3 * MIB, 1) for n in range(6)]
    words, moves = await store.stage("p", stagings)
    kept = words.count(Staged.STAGED)
    assert words == [Staged.STAGED] * kept + [Staged.UNABLE] * (6 - kept)
    assert 0 < kept < 6
    assert len(moves) == kept
    assert await stages(store) == {"pending": kept}
    await home.close()


async def test_a_full_disk_loses_nothing_that_was_answered(home: LmdbHome) -> None:
    store = await filled(home)
    before = await stages(store)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = (home.folder / "pipelines.lmdb").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        with pytest.raises(UnableError):
            await store.stage("p", [Staging(f"e{n}", b"x" * MIB, 1) for n in range(8)])
        assert await stages(store) == before
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    async def works_again() -> bool:
        try:
            return (await store.stage("p", [staging("e")]))[0] == [Staged.STAGED]
        except UnableError:
            return False

    await until(works_again)
    assert await stages(store) == {"pending": 2001}
    assert not list(home.folder.glob("*.damaged"))
    await home.close()


# ---- time


async def test_leases_outlive_a_boot_by_the_systems_clock(
    home: LmdbHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await filled(home, 1)
    await take(store, lease_ms=60_000)
    await home.close()
    monkeypatch.setattr(lmdb_file, "_BOOT_ID", _boot(home.folder, "another boot"))
    # Counted from the boot, the clock begins anew; the leases go on where they were.
    home.now_ms = 5
    store = await home.open()
    assert await store.extend("p", ["d0"], stage="embedding", worker="w1") == 1
    home.pass_ms(59_000)
    assert await take(store) == []
    home.pass_ms(1000)
    assert await take(store) == ["d0"]
    await home.close()


async def test_time_never_goes_back_over_a_boot(
    home: LmdbHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await filled(home, 1)
    home.pass_ms(3_600_000)
    await take(store, lease_ms=60_000)
    await home.close()
    monkeypatch.setattr(lmdb_file, "_BOOT_ID", _boot(home.folder, "another boot"))
    home.now_ms = 5
    # The system's clock stands an hour before the last lease was given.
    store = await home.open()
    home.pass_ms(59_999)
    assert await take(store) == []
    home.pass_ms(1)
    assert await take(store) == ["d0"]
    await home.close()


async def test_a_clock_set_back_holds_no_lease_for_longer(home: LmdbHome) -> None:
    store = await filled(home, 1)
    await take(store, lease_ms=1000)
    home.now_ms -= 500_000
    assert await take(store) == []
    home.now_ms += 501_000
    assert await take(store) == ["d0"]
    await home.close()


def _boot(folder: Path, name: str) -> Path:
    path = folder / "boot_id"
    path.write_text(name)
    return path


# ---- upkeep


async def test_a_deleted_pipeline_is_gone_from_the_file_after_a_while(
    home: LmdbHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lmdb_upkeep, "_CLEARED_AT_ONCE", 100)
    store = await filled(home, 500)
    await store.create(pipeline("kept"))
    await store.stage("kept", [staging("k")])
    await take(store, 100, prefix="d")
    await move(store, "d0", stage=INDEXED)
    await store.delete("p")
    # Before it is done, the gateway is started again.
    await home.close()
    assert tables_of(home.folder / "pipelines.lmdb")["doomed"]
    store = await home.open()

    async def purged() -> bool:
        return await store._transactions.read(
            lambda pages: not pages.between(pages.doomed, b"", None, 1)
        )

    await until(purged)
    assert await store.chunks("kept", ["k"]) == [chunks_of("k")]
    await home.close()
    tables = tables_of(home.folder / "pipelines.lmdb")
    left = {name for name in OF_DOCUMENTS if tables[name]}
    assert left == {"documents", "ids", "line", "chunks"}
    assert {len(tables[name]) for name in left} == {1}


async def test_names_of_a_long_line_are_written_a_piece_at_a_time(
    home: LmdbHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lmdb_step, "NAMED_AT_ONCE", 100)
    monkeypatch.setattr(lmdb_upkeep, "_NAMED_AT_ONCE", 10)
    store = await filled(home, 500)
    await move(store, *[f"d{n}" for n in range(0, 500, 7)], stage="extracted")
    # The oldest by prefix among those that have names by now; the others are found later.
    taken = await take(store, 5, prefix="d")
    await put(store, "e1", "d499", "d0")
    await home.close()
    store = await home.open()
    expected = {f"d{n}" for n in range(500) if n % 7} | {"d0"}

    async def all_taken() -> bool:
        taken.extend(await take(store, 50, prefix="d"))
        return len(taken) >= len(expected)

    await until(all_taken)
    assert len(taken) == len(set(taken))
    assert set(taken) == expected
    assert await take(store) == ["e1"]
    await home.close()


async def test_numbers_of_pipelines_are_never_used_again(home: LmdbHome) -> None:
    store = await home.open()
    numbers = set()
    for _ in range(5):
        await store.create(PIPELINE)
        numbers.add(await store._transactions.read(lambda pages: pages.book("p").number))
        await store.delete("p")
        await home.close()
        store = await home.open()
    assert len(numbers) == 5
    with pytest.raises(UnknownPipelineError):
        await store.pipeline("p")
    await home.close()


async def test_one_worker_at_a_time_does_the_upkeep(tmp_path: Path) -> None:
    first, second = lmdb_upkeep.Keeper(tmp_path), lmdb_upkeep.Keeper(tmp_path)
    assert first.is_ours()
    assert not second.is_ours()
    assert first.is_ours()
    first.close()
    assert second.is_ours()
    second.close()


async def test_an_idle_store_writes_nothing(home: LmdbHome) -> None:
    store = await filled(home, 10)
    last = await store._transactions.do(lambda pages: pages._transaction.id())
    for _ in range(3):
        home.pass_ms(1000)
        await store._transactions.do(lambda pages: lmdb_upkeep.upkeep(pages, lmdb_upkeep.Turn()))
    assert await store._transactions.do(lambda pages: pages._transaction.id()) == last
    await home.close()
