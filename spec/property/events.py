"""Builds the platform's events, of both releases, as records of a stream: dictionaries like the
lines of the sample files (topic, key, and value or raw_b64).

Every builder returns (topic, data); `record` puts the envelope around it. Times are microseconds
after START.
"""
import datetime
import uuid

START = datetime.datetime(2026, 2, 1, 8, tzinfo=datetime.timezone.utc)
CORRELATION = "8f2df760-ae9c-408b-ad7c-50487ca07386"
SECOND_RUN = "1d0a4f0e-33b5-4d0c-9c55-3f1f2c1a7b02"

REGISTERED = "huleedu.batch.essays.registered.v1"
SLOT = "huleedu.els.essay.slot.assigned.v1"
SPELLCHECK_FIRST = "huleedu.essay.spellcheck.completed.v1"
SPELLCHECK = "huleedu.essay.spellcheck.results.v1"
OUTCOME_FIRST = "huleedu.els.batch_phase.outcome.v1"
OUTCOME = "huleedu.els.batch.phase.outcome.v1"
CJ_COMPLETED = "huleedu.cj_assessment.completed.v1"
ASSESSMENT = "huleedu.assessment.result.published.v1"
COMPLETED = "huleedu.batch.pipeline.completed.v1"


def time_text(at_us):
    return (START + datetime.timedelta(microseconds=at_us)).isoformat().replace("+00:00", "Z")


def event_id(number):
    return str(uuid.UUID(int=number))


def record(number, sent_us, event):
    """The event as published at sent_us under the id `number`."""
    topic, data = event
    return {"topic": topic, "key": None, "value": {
        "event_id": event_id(number), "event_type": topic, "event_timestamp": time_text(sent_us),
        "source_service": "test", "schema_version": 1, "correlation_id": CORRELATION,
        "data_schema_uri": None, "data": data}}


def published_again(original, number, sent_us):
    """What a relay makes of it: the same data in a new envelope."""
    value = original["value"] | {"event_id": event_id(number),
                                 "event_timestamp": time_text(sent_us)}
    return original | {"value": value}


def metadata(release, entity_id, entity_type, at_us, error_info=None):
    entity = {"entity_id": entity_id, "entity_type": entity_type, "parent_id": None}
    block = {"entity": entity} if release == "first" else entity
    return block | {"timestamp": time_text(at_us), "error_info": error_info or {}}


def registered(release, at_us, batch_id, essay_ids, count=None, user_id="user-1", prompt=None):
    data = {"event": "batch.essays.registered",
            "expected_essay_count": len(essay_ids) if count is None else count,
            "essay_ids": essay_ids, "metadata": metadata(release, batch_id, "batch", at_us),
            "course_code": "ENG6", "user_id": user_id}
    if release == "first":
        return REGISTERED, data | {"batch_id": batch_id, "essay_instructions": "…"}
    return REGISTERED, data | {"entity_id": batch_id, "student_prompt_ref": prompt}


def slot(at_us, batch_id, essay_id, name="essay.txt"):
    return SLOT, {"event": "essay.slot.assigned", "batch_id": batch_id, "essay_id": essay_id,
                  "file_upload_id": f"upload-{name[:20]}", "text_storage_id": "text-1",
                  "original_file_name": name, "correlation_id": CORRELATION,
                  "timestamp": time_text(at_us)}


def spellcheck_first(at_us, essay_id, batch_id=None, status="spellchecked_success", corrections=3,
                     text_id="corr-1", text_under="default", error="404 Not Found"):
    entity = {"entity_id": essay_id, "entity_type": "essay", "parent_id": batch_id}
    good = "success" in status
    info = {} if good or error is None else {"fetch_error": error}
    references = {"references": {"corrected_text": {text_under: text_id}}} if good else None
    return SPELLCHECK_FIRST, {
        "event_name": "essay.spellcheck.completed", "entity_ref": entity,
        "timestamp": time_text(at_us), "status": status,
        "system_metadata": {"entity": entity, "timestamp": time_text(at_us), "error_info": info},
        "original_text_storage_id": "text-1", "storage_metadata": references,
        "corrections_made": corrections if good else None}


