"""Launcher of a server: records its own process, then replaces itself with the server.

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
    """Leave the starter's session, record this process in `record`, and execute `arguments` in `folder`."""
    os.setsid()
    # Files that the server writes may contain rows, so only its own user may read them.
    os.umask(0o077)
    written = record.with_suffix(".new")
    written.write_text(json.dumps({"pid": os.getpid(), "started": started_at(os.getpid())}))
    written.replace(record)
    os.close(GUARD)
    os.chdir(folder)
    # Python ignores this signal, and an executed program inherits ignored signals.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.execvp(arguments[0], arguments)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
