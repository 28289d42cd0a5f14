"""The demo data set: what is planned, what is rendered, and that each stream has its own job."""

import subprocess
import sys
from collections import Counter

import cv2
import numpy as np
import pytest

from tsn.datasets.demo import SIZE, render, render_all, render_dataset
from tsn.datasets.demo_plan import MOTIONS, PATTERNS, plan
from tsn.datasets.demo_scene import CAMERA, HEIGHT, MOMENT, SPEED, WANDER, Ball, CameraMotion, draw
from tsn.runtime.errors import UserError
from tsn.video.decode import read_frames

FRAMES = 40
WIDTH = 170  # of frames of the height in which lengths are given
SEEDS = range(60)


def ball(motion: str, seed: int) -> Ball:
    generator = np.random.default_rng(seed)
    CameraMotion(generator)  # comes first in `draw`
    return Ball(generator, motion, FRAMES, np.array([WIDTH, HEIGHT]))


def positions(thing: Ball) -> np.ndarray:
    return np.array([thing.position(time) for time in range(FRAMES)])


def shown(thing: Ball) -> np.ndarray:
    return np.array([thing.shown(time) for time in range(FRAMES)])


def test_plan_has_every_class_in_both_splits():
    clips = plan(1, train_per_class=3, test_per_class=2)
    assert len({clip.id for clip in clips}) == len(clips) == 9 * 5
    assert all(clip.id.startswith(f"{clip.class_name}/") for clip in clips)
    count = Counter((clip.pattern, clip.motion, clip.split) for clip in clips)
    assert count == {
        (pattern, motion, split): {"train": 3, "test": 2}[split]
        for pattern in PATTERNS
        for motion in MOTIONS
        for split in ("train", "test")
    }


def test_more_clips_per_class_leave_the_others_as_they_were():
    assert set(plan(1, 2, 1)) < set(plan(1, 3, 2))


def test_every_clip_and_every_seed_is_different():
    seeds = [clip.seed for seed in (1, 2) for clip in plan(seed, 4, 3)]
    assert len(set(seeds)) == len(seeds)


def test_plan_imports_nothing_heavy():
    program = (
        "import sys; from tsn.datasets.demo_plan import plan; plan(1, 1, 1); "
        "print({'numpy', 'av', 'cv2', 'torch', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


@pytest.mark.parametrize("counts", [(0, 1), (1, 0), (-1, 1)])
def test_plan_without_clips_is_a_mistake(counts):
    with pytest.raises(UserError, match="_per_class"):
        plan(1, *counts)


def test_rendered_clip_has_the_frames_and_size_asked_for(tmp_path):
    render(plan(1, 1, 1)[0], tmp_path / "new" / "a.mp4", size=(64, 48), frames=15)
    frames = list(read_frames(tmp_path / "new" / "a.mp4", size=(64, 48)))
    assert len(frames) == 15
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.mp4"]


def test_video_shows_what_was_drawn(tmp_path):
    clip = plan(1, 1, 1)[4]
    render(clip, tmp_path / "a.mp4", frames=12)
    drawn = np.array(list(draw(clip.pattern, clip.motion, clip.seed, SIZE, 12)), float)
    read = np.array(list(read_frames(tmp_path / "a.mp4", size=SIZE)), float)
    assert np.abs(read - drawn).mean() < 4  # grey levels: lost to compression


def test_same_clip_gives_the_same_bytes_and_another_one_does_not(tmp_path):
    one, other = plan(1, 2, 1)[:2]
    for name, clip in (("a", other), *((f"b{number}", one) for number in range(8))):
        render(clip, tmp_path / name, size=(64, 48), frames=12)
    different, first, *again = (path.read_bytes() for path in sorted(tmp_path.iterdir()))
    assert set(again) == {first}
    assert different != first


def test_failed_rendering_leaves_no_file(tmp_path, monkeypatch):
    def broken(*_):
        yield np.zeros((*SIZE[::-1], 3), np.uint8)
        raise RuntimeError("out of paint")

    monkeypatch.setattr("tsn.datasets.demo_scene.draw", broken)
    with pytest.raises(RuntimeError, match="out of paint"):
        render(plan(1, 1, 1)[0], tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("size", "frames"), [((63, 48), 12), ((64, 30), 12), ((64, 48), 11)])
def test_size_or_length_out_of_range_is_a_mistake(tmp_path, size, frames):
    with pytest.raises(UserError, match=r"size is|frames is"):
        render(plan(1, 1, 1)[0], tmp_path / "a.mp4", size, frames)


def test_render_all_puts_every_clip_under_its_id(tmp_path):
    clips = plan(1, 1, 1)[:3]
    done = set(render_all(clips, tmp_path, size=(64, 48), frames=12, threads=2))
    assert done == set(clips)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.mp4")} == {
        f"{clip.id}.mp4" for clip in clips
    }


