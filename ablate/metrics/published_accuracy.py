"""Published accuracy: what those who trained a network of torchvision say that it reaches.

Published, not measured: nothing is downloaded and nothing is trained. It is top-1 accuracy on the
validation images of ImageNet-1K, as `torchvision.models.get_model_weights` lists it beside the
weights (`meta["_metrics"]["ImageNet-1K"]["acc@1"]`), each at the resolution of its own evaluation,
whatever the input of the network is here. Weights that were made later come of longer and stronger
training, so networks are best compared by the first ones.

Value: of the first weights that torchvision published and that have such an accuracy
(`IMAGENET1K_V1`). It does not apply to networks of other sources, nor where `options` have made
another network of it; the number of classes is no such option. A network without weights has none.

Detail: `weights`, the name of those; `best`, the highest accuracy of all of them, and
`best_weights`; `by_weights`, every accuracy; `torchvision`, the version that says so.
"""

import math
from typing import Final

from torch import nn

from ablate.networks import zoo
from ablate.records import Measurement

TITLE: Final = "Published accuracy"
UNIT: Final = "%"
DIRECTION: Final = "higher"
KIND: Final = "fact"

_DATA: Final = "ImageNet-1K"
# Options that leave the network as it was published: classes, and auxiliary heads for training.
_HARMLESS: Final = {"num_classes", "aux_logits", "init_weights"}


def measure(network: nn.Module, input_shape: tuple[int, int, int]) -> Measurement | None:
    """Return the top-1 accuracy that torchvision publishes, in percent."""
    if not isinstance(network, zoo.Zoo) or not network.options.keys() <= _HARMLESS:
        return None
    collection, _, name = network.source.partition(":")
    if collection != "torchvision":
        return None
    import torchvision

    published: dict[str, float] = {}
    for weights in torchvision.models.get_model_weights(name):
        accuracy = weights.meta["_metrics"].get(_DATA, {}).get("acc@1", math.nan)
        if math.isfinite(accuracy):  # of weights for other tasks it is none
            published[weights.name] = float(accuracy)
    if not published:
        return None
    first, best = next(iter(published)), max(published, key=published.__getitem__)
    return Measurement(
        value=published[first],
        unit=UNIT,
        title=TITLE,
        direction=DIRECTION,
        detail={
            "weights": first,
            "best": published[best],
            "best_weights": best,
            "by_weights": published,
            "torchvision": torchvision.__version__,
        },
    )
