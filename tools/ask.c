/* ask: generates an HTTP load over open connections, checks every response and records every
 * latency. A connection sends its next request as soon as it has the response.
 *
 *     ask [--rate REQUESTS_PER_SECOND] PORT CONNECTIONS SECONDS REQUESTS TAIL…
 *
 * With a rate every request has a time at which it is due, independent of earlier ones, and its
 * latency counts from then: the wait for a free connection is part of it. The tool waits for every
 * request that was due.
 *
 * REQUESTS is a file of raw requests, each ended by an empty line; their order is random. The body
 * of a good response ends with one of TAIL…. Prints one line of JSON: counts and percentiles. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/json_put.h"
#include "base/xalloc.h"

#define ANSWER_LIMIT_US 30000000
#define HEAD_END "\r\n\r\n"
#define CLOSES "\r\nConnection: close\r\n"

struct client {
    int fd;           /* -1: to be connected */
    bool asking;      /* an answer is to come */
    int64_t asked_us; /* at a rate: when that was due */
    int64_t sent_us;
    struct buffer answer;
};

struct load {
    int port;
    struct slice *requests;
    size_t request_count;
    char **tails; /* NULL behind the last */
    struct client *clients;
    struct pollfd *fds;
    size_t client_count;
    size_t turn; /* whose it is to ask: all connections are to be kept alive */
    double rate; /* requests a second; 0: as soon as the last is answered */
    int64_t began_us, end_us, asked;
    uint32_t *latencies_us;
    size_t answered, cap;
    int64_t good, failed, mixed, broken;
    char example[300]; /* a wrong response */
    uint64_t random;
};

/* ---- results ------------------------------------------------------------------------------- */

static void note_example(struct load *load, const char *what, struct slice answer) {
    size_t len = answer.len < 200 ? answer.len : 200;
    snprintf(load->example, sizeof load->example, "%s: %.*s", what, (int)len, answer.data);
}

static void note_latency(struct load *load, int64_t latency_us) {
    if (load->answered == load->cap) {
        load->cap = load->cap ? load->cap * 2 : 65536;
        load->latencies_us = xrealloc(load->latencies_us, load->cap * sizeof *load->latencies_us);
    }
    load->latencies_us[load->answered++] = (uint32_t)latency_us;
}

static bool ends_well(const struct load *load, struct slice answer) {
    for (char *const *tail = load->tails; *tail; tail++) {
        size_t len = strlen(*tail);
        if (answer.len >= len && memcmp(answer.data + answer.len - len, *tail, len) == 0) {
            return true;
        }
    }
    return false;
}

static void judge(struct load *load, struct slice answer) {
    if (strncmp(answer.data, "HTTP/1.1 200 ", 13) != 0) {
        load->failed++;
        note_example(load, "failed", answer);
    } else if (!ends_well(load, answer)) {
        load->mixed++;
        size_t len = answer.len < 80 ? answer.len : 80;
        note_example(load, "ends with", (struct slice){answer.data + answer.len - len, len});
    } else {
        load->good++;
    }
}

/* ---- connections --------------------------------------------------------------------------- */

static bool connect_to(struct client *client, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd >= 0 && connect(client->fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0) {
        return true;
    }
    if (client->fd >= 0) {
        close(client->fd);
    }
    client->fd = -1;
    return false;
}

static void hang_up(struct client *client) {
    close(client->fd);
    client->fd = -1;
    client->asking = false;
}

static void break_off(struct load *load, struct client *client, const char *why) {
    load->broken++;
    note_example(load, why, buffer_slice(&client->answer));
    hang_up(client);
}

static uint64_t draw(struct load *load) {
    load->random ^= load->random << 13;
    load->random ^= load->random >> 7;
    load->random ^= load->random << 17;
    return load->random;
}

