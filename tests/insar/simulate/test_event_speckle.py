from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from insar.simulate.event_parameters import Cover, EventParameters
from insar.simulate.event_scene import EventScene, missing_blocks, simulate_map_event, simulate_radar_event
from insar.simulate.event_speckle import DIGITAL_NUMBER, complex_normal, draw_backscatter, draw_images
from insar.simulate.view import slant_range_m

STRIP = 64


def whole_images(scene: EventScene) -> np.ndarray:
    """All dates: (date, row, col)."""
    parts = [np.stack(list(draw_images(scene, strip))) for strip in range(len(scene.strips))]
    return np.concatenate(parts, axis=1)


@pytest.fixture(scope="module")
def stormy() -> EventScene:
    """Every effect on coherence, strong."""
    return simulate_radar_event(
        EventParameters(
            seed=11,
            rows=384,
            cols=700,
            range_pixel_m=6.0,
            acquisitions_before=4,
            acquisitions_after=3,
            landslides=60,
            water_share=0.1,
            landslide_coherence_left=0.3,
            event_coherence_loss=0.6,
            weather_coherence_loss=0.3,
            noise_floor_db=-16.0,
        )
    )


@pytest.fixture(scope="module")
def images(stormy: EventScene) -> np.ndarray:
    return whole_images(stormy)


@pytest.mark.parametrize("pair", [(0, 1), (0, 3), (3, 4), (1, 6), (4, 5), (4, 6)])
def test_coherence_is_the_stated_one(stormy: EventScene, images: np.ndarray, pair: tuple[int, int]) -> None:
    first, second = pair
    fields = stormy.fields(slice(0, stormy.shape[0]))
    stated = stormy.coherence(fields, first, second).astype(np.float64)
    assert stated.min() >= 0.0
    assert stated.max() < 1.0
    noise = 10.0 ** (stormy.parameters.noise_floor_db / 10.0)
    normal = [
        images[index] / (DIGITAL_NUMBER * np.sqrt(stormy.backscatter(fields, index, "VV") + noise)) for index in pair
    ]
    covers = {kind.name: (fields.cover == kind) & ~fields.is_landslide for kind in Cover}
    for name, chosen in (covers | {"landslides": fields.is_landslide}).items():
        count = int(chosen.sum())
        assert count > 3_000, name
        one, other = (image[chosen].astype(np.complex128) for image in normal)
        # With the power known, the mean product is an unbiased estimate; its variance is at most 1 over the count.
        product = one * other.conj()
        spread = np.sqrt(1.0 / count)
        assert product.real.mean() == pytest.approx(stated[chosen].mean(), abs=4.0 * spread), name
        assert product.imag.mean() == pytest.approx(0.0, abs=4.0 * spread), name
        assert (np.abs(one) ** 2).mean() == pytest.approx(1.0, abs=5.0 * spread), name


def test_magnitude_of_sample_coherence_is_the_stated_one(stormy: EventScene, images: np.ndarray) -> None:
    """By windows, each with its own truth, the bias of the magnitude taken out to first order."""
    noise = np.float32(10.0 ** (stormy.parameters.noise_floor_db / 10.0))
    fields = stormy.fields(slice(0, stormy.shape[0]))
    for first, second in ((0, 1), (3, 4), (4, 5)):
        stated = windows(stormy.coherence(fields, first, second))
        uniform = np.ptp(stated, axis=-1) < 0.02
        # Brightness varies within windows; it is taken out so that all samples of a window weigh the same.
        one, other = (
            windows(images[index] / np.sqrt(stormy.backscatter(fields, index, "VV") + noise))[uniform]
            for index in (first, second)
        )
        looks = one.shape[-1]
        squared = np.abs((one * other.conj()).mean(-1)) ** 2
        squared /= (np.abs(one) ** 2).mean(-1) * (np.abs(other) ** 2).mean(-1)
        truth = stated[uniform].mean(-1).astype(np.float64)
        # E |sample|^2 = g^2 + (1 - g^2)^2 / L up to 1/L^2 (Touzi et al. 1999, for large L).
        expected = truth**2 + (1.0 - truth**2) ** 2 / looks
        assert uniform.sum() > 100
        for part in (truth < np.median(truth), truth >= np.median(truth)):
            error = (squared - expected)[part]
            assert error.mean() == pytest.approx(0.0, abs=4.0 * error.std() / np.sqrt(error.size))


