"""The forms of what the service publishes, as their consumers know them: each message has these keys
and no others. A second statement of them, that shares nothing with the scripts.

A form is a dictionary (an object with exactly these keys), a list of one form (an array of such), a
function (whether the value will do), or the value itself."""
import json
import re
import uuid

JUDGED = "huleedu.ras.batch.assessment.completed.v1"
READY = "huleedu.ras.batch.results.ready.v1"
NOTIFIED = "huleedu.notification.teacher.requested.v1"
TOPICS = (JUDGED, READY, NOTIFIED)

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")


def is_text(value):
    return isinstance(value, str) and value != ""


def is_uuid(value):
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value
    except ValueError:
        return False


def is_named_uuid(value):
    """Of version 5: it follows from what the message says."""
    return is_uuid(value) and uuid.UUID(value).version == 5


def is_time(value):
    return isinstance(value, str) and TIME.fullmatch(value) is not None


def is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_duration(value):
    return is_number(value) and value > 0


def is_flag(value):
    return isinstance(value, bool)


def is_number_or_null(value):
    return value is None or is_number(value)


def one_of(*values):
    return lambda value: value in values


is_batch_status = one_of("completed_successfully", "completed_with_failures")


def envelope(topic, data, metadata):
    return {"event_id": is_named_uuid, "event_type": topic, "event_timestamp": is_time,
            "source_service": "result_aggregator_service", "schema_version": 1,
            "correlation_id": is_uuid, "data_schema_uri": None, "data": data, "metadata": metadata}


def event(topic, name, data):
    """Of a batch, for other services."""
    return envelope(topic, {
        "event_name": f"batch.{name}", "entity_id": None, "entity_type": None, "parent_id": None,
        "timestamp": is_time, "status": is_batch_status, "batch_id": is_text, "user_id": is_text,
        "system_metadata": {
            "entity_id": is_text, "entity_type": "batch", "parent_id": None, "timestamp": is_time,
            "processing_stage": None, "started_at": None, "completed_at": None,
            "event": name.replace(".", "_"), "error_info": {}},
        **data}, {})


def notification(kind, priority, payload):
    """For a teacher's browser."""
    return envelope(NOTIFIED, {
        "teacher_id": is_text, "notification_type": kind, "category": "processing_results",
        "priority": priority, "payload": {"batch_id": is_text, "message": is_text, **payload},
        "action_required": False, "deadline_timestamp": None, "correlation_id": is_uuid,
        "batch_id": is_text, "class_id": None, "timestamp": is_time}, None)


PHASE = {"status": one_of("completed", "completed_with_failures"), "completed_count": is_count,
         "failed_count": is_count, "processing_time_seconds": is_number_or_null}
PHASES = ("spellcheck", "cj_assessment")
RESULTS = {"overall_status": is_batch_status, "total_essays": is_count,
           "completed_essays": is_count, "processing_duration_seconds": is_duration}

EVENTS = {
    JUDGED: event(JUDGED, "assessment.completed", {
        "status": "completed_successfully", "assessment_job_id": is_text, "rankings_summary": [{
            "essay_id": is_text, "rank": is_count, "score": is_number, "letter_grade": is_text,
            "confidence_score": is_number, "confidence_label": one_of("HIGH", "MID", "LOW")}]}),
    READY: event(READY, "results.ready", RESULTS | {
        "phase_results": {name: PHASE | {"phase_name": name} for name in PHASES}}),
}
NOTIFICATIONS = {
    "batch_assessment_completed": notification("batch_assessment_completed", "standard", {
        "assessment_job_id": is_text, "rankings_available": is_flag, "rankings_count": is_count}),
    "batch_results_ready": notification("batch_results_ready", "high", RESULTS | {
        "phase_results": {name: PHASE for name in PHASES}}),
}


def misfits(form, value, path=""):
    """How a value departs from its form, as texts; [] where it does not."""
    if isinstance(form, dict):
        if not isinstance(value, dict):
            return [f"{path}: {value!r} is no object"]
        found = [f"{path}.{key} is missing" for key in form.keys() - value.keys()]
        found += [f"{path}.{key} is not known" for key in value.keys() - form.keys()]
        return found + [text for key in form.keys() & value.keys()
                        for text in misfits(form[key], value[key], f"{path}.{key}")]
    if isinstance(form, list):
        if not isinstance(value, list):
            return [f"{path}: {value!r} is no array"]
        return [text for number, item in enumerate(value)
                for text in misfits(form[0], item, f"{path}[{number}]")]
    fits = form(value) if callable(form) else type(value) is type(form) and value == form
    return [] if fits else [f"{path} is {value!r}"]


def disagreements(topic, key, value):
    """Where a message that has its form says one thing in two ways."""
    data = value["data"]
    if topic == NOTIFIED:
        payload = data["payload"]
        pairs = {"key": (key, data["teacher_id"]), "batch": (data["batch_id"], payload["batch_id"]),
                 "run": (data["correlation_id"], value["correlation_id"])}
        if "rankings_count" in payload:
            pairs["rankings"] = payload["rankings_count"] > 0, payload["rankings_available"]
    else:
        system = data["system_metadata"]
        pairs = {"key": (key, data["batch_id"]), "batch": (data["batch_id"], system["entity_id"]),
                 "system's time": (data["timestamp"], system["timestamp"]),
                 "status": (data["status"], data.get("overall_status", data["status"]))}
    pairs["time"] = data["timestamp"], value["event_timestamp"]
    return [f"{name}: {one!r} and {other!r}" for name, (one, other) in pairs.items()
            if one != other]


def refuse_number(text):
    raise ValueError(f"{text} is no JSON")


def refuse_repeated(pairs):
    if len(dict(pairs)) < len(pairs):
        raise ValueError("an object has a key twice")
    return dict(pairs)


def read(message_bytes):
    """The message; ValueError where it is not JSON by the standard, in UTF-8."""
    return json.loads(message_bytes.decode(), parse_constant=refuse_number,
                      object_pairs_hook=refuse_repeated)


def form_of(topic, value):
    """None: there is no such message."""
    if topic == NOTIFIED:
        data = value.get("data") if isinstance(value, dict) else None
        kind = data.get("notification_type") if isinstance(data, dict) else None
        return NOTIFICATIONS.get(kind) if isinstance(kind, str) else None
    return EVENTS.get(topic)


def problems(topic, key, message_bytes, headers):
    """What is wrong with a message as Kafka holds it, as texts. key: text; headers: texts by name."""
    try:
        value = read(message_bytes)
    except ValueError as error:
        return [str(error)]
    form = form_of(topic, value)
    if form is None:
        return ["no message that anybody knows"]
    found = misfits(form, value) or disagreements(topic, key, value)
    wanted = {"event_id": value.get("event_id"), "event_type": topic}
    return found or ([] if headers == wanted else [f"headers: {headers}, not {wanted}"])
