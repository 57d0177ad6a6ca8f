/* channel: messages between a process and its successor, over a pair of sockets that keep the
 * bounds of messages. A message is a word and a text.
 *
 *   successor   ready VERSION   all parts run; it has neither clients nor partitions
 *               failed REASON   it ends
 *   predecessor go              take clients and partitions
 *   successor   took            it accepts clients and is a member of the group
 *   predecessor main            the service manager knows the successor; the predecessor drains
 *
 * Before `took` the predecessor goes on, whatever happens to its successor. A successor whose
 * predecessor dies takes over. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define CHANNEL_READY "ready"
#define CHANNEL_FAILED "failed"
#define CHANNEL_GO "go"
#define CHANNEL_TOOK "took"
#define CHANNEL_MAIN "main"

struct channel_message {
    char word[16];
    char text[2048]; /* cut off; "": none */
};

enum channel_result {
    CHANNEL_RECEIVED,
    CHANNEL_GONE, /* the other process has ended or closed its end */
    CHANNEL_TIMEOUT,
    CHANNEL_STOPPED, /* stop_fd is readable */
};

/* False: the other process has ended. */
bool channel_send(int fd, const char *word, const char *text);
/* Waits until the monotonic deadline. stop_fd -1: not stopped. */
enum channel_result channel_receive(int fd, int stop_fd, int64_t deadline_us,
                                    struct channel_message *message);
