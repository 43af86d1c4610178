"""The wing that makes, checks and shows the book: no method imports anything of it."""

import sys
from typing import NoReturn

from pags.errors import UsageError


def main() -> NoReturn:
    """The command `pags`; it refuses what a variable of the environment cannot mean before all else."""
    try:
        from pags.book import cli
    except UsageError as error:
        print(f"pags: {error}", file=sys.stderr)
        sys.exit(2)
    cli.main()
