"""A drawing without what no reader sees: a fourth of the bytes, the same picture.

Matplotlib gives every element an id and a group, says every style in full, writes coordinates to a
millionth of a pixel, puts every tick in by reference and stores pixels of few colours as RGBA. A
page of forty learning curves would be mostly that.
"""

import base64
import io
import re
import xml.etree.ElementTree as ET
from collections import Counter

# What the page's style sheet says of a drawing (`figure svg`), and texts inherit.
TEXT = {"font-size": "9px", "fill": "currentColor"}
HREF = "{http://www.w3.org/1999/xlink}href"
SHORT = 6  # steps of a shape that is not longer than a reference to it
PNG = "data:image/png;base64,"
_URL = re.compile(r"url\(#([^)]+)\)")
_NUMBER = re.compile(r"-?\d+\.\d+")
_NO_TURN = re.compile(r"rotate\(-?0(\.0+)? [^)]*\)")
_STEP = re.compile(r"([MLQCz])([^MLQCz]*)")  # all that matplotlib writes, always absolute
_OWN = ("d", "x", "y", "transform", "id", "href")  # attributes that no two neighbours share


def lean(root: ET.Element) -> None:
    """Take out of a drawing, in place, what does not show.

    Args:
        root: of an SVG as matplotlib writes it, tags without namespace, colours as on the page.
    """
    for element in root.iter():
        if element.tag != "text":  # spaces in a text are its own
            element.text = None
        element.tail = None
    for element in root.iter():
        _shorten(element)
    _put_in_place(root)
    used = {name for element in root.iter() for name in _references(element)}
    for element in root.iter():
        if element.get("id") not in used:
            element.attrib.pop("id", None)
        if "d" in element.attrib:
            element.attrib["d"] = relative(element.attrib["d"])
    _thin(root)
    _gather(root)


def relative(path: str) -> str:
    """Return a path of absolute steps as one of relative steps, to a hundredth of a pixel.

    What rounding leaves over goes into the next step, so that it does not add up.
    """
    text, at, start = "", (0, 0), (0, 0)  # in hundredths
    steps_of = _STEP.findall(path)
    for letter, numbers in steps_of:
        if letter == "z":
            text, at = f"{text}z", start
            continue
        values = [round(100 * float(number)) for number in numbers.split()]
        points = list(zip(values[::2], values[1::2], strict=True))
        steps = [(x - at[0], y - at[1]) for x, y in points]
        at = points[-1]
        if letter == "M":
            start, steps = at, points
        if letter == "L" and 0 in steps[0]:
            (x, y) = steps[0]
            if (x, y) != (0, 0) or len(steps_of) == 2:  # a line of no length may be a dot
                text += f"h{_joined([x])}" if y == 0 else f"v{_joined([y])}"
            continue
        text += letter if letter == "M" else letter.lower()
        text += _joined([side for step in steps for side in step])
    return text


def _joined(hundredths: list[int]) -> str:
    """Write numbers with a space only where no sign keeps them apart."""
    text = ""
    for value in hundredths:
        digits = f"{abs(value) / 100:.2f}".rstrip("0").rstrip(".")
        digits = digits[1:] if digits.startswith("0.") else digits
        text += f"{'-' if value < 0 else ' ' if text else ''}{digits}"
    return text


def _references(element: ET.Element) -> list[str]:
    found = [name for value in element.attrib.values() for name in _URL.findall(value)]
    return [*found, *([element.attrib[HREF][1:]] if HREF in element.attrib else [])]


def _shorten(element: ET.Element) -> None:
    """Round an element's numbers and leave out of its style what holds anyway."""
    if element.tag == "image":  # where its pixels are to lie stays as it is
        element.attrib[HREF] = _paletted(element.attrib[HREF])
        return
    for name in ("x", "y", "width", "height", "transform"):
        if name in element.attrib:
            element.attrib[name] = _NUMBER.sub(_two_places, element.attrib[name])
    if _NO_TURN.fullmatch(element.get("transform", "")):
        del element.attrib["transform"]
    style = _style(element)
    if element.tag == "text":
        style.pop("font-family", None)  # the page's own
        style = {name: value for name, value in style.items() if TEXT.get(name) != value}
    _restyle(element, style)


def _two_places(found: re.Match[str]) -> str:
    return _joined([round(100 * float(found[0]))])


