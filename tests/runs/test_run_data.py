"""A run knows its data: what it records of them, and what becomes of it when they change."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from command_lines import assert_refused, train
from PIL import Image

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.state import create_state, sum_and_count, update
from jaxgen.data import Dataset, load
from jaxgen.data.pairs import load_pairs
from jaxgen.data.text import load_text
from jaxgen.runs.experiment import Experiment, train_experiment
from jaxgen.runs.opened_run import Run
from jaxgen.runs.run_data import load_run_data
from jaxgen.training import run_folder
from jaxgen.training.config import TrainConfig, config_from_json


@dataclass(frozen=True)
class Config(TrainConfig):
    """Options of a model of one number."""

    data: str = "pictures"
    """A folder, or a text."""
    target: Path | None = None
    """A folder of targets."""
    width: int = 1
    """An option that has nothing to do with data."""


CONFIG = Config().replace(steps=2, batch_size=4, devices=1)


def load_data(config: Config) -> Dataset:
    if config.target is not None:
        return load_pairs(config.data, target=config.target, paired=True, seed=0, image_size=8)
    return load_text(config.data, sequence_length=8) if config.data.endswith(".txt") else load(config.data)


def build_model(config: Config, assets) -> GenerativeModel:
    """The mean of all that an example has: what compiles in no time."""
    optimizer = optax.sgd(0.1)

    def loss(batch):
        return sum(jnp.mean(x, dtype=jnp.float32) for x in batch.values())

    def init(key, batch):
        return create_state(key, {"one": {"number": jnp.zeros(())}}, {"one": optimizer})

    def train_step(state, batch, key):
        state = update(state, "one", {"number": loss(batch)}, optimizer)
        return state.replace(step=state.step + 1), {"one/loss": sum_and_count(loss(batch)[None])}

    def eval_step(state, batch, key):
        return {"one/loss": sum_and_count(loss(batch)[None])}

    return GenerativeModel(init, train_step, eval_step, None)


EXPERIMENT = Experiment(
    file=__file__,
    summary="a model of one number",
    data="pictures",
    expected_time="no time",
    presets={"quick": CONFIG, "default": CONFIG, "full": CONFIG},
    load_data=load_data,
    build_model=build_model,
)


def draw(path, gray):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (gray, gray, gray)).save(path)


def opened(folder: Path, **moved) -> Run:
    record = run_folder.read_record(folder)
    config = config_from_json(CONFIG, record["config"])
    return Run(folder, record, EXPERIMENT, config, build_model(config, record["assets"]), moved)


def grays(split, entry="image"):
    return sorted(split[entry][:, 0, 0, 0].tolist())


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run of 2 steps on a folder of 200 pictures, whose gray is their number."""
    monkeypatch.chdir(tmp_path)
    for i in range(200):
        draw(tmp_path / "pictures" / f"{i + 1:04d}.png", i)
    train_experiment(EXPERIMENT, CONFIG.replace(run_dir=Path("run")))
    return Path("run")


def edit(run, **values):
    """Changes what config.json says of the data; None: says nothing of it."""
    path = run / run_folder.CONFIG
    record = json.loads(path.read_text())
    record["data"] = {name: value for name, value in {**record["data"], **values}.items() if value is not None}
    path.write_text(json.dumps(record))


def test_a_run_records_what_it_trains_on_and_where_that_lies(run, capsys):
    record = run_folder.read_record(run)
    items = json.loads((run / run_folder.DATA).read_text())
    assert record["config"]["data"] == str(Path("pictures").absolute())
    assert record["data"]["examples"] == len(items["train"])
    assert record["data"]["held_out"] == len(items["test"]) >= 1
    assert items["train"].keys() | items["test"].keys() == {f"{i + 1:04d}.png" for i in range(200)}
    assert capsys.readouterr().err == ""
    data = load_run_data(opened(run))
    assert grays(data.test) == [int(name[:4]) - 1 for name in items["test"]]
    assert capsys.readouterr().err == ""


