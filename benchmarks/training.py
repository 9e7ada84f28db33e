"""Training: does it learn from real slides, how fast does it go, and from when do kept features pay?

python benchmarks/training.py --part learn [--slides DIR] [--out DIR] [--seeds 0 1 2] [--towers siglip dinov2]
python benchmarks/training.py --part long [--slides DIR] [--out DIR]
python benchmarks/training.py --part features [--out DIR]
python benchmarks/training.py --part speed

learn: all four stages by `run_stage`, with the recipes in recipes/tiny/tissue, on clips made from slides; test clips
come from the other side of each slide. Everything is kept in DIR: a call that was killed goes on, and a seed that is
done is not done again. The pretrained tower is read from the folder that VIDEOPATH_OFFLINE_MODELS names.

long: the same once, with pretrained parts (DINOv2-small, SmolLM2-135M) from the same folder; an hour and more. It may
be started in the background, nohup nice python benchmarks/training.py --part long &, killed, and started again.

features: from how many epochs it pays to keep the features of a frozen tower; on the data that `learn` made in DIR.

speed: the collator and the order of batches beside TRL's and beside plain ones, and the memory of many records.
"""

import argparse
import os
from pathlib import Path


def main() -> None:
    """Run one part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--part", choices=("learn", "long", "features", "speed"), required=True)
    parser.add_argument("--slides", type=Path, default=Path("../shared/tissue"))
    parser.add_argument("--out", type=Path, default=Path("training_benchmark"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--towers", nargs="+", choices=("siglip", "dinov2"), default=["siglip", "dinov2"])
    given = parser.parse_args()
    offline = os.environ.get("VIDEOPATH_OFFLINE_MODELS")
    if given.part == "learn":
        from training_learn import learn

        learn(given.slides, given.out, given.seeds, given.towers, Path(offline) if offline else None)
    elif given.part == "long":
        from training_long import run_long

        run_long(given.slides, given.out, Path(offline) if offline else None)
    elif given.part == "features":
        from training_features import features

        features(given.slides, given.out, Path(offline) if offline else None)
    else:
        from training_speed import speed

        speed()


if __name__ == "__main__":
    main()
