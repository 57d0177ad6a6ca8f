/* fuzz_timestamp_uuid: what is read is written in one spelling that reads back as the same. */
#include <inttypes.h>

#include "base/number.h"
#include "base/timestamp.h"
#include "base/uuid.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct slice text = {(const char *)data, size};
    int64_t at, again, days, number;
    uint8_t uuid[16], back[16];
    if (timestamp_parse(text, &at)) {
        char written[TIMESTAMP_TEXT_CAP];
        size_t len = timestamp_format(at, written);
        PROMISE(len == 27);
        PROMISE(timestamp_parse((struct slice){written, len}, &again) && again == at);
    }
    if (date_parse(text, &days)) {
        char written[DATE_TEXT_LEN + 1];
        date_format(days, written);
        PROMISE(slice_equal(slice_of(written), text));
    }
    if (number_parse_int64(text, &number)) {
        char written[32];
        snprintf(written, sizeof written, "%" PRId64, number);
        PROMISE(number_parse_int64(slice_of(written), &again) && again == number);
    }
    if (uuid_read(text, uuid)) {
        char written[UUID_TEXT_LEN + 1];
        uuid_format(uuid, written);
        PROMISE(uuid_read(slice_of(written), back) && memcmp(uuid, back, 16) == 0);
    }
    return 0;
}
