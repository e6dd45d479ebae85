"""Upload any weights folder with its card to the Hub: a step model with its carrier, a carrier, a garment parser, a pose detector.

    python -m training publish assets/weights/lite --repo user/name --dry-run
    python -m training publish assets/weights/lite --repo user/name

The folder is checked first: the weights against their SHA-256, and the card for its licence. ``--dry-run`` prints what would be uploaded
and asks nobody. The upload is one commit, with a token from ``hf auth login`` or ``HF_TOKEN``.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from nted_step.bundled import HUB_REPOSITORY
from nted_step.command_line import report_error
from training.publish.hub import contents, push


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training publish", description="Upload a weights folder with its card to the Hub.")
    parser.add_argument("folder", type=Path, help="weights folder of any kind")
    parser.add_argument("--repo", default=HUB_REPOSITORY, metavar="USER/NAME", help="created if it does not exist (default: %(default)s)")
    parser.add_argument("--dry-run", action="store_true", help="check and list only")
    options = parser.parse_args(arguments)
    try:
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", options.repo):
            raise ValueError(f"--repo {options.repo}: not a repository name of the form user/name")
        print(contents(options.folder).text(options.repo))
        print("dry run: nothing was uploaded" if options.dry_run else push(options.folder, options.repo))
    except (ValueError, OSError) as error:
        return report_error(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
