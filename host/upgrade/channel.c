#include "channel.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

bool channel_send(int fd, const char *word, const char *text) {
    char bytes[sizeof(struct channel_message)];
    int len = snprintf(bytes, sizeof bytes, "%s %s", word, text);
    size_t sent = len < (int)sizeof bytes ? (size_t)len : sizeof bytes - 1;
    return TEMP_FAILURE_RETRY(send(fd, bytes, sent, MSG_NOSIGNAL)) == (ssize_t)sent;
}

static enum channel_result channel_read(int fd, struct channel_message *message) {
    char bytes[sizeof(struct channel_message)];
    ssize_t got = TEMP_FAILURE_RETRY(recv(fd, bytes, sizeof bytes - 1, 0));
    if (got <= 0) {
        return CHANNEL_GONE;
    }
    bytes[got] = '\0';
    *message = (struct channel_message){0};
    (void)sscanf(bytes, "%15s %2047[^\n]", message->word, message->text);
    return CHANNEL_RECEIVED;
}

enum channel_result channel_receive(int fd, int stop_fd, int64_t deadline_us,
                                    struct channel_message *message) {
    struct pollfd fds[2] = {{fd, POLLIN, 0}, {stop_fd, POLLIN, 0}};
    int ready = clock_poll(fds, 2, deadline_us);
    if (fds[1].revents) {
        return CHANNEL_STOPPED;
    }
    return ready > 0 ? channel_read(fd, message) : CHANNEL_TIMEOUT;
}