/* A request fits the socket's buffer. */
static void ask(struct load *load, struct client *client, int64_t from_us) {
    struct slice request = load->requests[draw(load) % load->request_count];
    load->asked++;
    client->answer.len = 0;
    client->asked_us = from_us;
    client->sent_us = clock_monotonic_us();
    if (client->fd < 0 && !connect_to(client, load->port)) {
        load->broken++;
        note_example(load, "no connection", slice_of(strerror(errno)));
        return;
    }
    client->asking = true;
    if (send(client->fd, request.data, request.len, MSG_NOSIGNAL) != (ssize_t)request.len) {
        break_off(load, client, "not sent");
    }
}

/* Length of the whole response; 0: its head is not complete. */
static size_t answer_len(const struct buffer *answer) {
    static const char length_field[] = "\r\nContent-Length: ";
    const char *end = answer->len ? strstr(answer->data, HEAD_END) : NULL;
    const char *field = end ? strstr(answer->data, length_field) : NULL;
    size_t head = end ? (size_t)(end - answer->data) + strlen(HEAD_END) : 0;
    return field && field < end ? head + strtoul(field + sizeof length_field - 1, NULL, 10) : head;
}

static void receive(struct load *load, struct client *client) {
    struct buffer *answer = &client->answer;
    char *to = buffer_reserve(answer, 16384);
    ssize_t got = recv(client->fd, to, 16383, MSG_DONTWAIT);
    if (got <= 0) {
        if (got == 0 && !client->asking) {
            hang_up(client); /* the server has closed the idle connection */
        } else if (got == 0 || errno != EAGAIN) {
            break_off(load, client, "the connection ended");
        }
        return;
    }
    answer->len += (size_t)got;
    answer->data[answer->len] = '\0';
    size_t len = answer_len(answer);
    if (len > 0 && answer->len >= len) {
        client->asking = false;
        note_latency(load, clock_monotonic_us() - client->asked_us);
        judge(load, buffer_slice(answer));
        if (strstr(answer->data, CLOSES) && strstr(answer->data, CLOSES) < answer->data + len) {
            hang_up(client); /* a request sent now would be lost */
        }
    }
}

/* ---- the load ------------------------------------------------------------------------------ */

/* Time of the next request. */
static int64_t due_us(const struct load *load) {
    return load->rate > 0 ? load->began_us + (int64_t)((double)load->asked * 1e6 / load->rate)
                          : clock_monotonic_us();
}

static bool is_over(const struct load *load) {
    return due_us(load) >= load->end_us;
}

static size_t count_asking(const struct load *load) {
    size_t asking = 0;
    for (size_t i = 0; i < load->client_count; i++) {
        asking += load->clients[i].asking;
    }
    return asking;
}

static void ask_what_is_due(struct load *load) {
    for (size_t looked_at = 0; looked_at < load->client_count && !is_over(load); looked_at++) {
        struct client *client = &load->clients[load->turn];
        int64_t from_us = due_us(load);
        if (from_us > clock_monotonic_us()) {
            return;
        }
        load->turn = (load->turn + 1) % load->client_count;
        if (!client->asking) {
            ask(load, client, from_us);
        }
    }
}

/* Waits until a response comes, or a request is due and a connection is free. */
static void wait_for_more(struct load *load) {
    int64_t wait_us = 100000;
    if (load->rate > 0 && !is_over(load) && count_asking(load) < load->client_count) {
        int64_t left_us = due_us(load) - clock_monotonic_us();
        wait_us = left_us < 0 ? 0 : left_us < wait_us ? left_us : wait_us;
    }
    struct timespec wait = {0, wait_us * 1000};
    for (size_t i = 0; i < load->client_count; i++) {
        load->fds[i] = (struct pollfd){load->clients[i].fd, POLLIN, 0};
    }
    if (ppoll(load->fds, load->client_count, &wait, NULL) < 0 && errno != EINTR) {
        perror("ask: ppoll");
        exit(1);
    }
}

static void look_after(struct load *load, size_t at) {
    struct client *client = &load->clients[at];
    if (load->fds[at].revents) {
        receive(load, client);
    } else if (client->asking && clock_monotonic_us() - client->sent_us > ANSWER_LIMIT_US) {
        break_off(load, client, "no answer");
    }
}

