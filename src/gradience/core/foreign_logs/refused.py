"""Files that are no logs of a run, by their first bytes."""

SAFETENSORS_HEADER_AT = 8
"""A safetensors file begins with the length of its JSON header, in eight bytes."""

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "a gzip archive (unpack it first)"),
    (b"PK\x03\x04", "a zip archive or a torch checkpoint (name the run's log)"),
    (b"SQLite format 3\x00", "an SQLite database, such as a tracker's (export the run's log)"),
    (b"\x80\x02", "a pickle (never unpacked: it may run code; name the run's log)"),
    (b"\x80\x04", "a pickle (never unpacked: it may run code; name the run's log)"),
    (b"\x80\x05", "a pickle (never unpacked: it may run code; name the run's log)"),
    (b":W&B", "a Weights & Biases transaction log (name the trainer_state.json of the run)"),
    (b"PAR1", "a Parquet file (name the run's log)"),
    (b"%PDF", "a PDF file (name the run's log)"),
    (b"\xff\xfe", "text in UTF-16 (save it as UTF-8)"),
    (b"\xfe\xff", "text in UTF-16 (save it as UTF-8)"),
)

_TENSORBOARD_MARK = b"brain.Event:"


def describe_bytes(head: bytes) -> str | None:
    """What a file is that is no text of JSON or log lines, and what to do about it.

    Args:
        head: The file's first bytes, 64 or more where it has them.

    Returns:
        A phrase such as ``"a gzip archive (unpack it first)"``; None where the bytes tell nothing.
    """
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[SAFETENSORS_HEADER_AT:].startswith(b'{"') and b"\x00" in head[:SAFETENSORS_HEADER_AT]:
        return "a safetensors file (try: gradience audit)"
    if _TENSORBOARD_MARK in head:
        return "TensorBoard events (name the trainer_state.json of the run)"
    return None
