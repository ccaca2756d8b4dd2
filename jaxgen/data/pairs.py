"""Two collections of images, side by side: pairs, or what only looks like pairs."""

import dataclasses
from pathlib import Path

import numpy as np

from jaxgen.data.dataset import Batch, Dataset, Split, is_resident, scale_images, scaled
from jaxgen.data.image_folder import find_images, load_image_folder
from jaxgen.data.loading import load
from jaxgen.errors import UserError


def load_pairs(
    name: str,
    *,
    paired: bool,
    seed: int,
    image_size: int | None = None,
    data_dir: Path | None = None,
    target: Path | None = None,
    reverse: bool = False,
) -> Dataset:
    """Examples with `source` and `image`, the target, uint8 [S, S, C] each.

    Args:
      name: a set whose examples have a `style` of 0 or 1 (emoji; `cycle_gan/*` of tensorflow-datasets), or the folder
        of sources where `target` is that of targets.
      paired: source and target of an example to train on belong together (in two folders: files of one name); False: by
        chance they do not. Held-out ones belong together in any case, where the set has pairs.
      seed: of that chance.
      reverse: from style 1 to style 0.

    Raises:
      UserError: no two collections, files without a counterpart where pairs are wanted, or more than memory holds.
    """
    if target is not None:
        if paired:
            _check_names(Path(name), target)
        options = {"image_size": image_size, "test_fraction": 0.1}
        data, other = (load_image_folder(folder, **options) for folder in (name, target))
        splits = {part: (getattr(data, part), getattr(other, part)) for part in ("train", "test")}
    else:
        data = load(name, image_size=image_size, data_dir=data_dir)
        splits = {part: _by_style(getattr(data, part), name) for part in ("train", "test")}
    rng = np.random.default_rng(seed)
    train = _side_by_side(splits["train"], reverse, name, paired=paired, rng=rng)
    test = None if None in splits["test"] else _side_by_side(splits["test"], reverse, name, paired=True, rng=rng)
    assets = {key: value for key, value in data.assets.items() if key == "style_names"}
    return dataclasses.replace(data, train=train, test=test, prepare=scale_both, assets=assets)


def _check_names(source: Path, target: Path) -> None:
    """Refuses two folders whose files are not pairs by their names (their endings may differ)."""
    folders = [Path(folder).expanduser() for folder in (source, target)]
    names = [{path.relative_to(folder).with_suffix("") for path in find_images(folder)} for folder in folders]
    for here, there, own, others in ((0, 1, *names), (1, 0, *reversed(names))):
        if alone := sorted(own - others):
            raise UserError(
                f"{folders[here]} has a picture {alone[0]} that {folders[there]} lacks ({len(alone)} in all): a "
                "pair is two files of one name."
            )


def scale_both(batch: Batch) -> Batch:
    """`scale_images`, of the source as well."""
    return {**scale_images(batch), "source": scaled(batch["source"])}


def _by_style(split: Split | None, name: str) -> tuple[Split | None, Split | None]:
    if split is None:
        return None, None
    if not is_resident(split):
        raise UserError(f"{name} is too large to be taken apart by style: choose a smaller --image-size.")
    if "style" not in split:
        raise UserError(
            f"{name} has no two collections of images: name a set that has (emoji, cycle_gan/...), or two folders with "
            "--data and --target."
        )
    return tuple({"image": split["image"][split["style"] == style]} for style in (0, 1))


def _side_by_side(
    splits: tuple[Split, Split], reverse: bool, name: str, *, paired: bool, rng: np.random.Generator
) -> Split:
    if not all(map(is_resident, splits)):
        raise UserError(f"{name} is too large to be paired in memory: choose a smaller --image-size.")
    source, target = (split["image"] for split in (reversed(splits) if reverse else splits))
    if paired:
        count = min(len(source), len(target))
        return {"source": source[:count], "image": target[:count]}
    count = max(len(source), len(target))
    rows = [rng.permutation(np.arange(count) % len(images)) for images in (source, target)]
    return {"source": source[rows[0]], "image": target[rows[1]]}
