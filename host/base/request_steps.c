#include "request_steps.h"

#include <string.h>

#include "clock.h"

static _Thread_local int64_t request_steps_spent_us[REQUEST_STEPS];

void request_steps_begin(int64_t began_us) {
    memset(request_steps_spent_us, 0, sizeof request_steps_spent_us);
    request_steps_add(REQUEST_QUEUED, began_us);
}

void request_steps_add(enum request_step step, int64_t since_us) {
    request_steps_spent_us[step] += clock_monotonic_us() - since_us;
}

int64_t request_steps_us(enum request_step step) {
    return request_steps_spent_us[step];
}