def _style(element: ET.Element) -> dict[str, str]:
    parts = (part.partition(":") for part in element.get("style", "").split(";"))
    return {name.strip(): value.strip() for name, _, value in parts if name.strip()}


def _restyle(element: ET.Element, style: dict[str, str]) -> None:
    element.attrib.pop("style", None)
    if style:
        element.attrib["style"] = ";".join(f"{name}:{value}" for name, value in style.items())


def _paletted(source: str) -> str:
    """Return a PNG of at most 256 colours with a palette: the same pixels in fewer bytes."""
    import numpy as np
    from PIL import Image

    if not source.startswith(PNG):
        return source
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(source.removeprefix(PNG)))))
    if pixels.shape[2:] == (4,) and (pixels[..., 3] == 255).all():
        pixels = pixels[..., :3]
    if pixels.shape[2:] != (3,):
        return source  # it lets the page through, or has a palette already
    colours, index = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
    if len(colours) > 256:
        return source
    found = Image.fromarray(index.reshape(pixels.shape[:2]).astype(np.uint8), "P")
    found.putpalette(colours.tobytes())
    out = io.BytesIO()
    found.save(out, "png", optimize=True)
    return min(source, PNG + base64.b64encode(out.getvalue()).decode(), key=len)


def _put_in_place(root: ET.Element) -> None:
    """Make paths of what is put in by reference, where that is shorter; one of opaque lines."""
    shapes = {element.get("id"): element for element in root.iter("path") if "id" in element.attrib}
    uses = Counter(use.get(HREF) for use in root.iter("use"))
    lines: dict[str, ET.Element] = {}
    for parent in list(root.iter()):
        for use in list(parent):
            shape = shapes.get(use.get(HREF, "#")[1:]) if use.tag == "use" else None
            if shape is None:
                continue
            of_shape, name = _style(shape), use.attrib[HREF]
            steps = _STEP.findall(shape.get("d", ""))
            style = {k: v for k, v in _style(use).items() if k not in of_shape}
            if len(steps) > SHORT and uses[name] > 1:
                _restyle(use, style)
                continue
            place = (float(use.attrib["x"]), float(use.attrib["y"]))
            path = "".join(f"{letter}{_moved(numbers, place)}" for letter, numbers in steps)
            if name in lines:
                lines[name].attrib["d"] += path
                parent.remove(use)
                continue
            use.tag, use.attrib = "path", {"d": path}
            is_line = len(steps) == 2
            if is_line:
                style.pop("fill", None)  # it has nothing to fill
                style.pop("fill-opacity", None)
            _restyle(use, style | of_shape)
            if is_line and not any("opacity" in name for name in of_shape):
                lines[name] = use


def _moved(numbers: str, by: tuple[float, float]) -> str:
    return " ".join(f"{float(n) + by[at % 2]:.6f}" for at, n in enumerate(numbers.split()))


def _thin(parent: ET.Element) -> None:
    """Take out groups that group nothing and shapes without line and fill."""
    kept: list[ET.Element] = []
    for child in parent:
        _thin(child)
        nameless = "id" not in child.attrib
        if child.tag in ("g", "defs") and not len(child):
            continue
        if child.tag == "path" and nameless and child.get("style") == "fill:none":
            continue
        if child.tag == "path" and nameless and parent.tag == "defs":
            continue  # nothing shows it any more
        if child.tag == "g" and not child.attrib:
            kept.extend(child)
        else:
            kept.append(child)
    parent[:] = kept


def _gather(parent: ET.Element) -> None:
    """Say once, of a group, what neighbours have in common."""
    kept: list[ET.Element] = []
    for child in parent:
        _gather(child)
        shared = {name: v for name, v in child.attrib.items() if name not in _OWN}
        before = kept[-1] if kept else None
        if (
            before is None
            or not shared
            or child.tag not in ("path", "text")
            or re.search(r"(?<!-)opacity:", shared.get("style", ""))
            or {n: v for n, v in before.attrib.items() if n not in _OWN} != shared
            or before.tag not in ("g", child.tag)
        ):
            kept.append(child)
            continue
        if before.tag != "g":
            kept[-1] = ET.Element("g", shared)
            _strip(before, shared)
            kept[-1].append(before)
        _strip(child, shared)
        kept[-1].append(child)
    parent[:] = kept


def _strip(element: ET.Element, shared: dict[str, str]) -> None:
    for name in shared:
        del element.attrib[name]
