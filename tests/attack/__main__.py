"""Attack a page of one's own, on this computer, and print how it bore each attempt.

    python app.py --port 7860 &
    python -m tests.attack --url http://127.0.0.1:7860/ [--only WORD]

Everything is bounded: a few hundred requests, files of a few megabytes, some minutes. Strangers come from 127.0.0.2, visitors from
127.0.0.1, so the page must not have been told with ``--proxy`` to believe either of them; for the weights panel it is to be started
without ``--weights-panel`` (the page's owner may open it, strangers never). Reads ``/proc``, so it needs Linux and one's own process.
The exit code is 1 when an attack succeeded, 2 when there is nothing to attack.
"""

from __future__ import annotations

import argparse
import sys

import httpx

from tests.attack import bodies, decoding, disk, paths, queues, routes, weights, wording
from tests.attack.report import carry_out, describe, heading
from tests.attack.target import Target

ATTACKS = [
    each for module in (routes, paths, wording, weights, decoding, disk, bodies, queues) for each in module.ATTACKS
]  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], prog="python -m tests.attack")
    parser.add_argument("--url", required=True, help="http://127.0.0.1:PORT/")
    parser.add_argument("--only", default="", metavar="WORD", help="attacks with this in their names")
    options = parser.parse_args(arguments)
    chosen = [attack for attack in ATTACKS if options.only in attack.name]
    try:
        target = Target(options.url)
        httpx.get(target.url, timeout=20, trust_env=False).raise_for_status()
        if not chosen:
            raise ValueError(f"--only {options.only}: choose from {', '.join(attack.name for attack in ATTACKS)}")
    except (ValueError, OSError, httpx.HTTPError) as error:
        print(f"attack: {error}", file=sys.stderr)
        return 2
    print(heading())
    failed = 0
    for row in carry_out(chosen, target):
        print(describe(row), flush=True)
        failed += not row.seen.held
    print(f"{len(chosen) - failed} of {len(chosen)} attacks held off")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
