"""Every system goes on from a checkpoint bit for bit, with the settings that it began with; test_run.py kills one."""

from __future__ import annotations

import copy
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import tiny
from helpers.steps import assert_resumes, schedule

from kgan.data import Data, Labelled, Labelling, Paired, Unlabelled, Unpaired
from kgan.errors import UserError
from kgan.settings import expanded, fields, free_paths
from kgan.systems import cyclegan, distillation, onesided, pix2pix, stargan, ugatit
from kgan.training import Config, checkpoint
from kgan.training.resume import FREE, LATER, as_begun, complete, describe, differences, refuse_another_run, restore
from kgan.training.run import train

SMALL: dict[str, Any] = {"image_size": 16, "filters": 2, "discriminator_filters": 2, "discriminator_layers": 2}
EXPERIMENTS: dict[str, tuple[Any, Data]] = {
    "ugatit": (
        ugatit.Settings(
            light=True, image_size=32, filters=2, residual_blocks=1, discriminator_layers=4, ema=0.9, cam_weight=10.0
        ),
        Unpaired(root="emoji:fluent3d:google"),
    ),
    "stargan": (
        stargan.Settings(**SMALL, residual_blocks=1, n_critic=2, ema=0.9),
        Labelled(root="emoji:google:twitter", label_dropout=0.5),
    ),
    "pix2pix": (
        pix2pix.Settings(**SMALL | {"image_size": 32}, depth=5, dropout="paper", ema=0.9),
        Paired(root="emoji:fluent3d:google"),
    ),
}


@pytest.mark.parametrize("name", [pytest.param("ugatit", marks=pytest.mark.slow), "stargan", "pix2pix"])
def test_a_resumed_run_ends_in_the_same_bytes(tmp_path: Path, name: str) -> None:
    precision = "mixed_bfloat16" if name == "stargan" else "float32"
    training = schedule(steps=2, save_every=1, sample_every=2, log_every=1, precision=precision)
    resumed = assert_resumes(Config(name, *EXPERIMENTS[name], training), tmp_path)
    (row,) = [json.loads(line) for line in (resumed / "log.jsonl").read_text().splitlines()]
    pictures = 2 * (1 if name == "pix2pix" else 2)  # in batches of two: StarGAN's critic and U-GAT-IT take two a step
    assert row["images_per_second"] * row["seconds"] == pytest.approx(pictures)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed: pip install kgan[jax]")
def test_the_same_under_jax() -> None:
    """This test and the one-sided filter's in a process whose engine is JAX; test_growth.py has StyleGAN's."""
    here = Path(__file__).parents[1]
    files = [str(here / name) for name in ("training/test_resume.py", "systems/test_onesided.py")]
    quickly = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    options = ["-q", "-p", "no:cacheprovider", "-k", "same_bytes", "-m", "slow or not slow"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *files],
        env={**os.environ, "KERAS_BACKEND": "jax", "XLA_FLAGS": quickly},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout and "skipped" not in done.stdout


# --- which settings may change -----------------------------------------------------------------------------------


def experiment(name: str) -> Config:
    """One of its own, which a test may change."""
    return copy.deepcopy(Config(name, *EXPERIMENTS[name]))


def changes(before: dict[str, Any], config: Config) -> list[str]:
    """What a run refuses that began with the settings `before` and is to go on with `config`."""
    return differences(complete({"config": before}, config)["config"], config.to_json(), free_paths(config))


def test_free_settings_are_no_differences() -> None:
    config = experiment("pix2pix")
    before = config.to_json()
    config.name, config.data.root, config.training.steps = "renamed", "elsewhere", 7
    config.system.test_dropout, config.system.test_statistics = False, "moving"
    assert changes(before, config) == []
    config.system.filters, config.training.batch_size, config.data.flip = 3, 2, False
    assert changes(before, config) == [
        "data.flip was True and is False",
        "system.filters was 2 and is 3",
        "training.batch_size was 1 and is 2",
    ]


