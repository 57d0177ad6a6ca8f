/* request_steps: where the time goes of the request that the calling thread carries out. */
#pragma once

#include <stdint.h>

enum request_step {
    REQUEST_QUEUED,   /* until a thread took it */
    REQUEST_CACHE,    /* looking for a response in Redis */
    REQUEST_STATE,    /* until a Lua state came free */
    REQUEST_DATABASE, /* in statements */
    REQUEST_STEPS
};

/* The thread takes a request that began at that moment of the monotonic clock. */
void request_steps_begin(int64_t began_us);
/* The step lasted from that moment until now. */
void request_steps_add(enum request_step step, int64_t since_us);
/* The response has begun: what its stream takes from now on is not counted. */
void request_steps_end(void);
/* Microseconds of the thread's last request. */
int64_t request_steps_us(enum request_step step);
