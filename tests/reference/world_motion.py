"""Float64 twins of motion where the camera moves: of bodies in the world, and of the camera itself."""

from scipy.spatial.transform import Rotation

from tests.reference.motion_terms import Consistency, MotionTerm, Rest, Smoothness, advance_all


class Camera:
    """Measured poses world_from_camera (frame, 7), and offsets from them; ``start`` is their column, None: known."""

    def __init__(self, measured, offsets, start):
        self.measured, self.offsets, self.start = measured, offsets, start

    def offset(self, steps):
        """(frame, 6) after steps (frame, column)."""
        return self.offsets if self.start is None else self.offsets + steps[:, self.start : self.start + 6]

    def placed(self, steps):
        """Positions (frame, 3) and rotations after steps."""
        offsets = self.offset(steps)
        turn = Rotation.from_rotvec(offsets[:, 3:]) * Rotation.from_quat(self.measured[:, 3:])
        return self.measured[:, :3] + offsets[:, :3], turn


class InWorld(MotionTerm):
    """Motion of a body that a camera carries."""

    def __init__(self, *arguments, camera, **more):
        super().__init__(*arguments, **more)
        self.camera = camera

    def placed(self, steps):
        """Positions (frame, 3) and rotations in the world after steps (frame, column)."""
        poses = advance_all(self.poses, steps[:, self.columns])
        shift, turn = self.camera.placed(steps)
        return turn.apply(poses[:, :3]) + shift, turn * Rotation.from_quat(poses[:, 3:])


class WorldSmoothness(InWorld, Smoothness):
    """Accelerations in the world."""


class WorldConsistency(InWorld, Consistency):
    """Velocities in the world."""


class WorldRest(InWorld, Rest):
    """Velocities in the world of what rests there."""


class CameraSmoothness(Smoothness):
    """Accelerations of the camera itself."""

    def __init__(self, camera, segments, paces, stiffness):
        super().__init__(camera.measured, segments, paces, stiffness, 0)
        self.camera = camera

    def placed(self, steps):
        """As the camera has them."""
        return self.camera.placed(steps)


class MeasuredPoses(MotionTerm):
    """Offsets of the camera against what those of the two frames before let expect.

    Args:
        camera: whose offsets.
        factors: of the shift and of the turn of a frame and the two before (part, frame, 3).
        stiffness: of both in each frame (part, frame).
    """

    def __init__(self, camera, factors, stiffness):
        self.camera, self.factors, self.stiffness = camera, factors, stiffness

    def vectors(self, steps):
        """Of shift and turn (frame, 3) each."""
        offsets, found = self.camera.offset(steps), []
        for factors, part in zip(self.factors, (offsets[:, :3], offsets[:, 3:]), strict=True):
            apart = factors[:, :1] * part
            for back in (1, 2):
                apart[back:] += factors[back:, back, None] * part[:-back]
            found.append(apart)
        return found
