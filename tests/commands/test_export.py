"""The verb export: what it replaces, and what it refuses."""

from tests.commands.running import run


def test_force_replaces_bundles_only(model_paths, pictures, tmp_path, capfd):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    arguments = [
        "export",
        model_paths["padim"],
        "-o",
        tmp_path / "mine",
        "--frame",
        "96x128",
        "--golden",
        "synthetic",
    ]
    assert run(*arguments, "--force") == 2
    assert "is no bundle" in capfd.readouterr().err
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
