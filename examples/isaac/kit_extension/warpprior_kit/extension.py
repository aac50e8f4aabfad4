"""The panel.  All it does is shown here; what it means is in :mod:`warpprior_kit.logic`."""

from __future__ import annotations

import omni.ext
import omni.kit.app
import omni.timeline
import omni.ui as ui
import omni.usd

import warpprior
from warpprior_kit import logic


class Extension(omni.ext.IExt):
    """Started and ended by Kit."""

    def on_startup(self, ext_id: str) -> None:
        self._job, self._written, self._stage = None, None, None
        self._window = ui.Window("warpprior", width=420, height=320)
        self._build()
        updates = omni.kit.app.get_app().get_update_event_stream()
        self._updates = updates.create_subscription_to_pop(self._look, name="warpprior")

    def on_shutdown(self) -> None:
        self._updates = None
        if self._job is not None:
            self._job.stop()
            self._job.wait(10.0)
        self._window.destroy()
        self._window = None

    def _build(self) -> None:
        stage = omni.usd.get_context().get_stage()
        self._bodies, self._cameras = logic.prims_to_choose_from(stage) if stage else ([], [])
        with self._window.frame, ui.VStack(spacing=6, height=0):
            self._hand = self._chooser("Hand", self._bodies)
            self._kind = self._chooser("Its model", list(logic.KINDS))
            self._object = self._chooser("Object", self._bodies)
            self._camera = self._chooser("Camera", self._cameras)
            with ui.HStack():
                ui.Label("Label images", width=100)
                self._labels = ui.StringField().model
                self._labels.set_value(logic.LABELS)
            with ui.HStack():
                ui.Button("Look again", clicked_fn=self._build)
                ui.Button("Run", clicked_fn=self._start)
                ui.Button("Stop", clicked_fn=self._stop)
            self._bar = ui.ProgressBar().model
            self._line = ui.Label("", word_wrap=True)
            self._slider = ui.FloatSlider(min=0.0, max=1.0).model
            self._slider.add_value_changed_fn(self._scrub)

    def _chooser(self, title: str, entries: list[str]):
        with ui.HStack():
            ui.Label(title, width=100)
            return ui.ComboBox(0, *entries).model

    def _chosen(self, model, entries: list[str]) -> str:
        index = model.get_item_value_model().as_int
        return entries[index] if index < len(entries) else ""

    def _start(self) -> None:
        if self._job is not None:
            self._line.text = "a run is going on"
            return
        self._stage = omni.usd.get_context().get_stage()
        choice = logic.Choice(
            self._chosen(self._hand, self._bodies),
            self._chosen(self._object, self._bodies),
            self._chosen(self._camera, self._cameras),
            self._chosen(self._kind, list(logic.KINDS)),
            self._labels.as_string,
        )
        self._line.text = logic.problem_with(choice, self._stage) if self._stage else "no stage is open"
        if self._line.text:
            return
        try:
            self._job = logic.Job(logic.read_scene(self._stage, choice), choice.device)
        except warpprior.WarppriorError as error:
            self._line.text = str(error)

    def _stop(self) -> None:
        if self._job is not None:
            self._job.stop()

    def _look(self, _event) -> None:
        """At every update of Kit: how far the job is; what it leaves is written here, on Kit's own thread."""
        if self._job is None:
            return
        self._bar.set_value(self._job.share)
        self._line.text = self._job.message
        if self._job.running:
            return
        job, self._job = self._job, None
        if job.result is not None and self._stage == omni.usd.get_context().get_stage():
            try:
                self._written = logic.write_result(self._stage, job.result)
            except warpprior.WarppriorError as error:
                self._line.text = str(error)
            else:
                self._line.text = "; ".join([f"written to {self._written.path}", *self._written.notes])

    def _scrub(self, model) -> None:
        if self._written is not None:
            code = logic.code_at(model.as_float, self._written.first_code, self._written.last_code)
            rate = self._stage.GetTimeCodesPerSecond()
            omni.timeline.get_timeline_interface().set_current_time(code / rate)
