"""Blocks: the mechanisms that networks are built of, a folder for each role, a file for each block.

Every role (`conv`, `down`, `up`, `merge`, `norm`, `act`, `head`) says in its folder's docstring
what its builder is given and what it returns. Common to all of them, and held by the contract
tests:

* A block file defines `build(<what the network gives>, *, <what a suite may set>)`. The parameters
  after the `*` are typed and have defaults wherever a default makes sense; they are validated
  before `build` is called, so a limit on an option belongs into its type.
* `SAMPLES` is a list of option dicts, one for each way in which the block can differ; the contract
  tests build every one of them.
* The docstring's first line says what the block is; then come its source (authors, year, arXiv id
  or DOI) and where this implementation departs from it.
* Parameters are made by modules that have a `reset_parameters` method, which draws from torch's
  global CPU generator only: `networks.initialise` calls it. A block with an initialisation of its
  own is a module with a `reset_parameters` of its own; it runs after those of its children.
* `extra_repr` of a module must show every option that changes what the module computes or how it
  is initialised, since two networks whose modules print the same are taken for the same network.
  Modules of `torch.nn` do so; a block composed of them in an `nn.Sequential` has nothing to add.
* A block works under `torch.device("meta")`, in training and evaluation mode, and can be traced by
  `torch.fx`, which reads receptive fields.
* Children have readable names (`depthwise`, `pointwise`), because parameters are initialised by
  the path of the module that owns them.
* A block that not all numbers of channels fit has a function `multiple(*, <its options>) -> int`
  beside `build`: a family that scales channels rounds them to multiples of that number. Given
  others, the block raises `Unfit`; nothing is rounded within a block.
"""


class Unfit(ValueError):
    """A block cannot be built for what the network gives; the message says what would do.

    The network's family adds where: a block does not know its place.
    """
