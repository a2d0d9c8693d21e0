"""What records say of the machine: what it tells, what it does not, and what nvidia-smi prints."""

import json
import os
import platform
import shutil
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from ablate import environment

# As `nvidia-smi --query-gpu=… --format=csv,noheader,nounits` prints it.
TOLD = "550.90.12, 1410, 1980, 1755, 1512, 2619, 2619, 412.37, 700.00, 54, Enabled, NVIDIA H200\n"
STATE = {
    "driver": "550.90.12",
    "sm_mhz": 1410,
    "sm_mhz_max": 1980,
    "sm_mhz_set": 1755,
    "memory_mhz": 1512,
    "memory_mhz_max": 2619,
    "memory_mhz_set": 2619,
    "watts": 412.37,
    "watts_limit": 700,
    "celsius": 54,
    "ecc": "Enabled",
    "name": "NVIDIA H200",
}


# --- the machine ----------------------------------------------------------------------------------


def test_a_record_says_where_it_was_made() -> None:
    found = environment.describe("cpu")
    assert json.loads(json.dumps(found)) == found
    assert found["python"] == platform.python_version()
    assert found["cores"] == os.cpu_count()
    assert found["threads"] == torch.get_num_threads()
    assert found["packages"]["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert {"numpy", "fvcore", "triton"} < set(found["packages"])
    assert 0 < found["memory"]["usable"] <= found["memory"]["machine"]
    assert found["memory"]["usable"] == environment.memory()
    assert found["cpu_mhz"].keys() == {"governor", "mhz_now", "mhz_min", "mhz_max"}
    assert found["virtual"] in (True, False, None)
    assert found.keys().isdisjoint({"gpu", "gpu_state", "cuda", "cudnn"})


@pytest.mark.skipif(shutil.which("lscpu") is None, reason="lscpu is what it is held against")
def test_the_cpu_is_the_one_that_lscpu_finds() -> None:
    printed = subprocess.run(
        ["lscpu"], capture_output=True, text=True, check=True, env=os.environ | {"LC_ALL": "C"}
    ).stdout
    lines = {name.strip(): value.strip() for name, _, value in map(_halves, printed.splitlines())}
    found = environment.describe("cpu")
    if "Model name" in lines:
        assert found["cpu"] == lines["Model name"]
    if found["virtual"] is not None:
        assert found["virtual"] == ("Hypervisor vendor" in lines)


def _halves(line: str) -> tuple[str, str, str]:
    return line.partition(":")


def test_it_takes_no_time() -> None:
    environment.describe("cpu")  # packages and the code are looked up once
    began = time.process_time()
    for _ in range(10):
        environment.describe("cpu")
    assert (time.process_time() - began) / 10 < 0.02


def test_flags_that_decide_about_numbers_are_told() -> None:
    def numerics() -> dict[str, Any]:
        found: dict[str, Any] = environment.describe("cpu")["numerics"]
        return found

    usual = numerics()
    cudnn, precision = torch.backends.cudnn, torch.get_float32_matmul_precision()
    before = cudnn.benchmark, cudnn.deterministic, torch.are_deterministic_algorithms_enabled()
    flushes = torch.set_flush_denormal(True)
    try:
        torch.set_default_dtype(torch.float64)
        torch.set_float32_matmul_precision("high")
        torch.use_deterministic_algorithms(not before[2])
        cudnn.benchmark, cudnn.deterministic = not before[0], not before[1]
        changed = numerics()
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_float32_matmul_precision(precision)
        torch.use_deterministic_algorithms(before[2])
        cudnn.benchmark, cudnn.deterministic = before[:2]
        torch.set_flush_denormal(False)
    assert {name for name in usual if usual[name] != changed[name]} == {
        *("default_dtype", "matmul_precision", "tf32_matmul", "deterministic"),
        *("cudnn_benchmark", "cudnn_deterministic"),
        *(("denormals_flushed",) if flushes else ()),
    }
    assert (changed["default_dtype"], changed["matmul_precision"]) == ("float64", "high")
    assert numerics() == usual


def test_the_frequency_is_that_of_all_cores(tmp_path: Path) -> None:
    for number, (governor, least, most, now) in enumerate(
        [("performance", 800000, 3500000, 3401000), ("powersave", 400000, 2000000, 1200500)]
    ):
        policy = tmp_path / f"policy{number}"
        policy.mkdir()
        for name, value in (
            ("scaling_governor", governor),
            ("scaling_min_freq", least),
            ("scaling_max_freq", most),
            ("scaling_cur_freq", now),
        ):
            (policy / name).write_text(f"{value}\n", encoding="ascii")
    told = {"governor": "performance, powersave", "mhz_min": 400, "mhz_max": 3500}
    assert environment._frequency({}, tmp_path) == told | {"mhz_now": 2301}
    of_cores = {"cpu MHz": ["2000.000", "2600.126", "2600.900"]}
    assert environment._frequency(of_cores, tmp_path) == told | {"mhz_now": 2600}
    assert set(environment._frequency({}, tmp_path / "none").values()) == {None}


# --- GPUs -----------------------------------------------------------------------------------------


def test_what_nvidia_smi_prints_of_a_gpu_is_understood() -> None:
    assert environment.parse_gpu(TOLD) == STATE


@pytest.mark.parametrize("nothing", ["[N/A]", "[Not Supported]", "[Unknown Error]", "N/A"])
def test_what_a_gpu_does_not_tell_is_none(nothing: str) -> None:
    line = f"535.161.08, 1410, 1410, {nothing}, 1215, 1215, {nothing}, {nothing}, 250.00, 31, "
    found = environment.parse_gpu(f"{line}[N/A], NVIDIA A100, 40GB\n")
    assert found is not None
    assert found["name"] == "NVIDIA A100, 40GB"
    assert (found["sm_mhz"], found["watts_limit"], found["celsius"]) == (1410, 250, 31)
    unknown = {name for name, value in found.items() if value is None}
    assert unknown == {"sm_mhz_set", "memory_mhz_set", "watts", "ecc"}


@pytest.mark.parametrize(
    "text", ["", "No devices were found\n", TOLD + TOLD, 'Field "watts" is not a valid field\n']
)
def test_what_is_no_gpu_is_none(text: str) -> None:
    assert environment.parse_gpu(text) is None


def test_what_nvidia_smi_prints_of_processes_is_understood() -> None:
    text = "1234, 2048\n 77, [N/A]\n[Insufficient Permissions], 5\n\n"
    assert environment.parse_processes(text) == [
        {"pid": 1234, "bytes": 2 << 30},
        {"pid": 77, "bytes": None},
    ]
    assert environment.parse_processes("") == []


AFTER = (
    ": times that are measured beside it hold for that mixture alone, and can be repeated only on "
    "a GPU that is left alone"
)


@pytest.mark.parametrize(
    ("others", "sentence"),
    [
        ([], None),
        (None, None),
        (
            [{"pid": 12, "bytes": 3 << 29}],
            "the GPU is used by another process (12, with 1.5 GiB of its memory)",
        ),
        (
            [{"pid": 12, "bytes": 3 << 29}, {"pid": 345, "bytes": 1 << 30}],
            "the GPU is used by 2 other processes (12, 345, with 2.5 GiB of its memory)",
        ),
        (
            [{"pid": 12, "bytes": 3 << 29}, {"pid": 345, "bytes": None}],
            "the GPU is used by 2 other processes (12, 345)",
        ),
    ],
)
def test_others_on_a_gpu_are_named(others: Any, sentence: str | None) -> None:
    said = environment.others_on_gpu(STATE | {"others": others})
    assert said == (None if sentence is None else sentence + AFTER)


def test_without_a_gpu_there_are_no_others_on_it() -> None:
    assert environment.others_on_gpu(None) is None


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in the place of nvidia-smi, which answers as it does and keeps its arguments."""
    path = tmp_path / "nvidia-smi"
    path.write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> {tmp_path}/asked\n'
        'case "$*" in\n'
        f"*--query-gpu=*) printf '%s' '{TOLD}';;\n"
        f"*) printf '%s, 512\\n4242424, 1024\\n' {os.getpid()};;\n"
        "esac\n",
        encoding="utf-8",
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return path


def test_a_gpu_is_asked_for_its_state_and_who_else_is_there(
    smi: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "_knows_all_processes", lambda: True)
    others = [{"pid": 4242424, "bytes": 1 << 30}]  # this process is none of them
    assert environment.gpu_state(1) == STATE | {"others": others}
    asked = (smi.parent / "asked").read_text(encoding="utf-8").splitlines()
    assert asked == [
        "--query-gpu=driver_version,clocks.sm,clocks.max.sm,clocks.applications.graphics,"
        "clocks.mem,clocks.max.mem,clocks.applications.memory,power.draw,power.limit,"
        "temperature.gpu,ecc.mode.current,name -i 1 --format=csv,noheader,nounits",
        "--query-compute-apps=pid,used_memory -i 1 --format=csv,noheader,nounits",
    ]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-5c1")
    environment.gpu_state(1)
    assert "-i GPU-5c1 " in (smi.parent / "asked").read_text(encoding="utf-8").splitlines()[-1]


def test_where_own_processes_cannot_be_told_from_others_none_are_named(
    smi: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "_knows_all_processes", lambda: False)
    assert environment.gpu_state() == STATE | {"others": None}


@pytest.mark.parametrize("program", ["exit 9", "echo No devices were found", None])
def test_without_an_answer_there_is_no_state(
    smi: Path, program: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if program is None:
        smi.unlink()
        monkeypatch.setenv("PATH", str(smi.parent))
    else:
        smi.write_text(f"#!/bin/sh\n{program}\n", encoding="utf-8")
    assert environment.gpu_state() is None
