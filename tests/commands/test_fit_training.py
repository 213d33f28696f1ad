"""`anomedge fit` of a trained detector: stopped by signals at any time, resumed, refused."""

import os
import signal
import subprocess
import sys
import time

import pytest
from safetensors import safe_open

from anomedge.pipelines.model import load
from tests.commands.running import run

pytestmark = pytest.mark.filterwarnings(
    "ignore::anomedge.pipelines.decision.SmallSampleWarning"
)
OPTIONS = [
    "--size", "32x32", "--backbone", "test_efficientnet", "--weights", "random", "--layers", "blocks.1,blocks.2",
    "--train-batch", "4", "--device", "cpu", "--rule", "rate",
]  # fmt: skip


def arguments(pictures, output, *more):
    folders = [pictures / "train", "--held-back", pictures / "held_back"]
    return ["fit", "stfpm", *folders, "-o", output, *OPTIONS, *more]


def epochs_of(state):
    """Finished epochs of a stored state; 0 before the first."""
    from anomedge.pipelines.training.state import read_state

    return read_state(state).losses.epochs if state.exists() else 0


@pytest.fixture
def output(tmp_path):
    return tmp_path / "part.safetensors"


def test_a_finished_training_leaves_the_model_alone(pictures, output, capsys):
    assert run(*arguments(pictures, output, "--epochs", "2")) == 0
    assert [path.name for path in output.parent.iterdir()] == [output.name]
    assert load(output).card.training.epochs == 2
    assert "stfpm on test_efficientnet" in capsys.readouterr().out


def test_resume_is_refused_for_a_detector_without_training(
    pictures, output, capsys
):
    command = ["fit", "padim", pictures / "train", "-o", output, "--resume"]
    assert run(*command) == 2
    assert "--resume" in capsys.readouterr().err


def test_a_stopped_training_says_how_to_resume(
    pictures, output, capsys, monkeypatch
):
    from anomedge.pipelines.training.course import Course

    finish_step = Course.finish_step

    def step(self):
        finish_step(self)
        if self.losses.epochs == 1:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(Course, "finish_step", step)
        code = run(*arguments(pictures, output, "--epochs", "3"))
    message = capsys.readouterr().err
    assert code == 128 + signal.SIGINT
    assert "stopped by SIGINT; 1 of 3 epochs are stored in" in message
    assert "run the same command with --resume" in message
    state = output.with_name("part.training") / "state.safetensors"
    assert epochs_of(state) == 1
    assert run(*arguments(pictures, output, "--epochs", "3")) == 2
    assert "continue it with --resume" in capsys.readouterr().err
    more = ["--epochs", "3", "--resume"]
    assert run(*arguments(pictures, output, *more, "--flip", "both")) == 2
    assert "--flip none, now both" in capsys.readouterr().err
    assert run(*arguments(pictures, output, *more)) == 0
    whole = output.with_name("whole.safetensors")
    assert run(*arguments(pictures, whole, "--epochs", "3")) == 0
    assert output.read_bytes() == whole.read_bytes()
    assert not state.parent.exists()


def test_a_stop_after_the_training_says_how_to_resume(
    pictures, output, capsys, monkeypatch
):
    """The threshold is placed after the last epoch, which may take minutes."""

    def stopped(*_, **__):
        os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr("anomedge.pipelines.model.save", stopped)
        code = run(*arguments(pictures, output, "--epochs", "1"))
    assert code == 128 + signal.SIGINT
    message = capsys.readouterr().err
    assert "the training is stored in" in message
    assert "run the same command with --resume" in message
    assert epochs_of(output.with_name("part.training") / "state.safetensors") == 1  # fmt: skip


def test_force_trains_from_the_start(pictures, output):
    folder = output.with_name("part.training")
    folder.mkdir()
    (folder / "state.safetensors").write_bytes(b"damaged")
    given = arguments(pictures, output, "--epochs", "1", "--force")
    assert run(*given) == 0
    assert not folder.exists()


def test_a_refused_command_keeps_the_stored_training(pictures, output, capfd):
    state = output.with_name("part.training") / "state.safetensors"
    state.parent.mkdir()
    state.write_bytes(b"stored")
    given = arguments(pictures, output, "--force", "--roi", "0,0,9999,9999")
    assert run(*given) == 2
    assert "part.training" not in capfd.readouterr().err
    assert state.read_bytes() == b"stored"


def test_the_folder_of_a_state_is_checked_before_the_training(
    pictures, output, capfd
):
    folder = output.with_name("part.training")
    folder.mkdir()
    (folder / "notes.txt").touch()
    assert run(*arguments(pictures, output, "--epochs", "1")) == 2
    assert "'notes.txt', which no training wrote" in capfd.readouterr().err
    assert not output.exists()


def test_a_detector_that_is_not_trained_leaves_such_a_folder_alone(
    pictures, output
):
    folder = output.with_name("part.training")
    folder.mkdir()
    (folder / "notes.txt").touch()
    held_back = ["--held-back", pictures / "held_back"]
    command = ["fit", "padim", pictures / "train", *held_back, "-o", output]
    own = ["--size", "32x32", "--backbone", "test_efficientnet"]
    assert run(*command, *own, "--weights", "random", "--force") == 0
    assert (folder / "notes.txt").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]
)
def test_a_signal_at_any_time_loses_no_finished_epoch(number, pictures, output):
    # Far more than are finished when the signal arrives.
    total = 60
    epochs = ["--epochs", str(total)]
    command = [sys.executable, "-m", "anomedge"]
    command += map(str, arguments(pictures, output, *epochs))
    state = output.with_name("part.training") / "state.safetensors"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    finished = 0
    for more in (1, 3):
        # Counted from the last stop: before its first epoch a process may not have its handler of signals yet.
        wanted = finished + more
        child = subprocess.Popen(
            command, env=environment, stderr=subprocess.PIPE, text=True
        )
        while epochs_of(state) < wanted and child.poll() is None:
            time.sleep(0.01)
        child.send_signal(number)
        _, message = child.communicate()
        if child.returncode == 0:
            break
        now = epochs_of(state)
        assert now >= wanted
        if number != signal.SIGKILL and now < total:
            assert f"{now} of {total} epochs are stored" in message
        finished = now
        if "--resume" not in command:
            command.append("--resume")
    done = subprocess.run(command, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr
    whole = output.with_name("whole.safetensors")
    given = map(str, arguments(pictures, whole, *epochs))
    subprocess.run(
        [sys.executable, "-m", "anomedge", *given], env=environment, check=True
    )
    assert output.read_bytes() == whole.read_bytes()
    assert "training" in header_of(output)
    assert not state.parent.exists()


def header_of(path):
    with safe_open(path, "pt") as file:
        return file.metadata()["anomedge"]
