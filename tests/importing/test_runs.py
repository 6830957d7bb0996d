"""A run that begins with imported networks computes what the same networks do that were built by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from helpers import official, pickles
from helpers.tensors import write_tensorflow

from kgan.data import Unpaired
from kgan.errors import UserError
from kgan.importing import recognize, runs
from kgan.precision import policy
from kgan.systems import cyclegan, pix2pix, ugatit
from kgan.systems.system import System
from kgan.training import Config, Training, checkpoint
from kgan.training.resume import restore
from kgan.training.run import train

TINY: dict[str, Any] = {"image_size": 32, "filters": 2, "discriminator_filters": 2, "discriminator_layers": 2}
UGATIT: dict[str, Any] = {
    "image_size": 32,
    "filters": 2,
    "residual_blocks": 1,
    "discriminator_layers": 4,
    "light": True,
}


def torch_of(network: keras.Model, names: dict[str, str]) -> dict[str, np.ndarray]:
    """A network's weights as PyTorch would keep them, in float64: `names` of modules by layer."""
    arrays = {}
    for variable in network.variables:
        layer, kind = variable.path.removeprefix(f"{network.name}/").rsplit("/", 1)
        value = np.array(variable.value, "f8")
        if kind == "kernel":
            arrays[f"{names[layer]}.weight"] = value.transpose(3, 2, 0, 1)
        else:
            arrays[f"{names[layer]}.{kind}"] = value
    return arrays


def steps_agree(first: System, second: System, batches: Callable[[int], Any]) -> None:
    """Three steps of both, in float64; and that they moved."""
    before = {path: np.array(variable.value) for path, variable in first.state().items()}
    for number in range(3):
        terms = [system.train_step(batches(number)) for system in (first, second)]
        for name, value in terms[0].items():
            np.testing.assert_allclose(value, terms[1][name], rtol=1e-11)
    for (path, variable), other in zip(first.state().items(), second.state().values(), strict=True):
        np.testing.assert_allclose(variable.value, other.value, rtol=1e-9, atol=1e-12, err_msg=path)
    moved = {path for path, variable in first.state().items() if not np.array_equal(variable.value, before[path])}
    assert {path.partition("/")[0] for path in moved} >= {"step", *first.networks()}


def batch(number: int) -> tuple[dict[str, Any]]:
    random = np.random.default_rng(number)
    pictures = {name: keras.ops.convert_to_tensor(random.uniform(-1, 1, (1, 32, 32, 3))) for name in "ab"}
    return (pictures,)


def restored(system: System, workdir: Path, config: Config) -> int:
    return restore(system, workdir, config, {"config": config.to_json(), "data": {}})[0]


RESNET = {
    **{"stem_conv": "model.1", "down1_conv": "model.4", "down2_conv": "model.7"},
    **{"block1_conv1": "model.10.conv_block.1", "block1_conv2": "model.10.conv_block.5"},
    **{"up1_conv": "model.11", "up2_conv": "model.14", "image_conv": "model.18"},
}
PATCH = {"conv1": "model.0", "conv2": "model.2", "conv3": "model.5", "logits": "model.8"}


def test_cyclegan(tmp_path: Path) -> None:
    settings = cyclegan.Settings(**TINY, residual_blocks=1, pool=0)
    config = Config("x", settings, Unpaired())
    with policy("float64"):
        by_hand, imported = settings.create(200, seed=1), settings.create(200, seed=2)
        roles = {"G_A": "generator_ab", "G_B": "generator_ba", "D_A": "discriminator_b", "D_B": "discriminator_a"}
        paths = []
        for role, name in roles.items():
            arrays = torch_of(getattr(by_hand, name), RESNET if role.startswith("G") else PATCH)
            paths.append(pickles.save(tmp_path / f"latest_net_{role}.pth", arrays))
        source = recognize.open_checkpoint(paths)
        runs.write(source, tmp_path / "run", "latest")
        assert restored(imported, tmp_path / "run", config) == 0
        steps_agree(by_hand, imported, batch)


@pytest.mark.slow
def test_pix2pix_with_its_running_statistics(tmp_path: Path) -> None:
    settings = pix2pix.Settings(**TINY, depth=5, dropout="none")
    with policy("float64"):
        by_hand, imported = settings.create(200, seed=1), settings.create(200, seed=2)
        weights = official.draw_unet(0, 2, 5), official.draw_patch(1, 2, 2, batch=True, inputs=6)
        paths = [pickles.save(tmp_path / f"5_net_{r}.pth", w) for r, w in zip("GD", weights, strict=True)]
        source = recognize.open_checkpoint(paths)
        for network in source.networks:
            model = network.model()
            getattr(by_hand, network.attribute).set_weights(model.get_weights())
        runs.write(source, tmp_path / "run", "latest")
        assert restored(imported, tmp_path / "run", Config("x", settings, Unpaired())) == 0
        moving = [v for v in imported.state().values() if v.path.endswith("moving_mean")]
        assert moving and all(np.any(np.array(v.value)) for v in moving)
        steps_agree(by_hand, imported, batch)


