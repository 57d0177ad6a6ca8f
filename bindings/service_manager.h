/* service_manager: the protocol of systemd for the services that it runs: sd_notify(3),
 * sd_watchdog_enabled(3), sd_listen_fds(3). Other service managers have adopted it. Without one
 * (NOTIFY_SOCKET, WATCHDOG_USEC and LISTEN_FDS are not set) all of it does nothing. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Any thread. A message that cannot be sent is a warning in the log. `status` is a line for
 * `systemctl status`. */
void service_manager_tell_ready(const char *status); /* after the start, and after a reload */
void service_manager_tell_reloading(void);
void service_manager_tell_stopping(const char *status);
/* The service's main process is now `pid`, of the same control group. Returns after the service
 * manager has read it. Only messages of the main process count, unless the unit says otherwise
 * (NotifyAccess=). */
void service_manager_tell_main(pid_t pid);

/* The interval in which this process must prove that it lives, in microseconds; 0: it need not. */
int64_t service_manager_watchdog_us(void);
void service_manager_prove_life(void);

/* Takes over the sockets that were opened for this process, and removes them from the environment.
 * Once, before any thread starts. */
void service_manager_receive_sockets(void);
/* The socket of that name (FileDescriptorName= of the unit), which the caller now owns. -1: none.
 */
int service_manager_take_socket(const char *name);
/* Closes those that nobody took: clients would wait for an answer. The log names them. */
void service_manager_close_others(void);
