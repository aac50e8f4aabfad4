"""Batches on Ray: two actors of a local cluster, of which one is killed, and Ray begins again."""

import os
import signal
import sys
import threading
import time

import pytest
from small_scene import write_scene

from warpprior.batches.clips import clips_of
from warpprior.batches.on_ray import Refiner
from warpprior.batches.run import Plan, run_batch
from warpprior.batches.work import LOG_FOLDER, Work
from warpprior.bench.batches import traps
from warpprior.cli.own_terms import load_term
from warpprior.settings import RefineSettings
from warpprior.support.errors import MissingExtraError

TRAP = f"{traps.__file__}:Trap"


def test_without_ray_it_says_what_to_install(tmp_path, monkeypatch):
    """One sentence, before anything is computed."""
    monkeypatch.setitem(sys.modules, "ray", None)
    write_scene(tmp_path / "scene")
    with pytest.raises(MissingExtraError, match=r"pip install 'warpprior\[ray\]'"):
        run_batch(clips_of(tmp_path / "scene"), Work(tmp_path / "out"), Plan(ray="local"))
    assert Refiner.__module__ == "warpprior.batches.on_ray"


def test_an_actor_that_is_killed(tmp_path, monkeypatch):
    """Its clip is begun again by Ray and refined; one that kills each of them is named; the others are refined once."""
    pytest.importorskip("ray", reason="Ray is not installed")
    monkeypatch.setenv(traps.FOLDER, str(tmp_path / "traps"))
    (tmp_path / "traps").mkdir()
    for name in ("a", "b", "kills", "waits"):
        write_scene(tmp_path / "many" / name)

    def kill():
        while not (found := [*(tmp_path / "traps").glob("waits.*")]):
            time.sleep(0.05)
        os.kill(int(found[0].suffix[1:]), signal.SIGKILL)
        (tmp_path / "traps" / "released").touch()

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    settings = RefineSettings(iterations=1, terms=(*RefineSettings().terms, load_term(TRAP)))
    work = Work(tmp_path / "out", settings, num_frames=2, own_terms=(TRAP,))
    told = []
    plan = Plan(jobs=2, device="cpu", ray="local")
    found = run_batch(clips_of(tmp_path / "many"), work, plan, lambda record, standing: told.append(record.clip))
    killer.join(1.0)
    assert [(record.clip, record.status) for record in found] == [
        *(("a", "done"), ("b", "done"), ("kills", "died"), ("waits", "done"))
    ]
    assert sorted(told) == ["a", "b", "kills", "waits"]
    assert {record.clip: record.attempts for record in found} == {"a": 1, "b": 1, "kills": 2, "waits": 2}
    assert not [*(tmp_path / "out" / LOG_FOLDER).glob(".*")]
    again = run_batch(clips_of(tmp_path / "many" / "a"), Work(**{**vars(work), "resume": True}), plan)
    assert [record.written for record in again] == [found[0].written]
