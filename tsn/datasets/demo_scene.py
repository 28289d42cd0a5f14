"""What a demo clip shows: a ball over a textured scene, filmed by a moving camera.

Lengths are in 128ths of the frame's height, so that every size shows the same; times are in
frames.
"""

from collections.abc import Iterator

import cv2
import numpy as np

HEIGHT = 128
"""Height of a frame in the lengths below."""

# How hard the data set is. Pairs are ranges, from which each clip draws.
MOMENT = (0.3, 0.4)
"""Fraction of the clip in which the ball shows its pattern and its motion."""
SPEED = 2.8
"""Mean speed of the ball in that moment, per frame."""
WANDER = 0.5
"""Greatest speed of its aimless drift at all times, per frame and axis."""
CAMERA = (1.0, 2.0)
"""Greatest speed of the camera, per frame; from about 3 on, the ball often leaves the frame."""
RADIUS = (19.0, 23.0)
"""Radius of the ball."""
CONTRAST = 0.8
"""Contrast of the background, 0...1."""

_CAMERA_PERIOD = (45.0, 70.0)
_WANDER_PERIOD = (30.0, 50.0)
_ZOOM = 0.04  # the greatest change of scale
_ROLL = 2.0  # the greatest change of angle, in degrees
_FADE = 0.5  # frames in which the pattern comes or goes
# How far the scene reaches beyond the frame: for the widest pan, and 8 for zoom and roll.
_MARGIN = CAMERA[1] * _CAMERA_PERIOD[1] / (2 * np.pi) + 8
# Room for the ball's and the camera's ways around the ball's home, across and down.
_CLEARANCE = np.array([24, 30])
_SUPERSAMPLING = 2

# Dark and light colour of each pattern. All have the same two luminances, about 80 and 218 by
# Rec. 601, so that the grey images that flow is made of do not tell the hues apart.
_COLOURS = {
    "checked": ((205, 25, 40), (255, 208, 180)),
    "dotted": ((25, 85, 215), (195, 225, 255)),
    "ringed": ((5, 130, 25), (185, 238, 170)),
}
_GREY = (150, 150, 150)  # of the ball outside its moment: between the two luminances


def draw(
    pattern: str, motion: str, seed: int, size: tuple[int, int], frames: int
) -> Iterator[np.ndarray]:
    """Draw the frames of one clip, one by one.

    Args:
        pattern: "checked", "dotted" or "ringed".
        motion: "rises", "falls" or "sways".
        seed: what everything else is drawn from, at least 0.
        size: width and height in pixels.
        frames: length of the clip.

    Yields:
        uint8 arrays of shape (height, width, 3), RGB.
    """
    generator = np.random.default_rng(seed)
    fine = (_SUPERSAMPLING * size[0], _SUPERSAMPLING * size[1])
    scale = fine[1] / HEIGHT
    camera = CameraMotion(generator)
    extent = np.array([HEIGHT * size[0] / size[1], HEIGHT])
    ball = Ball(generator, motion, frames, extent)
    scene = _texture(generator, extent + 2 * _MARGIN, scale)
    centre, scene_centre = (np.array([w - 1, h - 1]) / 2 for w, h in (fine, scene.shape[1::-1]))
    for time in range(frames):
        matrix, offset = camera.view(time)
        shift = centre + offset * scale - matrix @ scene_centre
        warp = np.column_stack([matrix, shift])
        frame = cv2.warpAffine(scene, warp, fine, borderMode=cv2.BORDER_REFLECT)
        position = centre + (matrix @ ball.position(time) + offset) * scale
        shown = ball.shown(time)
        colours = shown * np.array(_COLOURS[pattern]) + (1 - shown) * np.array(_GREY)
        _paint_ball(frame, position, ball.radius * scale, pattern, colours, ball.tilt)
        yield np.rint(cv2.resize(frame, size, interpolation=cv2.INTER_AREA)).astype(np.uint8)


