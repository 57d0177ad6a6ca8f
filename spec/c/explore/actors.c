/* actors: coroutines for the threads of the code under test, and what pthreads, poll(2) and the
 * clock are to them. A lock is never held where an actor waits: that is checked. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "world.h"

#define RED_ZONE 128
#define STOP_FD 7
#define LOOK_US 400000

int actor_running = -1;
char violation_text[256];
static ucontext_t scheduler;
static bool actor_has_ended; /* the one that was running */

void versions_raise(struct versions *versions, const struct versions *to) {
    for (int tag = 0; tag < TAGS; tag++) {
        if (to->of[tag] > versions->of[tag]) {
            versions->of[tag] = to->of[tag];
        }
    }
}

void violation(const char *format, ...) {
    va_list args;
    if (violation_text[0]) {
        return;
    }
    va_start(args, format);
    vsnprintf(violation_text, sizeof violation_text, format, args);
    va_end(args);
}

/* ---- coroutines ---------------------------------------------------------------------------- */

/* Clears all traces of the actor. */
static void actor_end(int actor) {
    struct actor *self = &world->actors[actor];
    *self = (struct actor){.wait = self->in_the_end, .connection = NO_CONNECTION};
    actor_has_ended = true;
}

static void run_body(void) {
    int actor = actor_running;
    world->actors[actor].body(actor);
    actor_end(actor);
    setcontext(&scheduler);
}

static char *stack_pointer_of(int actor) {
    return (char *)world_context(actor)->uc_mcontext.gregs[REG_RSP] - RED_ZONE;
}

static void switch_to(int actor) {
    actor_running = actor;
    actor_has_ended = false;
    world_use_heap(actor);
    swapcontext(&scheduler, world_context(actor));
    world_use_heap(-1);
    actor_running = -1;
    struct actor *self = &world->actors[actor];
    if (!actor_has_ended) {
        self->stack_pointer = stack_pointer_of(actor);
    }
}

void actor_start(int actor, void (*body)(int actor), enum waiting in_the_end) {
    struct actor *self = &world->actors[actor];
    *self = (struct actor){.wait = WAIT_TURN,
                           .label = "starts",
                           .connection = NO_CONNECTION,
                           .body = body,
                           .in_the_end = in_the_end};
    memset(world_stack(actor), 0, STACK_BYTES);
    ucontext_t *context = world_context(actor);
    getcontext(context);
    memset(&context->uc_sigmask, 0, sizeof context->uc_sigmask);
    memset(context->uc_mcontext.gregs, 0, sizeof context->uc_mcontext.gregs);
    context->uc_stack.ss_sp = world_stack(actor);
    context->uc_stack.ss_size = STACK_BYTES;
    context->uc_link = NULL;
    makecontext(context, run_body, 0);
    self->stack_pointer = stack_pointer_of(actor);
}

void actor_wake(int actor, int signal) {
    struct actor *self = &world->actors[actor];
    char *stack = world_stack(actor);
    /* What it left there is no part of the state: it finds none of it. */
    memset(stack, 0, (size_t)(self->stack_pointer - stack));
    self->signal = signal;
    switch_to(actor);
}

int actor_wait(enum waiting wait, const char *label) {
    struct actor *self = &world->actors[actor_running];
    if (self->locks > 0) {
        violation("%s of process %c waits while it holds a lock", label,
                  'A' + process_of(actor_running));
    }
    self->wait = wait;
    self->label = label;
    swapcontext(world_context(actor_running), &scheduler);
    return self->signal;
}

void actor_remove(int actor) {
    memset(&world->actors[actor], 0, sizeof world->actors[actor]);
}

/* ---- pthreads ------------------------------------------------------------------------------ */

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);
int __wrap_pthread_mutex_destroy(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes);
int __wrap_pthread_cond_destroy(pthread_cond_t *condition);
int __wrap_pthread_cond_broadcast(pthread_cond_t *condition);
int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                                  const struct timespec *until);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*body)(void *), void *argument);
int __wrap_pthread_setname_np(pthread_t thread, const char *name);
int __wrap_pthread_join(pthread_t thread, void **result);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_eventfd(unsigned count, int flags);
int __wrap_eventfd_write(int fd, uint64_t count);
int __wrap_close(int fd);
int __real_clock_gettime(clockid_t clock, struct timespec *now);

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes) {
    (void)attributes;
    memset(mutex, 0, sizeof *mutex);
    return 0;
}

