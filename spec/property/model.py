"""What an answer must be, from the rules of the service alone: a second, slow and plain statement
of them in Python, that shares nothing with the scripts and the SQL.

A model keeps every statement that a stream makes, with its version, and decides only when asked. So
neither the order of the stream nor repetitions can matter to it.
"""
import collections
import datetime
import uuid

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
PHASE_ORDER = ["spellcheck", "nlp", "ai_feedback", "cj_assessment"]
OWN_STATUS = {"cancelled": "CANCELLED", "failed_critically": "FAILED",
              "content_ingestion_failed": "FAILED"}
CLIENT_STATUS = {"REGISTERED": "pending_content", "PROCESSING": "processing",
                 "PARTIALLY_COMPLETED": "completed_with_failures",
                 "COMPLETED": "completed_successfully", "FAILED": "failed",
                 "CANCELLED": "cancelled"}


def microseconds(text):
    at = datetime.datetime.fromisoformat(text)
    if at.tzinfo is None:
        at = at.replace(tzinfo=datetime.timezone.utc)
    return (at - EPOCH) // datetime.timedelta(microseconds=1)


def wire_time(at_us):
    if at_us is None:
        return None
    at = EPOCH + datetime.timedelta(microseconds=at_us)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f")


def latest(statements):
    """The value of the newest (version, value), or None."""
    return max(statements, key=lambda statement: statement[0])[1] if statements else None


def earliest(statements):
    return min(statements, key=lambda statement: statement[0])[1] if statements else None


def times(statements):
    return [version[0] for version, _ in statements]


def run_of(data, event=None):
    """The run's correlation id; None where neither the data nor the envelope has one."""
    text = data.get("correlation_id") or (event or {}).get("correlation_id")
    return str(uuid.UUID(text)) if text else None


class Essay:
    """Everything said of one essay: lists of (version, what)."""

    def __init__(self):
        self.registered_by, self.linked_by, self.slot_of = [], [], []
        self.slots, self.spellchecks, self.judgements = [], [], []
        self.outcomes = []  # (version, (phase, failed))

    def is_shown(self):
        return bool(self.slots or self.own_results() or self.outcomes)

    def own_results(self):
        return self.spellchecks + self.judgements

    def batch_id(self):
        return (earliest(self.registered_by) or earliest(self.linked_by)
                or earliest(self.slot_of))

    def status(self, phase, own):
        said = [(version, "failed" if failed else "completed")
                for version, (name, failed) in self.outcomes if name == phase]
        return latest(said + [(version, result["status"]) for version, result in own])

    def spellcheck_status(self):
        return self.status("spellcheck", self.spellchecks)

    def cj_status(self):
        return self.status("cj_assessment", self.judgements)

    def last_updated(self):
        return max(times(self.slots + self.own_results() + self.outcomes))

    def answer(self, essay_id):
        slot = latest(self.slots) or {}
        spelling = latest(self.spellchecks) or {}
        judgement = latest(self.judgements) or {}
        return {
            "essay_id": essay_id, "filename": slot.get("filename"),
            "file_upload_id": slot.get("file_upload_id"),
            "spellcheck_status": self.spellcheck_status(),
            "spellcheck_correction_count": spelling.get("corrections"),
            "spellcheck_corrected_text_storage_id": spelling.get("text_id"),
            "spellcheck_error_detail": spelling.get("error"),
            "cj_assessment_status": self.cj_status(), "cj_rank": judgement.get("rank"),
            "cj_score": judgement.get("score"), "cj_assessment_error_detail": None,
            "last_updated": wire_time(self.last_updated())}


class Batch:
    def __init__(self):
        self.registrations, self.assignments, self.completions, self.judged = [], [], [], []
        self.outcomes = collections.defaultdict(list)  # by phase name; (version, what)
        # each judgement of the current release by its content: [(version, correlation id)]
        self.graded = collections.defaultdict(list)


