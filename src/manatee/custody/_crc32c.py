"""CRC-32C (Castagnoli; RFC 3720, appendix B.4): how Google's KMS notices bits lost on the way.

A checksum against accidents, nothing more: AES-GCM and TLS keep out everyone else.
"""

_POLYNOMIAL = 0x82F63B78


def _entry(index: int) -> int:
    for _ in range(8):
        index = index >> 1 ^ (_POLYNOMIAL if index & 1 else 0)
    return index


_TABLE = tuple(_entry(index) for index in range(256))


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of at most a few kilobytes."""
    state = 0xFFFFFFFF
    for byte in data:
        state = state >> 8 ^ _TABLE[(state ^ byte) & 0xFF]
    return state ^ 0xFFFFFFFF
