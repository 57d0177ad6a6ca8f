/* successor: the process that takes over at an upgrade: this program as it is installed now, with
 * the arguments, environment and working directory of this process. It gets the sockets by the
 * service manager's protocol (LISTEN_FDS), and the channel as one of them. It is no child of
 * this process, so that it lives on when this one ends. */
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "channel.h"

#define SUCCESSOR_SOCKETS_MAX 4
#define SUCCESSOR_CHANNEL_NAME "predecessor"
#define SUCCESSOR_NEEDS_NAME "UPGRADE_NEEDS" /* the variable of needs_kafka */

struct successor_socket {
    const char *name;
    int fd; /* stays this process', too */
};

struct successor {
    pid_t pid;
    int pid_fd;
    int channel;
};

struct successor_start {
    char *const *argv; /* NULL-terminated; argv[0] is searched in PATH if it has no slash */
    struct successor_socket sockets[SUCCESSOR_SOCKETS_MAX];
    size_t socket_count;
    bool needs_kafka; /* it does not take over unless it reaches Kafka */
};
bool successor_start(struct successor *successor, const struct successor_start *start,
                     struct err *err);
/* Waits for the word, until the monotonic deadline; fills `text` of the message. False: err says
 * what came instead. */
bool successor_await(const struct successor *successor, const char *word, int stop_fd,
                     int64_t deadline_us, struct channel_message *message, struct err *err);
/* Ends it by SIGTERM, or SIGKILL after some seconds. */
void successor_end(const struct successor *successor);
void successor_close(struct successor *successor);
