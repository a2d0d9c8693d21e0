"""Network families: how a network is built of blocks, one family a file.

    build(input_shape: tuple[int, int, int], outputs: int, *, options) -> nn.Module

`input_shape` is (channels, height, width) of one image, `outputs` is what the task asks for. The
module maps (n, *input_shape) to (n, outputs), a number for every class, or to
(n, outputs, 2·height, 2·width), an image of `outputs` channels and twice the resolution, as its
family says; where `outputs` is 0 (task `measure`), to whatever its layers make. It has two
children, but for `zoo`, whose networks are other people's:

* `features`, the spatial part, the receptive field of which means something; traceable by
  `torch.fx`;
* `head`, what makes outputs of features.

Options come after the `*`, with types; an option that names a block has a component's type
(`ablate.components`). The paths of modules are readable and as equal as can be between variants
(`features.stage1.layer1.conv`), since initial values are drawn by path. `SAMPLES` lists options for
the contract tests, for 3x32x32 images and 3 outputs. A family works under `torch.device("meta")`.

A family whose option `width` scales its layers has a function `channels(*, <its options>) ->
list[int]` beside `build`: those of its layers. Where these are equal and all options but the width,
the networks are equal: matching counts one of them.

Mistakes that only building can find raise ValueError with one line that says where and what to do.
"""

import hashlib
import math
import re
from collections import Counter

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.utils import _pair

# Modules that compute nothing of their own.
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.Identity)


def initialise(network: nn.Module, seed: int) -> None:
    """Draw all parameters anew, each module's from the seed and the module's path alone.

    Modules of the same path, type and shape get the same values in every variant, whatever else
    the variants differ in. The distributions are those of each module's `reset_parameters`: torch's
    own for modules of `torch.nn` (convolutions and linear layers: uniform within ±1/√fan-in).
    A block's `reset_parameters` runs after those of its children. The global generators are left
    as they were.

    Raises:
        RuntimeError: a parameter is not on the CPU, or no `reset_parameters` sets it.
    """
    parameters = dict(network.named_parameters())
    for path, parameter in parameters.items():
        if parameter.device.type != "cpu":
            # Generators of other devices give other numbers.
            raise RuntimeError(f"{path} is on {parameter.device}; initialise on the CPU, then move")
        nn.init.constant_(parameter, math.nan)
    with torch.random.fork_rng(devices=[]):
        for path, module in reversed(list(network.named_modules())):  # children before parents
            if hasattr(module, "reset_parameters"):
                digest = hashlib.sha256(f"{seed}:{path}".encode()).digest()
                # Not torch.manual_seed, which reseeds the generators of accelerators as well.
                torch.default_generator.manual_seed(int.from_bytes(digest[:7]))
                module.reset_parameters()
    for path, parameter in parameters.items():
        if parameter.isnan().any():
            raise RuntimeError(
                f"no reset_parameters sets {path}; give its module one, so that seeds decide it"
            )


def signature(network: nn.Module) -> list[str]:
    """Return what the network computes, as text: its modules in order, without their names.

    One entry a module: its type and options (`Conv2d(3, 32, kernel_size=(3, 3), …)`), after the
    types and options of the modules it lies in. Containers and identities compute nothing and are
    left out. Networks with equal signatures compute the same function of the same parameters.
    """
    entries: list[str] = []
    seen: dict[nn.Module, int] = {}

    def visit(module: nn.Module, around: str) -> None:
        if not isinstance(module, _CONTAINERS):
            entry = f"{around}{type(module).__name__}({module.extra_repr()})"
            around = f"{entry} > "
            if module in seen:  # used twice: its parameters are shared
                entry += f" = {seen[module]}"
            seen.setdefault(module, len(entries))
            entries.append(entry)
        for child in module._modules.values():  # `children` would pass over a repeated one
            if child is not None:
                visit(child, around)

    visit(network, "")
    return entries