class Model:
    def __init__(self, records=()):
        self.essays = collections.defaultdict(Essay)
        self.batches = collections.defaultdict(Batch)
        self.outcomes = {}  # each statement of a run: the earliest version under which it came
        for record in records:
            self.take(record)
        for said, version in self.outcomes.items():
            self.outcome_stated(version, *said)

    # ---- what events say

    def take(self, record):
        """Ignores a record marked as poison."""
        read = self.READERS.get(record["topic"])
        if read and "poison" not in record:
            read(self, record["value"], record["value"]["data"])

    @staticmethod
    def version(event, own_time):
        return microseconds(own_time), str(uuid.UUID(event["event_id"]))

    def registered(self, event, data):
        version = self.version(event, data["metadata"]["timestamp"])
        batch_id = data.get("entity_id") or data["batch_id"]
        self.batches[batch_id].registrations.append((version, data))

    def slot_assigned(self, event, data):
        version = self.version(event, data["timestamp"])
        essay = self.essays[data["essay_id"]]
        essay.slot_of.append((version, data["batch_id"]))
        essay.slots.append((version, {"filename": data["original_file_name"],
                                      "file_upload_id": data["file_upload_id"]}))

    def spellchecked(self, event, data, essay_id, batch_id, text_id):
        version = self.version(event, data["timestamp"])
        good = "success" in data["status"]
        info = data["system_metadata"].get("error_info") or {}
        error = None if good or not info else {
            "error_code": info.get("error_code", "SPELLCHECK_SERVICE_ERROR"),
            "message": next((info[key] for key in ("error_message", "fetch_error", "content_error",
                                                   "unhandled_error") if info.get(key) is not None),
                            "Spell check failed"),
            "correlation_id": event.get("correlation_id"),
            "timestamp": wire_time(version[0]), "service": "result_aggregator_service",
            "operation": "process_spellcheck_result", "details": {"essay_id": essay_id}}
        essay = self.essays[essay_id]
        essay.spellchecks.append((version, {
            "status": "completed" if good else "failed", "text_id": text_id, "error": error,
            "corrections": data.get("corrections_made")}))
        if batch_id:
            essay.linked_by.append((version, batch_id))

    def spellchecked_first(self, event, data):
        entity = data["system_metadata"]["entity"]
        texts = ((data.get("storage_metadata") or {}).get("references") or {})
        texts = texts.get("corrected_text") or {}
        self.spellchecked(event, data, entity["entity_id"], entity.get("parent_id"),
                          texts.get("default") or texts.get("storage_id"))

    def spellchecked_current(self, event, data):
        self.spellchecked(event, data, data["entity_id"], data["batch_id"],
                          data.get("corrected_text_storage_id"))

    def phase_ended(self, event, data):
        said = (data["batch_id"], data["phase_name"], run_of(data, event), data["phase_status"],
                tuple(essay["essay_id"] for essay in data["processed_essays"]),
                tuple(data["failed_essay_ids"]))
        version = self.version(event, event["event_timestamp"])
        self.outcomes[said] = min(version, self.outcomes.get(said, version))

    def outcome_stated(self, version, batch_id, phase, run, status, processed, failed):
        self.batches[batch_id].outcomes[phase].append(
            (version, {"status": status, "processed": processed, "failed": failed, "run": run}))
        for essay_id in {*processed, *failed}:
            essay = self.essays[essay_id]
            essay.linked_by.append((version, batch_id))
            essay.outcomes.append((version, (phase, essay_id in failed)))

    def judged(self, version, batch_id, items, duration_s=None):
        """items: (essay_id, rank, score). Of an essay listed twice the last item counts."""
        students = {item[0]: item for item in items}.values()
        unjudged = sum(score is None for *_, score in students)
        self.batches[batch_id].judged.append((version, {
            "judging_s": duration_s, "judged": len(students) - unjudged, "unjudged": unjudged}))
        for essay_id, rank, score in students:
            essay = self.essays[essay_id]
            scored = score is not None
            essay.linked_by.append((version, batch_id))
            essay.judgements.append((version, {
                "status": "completed" if scored else "failed",
                "rank": rank if scored else None, "score": score}))

    def judged_first(self, event, data):
        if data.get("rankings") is None:
            return  # the current release's event of this name
        items = [(item["els_essay_id"], item.get("rank"), item.get("score"))
                 for item in data["rankings"] if item.get("els_essay_id")
                 and not item["els_essay_id"].startswith("ANCHOR_")]
        self.judged(self.version(event, data["timestamp"]), data["entity_ref"]["entity_id"], items)

    def judged_current(self, event, data):
        version = self.version(event, data["timestamp"])
        students = {item["essay_id"]: (item["essay_id"], item["rank"], item["bt_score"],
                                       item["letter_grade"], item["confidence_score"],
                                       item["confidence_label"])
                    for item in data["essay_results"] if not item.get("is_anchor")}
        told = data.get("assessment_metadata") or {}
        duration_s = told.get("processing_duration_seconds")
        self.judged(version, data["batch_id"], [item[:3] for item in students.values()], duration_s)
        content = (data["cj_assessment_job_id"], tuple(students.values()),
                   told.get("comparison_count"), duration_s)
        self.batches[data["batch_id"]].graded[content].append((version, run_of({}, event)))
        if data.get("assignment_id") is not None:
            self.batches[data["batch_id"]].assignments.append((version, data["assignment_id"]))

    def pipeline_completed(self, event, data):
        version = self.version(event, data["metadata"]["timestamp"])
        self.batches[data["batch_id"]].completions.append((version, data))

    READERS = {
        "huleedu.batch.essays.registered.v1": registered,
        "huleedu.els.essay.slot.assigned.v1": slot_assigned,
        "huleedu.essay.spellcheck.completed.v1": spellchecked_first,
        "huleedu.essay.spellcheck.results.v1": spellchecked_current,
        "huleedu.els.batch.phase.outcome.v1": phase_ended,
        "huleedu.els.batch_phase.outcome.v1": phase_ended,
        "huleedu.cj_assessment.completed.v1": judged_first,
        "huleedu.assessment.result.published.v1": judged_current,
        "huleedu.batch.pipeline.completed.v1": pipeline_completed,
    }

    # ---- what is published

    def judgement_rows(self):
        """The messages about judgements: dictionaries, unordered."""
        rows = []
        for batch_id, batch in self.batches.items():
            registration = self.registration(batch_id)
            for (job_id, items, *_), copies in batch.graded.items() if registration else ():
                (at, _), run = min(copies, key=lambda copy: copy[0])
                columns = [list(column) for column in zip(*items)] or [[]] * 6
                rows.append(dict(zip(["essay_ids", "ranks", "scores", "letter_grades",
                                      "confidence_scores", "confidence_labels"], columns),
                                 key=batch_id, user_id=registration[1]["user_id"], job_id=job_id,
                                 correlation_id=run, at=max(at, registration[0][0])))
        return rows

    def result_rows(self):
        """The messages about completed runs."""
        answers = self.answers()
        return [self.result_row(batch_id, answer) for batch_id, answer in answers.items()
                if answer["result_status"] in ("COMPLETED", "PARTIALLY_COMPLETED")]

    def result_row(self, batch_id, answer):
        batch = self.batches[batch_id]
        completion = latest(batch.completions)
        newest = [max(said, key=lambda one: one[0]) for said in batch.outcomes.values()]
        ended_at = microseconds(answer["processing_completed_at"])
        duration_s = completion["processing_duration_seconds"] if completion else 0
        if duration_s <= 0 and newest:
            duration_s = (ended_at - min(times(newest))) / 1e6
        row = {"key": batch_id, "user_id": answer["user_id"],
               "essay_count": answer["essay_count"], "phases": answer["phases"],
               "run": run_of(completion) if completion else latest(newest)["run"],
               "completed": answer["completed_essay_count"], "status": answer["overall_status"],
               "duration_s": duration_s if duration_s > 0 else 1e-6,
               "at": max(ended_at, microseconds(answer["created_at"]))}
        return row | (latest(batch.judged) or {"judging_s": None, "judged": 0, "unjudged": 0})

    # ---- what the answers are

    def registration(self, batch_id):
        """(version, data) of the one that stays; None where the batch is not registered."""
        batch = self.batches.get(batch_id)
        return min(batch.registrations, key=lambda said: said[0], default=None) if batch else None

    def settle_registrations(self):
        for essay in self.essays.values():
            essay.registered_by = []
        for batch_id in self.batches:
            registration = self.registration(batch_id)
            if registration:
                for essay_id in registration[1]["essay_ids"]:
                    if essay_id in self.essays:
                        self.essays[essay_id].registered_by.append((registration[0], batch_id))

    def essays_of(self, batch_id):
        self.settle_registrations()
        return {essay_id: essay for essay_id, essay in self.essays.items()
                if essay.is_shown() and essay.batch_id() == batch_id}

    def answers(self):
        """{batch_id: answer} of every registered batch."""
        return {batch_id: self.answer(batch_id) for batch_id in list(self.batches)
                if self.registration(batch_id)}

    def answer(self, batch_id):
        (created_at, _), registered = self.registration(batch_id)
        batch, essays = self.batches[batch_id], self.essays_of(batch_id)
        phases = {name: latest(said) for name, said in batch.outcomes.items()}
        phase_times = {name: max(times(said)) for name, said in batch.outcomes.items()}
        completion = latest(batch.completions)
        all_outcomes = [said for name in batch.outcomes for said in batch.outcomes[name]]
        results = [said for essay in essays.values() for said in essay.own_results()]
        completed, failed = self.counts(phases, completion)
        finished = not self.is_open_again(batch) and (
            completion is not None or self.all_through(registered, phases, completed + failed))
        status, is_over = self.status(finished, phases, completion, completed, failed, results)
        ended_at = max(times(batch.completions) or phase_times.values() or [None])
        updated = [created_at, *times(batch.completions + batch.judged + all_outcomes),
                   *(essay.last_updated() for essay in essays.values())]
        return {
            "batch_id": batch_id, "user_id": registered["user_id"],
            "assignment_id": earliest(batch.assignments),
            "overall_status": CLIENT_STATUS[status],
            "essay_count": registered["expected_essay_count"],
            "completed_essay_count": completed, "failed_essay_count": failed,
            "requested_pipeline": None,
            "current_phase": self.current_phase(status, registered, essays),
            "essays": sorted((essay.answer(name) for name, essay in essays.items()),
                             key=self.essay_order),
            "created_at": wire_time(created_at), "last_updated": wire_time(max(updated)),
            "processing_started_at": wire_time(
                min([*phase_times.values(), *times(results)], default=None)),
            "processing_completed_at": wire_time(ended_at) if is_over else None,
            "student_prompt_ref": registered.get("student_prompt_ref"), "result_status": status,
            "phases": self.phase_list(phases, phase_times)}

    @staticmethod
    def counts(phases, completion):
        if not phases:
            return ((completion["successful_essay_count"], completion["failed_essay_count"])
                    if completion else (0, 0))
        failed = set().union(*(phase["failed"] for phase in phases.values()))
        completed = set.intersection(*(set(phase["processed"]) for phase in phases.values()))
        return len(completed - failed), len(failed)

    @staticmethod
    def is_open_again(batch):
        """Whether a phase's latest outcome is another run's, later than the newest completion."""
        if not batch.completions:
            return False
        ended_at, completion = max(batch.completions, key=lambda said: said[0])
        newest = [max(said, key=lambda one: one[0]) for said in batch.outcomes.values()]
        return any(version > ended_at and outcome["run"] not in (None, run_of(completion))
                   for version, outcome in newest)

    @staticmethod
    def all_through(registered, phases, essays):
        """The end of a batch of the first release, which sends no completion."""
        by_first_release = registered.get("batch_id") is not None
        return by_first_release and phases and essays >= registered["expected_essay_count"]

    @staticmethod
    def status(finished, phases, completion, completed, failed, results):
        """(own status, whether the batch is finished, failed or cancelled)."""
        stated = [phase["status"] for phase in phases.values()]
        final = completion["final_status"] if completion else None
        said = {OWN_STATUS.get(status) for status in [*stated, final]}
        if "CANCELLED" in said:
            return "CANCELLED", True
        if "FAILED" in said:
            return "FAILED", True
        if finished:
            if completed == 0 and failed > 0:
                return "FAILED", True
            partly = failed > 0 or final == "completed_with_failures"
            return ("PARTIALLY_COMPLETED" if partly else "COMPLETED"), True
        return ("PROCESSING" if phases or results else "REGISTERED"), False

    @staticmethod
    def current_phase(status, registered, essays):
        if status != "PROCESSING":
            return None
        checked = [essay.spellcheck_status() for essay in essays.values()]
        if None in checked or len(essays) < registered["expected_essay_count"]:
            return "spellcheck"
        waiting = any(essay.spellcheck_status() != "failed" and essay.cj_status() is None
                      for essay in essays.values())
        return "cj_assessment" if waiting else None

    @staticmethod
    def essay_order(essay):
        rank, name = essay["cj_rank"], essay["filename"]
        return (rank is None, rank or 0, name is None, (name or "").encode(),
                essay["essay_id"].encode())

    @staticmethod
    def phase_list(phases, phase_times):
        def order(name):
            return (PHASE_ORDER.index(name) if name in PHASE_ORDER else len(PHASE_ORDER), name)

        return [{"phase_name": name, "phase_status": phases[name]["status"],
                 "completed": len(phases[name]["processed"]), "failed": len(phases[name]["failed"]),
                 "at": wire_time(phase_times[name])} for name in sorted(phases, key=order)]

    def listed(self, user_id):
        """Ids of a user's batches, as lists give them."""
        mine = [(self.registration(batch_id), batch_id) for batch_id in self.batches]
        mine = [(-said[0][0], batch_id) for said, batch_id in mine
                if said and said[1]["user_id"] == user_id]
        return [batch_id for _, batch_id in sorted(mine)]