def test_data_set_has_a_manifest_of_its_clips(tmp_path, monkeypatch):
    monkeypatch.setattr("tsn.datasets.demo.render", lambda clip, path, size, frames: None)
    manifest = tmp_path / "manifest.tsv"
    render_dataset(
        manifest, {"render_seed": 5, "train_per_class": 2, "test_per_class": 1}, threads=1
    )
    rows = [line.split("\t") for line in manifest.read_text().splitlines()]
    assert rows[0] == ["id", "class", "split", "seed"]
    assert rows[1:] == [[c.id, c.class_name, c.split, str(c.seed)] for c in plan(5, 2, 1)]


def test_pattern_shows_in_one_short_moment_only():
    for seed in SEEDS:
        fraction = shown(ball("rises", seed))
        bright = np.flatnonzero(fraction == 1)
        assert np.all(np.diff(bright) == 1)
        # The moment itself; up to 2 frames on either side it fades.
        assert MOMENT[0] * FRAMES - 1 <= len(bright) <= MOMENT[1] * FRAMES + 1
        assert np.count_nonzero(fraction) <= len(bright) + 4


def test_patterns_differ_in_the_moment_and_nowhere_else():
    clips = [np.array(list(draw(name, "sways", 3, (WIDTH, HEIGHT), FRAMES))) for name in PATTERNS]
    hidden = shown(ball("sways", 3)) == 0
    assert hidden.any() and not hidden.all()
    for clip in clips[1:]:
        differs = (clip != clips[0]).any(axis=(1, 2, 3))
        np.testing.assert_array_equal(differs, ~hidden)


def test_grey_frames_of_the_patterns_are_alike():
    time = np.flatnonzero(shown(ball("sways", 3)) == 1)[5]
    clips = {name: list(draw(name, "sways", 3, (WIDTH, HEIGHT), FRAMES)) for name in PATTERNS}
    frames = np.array([clip[time] for clip in clips.values()])
    on_ball = (frames != frames[0]).any(axis=(0, 3))
    grey = np.array([cv2.cvtColor(p, cv2.COLOR_RGB2GRAY)[on_ball] for p in frames], float)
    colour = np.array([p[on_ball].mean(axis=0) for p in frames])
    contrast, brightness = grey.std(axis=1), grey.mean(axis=1)
    assert contrast.max() < 1.25 * contrast.min()
    assert np.ptp(brightness) < 30 < 45 < np.ptp(colour, axis=0).min()


@pytest.mark.parametrize("motion", MOTIONS)
def test_every_motion_is_as_fast_as_the_others(motion):
    speeds = []
    for seed in SEEDS:
        steps = np.linalg.norm(np.diff(positions(ball(motion, seed)), axis=0), axis=1)
        bright = shown(ball(motion, seed)) == 1
        speeds.append(steps[bright[:-1] & bright[1:]].mean())
    assert np.mean(speeds) == pytest.approx(SPEED, rel=0.1)


def test_ball_only_drifts_outside_the_moment():
    for seed in SEEDS:
        thing = ball("falls", seed)
        hidden = shown(thing) == 0
        steps = np.abs(np.diff(positions(thing), axis=0))[hidden[:-1] & hidden[1:]]
        assert steps.max(initial=0) <= WANDER