def spellcheck(at_us, essay_id, batch_id, status="spellchecked_success", corrections=3,
               text_id="corr-1", error="404 Not Found"):
    good = "success" in status
    info = {} if good or error is None else {"error_code": "CONTENT_SERVICE_ERROR",
                                             "error_message": error}
    count = corrections if good else 0
    return SPELLCHECK, {
        "event_name": "essay.spellcheck.completed", "entity_id": essay_id, "entity_type": "essay",
        "parent_id": batch_id, "timestamp": time_text(at_us), "status": status,
        "system_metadata": metadata("current", essay_id, "essay", at_us, info),
        "batch_id": batch_id, "correlation_id": CORRELATION, "user_id": None,
        "corrections_made": count,
        "correction_metrics": {"total_corrections": count, "l2_dictionary_corrections": 0,
                               "spellchecker_corrections": count, "word_count": 100,
                               "correction_density": 0.5},
        "original_text_storage_id": "text-1",
        "corrected_text_storage_id": text_id if good else None,
        "processing_duration_ms": 7}


def outcome(batch_id, phase, status, processed, failed, topic=OUTCOME, run=CORRELATION):
    return topic, {"batch_id": batch_id, "phase_name": phase, "phase_status": status,
                   "processed_essays": [{"essay_id": essay_id, "text_storage_id": "text-1"}
                                        for essay_id in processed],
                   "failed_essay_ids": failed, "correlation_id": run}


def rankings(at_us, batch_id, items):
    """First release; items: (essay_id or None, rank, score or None)."""
    entity = {"entity_id": batch_id, "entity_type": "batch", "parent_id": None}
    return CJ_COMPLETED, {
        "event_name": "cj_assessment.completed", "entity_ref": entity,
        "timestamp": time_text(at_us), "status": "completed_successfully",
        "system_metadata": metadata("first", batch_id, "batch", at_us),
        "cj_assessment_job_id": "1",
        "rankings": [{"rank": rank, "els_essay_id": essay_id, "score": score}
                     for essay_id, rank, score in items]}


def thin_completion(at_us, batch_id):
    """Current release: without rankings, to be ignored."""
    return CJ_COMPLETED, {
        "event_name": "cj_assessment.completed", "entity_id": batch_id, "entity_type": "batch",
        "timestamp": time_text(at_us), "status": "completed_successfully",
        "system_metadata": metadata("current", batch_id, "batch", at_us),
        "cj_assessment_job_id": "1", "processing_summary": {"total_essays": 1}}


def assessment(at_us, batch_id, items, assignment_id=None, job_id="1", grade="C"):
    """Current release; items: (essay_id, rank, score, is_anchor)."""
    return ASSESSMENT, {
        "event_name": "assessment.result.published", "entity_id": batch_id,
        "entity_type": "batch", "timestamp": time_text(at_us), "batch_id": batch_id,
        "cj_assessment_job_id": job_id, "assignment_id": assignment_id,
        "assessment_method": "cj_assessment", "model_used": "m", "model_provider": "p",
        "essay_results": [
            {"essay_id": essay_id, "normalized_score": 0.5, "letter_grade": grade,
             "confidence_score": 0.5, "confidence_label": "MID", "bt_score": score, "rank": rank,
             "is_anchor": is_anchor} for essay_id, rank, score, is_anchor in items],
        "assessment_metadata": {"comparison_count": 21, "processing_duration_seconds": 19.5},
        "assessed_at": time_text(at_us)}


def completed(at_us, batch_id, status, successful, failed, run=CORRELATION):
    return COMPLETED, {
        "event": "batch.pipeline.completed", "batch_id": batch_id,
        "completed_phases": ["spellcheck"], "final_status": status,
        "processing_duration_seconds": 40.5, "successful_essay_count": successful,
        "failed_essay_count": failed, "correlation_id": run,
        "metadata": metadata("current", batch_id, "batch", at_us)}
