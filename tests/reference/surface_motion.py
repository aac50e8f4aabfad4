"""Float64 twin of bodies that move by increments of the unknowns: columns of a frame, body by body, then shared."""

import numpy as np

from tests.reference import kinematics, skinning
from tests.reference.camera import advance_pose, carry


class MovingBodies:
    """Poses, surfaces and links of several bodies as functions of steps (frame, column).

    How pose blend shapes swell with the joints is frozen, as the kernels freeze it.

    Args:
        bodies: by name.
        motions: by name, exact in float32: position, rotation, joints, shape, scale.
        starts: column of the root, by name; bodies without one do not move.
        shape_starts: column of the first shape parameter, by name, of bodies whose shape is estimated.
    """

    def __init__(self, bodies, motions, starts, shape_starts=None):
        self.bodies, self.motions, self.starts = bodies, motions, starts
        self.shape_starts = shape_starts or {}
        self._bent, self._placed = {}, {}

    def steps_of(self, name, row):
        """Increments of a body's root (6,) and joints (coordinate,) among the columns (column,) of a frame."""
        count = 6 + self.bodies[name].coordinate_count
        if name not in self.starts:
            return np.zeros(6), np.zeros(count - 6)
        own = row[self.starts[name] : self.starts[name] + count]
        return own[:6], own[6:]

    def pose(self, name, frame, row):
        """camera_from_body (7,) after the increments."""
        motion = self.motions[name]
        root, _ = self.steps_of(name, row)
        start = np.concatenate([motion.position[frame], motion.rotation[frame]])
        return advance_pose(start, root) if name in self.starts else start

    def joints(self, name, frame, row):
        """Joint coordinates (coordinate,) after the increments."""
        return self.motions[name].joints[frame] + self.steps_of(name, row)[1]

    def shape(self, name, row):
        """Shape parameters (shape,) after the increments."""
        body, given = self.bodies[name], self.motions[name].shape
        shape = given if len(given) else np.zeros(body.shape_count)
        start = self.shape_starts.get(name)
        return shape if start is None else shape + row[start : start + body.shape_count]

    def vertices(self, name, frame, row):
        """Surface (vertex, 3) in the camera frame after the increments."""
        return self._evaluate(name, frame, row)[0]

    def origins(self, name, frame, row):
        """Origins of the links (link, 3) in the camera frame after the increments."""
        return self._evaluate(name, frame, row)[1]

    def _evaluate(self, name, frame, row):
        steps = (*self.steps_of(name, row), self.shape(name, row))
        key = (name, frame, *(step.tobytes() for step in steps))
        if key not in self._placed:
            pose = self.pose(name, frame, row)
            self._placed[key] = [carry(pose, points) for points in self._bend(name, frame, row)]
        return self._placed[key]

    def _bend(self, name, frame, row):
        """Surface and origins in the frame of the root, which steps of the root leave as they are."""
        shape = self.shape(name, row)
        key = (name, frame, self.steps_of(name, row)[1].tobytes(), shape.tobytes())
        if key not in self._bent:
            body, motion = self.bodies[name], self.motions[name]
            given = (np.eye(4), self.joints(name, frame, row), shape, motion.scale)
            links = kinematics.links(body, *given)
            surface = skinning.surface(body, *given, blend_joints=motion.joints[frame], links=links)
            self._bent[key] = (surface, links[:, :3, 3])
        return self._bent[key]

    def keypoints(self, name, frame, row):
        """Keypoints (keypoint, 3) in the camera frame after the increments."""
        table = self.bodies[name].keypoints
        surface, origins = self._evaluate(name, frame, row)
        at_vertices = np.asarray(table.vertices)[:, None] >= 0
        return np.where(at_vertices, surface[table.vertices], origins[table.links])


def differentiate_rows(function, width, step=1e-5):
    """Derivative (..., column) of a function of one frame's columns (column,), by fourth-order central differences."""
    columns = []
    for unit in step * np.eye(width):
        near, far = function(unit) - function(-unit), function(2 * unit) - function(-2 * unit)
        columns.append((8.0 * near - far) / (12.0 * step))
    return np.stack(columns, axis=-1)
