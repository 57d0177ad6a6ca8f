#include "view_column.h"

#include <math.h>

#include "base/ascii.h"
#include "base/timestamp.h"
#include "base/utf8.h"
#include "extract/extract.h"

bool view_column_takes_length(const struct view_column *column, size_t len) {
    return len <= VIEW_ID_MAX_BYTES || !column->is_id;
}

bool view_column_takes_text(struct slice text) {
    for (size_t i = ascii_text_run(text.data, text.len), step; i < text.len; i += step) {
        step = utf8_sequence(text.data + i, text.len - i);
        if (step == 0 || text.data[i] == '\0') {
            return false;
        }
        step += ascii_text_run(text.data + i + step, text.len - i - step);
    }
    return true;
}

bool view_column_takes_integer(double number) {
    return number >= INT32_MIN && number <= INT32_MAX && number == floor(number);
}

bool view_column_takes_bigint(double number) {
    return number > (double)-EXTRACT_EXACT && number < (double)EXTRACT_EXACT &&
           number == floor(number);
}

bool view_column_takes_time(double number) {
    return timestamp_is_time(number);
}
