"""Decimation: vertices of a triangle mesh go into a neighbour where all that was on the surface stays near it.

Sites are places of the first surface.  Each belongs to a face once the vertices there are gone, and a vertex may go
only while the sites of the faces around it stay within reach of the faces that are left, colours included, and new
faces within reach of the first surface: measured from that, small steps do not add up.  Forward only.
"""

from typing import Any

import warp as wp

from warpprior.kernels.slabs import launch_slabs

wp.set_module_options({"enable_backward": False})

MOST_NEIGHBOURS = 32
REFUSED = wp.constant(1.0e6)
THIN = wp.constant(0.02)  # height of a triangle over its longest side: thinner ones only where there were such
TURN = wp.constant(0.5)  # cosine of the most that a face may turn
SHORT = wp.constant(1.0e-4)  # of short edges, which go first where nothing else counts

Ring = wp.types.vector(length=MOST_NEIGHBOURS, dtype=wp.int32)


@wp.struct
class DecimatedMesh:
    """A mesh that gets fewer vertices, and the sites of the first one."""

    vertices: wp.array[wp.vec3]  # [vertex]
    colors: wp.array[wp.vec3]  # [vertex]
    faces: wp.array[wp.vec3i]  # [face]
    face_starts: wp.array[wp.int32]  # [vertex + 1] into face_list
    face_list: wp.array[wp.int32]  # [corner] faces around each vertex
    sites: wp.array[wp.vec3]  # [site], the vertices first
    site_colors: wp.array[wp.vec3]  # [site]
    site_starts: wp.array[wp.int32]  # [face + 1] into site_list
    site_list: wp.array[wp.int32]  # [...] sites of each face
    first: wp.uint64  # the mesh as it was; 0: new faces are not held against it
    strayed: wp.array[wp.float32]  # [vertex] how far what is around it has gone [reach]; empty: sites tell
    reach: float  # sites stay that near, and new faces that near to the first mesh
    color_reach: float


@wp.func
def corner_of(face: wp.vec3i, vertex: int) -> int:
    """Which corner of a face a vertex is, -1 for none."""
    for corner in range(3):
        if face[corner] == vertex:
            return corner
    return -1


@wp.func
def walk_around(mesh: DecimatedMesh, vertex: int):
    """Neighbours of a vertex in their order, the faces behind each of them, and their count.

    The count is 0 at a border, where faces disagree, or where they form no single fan.
    """
    ring = Ring()
    around = Ring()
    start = mesh.face_starts[vertex]
    count = mesh.face_starts[vertex + 1] - start
    if count < 3 or count > MOST_NEIGHBOURS:
        return ring, around, 0
    current = int(mesh.face_list[start])
    for place in range(count):
        face = mesh.faces[current]
        corner = corner_of(face, vertex)
        ring[place] = face[(corner + 1) % 3]
        around[place] = current
        wanted = face[(corner + 2) % 3]
        if place > 0 and ring[place] == ring[0]:
            return ring, around, 0
        following = int(-1)
        for other in range(start, start + count):
            candidate = mesh.faces[mesh.face_list[other]]
            if candidate[(corner_of(candidate, vertex) + 1) % 3] == wanted:
                if following >= 0:
                    return ring, around, 0
                following = mesh.face_list[other]
        if following < 0:
            return ring, around, 0
        current = following
    if current != around[0]:
        return ring, around, 0
    return ring, around, count


@wp.func
def stays_manifold(mesh: DecimatedMesh, ring: Ring, count: int, goal: int) -> bool:
    """May the vertex in the middle go into a neighbour: are no others of the ring neighbours of that one?"""
    target = ring[goal]
    for place in range(mesh.face_starts[target], mesh.face_starts[target + 1]):
        face = mesh.faces[mesh.face_list[place]]
        for other in range(count):
            beside = other == goal or other == (goal + 1) % count or (other + 1) % count == goal
            if not beside and corner_of(face, ring[other]) >= 0:
                return False
        if count == 3:  # the one face that is left must not be there already
            if corner_of(face, ring[(goal + 1) % 3]) >= 0 and corner_of(face, ring[(goal + 2) % 3]) >= 0:
                return False
    return True


