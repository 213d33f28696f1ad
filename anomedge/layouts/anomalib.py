r"""The graph as anomalib 2 and OpenVINO Model API expect it: their input, their four outputs, their metadata.

::

    input        float32 (B, 3, H, W), RGB in [0, 1], of the frame's size; brought to whole grey levels
    pred_score   float32 (B,), (score - image_threshold) / score_range + 1/2, clipped to [0, 1]
    pred_label   bool (B,), score > image_threshold
    anomaly_map  float32 (B, 1, h, w), (map - pixel_threshold) / score_range + 1/2, clipped to [0, 1]
    pred_mask    bool (B, 1, h, w), map > pixel_threshold

A detector without a map gives the first two alone, as anomalib exports its own classification models; Model API 0.4.7
reads no such graph.

The three constants are initialisers of these names, so they can be edited. Between input and outputs the graph is the
bundle's own: k / 255 comes back as the grey level k, so a tool that feeds a frame of the right size feeds our pixels.

Reference:
    anomalib 2.7, `post_processing/post_processor.py` (`_normalize`) and `deploy/inferencers/openvino_inferencer.py`;
    openvino-model-api 0.4.7, `models/anomaly.py` and `models/image_model.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from anomedge.layouts.base import Layout, LayoutOutput
from anomedge.layouts.edits import dims, feed_frames, node
from anomedge.threshold import Decision

if TYPE_CHECKING:
    import onnx

__all__ = ["INPUT", "ONNX_PREFIX", "Anomalib"]

INPUT = "input"
ONNX_PREFIX = "model_info "
"""Model API's name for `rt_info/model_info/...` among the properties of an ONNX graph."""

_LABELS = ("Normal", "Anomaly")


class Anomalib(Layout):
    """The input, outputs and metadata that anomalib 2 and OpenVINO Model API expect."""

    name = "anomalib"
    summary = "adds graphs for anomalib's and OpenVINO Model API's tools"
    outputs: ClassVar[dict[str, LayoutOutput]] = {
        "pred_score": LayoutOutput("score", "normalised"),
        "pred_label": LayoutOutput("score", "label"),
        "anomaly_map": LayoutOutput("anomaly_map", "normalised"),
        "pred_mask": LayoutOutput("anomaly_map", "label"),
    }
    axes = "NCHW"
    values = (0, 1)
    any_batch = False
    rounds = True

    @classmethod
    def feed(
        cls, frames: npt.NDArray[np.uint8 | np.float64]
    ) -> dict[str, npt.NDArray[Any]]:
        """Return float32 (B, 3, H, W) in [0, 1]."""
        scaled = (frames / 255.0).astype(np.float32)
        return {INPUT: np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))}

    @classmethod
    def rewrite(cls, model: onnx.ModelProto, decision: Decision) -> None:
        """Add nodes before `frames` and behind the raw tensors, which are renamed `raw_score` and `raw_map`."""
        from onnx import TensorProto, helper

        graph = model.graph
        shapes = {output.name: dims(output) for output in graph.output}
        _rename(graph, {"score": "raw_score", "anomaly_map": "raw_map"})
        feed_frames(
            model, INPUT, "float32", (0, 3, 1, 2), _head(), _constants(decision)
        )
        graph.node.extend(_tail("score", "image", "pred_score", "pred_label"))
        if decision.has_map:
            graph.node.extend(_tail("map", "pixel", "anomaly_map", "pred_mask"))
        del graph.output[:]
        for name, output in cls.outputs_of(decision.has_map).items():
            is_label = output.form == "label"
            kind = TensorProto.BOOL if is_label else TensorProto.FLOAT
            shape = shapes[output.quantity]
            graph.output.append(
                helper.make_tensor_value_info(name, kind, shape)
            )
        helper.set_model_props(model, cls.properties(decision))

    @classmethod
    def properties(cls, decision: Decision) -> dict[str, str]:
        """Return `model_info` under the names that Model API reads from ONNX graphs."""
        info = cls.model_info(decision).items()
        return {ONNX_PREFIX + key: value for key, value in info}

    @classmethod
    def model_info(cls, decision: Decision) -> dict[str, str]:
        """Return the metadata of Model API; thresholds are raw, in the score's unit.

        Model API reads pictures with OpenCV, as BGR, and resizes them without keeping the aspect ratio.
        """
        info = {
            "image_threshold": repr(decision.threshold),
            "labels": " ".join(_LABELS),
            "model_type": "AnomalyDetection",
            "normalization_scale": repr(decision.range),
            "pixel_threshold": repr(decision.pixel_threshold),
            "resize_type": "standard",
            "reverse_input_channels": "True",
            "scale_values": "255.0 255.0 255.0",
            "task": "segmentation",
        }
        if not decision.has_map:
            del info["pixel_threshold"]
            info["task"] = "classification"
        return info


def _head() -> list[onnx.NodeProto]:
    """Return the nodes from `input` to `frames`."""
    return [
        node("Mul", [INPUT, "grey_levels"], "levels"),
        node("Round", ["levels"], "whole_levels"),
        node("Clip", ["whole_levels", "zero", "grey_levels"], "pixels"),
        node("Transpose", ["pixels"], "frames", perm=[0, 2, 3, 1]),
    ]


def _tail(
    raw: str, kind: str, normalised: str, above: str
) -> list[onnx.NodeProto]:
    """Return the nodes behind a raw tensor; labels compare the raw value, so rounding cannot change them."""
    raw_name, threshold = f"raw_{raw}", f"{kind}_threshold"
    return [
        node("Greater", [raw_name, threshold], above),
        node("Sub", [raw_name, threshold], f"{raw}_offset"),
        node("Div", [f"{raw}_offset", "score_range"], f"{raw}_share"),
        node("Add", [f"{raw}_share", "half"], f"{raw}_centred"),
        node("Clip", [f"{raw}_centred", "zero", "one"], normalised),
    ]


def _constants(decision: Decision) -> dict[str, np.float32]:
    values = {"image_threshold": _float_below(decision.threshold)}
    if decision.has_map:
        values["pixel_threshold"] = _float_below(decision.threshold_of_map)
    values |= {
        "score_range": np.float32(decision.range),
        "grey_levels": np.float32(255),
        "zero": np.float32(0),
        "half": np.float32(0.5),
        "one": np.float32(1),
    }
    return values


def _float_below(threshold: float) -> np.float32:
    """Return the largest float32 up to the threshold; a float32 is above one of the two if it is above the other.

    >>> float(_float_below(0.1)) < 0.1 < float(np.float32(0.1))
    True
    """
    nearest = np.float32(threshold)
    return (
        nearest
        if float(nearest) <= threshold
        else np.nextafter(nearest, np.float32(-np.inf))
    )


def _rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    for each in graph.node:
        for tensors in (each.input, each.output):
            for place, name in enumerate(tensors):
                tensors[place] = names.get(name, name)