def test_a_setting_that_is_new_had_its_default() -> None:
    """A checkpoint written before `kgan` had the settings goes on where they have no effect."""
    config = experiment("ugatit")
    before = config.to_json()
    del before["system"]["rho"], before["data"]["flip"], before["training"]["minutes"]
    assert changes(before, config) == []
    config.system.rho, config.training.minutes = 0.5, 3.0
    assert changes(before, config) == ["system.rho was 1.0 and is 0.5"]


@pytest.mark.parametrize("name", ["pix2pix", "stargan"])
def test_a_setting_that_is_new_stays_what_was_computed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    config = experiment(name).replace("system", epsilon_place="after")
    before = config.to_json()
    assert as_begun(config, {"config": before}) == as_begun(config, {}) == config
    imported = {"config": {"system": {}}, "imported": {}}
    assert as_begun(config, imported) == config and not capsys.readouterr().out
    del before["system"]["epsilon_place"]
    assert changes(before, config) == ["system.epsilon_place was 'before' and is 'after'"]
    first = as_begun(config, {"config": before})
    assert first.system.epsilon_place == "before" and changes(before, first) == []
    assert "system.epsilon_place stays 'before'" in capsys.readouterr().out
    assert as_begun(config, {"config": first.to_json()}) == first


def test_a_setting_of_a_teacher_that_learns_along_stays_too(capsys: pytest.CaptureFixture[str]) -> None:
    online = cyclegan.Settings(image_size=32)
    config = experiment("pix2pix")
    config.system = distillation.Settings(image_size=32, online=online)
    config.data = Unpaired(root="emoji:google:twitter")
    before = config.replace("system.online", epsilon_place="before").to_json()
    del before["system"]["online"]["epsilon_place"]
    assert as_begun(config, {"config": before}).system.online.epsilon_place == "before"
    assert "system.online.epsilon_place stays 'before'" in capsys.readouterr().out


def test_a_system_learns_from_its_own_kind_of_data() -> None:
    config = experiment("pix2pix")
    config.check()
    config.data = Unpaired(root="emoji:google:twitter")
    with pytest.raises(UserError, match=r"data should be kgan\.data\.Paired for this system, and is kgan\.data\.Unp"):
        config.check()
    config.system, config.data = onesided.Settings(), Unlabelled(root="emoji:google")
    with pytest.raises(UserError, match=r"kgan\.data\.Unpaired or Paired for this system, and is kgan\.data\.Unlab"):
        config.check()
    config.system = distillation.Settings(teacher="onesided_selfie2anime")
    config.check()


def test_cards_name_no_folders_of_the_user() -> None:
    config = experiment("pix2pix").replace("training", init_from="/home/anna/runs/best.keras")
    config.system = distillation.Settings(teacher="/home/anna/teacher.keras")
    values = config.replace("data", root="/home/anna/pictures").to_card()
    assert "anna" not in json.dumps(values)
    assert values["training"]["init_from"] == "best.keras" and values["system"]["teacher"] == "teacher.keras"
    config = experiment("stargan")
    config.data.sets = (Labelling("/home/anna/faces", table="labels.csv"),)
    (labelled,) = config.to_card()["data"]["sets"]
    assert labelled["folder"] == "faces" and labelled["table"] == "labels.csv"


def test_a_setting_that_has_gone_is_named() -> None:
    config = experiment("stargan")
    before = config.to_json()
    before["system"]["gradient_penalty"] = 10.0
    assert changes(before, config) == ["system.gradient_penalty was 10.0 and is no setting now"]


def test_each_of_several_sets_is_compared() -> None:
    config = experiment("stargan")
    config.data.sets = (Labelling("a"), Labelling("b", groups=("hair", "eyes")))
    before = config.to_json()
    del before["data"]["sets"][0]["layout"], before["data"]["sets"][1]["table"]
    assert changes(before, config) == []
    config.data.sets = (Labelling("a"), Labelling("b", layout="celeba", groups=("hair",)))
    assert changes(before, config) == [
        "data.sets[1].groups was ['hair', 'eyes'] and is ['hair']",
        "data.sets[1].layout was 'csv' and is 'celeba'",
    ]


