"""Fewer faces at a stated error: vertices go into a neighbour while all of the first surface stays near."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

COLOR_ERROR = 0.1  # of vertex colours in [0, 1]
ROUNDS = 400
PICKS = 4  # of vertices that do not touch, per round
LEAST_SHARE = 2e-3  # of the vertices must go in a round, or it was the last
MANY_FACES = 20_000  # beyond which most vertices go by what is seen around them alone: ten times as fast
BLIND = 0.3  # share of the reach that they may use up
LONG = 2.0  # errors: longer edges, and faces that have one, are watched in their middle too


def decimate(
    vertices: np.ndarray, faces: np.ndarray, colors: np.ndarray | None, reach: float
) -> tuple[np.ndarray, np.ndarray]:
    """Faces between fewer of the vertices.

    Args:
        vertices: (vertex, 3).
        faces: (face, 3), neighbours in agreement on their direction.
        colors: vertex colours in [0, 1] (vertex, 3), or None.
        reach: how far a vertex or the middle of a long edge or face may be from what is left, in units of the vertices.

    Returns:
        the vertices that are left (kept,), and faces of these (face, 3).  Edges of one face or of more than two stay,
        and what is closed stays closed.  Of more than 20,000 faces, most go by what is seen around a vertex alone: that
        is five times as fast, uses up at most 0.3 of the reach, and the others are held against what it leaves.
    """
    kept = np.arange(len(vertices))
    if len(faces) > MANY_FACES:
        kept, faces = _decimated(_Decimation(vertices, faces, colors, BLIND * reach, blind=True))
        reach *= 1.0 - BLIND
    shades = None if colors is None else colors[kept]
    left, faces = _decimated(_Decimation(vertices[kept], faces, shades, reach))
    return kept[left], faces


def _decimated(decimation: _Decimation) -> tuple[np.ndarray, np.ndarray]:
    for _ in range(ROUNDS):
        if not decimation.step():
            break
    kept, corners = np.unique(decimation.faces, return_inverse=True)
    return kept, corners.reshape(-1, 3)


@dataclass(frozen=True)
class _Lists:
    """Members of each group: those of group g are ``members[starts[g]:starts[g + 1]]``."""

    starts: np.ndarray
    members: np.ndarray

    @classmethod
    def of(cls, groups: np.ndarray, count: int, members: np.ndarray) -> _Lists:
        from scipy.sparse import coo_matrix

        table = coo_matrix((members, (groups, np.arange(len(members)))), shape=(count, len(members))).tocsr()
        return cls(table.indptr.astype(np.int32), table.data.astype(np.int32))


class _Decimation:
    """One mesh on its way.

    Args:
        vertices, faces, colors, reach: as of :func:`decimate`.
        blind: nothing is held against the first surface; how far what is around a vertex has gone is added up.
    """

    def __init__(
        self, vertices: np.ndarray, faces: np.ndarray, colors: np.ndarray | None, reach: float, *, blind: bool = False
    ):
        import warp as wp

        middle = 0.5 * (vertices.min(axis=0) + vertices.max(axis=0))
        places = ((vertices - middle) / reach).astype(np.float32)  # in errors: single precision is for them
        shades = np.zeros_like(places) if colors is None else colors.astype(np.float32)
        self.faces = faces.astype(np.int32)
        self._count = len(places)
        ends = np.concatenate([self.faces[:, [0, 1]], self.faces[:, [1, 2]], self.faces[:, [2, 0]]])
        owners = np.tile(np.arange(len(faces)), 3)
        lengths = np.linalg.norm(places[ends[:, 0]] - places[ends[:, 1]], axis=1)
        lengths = np.zeros_like(lengths) if blind else lengths
        long = (lengths > LONG) & (ends[:, 0] < ends[:, 1])
        ends = ends[long]
        wide = np.unique(owners[lengths > LONG])
        between = (self.faces[wide], ends)
        self._sites = self._array(np.concatenate([places, *(places[part].mean(axis=1) for part in between)]))
        self._site_colors = self._array(np.concatenate([shades, *(shades[part].mean(axis=1) for part in between)]))
        self._owners = np.concatenate([np.full(self._count, -1), wide, owners[long]]).astype(np.int32)
        self._places, self._colors = self._array(places), self._array(shades)
        self._first = None if blind else wp.Mesh(self._array(places), self._array(self.faces.reshape(-1)))
        self._strayed = np.zeros(self._count if blind else 0, dtype=np.float32)
        self._goals = np.full(self._count, -1, dtype=np.int32)
        self._costs = np.full(self._count, np.inf, dtype=np.float32)
        self._asked = np.unique(self.faces).astype(np.int32)

    @staticmethod
    def _array(values: np.ndarray):
        import warp as wp

        kinds = {("f", 2): wp.vec3, ("i", 2): wp.vec3i, ("i", 1): wp.int32, ("f", 1): wp.float32}
        return wp.array(values, dtype=kinds[values.dtype.kind, values.ndim], device="cpu", copy=False)

    def step(self) -> bool:
        """Let go of as many vertices as do not touch each other; False when hardly any could go."""
        mesh = self.mesh()
        self.ask(mesh)
        going = self.pick()
        if len(going) <= 0.5 * LEAST_SHARE * len(self.faces):
            return False
        self._finish(self.let_go(mesh, going), going)
        return True

    def mesh(self):
        """What the kernels read."""
        from warpprior.kernels.decimation import DecimatedMesh

        around = _Lists.of(self.faces.reshape(-1), self._count, np.repeat(np.arange(len(self.faces)), 3))
        settled = np.flatnonzero(self._owners >= 0) if self._first else np.empty(0, dtype=np.int64)
        sites = _Lists.of(self._owners[settled], len(self.faces), settled)
        mesh = DecimatedMesh()
        mesh.vertices, mesh.colors, mesh.faces = self._places, self._colors, self._array(self.faces)
        mesh.face_starts, mesh.face_list = self._array(around.starts), self._array(around.members)
        mesh.sites, mesh.site_colors = self._sites, self._site_colors
        mesh.site_starts, mesh.site_list = self._array(sites.starts), self._array(sites.members)
        mesh.first = self._first.id if self._first else 0
        mesh.strayed = self._array(self._strayed)
        mesh.reach, mesh.color_reach = 1.0, COLOR_ERROR
        return mesh

    def ask(self, mesh) -> None:
        """Where the vertices whose surroundings have changed would go, and at what cost."""
        from warpprior.kernels.decimation import propose_collapses

        goals, costs = np.empty_like(self._asked), np.empty(len(self._asked), dtype=np.float32)
        outputs = {"goals_out": self._array(goals), "costs_out": self._array(costs)}
        propose_collapses(mesh, self._array(self._asked), **outputs)
        self._goals[self._asked], self._costs[self._asked] = goals, np.where(goals < 0, np.inf, costs)

    def let_go(self, mesh, going: np.ndarray) -> np.ndarray:
        """The faces (face, 3) without these vertices, -1 where one is gone; their sites belong to others now."""
        from warpprior.kernels.decimation import collapse_vertices

        faces = self.faces.copy()
        outputs = {"faces_out": self._array(faces), "owners_out": self._array(self._owners)}
        goals, costs = self._array(self._goals[going]), self._array(self._costs[going])
        collapse_vertices(mesh, self._array(going), goals, costs, **outputs)
        return faces

    def pick(self) -> np.ndarray:
        """Vertices that can go, the cheapest among all that share a neighbour with them."""
        rank = np.full(self._count, self._count, dtype=np.int32)
        able = np.flatnonzero(np.isfinite(self._costs))
        rank[able[np.argsort(self._costs[able], kind="stable")]] = np.arange(len(able))
        corners, picked = self.faces.reshape(-1), []
        for _ in range(PICKS):
            claims = np.full(self._count, self._count, dtype=np.int32)
            np.minimum.at(claims, corners, np.repeat(rank[self.faces].min(axis=1), 3))
            least = np.full(self._count, self._count, dtype=np.int32)
            np.minimum.at(least, corners, np.repeat(claims[self.faces].min(axis=1), 3))
            won = np.flatnonzero((least == rank) & (rank < self._count))
            if len(won) == 0:
                break
            picked.append(won)
            near = self._grown(self._with_neighbours(won))
            rank[near] = self._count
        return np.concatenate(picked).astype(np.int32) if picked else np.empty(0, dtype=np.int32)

    def _finish(self, faces: np.ndarray, going: np.ndarray) -> None:
        """Drop what is gone, and ask those near it again."""
        changed = self._with_neighbours(going)
        left = faces[:, 0] >= 0
        number = np.cumsum(left) - 1
        settled = (self._owners >= 0) if self._first else np.empty(0, dtype=np.int64)
        self._owners[settled] = number[self._owners[settled]]
        self.faces = faces[left]
        self._costs[going] = np.inf
        changed[going] = False
        asked = self._grown(changed)
        self._asked = np.flatnonzero(asked).astype(np.int32)

    def _with_neighbours(self, chosen: np.ndarray) -> np.ndarray:
        marked = np.zeros(self._count, dtype=bool)
        marked[chosen] = True
        return self._grown(marked)

    def _grown(self, marked: np.ndarray) -> np.ndarray:
        """Marked vertices (vertex,) bool, and all that share a face with one."""
        grown = marked.copy()
        grown[self.faces[marked[self.faces].any(axis=1)]] = True
        return grown
