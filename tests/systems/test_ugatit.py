"""U-GAT-IT: published counts and maps, structure, every setting, every loss term by hand, and eager steps."""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import pytest
from helpers.structure import Structure, assert_golden, structure
from keras import ops

from kgan import engine
from kgan.blocks import Initial
from kgan.errors import UserError
from kgan.layers import LIN, AdaLIN, InstanceNormalization
from kgan.precision import policy
from kgan.systems.ugatit import OBJECTIVES, UGATIT, Settings, build_discriminator, build_generator

PRESETS: dict[str, Callable[..., Settings]] = {"tensorflow": Settings, "pytorch": Settings.pytorch}
TINY: dict[str, Any] = {
    "light": True,
    "image_size": 32,
    "filters": 2,
    "residual_blocks": 1,
    "discriminator_layers": 4,
}


def _picture(height: int = 32, width: int = 32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (1, height, width, 3)).astype("float32")


def _batch(seed: int) -> dict[str, Any]:
    return {key: ops.convert_to_tensor(_picture(seed=2 * seed + i)) for i, key in enumerate("ab")}


def _arrays(variables: Any) -> list[np.ndarray]:
    return [np.array(ops.convert_to_numpy(variable)) for variable in variables]


# --- published sizes: nothing is allocated, the full generator alone would take 1 GB -------------------------------


@functools.cache
def _network(preset: str, light: bool, network: str) -> Structure:
    """A network at the official settings."""
    settings = PRESETS[preset](light=light)
    layers = settings.discriminator_layers
    builders = {
        "generator_ab": lambda: build_generator(settings),
        "discriminator_a_global": lambda: build_discriminator(settings, layers),
        "discriminator_a_local": lambda: build_discriminator(settings, layers - 2),
    }
    return structure(builders[network])


@pytest.mark.parametrize(
    ("preset", "full", "light", "d_global", "d_local", "total_full", "total_light"),
    [
        ("tensorflow", 278_970_308, 10_600_388, 53_128_130, 3_290_050, 670_776_976, 134_037_136),
        ("pytorch", 278_959_808, 10_589_888, 53_130_176, 3_290_560, 670_761_088, 134_021_248),
    ],
)
def test_published_parameter_counts(
    preset: str, full: int, light: int, d_global: int, d_local: int, total_full: int, total_light: int
) -> None:
    counts = (
        _network(preset, False, "generator_ab").count,
        _network(preset, True, "generator_ab").count,
        _network(preset, True, "discriminator_a_global").count,
        _network(preset, True, "discriminator_a_local").count,
    )
    assert counts == (full, light, d_global, d_local)
    assert 2 * (full + d_global + d_local) == total_full
    assert 2 * (light + d_global + d_local) == total_light


def test_the_full_generators_first_style_matrix() -> None:
    shapes = {path: shape for path, shape, _ in _network("tensorflow", False, "generator_ab").variables}
    shape = shapes["style_dense1/kernel"]
    assert shape == (64 * 64 * 256, 256) and int(np.prod(shape)) == 268_435_456


@pytest.mark.parametrize(("preset", "local", "global_"), [("tensorflow", 32, 8), ("pytorch", 30, 6)])
def test_published_maps(preset: str, local: int, global_: int) -> None:
    for network, side in (("discriminator_a_local", local), ("discriminator_a_global", global_)):
        settings = PRESETS[preset](light=True)
        layers = settings.discriminator_layers - 2 * network.endswith("local")
        outputs = structure(partial(build_discriminator, settings, layers), (1, 256, 256, 3)).outputs
        assert outputs["cam_logits"] == (1, 2) and outputs["logits"] == (1, side, side, 1)


def test_golden_structure() -> None:
    networks = ("generator_ab", "discriminator_a_global", "discriminator_a_local")
    structures = {f"{preset} {network}": _network(preset, True, network) for preset in PRESETS for network in networks}
    assert_golden("ugatit_light", "U-GAT-IT light at 256 px", structures)


# --- generators --------------------------------------------------------------------------------------------------


@functools.cache
def _light() -> keras.Model:
    return build_generator(Settings(light=True, image_size=32, filters=4, residual_blocks=1))


