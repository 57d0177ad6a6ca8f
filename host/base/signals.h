/* signals: what the process does on each signal, the same for every command.
 *
 *     SIGTERM, SIGINT   end it: a command at once, with 128 and the number; where signals_listen
 * was called in order, a second one at once SIGHUP            `run`: reload; other commands: end as
 * SIGTERM SIGUSR1, SIGUSR2  nothing; a line says which command to use
 */
#ifndef AGG_HOST_BASE_SIGNALS_H
#define AGG_HOST_BASE_SIGNALS_H

#include <stdbool.h>

#include "err.h"

/* Once, before there are threads. */
void signals_init(void);

/* From now on, with no thread started yet, a thread takes the signals, whatever the others do: the
 * first SIGTERM or SIGINT is stop_request(), and the process has limit_s to end. */
bool signals_listen(bool reloads, int limit_s, struct err *err);
/* Readable where SIGHUP asks for a reload; read with eventfd_read. -1 where nothing listens. */
int signals_reload_fd(void);

/* The exit status of a command that ended with this one: where a signal made it fail, 128 and its
 * number. */
int signals_status(int status);

#endif
