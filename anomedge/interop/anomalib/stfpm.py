"""STFPM of anomalib: teacher and student."""

from __future__ import annotations

from anomedge.interop.anomalib.backbone import feature_extractor
from anomedge.interop.anomalib.base import ImportedDetector, tensors_fit
from anomedge.interop.anomalib.foreign import ForeignModel, Taken
from anomedge.pipelines.stfpm import Stfpm, StfpmConfig

__all__ = ["ImportedStfpm"]

Size = tuple[int, int]

_TEACHER, _STUDENT = "teacher_model.", "student_model."
_PARTS = (_TEACHER, _STUDENT, "anomaly_map_generator.")


class ImportedStfpm(ImportedDetector):
    """STFPM, a student of a teacher's features, as `anomedge.pipelines.stfpm.Stfpm`."""

    name = "stfpm"

    @classmethod
    def matches(cls, foreign: ForeignModel) -> bool:
        """Return whether the file has a teacher, a student, and nothing of another model."""
        return tensors_fit(foreign, (_TEACHER, _STUDENT), _PARTS)

    @classmethod
    def build(cls, foreign: ForeignModel, size: Size, taken: Taken) -> Stfpm:
        """Return the trained STFPM; see `ImportedDetector.build`."""
        teacher = feature_extractor(foreign, size, taken, prefix=_TEACHER)
        student = feature_extractor(
            foreign, size, taken, prefix=_STUDENT, what="student"
        )
        config = StfpmConfig.of(teacher, size)
        return Stfpm(config, teacher, student).eval()