@wp.func
def thickness(a: wp.vec3, b: wp.vec3, c: wp.vec3) -> float:
    """Height of a triangle over its longest side, 0 for one without area."""
    longest = wp.max(wp.length_sq(b - a), wp.max(wp.length_sq(c - b), wp.length_sq(a - c)))
    return wp.length(wp.cross(b - a, c - a)) / wp.max(longest, 1.0e-30)


@wp.func
def keeps_faces(mesh: DecimatedMesh, vertex: int, ring: Ring, count: int, goal: int) -> bool:
    """Do the faces that are left face where they did, and is none much thinner than they were?"""
    old = mesh.vertices[vertex]
    new = mesh.vertices[ring[goal]]
    thinnest = float(1.0)
    thinnest_before = float(1.0)
    for place in range(count):
        following = (place + 1) % count
        a = mesh.vertices[ring[place]]
        b = mesh.vertices[ring[following]]
        thinnest_before = wp.min(thinnest_before, thickness(old, a, b))
        if place != goal and following != goal:
            before = wp.cross(a - old, b - old)
            after = wp.cross(a - new, b - new)
            if wp.dot(before, after) <= TURN * wp.length(before) * wp.length(after):
                return False
            thinnest = wp.min(thinnest, thickness(new, a, b))
    return thinnest >= wp.min(THIN, thinnest_before)


@wp.func
def nearest_weights(point: wp.vec3, a: wp.vec3, b: wp.vec3, c: wp.vec3) -> wp.vec3:
    """Weights of the corners in the place of a triangle that is closest to a point."""
    ab = b - a
    ac = c - a
    # In its plane, where that is inside; else on the nearest of the three sides.
    normal = wp.cross(ab, ac)
    square = wp.max(wp.length_sq(normal), 1.0e-30)
    v = wp.dot(wp.cross(point - a, ac), normal) / square
    w = wp.dot(wp.cross(ab, point - a), normal) / square
    best = wp.vec3(1.0 - v - w, v, w)
    if v >= 0.0 and w >= 0.0 and v + w <= 1.0:
        return best
    t_ab = wp.clamp(wp.dot(point - a, ab) / wp.max(wp.length_sq(ab), 1.0e-30), 0.0, 1.0)
    t_ac = wp.clamp(wp.dot(point - a, ac) / wp.max(wp.length_sq(ac), 1.0e-30), 0.0, 1.0)
    t_bc = wp.clamp(wp.dot(point - b, c - b) / wp.max(wp.length_sq(c - b), 1.0e-30), 0.0, 1.0)
    best = wp.vec3(1.0 - t_ab, t_ab, 0.0)
    least = wp.length_sq(a + t_ab * ab - point)
    along_ac = wp.length_sq(a + t_ac * ac - point)
    if along_ac < least:
        best = wp.vec3(1.0 - t_ac, 0.0, t_ac)
        least = along_ac
    if wp.length_sq(b + t_bc * (c - b) - point) < least:
        best = wp.vec3(0.0, 1.0 - t_bc, t_bc)
    return best


@wp.func
def settle(mesh: DecimatedMesh, site: int, ring: Ring, count: int, goal: int):
    """Where a site is among the faces that are left: after which neighbour, and its cost, at most 1 within reach."""
    return settle_point(mesh, mesh.sites[site], mesh.site_colors[site], ring, count, goal)


@wp.func
def settle_point(mesh: DecimatedMesh, point: wp.vec3, painted: wp.vec3, ring: Ring, count: int, goal: int):
    """The same of any point."""
    target = ring[goal]
    p = mesh.vertices[target]
    least = float(REFUSED)
    best = int(0)
    weights = wp.vec3(0.0, 0.0, 0.0)
    for place in range(count):
        following = (place + 1) % count
        if place != goal and following != goal:
            a = mesh.vertices[ring[place]]
            b = mesh.vertices[ring[following]]
            found = nearest_weights(point, p, a, b)
            square = wp.length_sq(found[0] * p + found[1] * a + found[2] * b - point)
            if square < least:
                least = square
                best = place
                weights = found
    following = (best + 1) % count
    color = weights[0] * mesh.colors[target] + weights[1] * mesh.colors[ring[best]]
    color = color + weights[2] * mesh.colors[ring[following]] - painted
    off = wp.length_sq(color) / (mesh.color_reach * mesh.color_reach)
    return best, wp.max(least / (mesh.reach * mesh.reach), off)


