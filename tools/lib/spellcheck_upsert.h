/* spellcheck_upsert: the upsert of a spell check's result into essay_results, for tools that write
 * such rows without the program. A SELECT of these columns goes between the two parts. */
#pragma once

#define SPELLCHECK_INSERT                                                                          \
    "INSERT INTO essay_results (essay_id, spellcheck_at, spellcheck_event_id, spellcheck_status, " \
    "spellcheck_correction_count, spellcheck_corrected_text_storage_id, spellcheck_metrics, "      \
    "result_link_at, result_link_event_id, result_batch_id, first_result_at) "
#define SPELLCHECK_UPDATE                                                                          \
    " ON CONFLICT (essay_id) DO UPDATE SET spellcheck_at = excluded.spellcheck_at, "               \
    "spellcheck_event_id = excluded.spellcheck_event_id, "                                         \
    "spellcheck_status = excluded.spellcheck_status, "                                             \
    "spellcheck_correction_count = excluded.spellcheck_correction_count, "                         \
    "spellcheck_corrected_text_storage_id = excluded.spellcheck_corrected_text_storage_id, "       \
    "spellcheck_metrics = excluded.spellcheck_metrics WHERE (excluded.spellcheck_at, "             \
    "excluded.spellcheck_event_id) > (essay_results.spellcheck_at, "                               \
    "essay_results.spellcheck_event_id)"