def test_a_folder_that_changed_is_said_to_have_and_only_what_was_held_out_is_taken_for_that(run, capsys):
    before = load_run_data(opened(run))
    gone, other, *kept = sorted(before.identity.test)
    (Path("pictures") / gone).unlink()
    draw(Path("pictures") / other, 77)
    draw(Path("pictures") / "0000.png", 255)  # the first by name
    for i in range(60):  # enough that some would be held out
        draw(Path("pictures") / f"new{i}.png", 254)
    after = load_run_data(opened(run))
    assert grays(after.test) == [int(name[:4]) - 1 for name in kept]
    assert grays(after.train) == grays(before.train)
    said = capsys.readouterr().err
    assert said == (
        f"The data of run have changed since it was trained: 61 added (0000.png, new0.png, new1.png, ...), 1 removed "
        f"({gone}), 1 changed ({other}); of the {len(kept) + 2} held out the {len(kept)} that are there unchanged are "
        "used.\n"
    )
    with pytest.raises(UserError, match="not what the run was trained on"):
        load_run_data(opened(run), unchanged=True)
    result = train("--resume", run, "--steps", 4, experiment=EXPERIMENT)
    assert_refused(result, rf"data of the run in run have changed since it was begun: 61 added .*, 1 removed \({gone}")
    assert_refused(train("--resume", run, "--width", 2, experiment=EXPERIMENT), r"--width \(was 1, now 2\)")
    for name in kept:
        (Path("pictures") / name).unlink()
    with pytest.raises(UserError, match="Nothing is left of what the run held out"):
        load_run_data(opened(run))


def test_a_folder_that_was_moved_is_known_again_and_another_is_not(run, capsys):
    before = load_run_data(opened(run))
    Path("pictures").rename("elsewhere")
    with pytest.raises(UserError, match=r"are not in .*/pictures any more.* with --data"):
        load_run_data(opened(run))
    after = load_run_data(opened(run, data="elsewhere"))
    np.testing.assert_array_equal(before.test["image"], after.test["image"])
    assert capsys.readouterr().err == ""
    assert train("--resume", run, "--steps", 4, "--data", "elsewhere", experiment=EXPERIMENT)[0] == 0
    assert run_folder.read_record(run)["config"]["data"] == str(Path("elsewhere").absolute())
    draw(Path("elsewhere") / "0007.png", 9)
    with pytest.raises(UserError, match=r"--data elsewhere: not what the run was .* \(1 changed \(0007.png\)\)"):
        load_run_data(opened(run, data="elsewhere"))
    result = train("--resume", run, "--steps", 6, "--data", "elsewhere/", experiment=EXPERIMENT)
    assert_refused(result, r"1 changed \(0007.png\)")
    Path("elsewhere").rename("third")
    result = train("--resume", run, "--steps", 6, "--data", "third", experiment=EXPERIMENT)
    assert_refused(result, r"data of the run in run \(--data third\) have changed")
    with pytest.raises(UserError, match="has no option --data"):
        load_run_data(dataclasses.replace(opened(run, data="x"), config=TrainConfig()))


def test_a_resumed_run_holds_out_what_it_did_even_if_the_rule_were_another(run, monkeypatch):
    edited = json.loads((run / run_folder.DATA).read_text())
    moved = next(iter(edited["train"]))
    edited["test"][moved] = edited["train"].pop(moved)
    (run / run_folder.DATA).write_text(json.dumps(edited))
    assert moved in load_run_data(opened(run)).identity.test
    assert train("--resume", run, "--steps", 4, experiment=EXPERIMENT)[0] == 0
    assert moved in json.loads((run / run_folder.DATA).read_text())["test"]


def test_a_run_of_an_earlier_version_is_opened_as_before_and_one_sentence_says_that_nothing_is_checked(run, capsys):
    edit(run, fingerprint=None, held_out=None, examples=190)
    (run / run_folder.DATA).unlink()
    data = load_run_data(opened(run))
    assert grays(data.test) == list(range(19, 200, 20))  # as such runs held out
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "made by a version that did not record its data" in said
    code, out, err = train("--resume", run, "--steps", 4, experiment=EXPERIMENT)
    assert (code, err) == (0, "")
    assert "did not record its data" in out
    assert len(json.loads((run / run_folder.DATA).read_text())["test"]) == 10  # from now on it does
    draw(Path("pictures") / "0000.png", 255)
    load_run_data(opened(run))
    assert "1 added (0000.png)" in capsys.readouterr().err


def test_damaged_lists_are_refused(run):
    (run / run_folder.DATA).write_text('{"wholes": {}, "train": {}, "test": {}}')
    with pytest.raises(UserError, match=r"data\.json is damaged"):
        load_run_data(opened(run))
    (run / run_folder.DATA).unlink()
    with pytest.raises(UserError, match=r"data\.json cannot be read"):
        load_run_data(opened(run))


