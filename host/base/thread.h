/* thread: a thread that sleeps until a deadline or until its owner wakes it, and that its owner
 * stops and joins. The lock also guards what both share. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "err.h"

struct thread {
    pthread_t id;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool started;
    bool stopping; /* under the lock */
};

void thread_init(struct thread *thread);
/* After thread_stop. */
void thread_free(struct thread *thread);

/* Runs `body(context)`. False with ERR_INTERNAL: no thread could be created. `name` is for the
 * error. */
bool thread_start(struct thread *thread, void *(*body)(void *context), void *context,
                  const char *name, struct err *err);
/* Ends thread_sleep for good and joins the thread. Does nothing where none was started. */
void thread_stop(struct thread *thread);

/* Runs `body(context)` on a thread that nobody joins, with all signals blocked. Returns 0 or an
 * errno. */
int thread_start_detached(void *(*body)(void *context), void *context, const char *name);

void thread_lock(struct thread *thread);
void thread_unlock(struct thread *thread);
/* Ends the thread's present thread_sleep. Under the lock. */
void thread_wake(struct thread *thread);
/* Sets a flag that the lock guards, and wakes the thread. Takes the lock. */
void thread_tell(struct thread *thread, bool *flag, bool value);
/* Sleeps until thread_wake or until_us (of the monotonic clock). Under the lock, which is released
 * meanwhile. False: until_us has passed, or the thread has to stop. Wakes without cause, too. */
bool thread_sleep(struct thread *thread, int64_t until_us);

/* Names the calling thread for top -H, ps -L and perf: the first 15 bytes of the name. */
void thread_set_own_name(const char *name);
/* Adds 0 to 19 to the nice value of the calling thread, and of threads that it creates from now on.
 * Only root can take it back. Logs a warning if a filter of system calls refuses. */
void thread_lower_own_priority(int by);