def test_the_same_run_is_known_without_its_config() -> None:
    """As `kgan bring` meets two checkpoints: of this version, which say what is free, or of the first."""
    pictures = {"a": {"pictures": 2, "sha256": "0123"}}
    before = {"config": experiment("pix2pix").to_json(), "data": pictures}
    config = experiment("pix2pix")
    config.system.test_dropout, config.data.root, config.training.steps = False, "there", 9
    now = {"config": config.to_json(), "data": pictures, "free": sorted(free_paths(config))}
    refuse_another_run(Path("home"), before, now, "", "")
    with pytest.raises(
        UserError, match=r"^home holds a run with other settings: system\.test_dropout was .* Leave it\.$"
    ):
        refuse_another_run(Path("home"), before, {**now, "free": []}, "Leave it.", "")
    other = {**now, "data": {"a": {"pictures": 3, "sha256": "4567"}}}
    with pytest.raises(UserError, match=r"^home began with other pictures: a had 2 and now has 3, .* Look for them\.$"):
        refuse_another_run(Path("home"), before, other, "", "Look for them.")


def test_what_is_free_in_every_run() -> None:
    assert {"name", "data.root", "training.steps", "training.minutes"} <= FREE
    assert not FREE & {"training.seed", "training.batch_size", "training.precision", "data.flip", "data.fit"}
    config = tiny.get_config()
    assert free_paths(config) == FREE | {"system.learning_rate"}
    assert {path for path, _ in fields(config)} > FREE


def test_a_run_that_went_through_json_is_described_alike() -> None:
    config = tiny.get_config()
    reader = config.data.open(16, 2, 1, 0)
    about = describe(config, reader)
    assert about["config"]["system"]["image_size"] == 32 and about["data"] == reader.fingerprint()
    assert about["free"] == sorted(FREE | {"system.learning_rate"})


def test_a_checkpoint_from_before_spectral_norms_kept_v(tmp_path: Path) -> None:
    """Its v stays empty, and follows from u; anything else that is missing is named."""
    settings, data = EXPERIMENTS["ugatit"]
    config = Config("old", settings, data)
    system, other = settings.create(10, 0), settings.create(10, 1)
    about = {"config": config.to_json(), "free": [], "data": {}}
    arrays = {path: np.array(variable.value) for path, variable in system.state().items()}
    old = {path: array for path, array in arrays.items() if not LATER.fullmatch(path)}
    assert {path.rsplit("/", 1)[1] for path in arrays.keys() - old.keys()} == {"u", "v"}
    checkpoint.save(tmp_path, 7, old, about, keep=1)
    assert restore(other, tmp_path, config, about)[0] == 7
    state = other.state()
    assert all(np.array_equal(state[path].value, array) for path, array in old.items())
    assert all(not np.any(state[path].value) for path in arrays.keys() - old.keys() if path.endswith("v"))
    del old["discriminator_a_local/conv1_sn/u"]
    checkpoint.save(tmp_path, 8, old, about, keep=1)
    with pytest.raises(UserError, match="conv1_sn/u is missing"):
        restore(other, tmp_path, config, about)


def test_settings_of_another_kind_or_name_are_refused_in_python_too(tmp_path: Path) -> None:
    for change, sentence in (
        (lambda config: setattr(config.system, "filtres", 8), r"no setting system\.filtres\. Did you mean filters\?"),
        (lambda config: setattr(config.training, "steps", "many"), r"training\.steps is a whole number, not 'many'"),
        (lambda config: setattr(config.training, "steps", True), r"training\.steps is a whole number, not True"),
        (lambda config: setattr(config, "data", {"root": "a"}), r"The settings' data is no such part"),
    ):
        config = tiny.get_config()
        change(config)
        with pytest.raises(UserError, match=sentence):
            train(config, tmp_path / "run")
    with pytest.raises(UserError, match=r"An experiment is a kgan\.training\.Config, not a dict"):
        train({}, tmp_path / "run")  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


def test_the_home_folder_in_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    sets = (Labelling(folder="~/a", images="b"), Labelling(folder="c"))
    data = expanded(Labelled(root="~/x", sets=sets))
    assert data.root == f"{tmp_path}/x" and [each.folder for each in data.sets] == [f"{tmp_path}/a", "c"]
