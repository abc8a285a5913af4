"""Become a server: write down who this process is, then run the server in its place.

Used as `python -m stack.exec_server RECORD FOLDER PROGRAM ARGUMENT…`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from stack.process import GUARD, started_at


def main(record: Path, folder: Path, arguments: list[str]) -> None:
    """Leave the starter's session, write this process to `record`, and become `arguments` in `folder`."""
    os.setsid()
    # Whatever the server writes, rows among it, is for its own user only.
    os.umask(0o077)
    written = record.with_suffix(".new")
    written.write_text(json.dumps({"pid": os.getpid(), "started": started_at(os.getpid())}))
    written.replace(record)
    os.close(GUARD)
    os.chdir(folder)
    # Python ignores this signal, and a program inherits what its predecessor ignores.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.execvp(arguments[0], arguments)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