def tensorflow_variables(moments: bool) -> dict[str, np.ndarray]:
    networks = {f"generator_{d}": official.draw_ugatit_tf(i, 2, 1) for i, d in enumerate("BA")}
    for scope, layers in (("global", 4), ("local", 2)):
        for i, domain in enumerate("AB"):
            weights = official.draw_ugatit_tf_discriminator(layers + i, 2, layers)
            networks[f"discriminator_{domain}/{scope}"] = weights
    arrays = {f"{scope}/{name}": array for scope, each in networks.items() for name, array in each.items()}
    random = np.random.default_rng(0)
    trained = [name for name in arrays if not name.endswith("/u")] if moments else []
    for name in trained:
        arrays[f"{name}/Adam"] = random.normal(size=arrays[name].shape).astype("f4") * 1e-3
        arrays[f"{name}/Adam_1"] = np.square(random.normal(size=arrays[name].shape).astype("f4")) * 1e-5
    if moments:
        arrays |= {name: np.float32(0) for name in ("beta1_power", "beta2_power", "beta1_power_1", "beta2_power_1")}
    return arrays


@pytest.mark.slow
def test_ugatit_of_tensorflow_brings_adams_averages(tmp_path: Path) -> None:
    settings = ugatit.Settings(**UGATIT, separate_batches=False)
    arrays = tensorflow_variables(moments=True)
    source = recognize.open_checkpoint([write_tensorflow(tmp_path / "UGATIT_light.model-500", arrays)])
    runs.write(source, tmp_path / "run", "UGATIT_light.model-500")
    assert "step 500" in runs.remark(source, "run")
    with policy("float64"):
        by_hand, imported = settings.create(1000, seed=1), settings.create(1000, seed=2)
        assert restored(imported, tmp_path / "run", Config("x", settings, Unpaired())) == 500
        # By hand: variables in the order of the networks, averages in the order of the variables.
        for network in source.networks:
            getattr(by_hand, network.attribute).set_weights(network.model().get_weights())
        by_hand.step.assign(500)
        scopes = {network.attribute: network.tensors.prefix for network in source.networks}
        tables = {network.attribute: {e.variable: e for e in network.table} for network in source.networks}
        for side in ("generator", "discriminator"):
            optimizer = getattr(by_hand, f"{side}_optimizer")
            optimizer.iterations.assign(500)
            for i, variable in enumerate(getattr(by_hand, f"{side}_variables")()):
                attribute, _, path = variable.path.partition("/")
                name = scopes[attribute] + tables[attribute][path].tensor
                optimizer._momentums[i].assign(arrays[f"{name}/Adam"])
                optimizer._velocities[i].assign(arrays[f"{name}/Adam_1"])
        steps_agree(by_hand, imported, batch)


@pytest.mark.slow
def test_kgan_train_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With averaged generators, which begin as the imported ones; and what it says and refuses."""
    paths = [
        *(pickles.save(tmp_path / f"200_net_G_{d}.pth", official.draw_resnet(i, 2, 1)) for i, d in enumerate("AB")),
        *(pickles.save(tmp_path / f"200_net_D_{d}.pth", official.draw_patch(i, 2, 2)) for i, d in enumerate("AB")),
    ]
    source = recognize.open_checkpoint(paths)
    workdir = tmp_path / "run"
    runs.write(source, workdir, "200_net")
    with pytest.raises(UserError, match="holds a run already"):
        runs.write(source, workdir, "200_net")
    for name, value in source.shown.items():
        if getattr(cyclegan.Settings(), name) != value:
            assert f"--config.system.{name}={value}" in runs.remark(source, str(workdir))
    settings = cyclegan.Settings(**TINY, residual_blocks=1, pool=2, ema=0.9)
    training = Training(steps=2, precision="float32", samples=1, tensorboard=False, save_every=1, keep=5)
    config = Config("zebra", settings, Unpaired(root="emoji:fluent3d:google"), training)
    with pytest.raises(UserError, match=r"other networks: system.filters was 2 and is 4. Give the imported settings"):
        train(config.replace("system", filters=4), workdir)
    with pytest.raises(UserError, match="holds networks of cyclegan, and zebra trains ugatit"):
        train(Config("zebra", ugatit.Settings(**UGATIT), config.data, training), workdir)
    train(config, workdir)
    printed = capsys.readouterr().out
    assert "with the networks of 200_net, imported from CycleGAN" in printed and "Finished 2 steps" in printed
    begin = checkpoint.load(workdir / "checkpoint-00000000.npz")[0]
    end, about = checkpoint.load(workdir / "checkpoint-00000002.npz")
    name = "generator_ab/stem_conv/kernel"
    moved = np.abs(end[name] - begin[name]).max()
    assert 0 < moved < 0.01 and np.abs(end[f"ema_{name}"] - begin[name]).max() < moved
    assert about["config"]["system"]["filters"] == 2


def test_a_network_that_is_missing_is_named(tmp_path: Path) -> None:
    source = recognize.open_checkpoint([pickles.save(tmp_path / "latest_net_G_A.pth", official.draw_resnet(0, 2, 1))])
    with pytest.raises(UserError, match=r"discriminator_a, discriminator_b, generator_ba is not in latest_net_G_A.pth"):
        runs.write(source, tmp_path / "run", "latest_net_G_A.pth")
    assert not (tmp_path / "run").exists()
