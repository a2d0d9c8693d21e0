"""Other people's networks: those of torchvision and timm, and a function in a file of your own.

`source` says which:

* `torchvision:mobilenet_v2`: a name of `torchvision.models.list_models()`;
* `timm:resnet18`: a name of `timm.list_models()`, where timm is installed (`pip install timm`);
* `my_file.py:build`: a function in a file, looked for from the working directory on. Of its
  parameters `input_shape` is given (channels, height, width) and `outputs` (or `num_classes`) the
  number of outputs, if it has them; all others are `options`. It returns an `nn.Module`. The file
  stands alone: it may import what is installed, and not what lies beside it.

`options` are keyword arguments for what builds the network. It gets as many classes as the task
asks for outputs; of timm, also the images' channels. Auxiliary heads, which only training has
(GoogLeNet, Inception v3), are off unless `options` ask for them.

Weights are random, nothing is ever downloaded. In a trial they are drawn as those of any other
family (`networks.initialise`), in the place of the model's own initialisation. A network with
parameters that this cannot draw is refused.

Departure from the contract of families: such a network has neither `features` nor `head`, and
nobody promises that `torch.fx` can trace it or that `torch.device("meta")` can build it. It stands
in a module that shows its source, since somebody else's modules need not show what they compute.
A file is known by its bytes: their digest becomes part of `source`, so that a file that was edited
is another network with trials of its own.
"""

import importlib.util
import inspect
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

from pydantic import AfterValidator
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from ablate import catalog

SAMPLES: list[dict[str, Any]] = [
    {"source": "torchvision:squeezenet1_1"},
    {"source": "torchvision:squeezenet1_1", "options": {"dropout": 0.2}},
]

_AUXILIARY = {"torchvision:googlenet", "torchvision:inception_v3"}
# What would download weights.
_WEIGHTS = {"weights", "weights_backbone", "pretrained", "pretrained_cfg", "checkpoint_path"}
_DIGITS = 12  # of a file's digest, in hex


def _with_digest(source: str) -> str:
    """Return a source that says which bytes of a file it means; the others as they are."""
    path, function, digest = _of_file(source)
    if not path:
        _known(source)
        return source
    return source if digest else f"{path}:{function}#{_digest(Path(path))}"


Source = Annotated[str, AfterValidator(_with_digest)]


def build(
    input_shape: tuple[int, int, int],
    outputs: int,
    *,
    source: Source,
    options: dict[str, Any] | None = None,
) -> nn.Module:
    """Return (n, *input_shape) -> what the source's network makes of it, (n, outputs) as a rule.

    Raises:
        ValueError: there is no such network, it cannot be built, or a trial could not draw its
            parameters.
    """
    network = construct(source, input_shape, outputs, options)
    unset = _unset(network)
    if unset:
        more = f" and {len(unset) - 1} more" if unset[1:] else ""
        raise ValueError(
            f"{source} has parameters that no module's reset_parameters sets ({unset[0]}{more}), "
            "so a seed cannot decide them; it can be measured (`ablate measure`), but not trained"
        )
    return Zoo(network, source, options or {})


class Zoo(nn.Module):
    """Somebody's network, which shows its source: what its modules print may not tell it all."""

    def __init__(self, network: nn.Module, source: str, options: Mapping[str, Any]) -> None:
        super().__init__()
        self.network = network
        self.source, self.options = source, dict(options)
        self._shown = ", ".join([source, *(f"{key}={value}" for key, value in options.items())])

    def forward(self, images: Tensor) -> Any:
        return self.network(images)

    def extra_repr(self) -> str:
        return self._shown


