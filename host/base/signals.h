/* signals: the action of each signal. SIGTERM and SIGINT end a command at once, with 128 + number;
 * after signals_listen they end it in order, and a second one at once. SIGHUP reloads in `run` and
 * ends other commands. SIGUSR1 and SIGUSR2 print which command to use. */
#pragma once

#include <stdbool.h>

#include "err.h"

/* Once, before any thread starts. */
void signals_init(void);

/* Starts the thread that takes the signals; call it before any other thread starts. The first
 * SIGTERM or SIGINT is stop_request(). After stop_request() of any caller the process has limit_s
 * to end. */
bool signals_listen(bool reloads, int limit_s, struct err *err);
/* Readable after SIGHUP in `run`; read with eventfd_read. -1 without signals_listen. */
int signals_reload_fd(void);

/* The exit status of a command that returned `status`: 128 + number if a signal made it fail. */
int signals_status(int status);
