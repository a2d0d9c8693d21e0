"""A figure's SVG made fit to stand in a page.

Matplotlib gives every figure the same ids, a style sheet for the whole document and no words for
those who do not see it. Here ids get the figure's own prefix, the style becomes local, the size is
left to the page, sentinel colours become the page's own, what does not show goes (`lean_svg.py`),
and a title and a description come in.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping

from markupsafe import Markup

from ablate.report.lean_svg import lean

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "{http://www.w3.org/1999/xlink}href"
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


def inline(
    svg: bytes,
    prefix: str,
    title: str,
    description: str,
    colours: Mapping[str, str],
    width: int | None = None,
) -> Markup:
    """Return a figure as markup for the page.

    Args:
        svg: as matplotlib wrote it, with `svg.fonttype: none`, so that text is text.
        prefix: put before every id; unique in the page.
        title: what a screen reader says first.
        description: the figure's numbers in words.
        colours: sentinel colour (`#rrggbb`) → what the page uses (`currentColor`, `var(--…)`).
        width: in CSS pixels, narrower where the page is; None: as the page has room.
    """
    root = ET.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
        for name, value in list(element.attrib.items()):
            for sentinel, colour in colours.items():
                value = value.replace(sentinel, colour)
            element.set(name, value)
    lean(root)
    for element in root.iter():
        for name, value in list(element.attrib.items()):
            element.set(name, _value(name, value, prefix))
        if _XLINK in element.attrib:
            element.set("href", element.attrib.pop(_XLINK))
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    size = f"width:{width}px;max-width:100%;" if width else ""
    root.attrib |= {
        "role": "img",
        "aria-labelledby": f"{prefix}-title {prefix}-desc",
        "style": f"{size}stroke-linejoin:round;stroke-linecap:butt",
    }
    for at, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ET.Element(tag, {"id": f"{prefix}-{tag}"})
        element.text = text
        root.insert(at, element)
    # The text of a page's SVG may hold anything; ElementTree escapes it.
    return Markup(ET.tostring(root, encoding="unicode"))


def _value(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return f"{prefix}-{value}"
    if name in (_XLINK, "href") and value.startswith("#"):
        return f"#{prefix}-{value[1:]}"
    return _REFERENCE.sub(rf"url(#{prefix}-\1)", value)
