"""tensorflow-datasets by name, without TensorFlow: a small prepared set through the public path."""

import importlib.util
import io
import itertools
import shutil

import numpy as np
import pytest
from PIL import Image

from jaxgen.core.errors import UserError
from jaxgen.data import length, load, stream_batches


def png(value: int, height: int, width: int) -> io.BytesIO:
    file = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), value, np.uint8)).save(file, "PNG")
    file.seek(0)
    return file


def write_set(folder, name: str, features: dict, splits: dict[str, list[dict]]):
    """Writes an ArrayRecord set as tensorflow-datasets does; then only its files are left."""
    import tensorflow_datasets as tfds

    body = {
        "VERSION": tfds.core.Version("1.0.0"),
        "pkg_dir_path": None,
        "_info": lambda self: tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features)),
        "_generate_examples": lambda self, examples: enumerate(examples),
        "_split_generators": lambda self, _: {split: self._generate_examples(n) for split, n in splits.items()},
    }
    with tfds.core.registered.skip_registration():
        builder = type(name, (tfds.core.GeneratorBasedBuilder,), body)(data_dir=folder, file_format="array_record")
    builder.download_and_prepare()


def prepare(folder, name: str, shape, splits: dict[str, range], *, label=True, feature="image"):
    """A set of images, each of one gray that is its number."""
    import tensorflow_datasets as tfds

    height, width = shape[0] or 8, shape[1] or 10
    features = {feature: tfds.features.Image(shape=shape)}
    if label:
        features["label"] = tfds.features.ClassLabel(names=["even", "odd"])

    def example(i):
        return {feature: png(i, height, width), **({"label": i % 2} if label else {})}

    write_set(folder, name, features, {split: [example(i) for i in numbers] for split, numbers in splits.items()})


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tensorflow_datasets")
    prepare(folder, "squares", (8, 8, 3), {"train": range(30), "test": range(30, 40)})
    prepare(
        folder,
        "oblongs",
        (None, None, 3),
        {"trainA": range(5), "trainB": range(50, 57), "testA": range(2), "testB": range(50, 53)},
        label=False,
    )
    prepare(folder, "sounds", (8, 8, 3), {"train": range(3)}, feature="spectrogram")
    return folder


@pytest.mark.parametrize("name", ["squares", "tfds:squares", "squares:1.0.0"])
def test_a_prepared_set_is_loaded_by_name(prepared, name):
    data = load(name, data_dir=prepared)
    assert data.train["image"].shape == (30, 8, 8, 3)
    assert sorted(data.train["image"][:, 0, 0, 0].tolist()) == list(range(30))
    np.testing.assert_array_equal(data.train["image"][:, 0, 0, 0] % 2, data.train["label"])
    assert length(data.test) == 10
    assert data.assets["class_names"] == ["even", "odd"]


def test_nothing_is_printed_when_a_set_is_loaded(prepared, capfd):
    load("squares", data_dir=prepared)
    assert capfd.readouterr() == ("", "")


def test_files_without_random_access_say_how_to_prepare_them(prepared, tmp_path):
    shutil.copytree(prepared / "squares", tmp_path / "squares")
    for path in (tmp_path / "squares" / "1.0.0").iterdir():
        if path.name == "dataset_info.json":
            path.write_text(path.read_text().replace("array_record", "tfrecord"))
        elif "array_record" in path.name:
            path.rename(path.with_name(path.name.replace("array_record", "tfrecord")))
    with pytest.raises(UserError, match="prepare it with tfds build --file_format=array_record"):
        load("squares", data_dir=tmp_path)


def test_an_unknown_variant_lists_the_known_ones(tmp_path):
    with pytest.raises(UserError, match=r"cycle_gan has no variant 'horse': choose from .*horse2zebra"):
        load("cycle_gan/horse", data_dir=tmp_path)


def test_what_does_not_fit_is_decoded_on_access_and_streamed(prepared):
    resident, streamed = (load("squares", data_dir=prepared, resident_megabytes=size) for size in (1, 0))
    for i in range(30):
        np.testing.assert_array_equal(streamed.train[i]["image"], resident.train["image"][i])
    batches = itertools.islice(stream_batches(streamed.train, batch_size=6, seed=0), 5)
    seen = np.concatenate([batch["image"][:, 0, 0, 0] for batch in batches])
    assert sorted(seen.tolist()) == list(range(30))


def test_images_are_scaled_and_made_gray(prepared):
    assert load("squares", data_dir=prepared, image_size=16, channels=1).train["image"].shape == (30, 16, 16, 1)


def test_two_unpaired_collections_are_two_styles(prepared):
    data = load("oblongs", data_dir=prepared, image_size=8)
    assert length(data.train) == 12
    assert length(data.test) == 5
    np.testing.assert_array_equal(data.train["style"], data.train["image"][:, 0, 0, 0] >= 50)
    streamed = load("oblongs", data_dir=prepared, image_size=8, resident_megabytes=0).train
    assert [int(streamed[i]["style"]) for i in range(12)] == data.train["style"].tolist()


def test_images_of_many_sizes_need_an_image_size(prepared):
    with pytest.raises(UserError, match="give --image-size"):
        load("oblongs", data_dir=prepared)


def test_a_set_without_images_is_refused(prepared):
    with pytest.raises(UserError, match="no feature named image, only"):
        load("sounds", data_dir=prepared)


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is not None, reason="TensorFlow would prepare the set")
@pytest.mark.parametrize("name", ["cifar10", "tfds:mnist", "cycle_gan/horse2zebra", "coco"])
def test_a_set_that_is_not_prepared_says_what_to_do(tmp_path, name, capfd):
    with pytest.raises(UserError, match=r"point --data-dir at .* or pip install 'jaxgen\[tensorflow\]'"):
        load(name, data_dir=tmp_path, image_size=8)
    assert capfd.readouterr() == ("", "")
