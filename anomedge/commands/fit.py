"""anomedge fit: fit a detector to normal pictures. The options of each detector come from its Options class."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from anomedge.commands._arguments import parse_size
from anomedge.commands._common_options import NormalLabel
from anomedge.commands._fields import parameter_of
from anomedge.commands._fit_result import print_result
from anomedge.commands._training_state import (
    check_state,
    remove_state,
    resumable,
    training_state,
)
from anomedge.errors import InputError
from anomedge.files import check_target
from anomedge.resample import Geometry, Tiling
from anomedge.resample.levels import Levels

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from anomedge.pipelines.splitting import Split

EXAMPLE = "anomedge fit patchcore normals/ -o model.safetensors --backbone tf_efficientnet_lite0 --weights efficientnet-lite0"

Option = typer.Option
_SWITCHES = {"--force", "--no-force", "--json", "--help"}


def fit(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Normal pictures of any sizes: a folder, or a data set or list (its anomalous pictures are left out)."
        ),
    ],
    output: Annotated[
        Path,
        Option("--output", "-o", help="Model file to write (.safetensors)."),
    ],
    size: Annotated[
        str,
        Option(
            help="HxW in pixels that pictures are resized to, without keeping the aspect ratio."
        ),
    ] = "256x256",
    crop: Annotated[
        str | None, Option(help="HxW in pixels of the centre crop.")
    ] = None,
    levels: Annotated[
        tuple[int, int] | None,
        Option(
            metavar="LOW HIGH",
            help="LOW HIGH, for pictures of 9 to 16 bits a channel: the values that become 0 and 255, in the files' units; "
            "stored in the model and applied everywhere.",
        ),
    ] = None,
    roi: Annotated[
        str | None,
        Option(
            help="Region of interest: x,y,w,h in pixels (pictures of one size), the same in fractions such as "
            "0.1,0.2,0.5,0.5, or a mask picture, white within the region."
        ),
    ] = None,
    tile: Annotated[
        str | None,
        Option(
            help="HxW in pixels of the tiles that the resized picture is cut into, for large pictures; the detector is fitted "
            "to tiles, and a picture has the score of its worst tile."
        ),
    ] = None,
    overlap: Annotated[
        int | None,
        Option(
            min=0,
            help="With --tile: least overlap of tiles in pixels; an eighth of a tile by default.",
        ),
    ] = None,
    held_back: Annotated[
        Path | None,
        Option(
            help="Folder of normal pictures for the threshold; they are not fitted to."
        ),
    ] = None,
    holdout: Annotated[
        float | None,
        Option(
            help="Share of FOLDER held back for the threshold; default: none, all pictures are fitted to and scored in folds."
        ),
    ] = None,
    folds: Annotated[
        int | None,
        Option(
            help="Folds that score the pictures for the threshold; default: the detector's own number (padim: 20, others that are not trained: 5); 0, also the default of detectors that would be trained once per fold: hold back a fifth, from 30 pictures on at least 10."
        ),
    ] = None,
    labelled: Annotated[
        Path | None,
        Option(
            help="Folder with `good` and other folders; the threshold has the best F1, or the --target-recall."
        ),
    ] = None,
    rule: Annotated[
        str | None,
        Option(
            help="Rule of the threshold: rate, balanced (against synthetic defects) or labelled; default: labelled with --labelled, else balanced, or rate with fewer than 10 pictures."
        ),
    ] = None,
    normal: NormalLabel = None,
    rate: Annotated[
        float | None,
        Option(
            help="False-alarm rate aimed at on normal pictures, 0.01 by default; selects --rule rate."
        ),
    ] = None,
    max_false_alarms: Annotated[
        float | None,
        Option(
            help="Largest false-alarm rate on normal pictures, 0.1 by default; selects --rule balanced."
        ),
    ] = None,
    target_recall: Annotated[
        float | None,
        Option(
            help="Share of the anomalous pictures of --labelled that the threshold catches; default: best F1."
        ),
    ] = None,
    seed: Annotated[
        int,
        Option(
            min=0,
            max=2**63 - 1,
            help="The same seed (and number of threads) gives the same bytes.",
        ),
    ] = 0,
    batch: Annotated[int, Option(min=1, help="Pictures per batch.")] = 8,
    force: Annotated[bool, Option(help="Replace an existing model.")] = False,
    as_json: Annotated[
        bool, Option("--json", help="Print the decision as JSON.")
    ] = False,
    *,
    detector: str,
    own: dict[str, Any],
) -> None:
    """Fit a detector; `own` holds its own options. All other parameters are options of every detector."""
    from anomedge.images import parse_region
    from anomedge.pipelines import decision, fitting, model

    check_target(output, force=force)
    state = training_state(output) if _is_trained(detector) else None
    if state is not None:
        check_state(state)
    options = fitting.FitOptions(
        geometry=Geometry(
            parse_size(size),
            parse_size(crop) if crop else None,
            tiling=_tiling(tile, overlap),
        ),
        held_back=held_back,
        holdout=holdout,
        folds=folds,
        labelled=labelled,
        rule=decision.Rule.named(rule, rate, max_false_alarms, target_recall),
        seed=seed,
        batch=batch,
        roi=parse_region(roi) if roi else None,
        detector=own,
        normal=normal,
        levels=Levels.checked(*levels) if levels is not None else None,
        state=state,
        restart=force,
    )
    splits: list[Split] = []
    with resumable(state):
        fitted = fitting.fit(detector, folder, options, splits.append)
        model.save(fitted, output, force=force)
    if state is not None:
        remove_state(state)
    print_result(fitted, splits[0], output, as_json)


def _is_trained(detector: str) -> bool:
    from anomedge import pipelines
    from anomedge.pipelines.training import TrainedPipeline

    return issubclass(pipelines.get(detector), TrainedPipeline)


def _tiling(tile: str | None, overlap: int | None) -> Tiling | None:
    """Return the tiles of the options; an eighth of the shorter side overlaps by default."""
    if tile is None:
        if overlap is not None:
            raise InputError(
                "got --overlap without --tile; expected both: it is the overlap of tiles"
            )
        return None
    size = parse_size(tile)
    return Tiling(size, min(size) // 8 if overlap is None else overlap)


class DetectorGroup(TyperGroup):
    """A group with one command per detector; options may also precede the detector's name."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the detectors; none without the packages of the extra `export`."""
        del ctx
        try:
            return _detectors()
        except ModuleNotFoundError:
            return []

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of a detector.

        Raises:
            InputError: no such detector.
        """
        del ctx
        from anomedge import pipelines

        try:
            return command_of(cmd_name)
        except InputError as error:
            if cmd_name not in pipelines.available():
                raise
            command = _failing_command(cmd_name, error)
            command.hidden = _is_imported(cmd_name)
            return command

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Move the detector's name to the front, then parse."""
        return super().parse_args(ctx, detector_first(args, _detectors))