def test_classes_keep_the_numbers_that_the_run_gave_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for k, name in enumerate(("cat", "dog")):
        for i in range(4):
            draw(Path("classes") / name / f"{i}.png", 100 * k + i)
    train_experiment(EXPERIMENT, CONFIG.replace(run_dir=Path("run"), data="classes"))
    draw(Path("classes") / "ant" / "0.png", 50)  # a new first class
    draw(Path("classes") / "stray.png", 50)
    data = load_run_data(opened(Path("run")))
    assert data.assets["class_names"] == ["cat", "dog"]
    assert data.train["label"].tolist() == [0] * 4 + [1] * 4


def test_a_text_that_was_edited_is_read_with_the_run_s_own_vocabulary_or_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = Path("text.txt")
    original = "the quick brown fox\njumps over the lazy dog\n" * 20
    text.write_text(original)
    train_experiment(EXPERIMENT, CONFIG.replace(run_dir=Path("run"), data="text.txt"))
    tokens = load_run_data(opened(Path("run"))).train["tokens"]
    text.write_text(original.replace("z", "0"))
    with pytest.raises(UserError, match=r"text has changed since the run was trained: it has '0'"):
        load_run_data(opened(Path("run")))
    result = train("--resume", "run", "--steps", 4, experiment=EXPERIMENT)
    assert_refused(result, "it has '0', which the run's vocabulary lacks")
    text.write_text(original.replace("z", "y"))  # no new character, but one fewer
    capsys.readouterr()
    after = load_run_data(opened(Path("run"))).train["tokens"]
    assert (after != tokens).mean() < 0.05
    assert "the text changed; what counts as held out now may be what it was trained on" in capsys.readouterr().err
    assert_refused(train("--resume", "run", "--steps", 4, experiment=EXPERIMENT), "have changed .*: the text changed")
    text.unlink()
    Path("moved.txt").write_text(original)
    assert train("--resume", "run", "--steps", 4, "--data", "moved.txt", experiment=EXPERIMENT)[0] == 0


def test_pairs_are_known_by_their_names(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for i in range(30):
        draw(Path("a") / f"{i:02d}.png", i)
        draw(Path("b") / f"{i:02d}.png", 100 + i)
    train_experiment(EXPERIMENT, CONFIG.replace(run_dir=Path("run"), data="a", target=Path("b")))
    before = load_run_data(opened(Path("run")))
    trained = sorted(before.identity.train)[0]
    draw(Path("b") / f"{trained}.png", 200)
    draw(Path("a") / "000.png", 99)  # without a counterpart
    after = load_run_data(opened(Path("run")))
    assert f"1 changed ({trained})" in capsys.readouterr().err
    assert grays(after.test) == grays(before.test)
    assert len(after.train["image"]) == len(before.train["image"]) - 1
    assert [gray + 100 for gray in grays(after.train, "source")] == grays(after.train)
    Path("b").rename("c")
    with pytest.raises(UserError, match=r"are not in .*/b any more.* with --target"):
        load_run_data(opened(Path("run")))


def test_rows_of_an_npz_file_are_known_by_what_is_in_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    images = np.arange(8 * 16, dtype=np.uint8).reshape(8, 4, 4, 1)
    np.savez("images.npz", image=images)
    train_experiment(EXPERIMENT, CONFIG.replace(run_dir=Path("run"), data="images.npz"))
    images[3] += 1
    np.savez("images.npz", image=np.concatenate([images, images[:1]]))
    data = load_run_data(opened(Path("run")))
    np.testing.assert_array_equal(data.train["image"], np.delete(images, 3, axis=0))
    assert "1 added (row 8), 1 changed (row 3); used are the 7 of it" in capsys.readouterr().err


def test_arrays_in_memory_are_known_by_their_values(tmp_path, capsys):
    arrays = {"image": np.arange(8 * 16, dtype=np.uint8).reshape(8, 4, 4, 1)}
    experiment = dataclasses.replace(EXPERIMENT, load_data=lambda config: Dataset("own", arrays))
    train_experiment(experiment, CONFIG.replace(run_dir=tmp_path / "run"))
    run = dataclasses.replace(opened(tmp_path / "run"), experiment=experiment)
    load_run_data(run)
    assert capsys.readouterr().err == ""
    arrays["image"] = arrays["image"] + 1
    load_run_data(run)
    assert "arrays changed" in capsys.readouterr().err
