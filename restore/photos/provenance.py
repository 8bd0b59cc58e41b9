"""Telling in the result itself that its colour is a guess: IPTC's digital source type and a line of history, in XMP.

The packet is added to as text, so that everything else in it stays as it was, byte for byte.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from restore import __version__
from restore.options import Era
from restore.photos.photo import Photo

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicallyEnhanced"

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_EMPTY = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    f'<rdf:RDF xmlns:rdf="{_RDF}"></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
).encode()
_OLD_TYPE = re.compile(rb'\s+\w+:DigitalSourceType="[^"]*"|<(\w+:DigitalSourceType)\b[^>]*?(?:/>|>.*?</\1>)', re.DOTALL)
_END = re.compile(rb"</rdf:RDF>|<rdf:RDF([^>]*)/>")
_HISTORY_END = re.compile(rb"</rdf:Seq>\s*</xmpMM:History>")


@dataclass(frozen=True)
class Provenance:
    """What coloured a photo.

    Args:
        era: whose palette it took; None for a model that knows no eras.
    """

    model: str
    sha256: str
    era: Era | None = None

    def add_to(self, xmp: bytes) -> tuple[bytes, bool]:
        """An XMP packet with the facts in it, and whether the packet given was fit to be kept."""
        packet = _OLD_TYPE.sub(b"", xmp).rstrip(b"\0 \n") if xmp else _EMPTY
        added = self._insert(packet)
        if added is not None:
            return added, True
        fresh = self._insert(_EMPTY)
        assert fresh is not None
        return fresh, False

    def mark(self, photo: Photo) -> Photo:
        """The photo with the facts in its XMP."""
        xmp, sound = self.add_to(photo.metadata.xmp)
        notes = photo.notes if sound else (*photo.notes, "its XMP is broken and was left out")
        return replace(photo, metadata=replace(photo.metadata, xmp=xmp), notes=notes)

    def _insert(self, packet: bytes) -> bytes | None:
        if b"</rdf:RDF>" not in packet and b"rdf:RDF" not in packet:
            packet = packet.replace(b"</x:xmpmeta>", f'<rdf:RDF xmlns:rdf="{_RDF}"></rdf:RDF></x:xmpmeta>'.encode())
        event = (
            '<rdf:li rdf:parseType="Resource" xmlns:stEvt="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#">'
            "<stEvt:action>edited</stEvt:action>"
            f"<stEvt:softwareAgent>restore {__version__}</stEvt:softwareAgent>"
            f"<stEvt:parameters>colour guessed by {_text(self.describe())}</stEvt:parameters></rdf:li>"
        ).encode()
        history = b""
        if _HISTORY_END.search(packet):
            packet = _HISTORY_END.sub(lambda found: event + found.group(0), packet, count=1)
        else:
            history = b"<xmpMM:History><rdf:Seq>" + event + b"</rdf:Seq></xmpMM:History>"
        ours = (
            b'<rdf:Description rdf:about="" xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/" '
            b'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
            b'Iptc4xmpExt:DigitalSourceType="' + SOURCE_TYPE.encode() + b'">' + history + b"</rdf:Description>"
        )
        place = _END.search(packet)
        if place is None:
            return None
        closing = place.group(0)
        if closing.endswith(b"/>"):
            opening = b"<rdf:RDF" + (place.group(1) or b"") + b">"
            result = packet[: place.start()] + opening + ours + b"</rdf:RDF>" + packet[place.end() :]
        else:
            result = packet[: place.start()] + ours + packet[place.start() :]
        try:
            ElementTree.fromstring(result.decode("utf-8").lstrip("\ufeff"))
        except (ElementTree.ParseError, UnicodeDecodeError, ValueError):
            return None
        return result

    def describe(self) -> str:
        """The model in one line."""
        era = f", in colours of the {self.era} era" if self.era else ""
        return f"model {self.model}, SHA-256 {self.sha256}{era}"


def _text(value: str) -> str:
    return quoteattr(value)[1:-1].replace("<", "&lt;")
