"""The L1 penalty: what it adds to gradients.

The objective is loss + l1 · Σ|w|, the lasso's (Tibshirani 1996, J. R. Stat. Soc. B 58). Its
subgradient l1 · sign(w), 0 where w is 0, joins the gradient before the step, as torch's SGD does it
with weight decay: momentum carries both, and the loss that is reported is the task's alone.
Subgradient steps make weights small and hardly ever exactly 0, as proximal ones would.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch


@torch.no_grad()
def add_l1(groups: Iterable[Mapping[str, Any]]) -> None:
    """Add the penalty's subgradient to the gradients of an optimizer's groups.

    Args:
        groups: of parameters, each with its strength as `l1`.
    """
    for group in groups:
        if group["l1"]:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.grad.add_(parameter.sign(), alpha=group["l1"])
