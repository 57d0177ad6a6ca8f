#include "service_manager.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define BARRIER_TIMEOUT_US 5000000

/* One for each inherited descriptor, from SD_LISTEN_FDS_START on; NULL: taken. */
static char **names;
static int name_count;

/* ---- messages ------------------------------------------------------------------------------ */

static void service_manager_note_failure(int result) {
    if (result < 0) {
        log_warning("the service manager cannot be notified", LOG_TEXT("error", strerror(-result)));
    }
}

static void service_manager_send(const char *state) {
    service_manager_note_failure(sd_notify(0, state)); /* 0: there is no service manager */
}

void service_manager_tell_ready(const char *status) {
    char state[512];
    snprintf(state, sizeof state, "READY=1\nSTATUS=%s", status);
    service_manager_send(state);
}

/* sd_notify(3): a reload needs the time at which it began. */
void service_manager_tell_reloading(void) {
    char state[128];
    snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=Reloads the scripts",
             (long long)clock_monotonic_us());
    service_manager_send(state);
}

void service_manager_tell_stopping(const char *status) {
    char state[512];
    snprintf(state, sizeof state, "STOPPING=1\nSTATUS=%s", status);
    service_manager_send(state);
}

void service_manager_tell_main(pid_t pid) {
    char state[64];
    snprintf(state, sizeof state, "MAINPID=%ld", (long)pid);
    int sent = sd_notify(0, state);
    service_manager_note_failure(sent);
    if (sent > 0) {
        service_manager_note_failure(sd_notify_barrier(0, BARRIER_TIMEOUT_US));
    }
}

/* ---- the watchdog -------------------------------------------------------------------------- */

int64_t service_manager_watchdog_us(void) {
    uint64_t interval_us = 0;
    int enabled = sd_watchdog_enabled(0, &interval_us);
    if (enabled < 0) {
        log_warning("WATCHDOG_USEC or WATCHDOG_PID of the service manager cannot be read",
                    LOG_TEXT("error", strerror(-enabled)));
    }
    return enabled > 0 ? (int64_t)interval_us : 0;
}

void service_manager_prove_life(void) {
    service_manager_send("WATCHDOG=1");
}

/* ---- sockets ------------------------------------------------------------------------------- */

void service_manager_receive_sockets(void) {
    int count = sd_listen_fds_with_names(1, &names); /* makes them close-on-exec */
    if (count < 0) {
        log_warning("the sockets of the service manager cannot be taken over",
                    LOG_TEXT("error", strerror(-count)));
    }
    name_count = count > 0 ? count : 0;
}

int service_manager_take_socket(const char *name) {
    for (int i = 0; i < name_count; i++) {
        if (names[i] && strcmp(names[i], name) == 0) {
            free(names[i]);
            names[i] = NULL;
            return SD_LISTEN_FDS_START + i;
        }
    }
    return -1;
}

void service_manager_close_others(void) {
    for (int i = 0; i < name_count; i++) {
        if (names[i]) {
            log_warning("an inherited socket is closed: the configuration has no use for it",
                        LOG_TEXT("name", names[i]));
            close(SD_LISTEN_FDS_START + i);
            free(names[i]);
        }
    }
    free(names);
    names = NULL;
    name_count = 0;
}
