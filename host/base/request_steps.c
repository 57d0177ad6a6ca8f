#include "request_steps.h"

#include <stdbool.h>
#include <string.h>

#include "clock.h"

static _Thread_local int64_t request_steps_spent_us[REQUEST_STEPS];
static _Thread_local bool request_steps_ended;

void request_steps_begin(int64_t began_us) {
    request_steps_ended = false;
    memset(request_steps_spent_us, 0, sizeof request_steps_spent_us);
    request_steps_add(REQUEST_QUEUED, began_us);
}

void request_steps_add(enum request_step step, int64_t since_us) {
    if (!request_steps_ended) {
        request_steps_spent_us[step] += clock_monotonic_us() - since_us;
    }
}

void request_steps_end(void) {
    request_steps_ended = true;
}

int64_t request_steps_us(enum request_step step) {
    return request_steps_spent_us[step];
}
