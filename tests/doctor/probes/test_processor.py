"""Instruction sets, memory and a container's limit, from Linux's files."""

from anomedge.doctor.probes.processor import Processor
from tests.doctor.fakes import look


def test_files_of_linux(monkeypatch, tmp_path):
    monkeypatch.setattr(Processor, "proc", tmp_path)
    monkeypatch.setattr(Processor, "cgroup", tmp_path)
    found = look(Processor)
    assert found["memory"].value == "unknown, unknown available"
    assert found["instruction sets"].state == "absent"
    (tmp_path / "cpuinfo").write_text(
        "model name : Core Ultra\nflags : avx2 fma avx_vnni\n"
    )
    (tmp_path / "meminfo").write_text(
        "MemTotal: 8000000 kB\nMemAvailable: 1000000 kB\n"
    )
    (tmp_path / "memory.max").write_text("4000000000\n")
    found = look(Processor)
    assert "Core Ultra" in found["processor"].value
    assert found["instruction sets"].value == "avx2, fma, avx_vnni"
    assert found["INT8 products"].state == "present"
    assert found["memory"].value == (
        "8.2 GB, 1.0 GB available; this container may use 4.0 GB"
    )