@wp.func
def strayed_cost(mesh: DecimatedMesh, vertex: int, ring: Ring, count: int, goal: int, worst: float) -> float:
    """Cost of the farthest that what is around a vertex has then gone, where no sites tell: steps add up."""
    before = mesh.strayed[vertex]
    for place in range(count):
        middle = 0.5 * (mesh.vertices[vertex] + mesh.vertices[ring[place]])
        painted = 0.5 * (mesh.colors[vertex] + mesh.colors[ring[place]])
        _, cost = settle_point(mesh, middle, painted, ring, count, goal)
        worst = wp.max(worst, cost)
        before = wp.max(before, mesh.strayed[ring[place]])
    gone = before + wp.sqrt(worst)
    return gone * gone


@wp.func
def shortness(mesh: DecimatedMesh, vertex: int, goal: int) -> float:
    """What is added to the cost of going far."""
    return SHORT * wp.length_sq(mesh.vertices[vertex] - mesh.vertices[goal]) / (mesh.reach * mesh.reach)


@wp.func
def collapse_cost(
    mesh: DecimatedMesh, vertex: int, ring: Ring, around: Ring, count: int, goal: int, least: float
) -> float:
    """Cost of the worst site when a vertex goes into a neighbour; REFUSED when one is out of reach, or above least."""
    short = shortness(mesh, vertex, ring[goal])
    most = wp.min(1.0, least - short)
    _, worst = settle(mesh, vertex, ring, count, goal)
    for place in range(count):
        if worst <= most:
            face = around[place]
            for index in range(mesh.site_starts[face], mesh.site_starts[face + 1]):
                if worst <= most:
                    _, cost = settle(mesh, mesh.site_list[index], ring, count, goal)
                    worst = wp.max(worst, cost)
    if mesh.strayed.shape[0] > 0 and worst <= most:
        worst = strayed_cost(mesh, vertex, ring, count, goal, worst)
    if worst > most:
        return REFUSED
    return worst + short


@wp.func
def nearest_neighbour(mesh: DecimatedMesh, vertex: int, ring: Ring, count: int) -> int:
    """The place in the ring of the neighbour that is nearest to a vertex."""
    nearest = int(0)
    least = float(REFUSED) * mesh.reach
    for place in range(count):
        distance = wp.length(mesh.vertices[ring[place]] - mesh.vertices[vertex])
        if distance < least:
            nearest = place
            least = distance
    return nearest


@wp.func
def is_near(mesh: DecimatedMesh, point: wp.vec3) -> bool:
    """Is a point within reach of the first surface?"""
    query = wp.mesh_query_point_no_sign(mesh.first, point, mesh.reach)
    return query.result


@wp.func
def stays_near(mesh: DecimatedMesh, ring: Ring, count: int, goal: int) -> bool:
    """Are the new faces near the first surface: in their middle, and at three places of each new side?"""
    if mesh.first == wp.uint64(0):
        return True
    p = mesh.vertices[ring[goal]]
    for place in range(count):
        following = (place + 1) % count
        if place != goal and following != goal:
            a = mesh.vertices[ring[place]]
            b = mesh.vertices[ring[following]]
            if not is_near(mesh, (p + a + b) / 3.0):
                return False
            # Both ends are on the first surface: what lies between them is no farther than half their distance.
            if (following + 1) % count != goal and wp.length_sq(b - p) > 4.0 * mesh.reach * mesh.reach:
                for part in range(1, 4):
                    if not is_near(mesh, p + 0.25 * float(part) * (b - p)):
                        return False
    return True


