"""What a suite asks to be timed, or its memory measured, and this machine does not do."""

from ablate import passes
from ablate.suite.load import Loaded
from ablate.suite.schema import Latency


def notices(loaded: Loaded, device: str) -> list[str]:
    """Return what is to be said of it, a sentence each."""
    run = [one for one in loaded.suite.comparisons if one.id in loaded.places]
    timed = [how for one in run if (how := loaded.latency(one)) is not None]
    peaks = [found for one in run if (found := loaded.memory(one)) is not None]
    asked = " and ".join(["latency"] * bool(timed) + ["memory"] * bool(peaks))
    if asked and device not in passes.DEVICES:
        known = ", ".join(passes.DEVICES)
        return [
            f"{asked} of a suite's networks: not measured on {device} yet, only on {known}; "
            "add --device cpu (make: DEVICE=cpu)"
        ]
    return list(dict.fromkeys(why for how in timed for why in _unfit(how, device)))


def _unfit(how: Latency, device: str) -> list[str]:
    planned = passes.settings(device, precisions=how.precisions)
    return [why for it in planned if (why := passes.unfit("latency", it)) is not None]
