/* plural: the ending of a counted noun: "1 event", "2 events". */
#pragma once

#include <stdint.h>

static inline const char *plural_of(int64_t count) {
    return count == 1 ? "" : "s";
}
