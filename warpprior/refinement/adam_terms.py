"""The terms of a scene's energy: every equation of the paper for every body and pair of bodies it applies to."""

from __future__ import annotations

from collections.abc import Callable

from warpprior.geometry.signed_distance import DistanceField, LinkFields
from warpprior.render.canvas import Canvas
from warpprior.scene import SceneBody
from warpprior.settings import PolishSettings
from warpprior.support.errors import InputError
from warpprior.system.energy import Term
from warpprior.system.motion import MotionState
from warpprior.system.picture import Picture
from warpprior.terms.consistency import ConsistencyPrior
from warpprior.terms.far import FarPrior
from warpprior.terms.image import ImagePrior
from warpprior.terms.penetration import PenetrationPrior
from warpprior.terms.silhouette import SilhouettePrior
from warpprior.terms.sliding import SlidingPrior
from warpprior.terms.smoothness import SmoothnessPrior


def build_terms(
    state: MotionState, picture: Picture, settings: PolishSettings, note: Callable[[str], None]
) -> list[Term]:
    """Terms whose weight is not zero and that have something to say.

    Args:
        state: the motion.
        picture: the observations.
        settings: weights and the settings of each term.
        note: told, in one sentence, why a term is left out.
    """
    terms: list[Term] = []
    if settings.image_weight:
        terms += _image_terms(state, picture, settings, note)
    if settings.mask_weight and picture.labels is not None:
        mask = SilhouettePrior(state, picture.unbiased_labels, picture.window, settings.mask, backdrop=picture.backdrop)
        terms.append(Term(mask, settings.mask_weight))
    if settings.far_weight and picture.labels is not None:
        for body in state.estimated:
            terms.append(
                Term(FarPrior(body, state, picture.unbiased_labels, picture.window, settings.far), settings.far_weight)
            )
    terms += _contact_terms(state, settings, note)
    for body in state.estimated:
        common = {"scale": body.initial.scale, "device": state.device}
        if settings.consistency_weight:
            prior = ConsistencyPrior(body.body, state.frame_count, settings.consistency, **common)
            terms.append(Term(prior, settings.consistency_weight))
        if settings.smoothness_weight:
            prior = SmoothnessPrior(body.body, state.frame_count, settings.smoothness, **common)
            terms.append(Term(prior, settings.smoothness_weight))
    return terms


def _image_terms(
    state: MotionState, picture: Picture, settings: PolishSettings, note: Callable[[str], None]
) -> list[Term]:
    """Colours of rigid bodies, on one canvas of everything that is visible."""
    rigid = [body for body in state.estimated if body.body.is_rigid]
    if not rigid:
        return []
    channels = [state.scene.bodies.index(body) for body in state.estimated]
    canvas = Canvas(
        state.assembly,
        channels,
        [False] * len(channels),
        picture.window,
        state.device,
        backdrop=picture.backdrop,
    )
    terms = []
    for body in rigid:
        channel = state.scene.bodies.index(body)
        prior = ImagePrior(body, state, picture.labels, canvas, channel, settings.image, redraw=not terms)
        if prior.active:
            terms.append(Term(prior, settings.image_weight))
        else:
            note(f"image term of {body.name} is off: {prior.reason}.")
    return terms


def _contact_terms(state: MotionState, settings: PolishSettings, note: Callable[[str], None]) -> list[Term]:
    """Sliding and penetration of every ordered pair of bodies of which at least one moves."""
    if not (settings.sliding_weight or settings.penetration_weight):
        return []
    terms = []
    fields: dict[str, DistanceField | LinkFields | None] = {}
    for other in state.scene.bodies:
        partners = [body for body in state.scene.bodies if body is not other and not (body.known and other.known)]
        if not partners:
            continue
        fields[other.name] = _field(other, state, note)
        for body in partners:
            field = fields[other.name]
            if field is None:
                continue
            if settings.sliding_weight:
                count = state.points[body.name].shape[1]
                prior = SlidingPrior(
                    body.name, other.name, field, state.frame_count, count, settings.sliding, device=state.device
                )
                terms.append(Term(prior, settings.sliding_weight))
            if settings.penetration_weight:
                prior = PenetrationPrior(body.name, other.name, field, settings.penetration, device=state.device)
                terms.append(Term(prior, settings.penetration_weight))
    return terms


def _field(body: SceneBody, state: MotionState, note: Callable[[str], None]) -> DistanceField | LinkFields | None:
    """Signed distance to a body; None for surfaces that bend, whose inside no rigid grid can hold."""
    build = DistanceField if body.body.is_rigid else LinkFields
    try:
        return build(body.body, state.device, scale=body.initial.scale)
    except InputError as error:
        note(f"nothing is kept out of {body.name}: {error.found}.")
        return None