/* With a rate, waits for requests that are due: a stall at the end counts. */
static bool goes_on(const struct load *load) {
    return !is_over(load) || (load->rate > 0 && count_asking(load) > 0);
}

static void run(struct load *load) {
    while (goes_on(load)) {
        ask_what_is_due(load);
        wait_for_more(load);
        for (size_t i = 0; i < load->client_count; i++) {
            look_after(load, i);
        }
    }
}

static int compare(const void *one, const void *other) {
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

static void put_ms(struct buffer *json, const char *name, const struct load *load, double share) {
    size_t at = (size_t)(share * (double)load->answered);
    at = at < load->answered ? at : load->answered - 1;
    json_put_name(json, name);
    buffer_append_format(json, "%.3f", load->answered ? load->latencies_us[at] / 1000.0 : 0.0);
}

static void say(struct load *load, int64_t took_us) {
    struct buffer json = {0};
    if (load->answered > 0) {
        qsort(load->latencies_us, load->answered, sizeof *load->latencies_us, compare);
    }
    buffer_append_text(&json, "{");
    json_put_int(&json, "good", load->good);
    json_put_int(&json, "failed", load->failed);
    json_put_int(&json, "mixed", load->mixed);
    json_put_int(&json, "broken", load->broken);
    json_put_int(&json, "duration_us", took_us);
    put_ms(&json, "p50_ms", load, 0.5);
    put_ms(&json, "p99_ms", load, 0.99);
    put_ms(&json, "p999_ms", load, 0.999);
    put_ms(&json, "longest_ms", load, 1);
    json_put_text(&json, "example", slice_of(load->example));
    buffer_append_text(&json, "}");
    puts(json.data);
    buffer_free(&json);
}

static bool read_requests(struct load *load, const char *path, struct buffer *text) {
    FILE *file = fopen(path, "re");
    size_t got;
    while (file && (got = fread(buffer_reserve(text, 65536), 1, 65536, file)) > 0) {
        text->len += got;
    }
    if (!file || ferror(file) || fclose(file) != 0) {
        return false;
    }
    buffer_append(text, "", 0);
    for (const char *at = text->data, *end; (end = strstr(at, HEAD_END)); at = end) {
        end += strlen(HEAD_END);
        load->requests =
            xrealloc(load->requests, (load->request_count + 1) * sizeof *load->requests);
        load->requests[load->request_count++] = (struct slice){at, (size_t)(end - at)};
    }
    return load->request_count > 0;
}

static bool read_rate(struct load *load, int *argc, char ***argv) {
    if (*argc < 3 || strcmp((*argv)[1], "--rate") != 0) {
        return true;
    }
    load->rate = strtod((*argv)[2], NULL);
    *argc -= 2;
    *argv += 2;
    return load->rate > 0;
}

int main(int argc, char **argv) {
    struct buffer text = {0};
    struct load load = {.random = 88172645463325252ULL};
    if (!read_rate(&load, &argc, &argv) || argc < 6) {
        fputs("usage: ask [--rate REQUESTS_PER_SECOND] PORT CONNECTIONS SECONDS REQUESTS TAIL...\n",
              stderr);
        return 2;
    }
    load.port = atoi(argv[1]);
    load.tails = argv + 5;
    load.client_count = (size_t)atoi(argv[2]);
    load.clients = xcalloc(load.client_count, sizeof *load.clients);
    load.fds = xcalloc(load.client_count, sizeof *load.fds);
    for (size_t i = 0; i < load.client_count; i++) {
        load.clients[i].fd = -1;
    }
    if (!read_requests(&load, argv[4], &text)) {
        fprintf(stderr, "ask: no requests can be read from %s\n", argv[4]);
        return 1;
    }
    load.began_us = clock_monotonic_us();
    load.end_us = load.began_us + (int64_t)(strtod(argv[3], NULL) * 1e6);
    run(&load);
    say(&load, clock_monotonic_us() - load.began_us);
    return 0;
}