def test_motions_do_what_their_names_say():
    for seed in SEEDS:
        rises, falls, sways = (ball(motion, seed) for motion in MOTIONS)
        start, end = (np.flatnonzero(shown(rises) == 1)[index] for index in (0, -1))
        # y points down; 10 is well below the way of the moment and above the drift in it.
        assert positions(rises)[end, 1] < positions(rises)[start, 1] - 10
        assert positions(falls)[end, 1] > positions(falls)[start, 1] + 10
        across, down = np.ptp(positions(sways)[start : end + 1], axis=0)
        assert across > 10 and down < 10


def test_one_frame_does_not_tell_rising_from_falling():
    for seed in SEEDS:
        still = positions(ball("rises", seed)) + positions(ball("falls", seed))
        # Mirror images of each other about a place that only drifts: every height that one
        # passes, the other passes too.
        assert np.abs(np.diff(still / 2, axis=0)).max() <= WANDER


def test_camera_never_rests_nor_runs_and_keeps_the_ball_in_view():
    speeds = []
    for seed in SEEDS:
        camera, thing = CameraMotion(np.random.default_rng(seed)), ball("rises", seed)
        views = [camera.view(time) for time in range(FRAMES)]
        seen = np.array([m @ thing.position(t) + o for t, (m, o) in enumerate(views)])
        assert (np.abs(seen) < [WIDTH / 2, HEIGHT / 2]).all()
        speeds.append(np.linalg.norm(np.diff([o for _, o in views], axis=0), axis=1))
    assert np.max(speeds) <= CAMERA[1]
    assert np.mean(speeds) > CAMERA[0] / 2


@pytest.mark.parametrize("motion", MOTIONS)
def test_scene_and_ball_move_through_the_frame_as_planned(motion):
    camera, thing = CameraMotion(np.random.default_rng(5)), ball(motion, 5)
    clip = list(draw("dotted", motion, 5, (WIDTH, HEIGHT), FRAMES))
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in clip]
    flow_of = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    middle = (np.array([WIDTH, HEIGHT]) - 1) / 2
    places = np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)), axis=-1) - middle
    for time in range(0, FRAMES - 1, 3):
        (now, offset), (then, next_offset) = camera.view(time), camera.view(time + 1)
        before = now @ thing.position(time) + offset
        step = then @ thing.position(time + 1) + next_offset - before
        flow = flow_of.calc(grey[time], grey[time + 1], None)
        distance = np.linalg.norm(places - before, axis=-1) / thing.radius
        scene = places + flow - ((places - offset) @ np.linalg.inv(now).T @ then.T + next_offset)
        # Half a pixel: what this fast flow method is off by at the ball's edges and in its shade.
        assert np.abs(np.median(scene[distance > 2], axis=0)).max() < 0.25
        if thing.shown(time) == thing.shown(time + 1):  # no flow joins two different patterns
            assert np.abs(np.median(flow[distance < 0.7], axis=0) - step).max() < 0.5


def test_scene_reaches_beyond_whatever_the_camera_sees():
    from tsn.datasets import demo_scene

    corners = np.array([(x, y) for x in (-WIDTH / 2, WIDTH / 2) for y in (-HEIGHT / 2, HEIGHT / 2)])
    limit = np.array([WIDTH, HEIGHT]) / 2 + demo_scene._MARGIN
    for seed in SEEDS:
        camera = CameraMotion(np.random.default_rng(seed))
        for time in range(FRAMES):
            matrix, offset = camera.view(time)
            seen = np.linalg.solve(matrix, (corners - offset).T).T
            assert (np.abs(seen) <= limit).all()


def test_other_sizes_show_the_same_scene():
    small = next(draw("checked", "rises", 4, (WIDTH, HEIGHT), FRAMES))
    large = next(draw("checked", "rises", 4, (2 * WIDTH, 2 * HEIGHT), FRAMES))
    shrunk = cv2.resize(large, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk.astype(float) - small).mean() < 5