def register(app: typer.Typer) -> None:
    """Add `fit` to a command line."""
    app.add_typer(
        typer.Typer(rich_markup_mode=None),
        name="fit",
        cls=DetectorGroup,
        help="Fit a detector to normal pictures and place its threshold. "
        "`anomedge fit DETECTOR --help` shows a detector's options.",
        epilog=f"Example: {EXAMPLE}",
        subcommand_metavar="DETECTOR FOLDER",
    )


def command_of(name: str) -> Any:
    """Return the command that fits a detector, with the options of all detectors and its own.

    Raises:
        InputError: no such detector, a plugin that cannot be loaded, an option with the name of a common one, or a
            detector that is not fitted.
    """
    from anomedge import pipelines

    kind = pipelines.get(name)
    if kind.not_fitted:
        raise InputError(kind.not_fitted)
    summary = (inspect.getdoc(kind) or name).split("\n\n")[0]
    common = _common_parameters()
    own = _own_parameters(name, kind.options_class.model_fields, common)

    def run(**values: Any) -> None:
        given = {
            key: values.pop(key) for key in kind.options_class.model_fields
        }
        fit(detector=name, own=given, **values)

    run.__signature__ = inspect.Signature([*common.values(), *own])  # type: ignore[attr-defined]
    run.__annotations__ = {}
    return _command(name, run, summary)


def detector_first(
    arguments: Sequence[str], names: Callable[[], Sequence[str]]
) -> list[str]:
    """Move the detector's name to the front: the first argument that is one, else the first that is not an option.

    >>> detector_first(["-o", "m", "padim", "normals"], lambda: ["padim"])
    ['padim', '-o', 'm', 'normals']
    """
    if not arguments or not arguments[0].startswith("-"):
        return list(arguments)
    values = _option_values(arguments)
    words = [i for i, word in enumerate(arguments) if not word.startswith("-")]
    if not words:
        return list(arguments)
    known = names()
    places = [i for i in words if arguments[i] in known and i not in values]
    places += [i for i in words if i not in values] or words
    first = places[0]
    rest = [word for i, word in enumerate(arguments) if i != first]
    return [arguments[first], *rest]


def _option_values(arguments: Sequence[str]) -> set[int]:
    """Return the positions of arguments that are the value of the option before them."""
    return {
        i + 1
        for i, word in enumerate(arguments)
        if word.startswith("-") and "=" not in word and word not in _SWITCHES
    }


def _detectors() -> list[str]:
    from anomedge import pipelines

    return pipelines.available()


def _is_imported(name: str) -> bool:
    """Return whether a detector is imported, never fitted; False for a plugin that cannot be loaded."""
    from anomedge import pipelines

    try:
        return bool(pipelines.REGISTRY.get(name).not_fitted)
    except InputError:
        return False


def _command(name: str, function: Callable[..., None], summary: str) -> Any:
    app = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    epilog = f"Example: anomedge fit {name} normals/ -o model.safetensors"
    app.command(name=name, help=summary, short_help=summary, epilog=epilog)(
        function
    )
    return typer.main.get_command(app)


def _failing_command(name: str, error: InputError) -> Any:
    """Return a command that raises an error, so that the list of detectors shows a plugin that cannot be loaded."""

    def run() -> None:
        raise error

    command = _command(name, run, f"Cannot be used: {error}")
    command.context_settings = {
        "ignore_unknown_options": True,
        "allow_extra_args": True,
    }
    return command


def _common_parameters() -> dict[str, inspect.Parameter]:
    """Return the parameters of `fit` that are options of every detector."""
    parameters = dict(inspect.signature(fit, eval_str=True).parameters)
    del parameters["detector"], parameters["own"]
    return {
        name: parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in parameters.items()
    }


def _own_parameters(
    detector: str,
    fields: dict[str, FieldInfo],
    common: dict[str, inspect.Parameter],
) -> list[inspect.Parameter]:
    """Return one parameter per field of an Options class."""
    parameters = []
    for name, info in fields.items():
        if name in common:
            raise InputError(
                f"the detector {detector} has the option {name!r}, which every detector has: rename it"
            )
        parameters.append(parameter_of(name, info))
    return parameters