def windows(image: np.ndarray, size: int = 8) -> np.ndarray:
    """Windows side by side: (row, col, pixel)."""
    rows, cols = (length // size for length in image.shape)
    cut = image[: rows * size, : cols * size].reshape(rows, size, cols, size)
    return cut.transpose(0, 2, 1, 3).reshape(rows, cols, size * size)


def test_speckle_is_circular_gaussian() -> None:
    numbers = complex_normal(np.random.default_rng(1), (400, 500)).ravel()
    assert numbers.dtype == np.complex64
    power = np.abs(numbers.astype(np.complex128)) ** 2
    assert power.mean() == pytest.approx(1.0, abs=0.01)
    assert (power**2).mean() == pytest.approx(2.0, abs=0.05)  # of the exponential distribution
    assert abs((numbers.astype(np.complex128) ** 2).mean()) < 0.01


def test_pixels_are_independent(stormy: EventScene, images: np.ndarray) -> None:
    speckle = images[2].astype(np.complex128)
    speckle /= np.abs(speckle)
    for shifted in (speckle[1:, :] * speckle[:-1, :].conj(), speckle[:, 1:] * speckle[:, :-1].conj()):
        assert abs(shifted.mean()) < 4.0 / np.sqrt(shifted.size)


def test_strips_come_out_the_same_in_any_order(stormy: EventScene, images: np.ndarray) -> None:
    for strip in (5, 0, 3):
        rows = stormy.strips[strip]
        np.testing.assert_array_equal(np.stack(list(draw_images(stormy, strip))), images[:, rows])


def test_a_seed_means_one_stack(stormy: EventScene, images: np.ndarray) -> None:
    again = simulate_radar_event(stormy.parameters)
    np.testing.assert_array_equal(np.stack(list(draw_images(again, 1))), images[:, STRIP : 2 * STRIP])
    other = simulate_radar_event(replace(stormy.parameters, seed=12))
    assert (np.stack(list(draw_images(other, 1))) != images[:, STRIP : 2 * STRIP]).all()


def test_without_an_event_nothing_happens_at_it() -> None:
    parameters = EventParameters(rows=64, cols=80, range_pixel_m=8.0, acquisitions_before=2, acquisitions_after=2)
    parameters = parameters.without_disturbances(landslides=0)
    scene = simulate_radar_event(parameters)
    fields = scene.fields(slice(0, 64))
    before, across, after = (scene.coherence(fields, index, index + 1) for index in range(3))
    np.testing.assert_array_equal(before, across)
    np.testing.assert_array_equal(across, after)


def test_event_loss_lowers_pairs_across_the_event_alone() -> None:
    calm = EventParameters(
        rows=64, cols=80, range_pixel_m=8.0, acquisitions_before=3, acquisitions_after=2, landslides=0
    ).without_disturbances()
    rainy = replace(calm, event_coherence_loss=0.4, event_loss_length_m=0.0)
    fields = [simulate_radar_event(one).fields(slice(0, 64)) for one in (calm, rainy)]
    scenes = [simulate_radar_event(one) for one in (calm, rainy)]
    for first, second, factor in ((0, 1, 1.0), (2, 3, 0.6), (1, 4, 0.6), (3, 4, 1.0)):
        one, other = (scene.coherence(field, first, second) for scene, field in zip(scenes, fields, strict=True))
        np.testing.assert_allclose(other, factor * one, rtol=1e-5)


def test_landslides_lose_and_partly_regain_coherence() -> None:
    parameters = EventParameters(
        rows=128, cols=160, range_pixel_m=8.0, acquisitions_before=2, acquisitions_after=2, landslides=5
    ).without_disturbances(landslide_recovery=0.8)
    scene = simulate_radar_event(parameters)
    fields = scene.fields(slice(0, 128))
    slid = fields.is_landslide & (fields.cover == Cover.FOREST)
    assert slid.any()
    before, across, after = (scene.coherence(fields, index, index + 1)[slid] for index in range(3))
    forest, bare = parameters.forest.coherence(12.0), parameters.bare.coherence(12.0)
    np.testing.assert_allclose(before, forest, rtol=1e-5)
    np.testing.assert_allclose(across, 0.1 * forest, rtol=1e-5)
    np.testing.assert_allclose(after, 0.01 * forest + 0.99 * 0.8 * bare, rtol=1e-5)


def test_fringes_of_deformation_and_topography() -> None:
    still = EventParameters(
        rows=64, cols=80, range_pixel_m=8.0, acquisitions_before=2, acquisitions_after=1, landslides=0
    ).without_disturbances()
    moved = replace(still, deformation_peak_m=0.05, deformation_radius_m=300.0, baseline_rms_m=80.0)
    one, other = (simulate_radar_event(parameters) for parameters in (still, moved))
    added = whole_images(other) * whole_images(one).conj()
    fields = other.fields(slice(0, 64))
    incidence = np.radians(fields.incidence_deg.astype(np.float64))
    height = fields.height_m - other.ground.height_m.mean(dtype=np.float64)
    distance = other.model.pixel_m * np.hypot(*(p - m for p, m in zip(fields.places, other.model.middle, strict=True)))
    toward = 0.05 * np.exp(-0.5 * (distance / 300.0) ** 2)
    for index in range(3):
        # Interferogram with the first image: phase positive where the range grew.
        phase = added[0] * added[index].conj()
        grown = other.baselines_m[index] * height / (slant_range_m(np.degrees(incidence)) * np.sin(incidence))
        if index == 2:
            grown = grown - toward
        expected = np.exp(4j * np.pi / still.wavelength_m * grown)
        np.testing.assert_allclose(phase / np.abs(phase), expected, atol=2e-4)
    assert other.baselines_m[0] == 0.0


def test_missing_pixels_are_zero_and_others_are_not() -> None:
    parameters = EventParameters(
        rows=100, cols=90, range_pixel_m=8.0, acquisitions_before=2, acquisitions_after=2, landslides=0,
        empty_margin=3, missing_blocks=4, missing_block_share=0.3,
    )  # fmt: skip
    scene = simulate_radar_event(parameters)
    blocks = missing_blocks(parameters, scene.shape)
    assert len(blocks) == 4
    for index, image in enumerate(whole_images(scene)):
        expected = np.zeros((100, 90), bool)
        expected[3:-3, 3:-3] = True
        for date_index, rows, cols in blocks:
            if date_index == index:
                assert (rows.stop - rows.start, cols.stop - cols.start) == (30, 27)
                expected[rows, cols] = False
        np.testing.assert_array_equal(image != 0.0, expected)


def test_backscatter_has_its_mean_looks_and_change() -> None:
    parameters = EventParameters(
        rows=192, cols=256, acquisitions_before=2, acquisitions_after=1, landslides=25, backscatter_looks=4.4
    ).without_disturbances()
    scene = simulate_map_event(parameters)

    def drawn(index: int) -> np.ndarray:
        return np.concatenate([draw_backscatter(scene, strip, index, "VH") for strip in range(len(scene.strips))])

    fields = scene.fields(slice(0, 192))
    forest = (fields.cover == Cover.FOREST) & ~fields.is_landslide
    before, again, after = drawn(0), drawn(1), drawn(2)
    mean = 10.0 ** (parameters.forest.vh_db / 10.0)
    assert before[forest].mean() == pytest.approx(mean, rel=0.02)
    assert (before[forest].mean() / before[forest].std()) ** 2 == pytest.approx(4.4, rel=0.05)
    assert abs(np.corrcoef(before[forest], again[forest])[0, 1]) < 0.03
    slid = fields.is_landslide & (fields.cover == Cover.FOREST)
    change = 10.0 * np.log10(after[slid].mean() / before[slid].mean())
    assert change == pytest.approx(parameters.landslide_vh_change_db, abs=0.3)


def test_a_wider_stack_is_not_held_in_memory() -> None:
    wide = EventParameters(rows=30_000, cols=16, range_pixel_m=8.0, landslides=0, acquisitions_before=1)
    scene = simulate_radar_event(replace(wide, acquisitions_after=1))
    image = next(draw_images(scene, len(scene.strips) - 1))
    assert image.shape == (30_000 % STRIP, 16)
    assert (image != 0.0).all()
