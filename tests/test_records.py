"""Records and studies on disk: whole or not there, whatever kills the writer or fills the disk."""

import errno
import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_records import arrays, record, study

from ablate import records
from ablate import study as studies
from ablate.records import DamagedRecord, NewerRecord, NoRoom, Record, canonical, identity
from ablate.study import StudyError

ROOT = Path(__file__).parent.parent
HOUR = 3600


@pytest.fixture
def ctrl_c_is_heard() -> Iterator[None]:
    """Ctrl-C as in a terminal: it is ignored where the tests are a shell's background job."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def place(runs: Path, one: Record) -> Path:
    return records.folder(runs, one.kind, one.id)


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return every file under a folder, hidden ones too."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def python(code: str, *arguments: object, **options: Any) -> "subprocess.Popen[str]":
    """Start Python on some lines, which can import `ablate` and the tests' helpers."""
    paths = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


# --- write and read -------------------------------------------------------------------------------


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    one, raw = record(), arrays()
    path = records.write(tmp_path, one, raw, {"note.txt": lambda at: at.write_text("hello")})
    assert path == tmp_path / "trials" / one.id
    assert {item.name for item in path.iterdir()} == {"record.json", "arrays.npz", "note.txt"}
    assert (path / "note.txt").read_text() == "hello"
    found = records.read(tmp_path, "trial", one.id)
    assert found is not None
    assert found.model_dump() == one.model_dump()
    assert found.arrays.keys() == raw.keys()
    for name, array in raw.items():
        assert found.arrays[name].dtype == array.dtype
        assert np.array_equal(found.arrays[name], array)


def test_a_record_without_arrays_has_none(tmp_path: Path) -> None:
    one = record(status="failed", reason="RuntimeError: no")
    path = records.write(tmp_path, one)
    assert [item.name for item in path.iterdir()] == ["record.json"]
    found = records.read(tmp_path, "trial", one.id)
    assert found is not None
    assert (found.arrays, one.arrays) == ({}, {})
    assert found.reason == "RuntimeError: no"


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    assert records.read(tmp_path / "runs", "trial", "0123456789abcdef") is None
    assert records.read(tmp_path / "runs", "fact", "0123456789abcdef") is None


def test_facts_and_trials_lie_apart(tmp_path: Path) -> None:
    fact = record(kind="fact")
    assert records.write(tmp_path, fact) == tmp_path / "facts" / fact.id
    assert records.read(tmp_path, "trial", fact.id) is None
    assert records.read(tmp_path, "fact", fact.id) is not None


def test_a_trial_that_is_tried_again_replaces_the_old_record_whole(tmp_path: Path) -> None:
    failed = record(status="failed", reason="RuntimeError: no")
    records.write(tmp_path, failed, extra={"traceback.txt": lambda at: at.write_text("…")})
    path = records.write(tmp_path, record(), arrays())
    assert {item.name for item in path.iterdir()} == {"record.json", "arrays.npz"}
    found = records.read(tmp_path, "trial", failed.id)
    assert found is not None
    assert found.status == "ok"
    assert [item.name for item in path.parent.iterdir()] == [failed.id]


def test_a_file_that_cannot_be_written_leaves_nothing_of_the_record(tmp_path: Path) -> None:
    def broken(at: Path) -> None:
        at.write_text("half")
        raise RuntimeError("no weights")

    with pytest.raises(RuntimeError, match="no weights"):
        records.write(tmp_path, record(), arrays(), {"weights.pt": broken})
    assert snapshot(tmp_path) == {}
    assert list((tmp_path / "trials").iterdir()) == []


@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_ctrl_c_in_the_middle_of_writing_leaves_nothing_of_the_record(tmp_path: Path) -> None:
    before = records.write(tmp_path, record(seed=1), arrays())

    def interrupted(at: Path) -> None:
        at.write_text("half")
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)  # the signal comes within it

    with pytest.raises(KeyboardInterrupt):
        records.write(tmp_path, record(), arrays(), {"weights.pt": interrupted})
    assert list((tmp_path / "trials").iterdir()) == [before]


# --- killed in the middle -------------------------------------------------------------------------

KILLED_WHILE_WRITING = """
    import os, signal, sys
    from pathlib import Path
    from ablate import records
    from small_records import arrays, record

    def killed(at):
        at.write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)

    records.write(Path(sys.argv[1]), record(), arrays(), {"weights.pt": killed})
"""


