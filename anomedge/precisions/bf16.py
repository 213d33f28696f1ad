"""bfloat16: a mode of OpenVINO on newer CPUs, without a graph of its own."""

from __future__ import annotations

from anomedge.precisions.base import Precision, Tolerance

__all__ = ["BFloat16"]


class BFloat16(Precision):
    """The float32 graph with values of eight bits; preprocessing and statistics are computed in them as well.

    Measured: 4 to 9 % of the scale for scores, 5 % for maps, 0.2 % of the pixels' range; on extreme frames 20 % for maps and
    stages. The tolerances are about twice that.
    OpenVINO takes this mode by default where the CPU has it; anomedge asks for float32 unless the precision is bf16.
    """

    name = "bf16"
    summary = "the fp32 graph in bfloat16, on a CPU with AVX512-BF16 or AMX"
    tolerance = Tolerance(
        score=2e-1, map=4e-1, batch=5e-2, pixels=1e-2, stage=4e-1
    )
    # Eight bits round every value: the errors of all pictures are of the size of the worst one.
    typical_score = 0.5
    is_written = False
