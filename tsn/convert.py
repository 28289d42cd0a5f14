"""`python -m tsn.convert FILE …`: a trained TSN of tsn-pytorch or mmaction2 becomes a model.pt."""

import argparse
import logging
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tsn.datasets.class_list import read_class_list
from tsn.models.modality import FLOW_MODALITIES, MODALITIES
from tsn.runtime.command_line import Parser, run_command, show_log
from tsn.runtime.errors import UserError

_PROG = "python -m tsn.convert"

_EXAMPLES = f"""\
what is read:
  tsn-pytorch  checkpoints of main.py: BN-Inception, ResNet
  mmaction2    checkpoints of Recognizer2D with TSNHead: ResNet, torchvision's models

  Layers, colour order and normalisation are those of the file. Whether its snippets, its flow and
  its classes are yours, a file does not say: flow of another implementation costs accuracy. Both
  libraries have trained on flow of OpenCV's CUDA module: flow.variant: opencv_cuda.

examples:
  Test a model of tsn-pytorch with the pipeline, as an experiment `imported` of UCF101:
    {_PROG} ucf101_bninception_rgb.pth.tar --modality rgb \\
        --classes data/ucf101/ucfTrainTestlist/classInd.txt \\
        --dataset ucf101 --split 1 -o results/ucf101/imported/split1/rgb/model.pt
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: its arguments; None for those of the process.

    Returns:
        The exit status: 0, or 1 if the file or an argument is wrong.
        Arguments that cannot be parsed exit with 2.
    """
    arguments = _parser().parse_args(argv)
    show_log(logging.INFO)
    return run_command(lambda: convert(arguments))


def convert(arguments: argparse.Namespace) -> None:
    """Read, translate and write one model.

    Raises:
        UserError: the file holds no trained TSN of another library, its backbone is unknown or
            another one, or the classes or the modality are not its own.
    """
    from tsn.models.adapt import first_conv_name
    from tsn.models.foreign import FLOW_VARIANT, FOREIGN, guess_backbone, read_weights
    from tsn.models.network import TSN
    from tsn.runtime.job import code_version
    from tsn.training.checkpoint import ModelInfo, save_model

    file, modality, out = arguments.file, arguments.modality, Path(arguments.out)
    if not arguments.out or out.is_dir():
        raise UserError(f"-o {arguments.out}: this is a folder; name the model file to write")
    inputs = [Path(name) for name in (file, arguments.classes)]
    if out.exists() and any(path.exists() and out.samefile(path) for path in inputs):
        raise UserError(f"-o {out}: this would overwrite an input; name another file")
    classes = read_classes(arguments.classes)
    weights = read_weights(file, arguments.sha256)
    if weights.origin not in FOREIGN or weights.classifier is None:
        raise UserError(f"{file}: no trained TSN of {' or '.join(FOREIGN)}; give one of these")
    weight, bias = weights.classifier
    if len(weight) != len(classes):
        raise UserError(
            f"{file}: was trained for {len(weight)} classes, and {arguments.classes} names "
            f"{len(classes)}; give the list that it was trained with"
        )
    backbone = arguments.backbone or guess_backbone(weights.state)
    if backbone is None:
        raise UserError(f"{file}: its backbone cannot be inferred from its layers; set --backbone")
    network = TSN(len(classes), modality, backbone, file, arguments.segments)
    channels = weights.state[f"{first_conv_name(network.net)}.weight"].shape[1]
    if channels != network.channels:
        raise UserError(
            f"{file}: takes {channels} channels, and {modality} has {network.channels}; "
            "give the --modality that it was trained on"
        )
    network.classifier.load_state_dict({"weight": weight, "bias": bias})
    info = ModelInfo(
        dataset=arguments.dataset,
        experiment=arguments.experiment,
        split=arguments.split,
        modality=modality,
        classes=classes,
        backbone=backbone,
        consensus="average",
        segments=arguments.segments,
        input_size=arguments.input_size,
        seed=0,
        shards={"variant": FLOW_VARIANT} if modality in FLOW_MODALITIES else {},
        code_version=code_version(),
    )
    save_model(arguments.out, network, info)
    logging.info(
        "%s: %s, %s, %d classes, from %s",
        arguments.out,
        backbone,
        modality,
        len(bias),
        weights.origin,
    )


def read_classes(path: Path | str) -> tuple[str, ...]:
    """Class names in label order, from a list that `read_class_list` reads.

    Raises:
        UserError: no such file, or names that are missing, numbered with gaps or given twice.
    """
    names = read_class_list(Path(path))
    first = 0 if "0" in names else 1
    if list(names) != [str(first + n) for n in range(len(names))]:
        raise UserError(f"{path}: the classes are not numbered 1, 2, 3, …; correct it")
    return tuple(names.values())


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=_PROG,
        description=__doc__.partition(": ")[2],
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("file", metavar="FILE", help="the checkpoint, or its http(s) address")
    add("--modality", required=True, choices=MODALITIES, help="what it was trained on")
    add(
        "--classes",
        required=True,
        help="its classes in label order: 'number name' or 'name' a line",
    )
    add("-o", "--out", required=True, metavar="MODEL", help="the model file to write")
    add("--backbone", help="name of the backbone, if it is neither BN-Inception nor a ResNet")
    add("--sha256", help="checksum of the file in hexadecimal, or its first digits")
    default = "(default: %(default)s)"
    add("--dataset", type=_name, default="imported", help=f"its data set {default}")
    add("--split", type=_number(1, 10**6), default=1, help=f"its split {default}")
    add("--experiment", type=_name, default="imported", help=f"its experiment {default}")
    add("--segments", type=_number(1, 1000), default=3, help=f"its segments {default}")
    add(
        "--input-size", type=_number(16, 4096), default=224,
        help=f"side of its images in px {default}",
    )  # fmt: skip
    return parser


def _number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a whole number from {least} to {most}"
            )
        return int(text)

    return parse


def _name(text: str) -> str:
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9_.-]*", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a name of letters, digits, dots, hyphens and underscores"
        )
    return text


if __name__ == "__main__":
    sys.exit(main())