def test_a_writer_that_is_killed_leaves_no_record_and_the_sweep_clears_the_rest(
    tmp_path: Path,
) -> None:
    other = records.write(tmp_path, record(seed=1), arrays())
    started = python(KILLED_WHILE_WRITING, tmp_path)
    _, said = started.communicate(timeout=60)
    assert started.returncode == -signal.SIGKILL, said
    assert records.read(tmp_path, "trial", record().id) is None
    (left,) = (item for item in (tmp_path / "trials").iterdir() if item != other)
    assert (left / "weights.pt").read_text() == "half"  # it was in the middle indeed

    records.sweep(tmp_path)
    assert left.exists()  # for all that is known, its writer is at work
    old = time.time() - 2 * HOUR
    os.utime(left, (old, old))
    os.utime(other, (old, old))
    records.sweep(tmp_path)
    assert list((tmp_path / "trials").iterdir()) == [other]
    records.write(tmp_path, record(), arrays())
    assert records.read(tmp_path, "trial", record().id) is not None


def test_the_sweep_knows_every_place_and_takes_nothing_else(tmp_path: Path) -> None:
    old = time.time() - 2 * HOUR
    gone = [tmp_path / "trials/.a.1", tmp_path / "facts/.b.old-2", tmp_path / "studies/s-1/.c.3"]
    kept = [tmp_path / "trials/abc", tmp_path / "studies/s-1/study.json", tmp_path / "damaged/.x"]
    for path in [*gone[:2], kept[0], kept[2]]:
        path.mkdir(parents=True)
    for path in (gone[2], kept[1]):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")
    (gone[0] / "record.json").write_text("half")
    for path in (*gone, *kept):
        os.utime(path, (old, old))
    records.sweep(tmp_path)
    assert [path for path in gone if path.exists()] == []
    assert [path for path in kept if not path.exists()] == []
    records.sweep(tmp_path / "nothing")


def test_a_text_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    records.write_text(path, "one")
    with pytest.raises(UnicodeEncodeError):
        records.write_text(path, "\ud800")
    assert snapshot(tmp_path) == {"new/file.txt": b"one"}


# --- identity -------------------------------------------------------------------------------------


def test_canonical_json_has_one_spelling() -> None:
    assert canonical({"b": [1, 2.5, None], "a": {"d": True, "c": "é"}}) == (
        '{"a":{"c":"\\u00e9","d":true},"b":[1,2.5,null]}'
    )
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical({"lr": float("nan")})


def test_an_id_does_not_depend_on_the_order_of_keys() -> None:
    spec = {"seed": 0, "config": {"a": 1, "b": [1, 2]}}
    assert identity(spec) == identity({"config": {"b": [1, 2], "a": 1}, "seed": 0})
    assert identity(spec) != identity({"seed": 0, "config": {"a": 1, "b": [2, 1]}})
    assert identity({}) == "44136fa355b3678a"  # sha256sum of "{}"


def test_an_id_takes_a_number_as_it_is_spelled() -> None:
    # Configurations are validated before they get here, which spells every number by its type.
    assert identity({"lr": 1}) != identity({"lr": 1.0})
    assert identity({"on": True}) != identity({"on": 1})
    assert identity({"lr": 0.1}) == identity({"lr": 1e-1})


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4))
def test_an_id_survives_the_way_through_a_file(spec: dict[str, Any]) -> None:
    assert identity(json.loads(json.dumps(spec, indent=1))) == identity(spec)


# --- damage ---------------------------------------------------------------------------------------


def edit(path: Path, **changes: Any) -> None:
    file = path / "record.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def cut(file: Path, share: float) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])