@pytest.mark.parametrize(("height", "width"), [(32, 32), (40, 56)])
def test_the_light_generator_takes_any_size(height: int, width: int) -> None:
    outputs = _light()(_picture(height, width))
    assert outputs["image"].shape == (1, height, width, 3)
    assert outputs["cam_logits"].shape == (1, 2)
    assert outputs["heatmap"].shape == (1, height // 4, width // 4, 1)
    assert np.abs(outputs["image"]).max() <= 1


def test_the_heatmap_is_the_attended_map_summed_over_channels() -> None:
    model, x = _light(), _picture(40, 56)
    attended = keras.Model(model.inputs, model.get_layer("attention_relu").output)(x)
    np.testing.assert_allclose(model(x)["heatmap"], np.sum(attended, -1, keepdims=True), rtol=1e-5, atol=1e-6)


def test_the_full_generator_takes_its_own_size_alone() -> None:
    model = build_generator(Settings(image_size=16, filters=2, residual_blocks=1))
    assert model.input_shape == (None, 16, 16, 3)
    assert tuple(model.get_layer("style_dense1").kernel.shape) == (4 * 4 * 8, 8)
    assert model(_picture(16, 16))["image"].shape == (1, 16, 16, 3)
    with pytest.raises(ValueError, match=r"16, 16, 3"):
        model(_picture(40, 56))


def test_one_gamma_and_beta_feed_every_adalin() -> None:
    """With gamma 0 and beta 1 from the last dense layers, every AdaLIN returns 1."""
    model = build_generator(Settings(light=True, image_size=16, filters=2, residual_blocks=2))
    model.get_layer("gamma").kernel.assign(np.zeros((8, 8)))
    model.get_layer("beta").kernel.assign(np.zeros((8, 8)))
    model.get_layer("beta").bias.assign(np.ones(8))
    layers = [layer for layer in model.layers if isinstance(layer, AdaLIN)]
    assert len(layers) == 4
    for output in keras.Model(model.inputs, [layer.output for layer in layers])(_picture(16, 16)):
        np.testing.assert_array_equal(output, np.ones((1, 4, 4, 8)))


@pytest.mark.parametrize(("preset", "smoothing"), [("tensorflow", 0.1), ("pytorch", 0.0)])
def test_rho_at_the_start(preset: str, smoothing: float) -> None:
    """AdaLIN is nine tenths instance norm in both codes, LIN pure layer norm."""
    layers = _built(preset).layers
    adalins, lins = ([layer for layer in layers if isinstance(layer, kind)] for kind in (AdaLIN, LIN))
    assert len(adalins) == 2 and len(lins) == 2
    for layer in adalins:
        assert layer.smoothing == smoothing
        np.testing.assert_allclose(ops.convert_to_numpy(layer.rho) - layer.smoothing, 0.9, rtol=1e-6)
    for layer in lins:
        assert not ops.convert_to_numpy(layer.rho).any()


@functools.cache
def _built(preset: str) -> keras.Model:
    return build_generator(PRESETS[preset](light=True, image_size=16, filters=8, residual_blocks=1))


# --- settings: each changes what it says --------------------------------------------------------------------------


def _names(**changes: Any) -> list[str]:
    return [v.path for v in build_generator(Settings(**(TINY | {"image_size": 16}), **changes)).variables]


def test_conv_bias() -> None:
    """Without: the 1x1 of the attention alone has one, and the shared CAM head."""
    assert [name for name in _names(conv_bias=False) if name.endswith("bias")] == ["cam/bias", "attention_conv/bias"]
    names = _names()
    layers = {name.rpartition("/")[0] for name in names if name.endswith("kernel")}
    assert len(layers) == 3 + 2 + 1 + 1 + 4 + 2 + 2 + 1  # stem, downs, encoder, CAM, 1x1, style, decoder, ups, image
    assert layers == {name.rpartition("/")[0] for name in names if name.endswith("bias")}


def test_instance_norm_affine() -> None:
    norms = ["stem_norm", "down1_norm", "down2_norm", "encoder1_norm1", "encoder1_norm2"]
    learned = [f"{norm}/{vector}" for norm in norms for vector in ("gamma", "beta")]
    with_affine, without = _names(), _names(instance_norm_affine=False)
    assert [name for name in with_affine if name not in without] == learned


def test_cam_heads() -> None:
    def heads(**changes: Any) -> list[str]:
        return [name for name in _names(**changes) if name.startswith("cam/")]

    assert heads() == ["cam/kernel", "cam/bias"]
    assert heads(cam_heads="separate") == ["cam/average_kernel", "cam/maximum_kernel"]


@pytest.mark.parametrize("weight", ["normalized", "raw"])
def test_discriminator_cam_weight(weight: str) -> None:
    """Tripling the weight is undone by its normalization, except where the map is scaled by the raw one."""
    settings = Settings(**TINY, cam_heads="separate", discriminator_cam_weight=weight)
    model = build_discriminator(settings, 2)
    before = model(_picture())
    for kernel in model.get_layer("cam").kernels:
        kernel.assign(3 * kernel.value)
    after = model(_picture())
    np.testing.assert_allclose(after["cam_logits"], before["cam_logits"], rtol=1e-4, atol=1e-7)
    if weight == "raw":
        assert np.abs(after["logits"] - before["logits"]).max() > 0.1 * np.abs(before["logits"]).max()
    else:
        np.testing.assert_allclose(after["logits"], before["logits"], rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("spectral", [False, True])
def test_spectral(spectral: bool) -> None:
    """On every convolution of D but the 1x1, and on the CAM's weight."""
    model = build_discriminator(Settings(**TINY, spectral=spectral), 4)
    vectors = [variable.path for variable in model.non_trainable_variables]
    layers = ("conv1_sn", "conv2_sn", "conv3_sn", "conv4_sn", "cam", "logits_sn")
    expected = [f"{layer}/{vector}" for layer in layers for vector in "uv"]
    assert vectors == (expected if spectral else [])
    assert model.get_layer("cam").spectral == spectral


def test_apart_the_power_iterations_run_twice() -> None:
    """On a u that has not converged: once for both, or once for the reals and once more for the fakes."""
    moved = {}
    for calls in ("together", "apart"):
        system = UGATIT(Settings(**TINY, discriminator_calls=calls))
        network = system.discriminators_a[0]
        kernel = np.array(network.get_layer("conv2_sn").layer.kernel, "float64").reshape(-1, 4)
        u = np.array(network.get_layer("conv2_sn").u, "float64")
        system._judge((network,), _picture(), _picture(seed=1))
        for _ in range(2 if calls == "apart" else 1):
            v = u @ kernel.T / np.linalg.norm(u @ kernel.T)
            u = v @ kernel / np.linalg.norm(v @ kernel)
        moved[calls] = np.array(network.get_layer("conv2_sn").u)
        np.testing.assert_allclose(moved[calls], u, atol=1e-4)
    assert np.abs(moved["together"] - moved["apart"]).max() > 1e-3


def test_a_discriminator_judges_rectangles_and_shows_where_it_looks() -> None:
    model = build_discriminator(Settings.pytorch(**TINY), 4)
    outputs = model(_picture(32, 64))
    assert outputs["heatmap"].shape == (1, 3, 7, 1) and outputs["logits"].shape == (1, 2, 6, 1)
    attended = keras.Model(model.inputs, model.get_layer("attention_lrelu").output)(_picture(32, 64))
    np.testing.assert_allclose(outputs["heatmap"], np.sum(attended, -1, keepdims=True), rtol=1e-5, atol=1e-6)


def test_rho_and_smoothing_are_settings() -> None:
    model = build_generator(Settings(**(TINY | {"image_size": 16}), rho=0.4, rho_smoothing=0.3))
    layer = model.get_layer("decoder1_adalin_norm2")
    np.testing.assert_allclose(ops.convert_to_numpy(layer.rho), 0.4, rtol=1e-6)
    assert layer.smoothing == 0.3


def test_unbiased_variance() -> None:
    """Of AdaLIN and LIN, not of the encoder's instance norm; visible on a small map that is not square."""
    images = []
    for unbiased in (False, True):
        model = build_generator(Settings(**TINY, unbiased_variance=unbiased))
        for weight in model.trainable_weights:
            if weight.name == "kernel":
                weight.assign(10 * weight.value)
        flags = {type(layer): layer.unbiased for layer in model.layers if hasattr(layer, "unbiased")}
        assert flags == {InstanceNormalization: False, AdaLIN: unbiased, LIN: unbiased}
        images.append(ops.convert_to_numpy(model(_picture(16, 24))["image"]))
    assert 1e-4 < np.abs(images[1] - images[0]).max() < 0.5


def test_initializer() -> None:
    kernels = {
        preset: ops.convert_to_numpy(_built(preset).get_layer("decoder1_adalin_conv1").kernel) for preset in PRESETS
    }
    assert kernels["tensorflow"].std() == pytest.approx(0.02, rel=0.05)
    bound = 1 / np.sqrt(9 * 32)
    assert kernels["pytorch"].std() == pytest.approx(bound / np.sqrt(3), rel=0.05)
    assert np.abs(kernels["pytorch"]).max() <= bound
    biases = {preset: ops.convert_to_numpy(_built(preset).get_layer("attention_conv").bias) for preset in PRESETS}
    assert not biases["tensorflow"].any()
    assert 0.5 / 8 < np.abs(biases["pytorch"]).max() <= 1 / 8  # 1 / sqrt(1 x 1 x 64)


def test_discriminator_padding() -> None:
    """Two layers at 32 px: a strided convolution to 16, then two of stride 1."""
    for padding, side in (("same", 16), ("one", 14)):
        model = build_discriminator(Settings(**TINY, discriminator_padding=padding), 2)
        assert model(_picture())["logits"].shape == (1, side, side, 1)


def test_the_pytorch_preset_names_every_difference() -> None:
    ours, port = Settings(), Settings.pytorch(image_size=128)
    changed = {name: value for name, value in vars(port).items() if value != getattr(ours, name)}
    assert changed == {
        "image_size": 128,
        "conv_bias": False,
        "instance_norm_affine": False,
        "cam_heads": "separate",
        "discriminator_cam_weight": "raw",
        "rho": 0.9,
        "rho_smoothing": 0.0,
        "unbiased_variance": True,
        "initializer": "pytorch",
        "l2_variables": "all",
        "decay": "step",
        "separate_batches": False,
        "discriminator_padding": "one",
        "discriminator_calls": "apart",
        "epsilon_place": "after",
    }
    port.check()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 30}, "system.image_size must be a multiple of 4, got 30"),
        (
            {"adversarial": "wgan"},
            "system.adversarial is one of lsgan, gan, hinge, wgan-gp, wgan-lp, dragan, not 'wgan'",
        ),
        ({"ema": 1.0}, "system.ema must be at least 0 and less than 1, got 1.0"),
        ({"rho_smoothing": 1.0}, "system.rho_smoothing must be at least 0 and less than 1"),
        ({"rho": 1.5}, "system.rho must lie between 0 and 1"),
        ({"cam_heads": "two"}, "system.cam_heads is one of shared, separate, not 'two'"),
        ({"discriminator_cam_weight": "x"}, "system.discriminator_cam_weight is one of"),
        ({"initializer": "he"}, "system.initializer is one of normal, pytorch"),
        ({"l2_variables": "none"}, "system.l2_variables is one of kernels, all"),
        ({"decay": "cosine"}, "system.decay is one of epoch, step"),
        ({"discriminator_padding": "valid"}, "system.discriminator_padding is one of same, one"),
        ({"discriminator_layers": 3}, "system.discriminator_layers must be at least 4"),
        (
            {"image_size": 64},
            "At 64 px a discriminator of 6 layers ends in a 2x2 map, .*: use pictures of at least 96 px, "
            "or set system.discriminator_layers to 5.$",
        ),
        ({"image_size": 16, "discriminator_layers": 4}, "ends in a 2x2 map, .*: use pictures of at least 24 px.$"),
    ],
)
def test_settings_that_cannot_work_are_refused_in_a_sentence(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Settings(**changes).check()
    with pytest.raises(UserError, match=message):
        Settings(**changes).create(100, 0)


@pytest.mark.parametrize(("image_size", "layers"), [(24, 4), (64, 5), (96, 6)])
@pytest.mark.parametrize("padding", ["same", "one"])
def test_the_smallest_size_that_passes_works(image_size: int, layers: int, padding: str) -> None:
    settings = Settings(
        image_size=image_size, filters=1, discriminator_layers=layers, discriminator_padding=padding, spectral=False
    )
    settings.check()
    with keras.StatelessScope(initialize_variables=False):
        build_discriminator(settings, layers)
    keras.utils.clear_session()


# --- loss terms by hand: functions in place of networks -------------------------------------------------------------


class _Stubbed(UGATIT):
    """The generators are -x and x / 2; each discriminator adds its own offset to the first channel."""

    def __init__(self, **changes: Any) -> None:
        keras.Model.__init__(self, name="stubbed")
        self.settings = Settings(**(TINY | changes))
        self.objective = OBJECTIVES[self.settings.adversarial]
        self.seed, self.step = 0, keras.Variable(0, dtype="int32", trainable=False)
        self.generator_ab = lambda x, training: {"image": -x, "cam_logits": ops.ones((len(x), 2))}
        self.generator_ba = lambda x, training: {"image": x / 2, "cam_logits": ops.zeros((len(x), 2))}
        self.discriminator_a_global, self.discriminator_a_local = self._critic(0.0), self._critic(1.0)
        self.discriminator_b_global, self.discriminator_b_local = self._critic(2.0), self._critic(3.0)
        self.weighed = [keras.Variable([3.0, 4.0], name="kernel"), keras.Variable([5.0], name="bias")]

    @staticmethod
    def _critic(offset: float) -> Any:
        return lambda x, training: {"logits": x[..., :1] + offset, "cam_logits": x[:, 0, 0, :2] * 0 + offset}

    def generator_variables(self) -> list[keras.Variable]:
        return self.weighed

    def discriminator_variables(self) -> list[keras.Variable]:
        return self.weighed[::-1]


REAL_A, REAL_B, FAKE_A, FAKE_B = (ops.full((1, 32, 32, 3), value) for value in (0.4, -0.2, -0.1, -0.4))


def generator_losses(system: UGATIT, real_a: Any = REAL_A, real_b: Any = REAL_B) -> dict[str, Any]:
    return system.generator_losses(system.draw(real_a, real_b), real_a, real_b)


def _floats(terms: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in terms.items()}


def test_generator_terms_by_hand() -> None:
    terms = _floats(generator_losses(_Stubbed()))
    assert terms == pytest.approx(
        {
            # b's critics, offsets 2 and 3, see -0.4: (1.6 - 1)^2 + (2 - 1)^2 + (2.6 - 1)^2 + (3 - 1)^2
            "adversarial_ab": 0.36 + 1 + 2.56 + 4,
            # a's, offsets 0 and 1, see -0.1
            "adversarial_ba": 1.21 + 1 + 0.01 + 0,
            "cycle_a": 10 * 0.6,  # 0.4 to -0.4 to -0.2
            "cycle_b": 10 * 0.3,  # -0.2 to -0.1 to 0.1
            "identity_a": 10 * 0.2,  # ba: 0.4 to 0.2
            "identity_b": 10 * 0.4,  # ab: -0.2 to 0.2
            "cam_ab": 1000 * (np.log1p(np.exp(-1)) + np.log1p(np.exp(1))),  # logits of 1, meant as true and as false
            "cam_ba": 1000 * 2 * np.log(2),  # logits of 0
            "l2_generators": 1e-4 * 25 / 2,
        },
        rel=1e-5,
    )


def test_discriminator_terms_by_hand() -> None:
    terms = _floats(_Stubbed().discriminator_losses(REAL_A, FAKE_A, REAL_B, FAKE_B))
    assert terms == pytest.approx(
        {
            "discriminator_a": (0.36 + 0.01) + (1 + 0) + (0.16 + 0.81) + (0 + 1),
            "discriminator_b": (0.64 + 2.56) + (1 + 4) + (3.24 + 6.76) + (4 + 9),
            "l2_discriminators": 1e-4 * 25 / 2,
        },
        rel=1e-5,
    )


def test_weights_scale_their_terms() -> None:
    weights = {"adversarial": 2.0, "cycle": 30.0, "identity": 50.0, "cam": 7000.0}
    plain = _Stubbed()
    heavy = _Stubbed(**{f"{name}_weight": value for name, value in weights.items()}, l2=11e-4)
    factors = {"adversarial": 2, "discriminator": 2, "cycle": 3, "identity": 5, "cam": 7, "l2": 11}
    for losses in (
        generator_losses,
        lambda system: system.discriminator_losses(REAL_A, FAKE_A, REAL_B, FAKE_B),
    ):
        before, after = _floats(losses(plain)), _floats(losses(heavy))
        assert after == pytest.approx(
            {name: factors[name.partition("_")[0]] * value for name, value in before.items()}, rel=1e-5
        )


def test_l2_of_kernels_or_of_all() -> None:
    for which, expected in (("kernels", 25 / 2), ("all", 50 / 2)):
        system = _Stubbed(l2_variables=which, l2=1.0)
        assert float(generator_losses(system)["l2_generators"]) == pytest.approx(expected)
        terms = system.discriminator_losses(REAL_A, FAKE_A, REAL_B, FAKE_B)
        assert float(terms["l2_discriminators"]) == pytest.approx(expected)


@pytest.mark.parametrize(("adversarial", "expected"), [("wgan-gp", 0.25), ("wgan-lp", 0.0), ("dragan", 0.25)])
def test_the_penalty_weighs_ten_and_counts_every_logit(adversarial: str, expected: float) -> None:
    """Critics whose gradients have the norms 1/2 (two, patch logits) and 3 (two, CAM logits)."""
    system = _Stubbed(adversarial=adversarial, adversarial_weight=2.0)
    root = (32 * 32 * 3) ** 0.5

    def critic(x: Any, training: bool) -> dict[str, Any]:
        total = ops.sum(x, axis=(1, 2, 3))
        return {"logits": total / 2 / root, "cam_logits": 3 * total / root}

    for name in ("discriminator_a_global", "discriminator_a_local"):
        setattr(system, name, critic)
    terms = system.discriminator_losses(REAL_A, FAKE_A, REAL_B, FAKE_B)
    assert float(terms["penalty_a"]) == pytest.approx(2 * 10 * 2 * (expected + 4), rel=1e-4)


@pytest.mark.parametrize(("adversarial", "where"), [("wgan-gp", 1.25), ("dragan", 1.0625)])
def test_where_the_penalty_is_taken(adversarial: str, where: float) -> None:
    """A critic of x^2 / 2 has the gradient x. WGAN: a quarter of the way from 1 to 2. DRAGAN: a quarter of the way from
    the reals (here 1 and -1, whose deviation is 1) to reals + 1/2 deviation x noise of 1/2."""
    system = _Stubbed(adversarial=adversarial, gradient_penalty_weight=1.0)

    def critic(x: Any, training: bool) -> dict[str, Any]:
        half = ops.sum(x[..., :1] ** 2, axis=(1, 2, 3)) / 2
        return {"logits": half, "cam_logits": 0 * half}

    for scale in ("global", "local"):
        setattr(system, f"discriminator_a_{scale}", critic)
    real = np.ones((1, 32, 32, 3), "float32")
    if adversarial == "dragan":
        real[:, ::2] = -1
    draws = {"penalty_a": np.full((1, 1, 1, 1), 0.25, "float32"), "noise_a": np.full((1, 32, 32, 3), 0.5, "float32")}
    with engine.injected(draws):
        terms = system.discriminator_losses(ops.convert_to_tensor(real), ops.full((1, 32, 32, 3), 2.0), REAL_B, FAKE_B)
    points = real[..., 0] + (where - 1)
    norm = float(np.sqrt((points**2).sum()))
    assert float(terms["penalty_a"]) == pytest.approx(2 * ((norm - 1) ** 2 + 1), rel=1e-4)  # CAM: norm 0


@pytest.mark.parametrize("separate", [True, False])
def test_batches(separate: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """D's update sees the first batch and fakes made of it, G's the second, or the same where there is one."""
    system, seen = _Stubbed(separate_batches=separate), []

    def record(name: str, *images: Any) -> dict[str, Any]:
        seen.append((name, [round(float(ops.mean(image)), 3) for image in images]))
        return {}

    monkeypatch.setattr(UGATIT, "minimize", lambda self, optimizer, variables, losses: losses())
    monkeypatch.setattr(UGATIT, "minimize_through", lambda self, optimizer, losses, made: losses(made.value))
    monkeypatch.setattr(UGATIT, "draw_once", lambda self, function: engine.Forward(function(), [], lambda slopes: []))
    monkeypatch.setattr(UGATIT, "discriminator_losses", lambda self, *images: record("D", *images))
    monkeypatch.setattr(UGATIT, "generator_losses", lambda self, fakes, *images: record("G", *images))
    system.discriminator_optimizer = system.generator_optimizer = None
    batches = tuple(
        {"a": ops.full((1, 4, 4, 3), a), "b": ops.full((1, 4, 4, 3), b)} for a, b in ((0.2, 0.6), (0.3, 0.7))
    )
    system.train_step(batches if separate else batches[:1])
    second = [0.3, 0.7] if separate else [0.2, 0.6]
    assert seen == [("D", [0.2, 0.3, 0.6, -0.2]), ("G", second)]  # real a, fake a = b / 2, real b, fake b = -a
    assert int(system.step.value) == 1


# --- the whole system, eagerly ---------------------------------------------------------------------------------------

eagerly = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX takes gradients in compiled steps")

GENERATOR_TERMS = {
    *("adversarial_ab", "adversarial_ba", "cycle_a", "cycle_b", "identity_a", "identity_b"),
    *("cam_ab", "cam_ba", "l2_generators"),
}
DISCRIMINATOR_TERMS = {"discriminator_a", "discriminator_b", "l2_discriminators"}
PENALTIES = {"penalty_a", "penalty_b"}


def _built_system(**changes: Any) -> UGATIT:
    return UGATIT(Settings(**TINY, **changes), steps=200, seed=5)


@functools.cache
def _system() -> UGATIT:
    """One for all tests that leave it as it is."""
    return _built_system()


def test_attributes_and_counts() -> None:
    system = _system()
    expected = [f"discriminator_{domain}_{scale}" for domain in "ab" for scale in ("global", "local")]
    assert list(system.networks()) == [*expected, "generator_ab", "generator_ba"]
    assert system.generators() == {"generator_ab": system.generator_ab, "generator_ba": system.generator_ba}
    assert system.settings.batches_per_step == 2 and system.fixed_size is None
    assert [network.name for network in system.discriminators_a] == ["discriminator_a_global", "discriminator_a_local"]
    assert len(system.generator_variables()) == 2 * len(system.generator_ab.trainable_variables)
    optimized = len(system.generator_optimizer.variables) + len(system.discriminator_optimizer.variables)
    # Two moments a variable, and a count of steps an optimizer.
    assert optimized == 2 * (len(system.generator_variables()) + len(system.discriminator_variables()) + 1)


def test_every_start_follows_from_the_seed() -> None:
    state, again = _system().state(), _built_system().state()
    assert list(state) == list(again)
    fresh = [name for name, value in again.items() if "optimizer" not in name]
    for name in fresh:
        np.testing.assert_array_equal(
            ops.convert_to_numpy(again[name]), ops.convert_to_numpy(state[name]), err_msg=name
        )
    kernels = [
        _arrays(network.variables)[0].tobytes()
        for network in (*_system().networks().values(), *(build_generator(Settings(**TINY), seed) for seed in (36, 37)))
    ]
    assert len(set(kernels)) == len(kernels)  # no two networks start alike, nor do those of the next seed


@pytest.mark.parametrize(
    ("decay", "rates"), [("epoch", [1, 1, 0.98, 0.5, 0.02]), ("step", [1, 0.999, 0.979, 0.499, 0])]
)
def test_decay(decay: str, rates: list[float]) -> None:
    """2000 steps: epochs of 20, from the 51st on less by a fiftieth each, or each step less by a thousandth."""
    system = UGATIT(Settings(**TINY, decay=decay, learning_rate=1.0), steps=2000)
    for step, rate in zip((999, 1000, 1020, 1500, 1999), rates, strict=True):
        assert float(system.rate(step)) == pytest.approx(rate, abs=1e-6)
    assert system.generator_optimizer._learning_rate is system.discriminator_optimizer._learning_rate is system.rate


@pytest.mark.parametrize("steps", [1, 99, 150, 199])
def test_a_short_training_is_not_left_without_a_rate(steps: int) -> None:
    """An epoch is a hundredth of the steps, or one step: the rate falls until the last and is never nothing."""
    system = UGATIT(Settings(**TINY, learning_rate=1.0), steps=steps)
    assert float(system.rate(0)) == 1 and float(system.rate(steps - 1)) > 0.01


@eagerly
def test_each_side_moves_itself_alone() -> None:
    system, batch = _built_system(), _batch(0)
    state = system.state()

    def moved(step: Any) -> set[str]:
        before = dict(zip(state, _arrays(state.values()), strict=True))
        step()
        return {name for name, value in state.items() if not np.array_equal(value, before[name])}

    fakes = system.generator_ba(batch["b"])["image"], system.generator_ab(batch["a"])["image"]
    judged = moved(
        lambda: system.minimize(
            system.discriminator_optimizer,
            system.discriminator_variables(),
            lambda: (system.discriminator_losses(batch["a"], fakes[0], batch["b"], fakes[1]), ()),
        )
    )
    assert {name.partition("/")[0] for name in judged} == {*_discriminators(system), "discriminator_optimizer"}
    assert {v.path for v in system.discriminator_variables()} <= judged
    vectors = {name for name, value in state.items() if name.endswith("_sn/u") and value.shape[-1] > 1}
    assert len(vectors) == 12 and vectors <= judged

    fooled = moved(
        lambda: system.minimize(
            system.generator_optimizer,
            system.generator_variables(),
            lambda: (generator_losses(system, batch["a"], batch["b"]), ()),
        )
    )
    trained = {name for name in fooled if not name.endswith(("/u", "/v"))}
    assert {name.partition("/")[0] for name in trained} == {"generator_ab", "generator_ba", "generator_optimizer"}
    assert {v.path for v in system.generator_variables() if v.path.endswith("kernel")} <= trained
    assert vectors <= fooled  # each of D's forwards moves u


def _discriminators(system: UGATIT) -> set[str]:
    return {network.name for network in (*system.discriminators_a, *system.discriminators_b)}


@eagerly
@pytest.mark.parametrize(
    "adversarial",
    [pytest.param(name, marks=() if name == "wgan-gp" else pytest.mark.slow) for name in OBJECTIVES],
)
def test_a_step_of_every_objective(adversarial: str) -> None:
    """Finite terms by name, CAM at log 2, rho in [0, 1]; fast for one with penalties. Other tests' steps are LSGAN's.

    Each objective's terms are computed by hand above.
    """
    system = UGATIT(Settings(**TINY, adversarial=adversarial, learning_rate=0.01), steps=100)
    terms = _floats(system.train_step((_batch(0), _batch(1))))
    penalized = PENALTIES if adversarial in ("wgan-gp", "wgan-lp", "dragan") else set()
    assert set(terms) == GENERATOR_TERMS | DISCRIMINATOR_TERMS | penalized
    assert np.isfinite(list(terms.values())).all()
    assert {name for name in terms if name.startswith(system.critic_terms)} == DISCRIMINATOR_TERMS | penalized
    for name in ("cam_ab", "cam_ba"):
        assert terms[name] == pytest.approx(2000 * np.log(2), rel=0.1)
    assert terms["cycle_a"] == pytest.approx(5, rel=0.1)  # of a picture uniform in [-1, 1] and one that is almost 0
    assert int(system.step.value) == 1

    rhos = np.concatenate([_arrays([v])[0] for v in system.generator_variables() if v.name == "rho"])
    assert rhos.min() == 0 and 0 < rhos.max() <= 1


def test_the_average_is_the_mean_of_the_first_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """It starts as the generators do, and is what a user gets: w, then 2 w + 1 and 2 (2 w + 1) + 1, of mean 3 w + 2."""
    system = UGATIT(Settings(**TINY, ema=0.9), steps=100)
    averages = system.generators()
    assert averages == {"generator_ab": system.ema_generator_ab, "generator_ba": system.ema_generator_ba}
    assert not {"ema_generator_ab", "ema_generator_ba"} & set(system.networks())
    start = {name: _arrays(getattr(system, name).weights) for name in averages}
    for name, average in averages.items():
        for mean, value in zip(_arrays(average.weights), start[name], strict=True):
            np.testing.assert_array_equal(mean, value)

    def double(self: UGATIT, optimizer: Any, losses: Any, made: engine.Forward) -> dict:
        for variable in made.variables:
            variable.assign(2 * variable.value + 1)
        return {}

    monkeypatch.setattr(UGATIT, "minimize", lambda *_: ({}, ()))  # the arithmetic needs no gradients
    monkeypatch.setattr(UGATIT, "minimize_through", double)
    for expected in (lambda w: 2 * w + 1, lambda w: 3 * w + 2):
        system.train_step((_batch(0), _batch(1)))
        for name, average in averages.items():
            for mean, old in zip(_arrays(average.weights), start[name], strict=True):
                np.testing.assert_allclose(mean, expected(old), rtol=1e-5, atol=1e-7)


def test_l2_of_the_networks() -> None:
    """All kernels, CAM's included, or all that is trained."""
    for which in ("kernels", "all"):
        system = _built_system(l2_variables=which)
        terms = {
            "discriminator": system._decayed(system.discriminator_variables()),
            "generator": system._decayed(system.generator_variables()),
        }
        for side, variables in terms.items():
            everything = getattr(system, f"{side}_variables")()
            expected = [v for v in everything if which == "all" or len(v.shape) > 1]
            assert [v.path for v in variables] == [v.path for v in expected]


@eagerly
@pytest.mark.parametrize("name", [pytest.param("mixed_bfloat16", marks=pytest.mark.slow), "mixed_float16"])
def test_a_step_in_mixed_precision(name: str) -> None:
    """In float16 networks this narrow overflow the first steps: those are left out whole, and the scale is halved."""
    with policy(name):
        system = UGATIT(Settings(**TINY), steps=100)
        assert {variable.dtype for variable in system.state().values() if "int" not in variable.dtype} == {"float32"}
        sides = {"generator": system.generator_variables(), "discriminator": system.discriminator_variables()}
        before = {side: _arrays(variables) for side, variables in sides.items()}
        terms = system.train_step((_batch(0), _batch(1)))
        outputs = system.generator_ab(_batch(0)["a"])
    assert {keras.backend.standardize_dtype(term.dtype) for term in terms.values()} == {"float32"}
    assert np.isfinite(list(_floats(terms).values())).all()
    assert {keras.backend.standardize_dtype(output.dtype) for output in outputs.values()} == {"float32"}
    for side, variables in sides.items():
        after = _arrays(variables)
        assert np.isfinite(np.concatenate([value.ravel() for value in after])).all()
        moved = sum(not np.array_equal(new, old) for new, old in zip(after, before[side], strict=True))
        scale = float(getattr(getattr(system, f"{side}_optimizer"), "dynamic_scale", 256))
        assert (moved > len(after) / 2 and scale == 256) or (moved == 0 and scale == 128)
        assert moved or (side, name) == ("generator", "mixed_float16")


def test_the_sample_sheet_holds_both_directions() -> None:
    columns = _system().sample(_batch(0))
    assert list(columns) == [
        *("a", "heatmap a", "a to b", "a to b to a"),
        *("b", "heatmap b", "b to a", "b to a to b"),
    ]
    assert {tuple(column.shape) for column in columns.values()} == {(1, 32, 32, 3), (1, 8, 8, 1)}
    expected = _system().generator_ba(columns["a to b"])["image"]
    np.testing.assert_allclose(columns["a to b to a"], expected, atol=1e-6)


def test_starting_values_of_networks_do_not_share_a_seed() -> None:
    """Networks of one system, and of systems with neighbouring seeds, draw from different streams."""
    seeds = [Initial(seed).seed() for seed in range(12)]
    assert len(set(seeds)) == 12 and min(np.diff(seeds)) > 1000  # more than one network draws
