"""Writes docs/reference/settings.md; run it after a change to the settings classes."""

from pathlib import Path

from massgen_core.settings import reference

PAGE = Path(__file__).parent / "reference" / "settings.md"

if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
    print(f"wrote {PAGE}")
