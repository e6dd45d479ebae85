"""Command line: ``python -m training COMMAND``; ``python -m training COMMAND --help`` lists a command's arguments."""

from __future__ import annotations

import argparse
import importlib
import sys

COMMANDS = {
    "train": ("training.train", "train the step model or the carrier from a configuration"),
    "evaluate": ("training.evaluate", "measure weights on rendered people or a prepared test set, or render photos"),
    "infer": ("training.infer", "render every pair of a list, one image file for each"),
    "download": ("training.download", "list and fetch files of other people: networks, lists, poses, checkpoints"),
    "figures": ("training.figures.__main__", "render people in the layout of a DeepFashion in-shop folder"),
    "prepare": ("training.deepfashion.prepare", "prepare a DeepFashion in-shop folder for training"),
    "export": ("training.publish.export", "turn a run into a weights folder, and upload it to the Hub"),
    "publish": ("training.publish.publish", "upload any weights folder with its card to the Hub"),
    "space": ("training.publish.space", "lay out the folder of a Hugging Face Space and check it"),
    "ablate": ("training.evaluation.ablate", "train runs that differ in one respect and compare them in one table"),
    "benchmark": ("training.evaluation.benchmark", "measure how fast a configuration trains here"),
    "pose-detector": ("training.pose_detector", "convert the published pose detector into a weights folder"),
    "parser": ("training.parser.train", "train the fashion parser on rendered figures"),
    "evaluate-parser": ("training.parser.evaluate", "measure a parser's box and mask AP"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command; its module is imported only now, because some commands need packages that others do not."""
    listed = "\n".join(f"  {name:16}{text}" for name, (_, text) in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="python -m training", description="Train, measure and publish NTED Step models.", usage="%(prog)s COMMAND [...]",
        epilog=f"commands:\n{listed}", formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("command", choices=COMMANDS, help=argparse.SUPPRESS, metavar="COMMAND")
    given = sys.argv[1:] if arguments is None else arguments
    options = parser.parse_args(given[:1])
    return importlib.import_module(COMMANDS[options.command][0]).main(given[1:])


if __name__ == "__main__":
    sys.exit(main())
