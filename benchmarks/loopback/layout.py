"""What is known of a body beyond its version: how it was cut, and a checksum of the whole."""

from __future__ import annotations

from typing import NamedTuple

from loopback.answers import S3Error


class Layout(NamedTuple):
    """Of one body; a body's MD5, or that of its parts' MD5s, tells whose."""

    part_size: int = 0  # bytes of each part but the last, 0: it is in one piece
    checksum: bytes = b""  # CRC64NVME of the whole, in base64

    def part(self, number: int, size: int) -> tuple[int, int]:
        """The half-open range of bytes that part ``number`` of ``size`` bytes is, or a 416."""
        each = self.part_size or size
        start = (number - 1) * each
        if number < 1 or (number > 1 and start >= size):
            raise S3Error("416 Requested Range Not Satisfiable", "InvalidPartNumber")
        return start, min(start + each, size)

    def told(self) -> bytes:
        """The headers by which S3 tells the checksum."""
        if not self.checksum:
            return b""
        return (
            b"x-amz-checksum-crc64nvme: %b\r\nx-amz-checksum-type: FULL_OBJECT\r\n" % self.checksum
        )


def cut(sizes: list[int], checksum: bytes = b"") -> Layout | None:
    """The layout of a body whose parts have these ``sizes``; None where they are not alike."""
    if len(set(sizes[:-1])) > 1 or (len(sizes) > 1 and sizes[-1] > sizes[0]):
        return None
    return Layout(sizes[0], checksum)
