#include "thread.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

/* Linux keeps 15 bytes, and refuses more. */
static void thread_name(pthread_t id, const char *name) {
    char text[16];
    snprintf(text, sizeof text, "%s", name);
    (void)pthread_setname_np(id, text);
}

void thread_init(struct thread *thread) {
    *thread = (struct thread){0};
    pthread_mutex_init(&thread->lock, NULL);
    clock_condition_init(&thread->changed);
}

void thread_free(struct thread *thread) {
    pthread_cond_destroy(&thread->changed);
    pthread_mutex_destroy(&thread->lock);
}

bool thread_start(struct thread *thread, void *(*body)(void *context), void *context,
                  const char *name, struct err *err) {
    int failure = pthread_create(&thread->id, NULL, body, context);
    thread->started = failure == 0;
    if (thread->started) {
        thread_name(thread->id, name);
    }
    return thread->started ||
           err_set(err, ERR_INTERNAL, "cannot start the thread %s: %s", name, strerror(failure));
}

void thread_stop(struct thread *thread) {
    if (!thread->started) {
        return;
    }
    thread_lock(thread);
    thread->stopping = true;
    thread_wake(thread);
    thread_unlock(thread);
    pthread_join(thread->id, NULL);
    thread->started = false;
}

int thread_start_detached(void *(*body)(void *context), void *context, const char *name) {
    pthread_t id;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&id, NULL, body, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure == 0) {
        thread_name(id, name);
        pthread_detach(id);
    }
    return failure;
}

void thread_lock(struct thread *thread) {
    pthread_mutex_lock(&thread->lock);
}

void thread_unlock(struct thread *thread) {
    pthread_mutex_unlock(&thread->lock);
}

void thread_wake(struct thread *thread) {
    pthread_cond_signal(&thread->changed);
}

void thread_tell(struct thread *thread, bool *flag, bool value) {
    thread_lock(thread);
    *flag = value;
    thread_wake(thread);
    thread_unlock(thread);
}

bool thread_sleep(struct thread *thread, int64_t until_us) {
    return !thread->stopping && clock_monotonic_us() < until_us &&
           clock_condition_wait(&thread->changed, &thread->lock, until_us) == 0 &&
           !thread->stopping;
}

void thread_set_own_name(const char *name) {
    thread_name(pthread_self(), name);
}

/* POSIX gives a process one nice value, Linux each thread one (nice(2)). */
void thread_lower_own_priority(int by) {
    errno = 0;
    if (by > 0 && nice(by) == -1 && errno != 0) {
        log_warning("thread keeps its priority", LOG_INT("nice", by),
                    LOG_TEXT("error", strerror(errno)));
    }
}
