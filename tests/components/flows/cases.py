"""The grid of options that a flow block can be built with, shared by the tests of flows."""

import itertools
from dataclasses import asdict, dataclass, fields

import torch
from torch import nn

from anomedge.components.flows.all_in_one import AllInOneBlock

CHANNELS, CONDITION_CHANNELS = 5, 3


@dataclass(frozen=True)
class Options:
    kind: str
    gin: bool
    soft: bool
    reflections: int
    reverse: bool
    conditions: int
    spatial: tuple[int, ...]

    def __str__(self) -> str:
        said = [
            self.kind.lower(),
            *(
                name
                for name in ("gin", "soft", "reverse")
                if getattr(self, name)
            ),
        ]
        return "-".join(
            [
                *said,
                f"v{self.reflections}",
                f"c{self.conditions}",
                "x".join(map(str, self.spatial)) or "1d",
            ]
        )

    @property
    def dims_in(self):
        return [(CHANNELS, *self.spatial)]

    @property
    def dims_c(self):
        return [
            (CONDITION_CHANNELS + i, *self.spatial)
            for i in range(self.conditions)
        ]

    def arguments(self):
        return {
            "dims_c": self.dims_c,
            "subnet_constructor": convolutions if self.spatial else dense,
            "affine_clamping": 1.5,
            "gin_block": self.gin,
            "global_affine_init": 0.8,
            "global_affine_type": self.kind,
            "permute_soft": self.soft,
            "learned_householder_permutation": self.reflections,
            "reverse_permutation": self.reverse,
        }

    def block(self, module_class=AllInOneBlock, seed=0):
        """A block whose every parameter is away from where it starts; the coupling is no identity."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            block = module_class(self.dims_in, **self.arguments())
            return shaken(block)

    def tensors(self, batch=3, seed=1):
        """An input and the conditions."""
        generator = torch.Generator().manual_seed(seed)
        shapes = [*self.dims_in, *self.dims_c]
        return [
            torch.randn(batch, *shape, generator=generator) for shape in shapes
        ]


def dense(channels_in, channels_out):
    return nn.Sequential(
        nn.Linear(channels_in, 8), nn.Tanh(), nn.Linear(8, channels_out)
    )


def convolutions(channels_in, channels_out):
    return nn.Sequential(
        nn.Conv2d(channels_in, 8, 3, padding=1),
        nn.Tanh(),
        nn.Conv2d(8, channels_out, 3, padding=1),
    )


def shaken(module):
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                parameter.add_(
                    torch.randn_like(parameter),
                    alpha=2.0 if "subnet" in name else 0.2,
                )
    return module


def whole_grid():
    axes = (
        ("SIGMOID", "SOFTPLUS", "EXP"),
        (False, True),
        (False, True),
        (0, 3),
        (False, True),
        (0, 2),
        ((), (2, 3)),
    )
    return [Options(*values) for values in itertools.product(*axes)]


def covering(options):
    """A few of them, in which each two values of two options meet; the first of equals, so always the same."""
    names = [field.name for field in fields(Options)]

    def pairs(option):
        return set(
            itertools.combinations(
                [(name, asdict(option)[name]) for name in names], 2
            )
        )

    missing = set().union(*map(pairs, options))
    chosen = []
    while missing:
        best = max(options, key=lambda option: len(pairs(option) & missing))
        chosen.append(best)
        missing -= pairs(best)
    return chosen


GRID = whole_grid()
COVER = covering(GRID)


def block(dims_in=((4, 2, 2),), dims_c=None, **more):
    return AllInOneBlock(
        dims_in, dims_c, **({"subnet_constructor": convolutions} | more)
    )
