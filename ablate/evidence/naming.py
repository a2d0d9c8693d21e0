"""A network, and the images that it was trained on, in a few words."""

from typing import Any

from ablate.evidence.collect import ComparisonEvidence
from ablate.evidence.spelling import number, one_line


def network(config: dict[str, Any]) -> str:
    """Name a configuration's network by its family and its width or channels."""
    found = config.get("network")
    if not isinstance(found, dict):
        return "the network below"
    name = one_line(str(found.get("family", "network")))
    if isinstance(width := found.get("width"), int | float):
        return f"{name}, width {width:g}"
    stages = found.get("stages")
    channels = [_channels(stage) for stage in stages] if isinstance(stages, list) else []
    return f"{name} {' | '.join(channels)}" if channels and all(channels) else name


def images(comparison: ComparisonEvidence) -> str:
    """Say on how many images of which data a comparison was trained."""
    data = comparison.data
    if "train" not in data.sizes:
        return data.title
    return f"{one_line(data.title)}, {number(data.sizes['train'])} training images"


def _channels(stage: Any) -> str:
    """Spell the channels of a stage's layers as the notes do: `32-32`; "" if they are not told."""
    layers = stage.get("layers") if isinstance(stage, dict) else stage
    if not isinstance(layers, list):
        return ""
    told = [layer.get("channels") if isinstance(layer, dict) else layer for layer in layers]
    return "-".join(map(str, told)) if all(isinstance(count, int) for count in told) else ""