class CameraMotion:
    """Pans, zooms and rolls, each smoothly back and forth."""

    def __init__(self, generator: np.random.Generator):
        speed, heading = generator.uniform(*CAMERA), generator.uniform(0, 2 * np.pi)
        # Across, down, scale, angle: sines of their own period and phase.
        self._omega = 2 * np.pi / generator.uniform(*_CAMERA_PERIOD, size=4)
        self._phase = generator.uniform(0, 2 * np.pi, size=4)
        pan = speed * np.array([np.cos(heading), np.sin(heading)]) / self._omega[:2]
        self._reach = [*pan, *generator.uniform(-1, 1, size=2) * [_ZOOM, np.deg2rad(_ROLL)]]

    def view(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        """The matrix (2, 2) and the offset (2,) that take places in the scene into the frame.

        Places are measured from the centre of either, x to the right and y down.
        """
        x, y, zoom, roll = self._reach * np.sin(self._omega * time + self._phase)
        cos, sin = (1 + zoom) * np.cos(roll), (1 + zoom) * np.sin(roll)
        return np.array([[cos, -sin], [sin, cos]]), np.array([x, y])


class Ball:
    """Where the ball is in the scene, and how much of its pattern it shows."""

    def __init__(
        self, generator: np.random.Generator, motion: str, frames: int, extent: np.ndarray
    ):
        self.radius = generator.uniform(*RADIUS)
        self.tilt = generator.uniform(-0.4, 0.4)  # of the pattern, in radians
        length = generator.uniform(*MOMENT) * frames
        self._start = generator.uniform(0, frames - length)
        self._end = self._start + length
        self._motion = motion
        self._way = SPEED * length
        self._side = generator.choice([-1, 1])
        # Where every motion is centred: one frame of a moment does not tell rising from
        # falling, and hardly swaying.
        room = extent / 2 - self.radius - _CLEARANCE
        self._home = generator.uniform(-1, 1, size=2) * np.maximum(room, 0)
        self._omega = 2 * np.pi / generator.uniform(*_WANDER_PERIOD, size=2)
        self._phase = generator.uniform(0, 2 * np.pi, size=2)

    def position(self, time: float) -> np.ndarray:
        """Place of the ball's centre, (x, y) from the centre of the scene."""
        part = np.clip((time - self._start) / (self._end - self._start), 0, 1)
        if self._motion == "sways":  # there, back past the start, and back: as long a way
            moved = [self._side * self._way / 4 * np.sin(2 * np.pi * part), 0]
        else:
            eased = part - np.sin(2 * np.pi * part) / (4 * np.pi)
            moved = [0, self._way * (0.5 - eased) * (1 if self._motion == "rises" else -1)]
        return self._home + moved + WANDER / self._omega * np.sin(self._omega * time + self._phase)

    def shown(self, time: float) -> float:
        """Fraction of the pattern in the ball's colours: 1 in the moment, 0 well outside."""
        return float(np.clip(1 + min(time - self._start, self._end - time) / _FADE, 0, 1))


def _texture(generator: np.random.Generator, extent: np.ndarray, scale: float) -> np.ndarray:
    """A scene of smooth noise between three random colours: float32 RGB, 0...255."""
    first_blend, second_blend, light = (
        CONTRAST * _noise(generator, extent, scale)[..., None] for _ in range(3)
    )
    hues = generator.uniform(0, 360) + generator.uniform(40, 180, size=3) * [0, 1, -1]
    values = generator.permutation([0.3, 0.55, 0.85]) + generator.uniform(-0.05, 0.05, size=3)
    first, second, third = (
        _rgb(hue, generator.uniform(0.15, 0.5), value)
        for hue, value in zip(hues, values, strict=True)
    )
    mixed = first + (0.5 + first_blend / 4) * (second - first)
    mixed += (0.5 + second_blend / 4) * (third - mixed)
    # Colours of the same luminance would leave the flow without texture.
    return np.clip(mixed * (1 + light / 6), 0, 255)


def _noise(generator: np.random.Generator, extent: np.ndarray, scale: float) -> np.ndarray:
    """Smooth noise in octaves: float32 (height, width) of standard deviation 1."""
    width, height = np.rint(extent * scale).astype(int).tolist()
    noise = np.zeros((height, width), np.float32)
    for octave, cell in enumerate((48, 24, 12, 6, 3)):
        columns, rows = (extent // cell).astype(int) + 2
        grid = generator.standard_normal((rows, columns), np.float32)
        noise += 0.65**octave * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    return noise / noise.std()


def _rgb(hue: float, saturation: float, value: float) -> np.ndarray:
    """Float32 RGB, 0...255, of a hue in degrees and two fractions."""
    hsv = np.array([[[hue % 360, saturation, value]]], np.float32)
    return 255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0]


def _paint_ball(
    frame: np.ndarray,
    centre: np.ndarray,
    radius: float,
    pattern: str,
    colours: np.ndarray,
    tilt: float,
) -> None:
    """Paint a shaded sphere and its soft shadow into a float32 frame (height, width, 3).

    `colours` are the dark and the light one, (2, 3); lengths are in pixels.
    """
    left, top = np.maximum(np.floor(centre - 1.4 * radius), 0).astype(int)
    right, bottom = np.ceil(centre + 1.4 * radius).astype(int) + 1
    part = frame[top : max(bottom, 0), left : max(right, 0)]  # a view: painting goes through
    y, x = np.indices(part.shape[:2], np.float32)
    x, y = (x + left - centre[0]) / radius, (y + top - centre[1]) / radius
    distance = np.hypot(x, y)
    shadow = 0.45 * np.clip(1.15 - np.hypot(x - 0.12, y - 0.16), 0, 0.3) / 0.3
    part *= 1 - shadow[..., None]
    facing = np.sqrt(np.maximum(1 - distance**2, 0.02))  # cosine of the surface's slant
    u, v = np.cos(tilt) * x + np.sin(tilt) * y, np.cos(tilt) * y - np.sin(tilt) * x
    contrast = colours[1] - colours[0]
    # Outside its moment the ball is grey, whatever its pattern is.
    light = _pattern(pattern, u, v, facing, 6 / radius)[..., None] if contrast.any() else 0.0
    shade = 0.62 + 0.45 * np.maximum(-0.45 * x - 0.55 * y + 0.7 * facing, 0)[..., None]
    surface = (colours[0] + light * contrast) * shade
    cover = np.clip((1 - distance) * radius + 0.5, 0, 1)[..., None]
    part += cover * (np.minimum(surface, 255) - part)


def _pattern(name: str, x: np.ndarray, y: np.ndarray, z: np.ndarray, blur: float) -> np.ndarray:
    """Lightness, 0...1, of the points (x, y, z) of a unit sphere seen along z.

    About half of it is light, in pieces of like size, with edges `blur` wide.
    """
    across, down = np.arctan2(x, z), np.arctan2(y, z)
    if name == "checked":
        wave = np.sin(4.4 * across) * np.sin(4.4 * down)
    elif name == "dotted":  # three waves at 120 degrees: a triangular grid
        turns = np.deg2rad([0, 120, 240])
        wave = sum(np.cos(7.5 * (np.cos(t) * across + np.sin(t) * down)) for t in turns) / 2
    else:
        wave = np.cos(6.6 * np.arctan2(np.hypot(x, y), z))
    return np.clip(0.5 + wave / (2 * blur), 0, 1)
