"""Command that writes docs/operations/remedies.md."""

from tests.remedies.page import PAGE, written

if __name__ == "__main__":
    PAGE.write_text(written())