DAMAGE: dict[str, tuple[Any, str]] = {
    "cut short": (
        lambda path: (path / "record.json").write_text('{"kind": "tri'),
        "{path}: cannot be read: Unterminated string starting at: line 1 column 10 (char 9)",
    ),
    "empty": (
        lambda path: (path / "record.json").write_text(""),
        "{path}: cannot be read: Expecting value: line 1 column 1 (char 0)",
    ),
    "not text": (
        lambda path: (path / "record.json").write_bytes(b'{"id": "\xff"}'),
        "{path}: cannot be read: 'utf-8' codec can't decode byte 0xff in position 8: "
        "invalid start byte",
    ),
    "gone": (
        lambda path: (path / "record.json").unlink(),
        "{path}: cannot be read: [Errno 2] No such file or directory: '{path}/record.json'",
    ),
    "a list": (
        lambda path: (path / "record.json").write_text("[]"),
        "{path}: record.json: Input should be a valid dictionary or instance of Record",
    ),
    "a wrong value": (
        lambda path: edit(path, status="fine"),
        "{path}: status: Input should be 'ok', 'failed' or 'diverged'",
    ),
    "a wrong value within": (
        lambda path: edit(path, epochs=[{"epoch": "one"}]),
        "{path}: epochs.0.epoch: Input should be a valid integer, "
        "unable to parse string as an integer",
    ),
    "an unknown key": (
        lambda path: edit(path, colour="red"),
        "{path}: colour: Extra inputs are not permitted",
    ),
    "a wrong version": (
        lambda path: edit(path, schema_version="new"),
        "{path}: schema_version: Input should be a valid integer, "
        "unable to parse string as an integer",
    ),
    "another spec": (
        lambda path: edit(path, spec={}),
        "{path}: its contents belong to another id (44136fa355b3678a)",
    ),
    "a spec that is no JSON": (
        lambda path: edit(path, spec={"lr": float("nan")}),
        "{path}: spec: Out of range float values are not JSON compliant",
    ),
    "arrays cut short": (
        lambda path: cut(path / "arrays.npz", 0.6),
        "{path}: arrays.npz cannot be read: File is not a zip file",
    ),
    "arrays scribbled over": (
        lambda path: (path / "arrays.npz").write_bytes(
            (path / "arrays.npz").read_bytes().replace(b"test_loss.npy", b"test_lose.npy", 1)
        ),
        "{path}: arrays.npz cannot be read: File name in directory 'test_loss.npy' and header "
        "b'test_lose.npy' differ.",
    ),
    "arrays empty": (
        lambda path: (path / "arrays.npz").write_bytes(b""),
        "{path}: arrays.npz cannot be read: No data left in file",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_record_is_named_and_can_be_set_aside(tmp_path: Path, kind: str) -> None:
    damage, message = DAMAGE[kind]
    one = record()
    path = records.write(tmp_path, one, arrays())
    damage(path)
    with pytest.raises(DamagedRecord) as caught:
        records.read(tmp_path, "trial", one.id)
    assert str(caught.value).startswith(message.format(path=path))  # some versions say more
    assert not isinstance(caught.value, NewerRecord)
    content = snapshot(path)

    moved = records.set_aside(tmp_path, "trial", one.id)
    assert moved.parent == tmp_path / "damaged"
    assert moved.name.startswith(f"trial-{one.id}-")
    assert snapshot(moved) == content
    assert records.read(tmp_path, "trial", one.id) is None
    records.write(tmp_path, one, arrays())
    assert records.read(tmp_path, "trial", one.id) is not None


def test_a_record_under_another_id_is_refused(tmp_path: Path) -> None:
    one, other = record(seed=0), record(seed=1)
    path = records.write(tmp_path, one)
    path.rename(place(tmp_path, other))
    with pytest.raises(DamagedRecord) as caught:
        records.read(tmp_path, "trial", other.id)
    assert str(caught.value) == (
        f"{place(tmp_path, other)}: its contents belong to another id ({one.id})"
    )


def test_two_damaged_records_of_one_id_are_both_kept(tmp_path: Path) -> None:
    for _ in range(2):
        records.write(tmp_path, record())
        records.set_aside(tmp_path, "trial", record().id)
    assert len(list((tmp_path / "damaged").iterdir())) == 2


def test_a_record_of_a_newer_version_is_refused_and_not_called_damaged(tmp_path: Path) -> None:
    one = record()
    path = records.write(tmp_path, one)
    edit(path, schema_version=records.SCHEMA + 1, colour="red")
    with pytest.raises(NewerRecord) as caught:
        records.read(tmp_path, "trial", one.id)
    assert str(caught.value) == (
        f"{path}: written by a newer version of ablate (schema 2, this one reads up to 1); "
        "update ablate to read it"
    )


# --- a full disk ----------------------------------------------------------------------------------

ROOM = 20_000  # bytes that a file may have

ON_A_FULL_DISK = """
    import errno, sys
    from pathlib import Path
    import numpy as np
    from ablate import records
    from ablate import study as studies
    from small_records import arrays, record, study

    runs, what = Path(sys.argv[1]), sys.argv[2]
    much = {"test_loss": np.random.default_rng(0).random(10_000)}
    try:
        if what == "arrays":
            records.write(runs, record(), much)
        elif what == "extra":
            records.write(runs, record(), {}, {"w.pt": lambda at: at.write_bytes(bytes(100_000))})
        elif what == "record.json":
            records.write(runs, record(environment={"text": "x" * 100_000}))
        elif what == "study.json":
            studies.ask(runs, study(question="x" * 100_000))
        else:
            studies.ask(runs, study())
    except records.NoRoom as error:
        assert error.errno == errno.EFBIG, error.errno
        print(error, end="")
"""


def full(limit: int) -> None:
    """Let this process write files of so many bytes at most: then writing fails as on full disks.

    Python ignores SIGXFSZ, so that the error comes back from the write itself.
    """
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


@pytest.mark.parametrize("what", ["arrays", "extra", "record.json"])
def test_a_full_disk_is_said_and_what_was_there_stays(tmp_path: Path, what: str) -> None:
    failed = record(status="failed", reason="RuntimeError: no")
    path = records.write(tmp_path, failed)  # the same trial, tried before
    records.write(tmp_path, record(seed=1), arrays())
    before = snapshot(tmp_path)
    process = python(ON_A_FULL_DISK, tmp_path, what, preexec_fn=lambda: full(ROOM))
    said, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert said == (
        f"no room left to write {path}: File too large; free some space and run the same command "
        "again, what was finished is kept"
    )
    assert snapshot(tmp_path) == before


def test_a_full_disk_while_a_study_is_written_down(tmp_path: Path) -> None:
    process = python(ON_A_FULL_DISK, tmp_path, "study.json", preexec_fn=lambda: full(ROOM))
    said, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    path = tmp_path / "studies" / study().id / "study.json"
    assert said.startswith(f"no room left to write {path}: File too large; free some space")
    assert snapshot(tmp_path) == {}
    assert studies.newest(tmp_path, "demo") is None


def test_a_full_disk_while_it_is_noted_that_a_study_was_asked(tmp_path: Path) -> None:
    studies.ask(tmp_path, study())
    log = tmp_path / "studies" / study().id / "asked.jsonl"
    room = log.stat().st_size + 10  # of a line, the beginning
    written = json.dumps(study().model_dump(mode="json"))
    assert room < len(written)  # study.json stays as it is: it is there
    process = python(ON_A_FULL_DISK, tmp_path, "asked", preexec_fn=lambda: full(room))
    said, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert said.startswith(f"no room left to write {log}: File too large; free some space")
    assert len(log.read_bytes().splitlines()) == 2

    other = study(id="demo-22222222")
    studies.ask(tmp_path, other)
    assert studies.newest(tmp_path, "demo") == other
    studies.ask(tmp_path, study())  # the half line does not swallow this one
    assert studies.newest(tmp_path, "demo") == study()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_every_error_of_a_full_disk_has_the_clear_form(number: int) -> None:
    found = records.no_room(OSError(number, os.strerror(number)), Path("runs/trials/1"))
    assert str(found) == (
        f"no room left to write runs/trials/1: {os.strerror(number)}; free some space and run the "
        "same command again, what was finished is kept"
    )
    again = pickle.loads(pickle.dumps(found))  # workers send it to their parent
    assert (type(again), str(again)) == (NoRoom, str(found))


def test_other_errors_of_the_disk_are_left_as_they_are(tmp_path: Path) -> None:
    assert records.no_room(PermissionError(errno.EACCES, "no"), tmp_path) is None
    (tmp_path / "trials").write_text("in the way")
    with pytest.raises(NotADirectoryError):
        records.write(tmp_path, record())


# --- studies --------------------------------------------------------------------------------------


def test_a_study_is_written_once_and_every_asking_is_noted(tmp_path: Path) -> None:
    assert studies.ask(tmp_path, study()) == study()
    path = studies.folder(tmp_path, study().id)
    first = (path / "study.json").read_bytes(), (path / "study.json").stat().st_mtime_ns
    assert len((path / "asked.jsonl").read_text().splitlines()) == 1

    later = study(created="2024-02-02T00:00:00+00:00", commit="def")
    assert studies.ask(tmp_path, later) == study()  # as it was first written
    assert ((path / "study.json").read_bytes(), (path / "study.json").stat().st_mtime_ns) == first
    lines = [json.loads(line) for line in (path / "asked.jsonl").read_text().splitlines()]
    assert [line["commit"] for line in lines] == ["abc", "def"]
    assert lines[0]["at"] < lines[1]["at"]
    assert {item.name for item in path.iterdir()} == {"study.json", "asked.jsonl"}


def test_the_newest_study_is_the_one_that_was_asked_last(tmp_path: Path) -> None:
    one, two, other = study(), study(id="demo-00000000"), study(id="demo-b-3", suite="demo-b")
    assert studies.newest(tmp_path, "demo") is None
    assert studies.suites(tmp_path) == []
    for asked, newest in ((one, one), (two, two), (other, two), (one, one), (two, two)):
        studies.ask(tmp_path, asked)
        assert studies.newest(tmp_path, "demo") == newest
    assert studies.newest(tmp_path, "demo-b") == other
    assert studies.newest(tmp_path, "dem") is None
    assert studies.suites(tmp_path) == ["demo", "demo-b"]


@pytest.mark.parametrize("rest", ['{"at": "20', "1\n", "{}\n", "\udcff\n"])
def test_a_line_that_was_cut_short_does_not_make_a_study_old(tmp_path: Path, rest: str) -> None:
    studies.ask(tmp_path, study(id="demo-22222222"))
    studies.ask(tmp_path, study())
    with (studies.folder(tmp_path, study().id) / "asked.jsonl").open("ab") as log:
        log.write(rest.encode(errors="surrogateescape"))
    assert studies.newest(tmp_path, "demo") == study()


def test_a_study_that_was_killed_before_it_was_noted_is_the_oldest(tmp_path: Path) -> None:
    studies.ask(tmp_path, study(id="demo-22222222"))
    (studies.folder(tmp_path, "demo-22222222") / "asked.jsonl").unlink()
    assert studies.newest(tmp_path, "demo") == study(id="demo-22222222")
    studies.ask(tmp_path, study())
    assert studies.newest(tmp_path, "demo") == study()


REPAIR = "; move it away and run its suite again, which writes it anew and trains nothing"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"id": ', f"damaged: Expecting value: line 1 column 8 (char 7){REPAIR}"),
        (
            b"\xff",
            "damaged: 'utf-8' codec can't decode byte 0xff in position 0: "
            f"invalid start byte{REPAIR}",
        ),
        (
            b"[]",
            "damaged: study.json: Input should be a valid dictionary or instance of Study" + REPAIR,
        ),
        (b"{}", f"damaged: id: Field required{REPAIR}"),
        (
            b'{"schema_version": 4}',
            "written by a newer version of ablate (schema 4, this one reads up to 3); "
            "update ablate to read it",
        ),
    ],
)
def test_a_damaged_study_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    studies.ask(tmp_path, study())
    path = studies.folder(tmp_path, study().id) / "study.json"
    path.write_bytes(content)
    with pytest.raises(StudyError) as caught:
        studies.ask(tmp_path, study())
    assert str(caught.value) == f"{path}: {message}"
    path.unlink()  # as the message advises
    assert studies.ask(tmp_path, study()) == study()