def construct(
    source: str,
    input_shape: tuple[int, int, int],
    outputs: int,
    options: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Return somebody's network as they build it, with random weights.

    Args:
        source: as above.
        input_shape: (channels, height, width) of one image.
        outputs: classes, where what builds the network takes their number.
        options: keyword arguments for what builds it.

    Raises:
        ValueError: there is no such network, or building it fails; the message is one line that
            says where and what to do.
    """
    given = dict(options or {})
    downloads = sorted(_WEIGHTS & given.keys())
    if downloads:
        raise ValueError(
            f"{source}: the option {downloads[0]!r} asks for trained weights, and those of the zoo "
            "are random; leave it out"
        )
    path, function, digest = _of_file(source)
    if path:
        return _from_file(Path(path), function, digest, input_shape, outputs, given)
    _known(source)
    collection, _, name = source.partition(":")
    if collection == "timm":
        import timm

        builder: Callable[..., Any] = timm.create_model
        given = {"model_name": name, "pretrained": False, "num_classes": outputs} | given
        if input_shape[0] != 3:
            given = {"in_chans": input_shape[0]} | given
    else:
        from torchvision import models

        builder = models.get_model_builder(name)
        given = {"num_classes": outputs} | given
        if "weights_backbone" in inspect.signature(builder).parameters:
            given["weights_backbone"] = None  # they would be downloaded
        if source in _AUXILIARY:
            given = {"aux_logits": False} | given
    try:
        with warnings.catch_warnings():
            # Of what will change in a later version of theirs, which is not ours to mend.
            warnings.simplefilter("ignore")
            made = builder(**given)
    except Exception as error:
        raise ValueError(f"{source} cannot be built: {_line(error)}") from error
    return _module(made, source)


def is_source(text: str) -> bool:
    """Whether a text is meant as the source of a network: `torchvision:…`, `timm:…`, `….py:…`."""
    return text.partition(":")[0] in ("torchvision", "timm") or bool(_of_file(text)[0])


def names(collection: str) -> list[str]:
    """Return the names of the networks of `torchvision` or `timm`, sorted.

    Raises:
        ValueError: timm is not installed.
    """
    if collection == "torchvision":
        from torchvision import models

        return sorted(models.list_models())
    try:
        import timm
    except ModuleNotFoundError as error:
        if error.name != "timm":
            raise
        raise ValueError("timm is not installed here; `pip install timm`") from None
    return sorted(timm.list_models())


def _known(source: str) -> None:
    """See that a source names a network of torchvision or timm.

    Raises:
        ValueError: it does not.
    """
    collection, colon, name = source.partition(":")
    if collection not in ("torchvision", "timm") or not colon:
        raise ValueError(
            f"{source!r} is no source of a network; write torchvision:NAME, timm:NAME or "
            "FILE.py:FUNCTION"
        )
    known = names(collection)
    if name not in known:
        hint = f"there are {len(known)}, such as {', '.join(known[:3])}"
        if catalog.alike(name, known):
            hint = catalog.suggest(name, known)
        raise ValueError(f"{collection} has no network {name!r}; {hint}")


def _of_file(source: str) -> tuple[str, str, str]:
    """Return path, function and digest of a file's source; empty ones of any other."""
    match = re.fullmatch(r"(.+\.py)(?::([^:#]*))?(?:#([0-9a-f]+))?", source)
    return (match[1], match[2] or "", match[3] or "") if match else ("", "", "")


def _from_file(
    path: Path,
    name: str,
    digest: str,
    input_shape: tuple[int, int, int],
    outputs: int,
    options: dict[str, Any],
) -> nn.Module:
    """Return what a function in a file builds.

    Raises:
        ValueError: file or function are not there, are not what they should be, or raise.
    """
    found = _digest(path)
    if digest and digest != found:
        raise ValueError(f"{path} has changed since it was planned; run the suite again")
    module = _imported(path.resolve(), found)
    where = f"{path}:{name}"
    if not name:
        hint = catalog.suggest("", _functions(module))
        raise ValueError(f"which function of {path}? write {path}:NAME; {hint}")
    if not hasattr(module, name):
        hint = catalog.suggest(name, _functions(module))
        raise ValueError(f"{path} has no function {name!r}; {hint}")
    function = getattr(module, name)
    if isinstance(function, nn.Module):
        raise ValueError(
            f"{where} is a network itself; let it be made by a function, anew at each call"
        )
    if not callable(function):
        raise ValueError(f"{where} is no function, but a value of type {type(function).__name__}")
    context = {"input_shape": input_shape, "outputs": outputs, "num_classes": outputs}
    parameters = inspect.signature(function).parameters
    given = {key: context[key] for key in parameters if key in context} | options
    try:
        inspect.signature(function).bind(**given)
    except TypeError as error:
        raise ValueError(
            f"{where} cannot be called: {error}; it is given input_shape and outputs (or "
            "num_classes) where it has parameters of these names, and a suite's `options`"
        ) from None
    with _located(path):
        made = function(**given)
    return _module(made, where)


def _functions(module: ModuleType) -> list[str]:
    """Return the names of the functions and classes that a file defines."""
    return [
        name
        for name, value in vars(module).items()
        if (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__ == module.__name__
    ]


@cache  # of equal bytes: a suite builds each of its networks several times
def _imported(path: Path, digest: str) -> ModuleType:
    """Import a file.

    Raises:
        ValueError: it cannot be imported.
    """
    name = f"ablate_network.{path.stem}_{digest}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # it ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # as its dataclasses need
    with _located(path):
        spec.loader.exec_module(module)
    return module


@contextmanager
def _located(path: Path) -> Iterator[None]:
    """Say of what the code in somebody's file raises which of its lines it was."""
    try:
        yield
    except (Exception, SystemExit) as error:
        lines = [
            frame.lineno
            for frame in traceback.extract_tb(error.__traceback__)
            if Path(frame.filename) == path.resolve()
        ]
        if isinstance(error, SyntaxError):
            lines.append(error.lineno)
        place = f"{path.name}:{lines[-1]}" if lines else path.name
        raise ValueError(f"{place} raised {_line(error)}") from error


def _digest(path: Path) -> str:
    """Return the identity of a file's bytes.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        return catalog.digest(path)[:_DIGITS]
    except OSError as error:
        raise ValueError(
            f"cannot read {path}: {error.strerror}; files are looked for from the working "
            "directory on"
        ) from error


def _module(made: object, where: str) -> nn.Module:
    """Return what was made if it is a network.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(made, nn.Module):
        raise ValueError(f"{where} returned {made!r:.40}, which is no nn.Module")
    if any(isinstance(parameter, UninitializedParameter) for parameter in made.parameters()):
        raise ValueError(
            f"{where} has lazy layers, whose sizes are not known before the first image; send one "
            "through the network before it is returned"
        )
    return made


def _unset(network: nn.Module) -> list[str]:
    """Return the paths of parameters that no `reset_parameters` can set."""
    paths = {
        path for path, module in network.named_modules() if hasattr(module, "reset_parameters")
    }
    return [
        path
        for path, _ in network.named_parameters()
        if not any(above in paths for above in _above(path))
    ]


def _above(path: str) -> Iterator[str]:
    """Yield the paths of the modules that a parameter lies in, the innermost first."""
    while path:
        path = path.rpartition(".")[0]
        yield path


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
