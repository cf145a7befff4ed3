"""Writing files so that nothing already there is lost."""

from pathlib import Path

__all__ = ["write_atomically"]


def write_atomically(path: Path, text: str) -> None:
    """Writes a text file under a temporary name first, so that the old one or the new one is there, never half of it.

    Args:
        path: The file.
        text: Its new content.

    Raises:
        OSError: If the file cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