def test_a_study_of_the_first_schema_compared_all_with_the_baseline(tmp_path: Path) -> None:
    row = {
        "match": ["none"],
        "changes": {},
        "solved": {},
        "full_solved": {},
        "residual": None,
        "full_residual": None,
        "structure": [],
        "config": {},
        "full_config": {},
        "trials": {"0": "a"},
        "facts": "f",
        "full_facts": "f",
    }
    measure = {"name": "accuracy", "title": "Accuracy", "unit": "%", "direction": "higher"}
    data = {"name": "photos", "title": "photos", "digest": "d", "requested": "photos", "sizes": {}}
    compared = {
        "id": "down",
        "title": "Down",
        "table": "tbl-demo-down",
        "baseline": "pool",
        "measure": measure | {"margin": 0.5},
        "data": data,
        "rows": [row | {"variant": name} for name in ("pool", "stride", "blur")],
        "claims": [],
    }
    written = study().model_dump(mode="json") | {"schema_version": 1, "comparisons": [compared]}
    path = studies.folder(tmp_path, study().id) / "study.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(written))
    found = studies.load(tmp_path, study().id)
    assert [r.reference for r in found.comparisons[0].rows] == [None, "pool", "pool"]
    assert found.comparisons[0].passes == {}
    assert found.schema_version == studies.SCHEMA


def test_a_study_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError) as caught:
        studies.load(tmp_path, "demo-1")
    assert str(caught.value) == f"{tmp_path}/studies/demo-1/study.json: there is no such study"
