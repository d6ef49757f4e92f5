"""Make a wheel of a program that behaves like yt-dlp as far as its installation is concerned: fake_ytdlp.py FOLDER VERSION [--broken]"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

CODE = """
import sys
def main():
    if "--version" in sys.argv:
        print("{version}")
    elif "--list-extractors" in sys.argv:
        {extractors}
    else:
        print("ERROR: [fake] {version} was asked", file=sys.stderr)
        sys.exit(0 if "https://example.com/good" in sys.argv else 1)
"""


def main() -> None:
    folder, version = Path(sys.argv[1]), sys.argv[2]
    # pip compares versions without leading zeros, as the index writes them.
    normal = ".".join(str(int(part)) for part in version.split("."))
    extractors = 'raise ImportError("no such module")' if "--broken" in sys.argv else 'print("youtube\\ngeneric")'
    folder.mkdir(parents=True, exist_ok=True)
    info = f"yt_dlp-{normal}.dist-info"
    with zipfile.ZipFile(folder / f"yt_dlp-{normal}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("yt_dlp/__init__.py", CODE.format(version=version, extractors=extractors))
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: yt-dlp\nVersion: {normal}\nProvides-Extra: default\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/entry_points.txt", "[console_scripts]\nyt-dlp = yt_dlp:main\n")
        wheel.writestr(f"{info}/RECORD", "")


if __name__ == "__main__":
    main()