int __wrap_pthread_mutex_destroy(pthread_mutex_t *mutex) {
    (void)mutex;
    return 0;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex) {
    if (mutex->__data.__lock) {
        violation("a lock is taken that is held already");
    }
    mutex->__data.__lock = 1;
    if (actor_running >= 0) {
        world->actors[actor_running].locks++;
    }
    return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex) {
    mutex->__data.__lock = 0;
    if (actor_running >= 0) {
        world->actors[actor_running].locks--;
    }
    return 0;
}

int __wrap_pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes) {
    (void)attributes;
    memset(condition, 0, sizeof *condition);
    return 0;
}

int __wrap_pthread_cond_destroy(pthread_cond_t *condition) {
    (void)condition;
    return 0;
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *condition) {
    for (int i = 0; i < ACTORS; i++) {
        if (world->actors[i].waits_on == condition) {
            world->actors[i].waits_on = NULL;
        }
    }
    return 0;
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                                  const struct timespec *until) {
    (void)until;
    struct actor *self = &world->actors[actor_running];
    __wrap_pthread_mutex_unlock(mutex);
    if (actor_running % ACTORS_A_PROCESS == AUDITOR) {
        actor_wait(WAIT_LOOK, "waits until it looks again");
        self->clock_us += LOOK_US;
        __wrap_pthread_mutex_lock(mutex);
        return ETIMEDOUT;
    }
    self->waits_on = condition;
    int signal = actor_wait(WAIT_FLIGHT, "waits for another request's response");
    self->waits_on = NULL;
    __wrap_pthread_mutex_lock(mutex);
    return signal == SIGNAL_LATE ? ETIMEDOUT : 0;
}

/* ---- threads of a process ------------------------------------------------------------------ */

static void thread_body(int actor) {
    const struct process *process = &world->processes[process_of(actor)];
    int role = actor % ACTORS_A_PROCESS;
    process->threads[role].body(process->threads[role].argument);
}

/* By a process that starts: its subscriber first, then its auditor. */
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*body)(void *), void *argument) {
    (void)attributes;
    struct process *process = &world->processes[process_starting];
    int role = process->threads[SUBSCRIBER].body ? AUDITOR : SUBSCRIBER;
    *thread = 0;
    process->threads[role].body = body;
    process->threads[role].argument = argument;
    actor_start(process_starting * ACTORS_A_PROCESS + role, thread_body, WAIT_NOTHING);
    return 0;
}

/* A coroutine has no name. */
int __wrap_pthread_setname_np(pthread_t thread, const char *name) {
    (void)thread;
    (void)name;
    return 0;
}

int __wrap_pthread_join(pthread_t thread, void **result) {
    (void)thread, (void)result;
    return 0;
}

int __wrap_eventfd(unsigned count, int flags) {
    (void)count, (void)flags;
    return STOP_FD;
}

int __wrap_eventfd_write(int fd, uint64_t count) {
    (void)fd, (void)count;
    return 0;
}

int __wrap_close(int fd) {
    (void)fd;
    return 0;
}

static int64_t now_us(void) {
    if (actor_running < 0) {
        return START_US;
    }
    return START_US + world->processes[process_of(actor_running)].clock_us +
           world->actors[actor_running].clock_us;
}

/* Of the subscriber alone: it waits before it connects again, or for a message. When nothing comes
 * its process' time passes. */
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms) {
    struct process *process = &world->processes[process_of(actor_running)];
    struct actor *self = &world->actors[actor_running];
    if (count == 1) {
        actor_wait(WAIT_RETRY, "waits to connect again");
        return 0;
    }
    self->wakes_at_us = now_us() + timeout_ms * 1000LL;
    int signal = actor_wait(WAIT_MESSAGE, "waits for a message");
    fds[0].revents = 0;
    fds[1].revents = signal == SIGNAL_LATE ? 0 : POLLIN;
    if (signal == SIGNAL_LATE && now_us() < self->wakes_at_us) {
        process->clock_us += self->wakes_at_us - now_us();
    }
    self->wakes_at_us = 0;
    return signal == SIGNAL_LATE ? 0 : 1;
}

/* Time stands still, but where a wait is ended by it. */
int __wrap_clock_gettime(clockid_t clock, struct timespec *now) {
    if (world_heap() < 0) {
        return __real_clock_gettime(clock, now);
    }
    *now = (struct timespec){now_us() / 1000000, now_us() % 1000000 * 1000};
    return 0;
}
