"""Compressed MusicXML (.mxl) -> the MusicXML in it.

After *MusicXML 4.0* (W3C, 2021), "Compressed .mxl files": a zip whose META-INF/container.xml names the score. The
zip's own claims about sizes are not trusted: unpacking stops at the limit.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib

from fugato.errors import FugatoError
from fugato.read.limits import Limits

CONTAINER = "META-INF/container.xml"
SCORE_SUFFIXES = (".musicxml", ".xml")


def unpack_mxl(data: bytes, limits: Limits) -> bytes:
    """The root score of a .mxl.

    Raises
    ------
    FugatoError
        ``too-large`` where it has too many members or expands too far, ``corrupt`` where the zip is damaged,
        ``not-music`` where there is no score in it, ``unsupported`` where it is encrypted.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > limits.zip_members:
                raise FugatoError(
                    "too-large", f"The archive holds {len(members)} files; a .mxl may have {limits.zip_members}."
                )
            names = {m.filename: m for m in members}
            root = None
            if CONTAINER in names:
                container = _unpack(archive, names[CONTAINER], len(data), limits)
                match = re.search(rb"<rootfile\b[^>]*?full-path\s*=\s*[\"']([^\"']+)[\"']", container)
                root = names.get(match[1].decode("utf-8", "replace")) if match else None
            if root is None:
                root = next(
                    (
                        m
                        for m in members
                        if m.filename.lower().endswith(SCORE_SUFFIXES)
                        and not m.filename.startswith(("META-INF", "__MACOSX"))
                    ),
                    None,
                )
            if root is None:
                raise FugatoError(
                    "not-music", "It is a zip archive without a MusicXML score; unpack it and give its files."
                )
            return _unpack(archive, root, len(data), limits)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError) as e:
        raise FugatoError("corrupt", f"The compressed score is damaged ({e}).") from e
    except RuntimeError as e:  # zipfile's word for a password
        raise FugatoError("unsupported", "The compressed score is encrypted.") from e


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, packed: int, limits: Limits) -> bytes:
    most = int(min(limits.text_bytes, limits.zip_ratio * max(packed, 4_096)))
    if member.file_size > most:
        raise FugatoError(
            "too-large", f"It would unpack to {member.file_size:,} bytes; {most:,} are allowed for its size."
        )
    with archive.open(member) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise FugatoError("too-large", f"It unpacks to more than the {most:,} bytes allowed for its size.")
    return data