def difference(baseline: nn.Module, variant: nn.Module) -> list[str]:
    """Return how the variant's modules differ from the baseline's, as short lines for people.

    What only the baseline has comes first, with "-", then what only the variant has, with "+":
    `- 7 Conv2d 3x3`, `+ 7 Conv2d 3x3 depthwise`, `+ 7 Conv2d 1x1`, `+ 4 Skips (around layer 2)`.
    Channels are left out of those lines and have one of their own (`first layer: 32 -> 87
    channels`). No lines: no difference.
    """
    if signature(baseline) == signature(variant):
        return []
    sources = [getattr(network, "source", None) for network in (baseline, variant)]
    if None not in sources and sources[0] != sources[1]:
        # Two networks of other people's, which differ in all they are made of.
        return [
            f"{sign} 1 {_kind(network)} ({network.extra_repr()})"
            for sign, network in (("-", baseline), ("+", variant))
        ]
    before = [(_kind(m), _options(m)) for m in _computing(baseline)]
    after = [(_kind(m), _options(m)) for m in _computing(variant)]
    # Options are shown where modules of one kind differ in them, and are only noise elsewhere;
    # except those of our own modules, which are few, and which nobody knows by heart.
    spread = Counter(kind for kind, _ in {*before, *after})
    modules = [*_computing(baseline), *_computing(variant)]
    shown = {_kind(m) for m in modules if not type(m).__module__.startswith("torch.")}
    shown |= {kind for kind, count in spread.items() if count > 1}
    ours = Counter(f"{k} ({o})" if o and k in shown else k for k, o in before)
    theirs = Counter(f"{k} ({o})" if o and k in shown else k for k, o in after)
    lines = [f"- {count} {kind}" for kind, count in (ours - theirs).items()]
    lines += [f"+ {count} {kind}" for kind, count in (theirs - ours).items()]
    if not lines:
        sizes = [Counter(m.extra_repr() for m in _computing(n)) for n in (baseline, variant)]
        how = "arranged otherwise" if sizes[0] == sizes[1] else "other channels"
        lines.append(f"same layers, {how}")
    channels = [_first_channels(network) for network in (baseline, variant)]
    if None not in channels and channels[0] != channels[1]:
        lines.append(f"first layer: {channels[0]} -> {channels[1]} channels")
    return lines


def _computing(network: nn.Module) -> list[nn.Module]:
    return [m for m in network.modules() if not isinstance(m, _CONTAINERS)]


def _first_channels(network: nn.Module) -> int | None:
    """Return the output channels of the first convolution."""
    return next((m.out_channels for m in network.modules() if isinstance(m, _ConvNd)), None)


def _kind(module: nn.Module) -> str:
    """Return a module's type and geometry, without channels: `Conv2d 3x3 stride 2`."""
    words = [type(module).__name__]
    if isinstance(module, _ConvNd):
        words.append("x".join(str(side) for side in module.kernel_size))
        if set(module.stride) != {1}:
            words.append(f"stride {_shortly(module.stride)}")
        if set(module.dilation) != {1}:
            words.append(f"dilation {_shortly(module.dilation)}")
        if module.groups > 1:
            depthwise = module.groups == module.in_channels
            words.append("depthwise" if depthwise else f"groups {module.groups}")
    elif isinstance(module, nn.ChannelShuffle):
        words.append(f"groups {module.groups}")
    elif isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        height, width = _pair(module.kernel_size)
        words.append(f"{height}x{width}")
        if _pair(module.stride) != (height, width):
            words.append(f"stride {_shortly(_pair(module.stride))}")
    return " ".join(words)


def _options(module: nn.Module) -> str:
    """Return a module's options without channels, which torch's modules print first or by name."""
    printed = re.sub(r"^\(?\d[\d, ]*\)?(, |$)", "", module.extra_repr())
    printed = re.sub(r"\b(in_features|out_features|groups)=\d+(, |$)", "", printed)
    return printed.removesuffix(", ")


def _shortly(sides: tuple[int, ...]) -> str:
    return str(sides[0]) if len(set(sides)) == 1 else "x".join(map(str, sides))
