"""The wheelhouse script: markers and tags are those of the device, and gaps are found."""

import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "wheelhouse"


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(SCRIPT))


def wheel(folder, name, tag="py3-none-any", requires=(), version="1.0"):
    """Write a wheel with metadata alone."""
    folder.mkdir(exist_ok=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {line}" for line in requires]
    lines += ["Provides-Extra: ort", ""]
    info = f"{name}-{version}.dist-info"
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{info}/METADATA", "\n".join(lines))
        archive.writestr(
            f"{info}/WHEEL",
            f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


def run(*words):
    done = subprocess.run(
        [sys.executable, SCRIPT, *map(str, words)],
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


def needs(script, requires, packages, python="3.10", machine="aarch64"):
    """Return the needed packages and the unmet requirements of anomedge[ort]."""
    target = script["Target"](python, machine, "2.35")
    requirement = script["Requirement"]
    version = script["Version"]
    wheels = {
        name: script["Wheel"](Path(), version("1.0"), []) for name in packages
    }
    stated = [requirement(text) for text in requires]
    wheels["anomedge"] = script["Wheel"](Path(), version("1.0"), stated)
    roots = [requirement("anomedge[ort]")]
    return script["closure"](wheels, roots, target)


@pytest.mark.parametrize(
    ("requirement", "needed"),
    [
        ("backport; python_version < '3.11'", True),
        ("backport; python_version >= '3.11'", False),
        ("backport; platform_machine == 'aarch64'", True),
        ("backport; platform_machine == 'x86_64'", False),
        ("backport; sys_platform == 'win32'", False),
        ("backport; extra == 'ort'", True),
        ("backport; extra == 'openvino'", False),
    ],
)
def test_markers_are_those_of_the_device(script, requirement, needed):
    found, unmet = needs(script, [requirement], ["backport"])
    assert ("backport" in found) == needed
    assert unmet == []
    _, unmet = needs(script, [requirement], [])
    assert unmet == (["backport"] if needed else [])


def test_a_release_outside_the_range_is_unmet(script):
    _, unmet = needs(script, ["backport>=2"], ["backport"])
    assert unmet == ["backport>=2"]


def test_tags_of_a_jetson(script):
    tags = script["Target"]("3.10", "aarch64", "2.35").tags()
    assert "cp310-cp310-manylinux_2_35_aarch64" in tags
    assert "cp38-abi3-manylinux2014_aarch64" in tags
    assert "py3-none-any" in tags
    assert "cp310-cp310-manylinux_2_36_aarch64" not in tags
    assert "cp311-cp311-manylinux_2_17_aarch64" not in tags
    assert "cp310-cp310-manylinux2014_x86_64" not in tags


def test_a_complete_folder_is_proven_without_a_network(tmp_path):
    folder = tmp_path / "wheels"
    wheel(folder, "anomedge", requires=["native; extra == 'ort'"])
    wheel(folder, "native", tag="cp310-cp310-manylinux_2_28_aarch64")
    code, out, err = run("-o", folder, "--check", "--extra", "ort")
    assert code == 0, err
    assert "complete: 2 wheels" in out
    pinned = (folder / "requirements.txt").read_text().splitlines()
    assert [line.split()[0] for line in pinned] == [
        "anomedge==1.0",
        "native==1.0",
    ]
    assert all("--hash=sha256:" in line for line in pinned)


@pytest.mark.parametrize(
    ("requires", "tag", "said"),
    [
        (["gone; python_version < '3.11'"], "py3-none-any", "meets gone"),
        (["native"], "cp310-cp310-manylinux_2_39_aarch64", "glibc 2.35"),
        (["native"], "cp311-cp311-manylinux_2_28_aarch64", "Python 3.10"),
        (["native"], "cp310-cp310-manylinux_2_28_x86_64", "aarch64"),
    ],
)
def test_an_incomplete_folder_is_refused(tmp_path, requires, tag, said):
    folder = tmp_path / "wheels"
    wheel(folder, "anomedge", requires=requires)
    wheel(folder, "native", tag=tag)
    code, _, err = run("-o", folder, "--check")
    assert code == 1
    assert said in err


def test_two_releases_of_a_package_are_refused(tmp_path):
    folder = tmp_path / "wheels"
    wheel(folder, "anomedge")
    wheel(folder, "anomedge", version="2.0")
    code, _, err = run("-o", folder, "--check")
    assert code == 1
    assert "one wheel per package" in err


def test_a_folder_with_files_is_not_collected_into(tmp_path):
    (tmp_path / "old.whl").touch()
    code, _, err = run("-o", tmp_path)
    assert code == 1
    assert "expected an empty folder" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--python", "abc"], "expected 3 and a minor version"),
        (["--python", "3"], "expected 3 and a minor version"),
        (["--python", "3.10.4"], "expected 3 and a minor version"),
        (["--glibc", "2"], "expected 2 and a minor version"),
        (["--glibc", "x.y"], "expected 2 and a minor version"),
        (["two words"], "expected a requirement"),
    ],
)
def test_wrong_arguments_are_named(tmp_path, words, said):
    code, _, errors = run("--check", "-o", tmp_path, *words)
    assert code == 2
    assert said in errors
    assert "Traceback" not in errors


def test_what_is_no_folder_of_wheels_is_named(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    for words in (["-o", file], ["--check", "-o", file]):
        code, _, errors = run(*words)
        assert code == 1
        assert errors.startswith("error: ")


@pytest.mark.parametrize("name", ["part.whl", "part-1.0-py3-none-any.whl"])
def test_a_spoilt_wheel_is_named(tmp_path, name):
    (tmp_path / name).write_text("no archive")
    code, _, errors = run("--check", "-o", tmp_path)
    assert code == 1
    assert name in errors
    assert errors.startswith("error: ")
