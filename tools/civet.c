/* civet: a civetweb server that sends the bytes of a file from memory: the yardstick of tools/bench
 * for cached responses.
 *
 *     civet PORT THREADS FILE
 *
 * Civetweb uses a thread for each open connection; THREADS is their limit. The response, head and
 * body, is built once and sent in one write. */
#include <civetweb.h>
#include <signal.h>
#include <stdio.h>

#include "base/buffer.h"

static bool read_file(const char *path, struct buffer *text) {
    FILE *file = fopen(path, "re");
    size_t got;
    while (file && (got = fread(buffer_reserve(text, 65536), 1, 65536, file)) > 0) {
        text->len += got;
    }
    return file && !ferror(file) && fclose(file) == 0;
}

/* Head and body. */
static bool make_answer(struct buffer *answer, const char *path) {
    struct buffer body = {0};
    bool read = read_file(path, &body);
    buffer_append_format(answer,
                         "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                         "Content-Length: %zu\r\nConnection: keep-alive\r\n\r\n",
                         body.len);
    buffer_append(answer, body.data, body.len);
    buffer_free(&body);
    return read;
}

/* civetweb calls this before it looks for a handler or a file: its shortest path. */
static int send_answer(struct mg_connection *connection) {
    const struct buffer *answer = mg_get_user_data(mg_get_context(connection));
    mg_write(connection, answer->data, answer->len);
    return 200;
}

static struct mg_context *start(struct buffer *answer, const char *port, const char *threads) {
    struct mg_callbacks callbacks = {.begin_request = send_answer};
    char address[64];
    snprintf(address, sizeof address, "127.0.0.1:%s", port);
    const char *options[] = {"listening_ports",
                             address,
                             "num_threads",
                             threads,
                             "enable_keep_alive",
                             "yes",
                             "keep_alive_timeout_ms",
                             "60000",
                             "tcp_nodelay",
                             "1",
                             NULL};
    mg_init_library(MG_FEATURES_DEFAULT);
    return mg_start(&callbacks, answer, options);
}

/* Blocks SIGTERM before the threads start, which inherit the mask; sigwait() takes it. */
static void block_end(sigset_t *end) {
    sigemptyset(end);
    sigaddset(end, SIGTERM);
    pthread_sigmask(SIG_BLOCK, end, NULL);
}

int main(int argc, char **argv) {
    struct buffer answer = {0};
    sigset_t end;
    int signal_number;
    if (argc != 4) {
        fputs("usage: civet PORT THREADS FILE\n", stderr);
        return 2;
    }
    if (!make_answer(&answer, argv[3])) {
        fprintf(stderr, "civet: %s cannot be read\n", argv[3]);
        return 1;
    }
    block_end(&end);
    struct mg_context *context = start(&answer, argv[1], argv[2]);
    if (!context) {
        fputs("civet: civetweb did not start\n", stderr);
        return 1;
    }
    sigwait(&end, &signal_number);
    mg_stop(context);
    buffer_free(&answer);
    return 0;
}