@wp.kernel
def _propose_collapses(
    first: int,
    mesh: DecimatedMesh,
    asked: wp.array[wp.int32],  # [vertex asked] vertices whose surroundings have changed
    # outputs:
    goals_out: wp.array[wp.int32],  # [vertex asked] the neighbour to go into, -1 for none
    costs_out: wp.array[wp.float32],  # [vertex asked]
):
    """One vertex: the neighbour it goes into at the least cost."""
    index = first + wp.tid()
    vertex = asked[index]
    ring, around, count = walk_around(mesh, vertex)
    chosen = int(-1)
    least = float(REFUSED)
    nearest = nearest_neighbour(mesh, vertex, ring, count)
    for turn in range(count):
        goal = (nearest + turn) % count  # the nearest first: it is often the one, and others need no look at sites
        if stays_manifold(mesh, ring, count, goal) and keeps_faces(mesh, vertex, ring, count, goal):
            cost = collapse_cost(mesh, vertex, ring, around, count, goal, least)
            if cost < least and stays_near(mesh, ring, count, goal):
                chosen = ring[goal]
                least = cost
    goals_out[index] = chosen
    costs_out[index] = least


def propose_collapses(mesh: Any, asked, *, goals_out, costs_out):
    """Where each vertex that is asked would go, and at what cost; 1 is a site as far as it may be."""
    launch_slabs(
        _propose_collapses,
        costs_out.shape,
        inputs=[mesh, asked],
        outputs=[goals_out, costs_out],
        device=costs_out.device,
    )


@wp.kernel
def _collapse_vertices(
    first: int,
    mesh: DecimatedMesh,
    going: wp.array[wp.int32],  # [vertex going] no two of them have a neighbour in common
    goals: wp.array[wp.int32],  # [vertex going]
    costs: wp.array[wp.float32],  # [vertex going]
    # outputs:
    faces_out: wp.array[wp.vec3i],  # [face] those of the mesh; -1 where one is gone
    owners_out: wp.array[wp.int32],  # [site] the face each belongs to
):
    """One vertex: put its neighbour in its place, and hand its sites to the nearest faces that are left."""
    index = first + wp.tid()
    vertex = going[index]
    ring, around, count = walk_around(mesh, vertex)
    goal = int(0)
    for place in range(count):
        if ring[place] == goals[index]:
            goal = place
    nearest, _ = settle(mesh, vertex, ring, count, goal)
    owners_out[vertex] = around[nearest]
    strays = mesh.strayed.shape[0] > 0
    gone = wp.sqrt(wp.max(costs[index] - shortness(mesh, vertex, ring[goal]), 0.0))
    for place in range(count):
        if strays:
            mesh.strayed[ring[place]] = wp.max(mesh.strayed[ring[place]], gone)
        face = around[place]
        for entry in range(mesh.site_starts[face], mesh.site_starts[face + 1]):
            site = mesh.site_list[entry]
            nearest, _ = settle(mesh, site, ring, count, goal)
            owners_out[site] = around[nearest]
        if place == goal or (place + 1) % count == goal:
            faces_out[face] = wp.vec3i(-1, -1, -1)
        else:
            faces_out[face] = wp.vec3i(ring[goal], ring[place], ring[(place + 1) % count])


def collapse_vertices(mesh: Any, going, goals, costs, *, faces_out, owners_out):
    """Let vertices go into the neighbours that were proposed, at these costs; ``strayed`` of the mesh is kept."""
    launch_slabs(
        _collapse_vertices,
        going.shape,
        inputs=[mesh, going, goals, costs],
        outputs=[faces_out, owners_out],
        device=faces_out.device,
    )


@wp.kernel
def _find_places(
    first: int,
    points: wp.array[wp.vec3],  # [point]
    surface: wp.uint64,
    reach: float,
    # outputs:
    faces_out: wp.array[wp.int32],  # [point] -1 where none is within reach
    weights_out: wp.array[wp.vec3],  # [point] of the corners of that face
):
    """One point: the place of a surface that is nearest to it."""
    point = first + wp.tid()
    query = wp.mesh_query_point_no_sign(surface, points[point], reach)
    face = int(-1)
    weights = wp.vec3(0.0, 0.0, 0.0)
    if query.result:
        face = query.face
        weights = wp.vec3(query.u, query.v, 1.0 - query.u - query.v)
    faces_out[point] = face
    weights_out[point] = weights


def find_places(points, surface, reach, *, faces_out, weights_out):
    """The place of a surface that is nearest to each point, no farther than ``reach``."""
    launch_slabs(
        _find_places,
        faces_out.shape,
        inputs=[points, surface, reach],
        outputs=[faces_out, weights_out],
        device=faces_out.device,
    )
