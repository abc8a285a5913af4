"""Check of class names."""

from __future__ import annotations

from pathlib import Path

from tests.tools.class_names import repeated


def test_a_public_class_name_in_two_modules_is_found_and_a_private_one_is_not(tmp_path: Path) -> None:
    first, second = tmp_path / "first.py", tmp_path / "second.py"
    first.write_text("class Record:\n    pass\n\n\nclass _Reader:\n    pass\n")
    second.write_text('"""Records."""\n\nclass Record:\n    pass\n\n\nclass _Reader:\n    pass\n')
    assert repeated([first, second]) == {"Record": [f"{first}:1", f"{second}:3"]}
